"""The objects of TFRecords on their way into a table: checked thousands at once, or one by one where one is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from pytest_cropdet.data.truth_table import TruthTable
from pytest_cropdet.geometry import Mask

__all__ = ["RecordKind", "RecordObjects", "RecordRows"]

RecordKind = tuple[int | None, str | None]  # label and text
_MUCH = 5.0  # which the sum of a box's coordinates never reaches; one that is no number neither
_AT_ONCE = 8192  # objects
_SLACK = 0.01  # by which a coordinate may leave 0 to 1; by how many pixels a box may, is checked later


@dataclass(frozen=True, slots=True)
class RecordObjects:
    """The objects of a record as it has them: boxes in sides of the image, in four columns."""

    image: int
    size: tuple[int, int]
    columns: Sequence[Sequence[float]]
    kinds: Sequence[RecordKind]
    crowd: Sequence[bool]
    ignored: Sequence[bool]
    areas: Sequence[Any]
    masks: Sequence[Mask | None]


class RecordRows:
    """Puts the objects of records into a table; all of them are there when :meth:`settle` has returned."""

    def __init__(self, table: TruthTable) -> None:
        self.table = table
        self._waiting: list[RecordObjects] = []
        self._rows = 0  # of those that wait

    def add(self, objects: RecordObjects) -> None:
        """Take the objects of one record."""
        if any(objects.masks):
            self.settle()
            self._read_objects(objects)
            return
        self._waiting.append(objects)
        self._rows += len(objects.kinds)
        if self._rows >= _AT_ONCE:
            self.settle()

    def settle(self) -> None:
        """Put the objects so far into the table: at once where none is wrong, else one by one."""
        if self._waiting and not self._read_waiting():
            for objects in self._waiting:
                self._read_objects(objects)
        self._waiting.clear()
        self._rows = 0

    def _read_waiting(self) -> bool:
        """Put all waiting objects into the table, or none of them and return False."""
        each = self._waiting
        boxes = np.array([list(chain.from_iterable(one.columns[side] for one in each)) for side in range(4)], float).T
        total = boxes[:, 0] + boxes[:, 1] + boxes[:, 2] + boxes[:, 3]
        if not ((boxes >= -_SLACK).all() and (boxes <= 1 + _SLACK).all() and (total < _MUCH).all()):
            return False
        counts = np.array([len(one.kinds) for one in each])
        sizes = np.repeat(np.array([one.size for one in each], dtype=np.float64), counts, axis=0)
        known = self.table.kinds
        self.table.add_many(
            np.repeat([one.image for one in each], counts),
            np.array([known.setdefault(kind, len(known)) for one in each for kind in one.kinds], dtype=np.int64),
            boxes * np.tile(sizes, 2),
            np.arange(len(boxes)) - np.repeat(np.cumsum(counts) - counts, counts) + 1,
            crowd=np.array([flag for one in each for flag in one.crowd], dtype=np.bool_),
            ignored=np.array([flag for one in each for flag in one.ignored], dtype=np.bool_),
            area=np.array([np.nan if area is None else area for one in each for area in one.areas], dtype=np.float64),
        )
        return True

    def _read_objects(self, objects: RecordObjects) -> None:
        """Put the objects of one record into the table, or what is wrong with them to the faults."""
        image, (width, height) = objects.image, objects.size
        for row, (x0, y0, x1, y1) in enumerate(zip(*objects.columns, strict=True)):
            low, high = min(x0, y0, x1, y1), max(x0, y0, x1, y1)
            if not (low >= -_SLACK and high <= 1 + _SLACK and x0 + y0 + x1 + y1 < _MUCH):
                self.table.faults.add(
                    f"{self.table.where(image, row + 1)}: box {x0:g} {y0:g} {x1:g} {y1:g} is outside of 0 to 1; boxes "
                    "of a TFRecord are in sides of the image"
                )
                continue
            self.table.add(
                image,
                self.table.kind(objects.kinds[row]),
                (x0 * width, y0 * height, x1 * width, y1 * height),
                row + 1,
                crowd=objects.crowd[row],
                ignored=objects.ignored[row],
                area=objects.areas[row],
                mask=objects.masks[row],
            )
