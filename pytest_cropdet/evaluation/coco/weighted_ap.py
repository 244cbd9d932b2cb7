"""AP of one category under many weightings of the images at once, in NumPy.

The weightings stand along the fast axis. Weights are whole numbers; their running sums are exact, and divisions are in
float64.

Rows with a running sum or maximum are *folded*: n * b rows in order are held as (b, n) with row ``i * b + j`` at
``[j, i]``, so that one NumPy call takes a step in n blocks at once (``cumsum(axis=0)`` goes down each column singly,
ten times as slow). What is left over of the b * n cells repeats the last row and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.evaluation.coco.average_precision import EPSILON, RECALL_POINTS
from pytest_cropdet.evaluation.coco.events import CategoryEvents
from pytest_cropdet.geometry import Floats, Ints

Weights = NDArray[np.unsignedinteger[Any]]
Reals = NDArray[np.floating[Any]]

ABOVE = np.linspace(0.0, 1.0, 101) > np.arange(101) / 100
"""Whether recall point i lies a last bit above i/100: a recall of exactly i/100 does not reach it."""
FIRST_TIE = np.array(
    [min((i for i in np.flatnonzero(ABOVE) if i * n % 100 == 0), default=900) / 100 for n in range(100)]
)
"""By the number of positives modulo 100, the smallest recall that is such an i/100; beyond 1 if none can be."""
EXACT_RECALL = 1 << 14
"""Below so many positives, 100 times the recall is safe in float32: 1/positives is many times its rounding error."""
CELLS_AT_ONCE = 1 << 19  # of counted detections times weightings, held at once
EVENT_CELLS_AT_ONCE = 1 << 18  # of events times weightings
FEW_CELLS = 1 << 15  # cells of a threshold: with fewer, all thresholds go in one step


@dataclass(frozen=True, eq=False)
class _Level:
    """The true positives of one category at one IoU threshold, H of them.

    Where nothing else is counted between true positives, precision only rises, so all but the last of such a run can be
    passed over: the R *ends* of runs are where AP is summed up.
    """

    hits: Ints
    """(H,) their places among all events."""
    ends: Ints
    """(R,) the places of the ends of runs among the hits."""
    changes: Ints
    """(Q,) events that count otherwise than mostly."""
    signs: Floats
    """(Q,) +1 or -1."""
    changes_before: Ints
    """(R,) how many of the changes stand at or before each end."""

    @classmethod
    def of(cls, category: CategoryEvents, index: int) -> _Level:
        hits = np.flatnonzero(category.hits[index])
        counted = category.counted_before[hits]
        changes = np.flatnonzero(category.changes[index])
        if len(changes):
            counted = counted + np.cumsum(category.changes[index])[hits]
        ends = np.flatnonzero(np.append(np.diff(counted) != 1, True)[: len(hits)])
        before = np.searchsorted(changes, hits[ends], side="right")
        return cls(hits, ends, changes, category.changes[index, changes].astype(float), before)


class CategoryAP:
    """Computes the AP of one category; made once, asked for each chunk of weightings."""

    def __init__(self, category: CategoryEvents, width: int) -> None:
        """``width`` is the number of weightings to expect at once."""
        self.category = category
        levels = [_Level.of(category, index) for index in range(len(category.hits))]
        longest = max(len(level.ends) for level in levels)
        step = len(levels) if longest * width < FEW_CELLS else 1
        self.groups = [
            _Group(len(category.events), slice(first, first + step), levels[first : first + step])
            for first in range(0, len(levels), step)
        ]

    @staticmethod
    def width(images: int) -> int:
        """Return how many weightings go well in step: many where images are few, so that no call is for little."""
        return max(64, min(1024, (1 << 20) // max(images, 1) // 64 * 64))

    def __call__(self, weights: Weights, positives: Floats, out: Floats) -> None:
        """Write (T, B) AP into ``out``.

        ``weights`` is (images + 1, B), its last row all zero; ``positives`` is (B,), the weight of the scored objects.
        """
        category = self.category
        if not len(category.events):
            out[:] = 0.0
            return
        width = max(16, EVENT_CELLS_AT_ONCE // len(category.events))
        if weights.shape[1] > width:  # each weighting is computed alone, so the blocks change no digit
            for start in range(0, weights.shape[1], width):
                some = slice(start, start + width)
                self(weights[:, some], positives[some], out[:, some])
            return
        kind = np.float32 if positives.max() < EXACT_RECALL else np.float64
        counted = _counted_at_events(category, weights)
        weight = np.zeros((len(category.events) + 1, weights.shape[1]), dtype=kind)  # the last row pads
        weight[:-1] = weights.take(category.events, axis=0)
        per_positive = 1.0 / np.where(positives > 0, positives, np.inf)
        scale, half = (100.0 * per_positive).astype(kind), (0.5 * per_positive).astype(kind)
        first_tie = first_tie_of(positives)
        for group in self.groups:
            true = group.true(weight)
            best = group.counted(weight, counted)
            np.divide(true, best, out=best)
            _running_maximum_from_the_end(best)
            reached = true * scale
            reached += half  # what should be whole is now well above it, and the rest well below the next whole
            np.floor(reached, out=reached)
            _step_back(reached, true, positives, first_tie)
            newly = true
            np.subtract(reached[1:], reached[:-1], out=newly[1:])
            np.subtract(reached[0, 1:], reached[-1, :-1], out=newly[0, 1:])
            np.add(reached[0, 0], 1.0, out=newly[0, 0])  # the recall point 0 is the first row's as well
            np.multiply(newly, best, out=best)
            np.sum(best.reshape(-1, *best.shape[2:]), axis=0, out=out[group.rows])
        out /= len(RECALL_POINTS)


class _Group:
    """Some thresholds of a category that go in step, g of them, their rows folded to (b, n, g)."""

    def __init__(self, events: int, rows: slice, levels: Sequence[_Level]) -> None:
        self.rows = rows
        self.levels = levels
        self.hits = np.stack([_folded(level.hits, _longest(levels, "hits"), events) for level in levels], axis=-1)
        height, blocks, many = self.hits.shape
        ends = [_folded(level.ends, _longest(levels, "ends"), _last(level.ends)) for level in levels]
        block, row = np.divmod(np.stack(ends, axis=-1), height)
        which = np.arange(many)
        self.end_cells = (row * blocks + block) * many + which
        self.end_blocks = block * many + which
        self.end_events = np.stack(
            [level.hits[end] if len(level.hits) else end for level, end in zip(levels, ends, strict=True)], axis=-1
        )

    def true(self, weight: Reals) -> Reals:
        """Return (b, n, g, B): the true positives up to each end of a run."""
        sums, before = _block_sums(
            weight, self.hits, np.zeros((1, *self.hits.shape[2:], weight.shape[1]), weight.dtype)
        )
        true: Reals = sums.reshape(-1, weight.shape[1]).take(self.end_cells, axis=0)
        true += before.reshape(-1, weight.shape[1]).take(self.end_blocks, axis=0)
        return true

    def counted(self, weight: Reals, counted_at_events: Floats) -> Floats:
        """Return (b, n, g, B): all counted up to each end of a run, and a trifle as in pycocotools."""
        counted: Floats = counted_at_events.take(self.end_events, axis=0)
        for index, level in enumerate(self.levels):
            if len(level.changes) and len(level.ends):
                sums = np.zeros((len(level.changes) + 1, weight.shape[1]))
                sums[1:] = weight.take(level.changes, axis=0) * level.signs[:, None]
                for row in range(1, len(sums)):
                    np.add(sums[row - 1], sums[row], out=sums[row])
                places = _folded(level.changes_before, _longest(self.levels, "ends"), level.changes_before[-1])
                counted[:, :, index] += sums.take(places, axis=0)
        counted += EPSILON
        return counted


def first_tie_of(positives: Floats) -> Floats:
    """Return (B,): from where on a recall can be exactly an i/100 that its recall point lies above."""
    share = FIRST_TIE[positives.astype(np.int64) % 100]
    ties: Floats = np.where(positives > 0, positives * share - 0.5, np.inf)
    return ties


def _longest(levels: Sequence[_Level], name: str) -> int:
    return max(1, *(len(getattr(level, name)) for level in levels))


def _last(places: Ints) -> int:
    return int(places[-1]) if len(places) else 0


def _folded(places: Ints, length: int, pad: int, tallest: int = 1 << 16) -> Ints:
    """Return places as (b, n), as if there were ``length`` of them, with ``pad`` in the cells left over.

    >>> _folded(np.arange(7), 7, 9)
    array([[0, 2, 4, 6],
           [1, 3, 5, 9]])
    """
    height = max(1, min(int(length**0.5), tallest))
    blocks = -(-length // height)
    cells: Ints = np.full(height * blocks, pad)
    cells[: len(places)] = places
    folded: Ints = cells.reshape(blocks, height).T
    return folded


def _block_sums(source: NDArray[Any], folded: Ints, carried: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the running sums within each block, and (n + 1, ...) what lies before each block, from ``carried`` on."""
    sums = source.take(folded, axis=0)
    for row in range(1, len(sums)):
        np.add(sums[row], sums[row - 1], out=sums[row])
    before = np.concatenate([carried, sums[-1]], dtype=carried.dtype)
    for block in range(1, len(before)):
        np.add(before[block], before[block - 1], out=before[block])
    return sums, before


