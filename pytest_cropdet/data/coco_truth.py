"""From the annotations of a COCO JSON to boxes, crowds, areas and masks, checked over the whole set at once.

What a set says twice must agree: boxes with the size of their image, masks and areas with their boxes.
"""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data.coco_columns import PackedMasks, area_column, box_column, flag_column
from pytest_cropdet.data.coco_json import CocoEntries, as_flag, as_number, shown
from pytest_cropdet.data.coco_masks import mask_extents, read_masks
from pytest_cropdet.data.data_warnings import DataWarnings
from pytest_cropdet.geometry import areas

__all__ = ["AnnotatedObjects", "DataErrors", "read_objects"]

DataErrors = Literal["fail", "clip"]
OVERHANG = 1.0  # px by which rounding lets boxes of published sets stick out; they are clipped, larger ones refused
SCALED = 0.1  # share of contradicting masks or areas from which on none can be trusted
MOSTLY_CROWDS = 0.9  # share of crowds that is nearly all
TOO_FEW_FOR_A_RULE = 10  # annotations that are too few to call something their rule
MASK_OVERHANG = 2.0  # px that a mask may stick out of its box, whatever the overlap
_CLIP = "COCO boxes are x y width height, in pixels; to clip boxes that stick out: --cropdet-data-errors clip"


@dataclass(frozen=True, slots=True)
class AnnotatedObjects:
    """All annotations of a set with a box that has an area: ``row`` is each one's place in the tables.

    ``boxes``: (n, 4) ``x0 y0 x1 y1`` in pixels, within their image. ``areas``: square pixels.
    """

    row: NDArray[np.int64]
    image: NDArray[np.int64]
    category: NDArray[np.int64]
    ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.float64]
    masks: PackedMasks

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, order: NDArray[np.int64]) -> "AnnotatedObjects":
        """Return the objects in another order."""
        columns = {name: getattr(self, name)[order] for name in self.__slots__ if name != "masks"}
        return AnnotatedObjects(**columns, masks=self.masks.take(order))


def read_objects(
    tables: CocoEntries, found: DataWarnings, errors: DataErrors = "fail", *, boxes_only: bool = False
) -> AnnotatedObjects:
    """Return the objects of a set; ``DataError`` lists what is wrong, ``found`` counts what is odd.

    ``errors``: "clip" clips boxes that stick out of their image, however far. ``boxes_only``: areas and masks are not
    looked at.
    """
    given, crowd = _boxes_and_flags(tables)
    sizes = np.array([(each.width, each.height) for each in tables.images.values()], dtype=np.float64).reshape(-1, 2)
    frames = sizes[tables.places(tables.rows[:, 1])]
    boxes, advice = _within(tables, given, frames, errors, found)
    area = areas(boxes) if boxes_only else _areas(tables, boxes, found)
    masks, extents = (PackedMasks(frames), frames) if boxes_only else read_masks(tables, frames, found)
    tables.faults.refuse(advice)
    if not boxes_only:
        _check_masks(tables, boxes, masks, extents, found)
        _check_crowds(tables, crowd, found)
        _check_percent(tables, boxes, frames, found)
        inside = (boxes.max(axis=1, initial=0) <= 1) & (boxes % 1 != 0).any(axis=1) & (areas(boxes) > 0)
        for row in np.flatnonzero(inside).tolist():
            found.add("normalised_box", tables.where(row), row)
    has_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    for row in np.flatnonzero(~has_area).tolist():
        found.add("flat_box", tables.where(row), row)
    kept = np.flatnonzero(has_area)
    rows = tables.rows[kept]
    return AnnotatedObjects(
        row=kept,
        image=rows[:, 1],
        category=rows[:, 2],
        ids=rows[:, 0],
        boxes=boxes[kept],
        crowd=crowd[kept],
        areas=area[kept],
        masks=masks.take(kept),
    )


