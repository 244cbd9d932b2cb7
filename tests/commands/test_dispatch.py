"""The console command itself: which commands there are, mistakes with the nearest right word, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import pytest_cropdet
from pytest_cropdet.commands.command import Command
from pytest_cropdet.commands.dispatch import COMMANDS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspct"], "pytest-cropdet has no command 'inspct'; did you mean inspect?"),
        (["xyzzy"], "pytest-cropdet has no command 'xyzzy'; there are inspect"),
        ([], "name a command: inspect"),
        (["inspect"], "inspect what? Give a MODEL, or --data=PATH, or both"),
        (["inspect", "net", "--dta=x"], "unknown option --dta; did you mean --data?"),
        (["inspect", "net", "--detector=rnage=0..1"], "there is no convention 'rnage'; did you mean range?"),
        (["inspect", "net", "--detector=range"], "--detector=range: must be KEY=VALUE"),
        (["inspect", "net", "--detector=range=0..2"], "range=0..2: must be one of 0..255, 0..1, -1..1"),
        (["inspect", "nothing_of_that_name"], "no detector 'nothing_of_that_name': neither an existing path"),
        (["inspect", "--data=nowhere.json"], "--data=nowhere.json: there is no such file or folder"),
        (["inspect", "net", "--image=nowhere.png"], "--image=nowhere.png: there is no such file or folder"),
        (["inspect", "--detector=range=0..1", "--data=."], "--image and --detector need a MODEL"),
        (["inspect", "net", "--images=."], "--images is the folder of a data set's images: it needs --data=PATH"),
        (["inspect", "net", "--seconds=0"], "--seconds must be larger than 0"),
    ],
)
def test_a_command_that_is_called_wrongly_ends_with_2_and_says_how_to_call_it(run, arguments, message):
    said = run(*arguments)
    assert said.code == 2
    assert message in said.err
    assert said.out == ""


def test_what_is_wrong_with_data_ends_with_1(run, tmp_path):
    (tmp_path / "broken.json").write_text("{")
    said = run("inspect", "--data=broken.json")
    assert said.code == 1
    assert "broken.json" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["inspect", "--help"]])
def test_help_and_version_end_with_0(run, arguments):
    said = run(*arguments)
    assert said.code == 0
    assert said.out
    if "--version" not in arguments:
        assert "exit codes: 0 all is well" in said.out


def test_every_command_has_the_name_and_module_of_its_row():
    from importlib import import_module

    for name, place in COMMANDS.items():
        command = getattr(import_module(f"pytest_cropdet.commands.{place.module}"), place.attribute)
        assert isinstance(command, Command)
        assert command.name == name
        assert command.parser().prog == f"pytest-cropdet {name}"


def test_the_console_script_is_declared():
    declared = Path(pytest_cropdet.__file__).parents[1] / "pyproject.toml"
    assert 'pytest-cropdet = "pytest_cropdet.commands:main"' in declared.read_text()
    for each in entry_points(group="console_scripts"):
        if each.name == "pytest-cropdet":
            assert each.value == "pytest_cropdet.commands:main"


@pytest.mark.subprocess
@pytest.mark.parametrize("arguments", [["--help"], ["inspect", "--help"], ["inspct"], ["inspect"]])
def test_nothing_heavy_is_imported_for_help_or_a_mistake(arguments):
    code = (
        "import json, sys\nfrom pytest_cropdet.commands import main\n"
        f"code = main({arguments!r})\n"
        "print(json.dumps([name for name in ('numpy', 'cv2', 'tensorflow', 'pytest') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.subprocess
def test_python_m_is_the_same_command():
    done = subprocess.run(
        [sys.executable, "-m", "pytest_cropdet", "inspct"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "pytest-cropdet: pytest-cropdet has no command 'inspct'; did you mean inspect?\n"


@pytest.mark.subprocess
def test_a_reader_that_has_seen_enough_is_no_error():
    command = [sys.executable, "-u", "-m", "pytest_cropdet", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
