"""What the rules of the comparison do to the drop: the same drop, measured with one rule changed at a time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.evaluation import (
    Blocks,
    Detected,
    Matches,
    Objects,
    Truth,
    at_half,
    average_precision,
    match,
    subtract,
)
from pytest_cropdet.geometry import Bools

__all__ = ["CAP_SHARE", "Cap", "cap_of", "controls", "equal_boxes"]

CAP_SHARE = 0.05  # share of whole images, or of their objects, above which a cap limits the reference


@dataclass(frozen=True, slots=True)
class Cap:
    """How often the detector returned as many rows as it can on whole images.

    ``share``: of the whole images. ``used``: of those the ones whose weakest row still scores the noise score or more,
    so that more may have been found; the others were filled up. ``None``: all of them. ``objects``: the share of the
    scored objects that are in the images of ``used``. ``drops``: as gated, and with equal numbers of boxes, where both
    were compared; ``agrees``: whether they came out alike.
    """

    share: float
    rows: int | None
    used: float | None = None
    drops: tuple[float | None, float | None] | None = None
    agrees: bool = False
    objects: float = 0.0

    @property
    def used_up(self) -> float:
        """The share of whole images on which the cap may have cut off a detection that matters."""
        return self.share if self.used is None else self.used

    @property
    def binds(self) -> bool:
        """Whether so many answers are cut off, or have so many objects, that the cap may limit the reference."""
        return max(self.used_up, self.objects) > CAP_SHARE

    @property
    def changes_the_drop(self) -> bool:
        """Whether the cap binds, and equal numbers of boxes give another drop, or were not compared."""
        return self.binds and not self.agrees

    @property
    def text(self) -> str:
        """What messages say of it."""
        where = f"on {self.used_up:.0%} of the whole images"
        if self.used_up <= CAP_SHARE < self.objects:
            where += f", with {self.objects:.0%} of the objects"
        if self.agrees:
            most = "of boxes" if self.rows is None else f"of {self.rows} boxes"
            return f"the detector returned its maximum {most} {where}"
        most = "of boxes" if self.rows is None else f"of {self.rows} boxes"
        return f"the detector returned its maximum {most} {where}, so the comparison is unfair to whole images"


def cap_of(
    capped: Sequence[bool], lengths: Sequence[int], rows: int | None, filled: Sequence[bool] | None = None
) -> Cap:
    """Return the cap as seen on the whole images; ``rows`` is the detector's maximum where it is known.

    ``filled``: which answers end in noise.
    """
    share = sum(capped) / max(1, len(capped))
    seen = max((length for length, full in zip(lengths, capped, strict=True) if full), default=None)
    noise = [False] * len(capped) if filled is None else filled
    used = sum(full and not each for full, each in zip(capped, noise, strict=True)) / max(1, len(capped))
    return Cap(share, seen if rows is None else rows, used)


def controls(
    objects: Objects,
    detected: Mapping[str, Blocks],
    matches: Mapping[str, Matches],
    kept: Bools,
    iou: float | None,
    max_detections: int = 100,
) -> dict[str, Any]:
    """Return the drops under changed rules, AP 0 to 1, over the kept categories.

    ``without_stray``: detections that lie mostly outside the window count as wrong. ``equal_boxes``: each crop cut to
    its reference's number of boxes, the strongest. ``geometric_floor``: of a perfect detector that draws the tight
    boxes of cut objects, under clipped truth alone (``None`` without masks). ``ignored``: detections, by rendering,
    that matched an ignored region (``absorbed``) or lay outside (``stray``), at IoU 0.5.
    """
    categories, images = matches["crop"].categories.tolist(), len(objects.index)

    def of(table: Matches) -> float | None:
        value = average_precision(table).mean(threshold=iou, categories=kept)
        return None if math.isnan(value) else value

    def mean(truth: Truth, table: Detected) -> float | None:
        return of(match(truth, table, images=images, categories=categories, max_detections=max_detections))

    strict = {
        name: of(table if table.far is None else replace(table, outside=table.far)) for name, table in matches.items()
    }
    lean = replace(matches["crop"], score=None, far=None)
    at_equal = of(lean.only(_among_equal(lean, detected)))
    reference = of(matches["reference"])
    return {
        "without_stray": subtract(strict["reference"], strict["crop"]),
        "equal_boxes": subtract(reference, at_equal),
        "geometric_floor": _floor(objects, mean),
        "ignored": {name: _ignored(table) for name, table in matches.items()},
    }


def _among_equal(crop: Matches, detected: Mapping[str, Blocks]) -> Bools:
    """Return (D,) the kept detections of the crops that are among as many of the strongest as the reference has."""
    rows = []
    for (_, _, seen), (first, stop, whole) in zip(
        detected["crop"].blocks(), detected["reference"].blocks(), strict=True
    ):
        within = np.zeros(len(seen), dtype=bool)
        within[_equal_rows(seen, whole, stop - first)] = True
        rows.append(within)
    return np.asarray(np.concatenate([np.zeros(0, dtype=bool), *rows])[crop.rows])


def equal_boxes(crop: Detected, reference: Detected, images: int) -> Detected:
    """Return the crops' detections, in each crop as many of the strongest as its reference has."""
    return _rows(crop, _equal_rows(crop, reference, images))


def _equal_rows(crop: Detected, reference: Detected, images: int) -> NDArray[np.int64]:
    allowed = np.bincount(reference.image, minlength=images)
    order = np.lexsort((np.arange(len(crop)), -crop.score, crop.image))
    starts = np.searchsorted(crop.image[order], np.arange(images))
    rank = np.arange(len(order)) - starts[crop.image[order]]
    return np.sort(order[rank < allowed[crop.image[order]]])


def _rows(table: Detected, rows: NDArray[np.int64]) -> Detected:
    return Detected(
        image=table.image[rows],
        category=table.category[rows],
        boxes=table.boxes[rows],
        score=table.score[rows],
        area=table.area[rows],
        stray=table.stray[rows],
    )


def _floor(objects: Objects, mean: Any) -> float | None:
    if not objects.has_masks:
        return None
    truth, rows = replace(objects.truth, tight=None), objects.scored
    score = np.ones(int(rows.sum()))
    drawn = {}
    for name, boxes in (("clipped", objects.truth.boxes), ("tight", objects.truth.tight)):
        if boxes is None:
            return None
        drawn[name] = mean(truth, Detected(truth.image[rows], truth.category[rows], boxes[rows], score))
    return subtract(drawn["clipped"], drawn["tight"])


def _ignored(matches: Matches) -> dict[str, int]:
    area, half = matches.area_index("all"), at_half(matches)
    matched = matches.matched[area, half]
    hit = matched[matched >= 0]
    stray = matches.outside[area].sum() - matches.outside[area, matches.contenders[matched >= 0]].sum()
    return {"absorbed": int((~matches.scored[area, hit]).sum()), "stray": int(stray)}
