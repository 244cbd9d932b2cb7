"""The suite's search for a lost object: what a user sees, and what a test pasted from it does."""

import re
import shlex
from types import SimpleNamespace

import pytest

from pytest_cropdet import Crop
from pytest_cropdet.plugin import search_test as searching

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
    assert ("choose from gate, invariants, search" in said(result)) or ("must be 1 or more, not 0" in said(result))


def test_the_first_window_will_do(project, said):
    result = project.gate("fakes:make", "--cropdet-checks=gate", WANTED, "-kloses_an_object", "--cropdet-no-shrink")
    result.assert_outcomes(failed=1, deselected=1)
    assert " did it; " in said(result)


@pytest.mark.subprocess
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


def test_a_detector_that_finds_nothing_is_not_judged(project, workers):
    result = project.gate("fakes:blind", WANTED, "--cropdet-examples=10", "-rs", workers=workers)
    result.assert_outcomes(skipped=1)
    (check,) = project.checks
    assert (check["verdict"], check["images"], check["worst"]) == ("skip", 10, None)
    assert check["reason"].startswith("no object was found with confidence in 10 images")


def test_two_models_that_lose_the_same_window_have_a_picture_each(project):
    pytest.importorskip("matplotlib")
    project.gate("fakes:make", WANTED, "--cropdet-model=other=fakes:make").assert_outcomes(failed=2)
    one, other = project.checks
    assert one["worst"] == other["worst"]
    assert one["picture"] != other["picture"]
    assert all((project.path / each["picture"]).is_file() for each in (one, other))


def test_samples_whose_names_differ_in_signs_alone_have_a_picture_each(pytestconfig, monkeypatch, tmp_path):
    monkeypatch.setattr("pytest_cropdet.plugin.picture_files.folder_of", lambda config: tmp_path)
    worst = SimpleNamespace(crop=Crop(1, 2, 3, 4), plot=lambda: SimpleNamespace(savefig=lambda path, dpi: path.touch()))
    for name in ("a/b.png", "a_b.png", "a/b.png"):
        worst.sample = name
        searching._picture(pytestconfig, None, worst)
    assert len(list((tmp_path / "search").iterdir())) == 2


def test_the_suite_in_a_file_of_ones_own_is_run_again_there(project):
    project.write(test_mine="from pytest_cropdet.suite import *\n")
    given = ("test_mine.py", WANTED, "--cropdet-model=fakes:make", f"--cropdet-data={project.data}")
    first = project.pytest(*given)
    again = next(line for line in first.outlines if line.startswith("  again: "))
    assert again.startswith("  again: pytest test_mine.py::test_no_crop_loses_an_object --cropdet-checks=search")
    second = project.pytest(*shlex.split(again.removeprefix("  again: pytest ")))
    second.assert_outcomes(failed=1)
    assert case(second) == case(first)


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("--cropdet-no-shrink tests", "--cropdet-no-shrink"),
        ("--cropdet-benchmark tests", "--cropdet-benchmark"),
        ("--cropdet-benchmark quick tests", "--cropdet-benchmark quick"),
        ("--cropdet-model m.tflite tests -x", "--cropdet-model m.tflite"),
        ("--cropdet-model=m.tflite tests -c my.ini -q", "--cropdet-model=m.tflite -c my.ini"),
    ],
)
def test_what_follows_an_option_is_its_value_if_it_takes_one(words, kept):
    config = SimpleNamespace(invocation_params=SimpleNamespace(args=words.split()))
    assert searching._command(config, None) == f"pytest {kept}"


def test_a_dry_run_checks_no_window(project):
    project.write(
        test_own="""
from pytest_cropdet import Crop

def test_window(cropdet):
    cropdet.check_crop("000.png", Crop(0, 0, 9, 9))
"""
    )
    rest = ("--cropdet-model=fakes:make", f"--cropdet-data={project.data}", "--cropdet-dry-run")
    project.pytest("test_own.py", *rest).assert_outcomes(skipped=1)


def test_the_marker_of_a_test_says_how_it_is_judged(project):
    project.write(
        test_own="""
import pytest
from pytest_cropdet import Crop

@pytest.mark.cropdet(score_threshold=0.95)
def test_nothing_is_held(cropdet):
    cropdet.check_crop("000.png", Crop(9, 9, 40, 30))
    cropdet.check_invariant("D6-interior-object-found")

@pytest.mark.parametrize("left", range(4, 18))
def test_window(cropdet, left):
    cropdet.check_crop("000.png", Crop(left, 0, 64 - left, 48))

@pytest.mark.cropdet(examples=6, seed=5)
def test_few(cropdet):
    cropdet.check_invariant("D6-interior-object-found")

@pytest.mark.cropdet(examples=60)
def test_more(cropdet):
    cropdet.check_invariant("D6-interior-object-found")

@pytest.mark.cropdet(examples=0)
def test_none(cropdet):
    cropdet.check_invariant("D6-interior-object-found")
"""
    )
    data = f"--cropdet-data={project.data}"
    result = project.pytest("test_own.py", "--cropdet-model=fakes:make", data, "--cropdet-json=out.json", "-rsE")
    verdicts = {check["test"].rpartition("::")[2]: (check["verdict"], check["seed"]) for check in project.checks}
    assert verdicts == {"test_nothing_is_held": ("skip", 0), "test_few": ("skip", 5), "test_more": ("pass", 0)}
    reasons = {check["test"].rpartition("::")[2]: check["reason"] for check in project.checks}
    assert "only 0 confident objects" in reasons["test_nothing_is_held"]
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] >= 1
    assert outcomes["skipped"] == 2
    assert outcomes["errors"] == 1
    result.stdout.fnmatch_lines(["*cropdet_examples must be 1 or more, not 0*"])
