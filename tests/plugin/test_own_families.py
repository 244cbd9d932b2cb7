"""Families of windows that a project's conftest registers: in options, markers, the benchmark, and on workers."""

from __future__ import annotations

import json

import pytest

from pytest_cropdet.crops import registry

CONFTEST = """
from pytest_cropdet import Crop, Parameter, register_family

@register_family(
    "corner",
    parameters={"share": Parameter(0.8, float), "per_image": Parameter(1, int)},
    severities=("share", (0.9, 0.8, 0.7, 0.6, 0.5)),
)
def corner(sample, draws, share, per_image):
    width, height = max(1, int(share * sample.width)), max(1, int(share * sample.height))
    for rank in range(per_image):
        left = draws.below(2, "left", rank) * (sample.width - width)
        yield Crop(left, draws.below(2, "top", rank) * (sample.height - height), width, height)
"""


@pytest.fixture(autouse=True)
def _of_this_project(monkeypatch):
    """Projects run in this process, one after the other."""
    monkeypatch.setattr(registry, "_registered", {})


def test_the_suite_gates_on_a_family_of_the_conftest(project):
    project.write(conftest=CONFTEST)
    project.gate("fakes:perfect", "--cropdet-crops=corner:severity=3", "--cropdet-crops=corner").assert_outcomes(
        passed=2
    )
    found = project.gates
    assert [each["plan"] for each in found] == ["corner:severity=3", "corner"]
    assert [each["crops"] for each in found] == [60, 60]
    assert found[0]["windows"]["000.png"][0][2:] == [int(0.7 * 64), int(0.7 * 48)]


def test_a_family_of_a_test_module_works_in_its_tests(project):
    project.write(test_it=f"{CONFTEST}\n\ndef test_corners(cropdet):\n    assert cropdet.run('corner').drop <= 0.05\n")
    project.pytest("--cropdet-model=fakes:perfect", f"--cropdet-data={project.data}").assert_outcomes(passed=1)


@pytest.mark.parametrize("spec", ["cornr", "corner:sahre=1"])
def test_a_mistake_in_a_spec_is_a_usage_error(project, spec):
    project.write(conftest=CONFTEST)
    result = project.gate("fakes:perfect", f"--cropdet-crops={spec}")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*crops '{spec}': *corner*"])


def test_a_window_outside_of_the_image_fails_the_test_with_the_familys_name(project):
    project.write(conftest=CONFTEST.replace('"left", rank)', '"left", rank) + 1'))
    result = project.gate("fakes:perfect", "--cropdet-crops=corner")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*the family 'corner' returned Crop(*is not inside its 64 x 48 px*"])


def test_the_benchmark_has_the_families_that_the_option_names(project):
    project.write(conftest=CONFTEST)
    arguments = ("--cropdet-benchmark=quick", "--cropdet-sample-images=8")
    result = project.gate("fakes:perfect", *arguments, "--cropdet-benchmark-families=corner, shift")
    result.assert_outcomes(passed=1)
    (found,) = json.loads((project.path / "out.json").read_text())["benchmarks"]
    assert [each["family"] for each in found["benchmark"]["families"]] == ["corner", "shift"]
    assert (project.path / ".cropdet" / "report" / "index.html").read_text().count("corner") > 2
    result = project.gate("fakes:perfect", *arguments, "--cropdet-benchmark-families=corner,none")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*unknown family 'none'*"])


def test_workers_draw_the_same_windows(project, workers):
    project.write(conftest=CONFTEST)
    project.gate("fakes:perfect", "--cropdet-crops=corner").assert_outcomes(passed=1)
    alone = project.gates
    project.gate("fakes:perfect", "--cropdet-crops=corner", workers=workers).assert_outcomes(passed=1)
    assert [each["windows"] for each in project.gates] == [each["windows"] for each in alone]
    assert project.gates[0]["drop"] == alone[0]["drop"]
