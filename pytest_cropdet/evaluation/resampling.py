"""Paired bootstrap of AP over source images, from match tables made once.

A replicate draws as many source images as there are, with replacement, and an image drawn twice counts twice: the
replicate is a vector of weights, the same for every match table. Which detection matches which object does not depend on
what is drawn, so nothing is matched or sorted again; only true positives can move AP, so its sums run over them alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pytest_cropdet.evaluation.average_precision import threshold_index
from pytest_cropdet.evaluation.values import Bools, Floats, Ints, Matches
from pytest_cropdet.evaluation.weighted import CategoryPlan, Kernel, Weights, category_ap, plan_of

METRICS = ("mAP", "AP50", "AP75")
LARGE = 1 << 17


@dataclass(frozen=True, eq=False)
class Replicates:
    """AP in each bootstrap replicate; NaN where no category has a scored object among what was drawn.

    M is the number of metrics, S of match tables, N of replicates, J of categories kept apart.
    """

    metrics: tuple[str, ...]
    """(M,) names: mAP, AP50, AP75."""
    means: Floats
    """(M, S, N) the mean over the chosen categories."""
    apart: tuple[int, ...]
    """(J,) ids of categories kept apart."""
    singles: Floats
    """(M, S, N, J) AP of each of them."""

    def mean(self, metric: str = "mAP") -> Floats:
        """Return (S, N): the mean AP of each match table in each replicate."""
        return np.asarray(self.means[self._metric(metric)])

    def category(self, category: int, metric: str = "mAP") -> Floats:
        """Return (S, N): the AP of one category that was kept apart."""
        if category not in self.apart:
            raise ValueError(f"category {category} was not kept apart, only {self.apart}")
        return np.asarray(self.singles[self._metric(metric), :, :, self.apart.index(category)])

    def _metric(self, metric: str) -> int:
        if metric not in self.metrics:
            raise ValueError(f"{metric} was not resampled, only {', '.join(self.metrics)}")
        return self.metrics.index(metric)

    def __repr__(self) -> str:
        return f"Replicates({', '.join(self.metrics)} of {self.means.shape[1]} tables, {self.means.shape[2]} replicates)"


def resample(
    tables: Sequence[Matches],
    unit: ArrayLike,
    *,
    replicates: int = 1000,
    seed: int | Sequence[int],
    categories: ArrayLike | None = None,
    apart: Sequence[int] = (),
    metrics: Sequence[str] = ("mAP",),
    area: str = "all",
) -> Replicates:
    """Return the AP of each match table in each of ``replicates`` bootstrap replicates.

    ``unit`` is (images,): the source image of each evaluation image; source images are what is drawn. ``categories`` is a
    (K,) mask of those that take part in the mean, ``apart`` names ids whose own AP is wanted, in the mean or not. A
    category with no scored object among what was drawn takes no part in that replicate's mean, in no table.

    The result follows from the seed alone, and the first 100 of 1000 replicates are those of 100.

    >>> from pytest_cropdet.evaluation import Detected, Truth, match
    >>> boxes = [[0.0, 0, 9, 9]] * 4
    >>> truth = Truth(range(4), [1] * 4, boxes, [81] * 4, [False] * 4, [False] * 4)
    >>> whole = match(truth, Detected(range(4), [1] * 4, boxes, [0.9] * 4), images=4, categories=[1])
    >>> crop = match(truth, Detected([0, 1], [1] * 2, boxes[:2], [0.9] * 2), images=4, categories=[1])
    >>> resample([whole, crop], [0, 1, 2, 3], replicates=5, seed=1).mean().round(3)
    array([[1.   , 1.   , 1.   , 1.   , 1.   ],
           [0.257, 0.505, 0.257, 0.752, 0.505]])
    """
    first, units, unit_of = _checked(tables, unit, metrics)
    in_mean = np.ones(len(first.categories), dtype=bool) if categories is None else np.asarray(categories)
    if in_mean.dtype != bool or in_mean.shape != first.categories.shape:
        raise ValueError(f"categories must be a mask of shape {first.categories.shape}")
    singles = [int(np.flatnonzero(first.categories == one)[0]) for one in _known(apart, first)]
    chosen = np.flatnonzero(in_mean | np.isin(np.arange(len(in_mean)), singles))
    wanted = [slice(None) if m == "mAP" else threshold_index(first.thresholds, int(m[2:]) / 100) for m in metrics]
    levels = _levels(wanted, len(first.thresholds))
    wanted = [w if isinstance(w, slice) else levels.index(w) for w in wanted]

    plans = [[plan_of(table, k, levels, area) for k in chosen] for table in tables]
    generator = np.random.Generator(np.random.PCG64(seed))
    means = np.empty((len(metrics), len(tables), replicates))
    alone = np.empty((len(metrics), len(tables), replicates, len(singles)))
    run = category_ap
    width = chunk_width(first.images)
    for start in range(0, replicates, width):
        stop = min(start + width, replicates)
        weights = _draw(generator, units, stop - start, unit_of)
        values = np.stack([_evaluate(run, table, weights, len(levels)) for table in plans])
        for position, levels_of_metric in enumerate(wanted):
            metric = values[:, :, levels_of_metric]
            metric = metric.mean(axis=2) if metric.ndim == 4 else metric
            means[position, :, start:stop] = _mean_over_categories(metric, in_mean[chosen])
            alone[position, :, start:stop] = metric[:, np.searchsorted(chosen, singles)].transpose(0, 2, 1)
    return Replicates(tuple(metrics), means, tuple(int(one) for one in apart), alone)


def percentile_bounds(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return the lower and the upper one-sided bound at ``level``: percentiles of the replicates.

    Replicates that are NaN (undefined) are left out; if more than 1 in 20 are, or none is left, both bounds are NaN.

    >>> percentile_bounds(np.arange(101) / 100)
    (0.05, 0.95)
    >>> percentile_bounds([0.1, np.nan])
    (nan, nan)
    """
    if not 0.5 <= level < 1:
        raise ValueError(f"level must lie between 0.5 and 1, not {level}")
    given = np.asarray(values, dtype=float).reshape(-1)
    defined = given[~np.isnan(given)]
    if not len(defined) or len(defined) < 0.95 * len(given):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [1 - level, level])
    return float(low), float(high)


