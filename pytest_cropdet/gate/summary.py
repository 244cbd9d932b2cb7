"""From the detections of a run to its numbers: match once, average, bound, and put them together."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_cropdet.causes import ScoredRun
from pytest_cropdet.crops import Plan
from pytest_cropdet.data import LOW_SHARE, Detections
from pytest_cropdet.errors import VerifyError
from pytest_cropdet.evaluation import (
    IOU_OF,
    AveragePrecision,
    Detected,
    DetectedBlocks,
    DetectedTables,
    Matches,
    Measure,
    Objects,
    OperatingPoint,
    ScoredRows,
    average_precision,
    best_f1_score,
    data_doubts,
    draw_units,
    hidden_numbers,
    match_blocks,
    object_doubts,
    resample,
    speaks_for,
)
from pytest_cropdet.gate import measures
from pytest_cropdet.gate.caps import Tables, find_caps
from pytest_cropdet.gate.controls import controls
from pytest_cropdet.gate.doubts import cap_doubts, unseen_doubts
from pytest_cropdet.gate.measurements import CategoryResult, CropLoss, Measurements
from pytest_cropdet.gate.repeatability import Repeat
from pytest_cropdet.gate.weakness import Answers
from pytest_cropdet.geometry import Bools
from pytest_cropdet.settings import METRICS, RunSettings

__all__ = ["summarise"]

_RENDERINGS = {"whole": "reference", "crop": "crop"}  # the whole image's detections, clipped, are the reference


def summarise(
    objects: Objects,
    found: Mapping[str, Sequence[Detections]],
    raw: Sequence[Detections],
    plan: Plan,
    settings: RunSettings,
    detector: Mapping[str, Any],
    dataset: tuple[str, Mapping[int, str]],
    chosen: Sequence[int],
    kept_ids: Sequence[int],
    repeat: Repeat | None = None,
    agreement: float | None = None,
    alone: Sequence[int] = (),
    answers: Answers | None = None,
) -> Measurements:
    """Return what a run measured.

    ``found``: detections by rendering, one an image for ``whole``, one a crop else; ``raw``: those of the whole images
    as the detector gave them, all of its categories. ``chosen``: ids of the categories
    that are scored; ``kept_ids``: those of them that take part in the mean, fixed by the whole plan's truth; ``alone``:
    ids of further categories, which have a limit of their own and are in nothing else. ``agreement``: the whole images'
    detections from this score on stand in for truth, and the drop is the share lost. ``answers``: to the whole images
    as the detector gave them, ``None`` with ``agreement``.
    """
    index, metric = objects.index, settings.metric
    blocks = {
        _RENDERINGS[name]: DetectedBlocks(index, rows, settings.min_visibility, whole=name == "whole")
        for name, rows in found.items()
    }
    detected = DetectedTables(blocks)
    matched = sorted({*chosen, *alone})

    def matches_of(ids: Sequence[int]) -> dict[str, Matches]:
        most = settings.max_detections
        return {
            name: match_blocks(objects.truth, each, categories=ids, max_detections=most)
            for name, each in blocks.items()
        }

    matches = matches_of(matched)
    precision = {name: average_precision(table) for name, table in matches.items()}
    if settings.verify:
        _verify(objects, detected, precision, matched, settings.max_detections)
    kept, kept_of_chosen = np.isin(matched, list(kept_ids)), np.isin(list(chosen), list(kept_ids))
    means = {name: {side: _mean(each, name, kept) for side, each in precision.items()} for name in METRICS}
    dataset_name, names = dataset
    categories = _categories(objects, precision, metric, names, matched, kept)
    apart = [each.id for each in categories if each.objects]
    replicates = resample(
        [matches["reference"], matches["crop"]],
        index.unit,
        replicates=settings.replicates,
        seed=settings.seed,
        categories=kept,
        apart=apart,
        metrics=[metric],
    )
    both = replicates.mean(metric)
    whole = found["whole"]
    weakness = None if answers is None else answers.explain
    threshold = settings.score_threshold
    if agreement is not None:
        threshold = LOW_SHARE * agreement
    elif threshold is None:
        threshold = best_f1_score(index.samples, whole, chosen)
    of_chosen = matches if matched == list(chosen) else matches_of(list(chosen))
    lost = means[metric]["reference"], means[metric]["crop"]
    caps = find_caps(
        Tables(objects, detected, matches, kept, apart, settings),
        raw,
        detector.get("max_detections"),
        threshold,
        (None if lost[0] is None or lost[1] is None else lost[0] - lost[1], both[0] - both[1]),
        agreement is not None,
    )
    judged = caps.evaluator.doubts(settings)
    scored, limited = ScoredRows.of(objects), cap_doubts(settings, caps.detector)
    doubts = (*data_doubts(scored, kept_of_chosen, chosen, settings), *limited, *judged)
    point = OperatingPoint.of(objects, of_chosen, None, threshold)
    spread = None if repeat is None else repeat.spread
    if repeat is not None and not repeat.same and spread is None:  # no object to measure it on: any drop may be noise
        spread = math.inf
    hidden = hidden_numbers(
        objects,
        blocks,
        of_chosen,
        point,
        draw_units(len(index.samples), settings.replicates, settings.seed),
        object_doubts(scored, chosen, settings),
        settings.undecided,
        agreement,
        settings.min_ap,
        limited,
        weakness,
        caps.findable if caps.detector.binds and settings.cap == "refuse" else None,
        level=settings.level,
    )

    if not kept.any():
        doubts = (*doubts, *unseen_doubts(hidden.recall["reference"], threshold, weakness))

    def again(measure: Measure, make: Callable[..., Measure], of_crop: bool = False) -> Measure:
        return measures.with_readings(measure, caps, settings, kept, make, of_crop=of_crop)

    drop = again(
        measures.drop("drop", means[metric], both, settings, doubts, spread, weakness=weakness),
        lambda values, drawn: measures.drop("drop", values, drawn, settings, ()),
    )
    ratio = again(
        measures.ratio(means[metric], both, settings, doubts, weakness),
        lambda values, drawn: measures.ratio(values, drawn, settings, ()),
    )
    of_crops = (*(each for each in doubts if each.reason != "cap"), *judged)
    crop_ap = again(
        measures.crop_ap(means[metric], both, settings, of_crops),
        lambda values, drawn: measures.crop_ap(values, drawn, settings, ()),
        of_crop=True,
    )
    by_category = {
        each.name: measures.category_drop(
            each, replicates, settings, (*limited, *caps.evaluator.doubts(settings, each.id)), spread, caps, weakness
        )
        for each in categories
    }
    if agreement is not None:
        drop = replace(hidden.lost, name="drop", spread=spread)
        by_category = {
            each.name: replace(
                hidden.lost_by_category[each.id], name=f"drop of {each.name}", phrase=f"{each.name}: crops lose"
            )
            for each in categories
        }
    return Measurements(
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
        ratio=ratio,
        crop_ap=crop_ap,
        hidden=hidden,
        caps=caps,
        controls=controls(objects, blocks, of_chosen, kept_of_chosen, IOU_OF[metric], settings.max_detections),
        speaks_for=speaks_for(scored, kept_of_chosen, chosen),
        scored=ScoredRun(objects, detected, of_chosen, chosen, kept_ids, names, hidden, agreement is not None, point),
        repeat=repeat,
        worst=_worst_crop(objects, point),
        agreement=agreement is not None,
        answers=answers,
        drawn=both,
    )


def _verify(
    objects: Objects,
    detected: Mapping[str, Detected],
    precision: Mapping[str, AveragePrecision],
    chosen: Sequence[int],
    max_detections: int,
) -> None:
    """Raise ``VerifyError`` if an AP differs from pycocotools' by more than 1e-9."""
    from pytest_cropdet.evaluation.coco.pycocotools_check import TOLERANCE, pycocotools_precision

    for name, table in detected.items():
        theirs = pycocotools_precision(objects.truth, table, len(objects.index), chosen, max_detections)
        ours = precision[name].values
        apart = np.abs(np.nan_to_num(ours, nan=-1.0) - np.nan_to_num(theirs, nan=-1.0))
        if apart.size and apart.max() > TOLERANCE:
            row, column = divmod(int(apart.argmax()), apart.shape[1])
            raise VerifyError(
                f"cropdet_verify: AP of the {name} differs from pycocotools' by {apart.max():.3g} (category "
                f"{chosen[column]}, IoU {precision[name].thresholds[row]:.2f}: {ours[row, column]:.12f} here, "
                f"{theirs[row, column]:.12f} there). This is a bug of pytest-cropdet; please report it with the data"
            )


def _mean(precision: AveragePrecision, metric: str, kept: Bools) -> float | None:
    value = precision.mean(threshold=IOU_OF[metric], categories=kept)
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


def _worst_crop(objects: Objects, point: OperatingPoint) -> CropLoss | None:
    """Return the crop that lost most objects; on a tie the larger share, then the plan's order."""
    index = objects.index
    for worst, lost, before in point.losing_crops(objects)[:1]:
        return CropLoss(index.samples[index.unit[worst]].id, index.crops[worst], lost, before)
    return None
