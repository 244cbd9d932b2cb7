"""Between pytest and the reports: what a run leaves where it ran, and what the controller makes of it at the end.

Nothing here fails a test run: what cannot be written is told in one line.
"""

import importlib.util
import os
import platform
import secrets
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from pytest_cropdet.configured import folder_of, setting
from pytest_cropdet.database import make_folder
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.object_table import object_table
from pytest_cropdet.report.detections import write_detections
from pytest_cropdet.report.gallery import gallery
from pytest_cropdet.report.html import Unfinished, page
from pytest_cropdet.report.markdown import summary
from pytest_cropdet.report.objects import write_objects
from pytest_cropdet.report.parts import Parts, write_whole
from pytest_cropdet.results import Run
from pytest_cropdet.stash import session_token

__all__ = ["Written", "begin", "leave", "page_name", "plan", "write_reports"]

PACKAGES = ("pytest-cropdet", "pytest", "hypothesis", "numpy", "opencv-python-headless", "pycocotools", "tensorflow")


def page_name(config: pytest.Config) -> str | None:
    """Return the page's path as users read it, relative to the rootdir if inside; ``None`` where none is made."""
    folder = _page_folder(config)
    if folder is None or not _has_jinja():
        return None
    path = Path(os.path.normpath(folder / "index.html"))
    with suppress(ValueError):
        path = path.relative_to(config.rootpath)
    return path.as_posix()


def _has_jinja() -> bool:
    try:
        return importlib.util.find_spec("jinja2") is not None
    except ValueError:  # it is kept from being imported
        return False


def _page_folder(config: pytest.Config) -> Path | None:
    given = setting(config, "report")
    if given == "off":
        return None
    return Path(given) if given else folder_of(config) / "report"


def _token(config: pytest.Config) -> str:
    """Return the session's token, the same in all of its processes."""
    if session_token not in config.stash:
        given = getattr(config, "workerinput", {}).get("cropdet_session")
        config.stash[session_token] = given or secrets.token_hex(6)
    return config.stash[session_token]


def _parts(config: pytest.Config) -> Parts | None:
    wanted = page_name(config) is not None or setting(config, "objects") is not None
    return Parts(folder_of(config), _token(config)) if wanted else None


def plan(config: pytest.Config, tests: list[str]) -> None:
    """Leave word, on a worker, of the tests that gate."""
    parts = _parts(config)
    if parts is not None and tests:
        with suppress(OSError):
            make_folder(folder_of(config))
            parts.plan(tests)


def begin(config: pytest.Config, test: str, place: int, gate: str) -> None:
    """Leave word that a run has begun."""
    parts = _parts(config)
    if parts is not None:
        with suppress(OSError):
            make_folder(folder_of(config))
            parts.begin(test, place, gate)


def leave(config: pytest.Config, run: Run, test: str, place: int) -> None:
    """Leave what the controller needs of a run that is too large to travel, and its detections where asked for."""
    target, parts = setting(config, "detections"), _parts(config)
    if target is not None:
        with suppress(OSError):
            write_detections(Path(target), run)
    if parts is None:
        return
    content: dict[str, Any] = {"gate": run.name}
    if page_name(config) is not None:
        content["gallery"] = gallery(run)
    if setting(config, "objects") is not None:
        content["objects"] = object_table(run.scored, run.explanation.causes)
    with suppress(OSError):
        parts.finish(test, place, content)


@dataclass
class Written:
    """What was made at the end of a session: the page, what gave no result, and what could not be written."""

    page: str | None = None
    unfinished: list[Unfinished] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


def write_reports(
    config: pytest.Config,
    records: Mapping[tuple[str, int], dict[str, Any]],
    planned: Sequence[str],
    ended: Mapping[str, str | None],
) -> Written:
    """Write everything that was asked for; ``planned``: tests that gate, ``ended``: by test why it gave no result.

    In ``ended`` a test that came to an end and has nothing to say for itself stands with ``None``.
    """
    written = Written()
    parts = _parts(config)
    left = {} if parts is None else parts.read()
    written.unfinished = _unfinished(records, [*planned, *(parts.planned() if parts else ())], ended, left)
    told = list(records.values())
    ours: list[Mapping[str, Any]] = [left.get(key, {}) for key in records]
    if records or any(not each["done"] for each in left.values()):
        _write_page(config, told, ours, written)
        _write_objects(config, told, ours, written)
        _write_summary(told, written)
    if parts is not None:
        parts.remove()
    return written


def _unfinished(
    records: Mapping[tuple[str, int], Any],
    planned: Sequence[str],
    ended: Mapping[str, str | None],
    left: Mapping[tuple[str, int], Mapping[str, Any]],
) -> list[Unfinished]:
    with_result = {test for test, _ in records}
    begun = {test for test, place in left if (test, place) not in records}
    found = []
    for test in dict.fromkeys([*planned, *sorted(begun)]):
        if test in ended:
            why = ended[test]
            if why is not None and (test not in with_result or test in begun):
                found.append(Unfinished(test, why))
        elif test in begun:
            found.append(Unfinished(test, "was stopped before it came to an end"))
        elif test not in with_result:
            found.append(Unfinished(test, "did not run"))
    return found


def _write_page(
    config: pytest.Config, records: list[dict[str, Any]], left: list[Mapping[str, Any]], written: Written
) -> None:
    folder = _page_folder(config)
    if folder is None:
        return
    try:
        content = page(records, left, written.unfinished, _command(config), versions())
        if not setting(config, "report"):
            make_folder(folder_of(config))
        write_whole(folder / "index.html", content)
    except CropdetError as error:
        written.trouble.append(f"no report: {error}")
    except OSError as error:
        written.trouble.append(f"the report {folder / 'index.html'} could not be written: {error}")
    else:
        written.page = page_name(config)
        bare = sum("gallery" not in each for each in left)
        if bare:
            written.trouble.append(f"the report has no pictures of {bare} of {len(left)} gates: they were not kept")


def _write_objects(
    config: pytest.Config, records: list[dict[str, Any]], left: list[Mapping[str, Any]], written: Written
) -> None:
    target = setting(config, "objects")
    if target is None:
        return
    try:
        write_objects(
            Path(target), [(record["name"], each.get("objects")) for record, each in zip(records, left, strict=True)]
        )
    except OSError as error:
        written.trouble.append(f"--cropdet-objects {target} could not be written: {error}")


def _write_summary(records: list[dict[str, Any]], written: Written) -> None:
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return
    try:
        with Path(target).open("a", encoding="utf-8") as stream:
            stream.write(summary(records, written.unfinished))
    except OSError as error:
        written.trouble.append(f"$GITHUB_STEP_SUMMARY could not be written: {error}")


def _command(config: pytest.Config) -> str:
    return shlex.join(["pytest", *map(str, config.invocation_params.args)])


def versions() -> list[tuple[str, str]]:
    """Return what is installed of what a result depends on: ``(name, version)``."""
    found = [("python", platform.python_version())]
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found.append((name, metadata.version(name)))
    return found
