"""A number and how sure it is: with one-sided bounds from resamples of source images."""

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from pytest_cropdet.evaluation import percentile_bounds

__all__ = ["Bounded"]


@dataclass(frozen=True, slots=True)
class Bounded:
    """A number with its one-sided bounds; ``None`` where undefined."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, value: float, replicates: NDArray[Any], level: float) -> "Bounded":
        """Return a value with percentiles of its replicates; NaN becomes ``None``."""
        if math.isnan(value):
            return cls()
        low, high = percentile_bounds(replicates, level)
        return cls(float(value), None if math.isnan(low) else low + 0.0, None if math.isnan(high) else high + 0.0)

    def to_dict(self) -> dict[str, float | None]:
        """Return the number as built-in values."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        if self.value is None:
            return "undefined"
        bounds = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{bounds}"
