"""The worst and the best a plan can do to a detector: one crop of each image, chosen to make AP low or high.

AP is not a sum over images, so choosing for each image by its own AP misses the bound; here one image after another
changes its crop where that moves the AP of the whole pool, until nothing moves. What comes out is reached by a real
choice of crops: a bound from inside.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

import numpy as np

from pytest_cropdet.evaluation.coco.average_precision import (
    average_precision,
    mean_of_defined,
    threshold_index,
)
from pytest_cropdet.evaluation.coco.tables import Matches
from pytest_cropdet.geometry import Bools, Floats, Ints

__all__ = ["extreme_ap"]

PASSES = 4


def extreme_ap(
    matches: Matches, unit: Ints, kept: Bools, iou: float | None, which: Literal["worst", "best"]
) -> tuple[float | None, Ints]:
    """Return the lowest or highest AP found with one crop of each source image, and the chosen evaluation images.

    ``unit``: (images,) source image of each evaluation image; ``kept``: mask of the categories in the mean; ``iou``:
    one threshold, or all of them where ``None``. Among equal choices the first in the plan's order.
    """
    sign = 1.0 if which == "best" else -1.0
    groups = [np.flatnonzero(unit == one) for one in np.unique(unit)]
    weights = np.zeros(matches.images)
    chosen = np.array([group[0] for group in groups], dtype=np.int64)
    weights[chosen] = 1.0
    pool = _Pool(matches, weights, kept, iou)
    best = pool.mean(pool.values)
    for _ in range(PASSES):
        moved = False
        for place, group in enumerate(groups):
            for crop in group:
                before = chosen[place]
                if crop == before:
                    continue
                weights[before], weights[crop] = 0.0, 1.0
                values = pool.changed(int(before), int(crop))
                tried = pool.mean(values)
                if not math.isnan(tried) and (math.isnan(best) or sign * tried > sign * best + 1e-12):
                    best, chosen[place], moved, pool.values = tried, crop, True, values
                else:
                    weights[crop], weights[before] = 0.0, 1.0
        if not moved:
            break
    return (None if math.isnan(best) else best), chosen


class _Pool:
    """The AP of each category under ``weights``, which the caller changes; only categories that a change touches move.

    The AP of a category is a function of its own detections and objects, so that each is a match table of its own.
    """

    def __init__(self, matches: Matches, weights: Floats, kept: Bools, iou: float | None) -> None:
        counted = matches.counted
        self.weights, self.kept = weights, np.asarray(kept, dtype=bool)
        self.row = slice(None) if iou is None else [threshold_index(counted.thresholds, iou)]
        self.tables = [_of_category(counted, place) for place in range(len(counted.categories))]
        self.touched: list[set[int]] = [set() for _ in range(counted.images)]
        for place, table in enumerate(self.tables):
            if self.kept[place]:
                for image in {*table.image.tolist(), *table.truth_image.tolist()}:
                    self.touched[image].add(place)
        self.values = np.full((len(counted.thresholds), len(self.tables)), np.nan)
        self._update(self.values, np.flatnonzero(self.kept).tolist())

    def changed(self, before: int, after: int) -> Floats:
        """Return the AP of each category, (T, K), when the weights of two evaluation images have changed."""
        values: Floats = self.values.copy()
        self._update(values, self.touched[before] | self.touched[after])
        return values

    def mean(self, values: Floats) -> float:
        """Return the mean that is sought, of AP per threshold and category."""
        return mean_of_defined(np.asarray(values[self.row][:, self.kept], dtype=np.float64))

    def _update(self, values: Floats, places: Iterable[int]) -> None:
        for place in places:
            values[:, place] = average_precision(self.tables[place], self.weights).values[:, 0]


def _of_category(matches: Matches, place: int) -> Matches:
    """Return the match table of one category alone."""
    first, last = matches.starts[place : place + 2].tolist()
    near = slice(*np.searchsorted(matches.contenders, [first, last]).tolist())
    own = np.flatnonzero(matches.truth_category == place)
    row_of = np.full(len(matches.truth_category) + 1, -1, dtype=np.int32)  # the last is that of -1
    row_of[own] = np.arange(len(own))
    return replace(
        matches,
        categories=matches.categories[place : place + 1],
        rows=matches.rows[first:last],
        starts=np.array([0, last - first]),
        image=matches.image[first:last],
        outside=matches.outside[:, first:last],
        contenders=matches.contenders[near] - first,
        rank=matches.rank[near],
        matched=row_of[matches.matched[:, :, near]],
        truth_image=matches.truth_image[own],
        truth_category=np.zeros(len(own), dtype=np.int64),
        scored=matches.scored[:, own],
    )