def chunk_width(images: int) -> int:
    """Return how many replicates go in step: many where images are few, so that no call is for little."""
    return max(64, min(1024, (1 << 20) // max(images, 1) // 64 * 64))


def _checked(tables: Sequence[Matches], unit: ArrayLike, metrics: Sequence[str]) -> tuple[Matches, int, Ints]:
    """Return the first table, the number of source images and the index of each evaluation image's."""
    if not tables:
        raise ValueError("no match table to resample")
    first = tables[0]
    for table in tables[1:]:
        for name in ("images", "categories", "thresholds"):
            if not np.array_equal(getattr(table, name), getattr(first, name)):
                raise ValueError(f"the match tables differ in their {name}")
    given = np.asarray(unit)
    if given.shape != (first.images,) or (given.size and given.dtype.kind not in "iu"):
        raise ValueError(f"unit must hold one integer for each of {first.images} evaluation images")
    for metric in metrics:
        if metric not in METRICS:
            raise ValueError(f"metric {metric!r} is none of {', '.join(METRICS)}")
    units, unit_of = np.unique(given, return_inverse=True)
    return first, len(units), unit_of


def _known(apart: Sequence[int], table: Matches) -> Sequence[int]:
    for one in apart:
        if one not in table.categories:
            raise ValueError(f"category {one} was not matched")
    return apart


def _levels(wanted: Sequence[slice | int], thresholds: int) -> list[int]:
    """Return the thresholds that any metric needs."""
    singles = {w for w in wanted if isinstance(w, int)}
    return list(range(thresholds)) if len(singles) < len(wanted) else sorted(singles)


def _draw(generator: np.random.Generator, units: int, replicates: int, unit_of: Ints) -> Weights:
    """Return (images + 1, replicates): how often each evaluation image was drawn, and a row of zeros."""
    counts = np.zeros((units + 1, replicates), dtype=np.uint16)
    for b in range(replicates):
        counts[:units, b] = np.bincount(generator.integers(units, size=units), minlength=units)
    return counts.take(np.append(unit_of, units), axis=0)


def _evaluate(run: Kernel, plans: Sequence[CategoryPlan], weights: Weights, levels: int) -> Floats:
    """Return (K, T, B): AP of each category; NaN where the replicate drew no scored object."""
    values = np.empty((len(plans), levels, weights.shape[1]))
    width = weights.shape[1]
    narrow = [(at, np.ascontiguousarray(weights[:, at : at + 64])) for at in range(0, width, 64)]
    for plan, value in zip(plans, values, strict=True):
        positives = weights.take(plan.objects, axis=0).sum(axis=0, dtype=np.float64)
        # What is large goes in narrow pieces, which stay in the processor's cache.
        for at, piece in narrow if len(plan.events) * width > LARGE else [(0, weights)]:
            part = slice(at, at + piece.shape[1])
            run(plan, piece, positives[part], value[:, part])
        value[:, positives == 0] = np.nan
    return values


def _mean_over_categories(values: Floats, in_mean: Bools) -> Floats:
    """Return (S, B) of (S, K, B), over the chosen categories that are defined in every table."""
    values = values[:, in_mean]
    defined = ~np.isnan(values).any(axis=0)
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0.0).sum(axis=1)
    return np.asarray(total / np.where(count > 0, count, np.nan), dtype=float)


__all__ = ["Replicates", "percentile_bounds", "resample"]
