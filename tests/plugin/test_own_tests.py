"""Tests that users write: the suite with fixtures of their own, and plain asserts."""

import pytest

OWN_FIXTURES = """
import numpy as np
import pytest
import fakes
from pytest_cropdet import GroundTruth, Sample

class Shapes:
    name = "drawn here"
    categories = {1: "red", 2: "green", 3: "blue"}
    def __init__(self, count=55):
        self.samples = [self.sample(number) for number in range(count)]
    def sample(self, number):
        def read():
            picture = np.zeros((48, 64, 3), np.uint8)
            for category, colour in fakes.COLOURS.items():
                picture[10:30, 20 * category - 15 : 20 * category - 5] = colour
            return picture
        boxes = [[20 * category - 15, 10, 20 * category - 5, 30] for category in (1, 2, 3)]
        return Sample(f"{number}.png", 64, 48, GroundTruth(boxes, [1, 2, 3]), read)
    def __len__(self):
        return len(self.samples)
    def __getitem__(self, index):
        return self.samples[index]
    def __iter__(self):
        return iter(self.samples)

@pytest.fixture(scope="session")
def cropdet_detector():
    return fakes.Finder(loses_cut=True)

@pytest.fixture(scope="session")
def cropdet_dataset():
    return Shapes()
"""
STAR = "from pytest_cropdet.suite import *\n"
SUITE = (
    "--pyargs",
    "pytest_cropdet.suite",
    "--cropdet-crops=random:keep=0.7-0.9,per_image=1",
    "--cropdet-json=out.json",
)


def test_a_star_import_gates_fixtures_of_ones_own(project, workers):
    project.write(tests__conftest=OWN_FIXTURES, tests__test_crops=STAR)
    result = project.pytest(*SUITE[2:], "--cropdet-max-drop=0.9", "tests", workers=workers)
    result.assert_outcomes(passed=1)
    assert [gate["test"] for gate in project.gates] == ["tests/test_crops.py::test_map_drop[random]"]
    assert project.gates[0]["dataset"] == "drawn here"


def test_a_star_import_brings_along_the_checks_that_are_asked_for(project):
    project.write(tests__conftest=OWN_FIXTURES, tests__test_crops=STAR)
    names = {
        "gate": "test_map_drop",
        "invariants": "test_detector_invariant",
        "search": "test_no_crop_loses_an_object",
        "benchmark": "test_benchmark",
    }

    def collected(*args):
        lines = project.pytest(*args, "--collect-only", "-q", "tests").outlines
        return [check for check, name in names.items() if any(f"::{name}" in line for line in lines)]

    assert collected() == ["gate"]
    assert collected("--cropdet-checks=search,invariants") == ["invariants", "search"]
    assert collected("--cropdet-checks=gate,search", "--cropdet-benchmark=quick") == ["search", "benchmark"]


def test_fixtures_in_the_root_conftest_reach_the_suite_even_beside_configured_models(project):
    project.write(conftest=OWN_FIXTURES)
    project.pytest(*SUITE, "--cropdet-model=fakes:make", "--cropdet-model=fakes:perfect").assert_outcomes(failed=1)
    assert [gate["name"] for gate in project.gates] == ["random"]
    assert project.notes == []


@pytest.mark.subprocess
def test_fixtures_in_a_folder_of_tests_do_not_and_the_error_says_what_to_do(project, said, without_tracebacks):
    project.write(tests__conftest=OWN_FIXTURES)
    result = project.pytest(*SUITE)
    assert result.ret == 4
    assert "no detector: give --cropdet-model=PATH" in said(result)
    assert "in tests/conftest.py does not: there write `from pytest_cropdet.suite import *`" in said(result)
    on_workers = project.pytest(*SUITE, workers=2)
    assert on_workers.ret == 1
    on_workers.assert_outcomes(errors=1)
    assert "no detector: give --cropdet-model=PATH" in said(on_workers)
    assert without_tracebacks(on_workers)


