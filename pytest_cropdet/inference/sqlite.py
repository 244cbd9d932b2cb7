"""One SQLite file that many processes share, none of which ever fails because of it.

A damaged file is set aside and a new one begun; a full disk, a missing right or a file that stays locked costs a
warning, and from then on nothing is written, or nothing is read either.
"""

import os
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pytest_cropdet.files import make_folder

__all__ = ["CacheWarning", "Database"]

T = TypeVar("T")

_NOT_THE_FILES_FAULT = ("locked", "busy", "unable to open", "disk i/o", "out of memory", "interrupted", "protocol")
# beside SQLite's own: what its texts and sizes become where a damaged file made them
_FAILURES = (sqlite3.Error, OSError, ValueError, OverflowError, MemoryError, SystemError)
_NO_ROOM = ("full", "readonly")


class CacheWarning(UserWarning):
    """The cache could not be used as it is; the run goes on without what it cannot read or write."""


class Database:
    """The file ``path`` with the tables that ``tables`` (SQL) makes, made in the first transaction that writes."""

    def __init__(self, path: Path, tables: str, version: int) -> None:
        self.path = path
        self._tables = tables
        self._version = version
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None
        self._reads = self._writes = True

    def read(self, query: str, *values: object) -> Any:
        """Return the row that ``query`` finds, ``None`` if there is none or the file fails; makes no file."""
        with self._lock:
            if not self._reads or (self._connection is None and not self.path.exists()):
                return None
            return self._do(lambda db: db.execute(query, values).fetchone())

    def write(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what ``action`` does in a transaction of its own; ``None`` if the file fails."""

        def transaction(db: sqlite3.Connection) -> T:
            db.execute("BEGIN IMMEDIATE")
            try:
                result = action(db)
                db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
                raise
            return result

        with self._lock:
            return self._do(transaction) if self._writes else None

    def _do(self, action: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what ``action`` does; a damaged file is set aside once, anything else costs a warning."""
        for attempt in range(2):
            try:
                return action(self._open())
            except _FAILURES as error:
                if attempt == 0 and self._is_damage(error):
                    self._set_aside(error)
                else:
                    self._give_up(error)
                    return None
        return None

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        make_folder(self.path.parent)
        self._opened = _identity(self.path)
        db = sqlite3.connect(self.path, timeout=60, check_same_thread=False, isolation_level=None)
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        self._opened = _identity(self.path)
        self._connection = db
        return db

    def _is_damage(self, error: Exception) -> bool:
        """Whether an error shows a damaged file, and not a place that cannot be read or written, or is full."""
        if isinstance(error, (ValueError, OverflowError, SystemError)):  # such as a text that is no UTF-8
            return True
        text = str(error).lower()
        if not isinstance(error, sqlite3.Error) or any(each in text for each in _NOT_THE_FILES_FAULT):
            return False
        if "readonly" in text:  # as a header says whose bytes were changed
            return all(os.access(each, os.W_OK) for each in (self.path, self.path.parent))
        return "full" not in text

    def remove(self) -> None:
        """Remove the file, and one that was set aside."""
        self.close()
        try:
            for path in (*self._files(), self._aside):
                path.unlink(missing_ok=True)
        except OSError as error:
            _warn(f"the cache {self.path} could not be removed: {error}")

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with self._lock:
            if self._connection is not None:
                with suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None

    def __del__(self) -> None:
        """Close the file of a database that nobody uses any more: Python 3.13 warns of one that is left open."""
        self.close()

    @property
    def _aside(self) -> Path:
        return self.path.with_suffix(".damaged")

    def _files(self) -> list[Path]:
        return [Path(f"{self.path}{ending}") for ending in ("-wal", "-shm", "")]

    def _set_aside(self, error: Exception) -> None:
        self.close()
        if _identity(self.path) != self._opened:  # another process did it already
            return
        with suppress(OSError):
            for path in self._files()[:2]:
                path.unlink(missing_ok=True)
            self.path.replace(self._aside)
        _warn(f"the cache {self.path} is damaged ({error}); set aside as {self._aside.name}")

    def _give_up(self, error: Exception) -> None:
        """Write no more; and read no more either, unless the file is open and only cannot grow or be written."""
        self._writes = False
        if self._connection is None or not any(each in str(error).lower() for each in _NO_ROOM):
            self._reads = False
            self.close()
        _warn(f"the cache {self.path} cannot be used, so nothing more is stored: {error}")

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Make a connection ready: the journal's mode, the tables; ``DatabaseError`` if the format is another."""
        _switch_to_wal(db)
        db.execute("PRAGMA synchronous = NORMAL")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, self._version):
            raise sqlite3.DatabaseError(f"it has format {version}, not {self._version}")
        if version == 0:
            db.executescript(f"BEGIN IMMEDIATE; {self._tables} PRAGMA user_version = {self._version}; COMMIT;")


def _switch_to_wal(db: sqlite3.Connection) -> None:
    """Switch a new file to write-ahead logging, for which SQLite does not wait when others do so, too."""
    deadline = time.monotonic() + 10
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _warn(text: str) -> None:
    warnings.warn(text, CacheWarning, stacklevel=3)
