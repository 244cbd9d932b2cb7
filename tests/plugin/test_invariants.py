"""The suite's invariants: separate items, chosen with -k, skipped with the reason where one cannot be judged."""

WANTED = ("--cropdet-checks=invariants", "--cropdet-examples=60")


def test_each_is_an_item_of_its_own_and_what_cannot_be_told_is_skipped(project, workers, said):
    result = project.gate("fakes:perfect", *WANTED, "-rs", workers=workers)
    result.assert_outcomes(passed=12, skipped=3)
    assert "nms_iou=0.6 declares it" in said(result)
    assert result.ret == 0


def test_a_detector_that_loses_cut_objects_breaks_the_one_that_is_about_them(project, without_tracebacks):
    result = project.gate("fakes:make", *WANTED, "-k", "D6 or D12 or D11")
    result.assert_outcomes(passed=2, failed=1, deselected=12)
    result.stdout.fnmatch_lines(["FAILED *D12-truncated-object-found*"])
    result.stdout.fnmatch_lines(["*: share of objects cut to 75 % or more that are not found at IoU 0.5"])
    assert without_tracebacks(result)


def test_what_the_detector_raises_stands_in_the_record(project, workers):
    result = project.gate("fakes:raising", *WANTED, "-kD6", workers=workers)
    assert result.parseoutcomes()["failed"] == 1
    (check,) = project.checks
    assert (check["verdict"], check["cause"], check["value"]) == ("fail", "DetectorError", None)
    assert "out of tea" in check["reason"]


def test_an_invariant_by_half_its_name_is_no_invariant(project, said):
    project.write(test_own="def test_it(cropdet):\n    cropdet.check_invariant('D6')\n")
    rest = ("--cropdet-model=fakes:perfect", f"--cropdet-data={project.data}", "--cropdet-json=out.json")
    result = project.pytest("test_own.py", *rest)
    result.assert_outcomes(failed=1)
    assert "no invariant is called 'D6'; there are D1-repeatable" in said(result)
    assert project.checks == []


SLOW = """
import time
import fakes

class Slow(fakes.Finder):
    def find(self, image):
        time.sleep(0.012)
        return super().find(image)

def make():
    return Slow()
"""


def test_a_slow_detector_gets_an_estimate_and_advice_once(project, said):
    project.write(slow=SLOW)
    result = project.gate("slow:make", "--cropdet-checks=invariants", "--cropdet-examples=2000", "-k", "D1- or D14")
    text = said(result)
    assert text.count("the invariants show the detector about 2040 pictures at 0.0") == 1
    assert "--cropdet-examples=400 takes" in text
    quick = project.gate("slow:make", *WANTED, "-k", "D1- or D14")
    assert "the invariants show the detector" not in said(quick)
