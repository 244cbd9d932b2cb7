"""Files at URLs, through fsspec: object stores, web servers, and whatever else a file system was written for.

Each call has a time-out and is repeated where it may help; fsspec and its drivers take credentials from where they
always do. A URL is only ever one that the user wrote: none in a data set is followed.
"""

import asyncio
import importlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, TypeVar
from urllib.parse import quote, urlsplit

from pytest_cropdet.data.archive_members import LARGEST_MEMBER
from pytest_cropdet.data.image_files import leads_out
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import shown_url

__all__ = ["RemoteFiles"]

CALL_SECONDS = 60.0  # that one call may take; a file longer than _CHUNK takes several
CALL_ATTEMPTS = 4
FIRST_PAUSE = 0.25  # seconds before the second attempt; twice as long before each further one
_CHUNK = 16 << 20  # bytes of one call
_TOGETHER = 256  # small files of one call
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, NotImplementedError)
_DRIVERS = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"} | {
    "http": "aiohttp",
    "https": "aiohttp",
}
_OF_NETWORK = ("aiohttp", "botocore", "gcsfs", "s3fs", "fsspec", "requests", "urllib3", "azure")

T = TypeVar("T")


class RemoteFiles:
    """The files below a URL by their names. A web server lists none; what is there is found when it is read.

    ``shown``: what messages call the URL; ``lists``: whether it can say which files there are.
    """

    def __init__(self, url: str) -> None:
        self.url, self.shown = url, shown_url(url)
        self.query = ""
        if urlsplit(url.rpartition("::")[2]).scheme in ("http", "https") and "?" in url:
            url, _, self.query = url.partition("?")
        self._plain, self._process = url, os.getpid()
        self._opened, self.root = _system_of(url, self.shown)
        protocol = self._opened.protocol
        self.lists = "http" not in ((protocol,) if isinstance(protocol, str) else protocol)
        self.packed: int | None = None  # of no archive
        self._sizes: dict[str, int | None] | None = None

    @property
    def _system(self) -> Any:
        """The file system, another one after a fork, for its threads are not there."""
        if self._process != os.getpid():
            self._opened, self._process = _system_of(self._plain, self.shown)[0], os.getpid()
        return self._opened

    def is_file(self) -> bool:
        """Return whether the URL is that of one file; of a web server it is one, unless it ends with a slash."""
        if not self.lists:
            return not self.url.endswith("/")
        return bool(self._do(self._system.isfile, self.root))

    def names(self) -> list[str]:
        """Return the names of all files below the URL in order."""
        return sorted(self._listed())

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or leads_out(name) or not name:
            return False
        return not self.lists or name in self._listed()

    def exists(self, name: str) -> bool:
        """Return whether there is a file of that name, by a call of its own."""
        return bool(self._do(self._system.exists, self._path(name), name=name))

    def size(self, name: str) -> int | None:
        """Return how many bytes a file has, as far as it is known."""
        if self._sizes is not None:
            return self._sizes.get(name)
        found = self._do(self._system.info, self._path(name), name=name).get("size")
        return None if found is None else int(found)

    def read(self, name: str) -> bytes:
        """Return a file's content; ``DataError`` names its URL."""
        size = self.size(name) if self.lists else None
        if size is not None and size > LARGEST_MEMBER:
            raise DataError(f"{self._shown(name)} has {size:,} bytes; at most {LARGEST_MEMBER:,} are read of one file")
        return b"".join(self.parts(name)) if size is not None and size > _CHUNK else self._whole(name)

    def head(self, name: str, count: int) -> bytes:
        """Return the first ``count`` bytes of a file, or more."""
        return bytes(self._do(self._system.cat_file, self._path(name), start=0, end=count, name=name))

    def parts(self, name: str) -> Iterator[bytes]:
        """Yield a file's content piece by piece, each by a call of its own."""
        size = self.size(name)
        if size is None or size <= _CHUNK:
            yield self._whole(name)
            return
        for start in range(0, size, _CHUNK):
            end = min(start + _CHUNK, size)
            part = bytes(self._do(self._system.cat_file, self._path(name), start=start, end=end, name=name))
            if len(part) == size and start == 0:  # a server that knows no ranges
                yield part
                return
            if len(part) != end - start:
                raise DataError(f"cannot read {self._shown(name)}: {len(part):,} bytes in place of {end - start:,}")
            yield part

    def read_all(self, names: Sequence[str], count: int | None = None) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of many small files, or their first ``count`` bytes, many files a call."""
        for first in range(0, len(names), _TOGETHER):
            some = names[first : first + _TOGETHER]
            start = None if count is None else 0
            paths = [self._path(name) for name in some]
            found = self._do(self._system.cat_ranges, paths, start, count, on_error="return")
            for name, value in zip(some, found, strict=True):
                if isinstance(value, (bytes, bytearray)):
                    yield name, bytes(value)
                else:  # what went wrong is tried again by itself
                    yield name, self._whole(name) if count is None else self.head(name, count)

    def opener(self) -> Callable[[], IO[bytes]]:
        """Return what opens the one file that the URL names, to be read from any place on."""
        return _RemoteOpener(self)

    def _whole(self, name: str) -> bytes:
        return bytes(self._do(self._system.cat_file, self._path(name), name=name))

    def _listed(self) -> dict[str, int | None]:
        if self._sizes is None:
            if not self.lists:
                raise DataError(
                    f"{self.shown}: a web server does not list its files; name one file: a COCO JSON, a CSV, or an "
                    "archive (.zip, .tar)"
                )
            found = self._do(self._system.find, self.root, detail=True)
            start = len(self.root.rstrip("/")) + 1
            self._sizes = {
                path[start:]: info.get("size")
                for path, info in found.items()
                if info.get("type") == "file" and not leads_out(path[start:])
            }
        return self._sizes

    def _path(self, name: str) -> str:
        if not name:
            return self.root + (f"?{self.query}" if self.query else "")
        inside = name if self.lists else quote(name)
        return f"{self.root.rstrip('/')}/{inside}"

    def _shown(self, name: str) -> str:
        return self.shown if not name else f"{self.shown.rstrip('/')}/{name}"

    def _do(self, call: Callable[..., T], *given: Any, name: str = "", **more: Any) -> T:
        """Return what a call returns, tried again where that may help; ``DataError`` names the URL."""
        shown = self._shown(name)
        for attempt in range(1, CALL_ATTEMPTS + 1):
            try:
                return _in_time(call, *given, **more)
            except FileNotFoundError as error:
                raise DataError(f"cannot read {shown}: no such file") from error
            except Exception as error:
                if attempt == CALL_ATTEMPTS or not _may_pass(error):
                    times = f", after {attempt} attempts" if attempt > 1 else ""
                    text = " ".join(str(error).split())[:300] or "no reason given"
                    raise DataError(f"cannot read {shown}: {type(error).__name__}: {text}{times}") from error
            time.sleep(FIRST_PAUSE * 2 ** (attempt - 1) * (1 + random.random()))
        raise AssertionError

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "_sizes": self._sizes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["url"])  # type: ignore[misc]
        self._sizes = state["_sizes"]

    def __repr__(self) -> str:
        return f"RemoteFiles({self.shown!r})"


class _RemoteOpener:
    """Opens a file at a URL, in any process."""

    def __init__(self, files: RemoteFiles) -> None:
        self.files = files

    def __call__(self) -> IO[bytes]:
        return _Ranges(self.files)  # type: ignore[return-value]


class _Ranges:
    """A file at a URL as a stream that can be read from any place on; each piece is a call with retries."""

    def __init__(self, files: RemoteFiles) -> None:
        self.files, self.place = files, 0
        size = files.size("")
        if size is None:
            raise DataError(f"{files.shown}: the server does not say how long the file is; download it first")
        self.length = size
        self._start, self._held = 0, b""

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, place: int, whence: int = 0) -> int:
        self.place = max(0, (0, self.place, self.length)[whence] + place)
        return self.place

    def read(self, count: int | None = -1) -> bytes:
        end = self.length if count is None or count < 0 else min(self.place + count, self.length)
        parts = []
        while self.place < end:
            if not self._start <= self.place < self._start + len(self._held):
                self._hold(self.place, max(end - self.place, 1 << 18))
            offset = self.place - self._start
            part = self._held[offset : offset + end - self.place]
            parts.append(part)
            self.place += len(part)
        return b"".join(parts)

    def _hold(self, start: int, count: int) -> None:
        files = self.files
        end = min(start + min(count, _CHUNK), self.length)
        found = bytes(files._do(files._system.cat_file, files._path(""), start=start, end=end))
        if len(found) not in (end - start, self.length):
            raise DataError(f"cannot read {files.shown}: {len(found):,} bytes in place of {end - start:,}")
        self._start, self._held = (start if len(found) == end - start else 0), found

    def close(self) -> None:
        self._held = b""

    def __enter__(self) -> "_Ranges":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _system_of(url: str, shown: str) -> tuple[Any, str]:
    """Return the file system of a URL and the path in it; ``DataError`` says what to install."""
    try:
        core = importlib.import_module("fsspec.core")
    except ImportError as error:
        raise DataError(f"{shown} is read through fsspec: pip install 'pytest-cropdet[remote]'") from error
    schemes = [part.partition("://")[0] for part in url.split("::")]
    try:
        system, path = core.url_to_fs(url)
    except ImportError as error:
        scheme = next((each for each in schemes if each in _DRIVERS), schemes[-1])
        driver = _DRIVERS.get(scheme)
        line = f"pip install 'pytest-cropdet[remote]' {driver}" if driver else "install its package for fsspec"
        raise DataError(f"{shown} needs {driver or 'another package'} ({error}): {line}") from error
    except Exception as error:
        known = " ".join(str(error).split())[:200]
        raise DataError(f"cannot open {shown}: {type(error).__name__}: {known}") from error
    return system, str(path)


def _may_pass(error: Exception) -> bool:
    """Return whether another attempt may succeed."""
    if isinstance(error, _FINAL):
        return False
    status = getattr(error, "status", getattr(error, "code", None))
    if isinstance(status, int) and 400 <= status < 500 and status not in (408, 425, 429):
        return False
    of_network = type(error).__module__.partition(".")[0] in _OF_NETWORK
    return of_network or isinstance(error, (OSError, TimeoutError, asyncio.TimeoutError))


def _in_time(call: Callable[..., T], *given: Any, **more: Any) -> T:
    """Return what a call returns; ``TimeoutError`` if that takes too long. The call is then left behind."""
    found: list[Any] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            found.append(call(*given, **more))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True, name="cropdet-remote")
    thread.start()
    thread.join(CALL_SECONDS)
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError(f"no answer within {CALL_SECONDS:g} s")
    return found[0]  # type: ignore[no-any-return]
