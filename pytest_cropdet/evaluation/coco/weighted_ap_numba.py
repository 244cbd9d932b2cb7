"""AP of one category under many weightings of the images at once, compiled by numba.

The numbers of ``weighted``, in a fraction of the time. Imported only when it is used, for importing
numba takes a while.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.evaluation.coco.average_precision import RECALL_POINTS
from pytest_cropdet.evaluation.coco.events import CategoryEvents
from pytest_cropdet.evaluation.coco.weighted_ap import ABOVE, Weights, first_tie_of
from pytest_cropdet.geometry import Bools, Floats, Ints

Function = TypeVar("Function", bound=Callable[..., Any])
Points = NDArray[np.int8]
Counts = NDArray[np.int32]


def compiled(function: Function) -> Function:
    """Return the function compiled on its first call, and kept on disk; divisions are NumPy's."""
    return cast(Function, numba.njit(cache=True, error_model="numpy")(function))


class FastCategoryAP:
    """Computes the AP of one category; made once, asked for each chunk of weightings."""

    def __init__(self, category: CategoryEvents, width: int) -> None:
        self.category = category

    @staticmethod
    def width(images: int) -> int:
        """Return how many weightings go well in step."""
        return 256

    def __call__(self, weights: Weights, positives: Floats, out: Floats) -> None:
        """Write (T, B) AP into ``out``, as ``weighted.CategoryAP`` does."""
        category = self.category
        at_events = np.empty((len(category.events), len(positives)), dtype=np.int32)
        _count(category.counted, category.counted_before, weights, at_events)
        before, ties = category.counted_before, first_tie_of(positives)
        _category_ap(category.events, before, category.hits, category.changes, weights, at_events, positives, ties, out)


@compiled
def _count(counted: Ints, counted_before: Ints, weights: Weights, at_events: Counts) -> None:
    """Write (E, B): the weight of the detections that mostly count, up to each event."""
    sums = np.zeros(weights.shape[1], np.int32)
    done = 0
    for event in range(len(counted_before)):
        for row in range(done, counted_before[event]):
            image = counted[row]
            for b in range(len(sums)):
                sums[b] += weights[image, b]
        done = counted_before[event]
        at_events[event] = sums


@compiled
def _category_ap(
    events: Ints,
    counted_before: Ints,
    hits: Bools,
    changes: Points,
    weights: Weights,
    at_events: Counts,
    positives: Floats,
    ties: Floats,
    out: Floats,
) -> None:
    """Write (T, B) AP into ``out``; the other arguments are the fields of the category and what was made of them."""
    width = weights.shape[1]
    true = np.empty((len(events), width), np.int32)  # from the last end to the first: loops that count down are slow
    total = np.empty((len(events), width), np.int32)
    reached = np.empty((len(events), width), np.int8)
    scale, half = np.zeros(width), np.zeros(width)
    for b in range(width):
        if positives[b] > 0:
            scale[b], half[b] = 100 / positives[b], 0.5 / positives[b]
    for t in range(len(hits)):
        is_end = _ends(hits[t], counted_before, changes[t])
        found = np.zeros(width, np.int32)
        change = np.zeros(width, np.int32)
        ends = is_end.sum()
        row = ends
        for event in range(len(events)):
            image = events[event]
            if changes[t, event] != 0:
                sign = np.int32(changes[t, event])
                for b in range(width):
                    change[b] += sign * np.int32(weights[image, b])
            if hits[t, event]:
                for b in range(width):
                    found[b] += weights[image, b]
            if is_end[event]:
                row -= 1
                for b in range(width):
                    true[row, b] = found[b]
                    total[row, b] = max(at_events[event, b] + change[b], 1)  # where it is 0, so is true
                    reached[row, b] = np.int32(found[b] * scale[b] + half[b])
        for b in range(width):
            if found[b] >= ties[b]:
                _step_back(reached[:ends, b], true[:ends, b], positives[b])
        _sum_up(true[:ends], total[:ends], reached[:ends], out[t])


@compiled
def _ends(hits: Bools, counted_before: Ints, changes: Points) -> Bools:
    """Return (E,): whether an event is the last true positive before something else is counted."""
    ends = np.zeros(len(hits), np.bool_)
    changed, last, before = 0, -1, 0
    for event in range(len(hits)):
        changed += changes[event]
        if hits[event]:
            count = counted_before[event] + changed
            if last >= 0 and count != before + 1:
                ends[last] = True
            last, before = event, count
    if last >= 0:
        ends[last] = True
    return ends


@compiled
def _step_back(reached: Points, true: Counts, positives: float) -> None:
    """Take back recall points above i/100 where the recall is i/100 to the last digit; (R,) of one weighting."""
    for row in range(len(true)):
        if ABOVE[reached[row]] and reached[row] * positives == 100.0 * true[row]:
            reached[row] -= 1


@compiled
def _sum_up(true: Counts, total: Counts, reached: Points, out: Floats) -> None:
    """Write (B,) the AP: the running maximum of the precision times the recall points newly reached."""
    out[:] = 0.0
    best = np.zeros(len(out))
    last = len(true) - 1
    for row in range(last):
        for b in range(len(out)):
            best[b] = max(best[b], true[row, b] / total[row, b])
            out[b] += best[b] * (reached[row, b] - reached[row + 1, b])
    if last >= 0:
        for b in range(len(out)):
            best[b] = max(best[b], true[last, b] / total[last, b])
            out[b] += best[b] * (reached[last, b] + 1)  # the recall point 0 is the first row's as well
    out /= len(RECALL_POINTS)
