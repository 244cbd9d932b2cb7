"""What merging leaves behind: doubles, halves, objects that no tile holds, new false positives by place."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from pytest_cropdet.data import Detections, Sample
from pytest_cropdet.detectors import Sliced, Windowed
from pytest_cropdet.geometry import Bools, Boxes, Crop, Floats, Ints, areas, clip, iou

__all__ = [
    "MATCH_IOU",
    "PIECE_SHARE",
    "Judged",
    "SeamCounts",
    "SeamErrors",
    "best_objects",
    "judge",
    "lies_in",
    "seam_counts",
    "seam_errors",
]

SURE_SCORE = 0.3  # the score from which a detection counts
MATCH_IOU = 0.5  # from which a detection is one of an object
UNSCORED_SHARE = 0.5  # share of a detection in what is not scored, from which it is neither right nor wrong
PIECE_SHARE = 0.75  # share of a detection that lies in an object, from which it is a piece of it
DISTANCES = (2.0, 8.0, 32.0)  # px from a box's side to the nearest seam: the upper ends of the bins, the last is open
CELLS = 8  # of the map, a side of a tile


@dataclass(frozen=True, slots=True)
class SeamCounts:
    """What merging left behind, of detections that score 0.3 or more.

    ``objects``: scored objects. ``doubles``: detections beyond the first of their category that overlap one object by
    IoU 0.5. ``halves``: objects that no detection overlaps by IoU 0.5, although one of their category lies in them (by
    75% of its area). ``unheld``: objects that lie in no tile as a whole. ``unheld_found``: those of them that are
    found.
    """

    objects: int
    doubles: int
    halves: int
    unheld: int
    unheld_found: int


@dataclass(frozen=True, slots=True)
class SeamErrors:
    """Where in the tiles sliced inference is right and where it adds errors, of detections that score 0.3 or more.

    *New*: a false positive (it overlaps no object of its category by IoU 0.5) that one pass does not have (none of its
    detections of that category that score 0.3 or more overlaps it by IoU 0.5). ``new`` and ``right``: counts by
    distance in pixels from a side of the box to the nearest parallel seam: up to 2, 8, 32, and farther. ``new_cells``
    and ``right_cells``: the same by place of the box's centre in its tile, 8 x 8 cells, rows from the top. ``holds``:
    (width, height) in pixels up to which an object always lies in one tile as a whole, ``None`` where that differs
    between images, and for regions. ``lost_from``: the longer side of the smallest object that no tile contains and
    that is not found.
    """

    new: tuple[int, ...]
    right: tuple[int, ...]
    new_cells: tuple[tuple[int, ...], ...]
    right_cells: tuple[tuple[int, ...], ...]
    holds: tuple[int, int] | None
    lost_from: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as built-in values."""
        return {
            "distances": [*DISTANCES, None],
            "new": [*self.new],
            "right": [*self.right],
            "new_cells": [[*row] for row in self.new_cells],
            "right_cells": [[*row] for row in self.right_cells],
            "holds": None if self.holds is None else [*self.holds],
            "lost_from": self.lost_from,
        }


@dataclass(frozen=True, eq=False)
class Judged:
    """What is right and wrong in one image's detections that score 0.3 or more.

    ``sure``: these detections. Of each: ``right`` (it overlaps an object of its category by IoU 0.5), ``ignored`` (it
    lies, by half, in a region or an object that is not scored, or the image was not checked for its category),
    ``new`` (neither, and the other detections have none like it). ``missed``: of each scored object.
    """

    sure: Detections
    right: Bools
    ignored: Bools
    new: Bools
    missed: Bools


