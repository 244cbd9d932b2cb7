"""examples/ci/dvc.yaml, run: its stages in their order, as DVC runs them; by DVC itself where it is."""

from __future__ import annotations

import json
import shutil
import sys
from importlib.util import find_spec

import pytest
import yaml

from tests.examples.conftest import CI

pytestmark = pytest.mark.subprocess

FILE = CI / "dvc.yaml"


def names(entries):
    return [next(iter(each)) if isinstance(each, dict) else each for each in entries]


class Stages:
    def __init__(self, repository):
        self.repository = repository
        self.content = yaml.safe_load(FILE.read_text(encoding="utf-8"))["stages"]

    def run(self, name):
        """Run a stage as `dvc repro` does: what it makes is removed, and it stops at the first command that fails."""
        stage = self.content[name]
        assert set(stage) <= {"cmd", "deps", "outs", "metrics"}
        made = [self.repository.path / each for each in names([*stage.get("outs", ()), *stage.get("metrics", ())])]
        assert all((self.repository.path / each).exists() for each in stage["deps"])
        for path in made:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for command in [stage["cmd"]] if isinstance(stage["cmd"], str) else stage["cmd"]:
            done = self.repository.shell(command, "-e")
            if done.returncode:
                return done
        assert all(path.exists() for path in made)
        return done


@pytest.fixture
def stages(repository):
    return Stages(repository)


def metrics(repository):
    return json.loads((repository.path / "crop-metrics.json").read_text())


def test_the_numbers_of_a_model_that_fails_are_recorded_and_the_next_stage_stops(stages, repository):
    repository.use("make")
    assert stages.run("crops").returncode == 0
    assert metrics(repository)["random.passes"] == 0
    assert 0.3 < metrics(repository)["random.worse.value"] < 0.7
    judged = stages.run("crop-gate")
    assert (judged.returncode, judged.stderr.strip()) == (1, "crop gate: did not pass: random")


def test_a_model_that_passes_goes_through(stages, repository):
    assert stages.run("crops").returncode == 0
    assert metrics(repository)["random.passes"] == 1
    assert stages.run("crop-gate").returncode == 0


def test_what_is_no_result_is_no_metric(stages, repository):
    """Exit code 1 is also that of a detector that cannot be loaded: there is nothing to record."""
    repository.use("cannot_load")
    done = stages.run("crops")
    assert done.returncode == 1
    assert "crop-results/result.json has no result: no test came to an end" in done.stderr


def test_an_option_that_is_wrong_stops_the_first_stage(stages, repository):
    (repository.path / "pytest.ini").write_text("[pytest]\ncropdet_max_drop = 7\n")
    done = stages.run("crops")
    assert done.returncode == 1
    assert "cropdet_max_drop must lie between 0 and 1" in done.stderr, "not by the command that follows"


@pytest.mark.slow
def test_dvc_itself_runs_the_file(repository):
    if find_spec("dvc") is None:
        pytest.skip("needs DVC: pip install dvc")
    shutil.copy(FILE, repository.path)
    dvc = f"{sys.executable} -m dvc"
    repository.use("make")
    assert repository.shell(f"{dvc} init --quiet && {dvc} config core.analytics false").returncode == 0
    done = repository.shell(f"{dvc} repro")
    assert done.returncode != 0
    assert "crop gate: did not pass: random" in done.stdout + done.stderr
    shown = json.loads(repository.shell(f"{dvc} metrics show --json").stdout)
    assert shown[""]["data"]["crop-metrics.json"]["data"] == metrics(repository)
