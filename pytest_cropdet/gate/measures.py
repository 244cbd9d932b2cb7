"""Losses and goods with their bounds, from AP and its paired replicates."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from pytest_cropdet.evaluation import IOU_OF, Doubt, Measure, Reading, Replicates, bounds_of, category_doubts, divide
from pytest_cropdet.gate.caps import Caps
from pytest_cropdet.gate.measurements import CategoryResult
from pytest_cropdet.geometry import Bools, Floats
from pytest_cropdet.settings import RunSettings

__all__ = ["category_drop", "crop_ap", "drop", "ratio", "with_readings"]

Doubts = tuple[Doubt, ...]
Weakness = Callable[[str], str] | None


def drop(
    name: str,
    values: Mapping[str, float | None],
    replicates: Floats,
    settings: RunSettings,
    doubts: Doubts,
    spread: float | None = None,
    phrase: str = "crops lose",
    weakness: Weakness = None,
) -> Measure:
    """Return AP(reference) - AP(crop); ``replicates``: (2, N), both in the same resamples.

    ``weakness`` adds to a sentence what has likely made the reference too weak.
    """
    before, after = values["reference"], values["crop"]
    low, high = bounds_of(replicates[0] - replicates[1], settings.level)
    return Measure(
        name=name,
        value=None if before is None or after is None else before - after,
        low=low,
        high=high,
        level=settings.level,
        phrase=phrase,
        unit=settings.metric,
        doubts=doubts,
        undecided=settings.undecided,
        spread=spread,
        blind=(bounds_of(replicates[0], settings.level)[0], settings.min_ap),
        reference=before,
        weakness=weakness,
    )


def category_drop(
    category: CategoryResult,
    replicates: Replicates,
    settings: RunSettings,
    doubts: Doubts = (),
    spread: float | None = None,
    caps: Caps | None = None,
    weakness: Weakness = None,
) -> Measure:
    """Return the drop of one category, in the mean or not; ``doubts`` are those about any category."""
    values = {"reference": category.reference, "crop": category.crop}
    undefined = np.full((2, settings.replicates), np.nan)
    both = replicates.category(category.id, settings.metric) if category.objects else undefined
    own = category_doubts(category.name, category.images)
    name, phrase = f"drop of {category.name}", f"{category.name}: crops lose"
    found = drop(name, values, both, settings, (*own, *doubts), spread, phrase, weakness)
    if caps is None or not category.objects:
        return found
    return with_readings(
        found,
        caps,
        settings,
        None,
        lambda values, drawn: drop(name, values, drawn, settings, ()),
        category.id,
    )


def with_readings(
    measure: Measure,
    caps: Caps,
    settings: RunSettings,
    mask: Bools | None,
    make: Callable[[Mapping[str, float | None], Floats], Measure],
    category: int | None = None,
    of_crop: bool = False,
) -> Measure:
    """Return a measure that passes only if it does without what a cap on detections does to it as well.

    ``mask``: (K,) the categories that are averaged; or ``category``, the only one. ``make``: the measure from both
    sides' AP and replicates (2, N). ``of_crop``: it rests on the crops alone.
    """
    if settings.cap == "accept":
        return measure
    readings = []
    for each in caps.again:
        if of_crop and not each.of_crop:
            continue
        at = {
            side: table.mean(
                threshold=IOU_OF[settings.metric],
                categories=mask if category is None else table.categories == category,
            )
            for side, table in each.precision.items()
        }
        values = {side: None if math.isnan(value) else float(value) for side, value in at.items()}
        drawn = each.replicates
        both = drawn.mean(settings.metric) if category is None else drawn.category(category, settings.metric)
        other = make(values, both)
        readings.append(Reading("cap", each.text, other.value, other.low, other.high))
    return replace(measure, readings=tuple(readings))


def crop_ap(values: Mapping[str, float | None], replicates: Floats, settings: RunSettings, doubts: Doubts) -> Measure:
    """Return AP(crop), a good."""
    return _good("AP(crop)", values["crop"], replicates[1], settings, doubts, "AP on crops is", settings.metric)


def ratio(
    values: Mapping[str, float | None],
    replicates: Floats,
    settings: RunSettings,
    doubts: Doubts,
    weakness: Weakness = None,
) -> Measure:
    """Return AP(crop) / AP(reference), a good; undefined where the reference is 0."""
    before, after = values["reference"], values["crop"]
    value = None if not before or after is None else after / before
    ratios = divide(replicates[1], replicates[0])
    reference = bounds_of(replicates[0], settings.level)[0]
    if before is not None and (reference is None or reference <= settings.min_ap):
        text = f"the detector is too weak for a ratio: AP of the whole images must surely be above {settings.min_ap:g}"
        text = f"{text} (cropdet_min_ap)" if weakness is None else weakness(f"{text} (cropdet_min_ap)")
        doubts = (*doubts, Doubt("blind", text, only_pass=True, curable=before > settings.min_ap))
    found = _good("ratio", value, ratios, settings, doubts, "AP(crop) / AP(reference) is", "")
    if before == 0:
        return replace(found, missing="AP(reference) is 0: the detector finds none of the objects in the whole images")
    return found


def _good(
    name: str, value: float | None, replicates: Floats, settings: RunSettings, doubts: Doubts, phrase: str, unit: str
) -> Measure:
    low, high = bounds_of(replicates, settings.level)
    return Measure(
        name=name,
        value=value,
        low=low,
        high=high,
        level=settings.level,
        good=True,
        phrase=phrase,
        unit=unit,
        doubts=doubts,
        undecided=settings.undecided,
    )
