"""Why it dropped: the steps of the chain of renderings, each with its own bounds from the same resamples.

All renderings are scored on the same objects by the same rules, so the steps add up to the drop: a step is the AP of
the rendering above minus the AP of the rendering, positive where AP is lost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytest_cropdet.evaluation import Interval, bounds_of, subtract
from pytest_cropdet.geometry import Floats
from pytest_cropdet.terms import CHAIN, PHRASES, STEPS

__all__ = ["Chain", "Scores", "Step", "build_chain", "conclusion", "steps_grown"]


@dataclass(frozen=True, slots=True)
class Step(Interval):
    """What one change of the picture costs: AP lost, with one-sided bounds (``None`` where undefined).

    ``distinguishable``: its bounds do not hold 0, and its value is larger than what the fill itself does (the placebo's
    bounds), in either direction.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    distinguishable: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the step as built-in values."""
        return {"name": self.name, **self.bounds(), "distinguishable": self.distinguishable}


@dataclass(frozen=True, eq=False)
class Scores:
    """One number for every rendering, and the same in every resample: ``values[name]``, ``replicates[name]`` (N,)."""

    values: Mapping[str, float | None]
    replicates: Mapping[str, Floats]

    def lost(self, weights: Mapping[str, float]) -> tuple[float | None, Floats]:
        """Return a weighted sum over renderings, and the same in every resample (N,)."""
        values = [self.values[name] for name in weights]
        total = None if None in values else sum(w * (self.values[name] or 0.0) for name, w in weights.items())
        return total, np.asarray(sum(w * self.replicates[name] for name, w in weights.items()))


@dataclass(frozen=True, eq=False)
class Chain:
    """The steps of one fill, in the chain's order.

    ``ap``: AP of each rendering (in agreement with the whole image: the share still found). ``placebo``: what fill
    where no object is near costs. ``orders``: with ``hollow``, context and cut switched on in either order.
    ``replicates``: (N,) of each step, in the resamples of the run.
    """

    fill: str
    steps: tuple[Step, ...]
    ap: Mapping[str, float | None]
    placebo: Step | None
    orders: Mapping[str, tuple[Step, ...]]
    replicates: Mapping[str, Floats] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    @property
    def largest(self) -> Step | None:
        """The distinguishable step that costs most, ``None`` where none costs anything."""
        costly = [step for step in self.steps if step.distinguishable and (step.value or 0.0) > 0]
        return max(costly, key=lambda step: step.value or 0.0, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        return {
            "fill": self.fill,
            "steps": [step.to_dict() for step in self.steps],
            "ap": dict(self.ap),
            "placebo": None if self.placebo is None else self.placebo.to_dict(),
            "orders": {name: [step.to_dict() for step in steps] for name, steps in self.orders.items()},
        }


def build_chain(scores: Scores, fill: str, level: float) -> Chain:
    """Return the steps; with a rendering ``hollow`` the first two are the means of both orders."""
    placebo = None
    if "placebo" in scores.values:
        placebo = _step("placebo", scores, {"whole": 1, "placebo": -1}, level, None)

    def step(name: str, weights: Mapping[str, float]) -> Step:
        return _step(name, scores, weights, level, placebo)

    plain = {name: {before: 1.0, after: -1.0} for name, before, after in zip(STEPS, CHAIN[:-1], CHAIN[1:], strict=True)}
    orders: dict[str, tuple[Step, ...]] = {}
    weights = dict(plain)
    if "hollow" in scores.values:
        swapped = {"context": {"hollow": 1.0, "cut": -1.0}, "cut": {"whole": 1.0, "hollow": -1.0}}
        orders = {
            "context first": tuple(step(name, plain[name]) for name in swapped),
            "cut first": tuple(step(name, swapped[name]) for name in swapped),
        }
        weights["context"] = {"whole": 0.5, "context": -0.5, "hollow": 0.5, "cut": -0.5}
        weights["cut"] = {"context": 0.5, "cut": -0.5, "whole": 0.5, "hollow": -0.5}
    steps = tuple(step(name, weights[name]) for name in STEPS)
    replicates = {name: scores.lost(weights[name])[1] for name in STEPS}
    return Chain(fill, steps, dict(scores.values), placebo, orders, replicates)


def steps_grown(new: Chain, old: Chain, level: float) -> tuple[Step, ...]:
    """Return by how much each step of the chain grew from one detector to another, on the same crops and resamples.

    ``distinguishable``: its bounds do not hold 0. The fill is the same on both sides, so there is no placebo.
    """
    grown = []
    for ours, theirs in zip(new.steps, old.steps, strict=True):
        value = subtract(ours.value, theirs.value)
        low, high = bounds_of(new.replicates[ours.name] - old.replicates[ours.name], level)
        sure = value is not None and low is not None and high is not None and not low <= 0 <= high
        grown.append(Step(ours.name, value, low, high, sure))
    return tuple(grown)


def _step(name: str, scores: Scores, weights: Mapping[str, float], level: float, placebo: Step | None) -> Step:
    value, replicates = scores.lost(weights)
    low, high = bounds_of(replicates, level)
    if value is None or low is None or high is None:
        return Step(name, value, None, None, False)
    by_fill = 0.0  # fill comes with the context and goes with the crop: what it does may enter with either sign
    if placebo is not None and placebo.low is not None and placebo.high is not None:
        by_fill = max(abs(placebo.low), abs(placebo.high))
    return Step(name, value, low, high, not low <= 0 <= high and abs(value) > by_fill)


def conclusion(chain: Chain) -> tuple[tuple[str, int], ...]:
    """Return what a chain says in a word: the distinguishable steps and their signs, the costliest first."""
    told = sorted((step for step in chain.steps if step.distinguishable), key=lambda step: -(step.value or 0.0))
    return tuple((step.name, 1 if (step.value or 0.0) > 0 else -1) for step in told)


def step_lines(chain: Chain, width: int = 15) -> list[str]:
    """Return a line for each step: its name in words, its value, and a bar in proportion to the largest.

    Where no step is defined there is no line.
    """
    if all(step.value is None for step in chain.steps):
        return []
    longest = max((abs(step.value or 0.0) for step in chain.steps), default=0.0)
    shown = []
    for step in chain.steps:
        value = "undefined" if step.value is None else f"{step.value:+.3f}".replace("+", " ")
        bar = "#" * max(1, round(width * abs(step.value or 0.0) / longest)) if longest else ""
        shown.append(f"{PHRASES[step.name]:<21} {value}  {bar if step.distinguishable else 'no clear effect'}")
    return shown


def agreeing(chains: Sequence[Chain]) -> list[str]:
    """Return a sentence on each chain after the first: whether another fill leads to the same conclusion."""
    first, told = chains[0], []
    for other in chains[1:]:
        before, after = dict(conclusion(first)), dict(conclusion(other))
        changed = [name for name in STEPS if before.get(name) != after.get(name)]
        parts = [f"{PHRASES[name]} {_value(other[name])}, with {first.fill} {_value(first[name])}" for name in changed]
        if parts:
            told.append(f"with {other.fill} fill the conclusion differs: {'; '.join(parts)}")
        elif conclusion(other) != conclusion(first):
            told.append(f"with {other.fill} fill: the same steps, the costliest is {PHRASES[next(iter(after))]}")
        else:
            told.append(f"with {other.fill} fill: the same conclusion")
    return told


def _value(step: Step) -> str:
    if step.value is None:
        return "undefined"
    return f"{step.value:.3f}" if step.distinguishable else f"{step.value:.3f} (no clear effect)"
