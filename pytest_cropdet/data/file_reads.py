"""Images that are files, as another process can read them: the path, the size, and who wants to know of oddities."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pytest_cropdet.data.images import Note, decode_image
from pytest_cropdet.data.samples import Sample
from pytest_cropdet.files import read_file
from pytest_cropdet.geometry import Image

__all__ = ["FileRead", "decode_file", "file_read", "read_encoded"]

_HERE = __name__.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class FileRead:
    """How a sample's image is read: the file, the width and height it must have, and what gets its oddities."""

    path: Path
    size: tuple[int, int] | None
    note: Note | None


def file_read(sample: Sample) -> FileRead | None:
    """Return how a sample's file is read; ``None`` where it has no file, or a function of the user's own reads it."""
    read: Callable[[], Image] = sample.read
    if sample.path is None or not isinstance(read, partial) or not read.args:
        return None
    if not str(read.func.__module__).startswith(_HERE) or read.args[0] != sample.path:
        return None
    said = dict(zip(("path", "size", "note"), read.args, strict=False)) | read.keywords
    return FileRead(sample.path, said.get("size"), said.get("note"))


def read_encoded(path: Path) -> bytes:
    """Return the bytes of an image's file; ``DataError`` if it cannot be read."""
    return read_file(path, "the image")


def decode_file(data: bytes, path: Path, size: tuple[int, int] | None) -> tuple[Image, list[tuple[str, str]]]:
    """Return the pixels of an image's file, as ``read_image`` does, and kind and detail of its oddities."""
    noted: list[tuple[str, str]] = []
    return decode_image(data, str(path), size, lambda kind, detail: noted.append((kind, detail))), noted
