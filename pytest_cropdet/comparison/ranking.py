"""Several detectors on the same crops: in which order, and which differences can be shown.

A run's replicates follow from its seed, images and windows. So the replicates of two runs that share these are paired
draw by draw, and their difference has the bounds that a comparison of the two gives.

The p-value of a difference d with N replicates d* is two-sided, 2 min(P(d* <= 0), P(d* >= 0)), where a share of the
replicates is (1 + count) / (1 + N), so that it is never 0 (Davison and Hinkley, Bootstrap Methods and their
Application, 1997, section 4.2). Among m pairs, Holm's rule (Scandinavian Journal of Statistics 6, 1979) multiplies the
smallest by m, the next by m - 1, and so on, none below the one before: at most 1 - level of all rankings show any
difference that is not there. The corrected bounds of a pair are percentiles at the level at which Holm judges it.
"""

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_cropdet.evaluation import bounds_of, subtract
from pytest_cropdet.geometry import Floats

__all__ = ["RankedRun", "category_set", "holm", "needed_replicates", "rank_models", "two_sided_p"]

_MOST_REPLICATES = 10_000
_HEADROOM = 2.0  # how far the smallest p-value that the replicates can show lies below the one that is needed
_MEASURES = ("crop_ap", "whole_ap", "drop")


@dataclass(frozen=True, eq=False, kw_only=True)
class RankedRun:
    """What a ranking needs of a run.

    ``model``: its name among the others; ``detector``: its name and fingerprint; ``gate``, ``test``: where it was
    measured. ``shared``: what must be equal in all runs of a ranking, by name, ``level`` and ``replicates`` among it.
    ``ap``: ``reference`` and ``crop``, 0 to 1, ``None`` where undefined. ``draws``: (2, N) both in each resample, of
    which the first ``replicates`` make bounds.
    """

    model: str
    detector: Mapping[str, Any]
    gate: str
    test: str
    shared: Mapping[str, Any]
    ap: Mapping[str, float | None]
    draws: Floats

    @property
    def level(self) -> float:
        """The level of its bounds."""
        return float(self.shared["level"])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        packed = base64.b64encode(np.ascontiguousarray(self.draws, dtype="<f8").tobytes()).decode("ascii")
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**own, "draws": packed}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "RankedRun":
        """Return what :meth:`to_dict` wrote."""
        draws = np.frombuffer(base64.b64decode(content["draws"]), dtype="<f8").reshape(2, -1)
        return cls(**{**content, "draws": draws})


def category_set(names: Sequence[str]) -> str:
    """Return in short which categories are in a mean: how many, and a hash of their names.

    >>> category_set(["car", "dog"]) == category_set(["dog", "car"])
    True
    """
    joined = "\0".join(sorted(names)).encode("utf-8", "backslashreplace")
    return f"{len(names)} ({hashlib.sha256(joined).hexdigest()[:8]})"


def needed_replicates(models: int, level: float) -> int:
    """Return how many replicates can show a difference among the pairs of so many models, at most 10,000.

    >>> needed_replicates(3, 0.95), needed_replicates(10, 0.95)
    (240, 3600)
    """
    pairs = models * (models - 1) / 2
    return min(_MOST_REPLICATES, math.ceil(round(_HEADROOM * 2 * pairs / (1 - level), 6)))


