"""Whether pytest was led astray by an option's value when it looked for its rootdir and ini file, and where the
plugin keeps its own then.

pytest looks for them before it knows the options of plugins, so the PATH of ``--cropdet-data PATH`` counts as a test
path there, and the project's ini file may be missed. ``--cropdet-data=PATH`` is one word and cannot mislead it.
"""

import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_cropdet.plugin.options import OPTIONS

__all__ = ["Astray", "astray", "base_folder"]

base = pytest.StashKey[Path]()

_SECTIONS = {
    "pytest.toml": "",
    ".pytest.toml": "",
    "pytest.ini": "",
    ".pytest.ini": "",
    "pyproject.toml": "[tool.pytest",
    "tox.ini": "[pytest]",
    "setup.cfg": "[tool:pytest]",
}


@dataclass(frozen=True, slots=True)
class Astray:
    """What happened and how to mend it; ``settings`` says whether a file with pytest's settings was missed or added.

    ``root``: the folder that pytest's rootdir would be.
    """

    text: str
    settings: bool
    root: Path


def astray(config: pytest.Config) -> Astray | None:
    """Return what to tell a user whose rootdir or ini file is not that of the tests, ``None`` if all is well."""
    here = config.invocation_params.dir
    taken = _values_taken_for_paths(here, config.invocation_params.args)
    if not taken or config.getoption("inifilename"):
        return None
    given = [here / str(each).partition("::")[0] for each in config.getoption("file_or_dir")]
    tests = [path for path in given if path.exists()]
    start = Path(os.path.commonpath(tests)) if tests else here
    right, used = _ini_file([start]) or _ini_file(tests), config.inipath
    how = " ".join(f"{flag}={shlex.quote(value)}" for flag, value in taken)
    root = _root(here, start, right)
    if _same(right, used):
        if config.getoption("rootdir") or _same(root, config.rootpath):
            return None
        text = f"rootdir is {config.rootpath} because pytest took the path of {taken[0][0]} for a test's; write {how}"
        return Astray(text, settings=False, root=root)
    instead = f"reads {used or 'no ini file'} instead of {right or 'none'}"
    text = f"pytest took the path of {taken[0][0]} for a test's and so {instead}; write {how}"
    return Astray(text, settings=any(path is not None and _has_settings(path) for path in (right, used)), root=root)


def base_folder(config: pytest.Config) -> Path:
    """Return the folder below which the plugin keeps its own: pytest's rootdir, or what it would be if led astray."""
    if base not in config.stash:
        found = None if config.getoption("rootdir") else astray(config)
        usual = config.rootpath if found is None else found.root
        config.stash[base] = Path(getattr(config, "workerinput", {}).get("cropdet_base", usual))
    return config.stash[base]


def _root(here: Path, start: Path, right: Path | None) -> Path:
    """Return the rootdir that pytest takes for tests below ``start`` and settings in ``right``."""
    if right is not None:
        return right.parent
    folder = start if start.is_dir() else start.parent
    for each in (folder, *folder.parents):
        if (each / "setup.py").is_file():
            return each
    common = Path(os.path.commonpath([here, folder]))
    return folder if common == Path(common.anchor) else common


def _values_taken_for_paths(here: Path, arguments: Iterable[str]) -> list[tuple[str, str]]:
    flags = {each.flag for each in OPTIONS if each.kind != "flag"}
    words = [*shlex.split(os.environ.get("PYTEST_ADDOPTS", "")), *map(str, arguments)]
    return [(flag, value) for flag, value in pairwise(words) if flag in flags and (here / value).exists()]


def _ini_file(starts: Sequence[Path]) -> Path | None:
    """Return the file pytest reads its settings from when tests lie in ``starts``: the nearest above with settings."""
    bare = None
    for start in starts:
        for folder in (start, *start.parents):
            for name in _SECTIONS:
                path = folder / name
                if path.is_file() and _has_settings(path):
                    return path
                if bare is None and name == "pyproject.toml" and path.is_file():
                    bare = path
    return bare


def _has_settings(path: Path) -> bool:
    return _SECTIONS.get(path.name, "") in path.read_text(encoding="utf-8", errors="replace")


def _same(one: Path | None, other: Path | None) -> bool:
    return one == other or (one is not None and other is not None and one.resolve() == other.resolve())
