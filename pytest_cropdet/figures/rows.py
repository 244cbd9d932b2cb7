"""From a record's dicts to what is drawn of them, alike in SVG and matplotlib: which rows, in which order, how far."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_cropdet.terms import PHRASES

__all__ = ["StepRow", "bins_with_objects", "loss_shares", "most_lost_first", "step_rows"]

FEWEST_FOUND = 5  # in a cell of the map, to speak of a share


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of the chain: the AP ``before`` it, and what is ``lost`` by it, with bounds or ``None``."""

    name: str
    phrase: str
    before: float
    lost: float
    low: float | None
    high: float | None
    distinguishable: bool

    @property
    def after(self) -> float:
        """The AP after the step."""
        return self.before - self.lost

    @property
    def after_bounds(self) -> tuple[float, float] | None:
        """Between which the AP after the step may lie, the lower one first."""
        if self.low is None or self.high is None:
            return None
        return self.before - self.high, self.before - self.low


def step_rows(
    steps: Sequence[Mapping[str, Any]], whole: float | None, crop: float | None
) -> tuple[StepRow, ...] | None:
    """Return ``steps`` of a run's record one after another, from the AP ``whole``; ``None`` where one is undefined."""
    if whole is None or crop is None or any(step["value"] is None for step in steps):
        return None
    rows, before = list[StepRow](), whole
    for step in steps:
        name, bounds = step["name"], (step["low"], step["high"])
        rows.append(StepRow(name, PHRASES.get(name, name), before, step["value"], *bounds, step["distinguishable"]))
        before = rows[-1].after
    return tuple(rows)


def bins_with_objects(bins: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the bins that hold an object: the others are not drawn."""
    return [each for each in bins if each["objects"]]


def most_lost_first(bins: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the bins that hold an object, those that lose most first, those with too few objects to say last."""
    return sorted(bins_with_objects(bins), key=_loss)


def _loss(each: Mapping[str, Any]) -> tuple[bool, float, str]:
    lost = each["lost"]["value"]
    return lost is None, -(lost or 0.0), each["label"]


def loss_shares(lost: Sequence[Sequence[int]], found: Sequence[Sequence[int]]) -> list[list[float | None]]:
    """Return ``lost / found`` cell by cell, ``None`` where fewer than 5 were found in the whole image."""
    return [
        [over / under if under >= FEWEST_FOUND else None for over, under in zip(one, other, strict=True)]
        for one, other in zip(lost, found, strict=True)
    ]
