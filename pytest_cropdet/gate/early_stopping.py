"""Stopping early without fooling oneself: when to look, and how much error each look may spend.

Looking at a growing sample until a bound clears the limit would be wrong far more often than the bound says. So the
error is spent by Pocock's function, alpha(t) = alpha ln(1 + (e - 1) t) at the fraction t of the images (Lan & DeMets,
Biometrika 1983), and the boundary of each look follows by integrating over the paths that have not stopped before
(Armitage, McPherson & Rowe, JRSS A 1969).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data import Sample
from pytest_cropdet.evaluation import MIN_IMAGES_PER_CATEGORY, Objects
from pytest_cropdet.geometry import Bools

__all__ = ["LOOK_REPLICATES", "LookSchedule", "early_points", "enough_categories", "look_levels", "look_points"]

FIRST = 50
LOOK_REPLICATES = 4000  # bounds at a spent level lie far out, so they need more resamples
CATEGORY_SHARE = 0.8
_GRID = 2001
_REACH = 8.0  # standard deviations covered by the integration


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


def look_points(images: int) -> list[int]:
    """Return after how many source images to look: 50, 100, 200, ... and at the end.

    >>> look_points(300)
    [50, 100, 200, 300]
    """
    points = []
    point = FIRST
    while point < images:
        points.append(point)
        point *= 2
    return [*points, images]


def look_levels(points: Sequence[int], level: float = 0.95) -> list[float]:
    """Return the one-sided level of the bounds at each look, so that all looks together err at most 1 - ``level``.

    ``points``: images at each look, rising; fractions are of the last.

    >>> [round(1 - each, 4) for each in look_levels([100, 200])]
    [0.031, 0.0298]
    """
    alpha = 1 - level
    fractions = [point / points[-1] for point in points]
    spent = [alpha * math.log(1 + (math.e - 1) * fraction) for fraction in fractions]
    normal = NormalDist()
    levels = []
    # The density of the score process S(t) = Z(t) sqrt(t) on paths that have not crossed yet.
    grid = np.linspace(-_REACH, _REACH, _GRID)
    density = np.zeros(0)
    before, used = 0.0, 0.0
    for fraction, total in zip(fractions, spent, strict=True):
        step = math.sqrt(fraction - before)
        if not len(density):
            here = np.exp(-0.5 * (grid / step) ** 2) / (step * math.sqrt(2 * math.pi))
        else:
            kernel = np.exp(-0.5 * ((grid[:, None] - grid[None, :]) / step) ** 2) / (step * math.sqrt(2 * math.pi))
            here = kernel @ density * (grid[1] - grid[0])
        boundary = _boundary(grid, here, total - used)
        levels.append(normal.cdf(boundary / math.sqrt(fraction)))
        density = np.where(grid < boundary, here, 0.0)
        before, used = fraction, total
    return levels


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


def early_points(objects: Objects, kept: Sequence[int]) -> list[int]:
    """Return after how many of the images of ``objects`` a look has enough categories, and the end."""
    last = len(objects.index.samples)
    return [
        point for point in look_points(last) if point == last or enough_categories(objects, objects.unit < point, kept)
    ]
