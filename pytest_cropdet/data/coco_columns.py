"""Columns of COCO annotations, read at once where every value is as it should be, and masks packed into one column.

A function returns ``None`` where any value is odd; then the annotations are read one by one, which finds what is wrong.
"""

import gc
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.geometry import Mask

__all__ = ["PackedMasks", "area_column", "box_column", "collector_paused", "flag_column", "whole_columns"]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep Python from looking for cycles among millions of new values that have none, which takes most of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def whole_columns(entries: Sequence[dict[str, Any]], keys: Sequence[str]) -> list[NDArray[np.int64]] | None:
    """Return a column of whole numbers for each of some keys."""
    found = []
    for key in keys:
        values = [entry.get(key) for entry in entries]
        if not _only(values, {int}):
            return None
        try:
            found.append(np.array(values, dtype=np.int64))
        except OverflowError:
            return None
    return found


def box_column(entries: Sequence[dict[str, Any]]) -> NDArray[np.float64] | None:
    """Return each ``bbox`` as it is: four finite numbers, of which the last two are not negative."""
    values: list[Any] = [entry.get("bbox") for entry in entries]
    if not _only(values, {list}) or not set(map(len, values)) <= {4}:
        return None
    if not set(map(type, chain.from_iterable(values))) <= {int, float}:
        return None
    try:
        boxes = np.fromiter(chain.from_iterable(values), np.float64, 4 * len(values)).reshape(-1, 4)
    except OverflowError:
        return None
    return boxes if np.isfinite(boxes).all() and (boxes[:, 2:] >= 0).all() else None


def flag_column(entries: Sequence[dict[str, Any]], key: str) -> NDArray[np.bool_] | None:
    """Return flags that are 0, 1, false, true or missing."""
    values = [entry.get(key) for entry in entries]
    if not _only(values, {int, bool, type(None)}) or not set(values) <= {0, 1, None}:
        return None
    return np.fromiter(map(bool, values), np.bool_, len(values))


def area_column(entries: Sequence[dict[str, Any]]) -> NDArray[np.float64] | None:
    """Return areas, finite and not negative, NaN where none is given."""
    values = [entry.get("area") for entry in entries]
    if not _only(values, {int, float, type(None)}):
        return None
    given = np.fromiter((value is not None for value in values), np.bool_, len(values))
    try:
        area = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    except OverflowError:
        return None
    return area if (np.isfinite(area) & (area >= 0) | ~given).all() else None


def _only(values: Sequence[Any], types: Collection[type]) -> bool:
    return set(map(type, values)) <= set(types)


class PackedMasks:
    """The run-length codes of many masks behind one another, without a Python object for each.

    ``frames``: (n, 2) width and height of the image of each.
    """

    def __init__(self, frames: NDArray[np.float64]) -> None:
        self._frames = frames.astype(np.int32)
        self._starts = np.zeros(len(frames), dtype=np.int64)
        self._lengths = np.zeros(len(frames), dtype=np.int32)  # 0: no mask
        self._codes = bytearray()

    def __len__(self) -> int:
        return len(self._lengths)

    def put(self, row: int, mask: Mask | None) -> None:
        """Keep the mask of an object."""
        if mask is not None:
            self._starts[row], self._lengths[row] = len(self._codes), len(mask.counts)
            self._codes += mask.counts

    def put_codes(self, rows: NDArray[np.int64], codes: Sequence[bytes]) -> None:
        """Keep the compressed codes of many objects."""
        lengths = np.fromiter(map(len, codes), np.int64, len(codes))
        self._starts[rows], self._lengths[rows] = len(self._codes) + np.cumsum(lengths) - lengths, lengths
        self._codes += b"".join(codes)

    def drop(self, rows: NDArray[np.int64]) -> None:
        """Leave out masks."""
        self._lengths[rows] = 0

    @property
    def rows(self) -> NDArray[np.int64]:
        """The objects that have a mask."""
        return np.flatnonzero(self._lengths)

    def take(self, rows: NDArray[np.int64]) -> "PackedMasks":
        """Return the masks of some objects, in that order."""
        found = PackedMasks(self._frames[rows].astype(np.float64))
        found._starts, found._lengths, found._codes = self._starts[rows], self._lengths[rows], self._codes
        return found

    def masks(self, rows: Sequence[int] | range) -> tuple[Mask | None, ...]:
        """Return the masks of some objects, ``None`` where one has none."""
        return tuple(self._mask(row) for row in rows)

    def _mask(self, row: int) -> Mask | None:
        length = int(self._lengths[row])
        if not length:
            return None
        start, (width, height) = int(self._starts[row]), self._frames[row].tolist()
        return Mask(height, width, bytes(self._codes[start : start + length]))
