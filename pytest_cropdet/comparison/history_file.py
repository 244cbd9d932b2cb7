"""The history of gates: a file of JSON lines, one for each gate of each session, which sessions append to.

The lines of a session are appended in one write, under a lock where the system has one, so that those of two processes
do not mix. Reading checks each line: one that is damaged is named and left out.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_cropdet.comparison.ranking import category_set
from pytest_cropdet.errors import SpecError
from pytest_cropdet.files import read_file
from pytest_cropdet.terms import Record, encodable

__all__ = ["HISTORY_SCHEMA", "DamagedLine", "HistoryLine", "append_history", "history_line", "read_history"]

HISTORY_SCHEMA = 1
_SERIES = ("metric", "plan", "seed", "level", "rules", "data")  # what must be equal for drops to be compared


def history_line(
    record: Record, when: datetime, commit: str | None, dirty: bool | None, version: str
) -> dict[str, Any]:
    """Return the line of a gate from its record. ``dirty``: whether files differed from the commit."""
    settings, in_mean = record["settings"], [each["name"] for each in record["categories"] if each["in_mean"]]
    numbers = ("measure", "outcome", "limit", "value", "low", "high")
    return {
        "schema": HISTORY_SCHEMA,
        "time": when.isoformat(),
        "commit": commit,
        "dirty": dirty,
        "gate": record["name"],
        "test": record["test"],
        "verdict": record["verdict"],
        "limit": record["limit"],
        "metric": record["metric"],
        "drop": dict(record["drop"]),
        "ap": _of_metric(record),
        "limits": [{key: each.get(key) for key in numbers} for each in record["verdicts"]],
        "images": record["images"],
        "crops": record["crops"],
        "objects": record["objects"],
        "detector": {
            "name": _without_folders(record["detector"]["name"]),
            "fingerprint": record["detector"].get("fingerprint"),
        },
        "data": {"name": _without_folders(record["dataset"]), "digest": record["data_digest"]},
        "plan": record["plan"],
        "seed": record["seed"],
        "rules": {
            "min_visibility": settings["min_visibility"],
            "max_detections": settings["max_detections"],
            "categories": category_set(in_mean),
        },
        "version": version,
    }


def _without_folders(name: str) -> str:
    """Return the last two parts of a path: the folders of one machine say nothing on another.

    >>> _without_folders("/srv/data/coco/instances.json"), _without_folders("mine.nets:make")
    ('coco/instances.json', 'mine.nets:make')
    """
    return "/".join(PurePosixPath(name.replace("\\", "/")).parts[-2:])


def _of_metric(record: Record) -> dict[str, float | None]:
    key = {"AP50": "ap50", "AP75": "ap75"}.get(record["metric"], "ap")
    return dict(record[key])


def append_history(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Append lines to a history: all of them or none, after a last line that was not finished a line of their own."""
    if not lines:
        return
    text = "".join(f"{json.dumps(encodable(each), allow_nan=False, sort_keys=False)}\n" for each in lines)
    data = text.encode("ascii")
    path.parent.mkdir(parents=True, exist_ok=True)
    system = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_BINARY"))  # of one system or another
    number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | system, 0o666)
    try:
        with _locked(number):
            size = os.lseek(number, 0, os.SEEK_END)
            if size:
                os.lseek(number, size - 1, os.SEEK_SET)
                if os.read(number, 1) != b"\n":
                    data = b"\n" + data
            written = os.write(number, data)
            if written != len(data):
                os.ftruncate(number, size)
                raise OSError(f"{written} of {len(data)} bytes were written, so they were taken back")
    finally:
        os.close(number)


@contextmanager
def _locked(number: int) -> Iterator[None]:
    """Hold the lock of an open file, where the system and the file system have locks."""
    try:
        import fcntl
    except ImportError:  # not on Windows; there the one write alone keeps lines apart
        yield
        return
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        fcntl.flock(number, fcntl.LOCK_UN)


