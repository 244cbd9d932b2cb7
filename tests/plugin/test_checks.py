"""Invariants, searches and benchmarks in the results and on the page, wherever the tests ran."""

import json
import re

import pytest

pytestmark = pytest.mark.slow

INVARIANTS = ("--cropdet-checks=invariants", "--cropdet-examples=60")
BOTH = ("--cropdet-checks=invariants,search", "--cropdet-examples=60", "-kD1- or D6 or D10 or D12 or loses")
PAGE = ".cropdet/report/index.html"


def checks(project):
    return json.loads((project.path / "out.json").read_text())["checks"]


def page(project):
    return (project.path / PAGE).read_text(encoding="utf-8")


def heads(project):
    return re.findall(r"<h1><span[^>]*>[A-Z ]+</span> (.*)</h1>", page(project))


@pytest.mark.subprocess
def test_every_check_leaves_a_record_the_same_on_workers(project):
    project.gate("fakes:make", *BOTH, "--junitxml=junit.xml", "--cropdet-model=better=fakes:perfect")
    plain, cases, shown = checks(project), project.cases(), heads(project)
    project.gate("fakes:make", *BOTH, "--junitxml=junit.xml", "--cropdet-model=better=fakes:perfect", workers=2)
    assert [{**check, "again": None} for check in checks(project)] == [{**check, "again": None} for check in plain]
    assert sorted(project.cases()) == sorted(cases)
    assert heads(project) == shown == ["2 of 8 checks fail, 2 could not be judged"]
    found = {check["name"]: check["verdict"] for check in plain}
    assert found == {
        "better-D1-repeatable": "pass",
        "better-D6-interior-object-found": "pass",
        "better-D10-no-duplicates": "skip",
        "better-D12-truncated-object-found": "pass",
        "make-D1-repeatable": "pass",
        "make-D6-interior-object-found": "pass",
        "make-D10-no-duplicates": "skip",
        "make-D12-truncated-object-found": "fail",
        "better-search": "pass",
        "make-search": "fail",
    }
    assert list(found) == sorted(found, key=list(found).index)
    broken = next(check for check in plain if check["name"] == "make-D12-truncated-object-found")
    assert broken["value"] > broken["allowed"] == 0.2
    assert (broken["cause"], broken["dataset"]) == ("TruncatedObjectLost", str(project.data / "shapes.json"))
    flat = {name: value for _, _, properties in cases for name, value in properties.items()}
    assert flat["cropdet.make-search.verdict"] == "fail"
    assert float(flat["cropdet.make-D12-truncated-object-found.value"]) == broken["value"]
    assert flat["cropdet.make-D10-no-duplicates.verdict"] == "skip"
    assert not [value for value in flat.values() if "{" in value]


def test_the_page_shows_the_search_with_its_picture_and_claims_nothing_of_what_ran(project, workers):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    result = project.gate("fakes:make", *BOTH, workers=workers)
    html = page(project)
    assert "data:image/png;base64,iVBOR" in html
    assert "def test_no_crop_loses_an_object(cropdet, case):" in html
    assert "D12-truncated-object-found" in html
    assert "did not run" not in html
    assert "without result" not in html
    result.stdout.no_fnmatch_line("no result*")
    result.stdout.fnmatch_lines([f"report: {PAGE}"])
    (search,) = [check for check in checks(project) if check["kind"] == "search"]
    assert (project.path / search["picture"]).read_bytes().startswith(b"\x89PNG")


def test_a_check_that_did_not_run_or_could_not_is_named(project):
    project.gate("fakes:make", *INVARIANTS, "-kD12 or D13", "-x")
    assert heads(project) == ["The check fails, 1 without result"]
    assert "D13-score-falls-with-cut]</code> did not run" in page(project)
    project.gate("fakes:perfect", "--cropdet-model=fakes:cannot_load", *INVARIANTS, "-kD1-")
    assert "[cannot_load-D1-repeatable]</code> Failed: the graph has no signature" in page(project)


def test_a_benchmark_alone_leaves_a_page(project, workers):
    result = project.gate("fakes:make", "--cropdet-benchmark=quick", "--cropdet-sample-images=8", workers=workers)
    result.assert_outcomes(passed=1)
    html = page(project)
    assert re.search(r"MEASURED</span> Crops keep \d+% of AP</h1>", html)
    assert "By severity" in html
    assert "did not run" not in html
    result.stdout.fnmatch_lines([f"report: {PAGE}"])


@pytest.mark.subprocess
def test_after_ctrl_c_in_a_benchmark_the_page_says_that_it_was_stopped(project):
    assert project.gate("fakes:interrupted", "--cropdet-benchmark=quick", "--cropdet-sample-images=8").ret == 2
    assert "test_benchmark</code> was stopped before it came to an end" in page(project)


RETRIED = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    for attempt in range(2):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if attempt == 0:
            for report in reports:
                report.outcome = "rerun" if report.failed else report.outcome
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""