def _running_maximum_from_the_end(rows: Floats) -> None:
    """Make each of (b, n, ...) folded rows the largest of itself and all after it, in place."""
    for row in range(len(rows) - 2, -1, -1):
        np.maximum(rows[row], rows[row + 1], out=rows[row])
    first = rows[0]
    for block in range(len(first) - 2, -1, -1):
        np.maximum(first[block], first[block + 1], out=first[block])
    np.maximum(rows[1:, :-1], first[1:], out=rows[1:, :-1])


def _counted_at_events(category: CategoryEvents, weights: Weights) -> Floats:
    """Return (E, B): the weight of the detections that mostly count, up to each event."""
    width = weights.shape[1]
    result = np.zeros((len(category.events), width))
    size = max(CELLS_AT_ONCE // width, 16)
    tallest = np.iinfo(weights.dtype).max // max(int(weights.max()), 1)  # taller blocks could overflow
    carried = np.zeros((1, width))
    done = int(np.searchsorted(category.counted_before, 0, side="right"))
    for start in range(0, len(category.counted), size):
        images = category.counted[start : start + size]
        folded = _folded(images, len(images), len(weights) - 1, tallest)
        sums, before = _block_sums(weights, folded, carried)
        stop = int(np.searchsorted(category.counted_before, start + size, side="right"))
        block, row = np.divmod(category.counted_before[done:stop] - start - 1, len(folded))
        np.add(sums[row, block], before[block], out=result[done:stop])
        carried = before[-1:]
        done = stop
    return result


def _step_back(reached: Reals, true: Reals, positives: Floats, first_tie: Floats) -> None:
    """Take back recall points above i/100 where the recall is i/100 to the last digit."""
    tied = np.flatnonzero(true[-1, -1] >= first_tie)
    if not len(tied):
        return
    flat = reached.reshape(-1, true[0, 0].size)
    some = flat.take(tied, axis=1)
    share = positives[tied % len(positives)].astype(some.dtype)
    cell = np.flatnonzero(100 * true.reshape(flat.shape).take(tied, axis=1) == some * share)
    cell = cell[ABOVE[some.ravel()[cell].astype(np.int64)]]
    row, column = np.divmod(cell, len(tied))
    flat[row, tied[column]] -= 1.0
