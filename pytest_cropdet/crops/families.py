"""The built-in families of windows: for each its parameters, their severities, and the windows of one sample.

Every random number is a SHA-256 of a word, the family, ``seed``, sample id, image size and rank (or annotation id),
taken as a 64-bit integer: the same on every machine, under every NumPy version, in any order. docs/families.md has
each rule as a formula.
"""

import math
from collections.abc import Mapping
from typing import Any

from pytest_cropdet.crops.family import CropFamily, FamilyKind, Parameter, SeededDraws
from pytest_cropdet.data import Sample
from pytest_cropdet.geometry import Corners, Crop, clip

__all__ = ["FAMILIES", "side", "tile_step"]

_NEAR = 1e-9  # px by which a product of floats may miss the whole pixel that is meant


def side(keep: float, length: int) -> int:
    """Return the side of a window that keeps a share of a side of the image, in whole pixels.

    >>> side(0.3, 10), side(0.001, 10), side(1.0, 427)
    (3, 1, 427)
    """
    return max(1, math.floor(keep * length + _NEAR))


# Parameters


def _range(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    first, last = float(low), float(high or low)
    if not 0 < first <= last <= 1:
        raise ValueError("a share of the side, above 0 and at most 1, or a range of them such as 0.3-0.9")
    return first, last


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError("a whole number from 1 on")
    return value


def _size(text: str) -> int | float:
    value = float(text)
    if 0 < value < 1:
        return value
    if not value.is_integer() or value < 1 or "." in text:
        raise ValueError("a whole number from 1 on (pixels), or a share of the side such as 0.5")
    return int(value)


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise ValueError("a share from 0 to below 1")
    return value


def _margin(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError("a number from 0 on, in sizes of the object")
    return value


def _visible(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise ValueError("a share of the object, above 0 and at most 1")
    return value


def _pixels(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    first, last = int(low), int(high or low)
    if not 1 <= first <= last:
        raise ValueError("a whole number of pixels from 1 on, or a range of them such as 1-32")
    return first, last


# Windows


def tile_step(size: int, overlap: float) -> int:
    """Return how far apart tiles of ``size`` pixels start that overlap by a share of it."""
    return max(1, size - round(size * overlap))


def _random_windows(sample: Sample, draws: SeededDraws, keep: tuple[float, float], per_image: int) -> list[Crop]:
    crops = []
    for rank in range(per_image):
        low, high = keep
        share = low + (high - low) * draws.share("keep", rank)
        width, height = side(share, sample.width), side(share, sample.height)
        left = draws.below(sample.width - width + 1, "left", rank)
        top = draws.below(sample.height - height + 1, "top", rank)
        crops.append(Crop(left, top, width, height))
    return crops


def _starts(length: int, size: int, overlap: float) -> list[int]:
    """Return where tiles start along one side; the last one ends at the border."""
    if size >= length:
        return [0]
    return [*range(0, length - size, tile_step(size, overlap)), length - size]


def _tile_windows(sample: Sample, draws: SeededDraws, size: int | float, overlap: float) -> list[Crop]:
    width, height = (side(size, each) if size < 1 else min(int(size), each) for each in (sample.width, sample.height))
    return [
        Crop(left, top, width, height)
        for top in _starts(sample.height, height, overlap)
        for left in _starts(sample.width, width, overlap)
    ]


def _chosen(sample: Sample, draws: SeededDraws, per_image: int, min_side: int) -> list[tuple[int, Corners]]:
    """Return (annotation id, box within the image) of up to ``per_image`` objects, in an order drawn by the seed.

    Crowds are no objects, and one with a side below ``min_side`` pixels is too small to be cut by whole pixels.
    """
    truth = sample.truth
    boxes = clip(truth.boxes, sample.width, sample.height)
    large = (boxes[:, 2:] - boxes[:, :2] >= min_side).all(axis=1) & truth.counted
    rows = [row for row, fits in enumerate(large.tolist()) if fits]
    order = sorted(rows, key=lambda row: draws.number("order", int(truth.ids[row])))
    return [(int(truth.ids[row]), _numbers(boxes[row])) for row in order[:per_image]]


def _numbers(row: Any) -> Corners:
    x0, y0, x1, y1 = row.tolist()
    return x0, y0, x1, y1


def _object_windows(sample: Sample, draws: SeededDraws, margin: float, per_image: int, min_side: int) -> list[Crop]:
    crops = []
    for _, (x0, y0, x1, y1) in _chosen(sample, draws, per_image, min_side):
        wide, high = min(margin * (x1 - x0), sample.width), min(margin * (y1 - y0), sample.height)
        left, top = max(0, math.floor(x0 - wide + _NEAR)), max(0, math.floor(y0 - high + _NEAR))
        right = min(sample.width, math.ceil(x1 + wide - _NEAR))
        bottom = min(sample.height, math.ceil(y1 + high - _NEAR))
        crops.append(Crop(left, top, right - left, bottom - top))
    return crops


def _edge_windows(sample: Sample, draws: SeededDraws, visible: float, per_image: int, min_side: int) -> list[Crop]:
    crops = []
    for annotation, box in _chosen(sample, draws, per_image, min_side):
        windows = _cuts(box, visible, sample.width, sample.height)
        order = {name: draws.number(name, annotation) for name in windows}
        drawn = [windows[name] for name in sorted(windows, key=order.__getitem__)]
        half = [crop for crop in drawn if 2 * crop.width * crop.height >= sample.width * sample.height]
        crops.append(half[0] if half else max(drawn, key=lambda crop: crop.width * crop.height))
    return crops


def _cuts(box: Corners, visible: float, width: int, height: int) -> dict[str, Crop]:
    """Return the image less what lies beyond a line through the object, from each side."""
    x0, y0, x1, y1 = box
    left, right = _first_kept(x0, x1, y1 - y0, visible), _last_kept(x0, x1, y1 - y0, visible, width)
    top, bottom = _first_kept(y0, y1, x1 - x0, visible), _last_kept(y0, y1, x1 - x0, visible, height)
    return {
        "left": Crop(left, 0, width - left, height),
        "top": Crop(0, top, width, height - top),
        "right": Crop(0, 0, right, height),
        "bottom": Crop(0, 0, width, bottom),
    }


def _first_kept(low: float, high: float, across: float, visible: float) -> int:
    """Return the largest whole pixel to start at that leaves ``visible`` of an object from ``low`` to ``high``."""
    start = math.floor(high - visible * (high - low)) + 1
    # by areas, as visibility is measured, so that an object asked to show by half does score at one half
    while start > low and (high - start) * across / ((high - low) * across) < visible:
        start -= 1
    return start


def _last_kept(low: float, high: float, across: float, visible: float, length: int) -> int:
    """Return the smallest whole pixel to end before that leaves ``visible`` of an object from ``low`` to ``high``."""
    end = math.ceil(low + visible * (high - low)) - 1
    while end < high and (end - low) * across / ((high - low) * across) < visible:
        end += 1
    return min(length, end)


def _shift_windows(sample: Sample, draws: SeededDraws, px: tuple[int, int], per_image: int) -> list[Crop]:
    """Return pairs of shifts without repetition: the first steps of a Fisher-Yates shuffle of all pairs."""
    low, high = ([min(each, length - 1) for length in (sample.width, sample.height)] for each in px)
    columns, rows = high[0] - low[0] + 1, high[1] - low[1] + 1
    moved: dict[int, int] = {}
    crops = []
    for rank in range(min(per_image, columns * rows)):
        place = rank + draws.below(columns * rows - rank, "pair", rank)
        pair = moved.get(place, place)
        moved[place] = moved.get(rank, rank)
        left, top = low[0] + pair % columns, low[1] + pair // columns
        crops.append(Crop(left, top, sample.width - left, sample.height - top))
    return crops


_PER_IMAGE = Parameter("4", _positive)
_MIN_SIDE = Parameter("8", _positive)

FAMILIES: Mapping[str, CropFamily] = {
    each.name: each
    for each in (
        FamilyKind(
            "random",
            _random_windows,
            {"keep": Parameter("0.3-0.9", _range), "per_image": _PER_IMAGE},
            ("keep", ("0.9", "0.75", "0.6", "0.45", "0.3")),
        ),
        FamilyKind(
            "tile",
            _tile_windows,
            {"size": Parameter("320", _size), "overlap": Parameter("0.2", _share)},
            ("size", ("0.8", "0.65", "0.5", "0.4", "0.3")),
        ),
        FamilyKind(
            "object",
            _object_windows,
            {"margin": Parameter("0.5", _margin), "per_image": _PER_IMAGE, "min_side": _MIN_SIDE},
            ("margin", ("2", "1", "0.5", "0.25", "0")),
            needs_truth=True,
        ),
        FamilyKind(
            "edge",
            _edge_windows,
            {"visible": Parameter("0.5", _visible), "per_image": _PER_IMAGE, "min_side": _MIN_SIDE},
            ("visible", ("0.9", "0.8", "0.7", "0.6", "0.5")),
            needs_truth=True,
        ),
        FamilyKind(
            "shift",
            _shift_windows,
            {"px": Parameter("1-32", _pixels), "per_image": _PER_IMAGE},
            ("px", ("1-2", "1-4", "1-8", "1-16", "1-32")),
        ),
    )
}
