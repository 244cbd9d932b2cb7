"""Where a cap on the number of detections changes a number: the detector's on whole images, the evaluator's anywhere.

A detector that returns its largest number of boxes may have found more: its **reference** is then too weak, and crops
look better than they are. Rows below a noise score are filling, so an answer that ends in them is not cut off. Where
more than 5 % of the answers are, or more than 5 % of the objects are in their images, three drops are compared, all
from the same resamples:

- as it is gated;
- with equal numbers of boxes (each crop keeps as many of its strongest as its reference has): if it differs from the
  first by more than the uncertainty of that one, the cap changes the drop, and no loss passes;
- with every object found that the reference of such an image misses, at the score of the image's weakest row. The rows
  that were cut off score no more than that, so no detector without the cap would lose more. A pass needs this one, too:
  a crop that loses exactly what the cap takes from the reference agrees with it, and is no better for it.

The evaluator's cap is in ``evaluator_cap``; what both do to a verdict is put together here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pytest_cropdet.data import Detections
from pytest_cropdet.evaluation import (
    SIDES,
    AveragePrecision,
    Bounded,
    Detected,
    Matches,
    Objects,
    Replicates,
    at_half,
    average_precision,
    bounds_of,
    match,
    resample,
)
from pytest_cropdet.gate.controls import Cap, cap_of, equal_boxes
from pytest_cropdet.gate.evaluator_cap import EvaluatorCap, evaluator_cap
from pytest_cropdet.geometry import Bools, Floats
from pytest_cropdet.settings import RunSettings

__all__ = [
    "NOISE",
    "Again",
    "Caps",
    "Tables",
    "cap_on",
    "find_caps",
    "noise_score",
]

NOISE = 0.05  # score below which a row is filling, unless the operating point is below four times that
SAME_DROP = 0.01  # AP by which the drop with equal numbers of boxes may always differ
UNLIMITED = 1 << 30


@dataclass(frozen=True, eq=False)
class Tables:
    """What is resampled, and how: the match tables of both sides and of the same resamples.

    ``kept``: (K,) categories of the mean; ``apart``: ids of categories that are judged by themselves.
    """

    objects: Objects
    detected: Mapping[str, Detected]
    matches: Mapping[str, Matches]
    kept: Bools
    apart: Sequence[int]
    settings: RunSettings

    def replicates(self, tables: Sequence[Matches]) -> Replicates:
        """Return the metric of match tables, in the resamples of the run."""
        return resample(
            tables,
            self.objects.index.unit,
            replicates=self.settings.replicates,
            seed=self.settings.seed,
            categories=self.kept,
            apart=self.apart,
            metrics=[self.settings.metric],
        )

    def matched(self, detected: Detected, most: int) -> Matches:
        """Return the match table of other detections on the same objects."""
        categories = self.matches["crop"].categories.tolist()
        return match(
            self.objects.truth,
            detected,
            images=len(self.objects.index),
            categories=categories,
            max_detections=most,
        )


@dataclass(frozen=True, eq=False)
class Again:
    """AP of both sides under another assumption (``text``), in the same resamples.

    ``of_crop``: whether the assumption changes how crops are scored without changing what is seen in them.
    """

    name: str
    text: str
    precision: Mapping[str, AveragePrecision]
    replicates: Replicates
    of_crop: bool = False

    @classmethod
    def of(cls, name: str, text: str, tables: Tables, pair: Sequence[Matches], of_crop: bool = False) -> "Again":
        """Return both sides' AP; ``pair``: the match tables of the reference and of the crops."""
        precision = {side: average_precision(table) for side, table in zip(SIDES, pair, strict=True)}
        return cls(name, text, precision, tables.replicates(pair), of_crop)


