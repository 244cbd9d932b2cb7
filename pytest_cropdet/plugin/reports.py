"""Between pytest and the reports: what a run leaves where it ran, and what the controller makes of it at the end.

Nothing here fails a test run: what cannot be written is told in one line.
"""

import base64
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

from pytest_cropdet.causes import object_table
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.files import make_folder, write_whole
from pytest_cropdet.gate import Run
from pytest_cropdet.plugin.baselines import entry_of, is_updated, update_baseline
from pytest_cropdet.plugin.configuration import folder_of, setting
from pytest_cropdet.plugin.history import session_origin
from pytest_cropdet.plugin.stash import Findings, session_token
from pytest_cropdet.report import (
    MissingResult,
    WorkerFiles,
    github_summary,
    html_page,
    remove_unused,
    sorted_checks,
    worst_crop_pictures,
    write_detections,
    write_objects,
)
from pytest_cropdet.terms import encodable, visible

__all__ = ["WrittenReports", "begin", "expect_tests", "leave_run", "page_name", "write_reports"]

PACKAGES = ("pytest-cropdet", "pytest", "hypothesis", "numpy", "opencv-python-headless", "pycocotools", "tensorflow")


def page_name(config: pytest.Config) -> str | None:
    """Return the page's path as it can be opened from where pytest runs; ``None`` where none is made."""
    folder = _page_folder(config)
    if folder is None or not _has_jinja():
        return None
    here = config.invocation_params.dir
    path = Path(os.path.normpath(here / folder / "index.html"))
    with suppress(ValueError):
        path = path.relative_to(here)
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


def _pictures_folder(config: pytest.Config) -> Path | None:
    """Return the page's folder where pictures are to be written beside the page: its name ends with a slash."""
    given = setting(config, "report") or ""
    return Path(given) if given.endswith(("/", os.sep)) else None


def _token(config: pytest.Config) -> str:
    """Return the session's token, the same in all of its processes."""
    if session_token not in config.stash:
        given = getattr(config, "workerinput", {}).get("cropdet_session")
        config.stash[session_token] = given or secrets.token_hex(6)
    return config.stash[session_token]


def _parts(config: pytest.Config) -> WorkerFiles | None:
    wanted = page_name(config) is not None or setting(config, "objects") is not None or is_updated(config)
    return WorkerFiles(folder_of(config), _token(config)) if wanted else None


def expect_tests(config: pytest.Config, tests: list[str]) -> None:
    """Leave word, on a worker, of the tests that gate."""
    parts = _parts(config)
    if parts is not None and tests:
        with suppress(OSError):
            make_folder(folder_of(config))
            parts.expect(tests)


def begin(config: pytest.Config, test: str, place: int, gate: str) -> None:
    """Leave word that a run has begun."""
    parts = _parts(config)
    if parts is not None:
        with suppress(OSError):
            make_folder(folder_of(config))
            parts.begin(test, place, gate)


def leave_run(config: pytest.Config, run: Run, test: str, place: int) -> list[str]:
    """Leave what the controller needs of a run that is too large to travel, and its detections where asked for.

    Returns what could not be written, in words; it travels to the controller, which alone has a terminal.
    """
    target, parts, trouble = setting(config, "detections"), _parts(config), []
    if target is not None:
        try:
            write_detections(Path(target), run)
        except OSError as error:
            trouble.append(f"the detections of {run.name} could not be written to {target}: {error}")
    if parts is None:
        return trouble
    content: dict[str, Any] = {"gate": run.name}
    if page_name(config) is not None:
        try:
            content["gallery"] = worst_crop_pictures(run, _pictures_folder(config), f"{test}\n{place}")
        except OSError as error:
            trouble.append(f"the pictures of {run.name} could not be written below {_page_folder(config)}: {error}")
            content["gallery"] = worst_crop_pictures(run)
    entry = entry_of(config, run)
    if entry is not None:
        content["baseline"] = entry
    if setting(config, "objects") is not None:
        content["objects"] = object_table(run.scored, run.explanation.causes)
    with suppress(OSError):
        parts.finish(test, place, content)
    return trouble


@dataclass
class WrittenReports:
    """What was made at the end of a session: the page, what gave no result, what could not be written, and what else to
    know.
    """

    page: str | None = None
    unfinished: list[MissingResult] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def write_reports(config: pytest.Config, taken: Findings) -> WrittenReports:
    """Write everything that was asked for of what the controller learnt from the tests' reports."""
    written = WrittenReports()
    parts = _parts(config)
    left = {} if parts is None else parts.read()
    planned = [*taken.planned, *(parts.expected() if parts else ())]
    written.unfinished = _unfinished(taken, planned, left)
    told = _told(config, taken, left)
    stopped = taken.begun.intersection(planned).difference(taken.ended)
    if taken or stopped or any(not each["done"] for each in left.values()):
        _write_page(config, told, written)
        _write_objects(config, told, written)
        _write_summary(told, written)
        written.notes += update_baseline(config, told.left)
    if parts is not None:
        parts.remove()
    return written


