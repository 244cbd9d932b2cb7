"""Measures by name beside the drop of mAP: AP by size, AR, F1, LRP, calibration; what crops lose in each, or have."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import (
    COCO_AREA_RANGES,
    SIDES,
    Doubt,
    FurtherNumber,
    Measure,
    Of,
    ScoredRows,
    bounds_of,
    data_doubts,
    further_number,
    none_for_nan,
    object_doubts,
    sides_and_draws,
)
from pytest_cropdet.gate.doubts import cap_doubts
from pytest_cropdet.gate.facts import RunFacts
from pytest_cropdet.gate.own_measures import blind_doubts, bounded_measure, check_name
from pytest_cropdet.geometry import Floats

__all__ = ["further_measure"]

_SIDES_IN_WORDS = {"crop": "on crops", "reference": "in whole images"}


def further_measure(run: RunFacts, name: str, of: Of, called: str | None) -> Measure:
    """Return a measure by its name. ``of``: ``"loss"``, by how much crops are worse; or the number of one side."""
    number = further_number(name)
    if called is not None:
        check_name(called)
    if of not in ("loss", *SIDES):
        raise SpecError(f"of={of!r}: write 'loss', 'crop' or 'reference'")
    if number.between and of != "loss":
        raise SpecError(f"{name} compares crops with whole images: it has no of={of!r}")
    if run.agreement and not number.found:
        raise SpecError(
            f"{name} needs ground truth: without it scores would be compared with the detector's own detections"
        )
    settings = run.settings
    values, drawn = sides_and_draws(number, run.tables, settings.replicates, settings.seed)
    if of != "loss":
        side, where = SIDES.index(of), _SIDES_IN_WORDS[of]
        phrase, doubts = f"{number.words} {where} is", _doubts(run, number)
        return bounded_measure(
            run,
            called or f"{name} {where}",
            (float(values[side]), drawn[side]),
            good=number.good,
            phrase=phrase,
            unit="",
            doubts=doubts,
            missing=number.missing,
        )
    doubts = (*_doubts(run, number), *cap_doubts(settings, run.cap))
    if not number.found:
        doubts += blind_doubts(run, good=False)
    loss = partial(bounded_measure, run, good=False, doubts=doubts, missing=number.missing)
    if number.between:
        between = (float(values[0]), drawn[0])
        return loss(called or name, between, phrase=f"{number.words} is", unit="")
    sign, ending, phrase = (1, "lost", "crops lose") if number.good else (-1, "added", "crops add")
    lost, lost_drawn = sign * (values[0] - values[1]), sign * (drawn[0] - drawn[1])
    found = loss(called or f"{name} {ending}", (float(lost), lost_drawn), phrase=phrase, unit=name)
    return found if not number.found else _seen(run, number, found, float(values[0]), drawn[0])


def _seen(run: RunFacts, number: FurtherNumber, lost: Measure, before: float, drawn: Floats) -> Measure:
    """Return a loss that passes only if the reference surely finds more than may be lost."""
    strength, found = (drawn, before) if number.good else (1 - drawn, 1 - before)
    more: dict[str, Any] = {
        "blind": (bounds_of(strength, run.settings.level)[0], run.settings.min_ap),
        "strength": number.name if number.good else f"1 - {number.name}",
        "reference": none_for_nan(found),
        "weakness": None if run.answers is None else run.answers.explain,
    }
    return replace(lost, **more)


def _doubts(run: RunFacts, number: FurtherNumber) -> tuple[Doubt, ...]:
    """Return why bounds must not decide: too few images, objects or categories, of the size that is measured."""
    settings, chosen = run.settings, run.scored.chosen
    truth = run.objects.truth
    low, high = COCO_AREA_RANGES[number.area]
    rows = run.objects.scored & (truth.area >= low) & (truth.area <= high)
    speaking = ScoredRows(truth.category[rows], run.objects.unit[rows])
    if not number.averaged:
        return object_doubts(speaking, chosen, settings)
    kept = np.isin(list(chosen), list(run.scored.kept))
    return (*data_doubts(speaking, kept, chosen, settings), *run.caps.evaluator.doubts(settings))
