"""What measures at inference win back: chosen on one half of the source images, measured on the other.

The halves are drawn by sample id, so all windows of an image lie in one of them. On the first half every measure is
tried with every parameter; each keeps the parameter that wins most there, and one measure is chosen. Only the second
half, which nothing was chosen on, says what they win: AP with the measure minus AP of the crop alone, on the same
objects, with bounds from paired resamples of its images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pytest_cropdet.causes.attribution import ScoredRun, scores_of
from pytest_cropdet.causes.mitigations.mitigation import Mitigation
from pytest_cropdet.crops import draw_number
from pytest_cropdet.data import Detections
from pytest_cropdet.evaluation import (
    Bounded,
    CropIndex,
    Detected,
    OperatingPoint,
    build_detected,
    build_objects,
    draw_units,
    match,
)
from pytest_cropdet.geometry import Ints
from pytest_cropdet.settings import RunSettings

__all__ = ["WORTH_A_CALL", "MitigationTrial", "Part", "Trials", "choose", "gains", "halves", "keep_best", "part_of"]

WORTH_A_CALL = 0.01  # AP that a measure must win beyond a cheaper one to be chosen


@dataclass(frozen=True, slots=True)
class MitigationTrial:
    """One measure: what it won back on the second half, and its detector calls a crop, 1 being what a crop costs now.

    Tiles that several windows of an image share count once. ``first``: what it won on the half that it was chosen on,
    which is too good to be told.
    """

    mitigation: Mitigation
    won: Bounded
    calls: float
    chosen: bool
    first: Bounded

    def to_dict(self) -> dict[str, Any]:
        """Return it as built-in values."""
        return {
            "name": self.mitigation.name,
            "parameters": self.mitigation.parameters,
            "ap_won_back": self.won.to_dict(),
            "calls_a_crop": self.calls,
            "chosen": self.chosen,
        }

    def __str__(self) -> str:
        return f"{self.mitigation}: recovers {self.won}, {self.calls:.1f} detector calls per crop"


@dataclass(frozen=True, slots=True)
class Trials:
    """Every measure that was tried; ``images``: how many source images chose, and how many measured."""

    tried: tuple[MitigationTrial, ...]
    images: tuple[int, int]

    @property
    def chosen(self) -> MitigationTrial | None:
        """The measure chosen on the first half; ``None`` where none won anything there that could be told from 0."""
        return next((trial for trial in self.tried if trial.chosen), None)


@dataclass(frozen=True, eq=False)
class Part:
    """One half of a run: its crops as a run of their own, and their places among the run's crops."""

    scored: ScoredRun
    places: Ints

    @property
    def index(self) -> CropIndex:
        """The half's crops."""
        return self.scored.objects.index


def halves(names: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    """Return sample ids in two halves, by a draw of each id; of an odd number the second has one more."""
    ranked = sorted(names, key=lambda name: (draw_number("mitigations", seed, name), name))
    return ranked[: len(ranked) // 2], ranked[len(ranked) // 2 :]


def part_of(run: ScoredRun, names: Sequence[str], settings: RunSettings) -> Part:
    """Return the crops of some samples, in the run's order, with their objects and with what was found in them."""
    index, wanted = run.objects.index, set(names)
    units = [unit for unit, sample in enumerate(index.samples) if sample.id in wanted]
    places = np.flatnonzero(np.isin(index.unit, units))
    part = CropIndex(
        tuple(index.samples[unit] for unit in units),
        tuple(index.crops[place] for place in places),
        np.searchsorted(units, index.unit[places]),
        index.rank[places],
    )
    objects, most = build_objects(part, settings.min_visibility), settings.max_detections
    detected = {name: _taken(table, places) for name, table in run.detected.items()}
    categories = run.matches["crop"].categories.tolist()
    matches = {
        name: match(objects.truth, table, images=len(part), categories=categories, max_detections=most, beyond=True)
        for name, table in detected.items()
    }
    draws = draw_units(len(units), settings.replicates, settings.seed)
    hidden = replace(run.hidden, lost=replace(run.hidden.lost, draws=draws))
    point = OperatingPoint.of(objects, matches, detected, run.point.score)
    half = replace(run, objects=objects, detected=detected, matches=matches, hidden=hidden, point=point)
    return Part(half, places)


def _taken(table: Detected, places: Ints) -> Detected:
    rows = np.isin(table.image, places)
    return Detected(
        image=np.searchsorted(places, table.image[rows]),
        category=table.category[rows],
        boxes=table.boxes[rows],
        score=table.score[rows],
        area=table.area[rows],
        stray=table.stray[rows],
    )


def gains(
    part: Part, settings: RunSettings, found: Mapping[Mitigation, Sequence[Detections]]
) -> dict[Mitigation, Bounded]:
    """Return what each measure wins on one half; ``found``: an answer for each of its crops, in the window's frame."""
    run, index = part.scored, part.index
    ends = {"whole": run.detected["reference"], "crop": run.detected["crop"]}
    tables = {key: build_detected(index, rows, settings.min_visibility) for key, rows in found.items()}
    detected: dict[Any, Detected] = {**ends, **tables}
    categories = run.matches["crop"].categories.tolist()
    matches: dict[Any, Any] = {"whole": run.matches["reference"], "crop": run.matches["crop"]}
    for key, table in tables.items():
        matches[key] = match(
            run.objects.truth,
            table,
            images=len(index),
            categories=categories,
            max_detections=settings.max_detections,
            beyond=True,
        )
    scores = scores_of(run, settings, matches, detected)
    won = {}
    for key in tables:
        won[key] = Bounded.of(*scores.lost({key: 1.0, "crop": -1.0}), settings.level)  # type: ignore[dict-item]
    return won


def keep_best(won: Mapping[Mitigation, Bounded]) -> list[Mitigation]:
    """Return one of each name: the parameter that wins most, of equals the first."""
    best: dict[str, Mitigation] = {}
    for each, gain in won.items():
        known = best.get(each.name)
        if known is None or _value(gain) > _value(won[known]):
            best[each.name] = each
    return list(best.values())


def choose(won: Mapping[Mitigation, Bounded], calls: Mapping[Mitigation, float]) -> Mitigation | None:
    """Return the measure that wins most, ``None`` where none wins for sure (its lower bound above 0).

    One that costs more calls is chosen only if it wins ``WORTH_A_CALL`` AP more than the best of the cheaper ones.
    """
    sure = [each for each, gain in won.items() if gain.low is not None and gain.low > 0]
    chosen: Mitigation | None = None
    for each in sorted(sure, key=lambda each: (calls[each], -_value(won[each]))):
        least = 0.0 if chosen is None else _value(won[chosen])
        if chosen is not None and calls[each] > calls[chosen]:
            least += WORTH_A_CALL
        if chosen is None or _value(won[each]) > least:
            chosen = each
    return chosen


def _value(gain: Bounded) -> float:
    return float("-inf") if gain.value is None else gain.value
