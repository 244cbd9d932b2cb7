"""What zip and tar archives have in common: files by name, read one by one, by threads and in other processes."""

import lzma
import os
import posixpath
import struct
import tarfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from threading import RLock
from typing import IO, Any

from pytest_cropdet.data.image_files import leads_out
from pytest_cropdet.errors import DataError

__all__ = ["LARGEST_MEMBER", "Archive", "Opener"]

LARGEST_MEMBER = 1 << 28  # bytes of an encoded image
_MOST_MEMBERS = 5_000_000
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, OSError, EOFError, struct.error)
Opener = Callable[[], IO[bytes]]

_opened_archives: "weakref.WeakSet[Archive]" = weakref.WeakSet()


def _after_fork() -> None:
    for archive in list(_opened_archives):
        archive.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Archive:
    """An archive's regular files by name. It may be used by threads, and after a fork or in another process.

    ``shown``: what messages call it; ``lists``: whether it can say which files there are; ``packed``: its own bytes.
    """

    lists = True

    def __init__(self, shown: str, opener: Opener) -> None:
        self.shown, self.opener = shown, opener
        self.packed: int | None = None
        self._members: dict[str, Any] = {}
        self._lock = RLock()
        self._handle: Any = None
        self._raw: IO[bytes] | None = None
        _opened_archives.add(self)
        try:
            with self._lock:
                self._list()
                self.packed = _length(self._raw)
        except DataError:
            self.close()
            raise
        except (*_BROKEN, NotImplementedError, ValueError, OverflowError) as error:
            self.close()
            raise DataError(
                f"cannot read the archive {shown}: it is damaged, or no archive ({_said(error)})"
            ) from error

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def names(self) -> list[str]:
        """Return the names of its files in order."""
        return sorted(self._members)

    def read(self, name: str) -> bytes:
        """Return a file's content; ``DataError`` if it is damaged, or larger than an image may be."""
        if self.size(name) > LARGEST_MEMBER:
            raise DataError(
                f"{self.shown}: {name} has {self.size(name):,} bytes; at most {LARGEST_MEMBER:,} are read of one file"
            )
        return self.head(name, LARGEST_MEMBER)

    def head(self, name: str, count: int) -> bytes:
        """Return the first ``count`` bytes of a file, all of them if there are no more."""
        return b"".join(self.parts(name, count))

    def parts(self, name: str, count: int | None = None) -> Iterator[bytes]:
        """Yield a file's content, or the first ``count`` bytes of it, piece by piece."""
        try:
            with self._lock, self._open(name) as stream:
                left = self.size(name) if count is None else min(count, self.size(name))
                whole = left == self.size(name)
                while left > 0:
                    part = stream.read(min(left, 1 << 22))
                    if not part:
                        raise EOFError("it ends too early")
                    left -= len(part)
                    yield part
                if whole and stream.read(1):  # the last read is what checks the checksum of a zip's member
                    raise EOFError("it is longer than the archive says")
        except (*_BROKEN, NotImplementedError, RuntimeError) as error:
            raise DataError(f"{self.shown}: {name} cannot be read: it is damaged ({_said(error)})") from error

    def size(self, name: str) -> int:
        """Return how many bytes a file has."""
        raise NotImplementedError

    def _list(self) -> None:
        raise NotImplementedError

    def _open(self, name: str) -> IO[bytes]:
        raise NotImplementedError

    def read_all(self, names: Sequence[str], count: int | None = None) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of many files, or their first ``count`` bytes."""
        for name in names:
            yield name, b"".join(self.parts(name, count))

    def exists(self, name: str) -> bool:
        """Return whether there is a file of that name."""
        return name in self

    def _opened(self) -> Any:
        """Return this process's own handle: one that is shared with another process would be moved by it."""
        if self._handle is None:
            self._raw = self.opener()
            self._handle = self._handle_of(self._raw)
        return self._handle

    def _handle_of(self, stream: IO[bytes]) -> Any:
        return stream

    def _add(self, name: str, member: Any) -> None:
        """Take a file up; what archivers of macOS put beside each file is none."""
        plain = name.replace("\\", "/")
        if leads_out(plain) or "\0" in plain:
            raise DataError(
                f"the archive {self.shown} contains {name[:80]!r}, a name that leads out of the archive: refused"
            )
        plain = posixpath.normpath(plain)
        if plain.startswith("__MACOSX/") or posixpath.basename(plain).startswith("._"):
            return
        if plain in self._members:
            raise DataError(f"the archive {self.shown} contains {plain[:80]!r} twice")
        if len(self._members) >= _MOST_MEMBERS:
            raise DataError(f"the archive {self.shown} contains more than {_MOST_MEMBERS:,} files")
        self._members[plain] = member

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with self._lock:
            handle, raw, self._handle, self._raw = self._handle, self._raw, None, None
            for each in (handle, raw):
                if each is not None:
                    with suppress(OSError, ValueError):
                        each.close()

    def forget(self) -> None:
        """Leave lock and file to the process that this one was forked from."""
        self._lock = RLock()
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_raw", None) is not None:
            self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "_handle": None, "_raw": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=RLock())
        _opened_archives.add(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shown!r}, {len(self)} files)"


def _length(stream: IO[bytes] | None) -> int:
    if stream is None:
        return 0
    place = stream.tell()
    stream.seek(0, os.SEEK_END)
    length = stream.tell()
    stream.seek(place)
    return length


def _said(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200] or type(error).__name__
