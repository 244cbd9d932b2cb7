"""A stated limit is an assertion: it is judged when the test ends, by the record and by failing the test."""

import json

import pytest

TESTS = """
import pytest

W = "random:keep=0.7-0.9,per_image=1"


@pytest.fixture(scope="session")
def shared(cropdet):  # loses 0.2 or so
    return cropdet.run(W, replicates=100, max_drop=0.01)


@pytest.fixture
def alone(cropdet):
    return cropdet.run(W, replicates=100, max_drop=0.02)


@pytest.fixture(scope="session")
def compared(cropdet):
    run = cropdet.run("random:keep=0.8,per_image=1", replicates=100, max_drop=0.01)
    assert run.drop <= 0.9
    return run


def test_nobody_compares(cropdet):
    cropdet.run(W, replicates=100, max_drop=0.01)

def test_no_limit(cropdet):
    assert cropdet.run(W, replicates=100).drop.value > 0

def test_keeps_its_limit(cropdet):
    cropdet.run(W, replicates=100, max_drop=0.9)

def test_compares_another_measure(cropdet):
    assert cropdet.run(W, replicates=100, max_drop=0.01).recall >= 0.01

def test_compares_with_another_limit(cropdet):
    assert cropdet.run(W, replicates=100, max_drop=0.01).drop <= 0.9

def test_forgets_the_assert(cropdet):
    run = cropdet.run(W, replicates=100, max_drop=0.01)
    run.drop <= 0.01

def test_forgets_the_assert_of_what_passes(cropdet):
    run = cropdet.run(W, replicates=100, max_drop=0.9)
    run.drop <= 0.9

def test_turned_round(cropdet):
    run = cropdet.run(W, replicates=100, max_drop=0.01)
    assert 0.9 >= run.drop

def test_by_category(cropdet):
    cropdet.run(W, replicates=100, by_category={"red": 0.01, "blue": 0.9})

def test_few_images(cropdet):
    cropdet.run(W, replicates=100, max_drop=0.9, sample_images=30)

def test_few_images_pass_by_policy_never(cropdet):
    cropdet.run(W, replicates=100, max_drop=0.9, sample_images=30, undecided="pass")

def test_goods(cropdet):
    cropdet.run(W, replicates=100, min_ratio=0.99, min_crop_ap=0.01)

@pytest.mark.cropdet(max_drop=0.01)
def test_marker(cropdet):
    cropdet.run(W, replicates=100)

def test_two_runs(cropdet):
    cropdet.run(W, replicates=100, max_drop=0.9)
    cropdet.run("random:keep=0.95,per_image=1", replicates=100, max_drop=0.01)

def test_fails_for_another_reason(cropdet):
    cropdet.run(W, replicates=100, max_drop=0.9)
    raise RuntimeError("not \\N{WARNING SIGN} the\\ngate")

def test_fails_for_another_reason_unjudged(cropdet):
    cropdet.run(W, replicates=100)
    raise RuntimeError

def test_fails_before_it_compares(cropdet):
    run = cropdet.run(W, replicates=100, max_drop=0.01)
    raise RuntimeError("early")
    assert run.drop <= 0.01

def test_skips(cropdet):
    cropdet.run(W, replicates=100, max_drop=0.9)
    pytest.skip("enough")

@pytest.mark.xfail(strict=True)
def test_expected(cropdet):
    cropdet.run(W, replicates=100, max_drop=0.01)

@pytest.mark.xfail(strict=True)
def test_unexpected(cropdet):
    cropdet.run(W, replicates=100, max_drop=0.9)

def test_fixture(alone):
    pass

def test_shared_one(shared):
    pass

def test_shared_two(shared):
    assert shared.drop <= 0.9

def test_shared_three(shared):
    pass

def test_compared_by_its_fixture(compared):
    pass

def test_check(cropdet):
    with pytest.raises(AssertionError):
        cropdet.run(W, replicates=100, max_drop=0.01).check()

def test_check_without_limit(cropdet):
    cropdet.run(W, replicates=100).check()

def test_gate_has_a_limit_by_default(cropdet):
    with pytest.raises(AssertionError, match="the limit is 0.050"):
        cropdet.gate(W)

def test_gate_without_limit(cropdet):
    cropdet.gate(W, max_drop=None)

def test_benchmark(cropdet):
    cropdet.benchmark("quick", max_drop=0.0)

class TestOfUnittest(__import__("unittest").TestCase):
    @pytest.fixture(autouse=True)
    def _keep(self, cropdet):
        self.cropdet = cropdet

    def test_it(self):
        self.cropdet.run(W, replicates=100, max_drop=0.01)
"""
PASS, NONE, ERROR, UNDECIDED, FAIL = "pass", "none", "error", "undecided", "fail"
WANTED = {
    "test_nobody_compares": ("failed", [FAIL]),
    "test_no_limit": ("passed", [NONE]),
    "test_keeps_its_limit": ("passed", [PASS]),
    "test_compares_another_measure": ("failed", [FAIL]),
    "test_compares_with_another_limit": ("passed", [PASS]),
    "test_forgets_the_assert": ("failed", [FAIL]),
    "test_forgets_the_assert_of_what_passes": ("passed", [PASS]),
    "test_turned_round": ("passed", [PASS]),
    "test_by_category": ("failed", [FAIL]),
    "test_few_images": ("failed", [UNDECIDED]),
    "test_few_images_pass_by_policy_never": ("failed", [UNDECIDED]),
    "test_goods": ("failed", [FAIL]),
    "test_marker": ("failed", [FAIL]),
    "test_two_runs": ("failed", [PASS, FAIL]),
    "test_fails_for_another_reason": ("failed", [ERROR]),
    "test_fails_for_another_reason_unjudged": ("failed", [ERROR]),
    "test_fails_before_it_compares": ("failed", [FAIL]),
    "test_skips": ("skipped", [PASS]),
    "test_expected": ("skipped", [FAIL]),
    "test_unexpected": ("failed", [ERROR]),
    "test_fixture": ("failed", [FAIL]),
    "test_shared_one": ("failed", [FAIL]),
    "test_shared_two": ("passed", []),
    "test_shared_three": ("failed", []),
    "test_compared_by_its_fixture": ("passed", [PASS]),
    "test_check": ("passed", [FAIL]),
    "test_check_without_limit": ("failed", [ERROR]),
    "test_gate_has_a_limit_by_default": ("passed", [FAIL]),
    "test_gate_without_limit": ("failed", []),
    "test_benchmark": ("passed", []),
    "TestOfUnittest::test_it": ("failed", [FAIL]),
}
NOTES = """
import json, pathlib
def pytest_runtest_logreport(report):
    if report.when == "call":
        with pathlib.Path("outcomes.txt").open("a") as stream:
            stream.write(json.dumps([report.nodeid.partition("::")[2], report.outcome]) + chr(10))
"""