@dataclass(frozen=True)
class HistoryLine:
    """A line of a history. ``content``: all of it, as built-in values."""

    number: int
    time: datetime
    content: Mapping[str, Any]

    @property
    def gate(self) -> str:
        """The gate's name."""
        return str(self.content["gate"])

    @property
    def verdict(self) -> str:
        """The gate's verdict."""
        return str(self.content["verdict"])

    @property
    def drop(self) -> Mapping[str, float | None]:
        """The drop: ``value``, ``low``, ``high``."""
        drop: Mapping[str, float | None] = self.content["drop"]
        return drop

    @property
    def label(self) -> str:
        """The commit, shortened where it is a hash, else the day."""
        commit = str(self.content["commit"] or "")
        if not commit:
            return self.day
        is_hash = len(commit) >= 40 and all(letter in "0123456789abcdef" for letter in commit)
        return commit[:8] if is_hash else commit

    @property
    def day(self) -> str:
        """The day, in the time zone of the line."""
        return self.time.date().isoformat()

    @property
    def called(self) -> str:
        """Commit and day, as texts name a line."""
        return self.day if self.label == self.day else f"{self.label} ({self.day})"

    def series(self) -> dict[str, Any]:
        """Return what must be equal in two lines for their drops to be compared."""
        found = {key: self.content[key] for key in _SERIES if key in self.content}
        return {**found, "level": self.content["drop"].get("level"), "data": self.content["data"].get("digest")}


@dataclass(frozen=True)
class DamagedLine:
    """A line of a history that cannot be read, and why."""

    number: int
    why: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.why}"


def read_history(path: Path) -> tuple[list[HistoryLine], list[DamagedLine]]:
    """Return the lines of a history in the order of the file, and those that are damaged."""
    found, damaged = list[HistoryLine](), list[DamagedLine]()
    for number, row in enumerate(read_file(path, "the history", SpecError).split(b"\n"), 1):
        if not row.strip():
            continue
        try:
            found.append(_line(number, json.loads(row.decode("utf-8"))))
        except json.JSONDecodeError as error:
            damaged.append(DamagedLine(number, f"it is no JSON: {error.msg} at letter {error.colno}"))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            shown = f"there is no {error}" if isinstance(error, KeyError) else str(error)
            damaged.append(DamagedLine(number, shown))
    return found, damaged


def _line(number: int, content: Any) -> HistoryLine:
    if not isinstance(content, dict):
        raise TypeError("it is no line of a history")
    if content["schema"] != HISTORY_SCHEMA:
        raise ValueError(f"its schema is {content['schema']!r}, this version reads {HISTORY_SCHEMA}")
    checks: tuple[tuple[str, Callable[[Any], bool]], ...] = (
        *((key, _is_text) for key in ("gate", "verdict", "metric", "plan")),
        ("commit", lambda value: value is None or _is_text(value)),
        ("limit", _is_number),
        ("drop", _is_numbers),
        ("ap", _is_numbers),
        ("data", lambda value: isinstance(value, dict)),
        ("detector", lambda value: isinstance(value, dict) and isinstance(value.get("fingerprint"), str | None)),
        ("rules", lambda value: isinstance(value, dict)),
    )
    counts = {key: content.get(key) for key in ("images", "crops", "objects")}  # which a line may do without
    for key, is_right in (*checks, *((key, _is_number) for key in counts)):
        if not is_right(counts[key] if key in counts else content[key]):
            raise ValueError(f"its {key} is {content[key]!r}"[:200])
    _ = content["drop"]["value"], content["drop"]["low"], content["drop"]["high"], content["seed"]
    time = datetime.fromisoformat(str(content["time"]).replace("Z", "+00:00"))
    if time.tzinfo is None:
        raise ValueError(f"its time {content['time']!r} has no time zone")
    return HistoryLine(number, time, content)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: Any) -> bool:
    if value is None:
        return True
    most = sys.float_info.max  # JSON has whole numbers beyond it
    return isinstance(value, int | float) and not isinstance(value, bool) and -most <= value <= most


def _is_numbers(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))
