"""AP of one category under many weightings of the images at once.

The weightings stand along the fast axis. Weights are whole numbers; their running sums are exact, and divisions are in
float64.

Running sums over rows are *folded*: n * b rows in order are held as (b, n) with row ``i * b + j`` at ``[j, i]``, so that
one NumPy call takes a step in n blocks at once (``cumsum(axis=0)`` goes down each column singly, ten times as slow).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.evaluation.average_precision import EPSILON, RECALL_POINTS
from pytest_cropdet.evaluation.values import Floats, Ints, Matches

Weights = NDArray[np.uint16]

ABOVE = np.linspace(0.0, 1.0, 101) > np.arange(101) / 100
"""Whether recall point i lies a last bit above i/100: a recall of exactly i/100 does not reach it."""
FIRST_TIE = np.array([min((i / 100 for i in np.flatnonzero(ABOVE) if i * n % 100 == 0), default=9.0) for n in range(100)])
"""By the number of positives modulo 100, the smallest recall that is such an i/100; beyond 1 if none can be."""
EXACT_RECALL = 1 << 14
"""Up to so many positives, 100 times the recall is safe in float32: 1/positives is many times its rounding error."""
CELLS = 1 << 18  # of counted detections times weightings, held at once


@dataclass(frozen=True, eq=False)
class Level:
    """The true positives of one category at one IoU threshold."""

    hits: Ints
    """(R,) their places among the category's events."""
    changes: Ints
    """(Q,) events counted otherwise than their area and stray flag say, because they matched."""
    signs: Floats
    """(Q,) +1 counted after all, -1 not counted after all."""
    changes_before: Ints
    """(R,) how many of the changes stand at or before each true positive."""


@dataclass(frozen=True, eq=False)
class CategoryPlan:
    """What the AP of one category depends on, in the order of falling score.

    Events are the detections that are true positives, or counted otherwise than unmatched, at some threshold.
    """

    objects: Ints
    """(G,) images of the scored objects."""
    counted: Ints
    """(N,) images of the detections that count while unmatched, as far as the last true positive."""
    events: Ints
    """(E,) images of the events."""
    counted_before: Ints
    """(E,) how many of ``counted`` stand at or before each event."""
    levels: tuple[Level, ...]
    """(T,) one for each threshold."""


Kernel = Callable[[CategoryPlan, Weights, Floats, Floats], None]


def plan_of(table: Matches, category: int, levels: Sequence[int], area: str) -> CategoryPlan:
    """Return the plan of one category (an index into ``table.categories``) at some thresholds (indices)."""
    index = table.area_index(area)
    objects = table.truth_image[table.scored[index] & (table.truth_category == category)]
    start, stop = table.starts[category], table.starts[category + 1]
    first, last = np.searchsorted(table.contenders, [start, stop])
    place = table.contenders[first:last] - start
    matched = table.matched[index, :, first:last][levels]
    hit = table.is_scored(matched, area)
    outside = table.outside[index, start:stop]
    change = (hit & outside[place]).astype(float) - ((matched >= 0) & ~hit & ~outside[place])

    any_hit = np.flatnonzero(hit.any(axis=0))
    end = any_hit[-1] + 1 if len(any_hit) else 0
    event = np.flatnonzero((hit | (change != 0))[:, :end].any(axis=0))
    counts = ~outside[: place[end - 1] + 1 if end else 0]
    image = table.image[start:stop]
    found = []
    for row in range(len(levels)):
        hits = np.flatnonzero(hit[row, event])
        changes = np.flatnonzero(change[row, event])
        changes = changes[changes <= hits[-1]] if len(hits) else changes[:0]
        found.append(Level(hits, changes, change[row, event][changes], np.searchsorted(changes, hits, side="right")))
    return CategoryPlan(
        objects=objects,
        counted=image[: len(counts)][counts],
        events=image[place[event]],
        counted_before=np.cumsum(counts)[place[event]] if len(event) else event,
        levels=tuple(found),
    )


