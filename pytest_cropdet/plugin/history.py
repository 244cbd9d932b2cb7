"""The history of a session: when and of which commit its gates are, and their lines at the end, on the controller."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pytest_cropdet.comparison import append_history, history_line
from pytest_cropdet.errors import SpecError
from pytest_cropdet.plugin.configuration import setting

__all__ = ["check_history", "session_origin", "write_history"]

SHORT_COMMIT = 12  # letters of a commit that are shown
GIT_SECONDS = 20.0  # after which git is given up


@dataclass(frozen=True)
class _Stamp:
    """When the gates are of, and of which commit; ``dirty``: whether files differ from it (``None``: not known)."""

    when: datetime
    commit: str | None
    dirty: bool | None


_stamp = pytest.StashKey[_Stamp]()


def check_history(config: pytest.Config) -> None:
    """Note when and of which commit the gates of the session are; ``SpecError`` says what to state where nobody knows.

    It is done at the start, since the tests run what is there then.
    """
    given = setting(config, "history")
    if given is None:
        for name in ("history_time", "history_commit"):
            if setting(config, name) is not None:
                raise SpecError(f"--cropdet-{name.replace('_', '-')} needs the file: --cropdet-history=FILE")
        return
    config.stash[_stamp] = _stamp_of(config, Path(given))


def write_history(config: pytest.Config, gates: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Append a line for each gate; return what to say of it, and what went wrong."""
    given, stamp = setting(config, "history"), config.stash.get(_stamp, None)
    if given is None or stamp is None:
        return [], []
    if not gates:
        return [f"history {given}: no line appended, no gate gave a result"], []
    version = import_module("pytest_cropdet").__version__
    lines = [history_line(each, stamp.when, stamp.commit, stamp.dirty, version) for each in gates]
    try:
        append_history(Path(given), lines)
    except OSError as error:
        return [], [f"--cropdet-history {given} could not be written: {error}"]
    count = f"{len(lines)} line{'' if len(lines) == 1 else 's'}"
    return [f"history {given}: {count} appended; pytest-cropdet trend draws it"], []


def session_origin(config: pytest.Config) -> list[tuple[str, str]]:
    """Return date and commit of a session, in words: those of its history where it has one, else now and git's."""
    stamp = config.stash.get(_stamp, None)
    if stamp is not None:
        when, commit, dirty = stamp.when, stamp.commit, stamp.dirty
    else:
        when = datetime.now(timezone.utc)
        commit = (_git(config.rootpath, "rev-parse", "HEAD") or "").strip()
        dirty = _is_dirty(config.rootpath, config.rootpath) if commit else None
    found = [("date", when.strftime("%Y-%m-%d %H:%M %Z").strip())]
    if commit:
        found.append(("commit", f"{commit[:SHORT_COMMIT]}{' with changes' if dirty else ''}"))
    return found


def _stamp_of(config: pytest.Config, history: Path) -> _Stamp:
    said_time, said_commit = setting(config, "history_time"), setting(config, "history_commit")
    found = None
    if said_time is None or said_commit is None:
        found = _git(config.rootpath, "log", "-1", "--no-show-signature", "--format=%H %cI")
    commit, _, committed = (found or "").strip().partition(" ")
    dirty = _is_dirty(config.rootpath, history) if commit and said_commit is None else None
    if said_time is not None:
        when = _time(str(said_time))
    elif committed:
        when = datetime.fromisoformat(committed.replace("Z", "+00:00"))
    else:
        raise SpecError(
            f"--cropdet-history needs a time, and git gives no commit of {config.rootpath}: write "
            "--cropdet-history-time=2026-01-31T12:00:00Z, or --cropdet-history-time=now for the time of this session"
        )
    return _Stamp(when, said_commit or commit or None, dirty)


def _time(text: str) -> datetime:
    """Return the time that a text says; ``SpecError`` where it says none, or no time zone.

    >>> _time("2026-01-31").isoformat(), _time("2026-01-31T12:00:00Z").isoformat()
    ('2026-01-31T00:00:00+00:00', '2026-01-31T12:00:00+00:00')
    """
    if text == "now":
        return datetime.now(timezone.utc).replace(microsecond=0)
    try:
        if len(text) == len("2026-01-31"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise SpecError(
            f"cropdet_history_time must be a time such as 2026-01-31T12:00:00Z, a day, or now; not {text!r}"
        ) from error
    if found.tzinfo is None:
        raise SpecError(
            f"cropdet_history_time {text!r} has no time zone; write {text}Z for UTC, or {text}+02:00 for another zone"
        )
    return found


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git says in a folder, ``None`` where it is missing, or knows nothing of the folder.

    Without a repository above the folder no process is started.
    """
    here = folder.absolute()
    if "GIT_DIR" not in os.environ and not any((each / ".git").exists() for each in (here, *here.parents)):
        return None
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def _is_dirty(folder: Path, history: Path) -> bool | None:
    """Return whether tracked files differ from the commit, the history itself left aside."""
    top, changed = _git(folder, "rev-parse", "--show-toplevel"), _git(folder, "status", "--porcelain", "-z", "-uno")
    if top is None or changed is None:
        return None
    own = history.resolve()
    root = Path(top.rstrip("\n")).resolve()
    return any(root / entry[3:] != own for entry in changed.split("\0") if entry)
