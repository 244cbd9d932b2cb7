"""Detections on disk, by content: no batch is computed twice.

One SQLite file, shared by runs and by xdist's workers. A batch's key holds all that can change its answer: the content
of the image files, the decoder, the windows, the rendering, the detector's fingerprint and the runtime's version. So
nothing has to be invalidated; what no longer fits is simply never asked for, and goes when the file grows too large.

A process that is about to compute a batch says so with a claim; others do something else in the meantime, and take over
a claim whose process has died or whose time has run out.
"""

import hashlib
import json
import operator
import os
import socket
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pytest_cropdet.data import Detections, Sample
from pytest_cropdet.files import may_live
from pytest_cropdet.inference.sqlite import CacheWarning, Database

__all__ = ["Cache", "CacheWarning", "file_digest", "pack", "unpack"]

FORMAT = 1  # of the file; another one is set aside
LIMIT = 2 << 30  # bytes of answers, by default
CLAIM_SECONDS = 120.0
FRESH_SECONDS = 2.0  # a file changed this lately may change again within one tick of its clock, so its hash is not kept

_TABLES = """
CREATE TABLE IF NOT EXISTS batches (key TEXT PRIMARY KEY, answer BLOB, check_sum TEXT, used INTEGER);
CREATE INDEX IF NOT EXISTS by_use ON batches (used);
CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT, until REAL);
CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, hash TEXT, check_sum TEXT);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT, check_sum TEXT);
"""


