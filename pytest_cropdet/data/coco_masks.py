"""The masks of a COCO JSON: polygons that are as they should be are encoded thousands at a time, others one by one."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data.coco_columns import PackedMasks
from pytest_cropdet.data.coco_json import CocoEntries
from pytest_cropdet.data.data_warnings import DataWarnings
from pytest_cropdet.geometry import Mask, boxes_of
from pytest_cropdet.geometry.polygons import encode_polygons, is_plain_polygons, outlines_in_reach

__all__ = ["mask_extents", "read_masks"]

_AT_ONCE = 4096
_NUMBERS = {int, float}


def read_masks(
    tables: CocoEntries, frames: NDArray[np.float64], found: DataWarnings
) -> tuple[PackedMasks, NDArray[np.float64]]:
    """Return the masks that can be used, and their tight boxes, (n, 4) ``x0 y0 x1 y1``, NaN where not known yet.

    ``frames``: (n, 2) width and height of each annotation's image. What is wrong goes to the faults of ``tables``,
    in the file's order; ``found`` counts what is left out.
    """
    masks, extents = PackedMasks(frames), np.full((len(frames), 4), np.nan)
    values = [entry.get("segmentation") for entry in tables.annotations]
    given = np.flatnonzero(np.fromiter(map(bool, values), np.bool_, len(values)))
    done = np.zeros(len(frames), dtype=np.bool_)
    for rows, (width, height) in _of_one_size(given, frames):
        _encode(masks, extents, done, values, rows, height, width)
    for row in given[~done[given]].tolist():
        masks.put(row, _mask(tables, row, values[row], found))
    return masks, extents


def mask_extents(masks: PackedMasks, rows: NDArray[np.int64], known: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the tight boxes of masks; of those that are not ``known``, some thousands are unpacked at a time."""
    lacking = rows[np.isnan(known[rows, 0])]
    for start in range(0, len(lacking), _AT_ONCE):
        part = lacking[start : start + _AT_ONCE]
        known[part] = boxes_of([mask for mask in masks.masks(part.tolist()) if mask is not None])
    return known[rows]


def _of_one_size(
    given: NDArray[np.int64], frames: NDArray[np.float64]
) -> Iterator[tuple[NDArray[np.int64], tuple[int, int]]]:
    """Yield some thousand rows at a time whose images have one size, and this size."""
    order = given[np.lexsort(frames[given].T)]
    borders = np.flatnonzero((np.diff(frames[order], axis=0) != 0).any(axis=1)) + 1
    for group in np.split(order, borders) if len(order) else []:
        width, height = frames[group[0]].tolist()
        for start in range(0, len(group), _AT_ONCE):
            yield group[start : start + _AT_ONCE], (int(width), int(height))


def _encode(
    masks: PackedMasks,
    extents: NDArray[np.float64],
    done: NDArray[np.bool_],
    values: list[Any],
    rows: NDArray[np.int64],
    height: int,
    width: int,
) -> None:
    """Put the masks of rows that are polygons without any fault, and mark them as ``done``."""
    chosen = [values[row] for row in rows.tolist()]
    if not _all_plain(chosen):
        plain = np.fromiter(map(is_plain_polygons, chosen), np.bool_, len(chosen))
        rows = rows[plain]
        chosen = [values[row] for row in rows.tolist()]
    if not chosen:
        return
    polygons = list(chain.from_iterable(chosen))
    lengths = np.fromiter(map(len, polygons), np.int64, len(polygons))
    counts = np.fromiter(map(len, chosen), np.int64, len(chosen))
    try:
        flat = np.fromiter(chain.from_iterable(polygons), np.float64, int(lengths.sum()))
    except OverflowError:  # a whole number that no coordinate can be
        return
    ends = np.cumsum(lengths)
    fine = outlines_in_reach(flat.reshape(-1, 2), (ends - lengths) // 2, np.cumsum(counts) - counts, height, width)
    if not fine.any():
        return
    kept = np.flatnonzero(np.repeat(fine, counts))
    rows, counts = rows[fine], counts[fine]
    spans = zip((ends - lengths)[kept].tolist(), ends[kept].tolist(), strict=True)
    parts = [flat[first:last] for first, last in spans]
    codes, extents[rows] = encode_polygons(parts, np.cumsum(counts) - counts, height, width)
    masks.put_codes(rows, codes)
    done[rows] = True


def _all_plain(values: list[Any]) -> bool:
    """Return whether all are lists of polygons, as :func:`is_plain_polygons` says it of each."""
    if set(map(type, values)) != {list}:
        return False
    polygons = list(chain.from_iterable(values))
    if set(map(type, polygons)) != {list}:
        return False
    lengths = set(map(len, polygons))
    if min(lengths) < 6 or any(length % 2 for length in lengths):
        return False
    return set(map(type, chain.from_iterable(polygons))) <= _NUMBERS


def _mask(tables: CocoEntries, row: int, segmentation: Any, found: DataWarnings) -> Mask | None:
    """Return the mask of an annotation, if it has one that can be used."""
    image = tables.images[int(tables.rows[row, 1])]
    try:
        mask, left_out = Mask.lenient(segmentation, image.height, image.width)
    except ValueError as error:
        tables.faults.add(f"{tables.where(row)}: {error}")
        return None
    if left_out:
        found.add("mask_shape", f"{tables.where(row)}: {left_out}", row)
    return mask
