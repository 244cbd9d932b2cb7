"""Paired bootstrap of AP over source images, from match tables made once.

A replicate draws as many source images as there are, with replacement, and an image drawn twice counts twice: the
replicate is a vector of weights, the same for every match table. Which detection matches which object does not depend
on what is drawn, so nothing is matched or sorted again; only true positives can move AP, so its sums run over them.
The draws are ``Generator(PCG64(seed)).integers(units, size=units)``, one after another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pytest_cropdet.evaluation.coco.average_precision import IOU_OF, threshold_index
from pytest_cropdet.evaluation.coco.events import category_events
from pytest_cropdet.evaluation.coco.tables import Matches
from pytest_cropdet.evaluation.coco.weighted_ap import CategoryAP, Weights
from pytest_cropdet.geometry import Floats, Ints

if TYPE_CHECKING:
    from pytest_cropdet.evaluation.coco.weighted_ap_numba import FastCategoryAP

WORTH_NUMBA = 1 << 27  # detections times replicates; below, NumPy is done before numba is imported


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
            raise ValueError(f"category {category} was not counted separately, only {self.apart}")
        return np.asarray(self.singles[self._metric(metric), :, :, self.apart.index(category)])

    def _metric(self, metric: str) -> int:
        if metric not in self.metrics:
            raise ValueError(f"{metric} was not resampled, only {', '.join(self.metrics)}")
        return self.metrics.index(metric)

    def __repr__(self) -> str:
        return (
            f"Replicates({', '.join(self.metrics)} of {self.means.shape[1]} tables, {self.means.shape[2]} replicates)"
        )


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
    units: int | None = None,
) -> Replicates:
    """Return the AP of each match table in each of ``replicates`` bootstrap replicates.

    ``unit`` is (images,): the source image of each evaluation image; source images are what is drawn. ``categories`` is
    a (K,) mask of those that take part in the mean, ``apart`` names ids whose own AP is wanted, in the mean or not. A
    category with no scored object among what was drawn takes no part in that replicate's mean, in no table. ``units``:
    how many source images there are, where some have no evaluation image; ``unit`` then counts them from 0. So tables
    of other crops of the same images are resampled alike.

    The result follows from the seed alone, and the first 100 of 1000 replicates are those of 100.

    >>> from pytest_cropdet.evaluation import Detected, Truth, match
    >>> boxes = [[0.0, 0, 9, 9]] * 4
    >>> truth = Truth(range(4), [1] * 4, boxes, [81] * 4, [False] * 4, [False] * 4)
    >>> whole = match(truth, Detected(range(4), [1] * 4, boxes, [0.9] * 4), images=4, categories=[1])
    >>> crop = match(truth, Detected([0, 1], [1] * 2, boxes[:2], [0.9] * 2), images=4, categories=[1])
    >>> resample([whole, crop], [0, 1, 2, 3], replicates=5, seed=1).mean().round(3)
    array([[1.   , 1.   , 1.   , 1.   , 1.   ],
           [0.257, 0.505, 0.752, 0.752, 0.505]])
    """
    tables = [table.counted for table in tables]
    first, units, unit_of = _checked(tables, unit, metrics, replicates, units)
    in_mean = np.ones(len(first.categories), dtype=bool) if categories is None else np.asarray(categories)
    if in_mean.dtype != bool or in_mean.shape != first.categories.shape:
        raise ValueError(f"categories must be a mask of shape {first.categories.shape}")
    apart = tuple(dict.fromkeys(int(one) for one in apart))
    singles = {_index_of(one, first): place for place, one in enumerate(apart)}
    chosen = np.flatnonzero(in_mean | np.isin(np.arange(len(in_mean)), [*singles]))
    wanted = [slice(None) if m == "mAP" else threshold_index(first.thresholds, int(m[2:]) / 100) for m in metrics]
    levels = _levels(wanted, len(first.thresholds))
    wanted = [w if isinstance(w, slice) else levels.index(w) for w in wanted]

    tables_events = [category_events(table, chosen.tolist(), levels, area) for table in tables]
    kernel = _kernel(sum(len(events.counted) for table in tables_events for events in table) * replicates)
    width = min(kernel.width(first.images), replicates)
    askers = [[kernel(events, width) for events in table] for table in tables_events]
    generator = np.random.Generator(np.random.PCG64(seed))
    means = np.empty((len(metrics), len(tables), replicates))
    alone = np.empty((len(metrics), len(tables), replicates, len(singles)))
    for start in range(0, replicates, width):
        chunk = slice(start, min(start + width, replicates))
        weights = _draw(generator, units, chunk.stop - start, unit_of)
        total = np.zeros((len(metrics), len(tables), weights.shape[1]))
        count = np.zeros(weights.shape[1])
        for position, k in enumerate(chosen.tolist()):
            values = np.stack([_metrics(asker[position], weights, len(levels), wanted) for asker in askers], axis=1)
            if in_mean[k]:
                defined = ~np.isnan(values).any(axis=(0, 1))
                total += np.where(defined, values, 0.0)
                count += defined
            if k in singles:
                alone[:, :, chunk, singles[k]] = values
        means[:, :, chunk] = total / np.where(count > 0, count, np.nan)
    return Replicates(tuple(metrics), means, apart, alone)


def drawn_weights(unit: ArrayLike, *, replicates: int, seed: int | Sequence[int], at_once: int = 64) -> Iterator[Ints]:
    """Yield (images, B): how often each evaluation image counts, B of the replicates of :func:`resample` at a time.

    ``unit``: (images,) the source image of each evaluation image.

    >>> [weights.tolist() for weights in drawn_weights([0, 0, 1], replicates=3, seed=1, at_once=2)]
    [[[1, 0], [1, 0], [1, 2]], [[2], [2], [0]]]
    """
    present, unit_of = np.unique(np.asarray(unit), return_inverse=True)
    generator = np.random.Generator(np.random.PCG64(seed))
    for start in range(0, replicates, at_once):
        yield _draw(generator, len(present), min(at_once, replicates - start), unit_of)[:-1].astype(np.int64)


def percentile_bounds(values: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return the lower and the upper one-sided bound at ``level``: percentiles of the replicates.

    Replicates that are NaN (undefined) are left out; if more than 1 in 20 are, or none is left, both bounds are NaN.

    >>> percentile_bounds(range(101))
    (5.0, 95.0)
    >>> percentile_bounds([0.1, np.nan])
    (nan, nan)
    """
    if not 0.5 <= level < 1:
        raise ValueError(f"level must lie between 0.5 and 1, not {level}")
    given = np.asarray(values, dtype=float).reshape(-1)
    defined = given[~np.isnan(given)]
    if not len(defined) or len(defined) < 0.95 * len(given):
        return float("nan"), float("nan")
    return -float(np.quantile(-defined, level)), float(np.quantile(defined, level))


