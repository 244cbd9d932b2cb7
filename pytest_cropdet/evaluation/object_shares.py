"""Numbers that mAP hides: objects lost and gained, labels flipped, recall and precision at the operating point.

An object counts once for each crop that shows it, as share of all scored objects. Found means: a detection of its
category, scored at or above the operating point, matches it at IoU 0.5. Bounds resample whole source images, since
crops of one image are not independent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.evaluation.coco.tables import Matches
from pytest_cropdet.evaluation.crop_tables import Objects
from pytest_cropdet.evaluation.detected_blocks import Blocks
from pytest_cropdet.evaluation.measure import Doubt, Measure, Reading, Undecided
from pytest_cropdet.evaluation.operating_point import OperatingPoint, at_half, covering_detections, kept_scores
from pytest_cropdet.evaluation.ratios import DRAWS_AT_ONCE, bounded_ratio, draw_units
from pytest_cropdet.geometry import Bools, Floats

__all__ = ["HiddenNumbers", "Share", "draw_units", "hidden_numbers", "measure_share"]

FINDABLE = "if what the detector's maximum cut off had found every missing object of those images"
CUT_MARGIN = 2.0  # px from the window's edge within which a box touches the cut


@dataclass(frozen=True, eq=False)
class Share(Measure):
    """A ratio of two counts summed over source images; two of them with one denominator can be subtracted.

    ``otherwise``: the first count under another assumption, which a pass needs to pass as well.
    """

    over: Floats = None  # type: ignore[assignment]
    under: Floats = None  # type: ignore[assignment]
    draws: NDArray[Any] = None  # type: ignore[assignment]
    otherwise: Floats | None = None

    def __sub__(self, other: "Share") -> "Share":
        """Return the difference with its own bounds, from the same resamples."""
        if not isinstance(other, Share) or other.under is not self.under:
            raise TypeError(f"{self.name} can only be compared with a share of the same objects, such as run.gained")
        name, phrase = f"{self.name} - {other.name}", f"crops lose, net of what they {other.name},"
        over = self.over - other.over
        net = measure_share(name, over, self.under, self.draws, self.doubts, self.undecided, phrase, level=self.level)
        if self.otherwise is not None:
            net = net.unless(self.otherwise - (other.over if other.otherwise is None else other.otherwise))
        net = replace(net, blind=self.blind, strength=self.strength, reference=self.reference, weakness=self.weakness)
        return net if self.story is None or self.note is None else net.with_story(self.story, self.note)

    def unless(self, otherwise: Floats) -> "Share":
        """Return the share with what its count would be if rows that a cap cut off had found what is missing."""
        other = measure_share(self.name, otherwise, self.under, self.draws, level=self.level)
        reading = Reading("cap", FINDABLE, other.value, other.low, other.high)
        return replace(self, otherwise=otherwise, readings=(reading,))


@dataclass(frozen=True, eq=False)
class HiddenNumbers:
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
                name: {**each.bounds(), "count": int(each.over.sum())}
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


def measure_share(
    name: str,
    over: Floats,
    under: Floats,
    draws: NDArray[Any],
    doubts: tuple[Doubt, ...] = (),
    undecided: Undecided = "fail",
    phrase: str = "",
    good: bool = False,
    unit: str = "of the objects",
    *,
    level: float,
) -> Share:
    """Return sum(over) / sum(under) with one-sided bounds at ``level``; both are per source image."""
    bounded = bounded_ratio(over, under, draws, level)
    return Share(
        name=name,
        value=bounded.value,
        low=bounded.low,
        high=bounded.high,
        level=level,
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
    detected: Mapping[str, Blocks],
    matches: Mapping[str, Matches],
    point: OperatingPoint,
    draws: NDArray[Any],
    doubts: tuple[Doubt, ...] = (),
    undecided: Undecided = "fail",
    new_score: float | None = None,
    min_recall: float = 0.05,
    cap: tuple[Doubt, ...] = (),
    weakness: Callable[[str], str] | None = None,
    findable: Bools | None = None,
    *,
    level: float,
) -> HiddenNumbers:
    """Return the numbers of both renderings at the operating point, over the categories that were matched.

    ``new_score``: where the whole image stands in for truth, the score from which a detection of the crop is called
    new; shares lost by category are given then too. No loss passes unless the reference surely finds ``min_recall``
    more of the objects than may be lost; ``cap``: the doubt about losses against a reference that is limited;
    ``weakness`` adds to a sentence what has likely made it find too few. ``findable``: (G,) objects that rows which the
    detector's cap cut off could have found in the whole image. ``level``: of all bounds.
    """
    index = objects.index
    units = len(index.samples)
    score, counted, best, found = point.score, point.counted, point.scores, point.found
    ratio_of = partial(measure_share, draws=draws, level=level)

    def per_unit(rows: Bools) -> Floats:
        return np.bincount(objects.unit[rows], minlength=units).astype(np.float64)

    total = per_unit(counted)

    seen = ratio_of("recall", per_unit(found["reference"]), total)

    def of_objects(name: str, rows: Bools, phrase: str) -> Share:
        some = ratio_of(name, per_unit(rows), total, doubts=(*doubts, *cap), undecided=undecided, phrase=phrase)
        if name in then:
            some = some.unless(per_unit(then[name]))
        return replace(some, blind=(seen.low, min_recall), strength="recall", reference=seen.value, weakness=weakness)

    lost, gained = point.lost, point.gained
    flips = lost & _covered(objects, detected["crop"], lost, score)
    by_cap = np.zeros(len(lost), dtype=bool) if findable is None else counted & findable & ~found["reference"]
    if by_cap.any():
        lost_then = lost | (by_cap & ~found["crop"])
        flips_then = lost_then & _covered(objects, detected["crop"], lost_then, score)
        then = {"lost": lost_then, "gained": gained & ~by_cap, "flips": flips_then}
    else:
        then = {}
    wrong = {name: _wrong(matches[name], score) for name in found}
    wrong_by_unit = {
        name: np.bincount(index.unit[matches[name].image[places]], minlength=units).astype(float)
        for name, places in wrong.items()
    }
    crops = np.bincount(index.unit, minlength=units).astype(np.float64)
    wrong_new = _wrong(matches["crop"], score if new_score is None else new_score)
    at_cut = wrong_new[_touches_cut(objects, detected["crop"], matches["crop"].rows[wrong_new])]

    def of_crops(name: str, rows: NDArray[np.int64], phrase: str) -> Share:
        count = np.bincount(index.unit[matches["crop"].image[rows]], minlength=units).astype(np.float64)
        return ratio_of(name, count, crops, doubts=doubts, undecided=undecided, phrase=phrase, unit="")

    right = per_unit(found["crop"])

    def good(name: str, under: Floats, phrase: str) -> Share:
        return ratio_of(name, right, under, doubts=doubts, undecided=undecided, phrase=phrase, good=True)

    both = found["reference"] & found["crop"]
    change = np.where(both, best["crop"] - best["reference"], 0.0)
    change_by_unit = np.bincount(objects.unit[both], change[both], minlength=units).astype(np.float64)
    changed = ratio_of("score change", change_by_unit, per_unit(both))
    confident = {name: int(rows.sum()) + len(wrong[name]) for name, rows in found.items()}  # ignored ones left out
    return HiddenNumbers(
        score=score,
        lost=of_objects("lost", lost, "crops lose"),
        gained=of_objects("gained", gained, "crops gain"),
        flips=of_objects("flips", flips, "crops change the label of"),
        new_at_cut=of_crops("new_at_cut", at_cut, "wrong detections at the cut, a crop, are"),
        new=of_crops("new", wrong_new, "wrong detections a crop are"),
        lost_by_category={
            int(key): ratio_of(
                f"lost {key}",
                per_unit(lost & (objects.truth.category == key)),
                per_unit(counted & (objects.truth.category == key)),
                undecided=undecided,
                phrase="crops lose",
            )
            for key in (() if new_score is None else matches["crop"].categories)
        },
        recall={name: _ratio(rows.sum(), counted.sum()) for name, rows in found.items()},
        precision={name: _ratio(rows.sum(), rows.sum() + len(wrong[name])) for name, rows in found.items()},
        recall_crop=good("recall", total, "crops find"),
        precision_crop=replace(
            good("precision", right + wrong_by_unit["crop"], "right in crops are"),
            missing=f"no detection in crops scores {score:.3g} or more",
        ),
        confident_ratio=_ratio(confident["crop"], confident["reference"]),
        score_change=changed.value,
        score_change_bounds=(changed.low, changed.high),
        p_lost=_sign_flip_p(per_unit(lost) - per_unit(gained), draws.shape[0]),
    )


def _ratio(over: Any, under: Any) -> float | None:
    return float(over / under) if under else None


def _covered(objects: Objects, crop: Blocks, rows: Bools, score: float) -> Bools:
    """Return (G,) whether a detection of another category, scored ``score`` or more, covers each of ``rows``."""
    looked_at = np.zeros(len(objects.index), dtype=bool)
    looked_at[objects.truth.image[rows]] = True
    near = crop.chosen(lambda table: looked_at[table.image] & (table.score >= score))
    return np.asarray(covering_detections(objects, near, rows, score) >= 0)


def _wrong(matches: Matches, score: float) -> NDArray[np.int64]:
    """Return the places in the table of detections at or above ``score`` that are false positives at IoU 0.5."""
    half = at_half(matches)
    confident = kept_scores(matches, None) >= score
    false = confident & ~matches.outside[matches.area_index("all")]
    false[matches.contenders] &= matches.matched[matches.area_index("all"), half] < 0
    return np.flatnonzero(false)


def _touches_cut(objects: Objects, crop: Blocks, rows: NDArray[np.int64]) -> Bools:
    """Return which detections reach an edge of their window that is not an edge of the image."""
    index = objects.index
    touching = np.zeros(len(rows), dtype=bool)
    boxes = crop.rows(rows)
    for place, (image, box) in enumerate(zip(boxes.image.tolist(), boxes.boxes.tolist(), strict=True)):
        window, sample = index.crops[image], index.samples[index.unit[image]]
        x0, y0, x1, y1 = box
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
    flips, as_large = max(replicates, 1000), 0
    for start in range(0, flips, DRAWS_AT_ONCE):
        signs = generator.integers(0, 2, size=(min(DRAWS_AT_ONCE, flips - start), len(moved))) * 2 - 1
        as_large += int((signs @ moved >= moved.sum()).sum())
    return float((1 + as_large) / (1 + flips))