def _boxes_and_flags(tables: CocoEntries) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return boxes as given, NaN where one is wrong, and which are crowds."""
    boxes, flags = box_column(tables.annotations), flag_column(tables.annotations, "iscrowd")
    if boxes is not None and flags is not None:
        return boxes, flags
    count = len(tables.annotations)
    given = np.full((count, 4), np.nan)
    crowd = np.zeros(count, dtype=bool)
    for row, entry in enumerate(tables.annotations):
        _read_box(tables, row, entry.get("bbox"), given)
        flag = as_flag(entry.get("iscrowd"))
        if flag is None:
            tables.faults.add(f"{tables.where(row)}: iscrowd must be 0 or 1, is {shown(entry.get('iscrowd'))}")
        crowd[row] = bool(flag)
    return given, crowd


def _read_box(tables: CocoEntries, row: int, value: Any, given: NDArray[np.float64]) -> None:
    """Put the four numbers of a ``bbox`` into a row of ``given``, or say what is wrong with them."""
    numbers = [as_number(each) for each in value] if isinstance(value, list) else []
    known = [each for each in numbers if each is not None]
    if len(numbers) != 4 or len(known) != 4:
        tables.faults.add(f"{tables.where(row)}: bbox must be four numbers x y width height, is {shown(value)}")
    elif not all(map(math.isfinite, known)):
        tables.faults.add(f"{tables.where(row)}: bbox {shown(value)} is not finite")
    elif known[2] < 0 or known[3] < 0:
        tables.faults.add(f"{tables.where(row)}: bbox {value} has a negative size (COCO boxes are x y width height)")
    else:
        given[row] = known


def _within(
    tables: CocoEntries,
    given: NDArray[np.float64],
    frames: NDArray[np.float64],
    errors: DataErrors,
    found: DataWarnings,
) -> tuple[NDArray[np.float64], str]:
    """Return boxes as ``x0 y0 x1 y1`` cut to their images, and advice on those that stick out too far."""
    with np.errstate(over="ignore"):
        right, known = given[:, :2] + given[:, 2:], np.isfinite(given).all(axis=1)
    _refuse_normalised(tables, given[known], right[known], frames[known])
    _refuse_corners(tables, given, right, frames)
    beyond = np.nan_to_num(np.concatenate([-given[:, :2], right - frames], axis=1).max(axis=1, initial=-np.inf))
    advice = ""
    for row in np.flatnonzero(beyond > OVERHANG).tolist():
        if errors == "clip":
            found.add("clipped_box", tables.where(row), row)
            continue
        width, height = frames[row]
        tables.faults.add(
            f"{tables.where(row)}: bbox {tables.annotations[row]['bbox']} lies {beyond[row]:g} px outside its image "
            f"of {width:.0f} x {height:.0f}"
        )
        advice = _CLIP
    boxes = np.concatenate([given[:, :2], right], axis=1)
    return np.clip(np.nan_to_num(boxes), 0.0, np.tile(frames, 2)), advice


def _refuse_normalised(
    tables: CocoEntries, given: NDArray[np.float64], right: NDArray[np.float64], frames: NDArray[np.float64]
) -> None:
    """Raise ``DataError`` if all boxes lie in 0 to 1: sides of the image, where pixels are meant."""
    fractions = bool((given % 1 != 0).any())
    if not len(given) or not (fractions or len(given) >= TOO_FEW_FOR_A_RULE) or right.max() > 1.001 or frames.min() < 4:
        return
    tables.faults.found.clear()
    tables.faults.add(
        f"all {len(given):,} boxes lie between 0 and 1, so they look normalised (0..1); COCO boxes are in pixels: "
        "multiply x and width by the width of the image, y and height by its height"
    )
    tables.faults.refuse()


def _refuse_corners(
    tables: CocoEntries, given: NDArray[np.float64], right: NDArray[np.float64], frames: NDArray[np.float64]
) -> None:
    """Raise ``DataError`` if all boxes are corners ``x0 y0 x1 y1``, where ``x y width height`` is meant.

    Two facts show it: all fit their images as corners, and as sizes more than a tenth of them do not. Or all areas are
    those of the corners.
    """
    if len(given) < TOO_FEW_FOR_A_RULE or not np.isfinite(given).all():
        return
    corners = (given[:, 2:] > given[:, :2]).all() and (given[:, 2:] <= frames + OVERHANG).all()
    if not corners or given.min() < -OVERHANG:
        return
    outside = (right > frames + OVERHANG).any(axis=1)
    stated = [as_number(entry.get("area")) for entry in tables.annotations]
    area = np.array([np.nan if each is None else each for each in stated])
    as_corners, as_sizes = areas(given), given[:, 2] * given[:, 3]
    proven = bool((np.abs(area - as_corners) <= 0.01 * as_corners).all())
    if outside.mean() <= SCALED and not (proven and (np.abs(area - as_sizes) > 0.1 * as_sizes).mean() > 0.5):
        return
    tables.faults.found.clear()
    tables.faults.add(
        f"all {len(given):,} boxes look like corners x0 y0 x1 y1: as x y width height {outside.sum():,} of them would "
        f"leave their image{', and their areas are those of the corners' if proven else ''}. COCO boxes are x y width "
        "height: write x1 - x0 in place of x1, and y1 - y0 in place of y1"
    )
    tables.faults.refuse()


def _areas(tables: CocoEntries, boxes: NDArray[np.float64], found: DataWarnings) -> NDArray[np.float64]:
    """Return the areas as given, those of the boxes where none is given, or where many cannot be right."""
    own = areas(boxes)
    plain = area_column(tables.annotations)
    given = np.zeros(len(own), dtype=bool) if plain is None else ~np.isnan(plain)
    area: NDArray[np.float64] = own.copy() if plain is None else np.where(given, plain, own)
    for row, entry in enumerate(tables.annotations if plain is None else ()):
        value = entry.get("area")
        if value is None:
            continue
        number = as_number(value)
        if number is None or not 0 <= number < np.inf:
            tables.faults.add(f"{tables.where(row)}: area must be a number of pixels, is {shown(value)}")
            continue
        area[row], given[row] = number, True
    odd = given & (own > 0) & ((area > 1.5 * own + 4) | (area < 1e-3 * own))
    if odd.sum() > SCALED * given.sum():
        for row in np.flatnonzero(odd).tolist():
            found.add("area", tables.where(row), row)
        area[odd] = own[odd]
    return area


def _check_masks(
    tables: CocoEntries,
    boxes: NDArray[np.float64],
    masks: PackedMasks,
    known: NDArray[np.float64],
    found: DataWarnings,
) -> None:
    """Leave out masks that lie elsewhere than their box; all of the set, if they are more than a few."""
    rows = masks.rows
    if not len(rows):
        return
    extents, own = mask_extents(masks, rows, known), boxes[rows]
    both = _overlaps(own, extents)
    far = np.concatenate([own[:, :2] - extents[:, :2], extents[:, 2:] - own[:, 2:]], axis=1).max(axis=1) > MASK_OVERHANG
    nothing = areas(extents) == 0  # also of an object that is smaller than a pixel
    apart = np.where(nothing, (own[:, 2:] - own[:, :2]).min(axis=1) > MASK_OVERHANG, (both < 0.5) & far)
    every = apart.sum() > SCALED * len(rows)
    for place in np.flatnonzero(apart).tolist():
        ends = " ".join(f"{edge:g}" for edge in extents[place]), " ".join(f"{edge:g}" for edge in own[place])
        row = int(rows[place])
        where = f"{tables.where(row)}: mask {ends[0]}, box {ends[1]} (x0 y0 x1 y1)"
        found.add("mask_scale_all" if every else "mask_scale", where, row)
    masks.drop(rows if every else rows[apart])


def _overlaps(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the IoU of each box with the one in the same row."""
    sides = np.clip(np.minimum(one[:, 2:], other[:, 2:]) - np.maximum(one[:, :2], other[:, :2]), 0, None)
    both = sides.prod(axis=1)
    union = areas(one) + areas(other) - both
    overlap: NDArray[np.float64] = np.divide(both, union, out=np.zeros_like(both), where=union > 0)
    return overlap


def _check_crowds(tables: CocoEntries, crowd: NDArray[np.bool_], found: DataWarnings) -> None:
    """Count crowds where nearly all annotations are some, and an image has several of one category.

    COCO puts the crowd of a category into one annotation an image; single objects that are marked so are many.
    """
    if len(crowd) < TOO_FEW_FOR_A_RULE or crowd.mean() < MOSTLY_CROWDS:
        return
    pairs = Counter(tuple(pair) for pair in tables.rows[crowd, 1:].tolist())
    if max(pairs.values()) > 1:
        for row in np.flatnonzero(crowd).tolist():
            found.add("crowds", tables.where(row), row)


def _check_percent(
    tables: CocoEntries, boxes: NDArray[np.float64], frames: NDArray[np.float64], found: DataWarnings
) -> None:
    """Count boxes if all of many lie within 0 to 100 and reach up to it, and every image is far larger."""
    if len(boxes) < 3 * TOO_FEW_FOR_A_RULE or frames.min() < 200:
        return
    reach = boxes.reshape(-1, 2).max(axis=0)  # to the right, and down
    if reach.min() > 80 and reach.max() <= 100.001:
        for row in range(len(boxes)):
            found.add("percent_boxes", tables.where(row), row)
