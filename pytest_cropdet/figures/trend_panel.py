"""What both drawings of a trend show: a gate over time, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FEW_POINTS = 60  # up to which each is drawn large

__all__ = ["FEW_POINTS", "TrendPanel", "TrendPoint", "named_places"]


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """A drop with its bounds (``None`` where undefined), the limit then, and the verdict; ``label``: the commit."""

    label: str
    day: str
    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class TrendPanel:
    """A gate over time. ``metric``: what the drop is of.

    ``breaks``: places from which on something else was measured, and what. ``larger``: places at which a part begins in
    which the drop is clearly larger than before, and at which it ends (``None``: it goes on).
    """

    title: str
    metric: str
    points: Sequence[TrendPoint]
    breaks: Mapping[int, str] = field(default_factory=dict)
    larger: Sequence[tuple[int, int | None]] = ()

    @property
    def values(self) -> list[float]:
        """Everything that the axis of drops must hold."""
        found = [each for point in self.points for each in (point.value, point.low, point.high, point.limit)]
        return [0.0, *(each for each in found if each is not None)]


def named_places(panel: TrendPanel, most: int) -> list[int]:
    """Return the places whose commits are written below the chart: where the drop became larger, and others between.

    >>> point = TrendPoint("a", "2026-01-01", 0.0, 0.0, 0.0, None, "pass")
    >>> named_places(TrendPanel("random", "mAP", [point] * 100, larger=[(40, None)]), 4)
    [0, 40, 66, 99]
    """
    last, most = len(panel.points) - 1, max(2, most)
    gap, kept = last / (most - 1), list[int]()
    grown = [first for first, _ in reversed(panel.larger)]
    for place in (*grown, last, 0, *(round(place * gap) for place in range(most))):
        if all(abs(place - other) >= max(1.0, 0.6 * gap) for other in kept):
            kept.append(place)
    return sorted(kept)
