"""What becomes of the objects and detections of many images in many windows: flat rows, window by window.

The rules, and every bit of the numbers, are those of ``crop_truth`` and ``crop_detections``; here they are applied to
all windows at once. Windows come as (W, 4) ``left top right bottom`` in pixels of their image; ``owner`` is (W,), which
image of the list each belongs to. Only masks are looked at one by one, and only those of objects whose box shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data.cropping import visible_masks
from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.geometry import Bools, Boxes, Crop, Floats, Ints, areas_of, has_sides, visible_fraction

__all__ = ["DetectionRows", "ObjectRows", "crop_detection_rows", "crop_object_rows"]

ROWS_AT_ONCE = 1 << 14  # bounds the memory of a step, and keeps its arrays in the processor's cache


@dataclass(frozen=True, eq=False)
class ObjectRows:
    """The objects that show in windows, in the frames of the windows; the columns are those of ``CroppedTruth``.

    ``window``: (n,) the window of each row, rising; within a window the rows are in the order of the image's objects.
    """

    window: Ints
    boxes: Boxes
    categories: Ints
    ids: Ints
    crowd: Bools
    areas: Floats
    ignored: Bools
    visibility: Floats
    scored: Bools
    tight: Boxes


@dataclass(frozen=True, eq=False)
class DetectionRows:
    """Detections in the frames of windows, clipped to them; the columns are those of ``CroppedDetections``.

    ``window``: (n,) the window of each row, rising; within a window the rows are in the order of the answer.
    """

    window: Ints
    boxes: Boxes
    scores: Floats
    categories: Ints
    visibility: Floats


def crop_object_rows(truths: Sequence[GroundTruth], owner: Ints, windows: Ints, min_visibility: float) -> ObjectRows:
    """Return the objects that show in each window, as ``crop_truth`` does for one, without the masks themselves.

    >>> truth = GroundTruth(np.array([[0.0, 0.0, 10.0, 10.0], [30.0, 0.0, 40.0, 10.0]]), np.array([1, 2]))
    >>> rows = crop_object_rows([truth], np.array([0, 0]), np.array([[5, 0, 25, 20], [0, 0, 40, 20]]), 0.6)
    >>> rows.window, rows.visibility, rows.scored
    (array([0, 1, 1]), array([0.5, 1. , 1. ]), array([False,  True,  True]))
    """
    start = _starts(truths)
    window, row, clipped, visibility = _shown(_boxes(truths), start, owner, windows)
    crowd = _joined([each.crowd for each in truths], np.bool_)[row]
    areas = _joined([each.areas for each in truths], np.float64)[row] * visibility
    tight = clipped
    masked = np.array([mask is not None for each in truths for mask in each.masks], dtype=np.bool_)[row]
    if masked.any():
        tight, hidden = clipped.copy(), np.zeros(len(row), dtype=np.bool_)
        rows = np.flatnonzero(masked)
        for group in np.split(rows, np.flatnonzero(np.diff(window[rows])) + 1):  # those of one window
            place = window[group[0]]
            pixels, whole, box = _visible_masks(truths[owner[place]], windows[place], row[group] - start[owner[place]])
            some, seen = group[pixels > 0], pixels > 0
            visibility[some], areas[some], tight[some] = pixels[seen] / whole[seen], pixels[seen], box[seen]
            hidden[group] = ~seen & (whole > 0)  # without a pixel at all, the box is all there is
        kept = np.flatnonzero(~hidden | crowd)
        window, row, clipped, visibility = window[kept], row[kept], clipped[kept], visibility[kept]
        crowd, areas, tight = crowd[kept], areas[kept], tight[kept]
    enough = visibility >= min_visibility
    offset = _offsets(windows)[window]
    return ObjectRows(
        window=window,
        boxes=clipped + offset,
        categories=_joined([each.categories for each in truths], np.int64)[row],
        ids=_joined([each.ids for each in truths], np.int64)[row],
        crowd=crowd,
        areas=areas,
        ignored=_joined([each.ignored for each in truths], np.bool_)[row] & enough,
        visibility=visibility,
        scored=_joined([each.counted for each in truths], np.bool_)[row] & enough,
        tight=tight + offset,
    )


def crop_detection_rows(found: Sequence[Detections], owner: Ints, windows: Ints) -> DetectionRows:
    """Return the detections that show in each window, as ``crop_detections`` does for one.

    >>> found = Detections(np.array([[0.0, 0.0, 10.0, 10.0]]), np.array([0.9]), np.array([1]))
    >>> rows = crop_detection_rows([found], np.array([0, 0]), np.array([[5, 0, 25, 20], [20, 0, 40, 20]]))
    >>> rows.window, rows.boxes
    (array([0]), array([[ 0.,  0.,  5., 10.]]))
    """
    window, row, clipped, visibility = _shown(_boxes(found), _starts(found), owner, windows)
    return DetectionRows(
        window=window,
        boxes=clipped + _offsets(windows)[window],
        scores=_joined([each.scores for each in found], np.float64)[row],
        categories=_joined([each.categories for each in found], np.int64)[row],
        visibility=visibility,
    )


def _shown(boxes: Boxes, start: Ints, owner: Ints, windows: Ints) -> tuple[Ints, Ints, Boxes, Floats]:
    """Return the rows of which something shows: window, row of ``boxes``, clipped box in the image's frame, visibility.

    ``start``: (N + 1,) the boxes of image i are ``start[i]:start[i + 1]``.
    """
    low, high = windows[:, [0, 1, 0, 1]].astype(np.float64), windows[:, [2, 3, 2, 3]].astype(np.float64)
    first = start[owner]
    count = start[owner + 1] - first
    total = np.cumsum(count)
    begins = np.arange(0, total[-1] if len(total) else 0, ROWS_AT_ONCE)
    blocks = np.unique([*np.searchsorted(total, begins, side="right"), len(windows)])
    parts = []
    for begin, end in pairwise(blocks.tolist()):
        some = count[begin:end]
        row = np.arange(some.sum()) + np.repeat(first[begin:end] - np.cumsum(some) + some, some)
        window = np.repeat(np.arange(begin, end), some)
        original = boxes[row]
        clipped = np.clip(original, low[window], high[window])
        kept = np.flatnonzero(has_sides(clipped))
        clipped = clipped[kept]
        parts.append((window[kept], row[kept], clipped, visible_fraction(original[kept], clipped)))
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0)
    window, row, clipped, visibility = map(np.concatenate, zip(*parts, strict=True))
    return window, row, clipped, visibility


def _visible_masks(truth: GroundTruth, window: Ints, rows: Ints) -> tuple[Floats, Ints, Boxes]:
    """Return, of objects that have masks, their pixels in a window and in all, and the tight box of those in it."""
    left, top, right, bottom = window.tolist()
    pixels, box, _ = visible_masks(truth, Crop(left, top, right - left, bottom - top), rows)
    return pixels, areas_of([mask for mask in (truth.masks[row] for row in rows) if mask is not None]), box


def _offsets(windows: Ints) -> Floats:
    """Return (W, 4): what brings boxes of the image into the frame of each window."""
    return (-windows[:, [0, 1, 0, 1]]).astype(np.float64)  # as integers: 0 must not become -0.0


def _starts(values: Sequence[GroundTruth] | Sequence[Detections]) -> Ints:
    return np.cumsum([0, *[len(each.boxes) for each in values]])


def _boxes(values: Sequence[GroundTruth] | Sequence[Detections]) -> Boxes:
    return np.concatenate([np.zeros((0, 4)), *[each.boxes for each in values]])


def _joined(columns: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *columns])
