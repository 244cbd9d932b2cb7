"""The suite's search for a lost object: what a user sees, and what a test pasted from it does."""

import re
import shlex

import pytest

WANTED = "--cropdet-checks=search"
SEARCH = "pytest_cropdet/suite/search.py::test_no_crop_loses_an_object"
KEPT = """
import fakes

def make():
    finder = fakes.make()
    calls = finder.__call__

    def detect(images):
        fakes.note("called")
        return calls(images)

    detect.fingerprint = "kept 1"
    return detect
"""
SLOW = """
import time
import fakes

def make():
    finder = fakes.Finder(loses_cut=True)

    def detect(images):
        time.sleep(0.05)
        return finder(images)

    return detect
"""


def pasted(result):
    """The test that a failure offers, as a user would paste it."""
    text = result.stdout.str().split("to keep it as a test:", 1)[1]
    code = [line[4:] for line in text.splitlines()[1:]]
    end = next(place for place, line in enumerate(code) if "check_crop" in line)
    return "\n".join(code[: end + 1]) + "\n"


def case(result):
    """The window that a failure names."""
    return re.search(r"@example\(case=(.+)\)", result.stdout.str()).group(1)


def test_the_smallest_cut_and_a_picture(project, workers, said, without_tracebacks):
    pytest.importorskip("matplotlib")
    result = project.gate("fakes:make", WANTED, workers=workers)
    result.assert_outcomes(failed=1)
    assert without_tracebacks(result)
    text = said(result)
    assert re.search(r"(red|green|blue) lost: 0\.90 in the whole image, 0\.00 in Crop\(left=", text)
    assert re.search(r"cutting \d+ px off the (left|top|right|bottom) is enough", text)
    picture = project.path / re.search(r"picture: (\S+\.png)", text).group(1)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.parent == project.path / ".cropdet" / "search"
    assert (project.path / ".cropdet" / ".gitignore").read_text().endswith("*\n")


def test_a_command_runs_it_again_and_a_test_is_there_to_paste(project):
    first = project.gate("fakes:make", WANTED)
    again = next(line for line in first.outlines if line.startswith("  again: pytest "))
    second = project.pytest(*shlex.split(again.removeprefix("  again: pytest ")))
    second.assert_outcomes(failed=1)
    assert case(second) == case(first)
    project.write(test_pasted=pasted(first))
    data = f"--cropdet-data={project.data}"
    third = project.pytest("test_pasted.py", "--cropdet-model=fakes:make", data)
    third.assert_outcomes(failed=1)
    assert case(third) == case(first)
    project.pytest("test_pasted.py", "--cropdet-model=fakes:perfect", data).assert_outcomes(passed=1)


def test_a_detector_that_loses_nothing_passes_and_the_gate_stands_beside_the_search(project):
    result = project.gate("fakes:perfect", "--cropdet-checks=gate,search", "--cropdet-examples=20", "-rA")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"PASSED {SEARCH}"])
    assert len(project.gates) == 1


def test_it_is_named_by_its_file_without_the_option(project):
    rest = ("--cropdet-model=fakes:perfect", f"--cropdet-data={project.data}", "--cropdet-examples=10")
    project.pytest("--pyargs", "pytest_cropdet.suite.search", *rest).assert_outcomes(passed=1)


@pytest.mark.parametrize("option", ["--cropdet-checks=everything", "--cropdet-examples=0"])
def test_a_wrong_value_is_a_usage_error(project, option, said):
    result = project.gate("fakes:make", option)
    assert result.ret == 4
    assert ("the suite has gate, invariants, search" in said(result)) or ("must be 1 or more, not 0" in said(result))


def test_the_first_window_will_do(project, said):
    result = project.gate("fakes:make", "--cropdet-checks=gate", WANTED, "-kloses_an_object", "--cropdet-no-shrink")
    result.assert_outcomes(failed=1, deselected=1)
    assert " did it; " in said(result)


def test_the_verdict_is_the_same_whatever_hypothesis_is_told(project, monkeypatch):
    first = project.gate("fakes:make", WANTED)
    profile = (
        "from hypothesis import settings\n"
        "settings.register_profile('mine', max_examples=2, derandomize=True, print_blob=True)\n"
        "settings.load_profile('mine')\n"
    )
    project.write(conftest=profile)
    monkeypatch.setenv("CI", "1")
    second = project.gate("fakes:make", WANTED, "--hypothesis-seed=7")
    assert case(first) == case(second)
    assert "reproduce_failure" not in second.stdout.str()
    assert not (project.path / ".hypothesis" / "examples").exists()


def test_what_was_detected_is_kept_and_a_second_search_asks_for_nothing(project, said):
    project.write(kept=KEPT)
    first = project.gate("kept:make", WANTED)
    calls = project.notes.count("called")
    assert 5 < calls <= 60
    second = project.gate("kept:make", WANTED)
    assert project.notes.count("called") == calls
    assert case(first) == case(second)
    assert "windows, 0 detector calls" in said(second)


def test_a_slow_detector_gets_an_estimate_and_advice(project, said):
    project.write(slow=SLOW)
    result = project.gate("slow:make", WANTED, "--cropdet-examples=2000")
    result.assert_outcomes(failed=1)
    assert "up to 2041 pictures at 0." in said(result)
    assert "if nothing is lost; --cropdet-examples=400 takes" in said(result)
