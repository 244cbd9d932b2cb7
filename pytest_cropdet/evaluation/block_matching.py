"""Matching a block of images at a time: the match table of all of them, without all boxes in memory at once.

Matching never looks beyond an image, so the table is that of all images at once, to the last bit; only its order, by
category and score, goes across blocks. Columns grow in place and are put in order one by one, so that next to the
finished table there is never more than one column of a second.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pytest_cropdet.evaluation.coco.matching import match
from pytest_cropdet.evaluation.coco.tables import Detected, Matches, Truth
from pytest_cropdet.evaluation.detected_blocks import Blocks
from pytest_cropdet.geometry import Ints

__all__ = ["match_blocks", "truth_part"]

ROWS_FIRST = 1 << 16


class _Column:
    """A column that grows; what is not written yet takes no memory."""

    def __init__(self, kind: DTypeLike, *tail: int) -> None:
        self._rows = np.empty((ROWS_FIRST, *tail), dtype=kind)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, rows: NDArray[Any]) -> None:
        end = self._count + len(rows)
        if end > len(self._rows):
            self._rows.resize((max(end, 2 * len(self._rows)), *self._rows.shape[1:]), refcheck=False)
        if self._rows.dtype == np.int32 and rows.max(initial=0) > np.iinfo(np.int32).max:
            self._rows = self._rows.astype(np.int64)
        self._rows[self._count : end] = rows
        self._count = end

    @property
    def all(self) -> NDArray[Any]:
        return self._rows[: self._count]

    def taken(self, order: Ints) -> NDArray[Any]:
        """Return the rows in an order, and let go of them."""
        rows = self.all[order]
        self._rows, self._count = self._rows[:0].copy(), 0
        return rows


def match_blocks(truth: Truth, detected: Blocks, *, categories: Sequence[int], max_detections: int) -> Matches:
    """Return what ``match`` returns for all detections at once, rows beyond the cap included, with smaller columns."""
    images = len(detected.index)
    bounds = np.searchsorted(truth.image, np.arange(images + 1))

    def matched_in(objects: slice, table: Detected, first: int, count: int) -> Matches:
        part = truth_part(truth, objects, first)
        return match(part, table, images=count, categories=categories, max_detections=max_detections, beyond=True)

    empty = matched_in(slice(0, 0), Detected([], [], [], []), 0, 0)  # type: ignore[arg-type]
    columns = {name: _Column(kind) for name, kind in _KINDS.items()}
    rank, contenders, matched = _Column(np.int32), _Column(np.int64), _Column(np.int32, len(empty.thresholds))
    places, scored = _Column(np.int64), _Column(np.bool_)
    starts, rows, beyond = [], 0, False
    for first, stop, table in detected.blocks():
        objects = slice(int(bounds[first]), int(bounds[stop]))
        found = matched_in(objects, table, first, stop - first)
        before = len(columns["score"])
        starts.append(found.starts + before)
        contenders.add(found.contenders + before)
        rank.add(found.rank)
        matched.add(np.where(found.matched[0].T >= 0, found.matched[0].T + objects.start, -1))
        places.add(found.truth_category)
        scored.add(found.scored[0])
        columns["rows"].add(found.rows + rows)
        columns["image"].add(found.image + first)
        columns["outside"].add(found.outside[0])
        columns["far"].add(_given(found.far)[0])
        columns["score"].add(_given(found.score))
        rows, beyond = rows + len(table), beyond or found.beyond
    order, ends = _order(columns["score"].all, starts, len(categories))
    place = np.empty(len(order), dtype=order.dtype)
    place[order] = np.arange(len(order), dtype=order.dtype)
    position = place[contenders.all]
    del place
    near = np.argsort(position)
    return Matches(
        images=images,
        categories=empty.categories,
        thresholds=empty.thresholds,
        areas=empty.areas,
        max_detections=empty.max_detections,
        rows=columns["rows"].taken(order),
        starts=ends,
        image=columns["image"].taken(order),
        outside=columns["outside"].taken(order)[None],
        contenders=position[near],
        rank=rank.taken(near),
        matched=np.ascontiguousarray(matched.taken(near).T)[None],
        truth_image=truth.image,
        truth_category=places.all.copy(),
        scored=scored.all.copy()[None],
        score=columns["score"].taken(order),
        far=columns["far"].taken(order)[None],
        beyond=beyond,
    )


_KINDS: dict[str, DTypeLike] = {
    "rows": np.int32,
    "image": np.int32,
    "outside": np.bool_,
    "far": np.bool_,
    "score": np.float64,
}


def _given(column: NDArray[Any] | None) -> NDArray[Any]:
    if column is None:
        raise RuntimeError("the matching made a table without scores")
    return column


def truth_part(truth: Truth, rows: slice, first: int) -> Truth:
    """Return some objects, with their evaluation images counted from ``first``."""
    columns: dict[str, Any] = {
        name: None if getattr(truth, name) is None else getattr(truth, name)[rows]
        for name in Truth.__dataclass_fields__
    }
    return Truth(**{**columns, "image": columns["image"] - first})


def _order(score: NDArray[Any], starts: Sequence[Ints], categories: int) -> tuple[NDArray[Any], Ints]:
    """Return where each row of the finished table stands in the blocks, and the start of each category in it.

    ``starts``: where each category starts in each block. Blocks are in order of their images, and so are equal scores
    within one, so that a stable sort keeps equal scores in the order of images and rows.
    """
    order: NDArray[Any] = np.empty(len(score), dtype=np.int32 if len(score) < 1 << 31 else np.int64)
    ends = np.zeros(categories + 1, dtype=np.int64)
    for k in range(categories):
        where = np.concatenate([np.zeros(0, np.int64), *(np.arange(each[k], each[k + 1]) for each in starts)])
        ends[k + 1] = ends[k] + len(where)
        order[ends[k] : ends[k + 1]] = where[np.argsort(-score[where], kind="stable")]
    return order, ends
