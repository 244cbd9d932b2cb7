"""The worst and the best a plan can do to a detector: one crop of each image, chosen to make AP low or high.

AP is not a sum over images, so choosing for each image by its own AP misses the bound; here one image after another
changes its crop where that moves the AP of the whole pool, until nothing moves. What comes out is reached by a real
choice of crops: a bound from inside.
"""

import math
from typing import Literal

import numpy as np

from pytest_cropdet.evaluation.coco.average_precision import average_precision
from pytest_cropdet.evaluation.coco.tables import Matches
from pytest_cropdet.geometry import Bools, Ints

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

    def value() -> float:
        return average_precision(matches, weights).mean(threshold=iou, categories=kept)

    best = value()
    for _ in range(PASSES):
        moved = False
        for place, group in enumerate(groups):
            for crop in group:
                before = chosen[place]
                if crop == before:
                    continue
                weights[before], weights[crop] = 0.0, 1.0
                tried = value()
                if not math.isnan(tried) and (math.isnan(best) or sign * tried > sign * best + 1e-12):
                    best, chosen[place], moved = tried, crop, True
                else:
                    weights[crop], weights[before] = 0.0, 1.0
        if not moved:
            break
    return (None if math.isnan(best) else best), chosen
