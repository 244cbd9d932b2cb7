"""``--cropdet-workers``: how many calls of a detector run at once, from the option to the detector."""

import pytest

WINDOWS = "random:keep=0.7-0.9,per_image=1"
TEST = """
def test_it(cropdet):
    assert cropdet.detector.workers == {wanted!r}
    assert cropdet.run(replicates=100).crops == 60

def test_without_a_gate(cropdet_detector):
    assert cropdet_detector.workers == {wanted!r}
"""


@pytest.mark.parametrize(
    ("arguments", "ini", "wanted"),
    [
        ((), "", None),
        (("--cropdet-workers=auto",), "3", None),
        (("--cropdet-workers=2",), "3", 2),
        ((), "3", 3),
    ],
)
def test_it_reaches_the_detector(project, arguments, ini, wanted):
    project.write(test_own=TEST.format(wanted=wanted))
    if ini:
        project.write(pytest_ini=f"[pytest]\ncropdet_workers = {ini}\n")
    named = ("--cropdet-model=fakes:perfect", f"--cropdet-data={project.data}", f"--cropdet-crops={WINDOWS}")
    tests = ("test_own.py::test_without_a_gate", "test_own.py::test_it")
    project.pytest(*tests, *named, *arguments).assert_outcomes(passed=2)


def test_a_detector_that_is_called_one_at_a_time_says_so_once(project, said):
    text = said(project.gate("fakes:perfect", "--cropdet-workers=2"))
    assert text.count("--cropdet-workers=2: one call at a time, as for every detector but TFLite files") == 1
    assert "at a time" not in said(project.gate("fakes:perfect"))


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_value_that_says_nothing_ends_the_session(project, said, value):
    result = project.gate("fakes:perfect", f"--cropdet-workers={value}")
    assert result.ret == 4
    assert f"cropdet_workers must be auto, or a number of 1 or more, not '{value}'" in said(result)
