"""COCO JSON: images, boxes, masks, crowds. Everything is checked when a set is opened, except pixels."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data.archives import ARCHIVE_ENDINGS
from pytest_cropdet.data.coco_columns import collector_paused
from pytest_cropdet.data.coco_json import CocoEntries, read_tables
from pytest_cropdet.data.coco_truth import AnnotatedObjects, DataErrors, read_objects
from pytest_cropdet.data.data_warnings import DataWarnings
from pytest_cropdet.data.image_files import files_ending
from pytest_cropdet.data.image_stores import StoredImages, open_store
from pytest_cropdet.data.images import Note, decode_image, read_image
from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import refuse_special
from pytest_cropdet.geometry import Boxes, Image

__all__ = ["Annotations", "CocoDataset", "read_annotations"]


class CocoDataset:
    """A data set read from a COCO JSON file; ``warnings`` counts what is odd in it and in images decoded so far.

    Images and objects are columns; a sample with its ground truth is made when it is taken.
    """

    layout = "COCO JSON"

    def __init__(
        self, tables: CocoEntries, objects: AnnotatedObjects, files: "_ImageFiles", found: DataWarnings
    ) -> None:
        self.path, self.name = tables.path, str(tables.path)
        self.categories: Mapping[int, str] = tables.categories
        self.warnings = found
        self.kept: object = None  # what must stay as long as the data set
        entries = tables.images.values()
        self._names = [entry.file_name for entry in entries]
        self._sizes = [(entry.width, entry.height) for entry in entries]
        self._files = files
        federated = any(entry.checked is not None for entry in entries)
        self._checked = [(entry.checked, entry.partly) for entry in entries] if federated else None
        image = tables.places(objects.image)
        order = np.argsort(image, kind="stable")  # objects in the order of the file
        self._objects = objects.take(order)
        self._alive: WeakValueDictionary[int, Sample] = WeakValueDictionary()  # a sample in use is not made again
        self._starts = np.searchsorted(image[order], np.arange(len(self._names) + 1))

    @classmethod
    def open(
        cls,
        path: Path,
        images: Path | None = None,
        errors: DataErrors = "fail",
        store: StoredImages | None = None,
    ) -> "CocoDataset":
        """Read and check ``path``; pictures lie in ``images``, or beside the JSON, or in ``images/`` there.

        ``errors``: "clip" clips boxes that stick out of their image. ``store``: has the images that
        are no files of this disk.
        """
        found = DataWarnings()
        with collector_paused():
            tables = read_tables(path)
            objects = read_objects(tables, found, errors)
            tables.annotations.clear()
        files = _image_files(path, images, [entry.file_name for entry in tables.images.values()], store)
        found.warn(str(path), stacklevel=5)
        return cls(tables, objects, files, found)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> Sample:
        row = range(len(self))[index]
        sample = self._alive.get(row)
        if sample is None:
            sample = self._alive[row] = self._sample(row)
        return sample

    def _sample(self, row: int) -> Sample:
        name, size, store, file = self._names[row], self._sizes[row], self._files.store, self._files.paths[row]
        note = partial(self.warnings.note, row, f"image {name}")
        truth, checked = self._truth(row), None
        if self._checked is not None:
            checked, partly = self._checked[row]
            checked = None if checked is None else checked | (frozenset(truth.categories.tolist()) - partly)
        if store is None:
            path = Path(file)
            return Sample(name, *size, truth, partial(_read_checked, path, size, note), path, checked)
        read = partial(_read_stored, store, file, size, note)
        return Sample(name, *size, truth, read, checked=checked, content=store.content(file))

    def __iter__(self) -> Iterator[Sample]:
        return (self[row] for row in range(len(self)))

    def _truth(self, row: int) -> GroundTruth:
        first, last = int(self._starts[row]), int(self._starts[row + 1])
        own = slice(first, last)
        objects = self._objects
        return GroundTruth(
            boxes=objects.boxes[own],
            categories=objects.category[own],
            ids=objects.ids[own],
            crowd=objects.crowd[own],
            areas=objects.areas[own],
            masks=objects.masks.masks(range(first, last)),
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_alive": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _alive=WeakValueDictionary())

    def __repr__(self) -> str:
        return f"CocoDataset({self.name!r}, {len(self)} images, {len(self.categories)} categories)"


@dataclass(frozen=True, eq=False)
class Annotations:
    """The boxes of a data set without its pictures; crowds and boxes without area are left out.

    ``sizes``: (images, 2) width and height in pixels. ``image``: (n,) row in ``sizes``. ``boxes``: (n, 4) ``x0 y0 x1
    y1`` pixels. ``names``: the category of each box.
    """

    sizes: NDArray[np.int64]
    image: NDArray[np.int64]
    boxes: Boxes
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        return f"Annotations({len(self.sizes)} images, {len(self)} boxes)"


def read_annotations(path: Path) -> Annotations:
    """Return the boxes of a COCO JSON; no picture is sought. ``DataError`` names the file if it holds no boxes.

    Large training sets are rarely clean, so a box that sticks out of its image is clipped to it, however far.
    """
    with collector_paused():
        tables = read_tables(path)
        objects = read_objects(tables, DataWarnings(), "clip", boxes_only=True)
    kept = np.flatnonzero(~objects.crowd)
    if not len(kept):
        raise DataError(f"{path} holds no boxes, so it does not show what a detector was trained on")
    place = tables.places(objects.image)
    order = kept[np.argsort(place[kept], kind="stable")]
    return Annotations(
        np.array([(entry.width, entry.height) for entry in tables.images.values()]),
        place[order],
        objects.boxes[order],
        tuple(tables.categories[category] for category in objects.category[order].tolist()),
    )


@dataclass(frozen=True, slots=True)
class _ImageFiles:
    """The path of each image; ``store`` has them, where they are no files of this disk."""

    paths: list[str]
    store: StoredImages | None = None


def _image_files(path: Path, images: Path | None, names: list[str], store: StoredImages | None) -> _ImageFiles:
    """Return the file of each image, all in one folder, or in one archive."""
    best: tuple[str, list[str]] | None = None
    sought = []
    for folder, its_store in _image_places(path, images, store):
        where = str(folder) if its_store is None else its_store.shown(folder / "_").removesuffix("/_")
        find = _file if its_store is None else partial(_stored_file, its_store)
        sought.append(where)
        files = [find(folder, name) for name in names]
        missing = [name for name, file in zip(names, files, strict=True) if file is None]
        if not missing:
            return _ImageFiles([file for file in files if file is not None], its_store)
        named = images is not None and best is None
        if named or len(missing) < len(names if best is None else best[1]):
            best = where, missing
    if best is not None:
        where, missing = best
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise DataError(f"{path}: missing in {where}: {', '.join(missing[:3])}{more} (of {len(names)} images)")
    places = " or ".join(sought[:2])
    raise DataError(f"{path}: no picture found in {places} (sought {names[0]}); name the folder: --cropdet-images DIR")


def _image_places(
    path: Path, images: Path | None, store: StoredImages | None
) -> Iterator[tuple[Path, StoredImages | None]]:
    """Yield where the images may be: what is named, else folders near the JSON, then archives."""
    if images is not None:
        for folder in [images] if store is None else dict.fromkeys((images, store.root)):
            yield folder, store
        return
    for folder in _folders_of(path):
        if store is None or not store.source.lists or folder.is_dir():
            yield folder, store
    if store is None:
        for archive in _archives_of(path):
            inside = open_store(archive)
            for folder in dict.fromkeys((inside.top, inside.root)):
                yield folder, inside


def _archives_of(path: Path) -> list[Path]:
    """Return the archives near a JSON that are called as folders of its images are: ``images.zip``, ``val2017.tar``."""
    stems = {"images", "data", path.stem.lower(), path.stem.lower().rpartition("instances_")[2]}
    above = [path.parent.parent] if path.parent.name.lower() == "annotations" else []
    found = []
    for folder in (path.parent, *above):
        found += [each for each in files_ending(folder, ARCHIVE_ENDINGS) if each.name.lower().split(".")[0] in stems]
    return found


def _folders_of(path: Path) -> list[Path]:
    """Return the folders in which exports have the images of a JSON, from its own on.

    ``data/``: FiftyOne's. A JSON in ``annotations/`` may have them in ``images/`` beside that folder (CVAT, Datumaro),
    or in a folder that is called as the end of its name says: ``instances_val2017.json`` and ``val2017/`` (COCO).
    """
    here, above = path.parent, path.parent.parent
    folders = [here, here / "images", here / "data"]
    if here.name.lower() == "annotations":
        subset = path.stem.rpartition("instances_")[2]
        folders += [above / "images" / subset, above / "images", above / subset, above]
    return [folder for place, folder in enumerate(folders) if place < 2 or folder.is_dir()]


def _file(folder: Path, name: str) -> str | None:
    """Return the file called ``name``; where there is none, the one that its backslashes lead to as separators."""
    for each in (name,) if "\\" not in name else (name, name.replace("\\", "/")):
        file = os.path.join(folder, each)  # noqa: PTH118  (of a hundred thousand files)
        try:
            mode = os.stat(file).st_mode  # noqa: PTH116
        except (OSError, ValueError):  # none, or a name that no file can have
            continue
        if stat.S_ISDIR(mode):
            continue
        if not stat.S_ISREG(mode):
            refuse_special(Path(file), "the image")
        return str(Path(file)) if "//" in file or "/." in file else file
    return None


def _stored_file(store: StoredImages, folder: Path, name: str) -> str | None:
    """Return the path of an image in a store by its name, with slashes or backslashes."""
    return next((str(folder / each) for each in (name, name.replace("\\", "/")) if store.exists(folder / each)), None)


def _read_checked(path: Path, size: tuple[int, int], note: Note) -> Image:
    return read_image(path, size, note)


def _read_stored(store: StoredImages, path: str, size: tuple[int, int], note: Note) -> Image:
    return decode_image(store(path), store.shown(path), size, note)
