"""One rendering's detections in the frames of the crops, made a block of source images at a time and not kept.

Boxes are needed to match, and then hardly ever again. So they are made from the answers, matched and let go of, block by
block; what stays is the match table. Matching never looks beyond an image, so the table is that of all at once, to the
last bit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data import Detections
from pytest_cropdet.evaluation.coco.matching import match
from pytest_cropdet.evaluation.coco.tables import Detected, Matches, Truth
from pytest_cropdet.evaluation.crop_tables import CropIndex, build_detected
from pytest_cropdet.geometry import Bools, Ints

__all__ = ["DetectedBlocks", "DetectedTables", "match_blocks"]

IMAGES_AT_ONCE = 128  # source images


@dataclass(frozen=True, eq=False)
class DetectedBlocks:
    """The detections of one rendering: ``found`` is one answer an image with ``whole``, else one a crop."""

    index: CropIndex
    found: Sequence[Detections]
    min_visibility: float
    whole: bool = False

    def blocks(self) -> Iterator[tuple[int, int, Detected]]:
        """Yield the detections of each block, images counted from 0 in it; its first image, and the first of the next.

        Images are evaluation images: crops.
        """
        units = len(self.index.samples)
        starts = np.append(np.arange(0, units, IMAGES_AT_ONCE), units)
        crops = np.searchsorted(self.index.unit, starts)
        for (unit, next_unit), (first, stop) in zip(pairwise(starts.tolist()), pairwise(crops.tolist()), strict=True):
            part = CropIndex(
                self.index.samples[unit:next_unit],
                self.index.crops[first:stop],
                self.index.unit[first:stop] - unit,
                self.index.rank[first:stop],
            )
            some = self.found[unit:next_unit] if self.whole else self.found[first:stop]
            yield first, stop, build_detected(part, list(some), self.min_visibility, whole=self.whole)

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


class DetectedTables(Mapping[str, Detected]):
    """The tables of some renderings, each made when it is asked for, and again where nobody has kept it."""

    def __init__(self, blocks: Mapping[str, DetectedBlocks]) -> None:
        self._blocks = dict(blocks)
        self._made: WeakValueDictionary[str, Detected] = WeakValueDictionary()

    def __getitem__(self, name: str) -> Detected:
        table = self._made.get(name)
        if table is None:
            table = self._made[name] = self._blocks[name].table()
        return table

    def __iter__(self) -> Iterator[str]:
        return iter(self._blocks)

    def __len__(self) -> int:
        return len(self._blocks)


def match_blocks(truth: Truth, detected: DetectedBlocks, *, categories: Sequence[int], max_detections: int) -> Matches:
    """Return what ``match`` returns for all detections at once, rows beyond the cap included, with smaller columns."""
    images = len(detected.index)
    bounds = np.searchsorted(truth.image, np.arange(images + 1))
    parts: list[Matches] = []
    rows = columns = 0
    shift: list[tuple[int, int, int, int]] = []
    for first, stop, table in detected.blocks():
        objects = slice(int(bounds[first]), int(bounds[stop]))
        found = match(
            _part(truth, objects, first),
            table,
            images=stop - first,
            categories=categories,
            max_detections=max_detections,
            beyond=True,
        )
        parts.append(_compact(found))
        shift.append((first, rows, objects.start, columns))
        rows, columns = rows + len(table), columns + len(found.rows)
    if not parts:
        empty = Detected([], [], [], [])  # type: ignore[arg-type]
        return match(truth, empty, images=images, categories=categories, max_detections=max_detections, beyond=True)
    return _joined(parts, shift, truth, images)


def _part(truth: Truth, rows: slice, first: int) -> Truth:
    columns: dict[str, Any] = {
        name: None if getattr(truth, name) is None else getattr(truth, name)[rows]
        for name in Truth.__dataclass_fields__
    }
    return Truth(**{**columns, "image": columns["image"] - first})


def _compact(table: Matches) -> Matches:
    small = {name: getattr(table, name).astype(np.int32) for name in ("rows", "image", "contenders", "rank")}
    return replace(table, **small)  # type: ignore[arg-type]


def _joined(parts: list[Matches], shift: list[tuple[int, int, int, int]], truth: Truth, images: int) -> Matches:
    """Return one table of blocks; ``shift``: the first image, row, object and kept detection of each."""
    counts = np.sum([np.diff(each.starts) for each in parts], axis=0)
    starts = np.append(0, np.cumsum(counts))
    order = _in_order(parts, starts)

    def column(name: str, by: int | None = None) -> NDArray[Any]:
        """Return a column in order; ``by``: which of the shifts it is moved by."""
        pieces = []
        for each, moved in zip(parts, shift, strict=True):
            piece = getattr(each, name)
            pieces.append(piece if by is None else (piece + np.int64(moved[by])).astype(_kind(rows_in_all)))
            object.__setattr__(each, name, None)  # let go of
        return np.concatenate(pieces, axis=-1)[..., order]

    rows_in_all = max(images, shift[-1][1] + int(parts[-1].rows.max(initial=0)) + 1)
    place = np.empty(len(order), dtype=_kind(len(order)))
    place[order] = np.arange(len(order))
    contenders = place[np.concatenate([each.contenders + np.int64(moved[3]) for each, moved in zip(parts, shift, strict=True)])]
    del place
    near = np.argsort(contenders)
    matched = np.concatenate(
        [
            np.where(each.matched >= 0, each.matched + np.int32(moved[2]), np.int32(-1))
            for each, moved in zip(parts, shift, strict=True)
        ],
        axis=-1,
    )[..., near]
    first = parts[0]
    return replace(
        first,
        images=images,
        starts=starts,
        contenders=contenders[near],
        rank=np.concatenate([each.rank for each in parts])[near],
        matched=matched,
        truth_image=truth.image,
        truth_category=np.concatenate([each.truth_category for each in parts]),
        scored=np.concatenate([each.scored for each in parts], axis=-1),
        beyond=any(each.beyond for each in parts),
        score=column("score"),
        outside=column("outside"),
        far=column("far"),
        image=column("image", 0),
        rows=column("rows", 1),
    )


def _kind(bound: int) -> type[np.signedinteger[Any]]:
    return np.int32 if bound < 1 << 31 else np.int64


def _in_order(parts: list[Matches], starts: Ints) -> Ints:
    """Return where each detection of the joined table stands in its parts, one after the other.

    Parts are in order of their images, so equal scores stay in the order of images and rows.
    """
    order = np.empty(starts[-1], dtype=_kind(int(starts[-1])))
    begins = np.append(0, np.cumsum([len(each.rows) for each in parts]))
    for k, (start, stop) in enumerate(pairwise(starts.tolist())):
        if start == stop:
            continue
        ranges = [(int(each.starts[k]), int(each.starts[k + 1])) for each in parts]
        where = np.concatenate([np.arange(low, high) + begin for (low, high), begin in zip(ranges, begins, strict=False)])
        score = np.concatenate([each.score[low:high] for (low, high), each in zip(ranges, parts, strict=True) if each.score is not None])
        order[start:stop] = where[np.argsort(-score, kind="stable")]
    return order
