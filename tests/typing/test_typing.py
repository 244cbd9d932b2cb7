"""The public signatures as a user's type checker sees them: each line has its type, and wrong ones are errors.

The files ``user_*.py`` are checked, and never run. A line that must be an error ends in ``# type: ignore[code]``; a
strict checker reports one that is not needed. A line that must have a type is an ``assert_type``.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from inspect import signature
from pathlib import Path
from typing import get_type_hints

import pytest

import pytest_cropdet
from pytest_cropdet import run
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.description_arguments import DescriptionArguments
from pytest_cropdet.plugin.sliced_test import _OF_AP
from pytest_cropdet.settings import RunSettings
from pytest_cropdet.terms import RunArguments, ScoreArguments

HERE = Path(__file__).parent
USERS = sorted(HERE.glob("user_*.py"))
INSTALLED = Path(pytest_cropdet.__file__).parent
SPAN = {"mypy": 300, "pyright": 300}  # s


def checked(tool: str, *command: str | Path, places: Mapping[str, str] | None = None) -> str:
    """Run a checker on the users' files; return what it says, empty where it finds nothing."""
    environment = {**os.environ, **(places or {})}
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=SPAN[tool], env=environment, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def by_mypy(files: Sequence[Path], cache: Path) -> str:
    """What mypy says of files: strict, by the types of the package that is installed, which a marker opens to it."""
    command = (sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--python-version=3.10")
    settings = ("--config-file", os.devnull, "--cache-dir", cache, "--no-error-summary", "--ignore-missing-imports")
    return checked("mypy", *command, *settings, *files, places={"MYPYPATH": str(INSTALLED.parent)})


@pytest.mark.subprocess
@pytest.mark.slow
def test_mypy_finds_each_type_and_each_mistake(tmp_path):
    pytest.importorskip("mypy")
    assert (INSTALLED / "py.typed").is_file()
    assert by_mypy(USERS, tmp_path / "cache") == ""
    wrong = tmp_path / "user_wrong.py"
    lines = [
        "from typing_extensions import assert_type",
        "from pytest_cropdet import Crop, Run, run",
        "run(len, [], max_drop=0.05, crops='tile')  # type: ignore[call-arg]",
        "assert_type(Crop(0, 0, 9, 9), Run)",
        "Crop(0, 0, '9', 9)",
    ]
    wrong.write_text("\n".join(lines) + "\n")
    found = re.findall(r":(\d+): error: .*\[([\w-]+)\]", by_mypy([wrong], tmp_path / "cache"))
    assert ("4", "assert-type") in found
    assert ("5", "arg-type") in found


@pytest.mark.subprocess
@pytest.mark.slow
def test_pyright_finds_no_wrong_type(tmp_path):
    pyright = shutil.which("pyright")
    if pyright is None:
        pytest.skip("pyright is not installed: pip install pyright")
    places = {
        "include": [str(each) for each in USERS],
        "extraPaths": [str(INSTALLED.parent)],
        "typeCheckingMode": "standard",
        "enableTypeIgnoreComments": True,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(places))
    assert checked("pyright", pyright, "--project", tmp_path) == ""


def test_there_are_lines_of_both_kinds_in_each_file():
    for file in USERS:
        text = file.read_text(encoding="utf-8")
        assert text.count("assert_type(") > 5
        assert text.count("# type: ignore[") > 5


def test_arguments_of_runs_are_the_settings_and_have_their_types():
    hints = get_type_hints(RunSettings)
    arguments, parameters = get_type_hints(RunArguments), signature(run).parameters
    assert [*arguments] == [*ScoreArguments.__annotations__, *(name for name in arguments if name not in _OF_AP)]
    assert {*arguments} == {each.name for each in fields(RunSettings)} - {"crops"}
    for name, kind in arguments.items():
        wanted = str(hints[name]).replace("tuple[str, ...]", "collections.abc.Sequence[str]")
        assert str(kind) == wanted == str(get_type_hints(run)[name]), name
        assert name in parameters


def test_arguments_of_comparisons_are_those_that_they_take():
    assert {*get_type_hints(ScoreArguments)} == {*_OF_AP}


def test_arguments_of_detectors_are_the_fields_of_their_description():
    hints = get_type_hints(Description)
    arguments = get_type_hints(DescriptionArguments)
    assert [*sorted(arguments)] == [*sorted(each.name for each in fields(Description))]
    for name, kind in arguments.items():
        assert {*str(hints[name]).split(" | ")} <= {*str(kind).split(" | ")}, name
