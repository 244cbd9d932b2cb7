"""The mistakes that remaps make, as arithmetic: what boxes become when one of them is made.

A mistake explains an answer if its arithmetic gives the same numbers. Some look alike in a single case, so that
causes are named from many (:mod:`pytest_cropdet.invariants.remap_checks`).
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from pytest_cropdet.geometry import Boxes, Crop, clip
from pytest_cropdet.invariants.remap_errors import (
    BoxesNotClipped,
    BoxesNotMoved,
    ClippedToLastPixel,
    OffByOne,
    RemapError,
    RoundedToPixels,
    SwappedAxes,
)

__all__ = ["REMAP_MISTAKES", "Variants"]

Variants = Callable[[Boxes, Crop], Iterator[Boxes]]
SWAPPED_AXES = [1, 0, 3, 2]
SHIFTS = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 1], [1, 1, 0, 0]], dtype=np.float64)


def _cut(boxes: Boxes, left: float, top: float, width: float, height: float) -> Boxes:
    return clip(boxes - np.array([left, top] * 2), width, height)


def _swapped(boxes: Boxes, crop: Crop) -> Iterator[Boxes]:
    yield _cut(boxes, crop.top, crop.left, crop.height, crop.width)
    yield _cut(boxes, crop.top, crop.left, crop.width, crop.height)
    yield _cut(boxes, crop.left, crop.top, crop.height, crop.width)
    yield np.maximum(boxes - np.array([crop.top, crop.left] * 2), 0.0)
    yield crop.into(boxes)[:, SWAPPED_AXES]
    yield crop.into(boxes[:, SWAPPED_AXES])


def _not_moved(boxes: Boxes, crop: Crop) -> Iterator[Boxes]:
    yield crop.clip(boxes)
    yield boxes


def _not_clipped(boxes: Boxes, crop: Crop) -> Iterator[Boxes]:
    moved = boxes - np.array([crop.left, crop.top] * 2)
    yield moved
    yield np.maximum(moved, 0.0)
    yield np.minimum(moved, np.array([crop.width, crop.height] * 2))


def _to_the_last_pixel(boxes: Boxes, crop: Crop) -> Iterator[Boxes]:
    yield _cut(boxes, crop.left, crop.top, crop.width - 1, crop.height - 1)


def _off_by_one(boxes: Boxes, crop: Crop) -> Iterator[Boxes]:
    for shift in (*SHIFTS, *-SHIFTS):
        yield crop.into(boxes) + shift
        yield _cut(boxes + shift, crop.left, crop.top, crop.width, crop.height)
    yield _cut(boxes, crop.left, crop.top, crop.width + 1, crop.height + 1)


def _rounded(boxes: Boxes, crop: Crop) -> Iterator[Boxes]:
    inside = crop.into(boxes)
    for round_ in (np.floor, np.rint, np.ceil):
        yield round_(inside)
        yield crop.into(round_(boxes))
    yield np.hstack([np.floor(inside[:, :2]), np.ceil(inside[:, 2:])])
    yield np.hstack([np.ceil(inside[:, :2]), np.floor(inside[:, 2:])])


# Where two explain as much, the first is named.
REMAP_MISTAKES: Mapping[type[RemapError], Variants] = {
    BoxesNotMoved: _not_moved,
    BoxesNotClipped: _not_clipped,
    ClippedToLastPixel: _to_the_last_pixel,
    SwappedAxes: _swapped,
    OffByOne: _off_by_one,
    RoundedToPixels: _rounded,
}