def category_ap(plan: CategoryPlan, weights: Weights, positives: Floats, out: Floats) -> None:
    """Write (T, B) the AP of one category into ``out``.

    ``weights`` is (images + 1, B), its last row all zero; ``positives`` is (B,), the weight of the scored objects.
    """
    if not len(plan.events):
        out[:] = 0.0
        return
    kind = np.float32 if positives.max() < EXACT_RECALL else np.float64
    counted = _counted_at_events(plan, weights)
    weight = np.zeros((len(plan.events) + 1, weights.shape[1]), dtype=kind)  # the last row pads
    weight[:-1] = weights.take(plan.events, axis=0)
    per_positive = 1.0 / np.where(positives > 0, positives, np.inf)
    scale, half = (100.0 * per_positive).astype(kind), (0.5 * per_positive).astype(kind)
    for level, value in zip(plan.levels, out, strict=True):
        if not len(level.hits):
            value[:] = 0.0
            continue
        true = weight.take(_folded(level.hits, pad=len(plan.events)), axis=0)
        running_sum(true)
        best = counted.take(_folded(level.hits, pad=level.hits[-1]), axis=0)
        if len(level.changes):
            best += _changed(level, weight)
        best += EPSILON
        np.divide(true, best, out=best)
        running_maximum_from_the_end(best)
        reached = true * scale
        reached += half  # what should be whole is then well above it, and the rest well below the next whole
        np.floor(reached, out=reached)
        _step_back(reached, true, positives)
        newly = true
        np.subtract(reached[1:], reached[:-1], out=newly[1:])
        np.subtract(reached[0, 1:], reached[-1, :-1], out=newly[0, 1:])
        np.add(reached[0, 0], 1.0, out=newly[0, 0])  # the recall point 0 is the first row's as well
        np.multiply(newly, best, out=best)
        np.sum(best.reshape(-1, best.shape[-1]), axis=0, out=value)
    out /= len(RECALL_POINTS)


def running_sum(rows: Floats) -> None:
    """Make each of (b, n, B) folded rows the sum of itself and all before it, in place.

    >>> rows = np.arange(6.0).reshape(3, 2, 1, order="F")
    >>> running_sum(rows)
    >>> rows.ravel(order="F")
    array([ 0.,  1.,  3.,  6., 10., 15.])
    """
    for row in range(1, len(rows)):
        np.add(rows[row], rows[row - 1], out=rows[row])
    last = rows[-1]
    for block in range(1, len(last)):
        np.add(last[block], last[block - 1], out=last[block])
    rows[:-1, 1:] += last[:-1]


def running_maximum_from_the_end(rows: Floats) -> None:
    """Make each of (b, n, B) folded rows the largest of itself and all after it, in place."""
    for row in range(len(rows) - 2, -1, -1):
        np.maximum(rows[row], rows[row + 1], out=rows[row])
    first = rows[0]
    for block in range(len(first) - 2, -1, -1):
        np.maximum(first[block], first[block + 1], out=first[block])
    np.maximum(rows[1:, :-1], first[1:], out=rows[1:, :-1])


def _folded(places: Ints, pad: int, tallest: int = 1 << 16) -> Ints:
    """Return the places folded, (b, n), with ``pad`` in the cells left over."""
    height = max(1, min(int(len(places) ** 0.5), tallest))
    blocks = -(-len(places) // height)
    cells = np.full(height * blocks, pad)
    cells[: len(places)] = places
    return cells.reshape(blocks, height).T


def _counted_at_events(plan: CategoryPlan, weights: Weights) -> Floats:
    """Return (E, B): the weight of the detections that count while unmatched, up to each event."""
    width = weights.shape[1]
    result = np.zeros((len(plan.events), width))
    size = max(CELLS // width, 16)
    tallest = np.iinfo(weights.dtype).max // max(int(weights.max()), 1)  # more rows could overflow
    carried = np.zeros(width)
    done = int(np.searchsorted(plan.counted_before, 0, side="right"))
    for start in range(0, len(plan.counted), size):
        images = _folded(plan.counted[start : start + size], pad=len(weights) - 1, tallest=tallest)
        sums = weights.take(images, axis=0)
        height, blocks = images.shape
        for row in range(1, height):
            np.add(sums[row], sums[row - 1], out=sums[row])
        before = np.empty((blocks + 1, width))  # what lies before each block
        before[0] = carried
        for block in range(blocks):
            np.add(before[block], sums[-1, block], out=before[block + 1])
        stop = int(np.searchsorted(plan.counted_before, start + size, side="right"))
        block, row = np.divmod(plan.counted_before[done:stop] - start - 1, height)
        np.add(sums[row, block], before[block], out=result[done:stop])
        carried = before[-1]
        done = stop
    return result


def _changed(level: Level, weight: Floats) -> Floats:
    """Return (b, n, B): by how much more is counted up to each true positive, since some events matched."""
    signed = weight.take(level.changes, axis=0) * level.signs[:, None]
    sums = np.zeros((len(signed) + 1, weight.shape[1]))
    for row in range(len(signed)):
        np.add(sums[row], signed[row], out=sums[row + 1])
    return sums.take(_folded(level.changes_before, pad=level.changes_before[-1]), axis=0)


def _step_back(reached: Floats, true: Floats, positives: Floats) -> None:
    """Take back recall points above i/100 where the recall is i/100 to the last digit."""
    tied = np.flatnonzero(true[-1, -1] >= positives * FIRST_TIE[positives.astype(np.int64) % 100])
    if len(tied):
        some = reached[:, :, tied]
        cell = np.nonzero(100 * true[:, :, tied] == some * positives[tied])
        above = ABOVE[some[cell].astype(int)]
        reached[cell[0][above], cell[1][above], tied[cell[2][above]]] -= 1.0
