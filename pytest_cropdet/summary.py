"""From the detections of a run to its numbers: match once, average, bound, and say what stands in doubt."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.evaluation import (
    AveragePrecision,
    Replicates,
    average_precision,
    match,
    percentile_bounds,
    resample,
)
from pytest_cropdet.gate import Doubt, Measure
from pytest_cropdet.operating import best_f1_score, found_objects
from pytest_cropdet.plan import Plan
from pytest_cropdet.results import CategoryResult, Run, Spent, WorstCrop
from pytest_cropdet.samples import Bools, Detections
from pytest_cropdet.scoring import MIN_IMAGES_PER_CATEGORY, Objects, build_detected
from pytest_cropdet.settings import METRICS, RunSettings

__all__ = ["summarise"]

SHARE_OF_OBJECTS = 0.5
_RENDERINGS = {"whole": "reference", "crop": "crop"}  # the whole image's detections, clipped, are the reference


def summarise(
    objects: Objects,
    found: Mapping[str, Sequence[Detections]],
    plan: Plan,
    settings: RunSettings,
    detector: Mapping[str, Any],
    dataset: tuple[str, Mapping[int, str]],
    chosen: Sequence[int],
    spent: Spent,
) -> Run:
    """Return the run's result. ``found``: detections by rendering, one an image for ``whole``, one a crop else."""
    index = objects.index
    detected = {
        _RENDERINGS[name]: build_detected(index, rows, settings.min_visibility, whole=name == "whole")
        for name, rows in found.items()
    }
    matches = {
        name: match(objects.truth, table, images=len(index), categories=list(chosen))
        for name, table in detected.items()
    }
    precision = {name: average_precision(table) for name, table in matches.items()}
    images = objects.images_by_category()
    kept = np.array([images.get(key, 0) >= MIN_IMAGES_PER_CATEGORY for key in chosen], dtype=bool)
    means = {metric: {name: _mean(each, metric, kept) for name, each in precision.items()} for metric in METRICS}
    dataset_name, names = dataset
    categories = _categories(objects, precision, settings.metric, names, chosen, kept)
    replicates = resample(
        [matches["reference"], matches["crop"]],
        index.unit,
        replicates=settings.replicates,
        seed=settings.seed,
        categories=kept,
        apart=[each.id for each in categories if each.objects],
        metrics=[settings.metric],
    )
    both = replicates.mean(settings.metric)
    drop = _loss("drop", means[settings.metric], both, settings, _doubts(objects, kept, chosen, settings))
    by_category = {each.name: _category_loss(each, replicates, settings) for each in categories}
    threshold = settings.score_threshold
    if threshold is None:
        threshold = best_f1_score(index.samples, found["whole"], chosen)
    found_at = {
        name: found_objects(table, detected[name], threshold, len(objects.truth)) & objects.scored
        for name, table in matches.items()
    }
    run = Run(
        settings=settings,
        plan=plan,
        detector=detector,
        dataset=dataset_name,
        objects=objects,
        detected=detected,
        matches=matches,
        ap=means["mAP"],
        ap50=means["AP50"],
        ap75=means["AP75"],
        categories=categories,
        drop=drop,
        by_category=by_category,
        spent=spent,
        worst=_worst_crop(objects, found_at),
        score_threshold=threshold,
    )
    return attach(run)


def attach(run: Run) -> Run:
    """Return the run with measures that explain themselves by it and leave their verdicts with it."""
    complete: list[Run] = []

    def story(verdict: Any) -> str:
        return complete[0].explain(verdict)

    drop = run.drop.with_story(story, run.verdicts.append)
    by_category = {name: each.with_story(story, run.verdicts.append) for name, each in run.by_category.items()}
    complete.append(replace(run, drop=drop, by_category=by_category))
    return complete[0]


