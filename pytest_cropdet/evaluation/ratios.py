"""Ratios of sums over source images, and the same in every resample of them.

Crops of one image are not independent, so whole source images are drawn, each with all that it has.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_cropdet.evaluation.interval import Bounded
from pytest_cropdet.geometry import Floats

__all__ = ["DRAWS_AT_ONCE", "bounded_ratio", "divide", "draw_units", "drawn_sums", "ratio_of_sums", "resampled_ratio"]

DRAWS_AT_ONCE = 64  # resamples; bounds the memory of a step


def draw_units(units: int, replicates: int, seed: int) -> NDArray[np.unsignedinteger[Any]]:
    """Return (replicates, units) multinomial counts: how often each source image is drawn."""
    generator, share = np.random.Generator(np.random.PCG64([seed, 1])), np.full(units, 1 / max(units, 1))
    draws = np.empty((replicates, units), dtype=np.uint8)
    for start in range(0, replicates, DRAWS_AT_ONCE):
        some = generator.multinomial(units, share, size=min(DRAWS_AT_ONCE, replicates - start))
        kind = np.promote_types(draws.dtype, np.min_scalar_type(int(some.max(initial=0))))
        draws = draws.astype(kind, copy=False)  # one byte a count, but for the strangest draws
        draws[start : start + len(some)] = some
    return draws


def drawn_sums(draws: NDArray[Any], values: Floats) -> Floats:
    """Return ``draws @ values`` in float64, a block of resamples at a time; values: (units,) or (units, ...)."""
    given = np.asarray(values, dtype=np.float64)
    blocks = [draws[start : start + DRAWS_AT_ONCE] @ given for start in range(0, len(draws), DRAWS_AT_ONCE)]
    return np.concatenate(blocks) if blocks else draws @ given


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
    return divide(drawn_sums(draws, over), drawn_sums(draws, under))


def bounded_ratio(over: Floats, under: Floats, draws: NDArray[Any], level: float) -> Bounded:
    """Return ``sum(over) / sum(under)`` with one-sided bounds at ``level``."""
    return Bounded.of(ratio_of_sums(over, under), resampled_ratio(over, under, draws), level)
