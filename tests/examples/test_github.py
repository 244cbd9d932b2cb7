"""examples/ci/github-actions.yml, run: a worse model fails, its label makes it the baseline, and then it passes."""

from __future__ import annotations

import json
import shutil
from xml.etree import ElementTree

import pytest

from tests.examples.conftest import CI, Repository
from tests.examples.workflow import Job, Runner

pytestmark = pytest.mark.subprocess

FILE = CI / "github-actions.yml"
PULL_REQUEST = {
    "github.event.action": "synchronize",
    "github.event.pull_request.head.repo.full_name": "us/detector",
    "github.head_ref": "feature",
    "github.repository": "us/detector",
}
LABELLED = {**PULL_REQUEST, "github.event.action": "labeled", "github.event.label.name": "update-baseline"}


class Story:
    """A pull request with a worse model on GitHub, from its first run to the next after its label."""

    def __init__(self, folder, template):
        shutil.copytree(template, folder / "own", ignore=shutil.ignore_patterns(".cropdet"))
        self.own = Repository(folder / "own")
        self.own.git("clone", "--quiet", "--bare", ".", str(folder / "origin.git"))
        self.own.git("remote", "add", "origin", str(folder / "origin.git"))
        self.own.git("checkout", "--quiet", "-b", "feature")
        self.own.use("make")
        self.own.commit("A model that loses objects at the border")
        self.push()
        self.runner = Runner(FILE, folder, folder / "origin.git")
        self.refused = self.runner.job("gate", PULL_REQUEST, self.head)
        self.labelled = self.runner.job("update-baseline", self.at_head(LABELLED), self.head)
        self.own.git("pull", "--quiet", "origin", "feature")
        self.passed = self.runner.job("gate", PULL_REQUEST, self.head)
        steps = ("Check out", "Commit the baseline")
        self.again = self.runner.job("update-baseline", self.at_head(LABELLED), self.head, *steps)

    def push(self):
        self.own.git("push", "--quiet", "origin", "feature")

    @property
    def head(self):
        return self.own.git("rev-parse", "HEAD")

    def at_head(self, event):
        return {**event, "github.event.pull_request.head.sha": self.head}


@pytest.fixture(scope="module")
def story(template, tmp_path_factory):
    return Story(tmp_path_factory.mktemp("github"), template)


def gates(job: Job):
    return json.loads((job.artefacts["crop-gate"] / "result.json").read_text())["gates"]


def test_a_worse_model_fails_the_gate_alone(story):
    assert story.refused.outcomes == {
        "Check out": "success",
        "Set up Python": "success",
        "Install": "runner only",
        "Restore detections": "success",
        "Crop gate": "failure",
        "Save detections": "success",
        "Keep the report": "success",
    }


def test_its_results_are_kept_as_an_artefact(story):
    kept = story.refused.artefacts["crop-gate"]
    assert gates(story.refused)[0]["verdict"] == "fail"
    assert gates(story.refused)[0]["against"]["change"] == "less robust"
    assert (kept / "report" / "index.html").stat().st_size > 10_000
    assert ElementTree.parse(kept / "junit.xml").getroot().find("testsuite").get("failures") == "1"


def test_the_summary_of_the_job_and_an_annotation_say_so(story):
    assert "| ❌ fail | random, worse |" in story.refused.summary
    assert "the model got less robust" in story.refused.summary
    assert "::error title=crop robustness%3A random::" in story.refused.log


def test_its_detections_are_kept_although_it_failed_and_the_next_jobs_compute_nothing(story):
    assert gates(story.refused)[0]["model_calls"] > 0
    assert gates(story.passed)[0]["model_calls"] == 0
    assert story.passed.outcomes["Save detections"] == "skipped"
    assert len(story.runner.caches) == 1


def test_the_label_commits_the_baseline_to_the_branch_and_says_what_changed(story):
    assert story.labelled.outcomes == {
        "Check out": "success",
        "Set up Python": "success",
        "Install": "runner only",
        "Restore detections": "success",
        "Write the baseline": "success",
        "Commit the baseline": "success",
    }
    title, _, *changes = story.own.git("log", "-1", "--format=%B").splitlines()
    assert title == "Update the crop baseline"
    assert len(changes) == 1
    assert changes[0].startswith("random: mAP crop 1.000 -> 0.5")
    assert story.own.git("show", "--format=", "--name-only").splitlines() == ["crop-baseline.json"]


