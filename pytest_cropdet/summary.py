"""From the detections of a run to its numbers: match once, average, bound, and put them together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pytest_cropdet import measures
from pytest_cropdet.agreement import LOW_SHARE
from pytest_cropdet.causes import IOU_OF, Scored
from pytest_cropdet.controls import cap_of, controls
from pytest_cropdet.details import Details
from pytest_cropdet.determinism import Repeat
from pytest_cropdet.doubts import cap_doubts, mean_doubts, object_doubts, speaks_for
from pytest_cropdet.errors import VerifyError
from pytest_cropdet.evaluation import AveragePrecision, Detected, average_precision, match, resample
from pytest_cropdet.explanation import Explanation
from pytest_cropdet.gate import Measure, Verdict
from pytest_cropdet.hidden import draw_units, hidden_numbers
from pytest_cropdet.operating import best_f1_score, found_objects
from pytest_cropdet.plan import Plan
from pytest_cropdet.results import CategoryResult, Run, Spent, WorstCrop
from pytest_cropdet.samples import Bools, Detections
from pytest_cropdet.scoring import Objects, build_detected
from pytest_cropdet.settings import METRICS, RunSettings

if TYPE_CHECKING:
    from pytest_cropdet.datasets.coco import Annotations

__all__ = ["summarise"]

M = TypeVar("M", bound=Measure)

_RENDERINGS = {"whole": "reference", "crop": "crop"}  # the whole image's detections, clipped, are the reference


def summarise(
    objects: Objects,
    found: Mapping[str, Sequence[Detections]],
    plan: Plan,
    settings: RunSettings,
    detector: Mapping[str, Any],
    dataset: tuple[str, Mapping[int, str]],
    chosen: Sequence[int],
    kept_ids: Sequence[int],
    spent: Spent,
    repeat: Repeat | None = None,
    agreement: float | None = None,
    alone: Sequence[int] = (),
    training: "Annotations | None" = None,
) -> Run:
    """Return the run's result.

    ``found``: detections by rendering, one an image for ``whole``, one a crop else. ``chosen``: ids of the categories
    that are scored; ``kept_ids``: those of them that take part in the mean, fixed by the whole plan's truth; ``alone``:
    ids of further categories, which have a limit of their own and are in nothing else. ``agreement``: the whole images'
    detections from this score on stand in for truth, and the drop is the share lost. ``training``: what the detector
    was trained on.
    """
    index, metric = objects.index, settings.metric
    detected = {
        _RENDERINGS[name]: build_detected(index, rows, settings.min_visibility, whole=name == "whole")
        for name, rows in found.items()
    }
    matched = sorted({*chosen, *alone})
    matches = {
        name: match(objects.truth, table, images=len(index), categories=matched) for name, table in detected.items()
    }
    precision = {name: average_precision(table) for name, table in matches.items()}
    if settings.verify:
        _verify(objects, detected, precision, matched)
    kept, kept_of_chosen = np.isin(matched, list(kept_ids)), np.isin(list(chosen), list(kept_ids))
    means = {name: {side: _mean(each, name, kept) for side, each in precision.items()} for name in METRICS}
    dataset_name, names = dataset
    categories = _categories(objects, precision, metric, names, matched, kept)
    replicates = resample(
        [matches["reference"], matches["crop"]],
        index.unit,
        replicates=settings.replicates,
        seed=settings.seed,
        categories=kept,
        apart=[each.id for each in categories if each.objects],
        metrics=[metric],
    )
    both = replicates.mean(metric)
    whole = found["whole"]
    cap = cap_of([each.capped for each in whole], [len(each) for each in whole], detector.get("max_detections"))
    doubts = mean_doubts(objects, kept_of_chosen, chosen, settings, cap)
    threshold = settings.score_threshold
    if agreement is not None:
        threshold = LOW_SHARE * agreement
    elif threshold is None:
        threshold = best_f1_score(index.samples, whole, chosen)
    of_chosen = matches
    if matched != list(chosen):
        of_chosen = {
            name: match(objects.truth, table, images=len(index), categories=list(chosen))
            for name, table in detected.items()
        }
    found_at = {
        name: found_objects(table, detected[name], threshold, len(objects.truth)) & objects.scored
        for name, table in of_chosen.items()
    }
    spread, limited = None if repeat is None else repeat.spread, cap_doubts(settings, cap)
    if repeat is not None and not repeat.same and spread is None:  # no object to measure it on: any drop may be noise
        spread = 1.0
    hidden = hidden_numbers(
        objects,
        detected,
        of_chosen,
        threshold,
        draw_units(len(index.samples), settings.replicates, settings.seed),
        object_doubts(objects, chosen, settings),
        settings.undecided,
        agreement,
        settings.min_ap,
        limited,
    )
    drop = measures.drop("drop", means[metric], both, settings, doubts, spread)
    by_category = {
        each.name: measures.category_drop(each, replicates, settings, limited, spread) for each in categories
    }
    if agreement is not None:
        drop = replace(hidden.lost, name="drop", spread=spread)
        by_category = {
            each.name: replace(
                hidden.lost_by_category[each.id], name=f"drop of {each.name}", phrase=f"{each.name}: crops lose"
            )
            for each in categories
        }
    explanation = Explanation()
    scored = Scored(objects, detected, of_chosen, chosen, kept_ids, names, hidden, agreement is not None)
    details = Details(
        scored,
        settings,
        lambda: explanation.causes,
        detector["input_size"],
        detector.get("resize"),
        detector.get("anchors"),
        training,
    )
    return _attach(
        Run(
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
            agreement=agreement is not None,
            ratio=measures.ratio(means[metric], both, settings, doubts),
            crop_ap=measures.crop_ap(means[metric], both, settings, doubts),
            hidden=hidden,
            cap=cap,
            controls=controls(objects, detected, of_chosen, kept_of_chosen, IOU_OF[metric]),
            speaks_for=speaks_for(objects, kept_of_chosen, chosen),
            spent=spent,
            repeat=repeat,
            worst=_worst_crop(objects, found_at),
            scored=scored,
            details=details,
            explanation=explanation,
        )
    )


def _attach(run: Run) -> Run:
    """Return the run with measures that explain themselves by it and leave their verdicts with it."""
    complete: list[Run] = []

    def story(verdict: Verdict) -> str:
        return complete[0].explain(verdict)

    def told(measure: M) -> M:
        return measure.with_story(story, run.verdicts.append)

    shares = ("lost", "gained", "flips", "new_at_cut", "new", "recall_crop", "precision_crop")
    hidden = replace(run.hidden, **{name: told(getattr(run.hidden, name)) for name in shares})
    by_category = {name: told(each) for name, each in run.by_category.items()}
    drop, ratio, crop_ap = told(run.drop), told(run.ratio), told(run.crop_ap)
    complete.append(replace(run, drop=drop, ratio=ratio, crop_ap=crop_ap, by_category=by_category, hidden=hidden))
    return complete[0]


def _verify(
    objects: Objects, detected: Mapping[str, Detected], precision: Mapping[str, AveragePrecision], chosen: Sequence[int]
) -> None:
    """Raise ``VerifyError`` if an AP differs from pycocotools' by more than 1e-9."""
    from pytest_cropdet.verify import TOLERANCE, pycocotools_precision

    for name, table in detected.items():
        theirs = pycocotools_precision(objects.truth, table, len(objects.index), chosen)
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