def _checked(
    tables: Sequence[Matches], unit: ArrayLike, metrics: Sequence[str], replicates: int, units: int | None
) -> tuple[Matches, int, Ints]:
    """Return the first table, the number of source images and the index of each evaluation image's."""
    if not tables or not tables[0].images:
        raise ValueError("no match table, or one without images, to resample")
    if replicates < 1:
        raise ValueError(f"replicates must be at least 1, not {replicates}")
    first = tables[0]
    for table in tables[1:]:
        for name in ("images", "categories", "thresholds"):
            if not np.array_equal(getattr(table, name), getattr(first, name)):
                raise ValueError(f"the match tables differ in their {name}")
    given = np.asarray(unit)
    if given.shape != (first.images,) or (given.size and given.dtype.kind not in "iu"):
        raise ValueError(f"unit must contain one integer for each of {first.images} evaluation images")
    for metric in metrics:
        if metric not in IOU_OF:
            raise ValueError(f"metric {metric!r} is none of {', '.join(IOU_OF)}")
    if units is not None:
        if given.size and not 0 <= given.min() <= given.max() < units:
            raise ValueError(f"unit must lie between 0 and {units - 1}, the {units} units counted from 0")
        return first, units, given.astype(np.int64)
    present, unit_of = np.unique(given, return_inverse=True)
    return first, len(present), unit_of


def _index_of(category: int, table: Matches) -> int:
    if category not in table.categories:
        raise ValueError(f"category {category} was not matched")
    return int(np.flatnonzero(table.categories == category)[0])


def _levels(wanted: Sequence[slice | int], thresholds: int) -> list[int]:
    """Return the thresholds that any metric needs."""
    singles = {w for w in wanted if isinstance(w, int)}
    return list(range(thresholds)) if len(singles) < len(wanted) else sorted(singles)


def _draw(generator: np.random.Generator, units: int, replicates: int, unit_of: Ints) -> Weights:
    """Return (images + 1, replicates): how often each evaluation image was drawn, and a row of zeros."""
    counts = np.zeros((replicates, units + 1), dtype=np.min_scalar_type(units))
    for count in counts:
        count[:units] = np.bincount(generator.integers(units, size=units), minlength=units)
    small: Weights = counts.astype(np.min_scalar_type(counts.max()))  # one byte, but for the strangest draws
    drawn: Weights = small.T.take(np.append(unit_of, units), axis=0)
    return drawn


def _kernel(cells: int) -> type[CategoryAP] | type[FastCategoryAP]:
    """Return what computes AP: with numba if it is installed and the work is worth the import."""
    if cells >= WORTH_NUMBA and find_spec("numba") is not None:
        try:
            from pytest_cropdet.evaluation.coco.weighted_ap_numba import FastCategoryAP
        except Exception:  # numba does not fit this NumPy, or this Python: then the slower way
            return CategoryAP
        return FastCategoryAP
    return CategoryAP


def _metrics(ask: CategoryAP | FastCategoryAP, weights: Weights, levels: int, wanted: Sequence[slice | int]) -> Floats:
    """Return (M, B): the metrics of one category; NaN where the replicate drew no scored object."""
    positives = weights.take(ask.category.objects, axis=0).sum(axis=0, dtype=np.float64)
    ap = np.empty((levels, weights.shape[1]))
    ask(weights, positives, ap)
    ap[:, positives == 0] = np.nan
    return np.stack([np.atleast_2d(ap[which]).mean(axis=0) for which in wanted])


__all__ = ["Replicates", "drawn_weights", "percentile_bounds", "resample"]
