"""Invariants of a user's own: items of the suite with id, limit, skip reason and record, wherever they are defined."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "invariants.md"
EXAMPLE = next(
    block
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    if "@invariant" in block
)
DETECTORS = """
import numpy as np
import fakes
from pytest_cropdet import Detections

def good():
    return fakes.Finder()

class Thin(fakes.Finder):
    "Adds a box of 2 px at the left of every crop."
    def find(self, image):
        found = super().find(image)
        if image.shape[:2] == fakes.WHOLE:
            return found
        boxes = np.vstack([found.boxes, [[0, 0, 2, image.shape[0]]]])
        return Detections(boxes, [*found.scores, 0.9], [*found.categories, 1])

def thin():
    return Thin()
"""
NAMED = ("--cropdet-checks=invariants", "--cropdet-examples=60")
RECORD_KEYS = {"kind", "name", "test", "detector", "dataset", "data_warnings", "seed"} | {
    *("invariant", "verdict", "value", "allowed", "what", "reason", "cause", "hint")
}
SUITE_ID = "pytest_cropdet/suite/invariants.py::test_detector_invariant[no-slivers]"
LIMIT = "from pytest_cropdet import invariant\n"


def own(name="own", body="return 0.0", **said):
    """A test file's invariant, as text."""
    arguments = ", ".join(f"{key}={value!r}" for key, value in ({"at_most": 0.1} | said).items())
    return f"{LIMIT}@invariant({arguments})\ndef {name}(evidence):\n    {body}\n"


@pytest.fixture
def own_test(project):
    """Run a user's test files without the suite."""
    project.write(detectors=DETECTORS)
    data = (f"--cropdet-data={project.data}", "--cropdet-json=out.json", "--cropdet-examples=60")
    return lambda *args, model="good", **more: project.pytest(
        *data, f"--cropdet-model=detectors:{model}", *args, **more
    )


def test_the_page_s_example_passes_a_good_detector_and_fails_a_bad_one(project, workers, said, without_tracebacks):
    project.write(conftest=EXAMPLE, detectors=DETECTORS)
    wanted = (*NAMED, "-k", "slivers or D6", "--junitxml=junit.xml", "--cropdet-report=page")
    good = project.gate("detectors:good", *wanted, workers=workers)
    good.assert_outcomes(passed=2, deselected=0 if workers else 14)
    built_in, passed = project.checks
    assert passed.keys() == built_in.keys() == RECORD_KEYS
    assert (passed["verdict"], passed["allowed"], passed["test"]) == ("pass", 0.05, SUITE_ID)
    assert 0 <= passed["value"] < 0.05

    bad = project.gate("detectors:thin", *wanted, workers=workers)
    bad.assert_outcomes(passed=1, failed=1, deselected=0 if workers else 14)
    (failed,) = [each for each in project.checks if each["invariant"] == "no-slivers"]
    assert (failed["verdict"], failed["cause"], failed["kind"]) == ("fail", "OwnInvariantBroken", "invariant")
    assert failed["value"] > 0.2
    assert failed["what"] == "share of confident boxes in crops that are 8 times as long as wide"
    assert "no-slivers: A crop adds no thin boxes along its border." in failed["reason"]
    assert re.search(r"0\.\d+ > 0\.05: share of confident boxes in crops", said(bad))
    assert without_tracebacks(bad)
    (case,) = [properties for _, name, properties in project.cases() if "slivers" in name]
    assert (case["cropdet.no-slivers.verdict"], float(case["cropdet.no-slivers.allowed"])) == ("fail", 0.05)
    page = (project.path / "page" / "index.html").read_text(encoding="utf-8")
    assert "no-slivers" in page
    assert "A crop adds no thin boxes along its border." in page


def test_it_is_beside_the_fifteen_by_a_star_import_too_once(project, own_test, workers):
    project.write(conftest=EXAMPLE, test_suite=f"from conftest import slivers\n{STAR}{own('more')}")
    result = own_test(*NAMED, "test_suite.py", workers=workers)
    assert sum(result.parseoutcomes().values()) == 17
    names = [check["test"] for check in project.checks]
    assert len(names) == len(set(names)) == 17
    assert {f"test_suite.py::test_detector_invariant[{name}]" for name in ("no-slivers", "more", "D1-repeatable")} <= {
        *names
    }


