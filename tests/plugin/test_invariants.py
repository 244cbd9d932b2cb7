"""The suite's invariants: separate items, chosen with -k, skipped with the reason where one cannot be judged."""

WANTED = ("--cropdet-checks=invariants", "--cropdet-examples=60")


def test_each_is_an_item_of_its_own_and_what_cannot_be_told_is_skipped(project, workers, said):
    result = project.gate("fakes:perfect", *WANTED, "-rs", workers=workers)
    result.assert_outcomes(passed=11, skipped=4)
    assert "nms_iou=0.6 declares it" in said(result)
    assert result.ret == 0


def test_a_detector_that_loses_cut_objects_breaks_the_one_that_is_about_them(project, without_tracebacks):
    result = project.gate("fakes:make", *WANTED, "-k", "D6 or D12 or D11")
    result.assert_outcomes(passed=2, failed=1, deselected=12)
    result.stdout.fnmatch_lines(["FAILED *D12-truncated-object-found*"])
    result.stdout.fnmatch_lines(["*: share of objects cut to 75 % or more that are not found at IoU 0.5"])
    assert without_tracebacks(result)
