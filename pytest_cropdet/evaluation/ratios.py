"""Ratios of sums over source images, and the same in every resample of them.

Crops of one image are not independent, so whole source images are drawn, each with all that it has.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_cropdet.evaluation.interval import Bounded
from pytest_cropdet.geometry import Floats

__all__ = ["bounded_ratio", "divide", "draw_units", "ratio_of_sums", "resampled_ratio"]


def draw_units(units: int, replicates: int, seed: int) -> NDArray[np.int64]:
    """Return (replicates, units) multinomial counts: how often each source image is drawn."""
    generator = np.random.Generator(np.random.PCG64([seed, 1]))
    return generator.multinomial(units, np.full(units, 1 / max(units, 1)), size=replicates)


def divide(over: ArrayLike, under: ArrayLike) -> Floats:
    """Return ``over / under`` element by element, NaN where ``under`` is not above 0.

    >>> divide([1.0, 2.0], [4.0, 0.0])
    array([0.25,  nan])
    """
    above, below = np.asarray(over, dtype=np.float64), np.asarray(under, dtype=np.float64)
    return np.asarray(np.divide(above, below, out=np.full(below.shape, np.nan), where=below > 0))


def ratio_of_sums(over: Floats, under: Floats) -> float | None:
    """Return ``sum(over) / sum(under)``, ``None`` where the latter is 0."""
    total = under.sum()
    return float(over.sum() / total) if total else None


def resampled_ratio(over: Floats, under: Floats, draws: NDArray[Any]) -> Floats:
    """Return (N,) the ratio in every resample; ``over``, ``under``: (units,) one number a source image.

    ``draws``: (N, units) how often each source image is drawn.
    """
    return divide(draws @ over, draws @ under)


def bounded_ratio(over: Floats, under: Floats, draws: NDArray[Any], level: float) -> Bounded:
    """Return ``sum(over) / sum(under)`` with one-sided bounds at ``level``."""
    return Bounded.of(ratio_of_sums(over, under), resampled_ratio(over, under, draws), level)
