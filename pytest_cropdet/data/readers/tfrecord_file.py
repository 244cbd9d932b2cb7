"""The file format of TFRecords: lengths, contents and their checksums, read one record at a time.

A record is 8 bytes of length, 4 of its checksum, the content, and 4 of that one's checksum (CRC-32C, masked). In a
plain file a record is found by its place; a gzip file has to be unpacked from its beginning up to it.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import IO, Any, cast

from pytest_cropdet.data.optional import import_extra
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import refuse_pointer, refuse_special

__all__ = ["GZIP", "RecordFile", "is_record_file"]

_LARGEST_RECORD = 1 << 26  # bytes; an image and its annotations
GZIP = b"\x1f\x8b"
_HEAD = 12


class RecordFile:
    """A TFRecord file. Its records are read in order; one is read again by its ``place``, in bytes of the content."""

    def __init__(self, path: Path) -> None:
        refuse_special(path, "the TFRecord")
        refuse_pointer(path, "the TFRecord")
        self.path = path
        self._crc = import_extra("google_crc32c", "a TFRecord")
        with path.open("rb") as stream:
            self.zipped = stream.read(2) == GZIP
        self._lock, self._at = Lock(), 0
        self._stream: IO[bytes] | None = None

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield place and content of each record, checksums checked."""
        with self._open() as stream:
            place, number = 0, 1
            while True:
                content = self._record(stream, f"record {number}")
                if content is None:
                    return
                yield place, content
                place += _HEAD + len(content) + 4
                number += 1

    def at(self, place: int) -> bytes:
        """Return the record at a place, checksums checked. In a gzip file, one that lies before costs a new start."""
        where = f"the record at byte {place:,}"
        if not self.zipped:
            with self._open() as stream:
                stream.seek(place)
                return self._there(stream, where)
        with self._lock:
            if self._stream is None or self._at > place:
                self.close()
                self._stream, self._at = self._open(), 0
            while self._at < place:  # in steps, so that what lies between is never in memory at once
                step = len(self._read(self._stream, min(1 << 20, place - self._at), where))
                self._at = self._at + step if step else place
            content = self._there(self._stream, where)
            self._at = place + _HEAD + len(content) + 4
            return content

    def _there(self, stream: IO[bytes], where: str) -> bytes:
        content = self._record(stream, where)
        if content is None:
            raise DataError(f"{self.path}: {where} is missing: the file has changed")
        return content

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the file that :meth:`at` keeps open."""
        stream, self._stream = getattr(self, "_stream", None), None
        if stream is not None:
            stream.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "zipped": self.zipped}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["path"])  # type: ignore[misc]

    def _open(self) -> IO[bytes]:
        if self.zipped:
            return cast("IO[bytes]", gzip.open(self.path, "rb"))
        return self.path.open("rb")

    def _record(self, stream: IO[bytes], where: str) -> bytes | None:
        head = self._read(stream, _HEAD, where)
        if not head:
            return None
        if len(head) < _HEAD:
            raise DataError(f"{self.path}: {where} is cut off: the file ends in its length")
        length, checksum = struct.unpack("<QI", head)
        if self._masked(head[:8]) != checksum:
            raise DataError(
                f"{self.path}: {where}: the checksum of its length is wrong; the file is damaged, or no TFRecord"
            )
        if length > _LARGEST_RECORD:
            raise DataError(
                f"{self.path}: {where} has a length of {length:,} bytes; at most {_LARGEST_RECORD:,} are read"
            )
        content = self._read(stream, length + 4, where)
        if len(content) < length + 4:
            raise DataError(f"{self.path}: {where} is cut off: {len(content):,} of {length + 4:,} bytes")
        if self._masked(content[:-4]) != struct.unpack("<I", content[-4:])[0]:
            raise DataError(f"{self.path}: {where}: the checksum of its content is wrong; the file is damaged")
        return content[:-4]

    def _read(self, stream: IO[bytes], count: int, where: str) -> bytes:
        try:
            return stream.read(count)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{self.path}: {where}: cannot be read: {error}") from error

    def _masked(self, data: bytes) -> int:
        """Return the checksum as the format writes it: turned by 15 bits, with a constant added."""
        crc = int(self._crc.value(data))
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def is_record_file(path: Path) -> bool:
    """Return whether the first record's length and its checksum fit, or, of a gzip file, whether it is one."""
    try:
        crc = import_extra("google_crc32c", "a TFRecord")
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except (DataError, OSError):
        return False
    if head[:2] == GZIP:
        return True
    if len(head) < _HEAD:
        return False
    value = int(crc.value(head[:8]))
    return bool(((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF == struct.unpack("<I", head[8:])[0])
