"""Which file a name in a data set means: as it is written, as exporters write it, or with another case or ending.

A name never leads out of the data set. Where the user names the folder of the images, what a name has in front of that
folder is left out: it is the path that an image had on another machine.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from pytest_cropdet.data.image_files import IMAGE_ENDINGS, leads_out, list_names, spellings
from pytest_cropdet.data.image_stores import StoredImages
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import refuse_special

__all__ = ["ImageLookup", "refuse_shared"]

_TRUTH_FOLDERS = ("annotation", "annotations", "annots", "labels")  # beside which a data set has its images
_ENDINGS = (*IMAGE_ENDINGS, ".avif", ".gif")


class ImageLookup:
    """Finds images by name for the annotations in ``path``. ``images``: the folder that the user named.

    ``store``: has the images that are no files of this disk; one that lists no files finds no similar names.
    """

    def __init__(self, path: Path, images: Path | None = None, store: StoredImages | None = None) -> None:
        self.path, self.images, self._store = path, images, store
        self._there: Callable[[Path], bool] = _is_there if store is None else store.exists
        folder = path.parent
        root = folder.parent if folder.name.lower() in _TRUTH_FOLDERS else folder
        self._root = os.path.abspath(root)  # noqa: PTH100  (links stay: they are the user's own)
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def find(self, folder: Path, name: str) -> Path | None:
        """Return the file of that name in a folder; ``None`` if there is none, or if it would lead out of the set."""
        for each in spellings(name):
            for file in self._places(folder, each) if leads_out(each) else (folder / each,):
                if self._there(file):
                    return file
        return None

    def similar(self, folder: Path, name: str) -> Path | None:
        """Return the one image whose name differs in case or ending alone; ``None`` if there are several or none."""
        for each in spellings(name):
            if leads_out(each) or "\0" in each:
                continue
            place, *others = reversed(PurePosixPath(each.replace("\\", "/")).parts or ("",))
            inside = folder
            for part in reversed(others):
                there = self._names(inside).get(part.lower(), [])
                names = [part] if part in there else there
                if len(names) != 1:
                    break
                inside = inside / names[0]
            else:
                found = self._alike(inside, place)
                if found is not None:
                    return found
        return None

    def refuse_leading_out(self, names: Sequence[str]) -> None:
        """Raise ``DataError`` if some of the names that were not found lead out of the data set."""
        outside = [name for name in names if leads_out(name) or leads_out(unquote(name))]
        if outside and self.images is None:
            raise DataError(
                f"{self.path}: images are named outside of the data set {self._root}: {list_names(outside)}. Name the "
                "folder of the images, in which the end of each such path is then sought: --cropdet-images DIR"
            )

    def _places(self, folder: Path, name: str) -> Iterator[Path]:
        """Yield where a name with ``..`` or from the root of a disk may be, inside of what the user named."""
        plain = name.replace("\\", "/")
        if self.images is None:
            if folder != self.path.parent:
                return  # such a path counts from where the annotations are
            place = os.path.normpath(os.path.join(os.path.abspath(folder), plain))  # noqa: PTH100, PTH118
            if place.startswith(self._root.rstrip(os.sep) + os.sep):
                yield Path(place)
            return
        parts = [part for part in plain.split("/") if part not in ("", ".", "..") and not part.endswith(":")]
        for start in range(len(parts)):
            yield folder.joinpath(*parts[start:])

    def _names(self, folder: Path) -> dict[str, list[str]]:
        """Return the names in a folder by their lower case."""
        if folder not in self._listed:
            found: dict[str, list[str]] = {}
            for name in _listed(folder) if self._store is None else self._store.names_in(folder):
                found.setdefault(name.lower(), []).append(name)
                stem, dot, ending = name.lower().rpartition(".")
                if dot + ending in _ENDINGS:
                    found.setdefault(f"{stem}/", []).append(name)  # no name of a file
            self._listed[folder] = found
        return self._listed[folder]

    def _alike(self, folder: Path, name: str) -> Path | None:
        names, stem = self._names(folder), name.rpartition(".")[0] or name
        of_stem = names.get(f"{stem.lower()}/", [])
        exact = [each for each in of_stem if each.rpartition(".")[0] == stem]
        for found in (names.get(name.lower(), []), exact, of_stem):
            if len(found) == 1 and self._there(folder / found[0]):
                return folder / found[0]
        return None


def refuse_shared(path: Path, files: Mapping[str, Path]) -> None:
    """Raise ``DataError`` if two names mean one file: a set that has an image twice counts its objects twice."""
    names: dict[str, str] = {}
    for name, file in files.items():
        other = names.setdefault(os.path.normpath(file), name)
        if other != name:
            raise DataError(f"{path}: the images {other!r} and {name!r} are the same file, {file}")


def _is_there(file: Path) -> bool:
    """Return whether there is a file; a pipe or a device is refused by name."""
    try:
        mode = os.stat(file).st_mode  # noqa: PTH116  (of a hundred thousand files)
    except (OSError, ValueError):  # none, or a name that no file can have
        return False
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        refuse_special(file, "the image")
    return stat.S_ISREG(mode)


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except OSError:
        return []
