"""Measures of one's own on a run: a function of its tables becomes a number with bounds that limits judge."""

import math
from typing import Any

from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import (
    Doubt,
    Measure,
    MeasureFunction,
    ScoredRows,
    bounds_of,
    digits,
    measured_and_drawn,
    none_for_nan,
    object_doubts,
)
from pytest_cropdet.gate.doubts import cap_doubts
from pytest_cropdet.gate.facts import RunFacts
from pytest_cropdet.geometry import Floats

__all__ = ["blind_doubts", "bounded_measure", "check_name", "measure_of", "measure_records", "remember"]

_TAKEN = (
    *("ratio", "AP(crop)", "lost", "gained", "flips", "lost - gained", "new", "new_at_cut", "recall", "precision"),
    *("worst_case", "best_case"),
)
_BEGINNINGS = ("drop", "worse")  # of the drops of categories, and of what changed from an old model


def measure_of(
    run: RunFacts, function: MeasureFunction, name: str | None, good: bool, vectorised: bool, unit: str
) -> Measure:
    """Return what a function measures on a run, with bounds from the resamples of the run's AP."""
    called = _name_of(function, name)
    what = f"the measure {called!r}"
    settings = run.settings
    value, drawn = measured_and_drawn(
        function, run.tables, vectorised=vectorised, replicates=settings.replicates, seed=settings.seed, what=what
    )
    return bounded_measure(
        run,
        called,
        (value, drawn),
        good=good,
        phrase=f"{called} is",
        unit=unit,
        doubts=(*doubts_of(run, good), *blind_doubts(run, good)),
        missing="its function returned no number for the whole run",
    )


def bounded_measure(
    run: RunFacts,
    name: str,
    number: tuple[float, Floats],
    *,
    good: bool,
    phrase: str,
    unit: str,
    doubts: tuple[Doubt, ...],
    missing: str,
) -> Measure:
    """Return a number of a run, and what it is in the resamples, as a measure; without bounds it is undecided."""
    (value, drawn), settings = number, run.settings
    low, high = bounds_of(drawn, settings.level)
    return Measure(
        name=name,
        value=none_for_nan(value),
        low=low,
        high=high,
        level=settings.level,
        good=good,
        phrase=phrase,
        unit=unit,
        doubts=(*doubts, *_unbounded(value, low, high)),
        undecided=settings.undecided,
        spread=_spread_of(run, good),
        missing=missing,
    )


def doubts_of(run: RunFacts, good: bool) -> tuple[Doubt, ...]:
    """Return why bounds must not decide: too few images or objects, and for a loss a limited number of boxes."""
    doubts = object_doubts(ScoredRows.of(run.objects), run.scored.chosen, run.settings)
    return doubts if good else (*doubts, *cap_doubts(run.settings, run.cap))


def _unbounded(value: float, low: float | None, high: float | None) -> tuple[Doubt, ...]:
    """Return the doubt about a number without bounds: no limit is judged by the number alone."""
    if math.isnan(value) or (low is not None and high is not None):
        return ()
    text = (
        "it is undefined in more than 1 in 20 resamples of the images, so it has no bounds: too few images have what "
        "it is measured on"
    )
    return (Doubt("bounds", text),)


def blind_doubts(run: RunFacts, good: bool) -> tuple[Doubt, ...]:
    """Return the doubt about a loss of a detector that finds next to nothing: it cannot lose anything."""
    if good or run.drop.blind is None:
        return ()
    surely, least = run.drop.blind
    if surely is not None and surely > least:
        return ()
    text = (
        f"the detector is too weak for this test: {run.drop.strength} on the same objects in {run.drop.seen_in} is "
        f"surely {digits(surely)}, more than {least:.3f} is needed (cropdet_min_ap); a detector that finds nothing "
        "cannot lose anything"
    )
    return (Doubt("blind", text, only_pass=True),)


def _spread_of(run: RunFacts, good: bool) -> float | None:
    """Return by how much two passes of the detector change a loss: unknown, so infinite, where they differ at all."""
    return None if good or run.repeat is None or run.repeat.same else math.inf


def remember(run: RunFacts, measure: Measure) -> Measure:
    """Put a measure among those of the run; ``SpecError`` where another one has its name."""
    other = run.measures.get(measure.name)
    if other is not None and _numbers(other) != _numbers(measure):
        raise SpecError(
            f"the run has another measure {measure.name!r} with other numbers; give one of them another name="
        )
    run.measures[measure.name] = measure
    return measure


def measure_records(run: RunFacts) -> list[dict[str, Any]]:
    """Return the measures of one's own on a run as built-in values."""
    return [
        {
            "name": each.name,
            "value": each.value,
            "low": each.low,
            "high": each.high,
            "level": each.level,
            "good": each.good,
            "unit": each.unit,
        }
        for each in run.measures.values()
    ]


def _numbers(measure: Measure) -> tuple[Any, ...]:
    return measure.value, measure.low, measure.high, measure.good


def _name_of(function: Any, name: str | None) -> str:
    if not callable(function):
        raise SpecError(f"run.measure takes a function of (tables, weights), not {function!r}")
    return check_name(getattr(function, "__name__", type(function).__name__) if name is None else name)


def check_name(called: Any) -> str:
    """Return the name of a measure; ``SpecError`` where it is none, or that of a built-in one."""
    if not isinstance(called, str) or not called.strip() or called == "<lambda>":
        raise SpecError(f"the measure {called!r} needs a name for reports: name='small objects lost', say")
    if called in _TAKEN or called.startswith(_BEGINNINGS):
        raise SpecError(
            f"a measure of your own cannot be called {called!r}: built-in ones are called so, or begin so "
            f"({', '.join(_BEGINNINGS)}); give another name="
        )
    return called
