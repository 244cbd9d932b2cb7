"""examples/ci/tox.ini and noxfile.py: the commands that they name, run; by tox and nox themselves where they are."""

from __future__ import annotations

import configparser
import shlex
import subprocess
import sys
from importlib.util import find_spec
from types import ModuleType

import pytest

from tests.examples.conftest import CI

pytestmark = pytest.mark.subprocess

POSARGS = ["-q", "--cropdet-max-worse=red=0.05"]


class LookAlike:
    """The part of nox that the file uses: sessions, in which `run` runs and `install` installs nothing."""

    def __init__(self):
        self.sessions = {}

    def session(self, function=None, *, name=None, default=True):
        def register(each):
            self.sessions[name or each.__name__] = (each, default)
            return each

        return register if function is None else register(function)


class Session:
    def __init__(self, repository):
        self.repository = repository
        self.posargs = POSARGS
        self.installed = []
        self.codes = []

    def install(self, package):
        self.installed.append(package)

    def run(self, *command):
        self.codes.append(self.repository.shell(shlex.join(command)).returncode)


@pytest.fixture
def sessions(monkeypatch):
    nox = LookAlike()
    module = ModuleType("nox")
    module.session = nox.session
    monkeypatch.setitem(sys.modules, "nox", module)
    exec(compile((CI / "noxfile.py").read_text(encoding="utf-8"), "noxfile.py", "exec"), {"__name__": "noxfile"})
    return nox.sessions


@pytest.fixture
def tox():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(CI / "tox.ini", encoding="utf-8")
    return parser


def test_nox_runs_the_gate_and_updates_the_baseline_only_by_name(sessions, repository):
    assert {name: default for name, (_, default) in sessions.items()} == {"crops": True, "crops-baseline": False}
    repository.use("make")
    session = Session(repository)
    for name in ("crops-baseline", "crops"):
        sessions[name][0](session)
    assert session.codes == [0, 0]
    assert session.installed == ["pytest-cropdet[report,tflite]"] * 2
    assert (repository.path / "crop-results" / "junit.xml").exists()


def test_tox_runs_the_gate(tox, repository):
    command = tox["testenv:crops"]["commands"]
    assert command.endswith(" {posargs}")
    repository.use("make")
    done = repository.shell(command.replace("{posargs}", shlex.join(POSARGS)))
    assert done.returncode == 1
    assert "AP on crops of red fell" in done.stdout
    assert (repository.path / "crop-results" / "junit.xml").exists()


def test_tox_updates_the_baseline_only_by_name(tox):
    assert tox["tox"]["env_list"].split() == ["crops"]
    gate = tox["testenv:crops"]["commands"].split(" --junitxml")[0]
    assert tox["testenv:crops-baseline"]["commands"] == f"{gate} --cropdet-update-baseline {{posargs}}"
    assert {tox[f"testenv:{name}"]["skip_install"] for name in ("crops", "crops-baseline")} == {"true"}
    assert tox["testenv:crops"]["deps"] == "pytest-cropdet[report,tflite]"


@pytest.mark.parametrize(
    ("tool", "command", "file"),
    [("tox", ["list", "--no-desc"], "tox.ini"), ("nox", ["--list", "--noxfile"], "noxfile.py")],
    ids=["tox", "nox"],
)
def test_the_tool_itself_reads_the_file(tool, command, file, tmp_path):
    if find_spec(tool) is None:
        pytest.skip(f"needs {tool}: pip install {tool}")
    (tmp_path / file).write_text((CI / file).read_text(encoding="utf-8"))
    arguments = [*command, *(["noxfile.py"] if tool == "nox" else [])]
    done = subprocess.run(
        [sys.executable, "-m", tool, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {"crops", "crops-baseline"} <= set(done.stdout.split())
