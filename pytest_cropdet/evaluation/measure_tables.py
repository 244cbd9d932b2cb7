"""What a measure of one's own is a function of, and the number that it gives in each resample."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np

from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation.coco.bootstrap import drawn_weights
from pytest_cropdet.evaluation.coco.matching import match
from pytest_cropdet.evaluation.coco.tables import COCO_AREA_RANGES, Detected, Matches
from pytest_cropdet.evaluation.crop_tables import Objects
from pytest_cropdet.geometry import Bools, Floats

__all__ = ["WEIGHTINGS_AT_ONCE", "MeasureFunction", "MeasureTables", "measured_and_drawn"]

WEIGHTINGS_AT_ONCE = 64
WHAT_IT_RETURNS = "a number, NaN or None where it is undefined"


@dataclass(frozen=True, eq=False)
class MeasureTables:
    """The tables of a run, in whole images and in crops. I evaluation images, each one crop of a source image.

    ``matches``, ``detected``: by ``"reference"`` (the detections in the whole image, clipped to each crop) and
    ``"crop"``; match tables are of the chosen categories. ``objects``: every object of every crop, G rows.
    ``counted``: (G,) those that must be found. ``in_mean``: (K,) the categories of the match tables that means are
    over. ``score``: the operating point. ``names``: categories by id.
    """

    matches: Mapping[str, Matches]
    detected: Mapping[str, Detected]
    objects: Objects
    counted: Bools
    in_mean: Bools
    score: float
    names: Mapping[int, str] = field(default_factory=dict)

    @cached_property
    def by_size(self) -> Mapping[str, Matches]:
        """Match tables of COCO's area ranges as well, made when they are first asked for; sizes are those in crops."""
        return {
            side: match(
                self.objects.truth,
                self.detected[side],
                images=self.images,
                categories=table.categories.tolist(),
                area_ranges=COCO_AREA_RANGES,
                max_detections=table.max_detections,
            )
            for side, table in self.matches.items()
        }

    @property
    def images(self) -> int:
        """I, the number of evaluation images."""
        return len(self.objects.index)

    def object_weights(self, weights: Floats) -> Floats:
        """Return (G,) or (G, B): the weight of each object, that of its image; ``weights``: (I,) or (I, B)."""
        return np.asarray(weights[self.objects.truth.image])


MeasureFunction = Callable[[MeasureTables, Floats], Any]


def measured_and_drawn(
    function: MeasureFunction, tables: MeasureTables, *, vectorised: bool, replicates: int, seed: int, what: str
) -> tuple[float, Floats]:
    """Return a function's number, and (N,) its number in every resample of the source images; NaN where undefined.

    The function is given weights: (I,) how often each evaluation image counts, or with ``vectorised`` (I, B) and
    returns (B,). Resamples are those of AP. ``SpecError`` says what it did wrong; ``what`` names it.
    """
    once = np.ones((tables.images, 1))
    value, again = (_called(function, tables, once, vectorised, what)[0] for _ in range(2))
    if not (value == again or (np.isnan(value) and np.isnan(again))):
        raise SpecError(f"{what} is not deterministic: called twice it returned {value!r}, then {again!r}")
    drawn = [_called(function, tables, weights, vectorised, what) for weights in _weightings(tables, replicates, seed)]
    return float(value), np.concatenate([np.zeros(0), *drawn])


def _weightings(tables: MeasureTables, replicates: int, seed: int) -> Iterator[Floats]:
    for weights in drawn_weights(
        tables.objects.index.unit, replicates=replicates, seed=seed, at_once=WEIGHTINGS_AT_ONCE
    ):
        yield weights.astype(np.float64)


def _called(function: MeasureFunction, tables: MeasureTables, weights: Floats, vectorised: bool, what: str) -> Floats:
    """Return (B,) the numbers at (I, B) weights."""
    try:
        if not vectorised:
            found = [function(tables, np.ascontiguousarray(column)) for column in weights.T]
            return np.array([_number(each, what) for each in found], dtype=np.float64)
        returned = function(tables, weights)
    except SpecError:
        raise
    except Exception as error:
        raise SpecError(f"{what} failed: {type(error).__name__}: {error}") from error
    numbers = np.asarray(returned)
    if numbers.shape != (weights.shape[1],) or numbers.dtype.kind not in "fiu":
        raise SpecError(
            f"{what} is vectorised and returned {_shown(returned)} for weights of shape {weights.shape}; it must "
            f"return an array of shape ({weights.shape[1]},), a number for each column"
        )
    numbers = numbers.astype(np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _number(value: Any, what: str) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, np.ndarray) and value.shape == ():
        value = value[()]
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise SpecError(f"{what} returned {_shown(value)}; it must return {WHAT_IT_RETURNS}")
    return float(value) if np.isfinite(float(value)) else float("nan")


def _shown(value: Any) -> str:
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else repr(value)
