"""Stopping early without fooling oneself: when to look, and how much error each look may spend.

Looking at a growing sample until a bound clears the limit would be wrong far more often than the bound says. So the
error is spent by Pocock's function, alpha(t) = alpha ln(1 + (e - 1) t) at the fraction t of the images (Lan & DeMets,
Biometrika 1983), and the boundary of each look follows by integrating over the paths that have not stopped before
(Armitage, McPherson & Rowe, JRSS A 1969). Who looks more often spends in proportion to the images, but for a part that
is there at once: so more is left for the last look than Pocock's function leaves after as many. benchmarks/looks.py
compares both with others.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data import Sample
from pytest_cropdet.evaluation import MIN_IMAGES_PER_CATEGORY, Objects
from pytest_cropdet.geometry import Bools

__all__ = [
    "DESIGNS",
    "LOOK_REPLICATES",
    "LookDesign",
    "LookSchedule",
    "early_points",
    "enough_categories",
    "look_levels",
    "look_points",
    "resolved_points",
]

FIRST = 50
LOOK_REPLICATES = 4000  # bounds at a spent level lie far out, so they need more resamples
CATEGORY_SHARE = 0.8
AT_ONCE = 0.06  # of the error, where the rest is spent in proportion to the images
RESOLVED = 10  # replicates that lie beyond a bound, or the percentile says little
_GRID = 2001
_REACH = 8.0  # standard deviations covered by the integration


def _pocock(fraction: float) -> float:
    """Return the share of the error that Pocock's function has spent at a fraction of the images."""
    return math.log(1 + (math.e - 1) * fraction)


def _linear(fraction: float) -> float:
    """Return the share of the error that is spent where a part is there at once, and the rest grows with the images."""
    return AT_ONCE + (1 - AT_ONCE) * fraction


@dataclass(frozen=True)
class LookDesign:
    """When to look and how to spend: each look is ``factor`` times later than the one before.

    ``spend``: the share of the error that may be spent at a fraction of the images. ``resolved``: leave out looks whose
    level the replicates cannot show; what they would have spent is left for the next.
    """

    factor: float
    spend: Callable[[float], float]
    resolved: bool


DESIGNS: Mapping[str, LookDesign] = {
    "auto": LookDesign(2.0, _pocock, resolved=False),
    "often": LookDesign(1.25, _linear, resolved=True),
}


@dataclass(frozen=True)
class LookSchedule:
    """After how many of ``samples`` (``points``, rising) a run looks at its result, and the level of each look."""

    samples: Sequence[Sample]
    points: Sequence[int]
    levels: Sequence[float]

    @classmethod
    def once(cls, samples: Sequence[Sample], level: float) -> "LookSchedule":
        """Return the schedule of one look, at the end."""
        return cls(samples, [len(samples)], [level])


def look_points(images: int, design: LookDesign = DESIGNS["auto"]) -> list[int]:
    """Return after how many source images to look: 50, 100, 200, ... and at the end.

    >>> look_points(300)
    [50, 100, 200, 300]
    >>> look_points(100, DESIGNS["often"])
    [50, 62, 78, 98, 100]
    """
    points = []
    point = float(FIRST)
    while round(point) < images:
        points.append(round(point))
        point *= design.factor
    return [*points, images]


def look_levels(points: Sequence[int], level: float = 0.95, spend: Callable[[float], float] = _pocock) -> list[float]:
    """Return the one-sided level of the bounds at each look, so that all looks together err at most 1 - ``level``.

    ``points``: images at each look, rising; fractions are of the last. ``spend``: the share of the error at each.

    >>> [round(1 - each, 4) for each in look_levels([100, 200])]
    [0.031, 0.0298]
    """
    return [found for _, found in _spent_looks(points, level, spend)]


def resolved_points(points: Sequence[int], level: float, design: LookDesign) -> list[int]:
    """Return the looks whose levels the replicates can show, and the end.

    >>> resolved_points([50, 62, 78, 1000, 5000], 0.95, DESIGNS["often"])
    [50, 1000, 5000]
    """
    return [point for point, _ in _spent_looks(points, level, design.spend, RESOLVED / LOOK_REPLICATES)]


def _spent_looks(
    points: Sequence[int], level: float, spend: Callable[[float], float], least: float = 0.0
) -> Iterator[tuple[int, float]]:
    """Yield looks with their levels; one that may err less often than ``least`` is left out, unless it is the last."""
    alpha = 1 - level
    normal = NormalDist()
    # The density of the score process S(t) = Z(t) sqrt(t) on paths that have not crossed yet.
    grid = np.linspace(-_REACH, _REACH, _GRID)
    density = np.zeros(0)
    before, used = 0.0, 0.0
    for point in points:
        fraction = point / points[-1]
        total = alpha * spend(fraction)
        step = math.sqrt(fraction - before)
        if not len(density):
            here = np.exp(-0.5 * (grid / step) ** 2) / (step * math.sqrt(2 * math.pi))
        else:
            kernel = np.exp(-0.5 * ((grid[:, None] - grid[None, :]) / step) ** 2) / (step * math.sqrt(2 * math.pi))
            here = kernel @ density * (grid[1] - grid[0])
        boundary = _boundary(grid, here, total - used)
        found = normal.cdf(boundary / math.sqrt(fraction))
        if 1 - found < least and fraction < 1:
            continue
        yield point, found
        density = np.where(grid < boundary, here, 0.0)
        before, used = fraction, total


def _boundary(grid: NDArray[np.float64], density: NDArray[np.float64], tail: float) -> float:
    """Return where the mass of ``density`` above is ``tail``."""
    width = grid[1] - grid[0]
    above = np.cumsum(density[::-1] * width)[::-1] - density * width / 2  # mass above each grid point
    return float(np.interp(-tail, -above, grid))


def enough_categories(objects: Objects, rows: Bools, kept: Sequence[int]) -> bool:
    """Return whether 80 % of the categories of the mean have scored objects in 5 source images, in ``rows`` alone."""
    images = objects.images_by_category(rows)
    ready = sum(images.get(int(key), 0) >= MIN_IMAGES_PER_CATEGORY for key in kept)
    return ready >= CATEGORY_SHARE * len(kept)


def early_points(
    objects: Objects, kept: Sequence[int], level: float = 0.95, design: LookDesign = DESIGNS["auto"]
) -> list[int]:
    """Return after how many of the images of ``objects`` a look has enough categories, and the end."""
    last = len(objects.index.samples)
    points = [
        point
        for point in look_points(last, design)
        if point == last or enough_categories(objects, objects.unit < point, kept)
    ]
    return resolved_points(points, level, design) if design.resolved else points
