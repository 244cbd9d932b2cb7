"""One rendering's detections in the frames of the crops, made a block of images at a time and not kept.

Boxes are needed to match, and then hardly ever again. So nothing keeps a whole table of them: it is made from the
answers where somebody asks for it, and most ask for a block at a time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal
from weakref import WeakValueDictionary

import numpy as np

from pytest_cropdet.data import Detections
from pytest_cropdet.evaluation.coco.tables import Detected
from pytest_cropdet.evaluation.crop_tables import CropIndex, build_detected
from pytest_cropdet.geometry import Bools, Ints

__all__ = ["Blocks", "ChangedBlocks", "DetectedBlocks", "DetectedTables", "TableBlocks", "blocks_of"]

SOURCES_AT_ONCE = 128  # source images


class Blocks:
    """The detections of one rendering in all crops of ``index``, of which a part at a time is in memory."""

    index: CropIndex

    def blocks(self) -> Iterator[tuple[int, int, Detected]]:
        """Yield the first evaluation image (crop) of each block, that of the next, and the detections between them.

        The images of the detections are counted from 0 in each block.
        """
        raise NotImplementedError

    def parts(self) -> Iterator[tuple[slice, slice, CropIndex]]:
        """Yield the source images and the crops of each block, and their index."""
        starts = np.append(np.arange(0, len(self.index.samples), SOURCES_AT_ONCE), len(self.index.samples))
        crops = np.searchsorted(self.index.unit, starts)
        for (unit, next_unit), (first, stop) in zip(pairwise(starts.tolist()), pairwise(crops.tolist()), strict=True):
            images, rows = slice(unit, next_unit), slice(first, stop)
            index, owner = self.index, self.index.unit[rows] - unit
            yield images, rows, CropIndex(index.samples[images], index.crops[rows], owner, index.rank[rows])

    def chosen(self, pick: Callable[[Detected], Bools]) -> Detected:
        """Return the rows for which ``pick`` says so, which sees one block at a time."""
        some = []
        for first, _, table in self.blocks():
            counted = replace(table, image=table.image + first)
            some.append(counted.chosen(pick))
        names = Detected.__dataclass_fields__
        empty = Detected([], [], [], [])  # type: ignore[arg-type]
        return Detected(**{name: np.concatenate([getattr(each, name) for each in (empty, *some)]) for name in names})

    def rows(self, rows: Ints) -> Detected:
        """Return rows of the whole table, by their numbers in it, in that order."""
        wanted, back = np.unique(rows, return_inverse=True)
        seen = 0

        def pick(table: Detected) -> Bools:
            nonlocal seen
            low, high = np.searchsorted(wanted, [seen, seen + len(table)])
            mask = np.zeros(len(table), dtype=bool)
            mask[wanted[low:high] - seen] = True
            seen += len(table)
            return mask

        return self.chosen(pick).take(back)

    def table(self) -> Detected:
        """Return all rows: what nothing should keep."""
        return self.chosen(lambda table: np.ones(len(table), dtype=bool))


@dataclass(frozen=True, eq=False)
class DetectedBlocks(Blocks):
    """Blocks made from answers: with ``whole`` one an image, else one a crop, in the frame that ``frame`` names."""

    index: CropIndex
    found: Sequence[Detections]
    min_visibility: float
    whole: bool = False
    frame: Literal["image", "window"] = "window"

    def blocks(self) -> Iterator[tuple[int, int, Detected]]:
        """Yield the detections of each block, made from the answers to its pictures."""
        for images, crops, part in self.parts():
            some = list(self.found[images if self.whole else crops])
            table = build_detected(part, some, self.min_visibility, whole=self.whole, frame=self.frame)
            yield crops.start, crops.stop, table


@dataclass(frozen=True, eq=False)
class TableBlocks(Blocks):
    """Blocks of a table that is there, its rows in the order of their images."""

    index: CropIndex
    whole_table: Detected

    def blocks(self) -> Iterator[tuple[int, int, Detected]]:
        """Yield the rows of each block."""
        table = self.whole_table
        for _, crops, _ in self.parts():
            first, stop = np.searchsorted(table.image, [crops.start, crops.stop]).tolist()
            some = table.take(np.arange(first, stop))
            yield crops.start, crops.stop, replace(some, image=some.image - crops.start)


@dataclass(frozen=True, eq=False)
class ChangedBlocks(Blocks):
    """Other blocks with a change: ``change`` is given the row that a block begins with in the whole table, and it."""

    source: Blocks
    change: Callable[[int, Detected], Detected]

    @property
    def index(self) -> CropIndex:  # type: ignore[override]
        """The crops of the source."""
        return self.source.index

    def blocks(self) -> Iterator[tuple[int, int, Detected]]:
        """Yield each block of the source, changed."""
        begin = 0
        for first, stop, table in self.source.blocks():
            yield first, stop, self.change(begin, table)
            begin += len(table)


class DetectedTables(Mapping[str, Detected]):
    """The tables of some renderings, each made when it is asked for, and again where nobody has kept it."""

    def __init__(self, blocks: Mapping[str, Blocks]) -> None:
        self._blocks = dict(blocks)
        self._made: WeakValueDictionary[str, Detected] = WeakValueDictionary()

    def blocks(self, name: str) -> Blocks:
        """Return one of them block by block."""
        return self._blocks[name]

    def __getitem__(self, name: str) -> Detected:
        table = self._made.get(name)
        if table is None:
            table = self._made[name] = self._blocks[name].table()
        return table

    def __iter__(self) -> Iterator[str]:
        return iter(self._blocks)

    def __len__(self) -> int:
        return len(self._blocks)


def blocks_of(tables: Mapping[str, Detected], name: str, index: CropIndex) -> Blocks:
    """Return the detections of a rendering block by block, however the tables are kept."""
    return tables.blocks(name) if isinstance(tables, DetectedTables) else TableBlocks(index, tables[name])
