"""examples/ci/Jenkinsfile, run: the stages whose condition is met, step by step."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest

from tests.examples.conftest import CI

pytestmark = pytest.mark.subprocess

FILE = CI / "Jenkinsfile"
CONDITIONS = {
    None: lambda update: True,
    "{ not { expression { params.UPDATE_BASELINE } } }": lambda update: not update,
    "{ expression { params.UPDATE_BASELINE } }": lambda update: update,
}
STEP = re.compile(
    r"\s*(?:sh '''(?P<long>.*?)'''|sh '(?P<short>[^'\n]*)'|sh \"(?P<quoted>[^\"\n]*)\""
    r"|(?P<kept>archiveArtifacts|junit) (?P<what>[^\n]*))",
    re.DOTALL,
)


def block(text, head):
    """The text between the braces that follow ``head``."""
    start = text.index(head) + len(head)
    start = text.index("{", start) + 1
    depth, end = 1, start
    while depth:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    return text[start : end - 1]


def steps_of(text):
    """The steps of a block, in their order; what is no known step fails."""
    place, found = 0, []
    while text[place:].strip():
        step = STEP.match(text, place)
        assert step, f"no test knows the step {text[place:].strip().splitlines()[0]!r}"
        script = step["long"] or step["short"] or step["quoted"]
        found.append(("sh", dedent(script).strip()) if script else (step["kept"], step["what"]))
        place = step.end()
    return found


class Pipeline:
    def __init__(self):
        text = FILE.read_text(encoding="utf-8")
        names = re.findall(r"stage\('(.+?)'\) \{( // runner only)?", text)
        self.runner_only = {name for name, mark in names if mark}
        self.text = re.sub(r"//[^\n]*", "", text)
        self.stages = [name for name, _ in names]

    def when(self, stage):
        found = re.search(r"when (\{.*\})$", block(self.text, f"stage('{stage}')"), re.MULTILINE)
        return found and found[1]

    def steps(self, stage):
        return steps_of(block(block(self.text, f"stage('{stage}')"), "steps"))

    def run(self, repository, update):
        """Return the stages that ran, and the exit code of the step that stopped them, or 0."""
        ran, kept = [], []
        for stage in self.stages:
            if stage in self.runner_only or not CONDITIONS[self.when(stage)](update):
                continue
            ran.append(stage)
            for kind, text in self.steps(stage):
                if kind == "sh":
                    code = repository.shell(text, "-xe").returncode
                    if code:
                        return ran, kept, code
                else:
                    kept.append(re.search(r"'(.+?)'", text)[1])
        return ran, kept, 0


@pytest.fixture(scope="module")
def pipeline():
    return Pipeline()


def after(pipeline):
    return [re.search(r"'(.+?)'", text)[1] for _, text in steps_of(block(block(pipeline.text, "post"), "always"))]


def test_a_worse_model_stops_the_pipeline_and_an_old_result_is_gone(pipeline, repository):
    repository.use("make")
    old = repository.path / "crop-results" / "of the last build.txt"
    old.parent.mkdir()
    old.write_text("")
    assert pipeline.run(repository, update=False) == (["Clean", "Crop gate"], [], 1)
    assert not old.exists()
    assert after(pipeline) == ["crop-results/junit.xml", "crop-results/**"]
    assert {path.name for path in repository.path.glob("crop-results/*")} == {"junit.xml", "report", "result.json"}


def test_the_parameter_writes_the_baseline(pipeline, repository):
    repository.use("make")
    ran = pipeline.run(repository, update=True)
    assert ran == (["Clean", "Update baseline"], ["crop-baseline.json"], 0)
    assert "crop-baseline.json" in repository.git("status", "--short")
    assert (repository.path / "crop-results" / "junit.xml").exists()


def test_only_the_installation_is_left_to_the_runner(pipeline):
    assert pipeline.runner_only == {"Install"}
    assert pipeline.stages == ["Install", "Clean", "Crop gate", "Update baseline"]
    assert [script for _, script in pipeline.steps("Install")] == [
        "python3 -m venv .venv",
        "python -m pip install 'pytest-cropdet[report,tflite]'",
    ]
    assert 'PATH = "${WORKSPACE}/.venv/bin:${PATH}"' in block(pipeline.text, "environment")


def test_braces_and_quotes_are_closed(pipeline):
    assert pipeline.text.count("{") == pipeline.text.count("}")
    assert block(pipeline.text, "pipeline").count("'") % 2 == 0


def test_a_step_that_no_test_knows_fails():
    with pytest.raises(AssertionError, match="no test knows the step 'build job: 1'"):
        steps_of("\n  sh 'true'\n  build job: 1\n")