def outcomes(project):
    path = project.path / "outcomes.txt"
    found = dict(json.loads(line) for line in path.read_text().splitlines())
    path.unlink()
    return found


def verdicts(project):
    found = {}
    for gate in project.gates:
        found.setdefault(gate["test"].partition("::")[2], []).append(gate["verdict"])
    return found


@pytest.fixture
def written(project):
    project.write(conftest=NOTES, test_own=TESTS)
    named = ("--cropdet-model=fakes:make", f"--cropdet-data={project.data}", "--cropdet-explain=off")
    return (*named, "test_own.py", "--cropdet-json=out.json")


@pytest.mark.slow
def test_what_was_stated_and_not_compared_is_judged_at_the_end_of_the_test(project, written, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary.md"))
    result = project.pytest(*written, "--junitxml=junit.xml")
    assert result.ret == 1
    assert outcomes(project) == {test: outcome for test, (outcome, _) in WANTED.items()}
    assert verdicts(project) == {test: each for test, (_, each) in WANTED.items() if each}

    # the failure: value and limit first, each limit by its name, and why it was judged
    line = next(
        each for each in result.outlines if each.startswith("FAILED test_own.py::test_nobody_compares - FAIL drop 0.")
    )
    assert "> 0.010" in line
    text = result.stdout.str()
    assert "the test ended without comparing 'random' with its stated limits, so they were checked" in text
    assert "red: crops lose" in text
    assert "pluggy/_" not in text

    # the record of a test that failed otherwise
    gates = {gate["test"].partition("::")[2]: gate for gate in project.gates}
    other = gates["test_fails_for_another_reason"]
    assert other["test_error"] == "RuntimeError: not \N{WARNING SIGN} the"
    assert [each["outcome"] for each in other["verdicts"]] == ["pass"]
    assert gates["test_nobody_compares"]["test_error"] is None
    assert [(each["measure"], each["limit"]) for each in gates["test_by_category"]["verdicts"]] == [
        ("drop of red", 0.01),
        ("drop of blue", 0.9),
    ]
    assert gates["test_no_limit"]["limit"] is None
    cases = {name: properties for _, name, properties in project.cases()}
    assert cases["test_no_limit"]["cropdet.random.verdict"] == "none"
    assert cases["test_fails_for_another_reason"]["cropdet.random.verdict"] == "error"
    assert cases["test_by_category"]["cropdet.random.limit.drop of red"].startswith("fail: drop of red 0.")

    # a tick is for what was judged and passes, in tests that do not fail otherwise
    summary = (project.path / "summary.md").read_text()
    ticks = sum(each.count(PASS) for _, each in WANTED.values())
    of_others = 4  # limits that keep beside one that does not: a recall, a category, an AP(crop), a laxer drop
    assert summary.count("✅") == ticks + of_others
    assert "⚪ not judged" in summary
    assert "the test failed for another reason: RuntimeError: not" in summary
    page = (project.path / ".cropdet" / "report" / "index.html").read_text()
    assert "measured, not judged" in page
    assert page.count('<span class="badge pass">') == ticks


@pytest.mark.subprocess
def test_tests_end_the_same_on_workers(project, written):
    chosen = ("shared", "compared", "nobody", "keeps", "other")
    assert project.pytest(*written, "-k", " or ".join(chosen), workers=2).ret == 1
    wanted = {test: outcome for test, (outcome, _) in WANTED.items() if any(each in test for each in chosen)}
    assert len(wanted) == 10
    assert outcomes(project) == wanted


AGAIN = """
import pytest
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):  # as plugins do that run a failed test again
    for attempt in range(2):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if attempt or not any(each.failed for each in reports):
            for each in reports:
                item.ihook.pytest_runtest_logreport(report=each)
            return True
"""


def test_a_test_that_runs_again_is_judged_by_its_last_try(project, written):
    project.write(
        conftest=AGAIN,
        test_own="""
import pytest
tries = []

@pytest.fixture(scope="session")
def shared(cropdet):
    return cropdet.run("random:keep=0.7-0.9,per_image=1")

def test_own_run(cropdet):
    tries.append(1)
    cropdet.run("random:keep=0.7-0.9,per_image=1", max_drop=0.01 if len(tries) == 1 else 0.9)

def test_shared_run(shared):
    tries.append(1)
    assert shared.drop <= (0.01 if len(tries) == 3 else 0.9)
""",
    )
    assert project.pytest(*written).ret == 0
    assert [(gate["verdict"], len(gate["verdicts"])) for gate in project.gates] == [("pass", 1), ("pass", 1)]
