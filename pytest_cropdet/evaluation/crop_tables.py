"""From samples, windows and detections to the flat tables that the evaluation reads.

One evaluation image is one crop. Every rendering is scored on the same truth, and its detections are treated alike:
clipped to the window, and ignored, not wrong, where too little of them lies inside and they match no scored object.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.crops import Plan
from pytest_cropdet.data import Detections, Sample, crop_detection_rows, crop_object_rows
from pytest_cropdet.evaluation.coco.tables import Detected, Truth
from pytest_cropdet.geometry import Bools, Crop, Ints, windows_of

__all__ = [
    "MIN_IMAGES_PER_CATEGORY",
    "SIDES",
    "CropIndex",
    "Objects",
    "build_detected",
    "build_objects",
    "kept_categories",
    "unchecked",
]

MIN_IMAGES_PER_CATEGORY = 5
SIDES = ("reference", "crop")  # what is compared: the detections in the whole image, and in the crop


@dataclass(frozen=True, eq=False)
class CropIndex:
    """The crops of a plan in order: evaluation image i is ``crops[i]`` of sample ``unit[i]``, its rank ``rank[i]``."""

    samples: tuple[Sample, ...]
    crops: tuple[Crop, ...]
    unit: Ints
    rank: Ints

    @classmethod
    def of(cls, samples: Sequence[Sample], plan: Plan) -> "CropIndex":
        """Return the index of every crop of ``samples`` in a plan."""
        windows = [plan.windows[sample.id] for sample in samples]
        unit = np.repeat(np.arange(len(samples)), [len(crops) for crops in windows])
        rank = np.array([rank for crops in windows for rank in range(len(crops))], dtype=np.int64)
        return cls(tuple(samples), tuple(crop for crops in windows for crop in crops), unit, rank)

    def __len__(self) -> int:
        return len(self.crops)


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of all crops, one row for each object in each crop, and whence they come.

    ``scored``: (G,) must be found. ``annotation``: (G,) id in the data set. ``visibility``: (G,) 0 to 1.
    """

    truth: Truth
    index: CropIndex
    scored: Bools
    annotation: Ints
    visibility: NDArray[np.float64]

    @property
    def unit(self) -> Ints:
        """(G,) source image of each row."""
        return self.index.unit[self.truth.image]

    @property
    def has_masks(self) -> bool:
        """Whether any object of any sample has a mask."""
        return any(mask is not None for sample in self.index.samples for mask in sample.truth.masks)

    def images_by_category(self, rows: Bools | None = None) -> dict[int, int]:
        """Return in how many source images each category has a scored object (of ``rows``, where given)."""
        scored = self.scored if rows is None else self.scored & rows
        pairs = np.unique(np.stack([self.truth.category[scored], self.unit[scored]]), axis=1)
        found, counts = np.unique(pairs[0], return_counts=True)
        return {int(key): int(count) for key, count in zip(found, counts, strict=True)}


def kept_categories(objects: Objects, chosen: Sequence[int]) -> list[int]:
    """Return those of ``chosen`` that a mean can speak for: with a scored object in at least 5 source images."""
    images = objects.images_by_category()
    return [key for key in chosen if images.get(key, 0) >= MIN_IMAGES_PER_CATEGORY]


def build_objects(index: CropIndex, min_visibility: float) -> Objects:
    """Return the objects of every crop; those that show too little, and crowds, as regions that do not count.

    An object that the data set ignores stays an object, which one detection may match, while enough of it shows.
    """
    truths = [sample.truth for sample in index.samples]
    rows = crop_object_rows(truths, index.unit, windows_of(index.crops), min_visibility)
    ignored = rows.ignored & ~rows.crowd
    truth = Truth(
        image=rows.window,
        category=rows.categories,
        boxes=rows.boxes,
        area=rows.areas,
        crowd=~(rows.scored | ignored),
        ignored=ignored,
        tight=rows.tight,
    )
    return Objects(truth, index, rows.scored, rows.ids, rows.visibility)


def build_detected(
    index: CropIndex,
    found: Sequence[Detections],
    min_visibility: float,
    *,
    whole: bool = False,
    frame: Literal["image", "window"] = "window",
) -> Detected:
    """Return one rendering's detections in the frames of the crops.

    ``found``: with ``whole`` one an image, in the image's frame; else one a crop, in the frame that ``frame`` names.
    """
    windows = windows_of(index.crops)
    if not whole and frame == "window":
        windows[:, 2:] -= windows[:, :2]
        windows[:, :2] = 0
    rows = crop_detection_rows(found, index.unit if whole else np.arange(len(index)), windows)
    table = Detected(image=rows.window, category=rows.categories, boxes=rows.boxes, score=rows.scores)
    return replace(table, stray=(rows.visibility < min_visibility) | unchecked(index, table))


def unchecked(index: CropIndex, table: Detected) -> Bools:
    """Return (D,) the detections of categories of which not every object of their image is annotated.

    They are right where they match an object, and never wrong (LVIS's rule for federated sets).
    """
    checked = [(unit, sample.checked) for unit, sample in enumerate(index.samples) if sample.checked is not None]
    if not checked:
        return np.zeros(len(table), dtype=bool)
    known = [(unit << 32) + np.fromiter(ids, np.int64, len(ids)) for unit, ids in checked]
    units = index.unit[table.image]
    federated = np.zeros(len(index.samples), dtype=bool)
    federated[[unit for unit, _ in checked]] = True
    return federated[units] & ~np.isin((units << 32) + table.category, np.concatenate(known))
