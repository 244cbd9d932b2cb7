"""The ready-made suite: a gate without test code, with the same node ids everywhere."""

import os
import re
import shutil
from pathlib import Path

import pytest

import pytest_cropdet

GATE = "pytest_cropdet/suite/gate.py::test_map_drop"


def test_a_detector_that_loses_nothing_passes(project):
    result = project.gate("fakes:perfect")
    assert result.ret == 0
    result.assert_outcomes(passed=1)
    assert [(gate["name"], gate["verdict"]) for gate in project.gates] == [("random", "pass")]


def test_a_failing_gate_shows_value_and_limit_in_a_narrow_terminal(project, workers):
    result = project.gate("fakes:make", workers=workers)
    assert result.ret == 1
    line = next(line for line in result.outlines if line.startswith("FAILED"))
    assert re.match(rf"FAILED drop 0\.\d{{3}} > 0\.050 {re.escape(GATE)}\[random\]", line)
    assert len(line) <= 80
    result.stdout.fnmatch_lines(
        ["*crops lose 0.??? mAP*; the limit is 0.050", "  whole image 1.000 -> crop 0.* 3 categories*"]
    )
    result.stdout.no_fnmatch_line("*session.py*")


@pytest.mark.slow
def test_a_long_id_leaves_room_for_value_and_limit_too(project, monkeypatch):
    crops = [f"--cropdet-crops=random:keep=0.{number}-0.9,per_image=1" for number in (7, 8)]
    result = project.gate("fakes:make", *crops, "--cropdet-explain=off")
    lines = [line for line in result.outlines if line.startswith("FAILED")]
    assert len(lines) == 2
    assert all(
        re.match(r"FAILED drop 0\.\d{3} > 0\.050 pytest_cropdet/suite/gate\.py::test_map_drop", each) for each in lines
    )
    monkeypatch.setenv("COLUMNS", "200")
    wide = project.gate("fakes:make", *crops, "--cropdet-explain=off")
    start = f"FAILED {GATE}[[]random:keep=0.7-0.9,per_image=1]"
    wide.stdout.fnmatch_lines([f"{start} - FAIL drop 0.* > 0.050: crops lose *"])


CONFIGURATIONS = {
    "other names": "python_files = check_*.py\npython_functions = check_*\nnorecursedirs = * pytest_cropdet suite",
    "every file, appended": "python_files = *.py\naddopts = --import-mode=append --doctest-modules",
    "importlib": "python_files = *.py\naddopts = --import-mode=importlib\npython_functions = nothing",
}


@pytest.mark.parametrize("ini", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_the_node_id_is_the_same_under_every_configuration(project, ini):
    project.write(pytest_ini=f"[pytest]\n{ini}\n")
    result = project.gate("fakes:perfect", "--junitxml=junit.xml")
    assert result.ret == 0
    assert [gate["test"] for gate in project.gates] == [f"{GATE}[random]"]
    assert [case[:2] for case in project.cases()] == [("pytest_cropdet.suite.gate", "test_map_drop[random]")]


@pytest.mark.parametrize(("mode", "workers"), [("prepend", 2), ("importlib", 0)])
@pytest.mark.subprocess
def test_the_node_id_is_the_same_in_a_virtual_environment_in_the_project(project, mode, workers, monkeypatch, said):
    site = project.path / ".venv" / "lib" / "site-packages"
    shutil.copytree(Path(pytest_cropdet.__file__).parent, site / "pytest_cropdet")
    (project.path / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    project.write(
        pytest_ini="[pytest]\n",
        conftest="import pytest_cropdet\ndef pytest_report_header():\n    return f'from {pytest_cropdet.__file__}'\n",
        test_one="def test_one():\n    pass\n",
    )
    result = project.gate("fakes:perfect", "test_one.py", f"--import-mode={mode}", workers=workers)
    assert "from " + str(site) in said(result)
    result.assert_outcomes(passed=2)
    assert [gate["test"] for gate in project.gates] == [f"{GATE}[random]"]


@pytest.mark.subprocess
def test_a_run_of_everything_does_not_pick_the_suite_up(project, monkeypatch):
    shutil.copytree(Path(pytest_cropdet.__file__).parent, project.path / "vendor" / "pytest_cropdet")
    monkeypatch.setenv("PYTHONPATH", str(project.path / "vendor"), prepend=os.pathsep)
    project.write(pytest_ini="[pytest]\npython_files = test_*.py gate.py\n", test_one="def test_one():\n    pass\n")
    result = project.pytest()
    result.assert_outcomes(passed=1)


@pytest.mark.slow
def test_one_gate_is_chosen_by_its_node_id_and_run_again_when_it_failed(project):
    module = "pytest_cropdet.suite.gate::test_map_drop[random]"
    rest = (
        "--cropdet-model=fakes:make",
        f"--cropdet-data={project.data}",
        "--cropdet-crops=random:keep=0.7-0.9,per_image=1",
    )
    project.pytest("--pyargs", module, *rest, "--cropdet-crops=tile:size=40").assert_outcomes(failed=1)
    again = project.pytest("--lf", "--pyargs", "pytest_cropdet.suite", *rest, "--cropdet-crops=tile:size=64")
    again.assert_outcomes(failed=1, deselected=1)


@pytest.mark.slow
def test_gates_are_the_product_of_models_data_and_crops_and_each_model_loads_once(project):
    second = project.path / "again"
    shutil.copytree(project.data, second)
    project.write(
        test_more="def test_more(cropdet_detector, cropdet_dataset):\n    assert len(cropdet_dataset) == 60\n"
    )
    result = project.gate(
        "fakes:make",
        "--cropdet-model=better=fakes:perfect",
        f"--cropdet-data=two={second}",
        "--cropdet-crops=random:keep=1.0,per_image=1",
        "--cropdet-crops=tile:size=40",
        "test_more.py",
    )
    result.assert_outcomes(passed=6 + 4, failed=2)
    names = [f"{m}-{d}-{c}" for m in ("make", "better") for d in ("shapes", "two") for c in ("random", "tile")]
    assert sorted(gate["name"] for gate in project.gates) == sorted(names)
    assert {gate["test"] for gate in project.gates} == {f"{GATE}[{name}]" for name in names}
    assert sorted(project.notes) == ["loaded make", "loaded perfect"]
    whole = [gate for gate in project.gates if gate["plan"].startswith("random:keep=1.0")]
    assert [gate["drop"]["value"] for gate in whole] == [0.0] * 4  # a crop that keeps everything loses exactly nothing
