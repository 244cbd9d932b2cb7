"""What crops cost some of the objects: the numbers of a run with all other objects ignored.

A detection keeps the object that it matched among all of them; one that matched an ignored object is neither right nor
wrong. One that matched none has no visibility or size of an object, so it cannot be given to a subset and is wrong in
every one. AP would fall as a subset grows small, for the same wrong detections stand against fewer right ones; so each
right one counts N/n in the precision, where n of the category's N objects are in the subset. That is the AP that there
would be if all objects were like those of the subset (normalised AP; D. Hoiem et al., "Diagnosing Error in Object
Detectors", 2012); of all objects together it is the AP of the run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.evaluation import (
    Bounded,
    Matches,
    Objects,
    average_precision,
    bounded_ratio,
    none_for_nan,
    subtract,
)
from pytest_cropdet.geometry import Bools
from pytest_cropdet.terms import STEPS

__all__ = ["MIN_IMAGES", "MIN_OBJECTS", "Subset", "Subsets"]

MIN_OBJECTS = 20  # pairs of object and crop below which a subset has no numbers
MIN_IMAGES = 10  # source images, likewise


@dataclass(frozen=True, slots=True)
class Subset:
    """What crops cost some of the objects; numbers are ``None`` where there are too few of them.

    ``objects``: pairs of object and crop, ``distinct`` objects, source ``images``. ``ap``: by rendering, normalised,
    over the categories of the mean, 0 to 1. ``drop``: AP lost, and ``steps`` of it. ``found``: share found at the
    operating point, by rendering. ``lost``: share found in the whole image less that found in the crop, and
    ``lost_steps`` of it.
    """

    objects: int
    distinct: int
    images: int
    ap: Mapping[str, float | None]
    drop: float | None
    steps: Mapping[str, float | None]
    found: Mapping[str, float | None]
    lost: Bounded
    lost_steps: Mapping[str, Bounded] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        return {
            "objects": self.objects,
            "distinct": self.distinct,
            "images": self.images,
            "ap": dict(self.ap),
            "drop": self.drop,
            "steps": dict(self.steps),
            "found": dict(self.found),
            "lost": self.lost.to_dict(),
            "lost_steps": {name: each.to_dict() for name, each in self.lost_steps.items()},
        }


class Subsets:
    """Measures subsets of the objects of one run.

    ``matches`` and ``found``: by rendering, the whole image first and the crop last: either these two, or the five of
    the chain, which give the steps. ``found``: (G,) found at the operating point. ``kept``: (K,) categories that take
    part in the mean. ``iou``: ``None`` for mAP, else the threshold. ``draws``: (N, images) as ``ratios.draw_units``;
    ``level``: of the bounds.
    """

    def __init__(
        self,
        objects: Objects,
        matches: Mapping[str, Matches],
        found: Mapping[str, Bools],
        kept: Bools,
        iou: float | None,
        draws: NDArray[Any],
        level: float = 0.95,
    ) -> None:
        self.renderings = tuple(matches)
        if len(self.renderings) not in (2, len(STEPS) + 1) or self.renderings != tuple(found):
            raise ValueError(
                f"matches of {', '.join(matches)} and found of {', '.join(found)}: both must have the whole image and "
                "the crop, or the five renderings of the chain, in the same order"
            )
        self.objects, self.matches, self.kept, self.iou = objects, matches, np.asarray(kept), iou
        self.draws, self.level = draws, level
        first = matches[self.renderings[0]]
        self.categories = first.categories
        self.counted: Bools = objects.scored & (first.truth_category >= 0)
        self.found = {name: rows & self.counted for name, rows in found.items()}

    @property
    def steps(self) -> dict[str, tuple[str, str]]:
        """The rendering before and after each step, none without the chain."""
        if len(self.renderings) == 2:
            return {}
        return dict(zip(STEPS, pairwise(self.renderings), strict=True))

    @property
    def ends(self) -> tuple[str, str]:
        """The names of the whole image and of the crop."""
        return self.renderings[0], self.renderings[-1]

    def measure(self, rows: Bools) -> Subset:
        """Return the numbers of the objects of ``rows``, (G,), of which those that do not count are left out."""
        chosen = self.counted & rows
        return self._measure(chosen, {name: self._ap(table, chosen) for name, table in self.matches.items()})

    def measure_categories(self) -> list[Subset]:
        """Return the numbers of each of the K categories alone, in the mean or not."""
        values = {name: average_precision(table) for name, table in self.matches.items()}
        alone = np.eye(len(self.categories), dtype=bool)
        return [
            self._measure(
                self.counted & (self.objects.truth.category == category),
                {
                    name: none_for_nan(each.mean(threshold=self.iou, categories=alone[k]))
                    for name, each in values.items()
                },
            )
            for k, category in enumerate(self.categories)
        ]

    def _ap(self, table: Matches, chosen: Bools) -> float | None:
        if not _enough(chosen, self.objects):
            return None
        only = replace(table, scored=table.scored & chosen)
        everything, some = (self._per_category(rows) for rows in (self.counted, chosen))
        worth = everything / np.maximum(some, 1)
        return none_for_nan(average_precision(only, worth=worth).mean(threshold=self.iou, categories=self.kept))

    def _per_category(self, rows: Bools) -> NDArray[Any]:
        places = self.matches[self.renderings[0]].truth_category[rows]
        return np.bincount(places, minlength=len(self.categories))

    def _measure(self, chosen: Bools, ap: Mapping[str, float | None]) -> Subset:
        unit = self.objects.unit[chosen]
        distinct = np.unique(np.stack([unit, self.objects.annotation[chosen]]), axis=1).shape[1]
        whole, crop = self.ends
        enough = _enough(chosen, self.objects)
        if not enough:
            ap = dict.fromkeys(ap)
        return Subset(
            objects=len(unit),
            distinct=distinct,
            images=len(np.unique(unit)),
            ap=ap,
            drop=subtract(ap[whole], ap[crop]),
            steps={name: subtract(ap[before], ap[after]) for name, (before, after) in self.steps.items()},
            found={
                name: float((rows & chosen).sum() / len(unit)) if enough else None for name, rows in self.found.items()
            },
            lost=self._net(chosen, whole, crop) if enough else Bounded(),
            lost_steps={name: self._net(chosen, *pair) if enough else Bounded() for name, pair in self.steps.items()},
        )

    def _net(self, chosen: Bools, before: str, after: str) -> Bounded:
        """Return the share of ``chosen`` found in one rendering less that found in another."""
        net = self.found[before].astype(float) - self.found[after]
        return self.share_of(net, chosen)

    def share_of(self, values: NDArray[Any], chosen: Bools) -> Bounded:
        """Return the mean of ``values``, (G,), over ``chosen``, with bounds that resample whole source images."""
        units = self.draws.shape[1]
        over = np.bincount(self.objects.unit[chosen], values[chosen], minlength=units).astype(np.float64)
        under = np.bincount(self.objects.unit[chosen], minlength=units).astype(np.float64)
        return bounded_ratio(over, under, self.draws, self.level)


def _enough(chosen: Bools, objects: Objects) -> bool:
    return int(chosen.sum()) >= MIN_OBJECTS and len(np.unique(objects.unit[chosen])) >= MIN_IMAGES
