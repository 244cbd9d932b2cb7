"""Losses and goods with their bounds, from AP and its paired replicates."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.doubts import category_doubts
from pytest_cropdet.evaluation import Replicates, percentile_bounds
from pytest_cropdet.gate import Doubt, Measure
from pytest_cropdet.results import CategoryResult
from pytest_cropdet.settings import RunSettings

__all__ = ["category_drop", "crop_ap", "drop", "ratio"]

Floats = NDArray[np.float64]
Doubts = tuple[Doubt, ...]


def drop(
    name: str,
    values: Mapping[str, float | None],
    replicates: Floats,
    settings: RunSettings,
    doubts: Doubts,
    spread: float | None = None,
    phrase: str = "crops cost",
) -> Measure:
    """Return AP(reference) - AP(crop); ``replicates``: (2, N), both in the same resamples."""
    before, after = values["reference"], values["crop"]
    low, high = _bounds(replicates[0] - replicates[1], settings.level)
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
        blind=(_bounds(replicates[0], settings.level)[0], settings.min_ap),
    )


def category_drop(
    category: CategoryResult,
    replicates: Replicates,
    settings: RunSettings,
    doubts: Doubts = (),
    spread: float | None = None,
) -> Measure:
    """Return the drop of one category, in the mean or not; ``doubts`` are those about any category."""
    values = {"reference": category.reference, "crop": category.crop}
    undefined = np.full((2, settings.replicates), np.nan)
    both = replicates.category(category.id, settings.metric) if category.objects else undefined
    own = category_doubts(category.name, category.images)
    phrase = f"{category.name}: crops cost"
    return drop(f"drop of {category.name}", values, both, settings, (*own, *doubts), spread, phrase)


def crop_ap(values: Mapping[str, float | None], replicates: Floats, settings: RunSettings, doubts: Doubts) -> Measure:
    """Return AP(crop), a good."""
    return _good("AP(crop)", values["crop"], replicates[1], settings, doubts, "AP on crops is", settings.metric)


def ratio(values: Mapping[str, float | None], replicates: Floats, settings: RunSettings, doubts: Doubts) -> Measure:
    """Return AP(crop) / AP(reference), a good; undefined where the reference is 0."""
    before, after = values["reference"], values["crop"]
    value = None if not before or after is None else after / before
    undefined = np.full(replicates.shape[1], np.nan)
    ratios = np.divide(replicates[1], replicates[0], out=undefined, where=replicates[0] > 0)
    reference = _bounds(replicates[0], settings.level)[0]
    if reference is None or reference <= settings.min_ap:
        text = f"the reference itself is too weak for a ratio: its AP must surely be above {settings.min_ap:g}"
        doubts = (*doubts, Doubt("blind", f"{text} (cropdet_min_ap)", only_pass=True))
    return _good("ratio", value, ratios, settings, doubts, "AP(crop) / AP(reference) is", "")


def _good(
    name: str, value: float | None, replicates: Floats, settings: RunSettings, doubts: Doubts, phrase: str, unit: str
) -> Measure:
    low, high = _bounds(replicates, settings.level)
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


def _bounds(replicates: Floats, level: float) -> tuple[float | None, float | None]:
    low, high = percentile_bounds(replicates, level)
    return None if math.isnan(low) else low, None if math.isnan(high) else high