def test_a_test_that_is_tried_again_leaves_one_record_of_each_kind(project, workers):
    project.write(
        conftest=RETRIED,
        test_own="""
tries = []

def test_all(cropdet):
    tries.append(1)
    if len(tries) == 1:
        cropdet.check_invariant("D14-empty-picture")
    cropdet.check_invariant("D1-repeatable")
    cropdet.benchmark("quick", sample_images=8)
    cropdet.run("random:keep=0.9,per_image=1", max_drop=None)
    assert len(tries) > 1
""",
    )
    options = (f"--cropdet-data={project.data}", "--cropdet-model=fakes:perfect", "--cropdet-json=out.json")
    project.pytest("test_own.py", *options, "--junitxml=junit.xml", workers=workers)
    told = json.loads((project.path / "out.json").read_text())
    assert [check["name"] for check in told["checks"]] == ["D1-repeatable"]
    assert (len(told["gates"]), len(told["benchmarks"])) == (1, 1)
    _, _, properties = project.cases()[-1]
    assert "cropdet.D1-repeatable.verdict" in properties
    assert "cropdet.D14-empty-picture.verdict" not in properties


def test_two_checks_and_two_benchmarks_of_one_test_are_all_there(project):
    project.write(
        test_own="""
def test_all(cropdet):
    cropdet.check_invariant("D14-empty-picture")
    cropdet.check_invariant("D1-repeatable")
    cropdet.benchmark("quick", sample_images=5)
    cropdet.benchmark("quick", sample_images=6)
""",
    )
    options = (f"--cropdet-data={project.data}", "--cropdet-model=fakes:perfect", "--cropdet-json=out.json")
    project.pytest("test_own.py", *options).assert_outcomes(passed=1)
    told = json.loads((project.path / "out.json").read_text())
    assert [check["name"] for check in told["checks"]] == ["D1-repeatable", "D14-empty-picture"]
    assert [record["benchmark"]["images"] for record in told["benchmarks"]] == [5, 6]


def test_a_dry_run_leaves_no_record(project):
    project.gate("fakes:make", *INVARIANTS, "--cropdet-dry-run")
    assert checks(project) == []


def test_v_shows_what_passing_invariants_measured(project):
    quiet = project.gate("fakes:perfect", *INVARIANTS, "-kD1- or D6")
    quiet.stdout.no_fnmatch_line("*invariants on crops*")
    told = project.gate("fakes:perfect", *INVARIANTS, "-kD1- or D6", "-v")
    told.stdout.fnmatch_lines(
        ["*= invariants on crops =*", "pass  D1-repeatable * 0  of 1e-06 *", "pass  D6-* of 0.2 *"]
    )


def test_github_is_told_of_checks_that_fail(project, monkeypatch):
    target = project.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    result = project.gate("fakes:make", *INVARIANTS, "-kD1- or D12")
    assert "1 of 2 checks fails:" in target.read_text(encoding="utf-8")
    lines = [line for line in result.outlines if line.startswith("::")]
    assert len(lines) == 1
    assert lines[0].startswith("::error title=crop robustness%3A D12-truncated-object-found::An object of which")


def test_detections_that_cannot_be_written_are_told_and_fail_nothing(project, workers, said):
    (project.path / "out").mkdir()
    (project.path / "out" / "random").write_text("in the way")
    asked = ("--cropdet-detections=out", "--cropdet-explain=off", "--junitxml=junit.xml", "-W", "error")
    result = project.gate("fakes:perfect", *asked, workers=workers)
    result.assert_outcomes(passed=1)
    assert said(result).count("cropdet: the detections of random could not be written to") == 1
    assert "INTERNALERROR" not in said(result)
    assert not [name for _, _, properties in project.cases() for name in properties if "trouble" in name]


def test_a_search_is_repeated_with_the_same_ini_file(project, said):
    project.write(pytest_ini=f"[pytest]\ncropdet_data = {project.data}\n")
    (project.path / "pytest.ini").rename(project.path / "other.ini")
    asked = ("--cropdet-checks=search", "--cropdet-model=fakes:make", "--rootdir=.")
    result = project.pytest("--pyargs", "pytest_cropdet.suite", "-c", "other.ini", *asked)
    assert re.search(r"again: pytest --pyargs \S+ -c other.ini --cropdet-checks=search", said(result))


def test_objects_that_could_not_be_kept_on_the_way_are_told(project, workers, said):
    (project.path / "blocked").write_text("in the way")
    asked = ("--cropdet-objects=o.csv", "--cropdet-dir=blocked", "--cropdet-report=off", "--cropdet-cache=off")
    result = project.gate("fakes:perfect", *asked, "--cropdet-explain=off", workers=workers)
    result.assert_outcomes(passed=1)
    assert said(result).count("o.csv has no objects of 1 of 1 gates: they were not stored") == 1
    assert "INTERNALERROR" not in said(result)
