"""Where the evaluator's number of detections cuts off right ones.

AP counts the 100 strongest detections of each crop and category (``--cropdet-max-detections``), as COCO does. Where
that leaves out right detections, on either side, AP is not that of the detector; a pass needs the drop without the
limit to pass as well, and where more than 5 % of the crops are concerned, nothing passes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_cropdet.evaluation import SIDES, Doubt, Matches, Objects, at_half
from pytest_cropdet.gate.controls import CAP_SHARE
from pytest_cropdet.geometry import Bools, Ints
from pytest_cropdet.settings import RunSettings

__all__ = ["EvaluatorCap", "cut_off", "cut_off_pairs", "evaluator_cap"]


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