@dataclass(frozen=True, slots=True)
class _Told:
    """The records of a session and, in their order, what gates ``left`` and the ``pictures`` of checks."""

    gates: Sequence[dict[str, Any]]
    left: Sequence[Mapping[str, Any]]
    benchmarks: Sequence[dict[str, Any]]
    checks: Sequence[dict[str, Any]]
    pictures: Sequence[str | None]
    rankings: Sequence[dict[str, Any]]


def _told(config: pytest.Config, taken: Findings, left: Mapping[tuple[str, int], Mapping[str, Any]]) -> _Told:
    checks = sorted_checks(taken.checks.values())
    return _Told(
        gates=visible([*taken.gates.values()]),
        left=[left.get(key, {}) for key in taken.gates],
        benchmarks=visible([*taken.benchmarks.values()]),
        checks=visible(checks),
        pictures=[_picture(config, check) for check in checks],
        rankings=visible(taken.rankings),
    )


def _picture(config: pytest.Config, check: Mapping[str, Any]) -> str | None:
    """Return the picture of a search as base64, ``None`` where there is none."""
    if not check.get("picture"):
        return None
    try:
        content = (config.invocation_params.dir / check["picture"]).read_bytes()
    except OSError:
        return None
    return base64.b64encode(content).decode("ascii")


def _unfinished(
    taken: Findings, planned: Sequence[str], left: Mapping[tuple[str, int], Mapping[str, Any]]
) -> list[MissingResult]:
    with_result = {test for records in (taken.gates, taken.benchmarks, taken.checks) for test, _ in records}
    begun = {test for test, place in left if (test, place) not in taken.gates}
    begun |= taken.begun.intersection(planned).difference(with_result)
    found = []
    for test in dict.fromkeys([*planned, *sorted(begun)]):
        if test in taken.ended:
            why = taken.ended[test]
            if why is not None and (test not in with_result or test in begun):
                found.append(MissingResult(test, why))
        elif test in begun:
            found.append(MissingResult(test, "was stopped before it came to an end"))
        elif test not in with_result:
            found.append(MissingResult(test, "did not run"))
    return found


def _write_page(config: pytest.Config, told: _Told, written: WrittenReports) -> None:
    folder = _page_folder(config)
    if folder is None:
        return
    try:
        content = html_page(
            told.gates,
            [{"gallery": visible(each["gallery"])} if "gallery" in each else {} for each in told.left],
            [MissingResult(visible(each.test), visible(each.why)) for each in written.unfinished],
            visible(_command(config)),
            versions(),
            benchmarks=told.benchmarks,
            checks=told.checks,
            pictures=told.pictures,
            rankings=told.rankings,
            origin=visible(session_origin(config)),
        )
        if not setting(config, "report"):
            make_folder(folder_of(config))
        write_whole(folder / "index.html", content)
        remove_unused(folder, [(each.get("gallery") or {}).get("files") for each in told.left])
    except CropdetError as error:
        written.trouble.append(f"no report: {error}")
    except OSError as error:
        written.trouble.append(f"the report {folder / 'index.html'} could not be written: {error}")
    else:
        written.page = page_name(config)
        bare = sum("gallery" not in each for each in told.left)
        if bare:
            written.trouble.append(
                f"the report has no pictures of {bare} of {len(told.left)} gates: they were not stored"
            )


def _write_objects(config: pytest.Config, told: _Told, written: WrittenReports) -> None:
    target = setting(config, "objects")
    if target is None:
        return
    try:
        pairs = zip(told.gates, told.left, strict=True)
        write_objects(Path(target), [(record["name"], each.get("objects")) for record, each in pairs])
    except OSError as error:
        written.trouble.append(f"--cropdet-objects {target} could not be written: {error}")
    else:
        bare = sum("objects" not in each for each in told.left)
        if bare:
            written.trouble.append(f"{target} has no objects of {bare} of {len(told.left)} gates: they were not stored")


def _write_summary(told: _Told, written: WrittenReports) -> None:
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return
    try:
        with Path(target).open("a", encoding="utf-8") as stream:
            stream.write(
                encodable(github_summary(told.gates, written.unfinished, told.checks, told.benchmarks, told.rankings))
            )
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
