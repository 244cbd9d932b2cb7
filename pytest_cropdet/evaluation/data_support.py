"""Whether the scored objects can support a verdict: reasons for which bounds alone must not decide."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytest_cropdet.evaluation.crop_tables import MIN_IMAGES_PER_CATEGORY, Objects
from pytest_cropdet.evaluation.measure import Doubt
from pytest_cropdet.geometry import Bools, Ints
from pytest_cropdet.settings import RunSettings

__all__ = ["ScoredRows", "category_doubts", "data_doubts", "object_doubts", "speaks_for"]

SHARE_OF_OBJECTS = 0.5  # of the scored objects, for which a mean must speak


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """The scored objects of a run, one row for each in each crop; ``category``, ``unit``: (n,) ids, source images."""

    category: Ints
    unit: Ints

    @classmethod
    def of(cls, objects: Objects) -> "ScoredRows":
        """Return the scored ones of ``objects``."""
        return cls(objects.truth.category[objects.scored], objects.unit[objects.scored])

    def images_of(self, category: int) -> int:
        """Return in how many source images a category has one."""
        return len(np.unique(self.unit[self.category == category]))


def object_doubts(scored: ScoredRows, categories: Sequence[int], settings: RunSettings) -> tuple[Doubt, ...]:
    """Return the doubts about numbers over the scored objects of ``categories``: too few images, too few objects."""
    speaking = np.isin(scored.category, list(categories))
    images, count = len(np.unique(scored.unit[speaking])), int(speaking.sum())
    if not count:
        return (Doubt("undefined", "no scored object to measure on: no crop shows enough of an annotated object"),)
    doubts = []
    if images < settings.min_images:
        text = f"too few images: {images} source images have a scored object of these categories"
        doubts.append(Doubt("images", f"{text}; use at least {settings.min_images} (cropdet_min_images)"))
    if count < settings.min_objects:
        doubts.append(Doubt("objects", f"{count} scored objects, at least {settings.min_objects} are needed"))
    return tuple(doubts)


def data_doubts(scored: ScoredRows, kept: Bools, chosen: Sequence[int], settings: RunSettings) -> tuple[Doubt, ...]:
    """Return the doubts about a mean over the ``kept`` ones of the ``chosen`` categories; over all, if none is kept."""
    averaged = np.asarray(chosen)[kept].tolist() if kept.any() else chosen
    doubts = list(object_doubts(scored, averaged, settings))
    if not kept.any() and not any(doubt.reason == "undefined" for doubt in doubts):
        text = f"no category has scored objects in {MIN_IMAGES_PER_CATEGORY} source images or more"
        doubts.append(Doubt("categories", f"{text}, so there is no mean: use more images of each category"))
    share = speaks_for(scored, kept, chosen)["objects"]
    if kept.any() and share < SHARE_OF_OBJECTS:
        text = f"the {int(kept.sum())} categories with enough images contain {share:.0%} of the scored objects"
        advice = "a mean must speak for half of them (more images, or --cropdet-categories)"
        doubts.append(Doubt("share", f"{text}; {advice}"))
    return tuple(doubts)


def category_doubts(name: str, images: int) -> tuple[Doubt, ...]:
    """Return the doubts about a single category that is gated by itself."""
    if images >= MIN_IMAGES_PER_CATEGORY:
        return ()
    text = f"{name} appears in only {images} images; {MIN_IMAGES_PER_CATEGORY} are needed"
    return (Doubt("images", text),)


def speaks_for(scored: ScoredRows, kept: Bools, chosen: Sequence[int]) -> dict[str, float]:
    """Return the share of the categories with scored objects, and of the scored objects, that the mean speaks for."""
    present = np.isin(chosen, scored.category)
    counted = np.isin(scored.category, list(chosen))
    speaking = np.isin(scored.category, np.asarray(chosen)[kept])
    return {
        "categories": float(kept.sum() / max(1, present.sum())),
        "objects": float(speaking.sum() / max(1, counted.sum())),
    }