@dataclass(frozen=True, eq=False)
class Caps:
    """Both caps, and what they do to the drop.

    ``again``: the run's numbers under other assumptions, which a pass needs to pass as well. ``equal``: the drop with
    equal numbers of boxes, ``change``: that minus the drop, with paired bounds, ``missing_found``: the drop with every
    missing object found in the reference of answers that are cut off (``None`` where the detector's cap does not bind).
    ``findable``: (G,) objects that rows which the detector's cap cut off could have found at the operating point.
    """

    detector: Cap
    evaluator: EvaluatorCap
    again: tuple[Again, ...]
    findable: Bools
    equal: Bounded | None = None
    change: Bounded | None = None
    missing_found: Bounded | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what the JSON says beside ``cap``."""
        none = {"value": None, "low": None, "high": None}
        return {
            "used_up": self.detector.used_up,
            "objects": self.detector.objects,
            "equal_boxes": none if self.equal is None else self.equal.to_dict(),
            "change": none if self.change is None else self.change.to_dict(),
            "missing_found": none if self.missing_found is None else self.missing_found.to_dict(),
            "agrees": None if self.change is None else self.detector.agrees,
        }


def cap_on(raw: Sequence[Detections], rows: int | None, noise: float) -> tuple[Cap, Floats]:
    """Return the detector's cap as seen in its raw answers for whole images, and the weakest score of each.

    Scores are NaN where an answer is not cut off: not as long as it can be, or filled up with rows below ``noise``.
    """
    weakest = np.array([each.scores.min(initial=1.0) for each in raw], dtype=np.float64)
    cap = cap_of([each.capped for each in raw], [len(each) for each in raw], rows, (weakest < noise).tolist())
    weakest[~np.array([each.capped for each in raw], dtype=bool) | (weakest < noise)] = np.nan
    return cap, weakest


def noise_score(threshold: float, agreement: bool) -> float:
    """Return below which score a row is filling; without truth nothing below the lower threshold takes part."""
    return threshold if agreement else min(NOISE, threshold / 4)


def find_caps(
    tables: Tables,
    raw: Sequence[Detections],
    rows: int | None,
    threshold: float,
    drop: tuple[float | None, Floats],
    agreement: bool,
) -> Caps:
    """Return both caps; ``raw``: the detector's own answers for whole images, ``rows``: its maximum where known.

    ``drop``: the mean drop and its replicates (N,).
    """
    cap, weakest = cap_on(raw, rows, noise_score(threshold, agreement))
    evaluator = evaluator_cap(tables.objects, tables.matches, tables.kept)
    again: list[Again] = []
    equal = change = missing = None
    cut_short = weakest[tables.objects.unit]
    if not agreement and tables.objects.scored.any():
        cap = replace(cap, objects=float(np.mean(~np.isnan(cut_short[tables.objects.scored]))))
    if cap.binds and not agreement:
        most = tables.settings.max_detections
        same = tables.matched(
            equal_boxes(tables.detected["crop"], tables.detected["reference"], len(tables.objects.index)), most
        )
        at_equal = Again.of("equal_boxes", "with equal numbers of boxes", tables, (tables.matches["reference"], same))
        full = _with_missing(tables, cut_short)
        at_most = Again.of(
            "missing_found",
            "if what the detector's maximum cut off had found every missing object of those images",
            tables,
            (tables.matched(full, UNLIMITED), tables.matches["crop"]),
        )
        again += [at_equal, at_most]
        (equal, change), (missing, _) = (_against(each, tables, drop) for each in again)
        cap = replace(cap, agrees=_agrees(change, drop, tables.settings.level), drops=(drop[0], equal.value))
    if any(table.beyond for table in tables.matches.values()):
        pair = [replace(tables.matches[side], beyond=False) for side in SIDES]
        text = f"with every detection counted (--cropdet-max-detections={evaluator.largest})"
        again.append(Again.of("uncut", text, tables, pair, of_crop=True))
    return Caps(cap, evaluator, tuple(again), np.asarray(cut_short >= threshold), equal, change, missing)


def _with_missing(tables: Tables, cut_short: Floats) -> Detected:
    """Return the reference with every object found that it misses where ``cut_short`` (G,) is a score: at that one."""
    objects, reference, matches = tables.objects, tables.detected["reference"], tables.matches["reference"]
    partner = matches.truth_of()[at_half(matches)]
    found = np.zeros(len(objects.truth), dtype=bool)
    found[partner[partner >= 0]] = True
    rows = np.flatnonzero(objects.scored & ~found & ~np.isnan(cut_short))
    return Detected(
        image=np.concatenate([reference.image, objects.truth.image[rows]]),
        category=np.concatenate([reference.category, objects.truth.category[rows]]),
        boxes=np.concatenate([reference.boxes, objects.truth.boxes[rows]]),
        score=np.concatenate([reference.score, cut_short[rows]]),
        stray=np.concatenate([reference.stray, np.zeros(len(rows), dtype=bool)]),
    )


def _against(again: Again, tables: Tables, drop: tuple[float | None, Floats]) -> tuple[Bounded, Bounded]:
    """Return the mean drop under another assumption, and how much more it is than the run's, with paired bounds."""
    settings = tables.settings
    at = {"mAP": None, "AP50": 0.5, "AP75": 0.75}[settings.metric]
    before, after = (again.precision[side].mean(threshold=at, categories=tables.kept) for side in SIDES)
    both = again.replicates.mean(settings.metric)
    lost = both[0] - both[1]
    equal = Bounded.of(before - after, lost, settings.level)
    change = Bounded.of(before - after - (np.nan if drop[0] is None else drop[0]), lost - drop[1], settings.level)
    return equal, change


def _agrees(change: Bounded, drop: tuple[float | None, Floats], level: float) -> bool:
    """Whether equal numbers of boxes change the drop by no more than its own uncertainty, or by next to nothing."""
    if drop[0] is None or change.low is None or change.high is None:
        return False
    high = bounds_of(drop[1], level)[1]
    if high is None:
        return False
    reach = high - drop[0]
    return max(abs(change.low), abs(change.high)) <= max(SAME_DROP, reach)