def judge(sample: Sample, found: Detections, other: Detections) -> Judged:
    """Return what is right and wrong in ``found``; ``other``: the detections of another way to detect."""
    truth = sample.truth
    sure = found.take(np.flatnonzero(found.scores >= SURE_SCORE))
    rows = np.flatnonzero(truth.counted)
    hit = _overlaps(sure, truth.boxes[rows], truth.categories[rows])
    right, missed = np.asarray(hit.any(axis=1)), np.asarray(~hit.any(axis=0))
    ignored = _covers_crowd(sure, sample)
    if sample.checked is not None:  # whether the image has objects of other categories is not known
        ignored |= ~np.isin(sure.categories, list(sample.checked))
    own = np.flatnonzero(other.scores >= SURE_SCORE)
    known = _overlaps(sure, other.boxes[own], other.categories[own]).any(axis=1)
    return Judged(sure, right, ignored, ~right & ~ignored & ~known, missed)


def seam_counts(sliced: Windowed, sample: Sample, found: Detections, score: float = SURE_SCORE) -> SeamCounts:
    """Return what merging left behind in one image; ``found``: its detections with the data set's ids."""
    rows = np.flatnonzero(sample.truth.counted)
    objects, categories = sample.truth.boxes[rows], sample.truth.categories[rows]
    sure = found.take(np.flatnonzero(found.scores >= score))
    owner, best = best_objects(sure, objects, categories)
    per_object = np.bincount(owner[best >= MATCH_IOU], minlength=len(rows))
    is_found = _overlaps(sure, objects, categories).any(axis=0)
    has_piece = lies_in(sure, objects, categories, PIECE_SHARE).any(axis=0)
    held = _held(sliced, sample, objects)
    return SeamCounts(
        objects=len(rows),
        doubles=int(np.maximum(per_object - 1, 0).sum()),
        halves=int((~is_found & has_piece).sum()),
        unheld=int((~held).sum()),
        unheld_found=int((~held & is_found).sum()),
    )


def best_objects(found: Detections, objects: Boxes, categories: Ints) -> tuple[Ints, Floats]:
    """Return, for each detection, the object of its category that it overlaps most, and the IoU; 0 and 0 for none."""
    if not len(objects):
        return np.zeros(len(found), dtype=np.int64), np.zeros(len(found))
    overlap = np.where(found.categories[:, None] == categories[None, :], iou(found.boxes, objects), 0.0)
    owner = np.argmax(overlap, axis=1)
    return owner, overlap[np.arange(len(found)), owner]


def lies_in(found: Detections, objects: Boxes, categories: Ints, share: float) -> Bools:
    """Return (n, m): which detections lie, by ``share`` of their area, in which objects of their category."""
    same = found.categories[:, None] == categories[None, :]
    return np.asarray(same & (_shares_inside(found.boxes, objects) >= share))


