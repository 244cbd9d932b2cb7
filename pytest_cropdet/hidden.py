"""Numbers that mAP hides: objects lost and gained, labels flipped, recall and precision at the operating point.

An object counts once for each crop that shows it, as share of all scored objects. Found means: a detection of its
category, scored at or above the operating point, matches it at IoU 0.5. Bounds resample whole source images, since
crops of one image are not independent.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.evaluation import Detected, Matches, percentile_bounds
from pytest_cropdet.gate import Doubt, Measure, Undecided
from pytest_cropdet.operating import at_half, covering_detections, matched_scores
from pytest_cropdet.samples import Bools
from pytest_cropdet.scoring import Objects

__all__ = ["Hidden", "Share", "hidden_numbers"]

CUT_MARGIN = 2.0  # px from the window's edge within which a box touches the cut
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Share(Measure):
    """A ratio of two counts summed over source images; two of them with one denominator can be subtracted."""

    over: Floats = None  # type: ignore[assignment]
    under: Floats = None  # type: ignore[assignment]
    draws: NDArray[Any] = None  # type: ignore[assignment]

    def __sub__(self, other: "Share") -> "Share":
        """Return the difference with its own bounds, from the same resamples."""
        if not isinstance(other, Share) or other.under is not self.under:
            raise TypeError(f"{self.name} can only be compared with a share of the same objects, such as run.gained")
        name, phrase = f"{self.name} - {other.name}", f"crops lose, net of what they {other.name},"
        net = share(name, self.over - other.over, self.under, self.draws, self.doubts, self.undecided, phrase)
        net = replace(net, blind=self.blind, strength=self.strength, reference=self.reference, weakness=self.weakness)
        return net if self.story is None or self.note is None else net.with_story(self.story, self.note)


@dataclass(frozen=True, eq=False)
class Hidden:
    """What happens to objects at the operating point, as shares and counts, with bounds."""

    score: float
    lost: Share
    gained: Share
    flips: Share
    new_at_cut: Share
    new: Share
    lost_by_category: Mapping[int, Share]
    recall: Mapping[str, float | None]
    precision: Mapping[str, float | None]
    recall_crop: Share
    precision_crop: Share
    confident_ratio: float | None
    score_change: float | None
    score_change_bounds: tuple[float | None, float | None]
    p_lost: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        return {
            **{
                name: {"value": each.value, "low": each.low, "high": each.high, "count": int(each.over.sum())}
                for name, each in (
                    ("lost", self.lost),
                    ("gained", self.gained),
                    ("lost_minus_gained", self.lost - self.gained),
                    ("flips", self.flips),
                    ("new_at_cut", self.new_at_cut),
                    ("new", self.new),
                )
            },
            "p_lost": self.p_lost,
            "confident_ratio": self.confident_ratio,
            "score_change": {
                "value": self.score_change,
                "low": self.score_change_bounds[0],
                "high": self.score_change_bounds[1],
            },
        }


def draw_units(units: int, replicates: int, seed: int) -> NDArray[np.int64]:
    """Return (replicates, units) multinomial counts: how often each source image is drawn."""
    generator = np.random.Generator(np.random.PCG64([seed, 1]))
    return generator.multinomial(units, np.full(units, 1 / max(units, 1)), size=replicates)


def share(
    name: str,
    over: Floats,
    under: Floats,
    draws: NDArray[Any],
    doubts: tuple[Doubt, ...] = (),
    undecided: Undecided = "fail",
    phrase: str = "",
    good: bool = False,
    unit: str = "of the objects",
) -> Share:
    """Return sum(over) / sum(under) with percentile bounds; both are per source image."""
    total = under.sum()
    value = float(over.sum() / total) if total else None
    below = draws @ under
    ratio = np.divide(draws @ over, below, out=np.full(len(draws), np.nan), where=below > 0)
    low, high = percentile_bounds(ratio)
    return Share(
        name=name,
        value=value,
        low=None if math.isnan(low) else low,
        high=None if math.isnan(high) else high,
        good=good,
        phrase=phrase or f"{name} is",
        unit=unit,
        doubts=doubts,
        undecided=undecided,
        over=over,
        under=under,
        draws=draws,
    )


def hidden_numbers(
    objects: Objects,
    detected: Mapping[str, Detected],
    matches: Mapping[str, Matches],
    score: float,
    draws: NDArray[Any],
    doubts: tuple[Doubt, ...] = (),
    undecided: Undecided = "fail",
    new_score: float | None = None,
    min_recall: float = 0.05,
    cap: tuple[Doubt, ...] = (),
    weakness: Callable[[str], str] | None = None,
) -> Hidden:
    """Return the numbers of both renderings at the operating point ``score``, over the categories that were matched.

    ``new_score``: where the whole image stands in for truth, the score from which a detection of the crop is called
    new; shares lost by category are given then too. No loss passes unless the reference surely finds ``min_recall``
    more of the objects than may be lost; ``cap``: the doubt about losses against a reference that is limited;
    ``weakness`` adds to a sentence what has likely made it find too few.
    """
    index = objects.index
    units = len(index.samples)
    counted = objects.scored & np.isin(objects.truth.category, matches["crop"].categories)
    best = {name: matched_scores(matches[name], detected[name], len(objects.truth)) for name in ("reference", "crop")}
    found = {name: counted & (scores >= score) for name, scores in best.items()}

    def per_unit(rows: Bools) -> Floats:
        return np.bincount(objects.unit[rows], minlength=units).astype(np.float64)

    total = per_unit(counted)

    seen = share("recall", per_unit(found["reference"]), total, draws)

    def of_objects(name: str, rows: Bools, phrase: str) -> Share:
        some = share(name, per_unit(rows), total, draws, (*doubts, *cap), undecided, phrase)
        return replace(some, blind=(seen.low, min_recall), strength="recall", reference=seen.value, weakness=weakness)

    lost, gained = found["reference"] & ~found["crop"], found["crop"] & ~found["reference"]
    flips = lost & (covering_detections(objects, detected["crop"], lost, score) >= 0)
    wrong = {name: _wrong(matches[name], detected[name], score) for name in found}
    wrong_by_unit = {
        name: np.bincount(index.unit[detected[name].image[rows]], minlength=units).astype(float)
        for name, rows in wrong.items()
    }
    crops = np.bincount(index.unit, minlength=units).astype(np.float64)
    wrong_new = _wrong(matches["crop"], detected["crop"], score if new_score is None else new_score)
    at_cut = wrong_new[_touches_cut(objects, detected["crop"], wrong_new)]

    def of_crops(name: str, rows: NDArray[np.int64], phrase: str) -> Share:
        count = np.bincount(index.unit[detected["crop"].image[rows]], minlength=units).astype(np.float64)
        return share(name, count, crops, draws, doubts, undecided, phrase, unit="")

    right = per_unit(found["crop"])
    both = found["reference"] & found["crop"]
    change = np.where(both, best["crop"] - best["reference"], 0.0)
    change_by_unit = np.bincount(objects.unit[both], change[both], minlength=units).astype(np.float64)
    changed = share("score change", change_by_unit, per_unit(both), draws)
    confident = {name: int(rows.sum()) + len(wrong[name]) for name, rows in found.items()}  # ignored ones left out
    return Hidden(
        score=score,
        lost=of_objects("lost", lost, "crops lose"),
        gained=of_objects("gained", gained, "crops gain"),
        flips=of_objects("flips", flips, "crops change the label of"),
        new_at_cut=of_crops("new_at_cut", at_cut, "wrong detections at the cut, a crop, are"),
        new=of_crops("new", wrong_new, "wrong detections a crop are"),
        lost_by_category={
            int(key): share(
                f"lost {key}",
                per_unit(lost & (objects.truth.category == key)),
                per_unit(counted & (objects.truth.category == key)),
                draws,
                undecided=undecided,
                phrase="crops lose",
            )
            for key in (() if new_score is None else matches["crop"].categories)
        },
        recall={name: _ratio(rows.sum(), counted.sum()) for name, rows in found.items()},
        precision={name: _ratio(rows.sum(), rows.sum() + len(wrong[name])) for name, rows in found.items()},
        recall_crop=share("recall", right, total, draws, doubts, undecided, "crops find", good=True),
        precision_crop=replace(
            share(
                "precision",
                right,
                right + wrong_by_unit["crop"],
                draws,
                doubts,
                undecided,
                "right in crops are",
                good=True,
            ),
            missing=f"no detection in crops scores {score:.3g} or more",
        ),
        confident_ratio=_ratio(confident["crop"], confident["reference"]),
        score_change=changed.value,
        score_change_bounds=(changed.low, changed.high),
        p_lost=_sign_flip_p(per_unit(lost) - per_unit(gained), draws.shape[0]),
    )


def _ratio(over: Any, under: Any) -> float | None:
    return float(over / under) if under else None


def _wrong(matches: Matches, detected: Detected, score: float) -> NDArray[np.int64]:
    """Return rows of detections at or above ``score`` that are false positives at IoU 0.5."""
    half = at_half(matches)
    false = (matches.truth_of()[half] < 0) & ~matches.ignored()[half] & (detected.score[matches.rows] >= score)
    return np.asarray(matches.rows[false], dtype=np.int64)


def _touches_cut(objects: Objects, crop: Detected, rows: NDArray[np.int64]) -> Bools:
    """Return which detections reach an edge of their window that is not an edge of the image."""
    index = objects.index
    touching = np.zeros(len(rows), dtype=bool)
    for place, row in enumerate(rows):
        window, sample = index.crops[crop.image[row]], index.samples[index.unit[crop.image[row]]]
        x0, y0, x1, y1 = crop.boxes[row]
        touching[place] = (
            (x0 <= CUT_MARGIN and window.left > 0)
            or (y0 <= CUT_MARGIN and window.top > 0)
            or (x1 >= window.width - CUT_MARGIN and window.right < sample.width)
            or (y1 >= window.height - CUT_MARGIN and window.bottom < sample.height)
        )
    return touching


def _sign_flip_p(net: Floats, replicates: int) -> float | None:
    """Return the one-sided p of "no more lost than gained", by flipping the sign of whole source images."""
    moved = net[net != 0]
    if not len(moved):
        return None
    generator = np.random.Generator(np.random.PCG64([2, len(net)]))
    signs = generator.integers(0, 2, size=(max(replicates, 1000), len(moved))) * 2 - 1
    return float((1 + (signs @ moved >= moved.sum()).sum()) / (1 + len(signs)))
