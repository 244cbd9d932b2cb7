"""Image files of a data set: which are in a folder, which one a name means, and how large each is, without pixels."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from pytest_cropdet.data.image_headers import read_header
from pytest_cropdet.data.images import LARGEST_UNSIZED_IMAGE
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import is_pointer, read_file, refuse_pointer, refuse_special

__all__ = [
    "IMAGE_ENDINGS",
    "ImageNames",
    "files_ending",
    "image_size",
    "images_below",
    "leads_out",
    "list_names",
    "path_exists",
    "size_of_bytes",
    "spellings",
]

IMAGE_ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_HEAD = 1 << 16  # bytes in which nearly every file says its size
_NAMED = 3  # missing files that a message names


def images_below(folder: Path) -> list[Path]:
    """Return the image files in a folder and the folders in it, in order; links to folders are not followed."""
    return [Path(each) for each in image_paths(folder)]


def image_paths(folder: Path) -> list[str]:
    """Return what :func:`images_below` does as texts, of which a hundred thousand take a tenth of the time."""
    return sorted(
        os.path.join(place, name)  # noqa: PTH118
        for place, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(IMAGE_ENDINGS)
    )


def image_size(path: Path) -> tuple[int, int]:
    """Return width and height of an image as it is shown; only the head of its file is read, where that says it."""
    refuse_special(path, "the image")
    try:
        with path.open("rb", buffering=0) as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise DataError(f"cannot read the image {path}: {error.strerror or error}") from error
    if is_pointer(head):
        refuse_pointer(path, "the image")
    try:
        return size_of_bytes(head, str(path))
    except DataError:
        if len(head) < _HEAD:
            raise
    return size_of_bytes(read_file(path, "the image"), str(path))


def size_of_bytes(data: bytes, name: str) -> tuple[int, int]:
    """Return width and height, as it is shown, of an encoded image; ``DataError`` if its header does not say them."""
    if not data:
        raise DataError(f"the image {name} is an empty file")
    header = read_header(data)
    if header is None or min(header.width, header.height) < 1:
        raise DataError(f"cannot read the size of the image {name}: it is no image, or its header is broken")
    if header.width * header.height > LARGEST_UNSIZED_IMAGE:
        raise DataError(
            f"the image {name} is {header.width:,} x {header.height:,} pixels; at most {LARGEST_UNSIZED_IMAGE:,} "
            "pixels are decoded where no annotation states the size"
        )
    return (header.height, header.width) if header.orientation > 4 else (header.width, header.height)


class ImageNames:
    """The image files of a folder by their names, with and without ending; a name never leads out of the folder.

    ``paths_below``: what finds them where they are no files of this disk.
    """

    def __init__(self, folder: Path, paths_below: Callable[[Path], Iterable[str]] | None = None) -> None:
        self.folder = folder
        self._exact: dict[str, Path] = {}
        self._stems: dict[str, list[Path]] = {}
        self._lower: dict[str, list[Path]] = {}
        for path in map(Path, (paths_below or image_paths)(folder)):
            name = path.relative_to(folder).as_posix()
            self._exact[name] = path
            self._stems.setdefault(name[: -len(path.suffix)], []).append(path)

    def __len__(self) -> int:
        return len(self._exact)

    def __iter__(self) -> Iterator[str]:
        return iter(self._exact)

    def find(self, name: str) -> Path | None:
        """Return the file of that very name; where there is none, of the one that exporters write so."""
        return next((self._exact[each] for each in spellings(name) if each in self._exact), None)

    def with_stem(self, stem: str) -> list[Path]:
        """Return the files of that name with any ending."""
        return self._stems.get(stem, [])

    def in_any_case(self, stem: str) -> list[Path]:
        """Return the files of that name with any ending, in upper or lower case."""
        if not self._lower:
            for each, files in self._stems.items():
                self._lower.setdefault(each.lower(), []).extend(files)
        return self._lower.get(stem.lower(), [])

    def name_of(self, path: Path) -> str:
        """Return what a data set calls a file of this folder."""
        return path.relative_to(self.folder).as_posix()


def files_ending(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """Return what in a folder has one of these endings, in any case, and is no folder."""
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith(endings))  # noqa: PTH208
    return [folder / name for name in names if not (folder / name).is_dir()]


def list_names(names: Iterable[str]) -> str:
    """Return the first three of some names, and how many there are more.

    >>> list_names(["a", "b", "c", "d"])
    'a, b, c and 1 more'
    """
    every = list(names)
    more = f" and {len(every) - _NAMED:,} more" if len(every) > _NAMED else ""
    return ", ".join(every[:_NAMED]) + more


def leads_out(name: str) -> bool:
    """Return whether a relative name can leave its folder: an absolute path, or one with ``..``.

    >>> leads_out("a/b.jpg"), leads_out("../b.jpg"), leads_out("/etc/b.jpg")
    (False, True, True)
    """
    plain = name.replace("\\", "/")
    return plain.startswith("/") or plain[1:3] == ":/" or ".." in plain.split("/")


def spellings(name: str) -> list[str]:
    r"""Return a name and what it may mean: back-slashes as separators of folders, percent-encoding as the letters.

    >>> spellings(r"train\a%20b.jpg")
    ['train\\a%20b.jpg', 'train/a%20b.jpg', 'train\\a b.jpg', 'train/a b.jpg']
    """
    if "\\" not in name and "%" not in name:  # as nearly all are
        return [name]
    plain = unquote(name)
    return list(dict.fromkeys((name, name.replace("\\", "/"), plain, plain.replace("\\", "/"))))


def path_exists(path: Path) -> bool:
    """Return whether there is anything at a path; a name that no file can have is not there."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
