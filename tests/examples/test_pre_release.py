"""examples/ci/pre-release.sh, run: what it says and does for each way in which the gate can end."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.examples.conftest import CI, ROOT, Repository

pytestmark = pytest.mark.subprocess

PYTEST = """#!/bin/sh
echo "$@" >> calls.txt
exit {code}
"""


def release(repository, *arguments):
    words = " ".join(f"'{each}'" for each in arguments)
    return repository.shell(f"bash ci/pre-release.sh {words}")


@pytest.fixture
def ending(repository):
    """Makes a `python` that ends with a code, and returns what it was called with."""

    def end(code, *arguments):
        folder = repository.path / "bin"
        folder.mkdir()
        (folder / "python").write_text(PYTEST.format(code=code))
        (folder / "python").chmod(0o755)
        repository.environment["PATH"] = f"{folder}:{repository.environment['PATH']}"
        done = release(repository, "new model", "old model", *arguments)
        return done, (repository.path / "calls.txt").read_text().splitlines()

    return end


def test_a_model_that_is_not_worse_passes_and_becomes_the_baseline(repository):
    (repository.path / "models" / "old.tflite").write_text("make")
    done = release(repository, "model:detector", "model:old")
    assert done.returncode == 0, done.stdout
    assert "pre-release: model:detector passes." in done.stdout
    assert "pre-release: commit the baseline with model:detector." in done.stdout
    (gate,) = json.loads((repository.path / "crop-release" / "result.json").read_text())["gates"]
    assert (gate["against"]["old"]["name"], gate["against"]["change"]) == ("old", "better")
    assert gate["steps"], "the causes are in the report of a model that passes, too"
    assert (repository.path / "crop-release" / "report" / "index.html").exists()
    assert "the same model" in done.stdout  # the baseline was that of model:detector before


def test_a_worse_model_is_not_released_and_the_baseline_is_kept(repository):
    (repository.path / "models" / "old.tflite").write_text("perfect")
    repository.use("make")
    done = release(repository, "model:detector", "model:old", "--cropdet-undecided=pass")
    assert done.returncode == 1
    assert "pre-release: do not release model:detector" in done.stderr
    assert "crop-baseline.json" not in repository.git("status", "--short")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1, "do not release new model: a gate failed, is undecided, or has no result. See crop-release"),
        (2, "interrupted"),
        (3, "pytest broke off with exit code 3"),
        (4, "the options are wrong, nothing was judged"),
        (5, "no test was collected, nothing was judged"),
    ],
)
def test_every_other_end_has_its_sentence_and_its_code(code, text, ending):
    done, calls = ending(code, "--cropdet-checks=gate,invariants")
    assert done.returncode == code
    assert text in done.stderr
    (call,) = calls  # nothing is written after it
    assert "--cropdet-model=new model --cropdet-against=old=old model" in call
    assert "--cropdet-undecided=fail" in call
    assert call.endswith("--cropdet-checks=gate,invariants")


def test_only_after_a_pass_is_the_baseline_written(ending):
    done, calls = ending(0, "--cropdet-detector=range=0..255")
    assert done.returncode == 0
    assert ["--cropdet-update-baseline" in call for call in calls] == [False, True]
    assert all("--cropdet-detector=range=0..255" in call for call in calls)


def test_without_two_models_it_says_how_to_use_it(repository):
    done = release(repository, "models/detector.tflite")
    assert done.returncode == 4
    assert "usage: bash ci/pre-release.sh NEW_MODEL OLD_MODEL" in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("needs_tensorflow")
def test_the_shipped_detectors_with_the_files_as_they_are(tmp_path):
    """The one that was tuned on crops may replace the plain one."""
    for name in ("models", "data", "ci"):
        (tmp_path / name).mkdir()
    for file in ("pytest.ini", "pre-release.sh"):
        shutil.copy(CI / file, tmp_path / ("ci" if file.endswith(".sh") else "."))
    for file, name in (("ssd_crops_nms", "detector"), ("ssd_nms", "old")):
        shutil.copy(ROOT / "fixtures" / "models" / f"{file}.tflite", tmp_path / "models" / f"{name}.tflite")
    (tmp_path / "data" / "val").symlink_to(ROOT / "fixtures" / "scenes")
    labels = f"--cropdet-detector=labels={ROOT / 'fixtures' / 'models' / 'labels.txt'}"
    small = ("--cropdet-sample-images=50", "--cropdet-min-images=30", "--cropdet-crops=random:keep=0.3-0.9,per_image=1")
    models = ("models/detector.tflite", "models/old.tflite")
    done = release(Repository(tmp_path), *models, labels, "--cropdet-detector=range=0..255", *small)
    assert done.returncode == 0, done.stdout
    (gate,) = json.loads((tmp_path / "crop-release" / "result.json").read_text())["gates"]
    assert gate["against"]["change"] == "better"
    assert gate["against"]["worse"]["high"] < 0
    assert "random" in json.loads((tmp_path / "crop-baseline.json").read_text())["gates"]
