"""Images that are no files of this disk: members of an archive, or files at a URL.

Readers call them by paths below ``root``, as if the images were there; nothing is.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from pytest_cropdet.data.archives import is_archive_name, open_archive
from pytest_cropdet.data.image_files import IMAGE_ENDINGS, size_of_bytes
from pytest_cropdet.data.remote import RemoteFiles
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import is_url

__all__ = ["StoredImages", "is_stored", "open_store"]

_HEAD = 1 << 16  # bytes in which nearly every file says its size
_KEPT = 32 << 20  # bytes of images that were read last; most are hashed first, and decoded next


class FileSource(Protocol):
    """Files by their names, in an archive or at a URL, as ``shown`` says.

    ``lists``: whether it can say which files there are. ``packed``: how many bytes an archive has.
    """

    shown: str
    lists: bool
    packed: int | None

    def __contains__(self, name: object) -> bool: ...

    def names(self) -> list[str]:
        """Return the names of all files in order."""
        ...

    def exists(self, name: str) -> bool:
        """Return whether there is a file of that name, even where names are not listed."""
        ...

    def size(self, name: str) -> int | None:
        """Return how many bytes a file has, as far as it is known."""
        ...

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        ...

    def parts(self, name: str) -> Iterator[bytes]:
        """Yield a file's content piece by piece."""
        ...

    def read_all(self, names: Sequence[str], count: int | None = None) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of many files, or their first ``count`` bytes."""
        ...


def is_stored(path: str | Path) -> bool:
    """Return whether a path is a URL or an archive, not a folder or a file of data on this disk."""
    return is_url(path) or (is_archive_name(str(path)) and Path(path).is_file())


def open_store(path: str | Path) -> "StoredImages":
    """Return the images in an archive, on this disk or at a URL, or those at a URL."""
    text = str(path)
    return StoredImages(open_source(text), Path(text))


def is_archive_url(url: str) -> bool:
    """Return whether a URL is that of an archive; in one that begins with zip:// or tar://, fsspec opens it.

    >>> is_archive_url("s3://bucket/a.zip"), is_archive_url("zip://set::s3://bucket/a.zip")
    (True, False)
    """
    return is_archive_name(url.partition("?")[0]) and not url.startswith(("zip://", "tar://"))


def open_source(text: str) -> "FileSource":
    """Return the files of an archive, or at a URL."""
    if not is_url(text):
        return open_archive(text)
    files = RemoteFiles(text)
    if is_archive_url(text):
        return open_archive(files.shown, files.opener())
    return files


class StoredImages:
    """Finds images of an archive or at a URL by their paths below ``root``, and reads them.

    ``top``: the folder that everything is in, where there is one, as most archives have it; else ``root``.
    """

    def __init__(self, source: FileSource, root: Path) -> None:
        self.source, self.root = source, root
        self._start = os.path.normpath(root) + os.sep
        self._hashes: dict[str, bytes] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._folders: dict[str, bool] = {}
        self._children: dict[str, list[str]] = {}
        self._recent: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    @property
    def top(self) -> Path:
        """The innermost folder that all files are in."""
        return self.root / top_of(self.source.names()) if self.source.lists else self.root

    def name_of(self, path: str | Path) -> str | None:
        """Return a file's name in the source, ``None`` for a path that is not below ``root``."""
        text = os.path.normpath(path)
        return text[len(self._start) :].replace(os.sep, "/") if text.startswith(self._start) else None

    def shown(self, path: str | Path) -> str:
        """Return what messages call a file."""
        name = self.name_of(path)
        return str(path) if name is None else f"{self.source.shown.rstrip('/')}/{name}"

    def exists(self, path: str | Path) -> bool:
        """Return whether there is such a file. Of a folder whose files are not listed only the first is looked for."""
        name = self.name_of(path)
        if name is None or name not in self.source:
            return False
        if self.source.lists:
            return True
        folder = name.rpartition("/")[0]
        if folder not in self._folders:
            self._folders[folder] = self.source.exists(name)
        return self._folders[folder]

    def paths_below(self, folder: str | Path) -> list[str]:
        """Return the paths of the images in a folder and the folders in it, in order."""
        start = os.path.normpath(folder) + os.sep
        paths = (self._start + name for name in self.source.names() if name.lower().endswith(IMAGE_ENDINGS))
        return [path for path in paths if path.startswith(start)]

    def names_in(self, folder: str | Path) -> list[str]:
        """Return the names of files and folders in a folder, none where files are not listed."""
        if not self._children and self.source.lists:
            children: dict[str, dict[str, None]] = {}
            for name in self.source.names():
                inside = name
                while inside:
                    above, _, last = inside.rpartition("/")
                    known = children.setdefault(above, {})
                    inside = "" if last in known else above
                    known[last] = None
            self._children = {above: list(names) for above, names in children.items()}
        place = os.path.normpath(folder) + os.sep
        if not place.startswith(self._start):
            return []
        return self._children.get(place[len(self._start) : -1].replace(os.sep, "/"), [])

    def measure(self, paths: Sequence[str]) -> None:
        """Read the sizes of many images at once, which :meth:`size` then knows."""
        names = [name for path in paths if (name := self.name_of(path)) is not None]
        for name, head in self.source.read_all(names, _HEAD):
            try:
                self._sizes[name] = size_of_bytes(head, name)
            except DataError:  # said again, with the whole file, by size()
                continue

    def size(self, path: str | Path) -> tuple[int, int]:
        """Return width and height of an image as it is shown; only its head is read, where that says it."""
        name = self._known(path)
        if name not in self._sizes:
            self.measure([str(path)])
        if name not in self._sizes:
            self._sizes[name] = size_of_bytes(self(str(path)), self.shown(path))
        return self._sizes[name]

    def __call__(self, path: str) -> bytes:
        """Return the encoded image."""
        name = self._known(path)
        with self._lock:
            data = self._recent.get(name)
        if data is None:
            data = self.source.read(name)
            with self._lock:
                self._recent[name] = data
                while len(self._recent) > 1 and sum(map(len, self._recent.values())) > _KEPT:
                    self._recent.popitem(last=False)
        self._hashes.setdefault(name, hashlib.sha256(data).digest())
        return data

    def content(self, path: str) -> Callable[[], str]:
        """Return what finds the SHA-256 of the encoded image, when it is needed: the image is read for it."""
        return partial(self._hash, path)

    def _hash(self, path: str) -> str:
        name = self._known(path)
        if name not in self._hashes:
            self(path)
        return self._hashes[name].hex()

    def _known(self, path: str | Path) -> str:
        name = self.name_of(path)
        if name is None:
            raise DataError(f"{path} is not in {self.source.shown}")
        return name

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "_recent": OrderedDict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())

    def __repr__(self) -> str:
        return f"StoredImages({self.source!r})"


def top_of(names: Sequence[str]) -> str:
    """Return the innermost folder that all of some files are in, "" if there is none.

    >>> top_of(["val/a/1.png", "val/a/2.png"]), top_of(["val/1.png", "notes.txt"])
    ('val/a', '')
    """
    if not names:
        return ""
    first, last = min(names).split("/")[:-1], max(names).split("/")[:-1]
    common = 0
    while common < min(len(first), len(last)) and first[common] == last[common]:
        common += 1
    return "/".join(first[:common])
