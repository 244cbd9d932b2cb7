"""The benchmark from the command line: what runs, what it says, and that workers change nothing."""

import json

import pytest

pytestmark = pytest.mark.slow

BENCHMARK = "pytest_cropdet/suite/benchmark.py::test_benchmark"
FEW = "--cropdet-sample-images=8"


def measured(project):
    """The benchmarks in out.json."""
    return json.loads((project.path / "out.json").read_text())["benchmarks"]


def comparable(record):
    return {key: value for key, value in record.items() if key != "seconds"}


def test_with_the_option_the_suite_runs_the_benchmark_and_not_the_gate(project):
    result = project.gate("fakes:perfect", "--cropdet-benchmark=quick", FEW, "--junitxml=junit.xml")
    result.assert_outcomes(passed=1)
    (found,) = measured(project)
    assert (found["test"], found["name"]) == (BENCHMARK, "benchmark")
    assert found["benchmark"]["mode"] == "quick"
    assert (found["benchmark"]["rpc"]["value"], found["benchmark"]["drop"]["value"]) == (1.0, 0.0)
    assert project.gates == []
    assert [case[:2] for case in project.cases()] == [("pytest_cropdet.suite.benchmark", "test_benchmark")]
    assert project.cases()[0][2] == {"cropdet.benchmark.mpc": "1.0", "cropdet.benchmark.rpc": "1.0"}
    result.stdout.fnmatch_lines(
        [
            "cropdet: cropdet-benchmark 1 quick: * crops of 8 images, * detector calls",
            "*= crop benchmark =*",
            "random         1      1.000  1.000  [[]1.000, 1.000[]]    0.000  [[]0.000, 0.000[]]",
            "rPC 1.000 [[]1.000, 1.000[]]*",
            "left out: severities 2, 4",
            "| detector | data | images |*",
            "| * | cropdet-benchmark 1 quick, mAP, seed 0 |",
        ]
    )


def test_without_the_option_the_suite_runs_the_gate_alone(project):
    project.gate("fakes:perfect").assert_outcomes(passed=1)
    assert measured(project) == []
    assert len(project.gates) == 1


SPELLINGS = {
    "bare, at the end": ("full", "", ("pytest_cropdet.suite",), ("--cropdet-benchmark",)),
    "with a blank": ("quick", "", ("pytest_cropdet.suite",), ("--cropdet-benchmark", "quick")),
    "in the ini file": ("quick", "[pytest]\ncropdet_benchmark = quick\n", ("pytest_cropdet.suite",), ()),
    "the module by its name": ("full", "", ("pytest_cropdet.suite.benchmark",), ()),
}


@pytest.mark.parametrize(("mode", "ini", "suite", "more"), SPELLINGS.values(), ids=SPELLINGS)
def test_the_spellings_of_the_option(project, mode, ini, suite, more):
    if ini:
        project.write(pytest_ini=ini)
    model = ("--cropdet-model=fakes:perfect", f"--cropdet-data={project.data}", "--cropdet-json=out.json")
    project.pytest("--pyargs", *suite, *model, "--cropdet-sample-images=5", *more).assert_outcomes(passed=1)
    assert measured(project)[0]["benchmark"]["mode"] == mode


def test_a_path_after_the_bare_option_and_a_wrong_value_are_usage_errors(project, said):
    swallowed = project.pytest("--pyargs", "--cropdet-benchmark", "pytest_cropdet.suite")
    assert swallowed.ret == 4
    assert "--cropdet-benchmark: invalid choice: 'pytest_cropdet.suite'" in said(swallowed)
    project.write(pytest_ini="[pytest]\ncropdet_benchmark = fast\n")
    wrong = project.gate("fakes:perfect")
    assert wrong.ret == 4
    assert "cropdet_benchmark must be one of quick, full, not 'fast'" in said(wrong)


@pytest.mark.subprocess
def test_models_are_parametrised_and_workers_change_nothing(project):
    arguments = ("fakes:make", "--cropdet-model=better=fakes:perfect", "--cropdet-benchmark=quick", FEW)
    project.gate(*arguments).assert_outcomes(passed=2)
    first = sorted(measured(project), key=lambda record: record["name"])
    project.gate(*arguments, workers=2).assert_outcomes(passed=2)
    second = sorted(measured(project), key=lambda record: record["name"])
    assert [record["name"] for record in first] == ["better-benchmark", "make-benchmark"]
    assert [*map(comparable, first)] == [*map(comparable, second)]
    better, worse = (record["benchmark"]["rpc"]["value"] for record in first)
    assert worse < 0.9 < better == 1.0


def test_a_run_goes_on_from_what_is_kept_and_knows_how_long_it_takes(project):
    project.write(
        keeping="import fakes\n\nclass Kept(fakes.Finder):\n    fingerprint = 'finder 1'\n\n"
        "def make():\n    fakes.note('loaded')\n    return Kept()\n"
    )
    project.gate("keeping:make", "--cropdet-benchmark=quick", FEW).assert_outcomes(passed=1)
    (first,) = measured(project)
    again = project.gate("keeping:make", "--cropdet-benchmark=quick", FEW)
    (second,) = measured(project)
    assert first["model_calls"] > 8 * 50
    assert second["model_calls"] == 0
    assert second["benchmark"] == first["benchmark"]
    again.stdout.fnmatch_lines(
        ["cropdet: cropdet-benchmark 1 quick: * detector calls: about 0.0 min at 0.* s per call"]
    )
    project.gate("keeping:make", "--cropdet-crops=random:severity=3,per_image=2", FEW, "--cropdet-explain=off")
    assert project.gates[0]["model_calls"] == 0  # the gate finds the benchmark's answers


def test_a_dry_run_tells_the_calls_and_what_is_left_out(project):
    result = project.gate("fakes:perfect", "--cropdet-benchmark=quick", "--cropdet-dry-run")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*crop robustness, dry run*",
            "cropdet-benchmark 1 quick: 3,420 crops of 60 images, * detector calls: about * min at * s per call",
            "  tile: 240 at 1, 540 at 3, 1,200 at 5",
            "  left out: severities 2, 4",
        ]
    )


def test_a_test_of_ones_own_takes_it_beside_a_gate(project):
    project.write(
        test_own="""
def test_both(cropdet):
    assert cropdet.benchmark("quick", sample_images=8).rpc.value == 1.0
    cropdet.gate()
"""
    )
    model = ("--cropdet-model=fakes:perfect", f"--cropdet-data={project.data}", "--cropdet-json=out.json")
    result = project.pytest("test_own.py", *model, "--cropdet-crops=random:keep=0.7-0.9,per_image=1")
    result.assert_outcomes(passed=1)
    assert ([gate["name"] for gate in project.gates], len(measured(project))) == (["random"], 1)


def test_it_is_no_option_for_one_test(project, said):
    project.write(
        test_own="""
import pytest

@pytest.mark.cropdet(benchmark="quick")
def test_one(cropdet):
    cropdet.gate()
"""
    )
    model = ("--cropdet-model=fakes:perfect", f"--cropdet-data={project.data}")
    result = project.pytest("test_own.py", *model)
    assert result.ret == 1
    assert "the marker cropdet takes" in said(result)
    assert "not benchmark" in said(result)
