"""Zip and tar archives: which files are in one, and their bytes, read one by one without unpacking.

Nothing of an archive is written to a place that the archive names, and no member is larger than an image may be.
"""

import lzma
import os
import posixpath
import tarfile
import tempfile
import weakref
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from pytest_cropdet.data.archive_members import Archive, Opener
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import refuse_pointer, refuse_special

__all__ = ["ARCHIVE_ENDINGS", "is_archive_name", "open_archive"]

_COPIED_RATIO = 20  # by which a compressed tar of images may grow; photographs hardly do
_COPIED_FREELY = 64 << 20  # bytes to which it may grow in any case
ARCHIVE_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_BLOCK = 512  # bytes, of which a tar consists
_ENCRYPTED = 1  # of a zip member's flags


def is_archive_name(name: str) -> bool:
    """Return whether a file's name is that of an archive.

    >>> is_archive_name("val2017.zip"), is_archive_name("images.tar.gz"), is_archive_name("val.record.gz")
    (True, True, False)
    """
    return name.lower().endswith(ARCHIVE_ENDINGS)


def open_archive(shown: str, opener: Opener | None = None) -> Archive:
    """Return the archive that ``opener`` opens, else the file ``shown``; ``DataError`` says what is wrong with it."""
    if opener is None:
        refuse_special(Path(shown), "the archive")
        refuse_pointer(Path(shown), "the archive")
        opener = _Reopened(shown)
    kind = _ZipArchive if shown.lower().partition("?")[0].endswith(".zip") else _TarArchive
    return kind(shown, opener)


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


def _remove(path: str, process: int) -> None:
    if os.getpid() == process:
        with suppress(OSError):
            Path(path).unlink()