STAR = "from pytest_cropdet.suite import *\n"


def test_in_a_test_file_it_runs_whatever_the_suite_does(project, own_test, workers):
    project.write(conftest=EXAMPLE, test_own=own("in_a_file", "return 0.3"), test_star=STAR + own("beside"))
    result = own_test("test_own.py", "test_star.py", "--cropdet-crops=tile", "--cropdet-max-drop=0.9", workers=workers)
    result.assert_outcomes(passed=2, failed=1)
    assert [(each["test"], each["verdict"]) for each in project.checks] == [
        ("test_star.py::test_detector_invariant[beside]", "pass"),
        ("test_own.py::test_detector_invariant[in-a-file]", "fail"),
    ]
    result.stdout.no_fnmatch_line("*All traceback entries are hidden*")
    assert project.checks[1]["reason"].splitlines()[0] == "0.3 > 0.1: in a file"


def test_its_item_is_at_the_function_and_has_its_marks(project, own_test):
    marked = own("skipped").replace("@invariant", "@pytest.mark.skip(reason='not now')\n@invariant")
    project.write(
        conftest="import pytest\n" + marked,
        test_own=f"import pytest\n{marked.replace('skipped', 'here')}",
        pytest_ini="[pytest]\npython_functions = check_*\n",
    )
    result = own_test("test_own.py", "-rs", "-v")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * test_own.py:3: not now"])
    suite = project.gate("detectors:good", *NAMED, "-k", "skipped", "-rs")
    suite.assert_outcomes(skipped=1, deselected=15)


def test_another_limit_by_option_ini_and_marker(project, own_test, said):
    project.write(test_own=own("own", "return 0.3"))
    assert own_test("test_own.py", "--cropdet-tolerance=own=0.4").ret == 0
    assert project.checks[0]["allowed"] == 0.4
    assert own_test("test_own.py", "--cropdet-tolerance=lost=0.1, own=0.2").ret == 1
    project.write(pytest_ini="[pytest]\ncropdet_tolerance = own=0.5\n")
    assert own_test("test_own.py").ret == 0
    marker = "@pytest.mark.cropdet(tolerance='own=0.2')\n@invariant"
    project.write(test_own="import pytest\n" + own("own", "return 0.3").replace("@invariant", marker))
    assert own_test("test_own.py").ret == 1
    unknown = said(own_test("test_own.py", "--cropdet-tolerance=lsot=0.4"))
    assert (
        "--cropdet-tolerance names lsot, but the tolerances and the invariants of your own in this session are"
        in unknown
    )
    assert "did you mean lost?" in unknown


def test_a_tolerance_of_a_built_in_invariant(project, workers):
    project.write(detectors=DETECTORS)
    wanted = (*NAMED, "-k", "D12", "--cropdet-tolerance")
    assert project.gate("fakes:make", *wanted, "truncated_lost=0.5", workers=workers).ret == 1
    assert project.checks[0]["allowed"] == 0.5
    assert project.gate("fakes:make", *wanted, "truncated_lost=1", workers=workers).ret == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("lost", "cropdet_tolerance must be NAME=NUMBER, such as lost=0.1, not 'lost'"),
        ("lost=many", "not 'lost=many'"),
        ("lost=nan", "not 'lost=nan'"),
        ("lost=-0.1", "cropdet_tolerance lost= must be 0 or more, not -0.1"),
        ("stride=0", "cropdet_tolerance stride= must be a whole number from 1, not 0"),
        ("least=1.5", "cropdet_tolerance least= must be a whole number from 1, not 1.5"),
        ("D6=0.1", "the tolerances of built-in invariants are repeat, batch,"),
    ],
)
def test_what_no_tolerance_can_be_is_a_usage_error(project, said, value, text):
    result = project.gate("fakes:perfect", *NAMED, f"--cropdet-tolerance={value}")
    assert result.ret == 4
    assert text in said(result)


