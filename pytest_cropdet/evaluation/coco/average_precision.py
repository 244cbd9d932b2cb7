"""Average precision and recall of a match table, with image weights.

Precision is read at 101 recall points, ``linspace(0, 1, 101)`` in float64, from the running maximum from the right, as
``pycocotools.cocoeval`` does. An image of weight 2 counts as two images, and the numbers are those of the data set that
really holds it twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_cropdet.evaluation.coco.tables import Matches
from pytest_cropdet.geometry import Bools, Floats, Ints

RECALL_POINTS: Floats = np.linspace(0.0, 1.0, 101)
RECALL_POINTS.flags.writeable = False
EPSILON = float(np.spacing(1))  # pycocotools adds it to the number of detections


@dataclass(frozen=True, eq=False)
class AveragePrecision:
    """AP, 0 to 1, per threshold and category; NaN where a category has no scored object."""

    thresholds: Floats
    """(T,) IoU thresholds."""
    categories: Ints
    """(K,) category ids."""
    values: Floats
    """(T, K) AP."""

    @property
    def mAP(self) -> float:
        """The mean over thresholds and defined categories; NaN if none is defined."""
        return self.mean()

    @property
    def AP50(self) -> float:
        """The mean over defined categories at IoU 0.5."""
        return self.mean(threshold=0.5)

    @property
    def AP75(self) -> float:
        """The mean over defined categories at IoU 0.75."""
        return self.mean(threshold=0.75)

    @property
    def per_category(self) -> Floats:
        """(K,) the mean over thresholds of each category, NaN where undefined."""
        return np.asarray(self.values.mean(axis=0), dtype=float)

    def mean(self, *, threshold: float | None = None, categories: ArrayLike | None = None) -> float:
        """The mean over defined categories, at one threshold or all, over the chosen categories (a mask) or all."""
        values = self.values if threshold is None else self.values[[threshold_index(self.thresholds, threshold)]]
        return mean_of_defined(values if categories is None else values[:, np.asarray(categories, dtype=bool)])


def average_precision(
    matches: Matches,
    weights: ArrayLike | None = None,
    *,
    area: str = "all",
    worth: ArrayLike | None = None,
    max_detections: int | None = None,
) -> AveragePrecision:
    """Return the AP of the data set in which evaluation image i occurs ``weights[i]`` times (once each by default).

    ``worth``: (K,) as how many true positives one of category k counts in the precision (1 by default), which makes AP
    of few objects comparable with that of many (D. Hoiem et al., "Diagnosing Error in Object Detectors", 2012).
    ``max_detections``: how many of each image and category count, by default as many as the matching counted.

    >>> from pytest_cropdet.evaluation import Detected, Truth, match
    >>> truth = Truth([0, 1], [1, 1], [[0, 0, 9, 9]] * 2, [81, 81], [False] * 2, [False] * 2)
    >>> detected = Detected([0, 1], [1, 1], [[0, 0, 9, 9], [50, 0, 59, 9]], [0.8, 0.9])
    >>> found = match(truth, detected, images=2, categories=[1])
    >>> round(average_precision(found).mAP, 3), round(average_precision(found, [1, 0]).mAP, 3)
    (0.252, 1.0)
    >>> average_precision(found, [0, 0]).mAP
    nan
    """
    matches = matches.counted if max_detections is None else matches.first(max_detections)
    weight = _weights(matches, weights)
    worths = np.ones(len(matches.categories)) if worth is None else np.asarray(worth, dtype=float)
    positives = scored_weight(matches, weight, area)
    hit, change = _hits_and_changes(matches, area)
    outside = matches.outside[matches.area_index(area)]
    counted = np.zeros(len(matches.image) + 1)
    np.take(weight, matches.image, out=counted[1:], mode="clip")  # "raise" would make a copy
    counted[1:][outside] = 0.0
    np.cumsum(counted[1:], out=counted[1:])
    bounds = np.searchsorted(matches.contenders, matches.starts)
    values = np.zeros((len(matches.thresholds), len(matches.categories)))
    for k, (start, stop) in enumerate(pairwise(bounds)):
        if positives[k] > 0 and start < stop:
            place = matches.contenders[start:stop]
            here = weight[matches.image[place]]
            true = np.cumsum(hit[:, start:stop] * here, axis=1)
            total = (counted[place + 1] - counted[matches.starts[k]])[None]
            if change is not None:
                total = total + np.cumsum(change[:, start:stop] * here, axis=1)
            more = (worths[k] - 1) * true
            precision = np.where(hit[:, start:stop], (true + more) / (total + more + EPSILON), 0.0)
            best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            reached = np.searchsorted(RECALL_POINTS, true / positives[k], side="right")
            reached[:, 1:] -= reached[:, :-1].copy()
            values[:, k] = (best * reached).sum(axis=1) / len(RECALL_POINTS)
    values[:, positives <= 0] = np.nan
    return AveragePrecision(matches.thresholds, matches.categories, values)


def recall(
    matches: Matches, weights: ArrayLike | None = None, *, area: str = "all", max_detections: int | None = None
) -> Floats:
    """Return (T, K): the share of scored objects found among the first detections of each image and category."""
    matches = matches.counted
    weight = _weights(matches, weights)
    hit = matches.true_positives(area)
    if max_detections is not None:
        hit &= matches.rank < max_detections
    weighted = hit * weight[matches.image[matches.contenders]]
    total = np.concatenate([np.zeros((len(hit), 1)), np.cumsum(weighted, axis=1)], axis=1)
    found = np.diff(total[:, np.searchsorted(matches.contenders, matches.starts)], axis=1)
    positives = scored_weight(matches, weight, area)
    return np.asarray(found / np.where(positives > 0, positives, np.nan), dtype=float)


def coco_summary(matches: Matches, weights: ArrayLike | None = None) -> dict[str, float]:
    """Return COCO's twelve numbers, by the names AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl.

    The matching must have used ``COCO_AREA_RANGES``. Undefined is NaN (pycocotools says -1).
    """
    sizes = {"s": "small", "m": "medium", "l": "large"}
    whole = average_precision(matches, weights)
    numbers = {"AP": whole.mAP, "AP50": whole.AP50, "AP75": whole.AP75}
    for letter, area in sizes.items():
        numbers["AP" + letter] = average_precision(matches, weights, area=area).mAP
    for cap in (1, 10, 100):
        numbers[f"AR{cap}"] = mean_of_defined(recall(matches, weights, max_detections=cap))
    for letter, area in sizes.items():
        numbers["AR" + letter] = mean_of_defined(recall(matches, weights, area=area, max_detections=100))
    return numbers


def mean_of_defined(values: Floats) -> float:
    """Return the mean of what is not NaN, and NaN if nothing is.

    >>> mean_of_defined(np.array([0.25, np.nan, 0.75])), mean_of_defined(np.array([np.nan]))
    (0.5, nan)
    """
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def threshold_index(thresholds: Floats, wanted: float) -> int:
    """Return where an IoU threshold stands; ValueError if it was not matched."""
    near = np.flatnonzero(np.isclose(thresholds, wanted, rtol=0, atol=1e-9))
    if not len(near):
        raise ValueError(f"IoU {wanted:g} was not matched, only {', '.join(f'{t:g}' for t in thresholds)}")
    return int(near[0])


def scored_weight(matches: Matches, weight: Floats, area: str) -> Floats:
    """Return (K,): the weighted number of scored objects per category."""
    counts = matches.scored[matches.area_index(area)]
    sums = np.bincount(
        matches.truth_category[counts], weight[matches.truth_image[counts]], minlength=len(matches.categories)
    )
    return sums.astype(float)  # bincount of nothing is of integers


def _weights(matches: Matches, weights: ArrayLike | None) -> Floats:
    weight = np.ones(matches.images) if weights is None else np.asarray(weights, dtype=float)
    if weight.shape != (matches.images,):
        raise ValueError(f"weights have shape {weight.shape}, expected ({matches.images},)")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise ValueError("weights must be finite and not negative")
    return weight


def _hits_and_changes(matches: Matches, area: str) -> tuple[Bools, NDArray[np.int8] | None]:
    """Return (T, C) each: true positive or not, and by how much a match changes what counts; None if it never does.

    All detections count but those outside. A match with a scored object brings one in that is outside, and a match with
    an ignored object takes one out that is not.
    """
    index = matches.area_index(area)
    hit = matches.true_positives(area)
    outside = matches.outside[index][matches.contenders]
    taken_out = (matches.matched[index] >= 0) & ~hit & ~outside
    if not outside.any() and not taken_out.any():
        return hit, None
    return hit, (hit & outside).astype(np.int8) - taken_out


__all__ = ["RECALL_POINTS", "AveragePrecision", "average_precision", "coco_summary", "recall"]


IOU_OF: Mapping[str, float | None] = {"mAP": None, "AP50": 0.5, "AP75": 0.75}