def _shares_inside(boxes: Boxes, objects: Boxes) -> Floats:
    """Return (n, m): the share of each box that lies in each object."""
    low = np.maximum(boxes[:, None, :2], objects[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], objects[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    own = areas(boxes)[:, None]
    found: Floats = np.divide(shared, own, out=np.zeros_like(shared), where=own > 0)
    return found


def _held(sliced: Windowed, sample: Sample, objects: Boxes) -> Any:
    """Return which objects lie as a whole in one of the tiles; the whole image is none."""
    seen = clip(objects, sample.width, sample.height)
    held = np.zeros(len(objects), dtype=bool)
    for tile in sliced.windows_of(sample):
        crop = tile.crop
        held |= (seen[:, :2] >= [crop.left, crop.top]).all(axis=1) & (seen[:, 2:] <= [crop.right, crop.bottom]).all(
            axis=1
        )
    return held


def seam_errors(
    sliced: Windowed, samples: Sequence[Sample], cut: Sequence[Detections], whole: Sequence[Detections]
) -> SeamErrors:
    """Return where sliced inference adds errors: ``cut`` are its detections, ``whole`` those of one pass."""
    new, right = np.zeros(len(DISTANCES) + 1, np.int64), np.zeros(len(DISTANCES) + 1, np.int64)
    cells = np.zeros((2, CELLS, CELLS), np.int64)
    lost, holds = list[float](), set[tuple[int, int]]()
    for sample, found, plain in zip(samples, cut, whole, strict=True):
        judged = judge(sample, found, plain)
        bins = np.searchsorted(DISTANCES, seam_distances(sliced, sample, judged.sure.boxes), side="left")
        place = _cells(sliced, sample, judged.sure.boxes)
        for kind, mask in enumerate((judged.new, judged.right)):
            np.add.at(cells[kind], (place[mask, 1], place[mask, 0]), 1)
        new += np.bincount(bins[judged.new], minlength=len(new))
        right += np.bincount(bins[judged.right], minlength=len(right))
        objects = sample.truth.boxes[sample.truth.counted]
        missed = objects[~_held(sliced, sample, objects) & judged.missed]
        lost += (missed[:, 2:] - missed[:, :2]).max(axis=1).tolist()
        if isinstance(sliced, Sliced):
            holds.add(_holds(sliced, sample))
    counts = [tuple(tuple(row) for row in each.tolist()) for each in cells]
    return SeamErrors(
        tuple(new.tolist()),
        tuple(right.tolist()),
        counts[0],
        counts[1],
        holds.pop() if len(holds) == 1 else None,
        min(lost, default=None),
    )


def _overlaps(found: Detections, boxes: Boxes, categories: Any) -> Bools:
    """Return (n, m): which detections overlap which boxes of their category by IoU 0.5."""
    same = found.categories[:, None] == categories[None, :]
    return np.asarray(same & (iou(found.boxes, boxes) >= MATCH_IOU))


def _covers_crowd(found: Detections, sample: Sample) -> Bools:
    """Return which detections lie, by half, in a region or an object of their category that is not scored."""
    rows = np.flatnonzero(~sample.truth.counted)
    lies = lies_in(found, sample.truth.boxes[rows], sample.truth.categories[rows], UNSCORED_SHARE)
    return np.asarray(lies.any(axis=1))


def seam_distances(sliced: Windowed, sample: Sample, boxes: Boxes) -> Floats:
    """Return, for each box, the distance in pixels from one of its sides to the nearest parallel seam; inf for none.

    A seam is a border of a tile that is none of the image; it counts where its span and that of the side overlap.
    """
    nearest = np.full(len(boxes), np.inf)
    for tile in sliced.windows_of(sample):
        crop = tile.crop
        for axis, size in ((0, sample.width), (1, sample.height)):
            low, high = ((crop.left, crop.right), (crop.top, crop.bottom))[axis]
            begin, end = ((crop.top, crop.bottom), (crop.left, crop.right))[axis]
            beside = (boxes[:, 1 - axis] < end) & (boxes[:, 3 - axis] > begin)
            for border in (low, high):
                if 0 < border < size:
                    gap = np.minimum(np.abs(boxes[:, axis] - border), np.abs(boxes[:, 2 + axis] - border))
                    nearest = np.where(beside, np.minimum(nearest, gap), nearest)
    return nearest


def _cells(sliced: Windowed, sample: Sample, boxes: Boxes) -> Any:
    """Return (n, 2): column and row of each box's centre in the tile whose centre is nearest, of 8 x 8 cells."""
    crops = [tile.crop for tile in sliced.windows_of(sample)] or [Crop(0, 0, sample.width, sample.height)]
    low = np.array([(each.left, each.top) for each in crops], dtype=np.float64)
    size = np.array([(each.width, each.height) for each in crops], dtype=np.float64)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    place = (centre[:, None] - low[None]) / size[None]
    own = np.abs(place - 0.5).max(axis=2).argmin(axis=1) if len(boxes) else np.zeros(0, int)
    return np.clip((CELLS * place[np.arange(len(boxes)), own]).astype(int), 0, CELLS - 1)


def _holds(sliced: Sliced, sample: Sample) -> tuple[int, int]:
    """Return the width and the height up to which every object of an image lies in one tile as a whole."""
    crops = [tile.crop for tile in sliced.windows_of(sample)]
    spans = ({(each.left, each.right) for each in crops}, {(each.top, each.bottom) for each in crops})
    least = []
    for found, size in zip(spans, (sample.width, sample.height), strict=True):
        ordered = sorted(found)
        shared = [first[1] - second[0] for first, second in pairwise(ordered)]
        least.append(min(shared, default=size))
    return least[0], least[1]