@pytest.mark.parametrize(
    "body",
    ["raise CannotTell('too dark')", "pytest.skip('too dark')"],
)
def test_what_cannot_be_judged_is_skipped_with_the_reason(project, own_test, body, workers):
    project.write(test_own="import pytest\nfrom pytest_cropdet import CannotTell\n" + own("own", body))
    result = own_test("test_own.py", "-rs", workers=workers)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * too dark"])
    (check,) = project.checks
    assert (check["verdict"], check["value"], check["reason"]) == ("skip", None, "too dark")


@pytest.mark.parametrize("value", ["None", "'0.1'", "True", "float('nan')", "[0.1]"])
def test_a_returned_value_that_is_no_number_fails_and_is_recorded(project, own_test, said, value):
    project.write(test_own=own("own", f"return {value}"))
    result = own_test("test_own.py")
    result.assert_outcomes(failed=1)
    assert f"the invariant 'own' returned {eval(value)!r}, which is no number: return what was measured" in said(result)
    (check,) = project.checks
    assert (check["verdict"], check["cause"]) == ("fail", "SpecError")


def test_an_error_of_the_function_is_shown_with_its_line_and_recorded(project, own_test):
    project.write(test_own=own("own", "return 1 / len([])"))
    result = own_test("test_own.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*return 1 / len([[][]])*", "E *ZeroDivisionError*"])
    assert "invariant_test.py" not in result.stdout.str()
    assert project.checks[0]["cause"] == "ZeroDivisionError"


def test_two_of_one_name_are_an_error_that_names_both_places(project, own_test, said, workers):
    text = LIMIT + "@invariant('own', at_most=1)\ndef other(evidence):\n    return 0\n"
    project.write(conftest=own("own"), test_own=text)
    result = own_test("test_own.py", workers=workers)
    assert result.ret != 0
    assert "two invariants are called 'own': conftest.py:2 and test_own.py:2; give one another name" in said(result)
    project.write(test_own=STAR + text)
    result = own_test("test_own.py", *NAMED, workers=workers)
    assert "two invariants are called 'own': conftest.py:2 and test_own.py:3" in said(result)
    assert "INTERNALERROR" not in said(result)


def test_a_conftest_reaches_tests_below_it_only(project, own_test):
    project.write(here__conftest=own("near"), here__test_star=STAR, there__test_other=STAR)
    lines = own_test(*NAMED, "--collect-only", "-q", "here", "there").outlines
    assert [line for line in lines if "near" in line] == ["here/test_star.py::test_detector_invariant[near]"]


def test_a_plug_in_without_a_file_is_no_hindrance(project, own_test):
    project.write(
        conftest="""
import sys
import types


def pytest_configure(config):
    config.pluginmanager.register(types.ModuleType("made_here"), "made_here")
""",
        test_star=STAR,
    )
    lines = own_test(*NAMED, "--collect-only", "-q", "test_star.py").outlines
    assert sum("test_detector_invariant" in line for line in lines) > 10


def test_each_model_gets_its_item_and_its_record(project, own_test):
    project.write(test_own=own("own", "return 0.0"), detectors=DETECTORS)
    models = ("--cropdet-model=a=detectors:good", "--cropdet-model=b=detectors:thin")
    data = (f"--cropdet-data={project.data}", "--cropdet-json=out.json", "--cropdet-examples=60")
    project.pytest("test_own.py", *models, *data).assert_outcomes(passed=2)
    assert [(each["name"], each["test"][-7:]) for each in project.checks] == [
        ("a-own", "[a-own]"),
        ("b-own", "[b-own]"),
    ]


def test_a_class_and_another_signature_are_errors_with_the_place(project, own_test, said):
    text = "class TestIt:\n    @staticmethod\n    @invariant(at_most=1)\n    def own(evidence):\n        return 0\n"
    project.write(test_own=LIMIT + text)
    assert "the invariant 'own' is in a class: define it in the module" in said(own_test("test_own.py"))
    project.write(test_own=own("own").replace("(evidence)", "(evidence, allowed)"))
    result = own_test("test_own.py")
    assert "takes one argument, the evidence: def own(evidence), not def own(evidence, allowed)" in said(result)
    result.stdout.fnmatch_lines(["test_own.py:2: *"])