def test_then_the_gate_passes(story):
    assert story.passed.outcomes["Crop gate"] == "success"
    assert gates(story.passed)[0]["against"]["change"] == "same"


def test_a_baseline_that_is_up_to_date_is_no_commit(story):
    assert story.again.outcomes == {"Check out": "success", "Commit the baseline": "success"}
    assert "The baseline is that of this model already." in story.again.log


def test_a_model_that_breaks_another_limit_is_not_made_the_baseline(story):
    story.own.git("checkout", "--quiet", "-b", "strict")
    ini = story.own.path / "pytest.ini"
    ini.write_text(f"{ini.read_text()}cropdet_max_drop = 0.05\n")
    story.own.commit("A limit on the drop")
    story.own.git("push", "--quiet", "origin", "strict")
    event = {**story.at_head(LABELLED), "github.head_ref": "strict"}
    job = story.runner.job("update-baseline", event, story.head)
    assert job.outcomes["Write the baseline"] == "failure"
    assert job.outcomes["Commit the baseline"] == "skipped"


def test_a_branch_that_moved_on_is_not_overwritten(story):
    event = {**LABELLED, "github.event.pull_request.head.sha": story.own.git("rev-parse", "main")}
    job = story.runner.job("update-baseline", event, story.head, "Check out")
    (job.copy.path / "crop-baseline.json").write_text("{}")
    (job.copy.path / "crop-results").mkdir()
    (job.copy.path / "crop-results" / "update.txt").write_text("")
    job.step(story.runner.workflow["jobs"]["update-baseline"]["steps"][-1])
    assert job.outcomes["Commit the baseline"] == "failure"
    assert "rejected" in job.log


@pytest.mark.parametrize(
    "change",
    [
        {"github.event.action": "synchronize"},
        {"github.event.label.name": "bug"},
        {"github.event.pull_request.head.repo.full_name": "them/detector"},
    ],
    ids=["no label", "another label", "a fork, which must not write"],
)
def test_nothing_else_updates_the_baseline(change, tmp_path):
    runner = Runner(FILE, tmp_path, tmp_path / "origin.git")
    assert runner.job("update-baseline", {**LABELLED, **change}, "") is None


def test_only_the_job_of_the_label_may_write():
    workflow = Runner(FILE, FILE.parent, FILE.parent).workflow
    assert workflow["permissions"] == {"contents": "read"}
    assert {name: job.get("permissions") for name, job in workflow["jobs"].items()} == {
        "gate": None,
        "update-baseline": {"contents": "write"},
    }


def test_adding_a_label_runs_the_gate_too():
    """A required check that is skipped counts as passed, so a label must not skip it."""
    workflow = Runner(FILE, FILE.parent, FILE.parent).workflow
    assert "if" not in workflow["jobs"]["gate"]
    assert "labeled" in workflow[True]["pull_request"]["types"]  # YAML reads the key `on` as true


class TestTheRunnerOfTheseTests:
    @pytest.mark.parametrize(
        ("step", "why"),
        [
            ({"name": "Publish", "uses": "someone/publish@v1"}, "no test knows the action someone/publish@v1"),
            ({"name": "Say", "run": "echo ${{ github.head_ref }}"}, "must not become part of a script"),
            ({"name": "Say", "run": "true", "if": "github.actor == 'me'"}, "no test knows github.actor"),
            ({"name": "Say", "run": "true", "continue-on-error": True}, "no test knows {'continue-on-error'}"),
        ],
        ids=lambda each: None if isinstance(each, dict) else each,
    )
    def test_what_it_does_not_know_fails(self, step, why, tmp_path):
        job = Job(Runner(FILE, tmp_path, tmp_path), tmp_path / "job" / "workspace", dict(PULL_REQUEST), "")
        with pytest.raises((AssertionError, pytest.fail.Exception), match=why):
            job.step(step)

    def test_without_pipefail_a_failing_pytest_before_a_pipe_would_pass(self, tmp_path):
        runner = Runner(FILE, tmp_path, tmp_path)
        outcomes = []
        for defaults in (runner.workflow["defaults"], {}):
            runner.workflow["defaults"] = defaults
            job = Job(runner, tmp_path / str(len(defaults)) / "workspace", {}, "")
            job.copy.path.mkdir()
            job.step({"name": "Pipe", "run": "false | tee out.txt"})
            outcomes.append(job.outcomes["Pipe"])
        assert outcomes == ["failure", "success"]
