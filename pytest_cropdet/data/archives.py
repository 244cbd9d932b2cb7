"""Zip and tar archives: which files are in one, and their bytes, read one by one without unpacking.

Nothing of an archive is written to a place that the archive names, and no member is larger than an image may be.
"""

import lzma
import os
import posixpath
import struct
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import RLock
from typing import IO, Any

from pytest_cropdet.data.image_files import leads_out
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import refuse_pointer, refuse_special

__all__ = ["ARCHIVE_ENDINGS", "LARGEST_MEMBER", "Archive", "is_archive_name", "open_archive"]

LARGEST_MEMBER = 1 << 28  # bytes of an encoded image
_COPIED_RATIO = 20  # by which a compressed tar of images may grow; photographs hardly do
_COPIED_FREELY = 64 << 20  # bytes to which it may grow in any case
ARCHIVE_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_BLOCK = 512  # bytes, of which a tar consists
_ENCRYPTED = 1  # of a zip member's flags
_MOST_MEMBERS = 5_000_000
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, OSError, EOFError, struct.error)
Opener = Callable[[], IO[bytes]]


def is_archive_name(name: str) -> bool:
    """Return whether a file's name is that of an archive.

    >>> is_archive_name("val2017.zip"), is_archive_name("images.tar.gz"), is_archive_name("val.record.gz")
    (True, True, False)
    """
    return name.lower().endswith(ARCHIVE_ENDINGS)


def open_archive(shown: str, opener: Opener | None = None) -> "Archive":
    """Return the archive that ``opener`` opens, else the file ``shown``; ``DataError`` says what is wrong with it."""
    if opener is None:
        refuse_special(Path(shown), "the archive")
        refuse_pointer(Path(shown), "the archive")
        opener = _Reopened(shown)
    kind = _ZipArchive if shown.lower().partition("?")[0].endswith(".zip") else _TarArchive
    return kind(shown, opener)


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


class _ZipArchive(Archive):
    """A zip; a member is its ``ZipInfo``."""

    def _handle_of(self, stream: IO[bytes]) -> zipfile.ZipFile:
        return zipfile.ZipFile(stream)

    def _list(self) -> None:
        for info in self._opened().infolist():
            if info.is_dir():
                continue
            if info.flag_bits & _ENCRYPTED:
                raise DataError(
                    f"the archive {self.shown} is encrypted ({info.filename[:80]}): unpack it with its password, and "
                    "name the folder"
                )
            self._add(info.filename, info)

    def size(self, name: str) -> int:
        return int(self._members[name].file_size)

    def _open(self, name: str) -> IO[bytes]:
        return self._opened().open(self._members[name])  # type: ignore[no-any-return]


class _TarArchive(Archive):
    """A tar; a member is where its bytes are, and how many. One that is compressed is copied, unpacked, to the disk."""

    def _list(self) -> None:
        start = self._opened().read(6)
        if start[:2] == b"\x1f\x8b" or start[:3] == b"BZh" or start == b"\xfd7zXZ\x00":
            self._unpack()
        stream = self._opened()
        stream.seek(0, os.SEEK_END)
        length = stream.tell()
        stream.seek(0)
        links: list[tuple[str, str]] = []
        with tarfile.open(fileobj=stream, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # which would all be kept
                if member.issparse():
                    raise DataError(f"the archive {self.shown} contains {member.name[:80]!r} as a sparse file: refused")
                if member.isreg():
                    if member.offset_data + member.size > length:
                        raise DataError(f"the archive {self.shown} is cut off in {member.name[:80]}")
                    self._add(member.name, (member.offset_data, member.size))
                elif member.islnk():
                    links.append((member.name, member.linkname))
                elif member.issym():
                    links.append((member.name, posixpath.join(posixpath.dirname(member.name), member.linkname)))
            end = tar.offset  # where the next file would be; no more may follow but the mark of the end
        stream.seek(end)
        if stream.read(_BLOCK) != bytes(_BLOCK):
            raise DataError(f"the archive {self.shown} is damaged, or cut off, after {end:,} bytes")
        for name, target in links:
            known = self._members.get(posixpath.normpath(target))  # another link, or what is not in it, is no file
            if known is not None:
                self._add(name, known)

    def _unpack(self) -> None:
        """Copy what is compressed to the disk: there is no way to a member but through all those before it."""
        stream = self._opened()
        stream.seek(0, os.SEEK_END)
        most = max(_COPIED_FREELY, _COPIED_RATIO * stream.tell())
        stream.seek(0)
        handle, place = tempfile.mkstemp(prefix="cropdet-", suffix=".tar")
        weakref.finalize(self, _remove, place, os.getpid())
        with os.fdopen(handle, "wb") as copy:
            for part in _decompressed(stream):
                if copy.tell() + len(part) > most:
                    raise DataError(
                        f"the archive {self.shown} grows to more than {most:,} bytes when it is unpacked, which no tar "
                        "of images does: refused; if it is one, unpack it, and name the folder"
                    )
                copy.write(part)
        self.close()
        self.opener = _Reopened(place)

    def size(self, name: str) -> int:
        return int(self._members[name][1])

    def _open(self, name: str) -> IO[bytes]:
        stream = self._opened()
        stream.seek(self._members[name][0])
        return _Part(stream, self.size(name))  # type: ignore[return-value]


class _Part:
    """So many bytes of a stream from where it is, as a stream that ends there and stays open."""

    def __init__(self, stream: IO[bytes], length: int) -> None:
        self.stream, self.left = stream, length

    def read(self, count: int) -> bytes:
        data = self.stream.read(min(count, self.left)) if self.left else b""
        self.left -= len(data)
        return data

    def __enter__(self) -> "_Part":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Reopened:
    """Opens a file of this disk by its path, in any process."""

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)

    def __call__(self) -> IO[bytes]:
        return open(self.path, "rb")  # noqa: PTH123


def _decompressed(stream: IO[bytes]) -> Iterator[bytes]:
    import bz2
    import gzip

    start = stream.read(3)
    stream.seek(0)
    opener: Any = bz2.BZ2File if start == b"BZh" else lzma.LZMAFile
    if start[:2] == b"\x1f\x8b":
        opener = partial(gzip.GzipFile, None, "rb", 9)  # whose fourth is the stream
    with opener(stream) as opened:
        while part := opened.read(1 << 20):
            yield part


def _length(stream: IO[bytes] | None) -> int:
    if stream is None:
        return 0
    place = stream.tell()
    stream.seek(0, os.SEEK_END)
    length = stream.tell()
    stream.seek(place)
    return length


def _remove(path: str, process: int) -> None:
    if os.getpid() == process:
        with suppress(OSError):
            Path(path).unlink()


def _said(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200] or type(error).__name__