class Cache:
    """Answers of detectors in a folder's ``cache.sqlite``. Errors of the file cost a warning, never the run."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._database = Database(folder / "cache.sqlite", _TABLES, FORMAT)
        self._limit = limit
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._pending = 0

    @property
    def path(self) -> Path:
        """The file; it is made when something is stored."""
        return self._database.path

    def get(self, key: str) -> list[Detections] | None:
        """Return the answer of a batch; ``None`` if it is not known, or does not match its own check sum."""
        row = self._database.read("SELECT answer, check_sum FROM batches WHERE key = ?", key)
        if row is None:
            return None
        answer, check_sum = row
        if not isinstance(answer, bytes) or _check_sum(key, answer) != check_sum:
            self._database.write(lambda db: db.execute("DELETE FROM batches WHERE key = ?", (key,)))
            return None
        try:
            found = unpack(answer)
        except ValueError:
            return None
        self._database.write(lambda db: db.execute("UPDATE batches SET used = ? WHERE key = ?", (time.time_ns(), key)))
        return found

    def put(self, key: str, found: Sequence[Detections]) -> None:
        """Keep the answer of a batch, and give up the claim on it."""
        answer = pack(found)
        row = (key, answer, _check_sum(key, answer), time.time_ns())

        def write(db: sqlite3.Connection) -> None:
            db.execute("INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?)", row)
            db.execute("DELETE FROM claims WHERE key = ?", (key,))

        self._database.write(write)
        self._pending += len(answer)
        if self._pending > self._limit // 20:
            self._pending = 0
            self.evict()

    def claim(self, key: str) -> bool:
        """Return whether this process may compute a batch: nobody else who is alive is about to have it."""

        def write(db: sqlite3.Connection) -> bool:
            now = time.time()
            row = db.execute("SELECT owner, until FROM claims WHERE key = ?", (key,)).fetchone()
            if row is not None and row[0] != self._owner and _holds(row[0], row[1], now):
                return False
            db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", (key, self._owner, now + CLAIM_SECONDS))
            return True

        return self._database.write(write) is not False

    def release(self, key: str) -> None:
        """Give up a claim without an answer."""
        self._database.write(
            lambda db: db.execute("DELETE FROM claims WHERE key = ? AND owner = ?", (key, self._owner))
        )

    def evict(self) -> None:
        """Forget the answers that were not asked for longest, until nine tenths of the limit are left."""

        def write(db: sqlite3.Connection) -> None:
            total = db.execute("SELECT COALESCE(SUM(LENGTH(answer)), 0) FROM batches").fetchone()[0]
            if total <= self._limit:
                return
            for row, size in db.execute("SELECT rowid, LENGTH(answer) FROM batches ORDER BY used").fetchall():
                db.execute("DELETE FROM batches WHERE rowid = ?", (row,))
                total -= size or 0
                if total <= self._limit * 0.9:
                    break

        self._database.write(write)

    def file_hash(self, path: Path) -> str:
        """Return a hash of a file's content, from memory while its size and time of change are the same."""
        state = path.stat()
        known = (str(path.absolute()), state.st_size, state.st_mtime_ns)
        row = self._database.read(
            "SELECT hash, check_sum FROM files WHERE path = ? AND size = ? AND changed = ?", *known
        )
        if row is not None and _check_sum(*known, row[0]) == row[1]:
            return str(row[0])
        found = file_digest(path)
        if time.time() - state.st_mtime > FRESH_SECONDS:
            kept = (*known, found, _check_sum(*known, found))
            self._database.write(lambda db: db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", kept))
        return found

    def content_hash(self, sample: Sample) -> str | None:
        """Return a hash of a sample's encoded image; ``None`` if it is neither a file nor states one itself."""
        return self.file_hash(sample.path) if sample.path is not None else sample.content_hash()

    def fact(self, name: str) -> Any:
        """Return what was remembered under ``name``, ``None`` if nothing was."""
        row = self._database.read("SELECT value, check_sum FROM facts WHERE name = ?", name)
        return None if row is None or _check_sum(name, row[0]) != row[1] else json.loads(row[0])

    def remember(self, name: str, value: Any) -> None:
        """Keep a small value, as JSON."""
        text = json.dumps(value)
        row = (name, text, _check_sum(name, text))
        self._database.write(lambda db: db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", row))

    def clear(self) -> None:
        """Remove the file."""
        self._database.remove()

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        self._database.close()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pack(found: Sequence[Detections]) -> bytes:
    """Return detections as bytes: a line of JSON with the counts, then the arrays."""
    head = json.dumps({"rows": [len(each) for each in found], "capped": [bool(each.capped) for each in found]})
    parts = [head.encode("ascii"), b"\n"]
    for each in found:
        parts += [
            np.ascontiguousarray(each.boxes, "<f8").tobytes(),
            np.ascontiguousarray(each.scores, "<f8").tobytes(),
            np.ascontiguousarray(each.categories, "<i8").tobytes(),
        ]
    return b"".join(parts)


def unpack(data: bytes) -> list[Detections]:
    """Return the detections that :func:`pack` wrote; ``ValueError`` if the bytes do not add up."""
    line, end, rest = data.partition(b"\n")
    try:
        head = json.loads(line)
        counts, capped = [operator.index(each) for each in head["rows"]], [bool(each) for each in head["capped"]]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"its first line does not say how many rows there are: {error}") from error
    if not end or any(rows < 0 for rows in counts) or len(rest) != 48 * sum(counts):
        raise ValueError("the number of bytes does not fit the number of rows")
    found, place = [], 0
    for rows, cap in zip(counts, capped, strict=True):
        boxes = np.frombuffer(rest, "<f8", 4 * rows, place).reshape(-1, 4)
        scores = np.frombuffer(rest, "<f8", rows, place + 32 * rows)
        categories = np.frombuffer(rest, "<i8", rows, place + 40 * rows)
        found.append(Detections(boxes, scores, categories, cap))
        place += 48 * rows
    return found


def _check_sum(*parts: object) -> str:
    """Return a hash of values and of what they are."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode("utf-8", "backslashreplace")
        digest.update(b"%d:" % len(data) + data)
    return digest.hexdigest()


def _holds(owner: object, until: object, now: float) -> bool:
    """Return whether a claim stands: its time has not run out, and its process may still be at work."""
    if not isinstance(owner, str) or not isinstance(until, float) or not now < until <= now + CLAIM_SECONDS + 1:
        return False
    host, _, number = owner.rpartition(":")
    return may_live(host, number)
