"""Whole data sets in an archive or at a URL: their annotations are copied to a folder of this disk, images stay."""

import fnmatch
import os
import posixpath
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pytest_cropdet.data.archives import is_archive_name
from pytest_cropdet.data.image_files import IMAGE_ENDINGS
from pytest_cropdet.data.image_stores import FileSource, StoredImages, is_archive_url, open_source, top_of
from pytest_cropdet.data.remote import RemoteFiles
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import is_url, shown_url

__all__ = ["StagedSet", "inside_archive", "stage_set"]

_MOST_BYTES = 4 << 30  # of annotations that are copied
_RATIO = 100  # by which annotations may be larger than the archive that they are packed in
_FREELY = 64 << 20  # bytes of annotations that are copied in any case
_SMALL = 1 << 20  # bytes; larger files are read piece by piece


class StagedSet:
    """A data set of which the annotations are on this disk. ``place``: its file or folder there; ``shown``: its name.

    The folder is there as long as this value is.
    """

    def __init__(self, source: FileSource, shown: str, inner: str) -> None:
        self.shown = shown
        self.root = Path(tempfile.mkdtemp(prefix="cropdet-"))
        weakref.finalize(self, _remove, str(self.root), os.getpid())
        self.images = StoredImages(source, self.root)
        names = source.names() if source.lists or not inner else [inner]
        is_file = inner in source if source.lists else True
        is_pattern = any(letter in inner for letter in "*?[") and not is_file
        wanted = _annotations(names, inner) if is_file or is_pattern else names
        if not is_file and not is_pattern and inner:
            wanted = [name for name in names if name.startswith(f"{inner}/")]
            if not wanted:
                raise DataError(f"cannot read the data set {shown}: no such file or folder")
        self._make_folders(names)
        self._copy(source, [name for name in wanted if not name.lower().endswith(IMAGE_ENDINGS)])
        self.place = self.root / (inner or top_of(names))

    def _make_folders(self, names: Sequence[str]) -> None:
        """Make the folders of the images, for a format is recognised by them."""
        for folder in {posixpath.dirname(name) for name in names}:
            try:
                (self.root / folder).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise self._refusal(folder, error) from error

    def _copy(self, source: FileSource, names: Sequence[str]) -> None:
        sizes = {name: source.size(name) for name in names} if source.lists else {}
        total = sum(size or 0 for size in sizes.values())
        most = _MOST_BYTES if source.packed is None else min(_MOST_BYTES, max(_FREELY, _RATIO * source.packed))
        if total > most:
            raise DataError(
                f"{self.shown}: the files beside its images have {total:,} bytes, more than {most:,} that are copied; "
                "unpack it, or copy it to this disk, and name the folder"
            )
        small = [name for name in names if (sizes.get(name) or _SMALL) < _SMALL]
        for name, data in source.read_all(small):
            self._write(name, [data], most)
        for name in names:
            if (sizes.get(name) or _SMALL) >= _SMALL:
                self._write(name, source.parts(name), most)

    def _write(self, name: str, parts: Iterator[bytes] | list[bytes], most: int) -> None:
        path = self.root / name
        written = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as stream:
                for part in parts:
                    written += len(part)
                    if written > most:
                        raise DataError(f"{self.shown}: {name} has more than {most:,} bytes: refused")
                    stream.write(part)
        except OSError as error:
            raise self._refusal(name, error) from error

    def _refusal(self, name: str, error: OSError) -> DataError:
        return DataError(f"{self.shown}: {name[:80]} cannot be copied to {self.root}: {error.strerror or error}")

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Name the archive or URL, in errors and warnings that name the folder of the copies."""
        here, shown = str(self.root), self.images.source.shown.rstrip("/")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield
            except DataError as error:
                raise DataError(str(error).replace(here, shown)) from error
        for each in caught:
            text = str(each.message).replace(here, shown)
            warnings.warn(text, each.category, stacklevel=5)


def stage_set(path: str | Path) -> StagedSet | None:
    """Return a data set in an archive or at a URL; ``None`` for what is on this disk as it is."""
    text = str(path)
    if not is_url(text):
        inside = inside_archive(text)
        return None if inside is None else StagedSet(open_source(inside[0]), text, inside[1])
    shown = shown_url(text)
    if is_archive_url(text):
        return StagedSet(open_source(text), shown, "")
    head, _, name = text.partition("?")[0].rpartition("/")
    is_pattern = any(letter in name for letter in "*[")
    if not is_pattern and not RemoteFiles(text).is_file():
        return StagedSet(RemoteFiles(text), shown, "")
    above, inner = _root_of(head, name)
    files = RemoteFiles(above)
    if "?" in text and not files.lists:
        return StagedSet(_OneFile(RemoteFiles(text), name), shown, name)
    return StagedSet(files, shown, inner)


class _OneFile:
    """The one file that a URL with a query names, under the last part of its path; its images must be named."""

    lists = True
    packed: int | None = None

    def __init__(self, files: RemoteFiles, name: str) -> None:
        self.files, self.name = files, name
        self.shown = files.shown.rpartition("/")[0]

    def __contains__(self, name: object) -> bool:
        return name == self.name

    def names(self) -> list[str]:
        return [self.name]

    def exists(self, name: str) -> bool:
        return name == self.name

    def size(self, name: str) -> int | None:
        return self.files.size("")

    def read(self, name: str) -> bytes:
        return self.files.read("")

    def parts(self, name: str) -> Iterator[bytes]:
        return self.files.parts("")

    def read_all(self, names: Sequence[str], count: int | None = None) -> Iterator[tuple[str, bytes]]:
        for name in names:
            yield name, self.files.read("") if count is None else self.files.head("", count)


def inside_archive(path: str) -> tuple[str, str] | None:
    """Return the archive that a path leads to or through, and the rest of it; ``None`` if there is none.

    >>> inside_archive("no/such/set.zip/instances.json") is None
    True
    """
    whole = Path(path)
    for each in (whole, *whole.parents):
        if is_archive_name(each.name) and each.is_file():
            inner = os.path.normpath(whole.relative_to(each)).replace(os.sep, "/")
            return str(each), "" if inner == "." else inner
    return None


def _root_of(head: str, name: str) -> tuple[str, str]:
    """Return the URL of the folder of a set, and the path of its file in it.

    >>> _root_of("s3://bucket/coco/annotations", "instances_val2017.json")
    ('s3://bucket/coco', 'annotations/instances_val2017.json')
    """
    parts = head.split("/")
    lower = [part.lower() for part in parts]
    start = len(parts)
    if "imagesets" in lower[3:]:
        start = lower.index("imagesets", 3)
    elif lower[-1] == "annotations" and len(parts) > 3:
        start = len(parts) - 1
    return "/".join(parts[:start]), "/".join([*parts[start:], name])


def _annotations(names: Sequence[str], inner: str) -> list[str]:
    """Return which files belong to the annotation file ``inner``, itself among them."""
    low, folder = inner.lower(), posixpath.dirname(inner)
    beside = [name for name in names if posixpath.dirname(name) == folder]
    if low.endswith(".json"):
        return [inner]
    if low.endswith((".csv", ".tsv")):
        return [name for name in beside if name == inner or name.lower().endswith((".csv", ".tsv"))]
    if low.endswith((".yaml", ".yml", ".txt")):
        return list(names)
    return [name for name in beside if name == inner or fnmatch.fnmatch(name, inner) or name.endswith(".pbtxt")]


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
