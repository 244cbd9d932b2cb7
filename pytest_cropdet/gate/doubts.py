"""Reasons for which bounds alone must not decide: too little data, too few categories, a reference that is capped."""

from collections.abc import Callable, Sequence

import numpy as np

from pytest_cropdet.evaluation import MIN_IMAGES_PER_CATEGORY, Doubt, HiddenNumbers, Measure, Objects
from pytest_cropdet.gate.controls import Cap
from pytest_cropdet.geometry import Bools
from pytest_cropdet.settings import RunSettings

__all__ = [
    "cap_doubts",
    "category_doubts",
    "is_weak",
    "mean_doubts",
    "object_doubts",
    "speaks_for",
    "unseen_doubts",
]

SHARE_OF_OBJECTS = 0.5  # of the scored objects, for which a mean must speak


def object_doubts(objects: Objects, categories: Sequence[int], settings: RunSettings) -> tuple[Doubt, ...]:
    """Return the doubts about numbers over the scored objects of ``categories``: too few images, too few objects."""
    speaking = objects.scored & np.isin(objects.truth.category, list(categories))
    images, count = len(np.unique(objects.unit[speaking])), int(speaking.sum())
    if not count:
        return (Doubt("undefined", "no scored object to measure on: no crop shows enough of an annotated object"),)
    doubts = []
    if images < settings.min_images:
        text = f"too few images: {images} source images have a scored object of these categories"
        doubts.append(Doubt("images", f"{text}; use at least {settings.min_images} (cropdet_min_images)"))
    if count < settings.min_objects:
        doubts.append(Doubt("objects", f"{count} scored objects, at least {settings.min_objects} are needed"))
    return tuple(doubts)


def mean_doubts(
    objects: Objects, kept: Bools, chosen: Sequence[int], settings: RunSettings, cap: Cap
) -> tuple[Doubt, ...]:
    """Return the doubts about a mean over the kept ones of the chosen categories; over all, where none is kept."""
    averaged = np.asarray(chosen)[kept].tolist() if kept.any() else chosen
    doubts = list(object_doubts(objects, averaged, settings))
    if not kept.any() and not any(doubt.reason == "undefined" for doubt in doubts):
        text = f"no category has scored objects in {MIN_IMAGES_PER_CATEGORY} source images or more"
        doubts.append(Doubt("categories", f"{text}, so there is no mean: use more images of each category"))
    share = speaks_for(objects, kept, chosen)["objects"]
    if kept.any() and share < SHARE_OF_OBJECTS:
        text = f"the {int(kept.sum())} categories with enough images hold {share:.0%} of the scored objects"
        advice = "a mean must speak for half of them (more images, or --cropdet-categories)"
        doubts.append(Doubt("share", f"{text}; {advice}"))
    return (*doubts, *cap_doubts(settings, cap))


def unseen_doubts(recall: float | None, score: float, weakness: Callable[[str], str] | None) -> tuple[Doubt, ...]:
    """Return the doubt about a reference in which nothing is found, where there is no AP that would show it."""
    if recall != 0:
        return ()
    text = f"the detector finds none of the scored objects in the whole images (at score {score:.3g})"
    return (Doubt("blind", text if weakness is None else weakness(text)),)


def is_weak(drop: Measure, hidden: HiddenNumbers, settings: RunSettings) -> bool:
    """Whether the reference is too weak to say anything of the detector's boxes; by recall where AP is undefined."""
    surely = hidden.recall["reference"] if drop.value is None or drop.blind is None else drop.blind[0]
    return surely is None or surely <= (settings.max_drop or 0.0) + settings.min_ap


def cap_doubts(settings: RunSettings, cap: Cap) -> tuple[Doubt, ...]:
    """Return the doubt about any loss against a reference that the detector's number of boxes limits."""
    if not cap.changes_the_drop or settings.cap == "accept":
        return ()
    drops = ""
    if cap.drops is not None:
        gated, equal = ("undefined" if each is None else f"{each:.3f}" for each in cap.drops)
        drops = f"; the drop is {gated}, with equal numbers of boxes {equal}"
    return (Doubt("cap", f"{cap.text}{drops}; `cropdet_cap = accept` overrides", only_pass=True),)


def category_doubts(name: str, images: int) -> tuple[Doubt, ...]:
    """Return the doubts about a single category that is gated by itself."""
    if images >= MIN_IMAGES_PER_CATEGORY:
        return ()
    text = f"{name} has scored objects in {images} source images, at least {MIN_IMAGES_PER_CATEGORY} are needed"
    return (Doubt("images", text),)


def speaks_for(objects: Objects, kept: Bools, chosen: Sequence[int]) -> dict[str, float]:
    """Return the share of the categories with scored objects, and of the scored objects, that the mean speaks for."""
    present = np.isin(chosen, objects.truth.category[objects.scored])
    scored = objects.scored & np.isin(objects.truth.category, list(chosen))
    speaking = scored & np.isin(objects.truth.category, np.asarray(chosen)[kept])
    return {
        "categories": float(kept.sum() / max(1, present.sum())),
        "objects": float(speaking.sum() / max(1, scored.sum())),
    }
