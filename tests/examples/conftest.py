"""A repository as a user has it, to run the files of examples/ci in: a model, data, a configuration, a baseline."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.conftest import write_data

ROOT = Path(__file__).parents[2]
CI = ROOT / "examples" / "ci"
FAKES = ROOT / "tests" / "plugin" / "fakes.py"

# The file of the model is the name of a fake detector, so that another model is another file, as in life.
MODEL = """
from pathlib import Path

import fakes


def detector(file="models/detector.tflite"):
    name = (Path(__file__).parent / file).read_text().strip()
    found = getattr(fakes, name)()
    found.fingerprint = name
    return found


def old():
    return detector("models/old.tflite")
"""
# Small and quick: fewer windows, and no causes.
REPLACED = {
    "cropdet_model = models/detector.tflite": "cropdet_model = model:detector\ncropdet_explain = off",
    "cropdet_crops = random:keep=0.3-0.9,per_image=4": "cropdet_crops = random:keep=0.7-0.9,per_image=1",
}
OWN = ("CI", "BUILD_NUMBER", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY")
GITIGNORE = "crop-results/\ncrop-release/\nnotes.txt\n__pycache__/\n.pytest_cache/\n"


QUICK = "-p no:xdist -p no:anyio -p no:hypothesispytest"  # plugins whose import takes as long as the gate


def environment(home: Path, **more: str) -> dict[str, str]:
    """The variables of a shell that finds this Python as `python`, and nothing of the user's or of the runner's."""
    kept = {key: value for key, value in os.environ.items() if key not in OWN and not key.startswith("GIT_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    sources = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH", "")]))
    own = {"PATH": path, "PYTHONPATH": sources, "HOME": str(home), "COLUMNS": "80", "GIT_CONFIG_NOSYSTEM": "1"}
    return {**kept, **own, "CROPDET_PROBE": "off", "PYTEST_ADDOPTS": QUICK, **more}


class Repository:
    """A working copy, and the shell in it."""

    def __init__(self, path: Path, **more: str) -> None:
        self.path = path
        self.environment = environment(path.parent, **more)

    def shell(self, text: str, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a script by bash; its options are by default those of a pipeline."""
        command = ["bash", *(options or ("--noprofile", "--norc", "-eo", "pipefail")), "-c", text]
        env = {**self.environment, **more}
        return subprocess.run(command, cwd=self.path, env=env, capture_output=True, text=True, check=False, timeout=120)

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", *arguments]
        done = subprocess.run(command, cwd=self.path, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def use(self, model: str) -> None:
        """Make this fake detector the model of the repository."""
        (self.path / "models" / "detector.tflite").write_text(model)

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    """A repository whose model is perfect, and whose baseline is that model's."""
    if shutil.which("bash") is None or shutil.which("git") is None:
        pytest.skip("the pipelines are run by bash in a git repository: needs both")
    folder = tmp_path_factory.mktemp("template") / "repository"
    write_data(folder / "data" / "val")
    (folder / "data" / "val" / "shapes.json").rename(folder / "data" / "val" / "instances.json")
    shutil.copy(FAKES, folder)
    (folder / "model.py").write_text(MODEL)
    (folder / ".gitignore").write_text(GITIGNORE)
    for name in ("models", "ci"):
        (folder / name).mkdir()
    for file in CI.glob("*.py"):
        shutil.copy(file, folder / "ci")
    shutil.copy(CI / "pre-release.sh", folder / "ci")
    text = (CI / "pytest.ini").read_text(encoding="utf-8")
    for line, own in REPLACED.items():
        assert text.count(f"{line}\n") == 1
        text = text.replace(line, own)
    (folder / "pytest.ini").write_text(text)
    made = Repository(folder)
    made.use("perfect")
    done = made.shell("python -m pytest --pyargs pytest_cropdet.suite --cropdet-update-baseline")
    assert done.returncode == 0, done.stdout
    shutil.rmtree(folder / "crop-results")  # a pipeline begins without results
    made.git("init", "--quiet", "--initial-branch=main")
    made.commit("A model and its baseline")
    return folder


@pytest.fixture
def repository(template, tmp_path) -> Repository:
    """A copy of the template, whose detections are known."""
    shutil.copytree(template, tmp_path / "repository")
    return Repository(tmp_path / "repository")
