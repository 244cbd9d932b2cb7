"""A project that does not use the plugin notices nothing of it."""

import re

import pytest

HEAVY = (
    "numpy",
    "tensorflow",
    "cv2",
    "hypothesis",
    "pycocotools",
    "pytest_cropdet.plugin.fixture",
    "pytest_cropdet.data.samples",
)
PROJECT = {
    "conftest": f"""
import sys

def pytest_unconfigure(config):
    print("imported:", [name for name in {HEAVY} if name in sys.modules])
""",
    "test_one": """
import pytest

@pytest.mark.parametrize("crops", [1, 2])
def test_one(crops, tmp_path):
    pass

def test_fails():
    assert len([1]) == 2

class TestThings:
    def test_skipped(self):
        pytest.skip("not today")
""",
}


def lines(result):
    """What a process said, without times, the list of plugins, the XML file's name, and which worker did what when."""
    text = [line for line in result.outlines if not line.startswith("plugins:") and "generated xml" not in line]
    text = ["".join(sorted(line)) if re.fullmatch(r"[.Fs]+ +\[100%\]", line) else line for line in text]
    return [re.sub(r"=+|\d+\.\d+s|\d+/2 workers.*|gw\d", "", line) for line in text]


@pytest.mark.parametrize("more", [(), ("-n2",)], ids=["plain", "n2"])
@pytest.mark.subprocess
def test_an_unrelated_project_notices_nothing(project, more):
    project.write(**PROJECT)
    strict = ("--strict-markers", "--strict-config", "-p", "no:hypothesispytest", "test_one.py", *more)
    with_it = project.pytest(*strict, "--junitxml=with.xml")
    without = project.pytest(*strict, "--junitxml=without.xml", "-p", "no:cropdet")
    with_it.assert_outcomes(passed=2, failed=1, skipped=1)
    assert "imported: []" in with_it.outlines
    assert lines(with_it) == lines(without)
    assert sorted(project.cases("with.xml")) == sorted(project.cases("without.xml"))


def test_help_markers_and_fixtures_show_what_there_is(project):
    helped = project.pytest("--help")
    helped.stdout.fnmatch_lines(["crop robustness of detectors: detector:", "*--cropdet-model=*"])
    project.pytest("--markers").stdout.fnmatch_lines(["@pytest.mark.cropdet(*options): options of pytest-cropdet*"])
    shown = project.pytest("--fixtures").stdout.str()
    for name in ("cropdet", "cropdet_detector", "cropdet_dataset"):
        _, _, after = shown.partition(f"\n{name} [session scope]")
        place, sentence = after.splitlines()[:2]
        assert "pytest_cropdet/plugin/" in place
        assert sentence.startswith("    ")
        assert len(sentence.split()) > 5
