"""Where a cap on the number of detections changes a number: the detector's on whole images, the evaluator's anywhere.

A detector that returns its largest number of boxes may have found more: its **reference** is then too weak, and crops
look better than they are. Rows below a noise score are filling, so an answer that ends in them is not cut off. Where
more than 5 % of the answers are, three drops are compared, all from the same resamples:

- as it is gated;
- with equal numbers of boxes (each crop keeps as many of its strongest as its reference has): if it differs from the
  first by more than the uncertainty of that one, the cap changes the drop, and no loss passes;
- with every object found that the reference of such an image misses, at the score of the image's weakest row. The rows
  that were cut off score no more than that, so no detector without the cap would lose more. A pass needs this one, too:
  a crop that loses exactly what the cap takes from the reference agrees with it, and is no better for it.

The **evaluator** counts 100 detections of each crop and category (``--cropdet-max-detections``). Where that cuts off
right detections, on either side, AP is not that of the detector; a pass needs the drop without the limit to pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.bounded import Bounded
from pytest_cropdet.controls import CAP_SHARE, Cap, cap_of, equal_boxes
from pytest_cropdet.evaluation import (
    AveragePrecision,
    Detected,
    Matches,
    Replicates,
    average_precision,
    match,
    percentile_bounds,
    resample,
)
from pytest_cropdet.gate import Doubt
from pytest_cropdet.operating import at_half
from pytest_cropdet.samples import Bools, Detections, Ints
from pytest_cropdet.scoring import Objects
from pytest_cropdet.settings import RunSettings

__all__ = [
    "NOISE",
    "Again",
    "Caps",
    "EvaluatorCap",
    "Tables",
    "cap_on",
    "cut_off",
    "cut_off_pairs",
    "evaluator_cap",
    "find_caps",
    "noise_score",
]

NOISE = 0.05  # score below which a row is filling, unless the operating point is below four times that
SAME_DROP = 0.01  # AP by which the drop with equal numbers of boxes may always differ
UNLIMITED = 1 << 30
SIDES = ("reference", "crop")
Floats = NDArray[np.float64]


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
class EvaluatorCap:
    """Where the evaluator's number of detections per crop and category cuts off right ones (IoU 0.5).

    ``pairs``: of crop and category, by side. ``share``: of the crops with scored objects of the mean's categories, by
    the side with more; ``by_category``: likewise of each category's. ``largest``: detections of one pair.
    """

    max_detections: int
    pairs: Mapping[str, int]
    share: float
    by_category: Mapping[int, float]
    largest: int

    @property
    def binds(self) -> bool:
        """Whether it cuts off a right detection anywhere."""
        return any(self.pairs.values())

    @property
    def text(self) -> str:
        """What messages say of it."""
        places = " and ".join(
            f"{self.pairs[side]} {word}" for side, word in zip(SIDES, ("references", "crops"), strict=True)
        )
        return (
            f"AP counts {self.max_detections} detections per image and category, which leaves out right detections in "
            f"{places} (up to {self.largest} detections each; --cropdet-max-detections={self.largest} counts them all)"
        )

    def doubts(self, settings: RunSettings, category: int | None = None) -> tuple[Doubt, ...]:
        """Return the doubt about the AP of the mean, or of one category, where more than 5 % of the crops are cut."""
        share = self.share if category is None else self.by_category.get(category, 0.0)
        if share <= CAP_SHARE or settings.cap == "accept":
            return ()
        return (Doubt("cap", f"{self.text}; `cropdet_cap = accept` overrides", only_pass=True),)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        return {
            "max_detections": self.max_detections,
            "pairs": dict(self.pairs),
            "share": self.share,
            "largest": self.largest,
            "binds": self.binds,
        }


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


def cut_off(matches: Matches) -> Ints:
    """Return the positions of right detections (IoU 0.5) that stand beyond the cap of their image and category."""
    if not matches.beyond:
        return np.zeros(0, dtype=np.int64)
    partner = matches.truth_of()[at_half(matches)]
    right = np.append(matches.scored[matches.area_index("all")], False)[partner]
    return np.flatnonzero(right & (matches.rank_of_row >= matches.max_detections))


def cut_off_pairs(matches: Matches) -> Ints:
    """Return ``category * images + image``, once each, of the pairs in which right detections are beyond the cap."""
    rows = cut_off(matches)
    return np.unique((np.searchsorted(matches.starts, rows, side="right") - 1) * matches.images + matches.image[rows])


def evaluator_cap(objects: Objects, matches: Mapping[str, Matches], kept: Bools) -> EvaluatorCap:
    """Return where the evaluator's cap cuts off right detections; ``kept``: (K,) categories of the mean."""
    categories = matches["crop"].categories
    shown = np.zeros((len(categories), len(objects.index)), dtype=bool)  # pairs with a scored object
    place = matches["crop"].truth_category
    counted = objects.scored & (place >= 0)
    shown[place[counted], objects.truth.image[counted]] = True
    cut = {}
    for side in SIDES:
        cut[side] = np.zeros_like(shown)
        cut[side].flat[cut_off_pairs(matches[side])] = True

    def share(some: Bools) -> float:
        crops = int(shown[some].any(axis=0).sum())
        return max(int(each[some].any(axis=0).sum()) for each in cut.values()) / max(1, crops)

    return EvaluatorCap(
        max_detections=matches["crop"].max_detections,
        pairs={side: int(each.sum()) for side, each in cut.items()},
        share=share(np.asarray(kept, dtype=bool)),
        by_category={int(key): share(categories == key) for key in categories},
        largest=max(int(table.rank_of_row.max(initial=-1)) + 1 for table in matches.values()),
    )


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
    reach = percentile_bounds(drop[1], level)[1] - drop[0]
    return max(abs(change.low), abs(change.high)) <= max(SAME_DROP, reach)
