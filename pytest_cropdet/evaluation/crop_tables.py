"""From samples, windows and detections to the flat tables that the evaluation reads.

One evaluation image is one crop. Every rendering is scored on the same truth, and its detections are treated alike:
clipped to the window, and ignored, not wrong, where too little of them lies inside and they match no scored object.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.crops import Plan
from pytest_cropdet.data import Detections, Sample, crop_detections, crop_truth
from pytest_cropdet.evaluation.coco.tables import Detected, Truth
from pytest_cropdet.geometry import Bools, Crop, Ints

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
    cropped = [
        crop_truth(index.samples[unit].truth, crop, min_visibility, cut_masks=False)
        for unit, crop in zip(index.unit, index.crops, strict=True)
    ]
    image = np.repeat(np.arange(len(cropped)), [len(each) for each in cropped])
    scored = _joined([each.scored for each in cropped], bool)
    ignored = _joined([each.truth.ignored & ~each.truth.crowd for each in cropped], bool)
    truth = Truth(
        image=image,
        category=_joined([each.truth.categories for each in cropped], np.int64),
        boxes=_joined([each.truth.boxes for each in cropped], np.float64, (0, 4)),
        area=_joined([each.truth.areas for each in cropped], np.float64),
        crowd=~(scored | ignored),
        ignored=ignored,
        tight=_joined([each.tight for each in cropped], np.float64, (0, 4)),
    )
    annotation = _joined([each.truth.ids for each in cropped], np.int64)
    visibility = _joined([each.visibility for each in cropped], np.float64)
    return Objects(truth, index, scored, annotation, visibility)


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
    rows = []
    for place, (unit, crop) in enumerate(zip(index.unit, index.crops, strict=True)):
        window = crop if whole or frame == "image" else Crop(0, 0, crop.width, crop.height)
        rows.append(crop_detections(found[unit if whole else place], window))
    shown = [each.detections for each in rows]
    table = Detected(
        image=np.repeat(np.arange(len(rows)), [len(each) for each in shown]),
        category=_joined([each.categories for each in shown], np.int64),
        boxes=_joined([each.boxes for each in shown], np.float64, (0, 4)),
        score=_joined([each.scores for each in shown], np.float64),
        stray=_joined([each.visibility < min_visibility for each in rows], bool),
    )
    return replace(table, stray=table.stray | unchecked(index, table))


def unchecked(index: CropIndex, table: Detected) -> Bools:
    """Return (D,) the detections of categories of which not every object of their image is annotated.

    They are right where they match an object, and never wrong (LVIS's rule for federated sets).
    """
    checked = [(unit, sample.checked) for unit, sample in enumerate(index.samples) if sample.checked is not None]
    if not checked:
        return np.zeros(len(table), dtype=bool)
    known = [(unit << 32) + category for unit, categories in checked for category in categories]
    units = index.unit[table.image]
    return np.isin(units, [unit for unit, _ in checked]) & ~np.isin((units << 32) + table.category, known)


def _joined(parts: Sequence[NDArray[Any]], dtype: type, empty: tuple[int, ...] = (0,)) -> NDArray[Any]:
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(empty, dtype)