def two_sided_p(draws: Floats) -> float:
    """Return the two-sided p-value of "the difference is 0" from its replicates; 1 where they are undefined.

    >>> two_sided_p(np.full(999, 0.1)), two_sided_p(np.zeros(999))
    (0.002, 1.0)
    """
    known = draws[~np.isnan(draws)]
    if len(known) < 0.95 * len(draws) or not len(known):
        return 1.0
    below, above = (1 + int((known <= 0).sum())), (1 + int((known >= 0).sum()))
    return min(1.0, 2 * min(below, above) / (1 + len(known)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected by Holm's rule, in the order given.

    >>> [round(each, 3) for each in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    count, largest = len(p_values), 0.0
    corrected = [1.0] * count
    for place, row in enumerate(sorted(range(count), key=lambda each: p_values[each])):
        largest = max(largest, min(1.0, (count - place) * p_values[row]))
        corrected[row] = largest
    return corrected


def rank_models(name: str, runs: Sequence[RankedRun]) -> dict[str, Any]:
    """Return the ranking of models by AP on crops as built-in values, ready for JSON; ``docs/compare_models.md``.

    Models that were not measured on what most of the others were are left out, each with the reason.
    """
    ranked, left_out = _comparable(runs)
    ranked.sort(key=lambda run: -(run.ap["crop"] or 0.0))
    pairs = [(one, other) for place, one in enumerate(ranked) for other in ranked[place + 1 :]]
    numbers = {measure: _differences(pairs, measure) for measure in _MEASURES}
    sure = [each["distinguishable"] for each in numbers["crop_ap"]]
    better, worse = Counter[str](), Counter[str]()
    for (one, other), is_sure in zip(pairs, sure, strict=True):
        better[other.model] += is_sure  # so many are better than it
        worse[one.model] += is_sure
    first = ranked[0] if ranked else None
    return {
        "name": name,
        **({} if first is None else dict(first.shared)),
        "resamples": None if first is None else int(first.draws.shape[1]),
        "models": [
            {
                "name": run.model,
                "rank": [1 + better[run.model], len(ranked) - worse[run.model]],
                "ap": dict(run.ap),
                "drop": subtract(run.ap["reference"], run.ap["crop"]),
                "detector": dict(run.detector),
                "gate": run.gate,
                "test": run.test,
            }
            for run in ranked
        ],
        "pairs": [
            {"first": one.model, "second": other.model, **{each: numbers[each][place] for each in _MEASURES}}
            for place, (one, other) in enumerate(pairs)
        ],
        "left_out": [{"name": model, "why": why} for model, why in left_out],
        "note": _note(ranked, len(pairs)),
    }


def _comparable(runs: Sequence[RankedRun]) -> tuple[list[RankedRun], list[tuple[str, str]]]:
    """Return the runs that share what most of them do, and the others with what differs."""
    kinds = Counter(repr(sorted(run.shared.items())) for run in runs if None not in run.ap.values())
    if not kinds:
        return [], [(run.model, "its AP is undefined") for run in runs]
    kind = kinds.most_common(1)[0][0]
    kept, left_out = [], []
    for run in runs:
        if None in run.ap.values():
            left_out.append((run.model, "its AP is undefined"))
        elif repr(sorted(run.shared.items())) == kind:
            kept.append(run)
        else:
            left_out.append((run.model, ""))
    shared = kept[0].shared
    others = {run.model: run.shared for run in runs}
    return kept, [(model, why or _differs(others[model], shared)) for model, why in left_out]


def _differs(theirs: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    """Return in words what keeps a run from being ranked with the others."""
    found = [key for key in shared if theirs.get(key) != shared[key]]
    if {"images", "level"} <= set(found) <= {"images", "crops", "level", "data"}:
        return (
            f"it stopped early: after {theirs['images']} images, not {shared['images']}; --cropdet-looks=off measures "
            "all models on all images"
        )
    shown = [f"{key} is {theirs.get(key)}, not {shared[key]}" for key in found if key != "data" or len(found) == 1]
    return f"it was measured on something else: {'; '.join(shown)}"


def _differences(pairs: Sequence[tuple[RankedRun, RankedRun]], measure: str) -> list[dict[str, Any]]:
    """Return the difference first - second of each pair in one measure, corrected among all pairs."""
    values = [subtract(_value(one, measure), _value(other, measure)) for one, other in pairs]
    draws = [_draws(one, measure) - _draws(other, measure) for one, other in pairs]
    p_values = [two_sided_p(each) for each in draws]
    corrected = holm(p_values)
    found = []
    for place, (one, _) in enumerate(pairs):
        allowed = 1 - one.level
        low, high = bounds_of(draws[place][: one.shared["replicates"]], one.level)
        wide = bounds_of(draws[place], 1 - allowed / _tests(place, p_values, allowed) / 2)
        found.append(
            {
                "value": values[place],
                "low": low,
                "high": high,
                "corrected_low": wide[0],
                "corrected_high": wide[1],
                "p": p_values[place],
                "p_holm": corrected[place],
                "distinguishable": corrected[place] <= allowed,
            }
        )
    return found


def _tests(place: int, p_values: Sequence[float], allowed: float) -> int:
    """Return by how many tests Holm divides what is allowed for a pair: fewer from pair to pair until one is not shown.

    >>> [_tests(place, [0.001, 0.9, 0.02], 0.05) for place in range(3)]
    [3, 1, 2]
    >>> [_tests(place, [0.001, 0.9, 0.04], 0.05) for place in range(3)]
    [3, 2, 2]
    """
    count = len(p_values)
    for tests, row in zip(range(count, 0, -1), sorted(range(count), key=lambda each: p_values[each]), strict=True):
        if row == place or p_values[row] * tests > allowed:
            return tests
    return 1


def _value(run: RankedRun, measure: str) -> float | None:
    whole, crop = run.ap["reference"], run.ap["crop"]
    return {"crop_ap": crop, "whole_ap": whole, "drop": subtract(whole, crop)}[measure]


def _draws(run: RankedRun, measure: str) -> Floats:
    whole, crop = run.draws
    return np.asarray({"crop_ap": crop, "whole_ap": whole, "drop": whole - crop}[measure])


def _note(ranked: Sequence[RankedRun], pairs: int) -> str | None:
    """Return what a reader must know: whether the replicates can show any difference among so many pairs."""
    if not pairs:
        return None
    replicates = ranked[0].draws.shape[1]
    if 2 * pairs / (1 + replicates) <= 1 - ranked[0].level:
        return None
    return (
        f"{replicates} resamples are too few to show a difference among {pairs} pairs; rank fewer models at once "
        "(those that matter to you)"
    )