ASSERTS = """
import pytest

@pytest.fixture(scope="session")
def run(cropdet):
    return cropdet.run("random:keep=0.7-0.9,per_image=1")

def test_explains(run):
    assert run.drop <= 0.05

def test_wrong_way(run):
    assert not run.drop >= 0.05

def test_category(run):
    assert run.by_category["red"] <= 0.01

def test_within(run):
    assert run.drop <= 0.9
    assert 0.9 >= run.drop
"""


def test_a_plain_assert_explains_itself(project, said, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    project.write(conftest=OWN_FIXTURES, test_own=ASSERTS)
    result = project.pytest("test_own.py", "--cropdet-json=out.json")
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(
        [
            ">       assert run.drop <= 0.05",
            "E*FAIL drop 0.* > 0.050: crops lose 0.* mAP*; the limit is 0.050",
            "E*whole image 1.000 -> crop 0.*3 categories*",
            "E*most lost: *red*",
            "E*worst crop: Crop(left=*objects lost",
        ]
    )
    result.stdout.fnmatch_lines(["FAILED test_own.py::test_explains - FAIL drop 0.* > 0.050*"])
    result.stdout.fnmatch_lines(["E*TypeError: >= on drop: a loss is gated as `drop <= limit`*"])
    # the record of a run is that of its first test, with the verdicts that later tests gave
    (gate,) = project.gates
    assert gate["test"] == "test_own.py::test_explains"
    assert gate["verdict"] == "fail"
    assert [(each["measure"], each["outcome"]) for each in gate["verdicts"]] == [
        ("drop", "fail"),
        ("drop of red", "fail"),
        ("drop", "pass"),
        ("drop", "pass"),
    ]


UNSTATED = """
import pytest

WINDOWS = "random:keep=0.7-0.9,per_image=1"

def test_caught(cropdet):
    run = cropdet.run(WINDOWS)
    sent = cropdet.detector.images_sent
    with pytest.raises(AssertionError, match=r"run.causes, --cropdet-explain=always or .*max_drop=0.05"):
        bool(run.drop <= 0.05)
    assert cropdet.detector.images_sent == sent

def test_fails(cropdet):
    run = cropdet.run(WINDOWS)
    sent = cropdet.detector.images_sent
    try:
        assert run.drop <= 0.05
    finally:
        assert cropdet.detector.images_sent == sent

def test_breaks(cropdet):
    run = cropdet.run(WINDOWS)
    def find():
        raise ValueError("out of tea")
    run.explanation.find = find
    assert run.drop <= 0.05

def test_off(cropdet):
    assert cropdet.run(WINDOWS, explain="off").drop <= 0.05
"""


def test_a_limit_that_was_not_stated_is_explained_once_it_has_failed_a_test(project, said, workers):
    """Words call no detector: the plugin asks for the causes after the test, for its report, page and JSON."""
    project.write(conftest=OWN_FIXTURES, test_own=UNSTATED)
    named = ("--cropdet-json=out.json", "--cropdet-report=page")
    result = project.pytest("test_own.py", *named, workers=workers)
    result.assert_outcomes(passed=1, failed=3)
    steps = {gate["test"].rpartition("::")[2]: gate["steps"] for gate in project.gates}
    assert {name: each is not None for name, each in steps.items()} == {
        "test_caught": False,
        "test_fails": True,
        "test_breaks": False,
        "test_off": False,
    }
    assert [each["name"] for each in steps["test_fails"]] == ["context", "cut", "position", "scale"]
    (fails,) = [gate for gate in project.gates if gate["test"].endswith("test_fails")]
    assert fails["advice"] is not None
    result.stdout.fnmatch_lines(["E*FAIL drop 0.* > 0.050: *", "E*position*0.*#*", "E* what to try: *"])
    result.stdout.fnmatch_lines(["E* not explained: ValueError: out of tea"])
    text = said(result)
    assert text.count("what to try: ") == 1
    assert "not known yet" not in text
    assert "INTERNALERROR" not in text
    assert "Why it dropped" in (project.path / "page" / "index.html").read_text()


SPELLINGS = {
    "plain": "assert run.drop <= LIMIT",
    "not": "assert not (run.drop <= LIMIT)",
    "turned": "assert LIMIT >= run.drop",
    "variable": "held = run.drop <= LIMIT\n    assert held",
    "bool": "assert bool(run.drop <= LIMIT)",
    "is true": "assert (run.drop <= LIMIT) is True",
    "equal": "assert (run.drop <= LIMIT) == True",
    "or": "assert run.drop <= LIMIT or True",
    "chain": "assert 0 <= run.drop <= LIMIT",
    "all": "assert all([run.drop <= LIMIT, True])",
    "if": "if run.drop > LIMIT:\n        pytest.fail('too much')",
    "not above": "assert not run.drop > LIMIT",
    "minimum": "assert min(run.drop, LIMIT) is not LIMIT",
    "float": "assert float(run.drop) <= LIMIT",
    "approximate": "assert run.drop == pytest.approx(LIMIT, abs=1)",
    "truth": "assert run.drop",
    "check": "run.check()",
    "gate": "cropdet.gate(max_drop=LIMIT)",
    "numpy": "assert run.drop <= np.float64(LIMIT)",
    "numpy turned": "assert np.float64(LIMIT) >= run.drop",
    "category": "assert run.by_category['red'] <= LIMIT",
}


def test_undecided_passes_by_no_spelling(project):
    tests = "".join(
        f"def test_{name.replace(' ', '_')}(run, cropdet):\n    {code}\n\n" for name, code in SPELLINGS.items()
    )
    head = """
import numpy as np
import pytest
import fakes
from conftest import Shapes
LIMIT = 0.9
@pytest.fixture(scope="session")
def cropdet_dataset():
    return Shapes(4)  # far too few for a verdict
@pytest.fixture(scope="session")
def run(cropdet):
    run = cropdet.run(max_drop=LIMIT)
    assert run.drop.judge(LIMIT).outcome == "undecided"
    assert run.by_category["red"].judge(LIMIT).outcome == "undecided"
    return run
"""
    project.write(conftest=OWN_FIXTURES, test_own=head + tests)
    result = project.pytest("test_own.py", "--cropdet-crops=random:keep=0.7-0.9,per_image=1")
    result.assert_outcomes(failed=len(SPELLINGS))


ERRORS = """
import pytest


def test_spec(cropdet):
    cropdet.run("randum")

def test_keyword(cropdet):
    cropdet.run(max_dorp=0.1)

def test_percent(cropdet):
    cropdet.run(max_drop=5)

class TestMine:
    @pytest.mark.cropdet(max_dorp=0.1)
    def test_marker(self, cropdet):
        pass

@pytest.mark.cropdet(min_visibility="half")
def test_marker_type(cropdet):
    pass

@pytest.mark.cropdet(0.05)
def test_marker_unnamed(cropdet, cropdet_crops):
    pass

@pytest.mark.cropdet(crops="randum")
def test_marker_spec(cropdet, cropdet_crops):
    pass
"""


def test_mistakes_in_ones_own_tests_are_named_without_our_traceback(project, said, without_tracebacks, workers):
    project.write(conftest=OWN_FIXTURES, test_own=ERRORS)
    result = project.pytest("test_own.py", workers=workers)
    assert result.ret == 1
    result.assert_outcomes(failed=3, errors=4)
    text = said(result)
    for sentence in (
        "unknown family 'randum'; known are random, tile",
        "cropdet.run takes crops, seed",
        "cropdet_max_drop must lie between 0 and 1, not 5 (percent? write 0.05)",
        "by_category= not max_dorp",
        "min_visibility='half' in the marker cropdet: must be a number",
        "by_category= not 0.05",
    ):
        assert sentence in text
    assert without_tracebacks(result)
