"""A number and how sure it is: with one-sided bounds from resamples of source images. One rule, and one text, for all.

Bounds are percentiles of the number's replicates at the level of the run (at a look, the level that it spends). They
are ``None`` where they are undefined, and so is the number.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from numpy.typing import ArrayLike

from pytest_cropdet.evaluation.coco.bootstrap import percentile_bounds
from pytest_cropdet.geometry import Floats

__all__ = ["Bounded", "Interval", "bounds_of", "bounds_text", "digits", "none_for_nan", "subtract", "z_score"]


def bounds_of(replicates: ArrayLike, level: float) -> tuple[float | None, float | None]:
    """Return the one-sided bounds at ``level`` of a number with these replicates, ``None`` where undefined."""
    low, high = percentile_bounds(replicates, level)
    return (None, None) if math.isnan(low) or math.isnan(high) else (low + 0.0, high + 0.0)  # no "-0.000"


def none_for_nan(value: float) -> float | None:
    """Return a value, ``None`` where it is NaN: undefined."""
    return None if math.isnan(value) else float(value)


def subtract(before: float | None, after: float | None) -> float | None:
    """Return ``before - after``, ``None`` where either is undefined."""
    return None if before is None or after is None else before - after


def z_score(gains: Floats) -> float:
    """Return the mean of ``gains`` over its standard error; infinite where all gains are equal and not 0."""
    mean, spread = float(gains.mean()), float(gains.std(ddof=1)) if len(gains) > 1 else 0.0
    if spread == 0:
        return 0.0 if mean == 0 else math.copysign(math.inf, mean)
    return mean / (spread / math.sqrt(len(gains)))


def digits(value: float | None) -> str:
    """Return a value with three digits, without a sign where they are all 0.

    >>> digits(0.1), digits(-0.0004), digits(None)
    ('0.100', '0.000', 'undefined')
    """
    if value is None:
        return "undefined"
    return f"{value:.3f}" if round(value, 3) else "0.000"


def bounds_text(low: float | None, high: float | None) -> str:
    """Return what stands behind a value: its bounds with three digits, nothing where they are undefined.

    >>> bounds_text(0.106, 0.1451), bounds_text(None, None)
    (' [0.106, 0.145]', '')
    """
    return "" if low is None or high is None else f" [{digits(low)}, {digits(high)}]"


class _HasBounds(Protocol):
    @property
    def value(self) -> float | None: ...
    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


class Interval:
    """What has a ``value`` and its bounds ``low`` and ``high``, and shows them as everything else does."""

    __slots__ = ()

    def bounds(self: _HasBounds) -> dict[str, float | None]:
        """Return the number as built-in values."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def __str__(self: _HasBounds) -> str:
        return digits(None) if self.value is None else f"{digits(self.value)}{bounds_text(self.low, self.high)}"


@dataclass(frozen=True, slots=True)
class Bounded(Interval):
    """A number with its one-sided bounds; ``None`` where undefined."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, value: float | None, replicates: ArrayLike, level: float) -> "Bounded":
        """Return a value with percentiles of its replicates; NaN becomes ``None``."""
        if value is None or math.isnan(value):
            return cls()
        return cls(float(value), *bounds_of(replicates, level))

    def to_dict(self) -> dict[str, float | None]:
        """Return the number as built-in values."""
        return self.bounds()