def _mean(precision: AveragePrecision, metric: str, kept: Bools) -> float | None:
    threshold = {"mAP": None, "AP50": 0.5, "AP75": 0.75}[metric]
    return _defined(precision.mean(threshold=threshold, categories=kept))


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _categories(
    objects: Objects,
    precision: Mapping[str, AveragePrecision],
    metric: str,
    names: Mapping[int, str],
    chosen: Sequence[int],
    kept: Bools,
) -> tuple[CategoryResult, ...]:
    images = objects.images_by_category()
    scored = objects.truth.category[objects.scored]
    single = np.eye(len(chosen), dtype=bool)
    return tuple(
        CategoryResult(
            id=key,
            name=names[key],
            reference=_mean(precision["reference"], metric, single[place]),
            crop=_mean(precision["crop"], metric, single[place]),
            objects=int((scored == key).sum()),
            images=images.get(key, 0),
            in_mean=bool(kept[place]),
        )
        for place, key in enumerate(chosen)
    )


def _loss(
    name: str,
    values: Mapping[str, float | None],
    replicates: NDArray[np.float64],
    settings: RunSettings,
    doubts: tuple[Doubt, ...],
) -> Measure:
    """Return the drop with its bounds; ``replicates``: (2, N) AP of reference and crop in the same resamples."""
    before, after = values["reference"], values["crop"]
    value = None if before is None or after is None else before - after
    low, high = percentile_bounds(replicates[0] - replicates[1])
    reference_low, _ = percentile_bounds(replicates[0])
    return Measure(
        name=name,
        value=value,
        low=_defined(low),
        high=_defined(high),
        unit=settings.metric,
        doubts=doubts,
        undecided=settings.undecided,
        blind=(_defined(reference_low), settings.min_ap),
    )


def _category_loss(category: CategoryResult, replicates: Replicates, settings: RunSettings) -> Measure:
    values = {"reference": category.reference, "crop": category.crop}
    both = (
        replicates.category(category.id, settings.metric)
        if category.objects
        else np.full((2, settings.replicates), np.nan)
    )
    return _loss(f"drop of {category.name}", values, both, settings, _category_doubts(category))


def _doubts(objects: Objects, kept: Bools, chosen: Sequence[int], settings: RunSettings) -> tuple[Doubt, ...]:
    """Return what forbids a verdict on the mean, whatever the numbers say."""
    scored = objects.scored & np.isin(objects.truth.category, list(chosen))
    speaking = scored & np.isin(objects.truth.category, np.asarray(chosen)[kept])
    images = len(np.unique(objects.unit[speaking]))
    doubts = []
    if not kept.any():
        doubts.append(
            Doubt("categories", f"no category has scored objects in {MIN_IMAGES_PER_CATEGORY} source images or more")
        )
    if images < settings.min_images:
        doubts.append(
            Doubt(
                "images",
                f"{images} source images have a scored object, at least {settings.min_images} are needed "
                "(cropdet_min_images)",
            )
        )
    if speaking.sum() < settings.min_objects:
        doubts.append(
            Doubt("objects", f"{int(speaking.sum())} scored objects, at least {settings.min_objects} are needed")
        )
    if scored.any() and speaking.sum() < SHARE_OF_OBJECTS * scored.sum():
        doubts.append(
            Doubt(
                "share",
                f"the {int(kept.sum())} categories with enough images hold {speaking.sum() / scored.sum():.0%} of the "
                "scored objects; a mean must speak for half of them (more images, or --cropdet-categories)",
            )
        )
    return tuple(doubts)


def _category_doubts(category: CategoryResult) -> tuple[Doubt, ...]:
    if category.images >= MIN_IMAGES_PER_CATEGORY:
        return ()
    text = f"{category.name} has scored objects in {category.images} source images, at least {MIN_IMAGES_PER_CATEGORY}"
    return (Doubt("images", f"{text} are needed"),)


def _worst_crop(objects: Objects, found: Mapping[str, Bools]) -> WorstCrop | None:
    """Return the crop that lost most objects; on a tie the larger share, then the plan's order."""
    index = objects.index
    lost = np.bincount(objects.truth.image[found["reference"] & ~found["crop"]], minlength=len(index))
    before = np.bincount(objects.truth.image[found["reference"]], minlength=len(index))
    if not lost.any():
        return None
    share = lost / np.maximum(before, 1)
    worst = min(range(len(index)), key=lambda place: (-lost[place], -share[place], place))
    sample = index.samples[index.unit[worst]].id
    return WorstCrop(sample, index.crops[worst], int(lost[worst]), int(before[worst]))
