"""examples/ci/gitlab-ci.yml, run: the scripts of each job, and what GitLab is given of them."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest
import yaml

from tests.examples.conftest import CI

pytestmark = pytest.mark.subprocess

FILE = CI / "gitlab-ci.yml"
KEYS = {
    *("stage", "image", "timeout", "cache", "before_script", "script", "after_script", "artifacts", "rules"),
    *("needs", "extends"),
}
SCRIPTS = ("before_script", "script", "after_script")


class Jobs:
    """The jobs of the file, and what becomes of their lines in a repository."""

    def __init__(self):
        text = FILE.read_text(encoding="utf-8")
        self.content = yaml.safe_load(text)
        self.runner_only = set(re.findall(r"^ +- (.+?) # runner only$", text, re.MULTILINE))

    def __getitem__(self, name):
        job = self.content[name]
        assert set(job) <= KEYS, f"no test knows {set(job) - KEYS}"
        return {**(self[job["extends"]] if "extends" in job else {}), **job}

    def run(self, name, repository):
        """Return the exit code of a job: that of its scripts, but for the one that comes after."""
        job = self[name]
        lines = {key: [line for line in job.get(key, ()) if line not in self.runner_only] for key in SCRIPTS}
        code = repository.shell("\n".join([*lines["before_script"], *lines["script"]])).returncode
        after = repository.shell("\n".join(lines["after_script"]))
        assert after.returncode == 0, after.stderr
        return code


@pytest.fixture(scope="module")
def jobs():
    return Jobs()


def test_a_worse_model_fails_and_its_reports_are_there(jobs, repository):
    repository.use("make")
    assert jobs.run("crop-gate", repository) == 1
    artefacts = jobs["crop-gate"]["artifacts"]
    assert artefacts["when"] == "always"
    assert all((repository.path / path).exists() for path in artefacts["paths"])
    junit = ElementTree.parse(repository.path / artefacts["reports"]["junit"]).getroot()
    assert junit.find("testsuite").get("failures") == "1"
    (entry,) = json.loads((repository.path / artefacts["reports"]["codequality"]).read_text())
    assert entry["severity"] == "major"
    assert entry["check_name"] == "crop robustness: random, worse"
    assert "AP on crops fell by" in entry["description"]
    assert entry["location"] == {"path": "models/detector.tflite", "lines": {"begin": 1}}
    assert jobs.run("pages", repository) == 0  # of this report, although the gate failed
    assert (
        (repository.path / "public" / "index.html").read_text(encoding="utf-8").lstrip().startswith("<!doctype html>")
    )


def test_a_job_that_breaks_off_is_an_entry_too(jobs, repository):
    (repository.path / "pytest.ini").write_text("[pytest]\ncropdet_max_drop = 7\n")
    assert jobs.run("crop-gate", repository) == 4
    (entry,) = json.loads((repository.path / "crop-results" / "code-quality.json").read_text())
    assert (entry["check_name"], entry["severity"]) == ("crop robustness: no result", "blocker")


def test_the_button_writes_the_baseline(jobs, repository):
    repository.use("make")
    assert jobs.run("update-baseline", repository) == 0
    assert jobs["update-baseline"]["artifacts"]["paths"] == ["crop-baseline.json"]
    assert jobs["update-baseline"]["rules"][0]["when"] == "manual"
    assert repository.git("status", "--short").splitlines() == ["M crop-baseline.json", " M models/detector.tflite"]


def test_the_cache_is_that_of_data_and_model_and_is_kept_after_a_failure(jobs, repository):
    for name in ("crop-gate", "update-baseline"):
        cache = jobs[name]["cache"]
        assert all((repository.path / file).exists() for file in cache["key"]["files"])
        assert len(cache["key"]["files"]) == 2
        assert (cache["paths"], cache["when"]) == ([".cropdet"], "always")


def test_only_the_installation_is_left_to_the_runner(jobs):
    assert jobs.runner_only == {"python -m pip install 'pytest-cropdet[report,tflite]'"}
    assert set(jobs.content) == {".crops", "crop-gate", "update-baseline", "pages"}
