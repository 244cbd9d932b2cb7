"""COCO JSON: images, boxes, masks, crowds. Everything is checked when a set is opened, except pixels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data.coco_columns import collector_paused
from pytest_cropdet.data.coco_images import ImageFiles, image_files
from pytest_cropdet.data.coco_json import CocoEntries, read_tables
from pytest_cropdet.data.coco_truth import AnnotatedObjects, DataErrors, read_objects
from pytest_cropdet.data.data_warnings import DataWarnings
from pytest_cropdet.data.image_stores import StoredImages
from pytest_cropdet.data.images import LARGEST_UNCHECKED_IMAGE, Note, check_size, decode_image, read_image
from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.errors import DataError
from pytest_cropdet.geometry import Boxes, Image

__all__ = ["Annotations", "CocoDataset", "read_annotations"]


class CocoDataset:
    """A data set read from a COCO JSON file; ``warnings`` counts what is odd in it and in images decoded so far.

    Images and objects are columns; a sample with its ground truth is made when it is taken.
    """

    layout = "COCO JSON"

    def __init__(self, tables: CocoEntries, objects: AnnotatedObjects, files: ImageFiles, found: DataWarnings) -> None:
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
        entries = tables.images.values()
        files = image_files(path, images, [entry.file_name for entry in entries], found, store)
        for entry, file in zip(entries, files.paths, strict=True):
            if entry.width * entry.height > LARGEST_UNCHECKED_IMAGE:  # its masks may take gigabytes
                check_size(*files.encoded(file), (entry.width, entry.height))
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
        raise DataError(f"{path} has no boxes, so it does not show what a detector was trained on")
    place = tables.places(objects.image)
    order = kept[np.argsort(place[kept], kind="stable")]
    return Annotations(
        np.array([(entry.width, entry.height) for entry in tables.images.values()]),
        place[order],
        objects.boxes[order],
        tuple(tables.categories[category] for category in objects.category[order].tolist()),
    )


def _read_checked(path: Path, size: tuple[int, int], note: Note) -> Image:
    return read_image(path, size, note)


def _read_stored(store: StoredImages, path: str, size: tuple[int, int], note: Note) -> Image:
    return decode_image(store(path), store.shown(path), size, note)
