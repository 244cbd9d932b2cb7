"""Further numbers of detections, by name: AP by size, AR, F1, LRP and calibration, in whole images and in crops.

Each is prepared once from the match tables and then computed at many weightings of the images at once. B is the number
of weightings, I of evaluation images.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation.coco.average_precision import average_precision
from pytest_cropdet.evaluation.coco.bootstrap import drawn_weights, resample
from pytest_cropdet.evaluation.coco.tables import Matches
from pytest_cropdet.evaluation.crop_tables import SIDES
from pytest_cropdet.evaluation.measure_tables import WEIGHTINGS_AT_ONCE, MeasureTables
from pytest_cropdet.evaluation.operating_point import FOUND_IOU, at_half, kept_scores
from pytest_cropdet.evaluation.ratios import divide
from pytest_cropdet.geometry import Bools, Floats, Ints, paired_iou
from pytest_cropdet.terms import did_you_mean

__all__ = ["FURTHER_NUMBERS", "FurtherNumber", "Of", "further_number", "sides_and_draws"]

SCORE_BINS = 10
CELLS_AT_ONCE_OF_RANKING = 1 << 22  # detections of a category times weightings

Of = Literal["loss", "crop", "reference"]
Weighted = Callable[[Floats], Floats]  # (I, B) weights to (B,) numbers, NaN where undefined
Prepare = Callable[[MeasureTables, str], Weighted]


@dataclass(frozen=True, slots=True)
class FurtherNumber:
    """A number of one side, ``"reference"`` or ``"crop"``; or, with ``between``, of crops against whole images.

    ``good``: larger is better. ``prepare``: the number as a function of weights. ``area``: AP of that range of COCO's
    instead. ``averaged``: a mean over categories. ``found``: whether it is better the more objects are found, from 0 to
    1, so that one who finds nothing has nothing to lose. ``missing``: why it is undefined.
    """

    name: str
    words: str
    good: bool
    prepare: Prepare | None = None
    area: str = "all"
    averaged: bool = False
    found: bool = True
    between: bool = False
    missing: str = "no scored object to measure it on"


def further_number(name: str) -> FurtherNumber:
    """Return a number by its name; ``SpecError`` names those there are."""
    if name not in FURTHER_NUMBERS:
        known = ", ".join(FURTHER_NUMBERS)
        raise SpecError(f"no measure is called {name!r}; there are {known}{did_you_mean(name, FURTHER_NUMBERS)}")
    return FURTHER_NUMBERS[name]


def sides_and_draws(number: FurtherNumber, tables: MeasureTables, replicates: int, seed: int) -> tuple[Floats, Floats]:
    """Return (S,) the number of each side, and (S, N) in each resample; S is 1 for a number between both."""
    unit = tables.objects.index.unit
    if number.prepare is None:
        both = [tables.by_size[side] for side in SIDES]
        ap = [average_precision(each, area=number.area).mean(categories=tables.in_mean) for each in both]
        drawn_ap = resample(both, unit, replicates=replicates, seed=seed, categories=tables.in_mean, area=number.area)
        return np.array(ap), drawn_ap.mean()
    asked = [number.prepare(tables, side) for side in (("crop",) if number.between else SIDES)]
    once = np.ones((tables.images, 1))
    values = np.array([each(once)[0] for each in asked])
    drawn = [
        np.stack([each(weights.astype(np.float64)) for each in asked])
        for weights in drawn_weights(unit, replicates=replicates, seed=seed, at_once=WEIGHTINGS_AT_ONCE)
    ]
    return values, np.concatenate(drawn, axis=1)


def _average_recall(cap: int) -> Prepare:
    """Return AR, the mean recall over IoU 0.50 to 0.95 among the first ``cap`` detections of an image and category.

    COCO's AR@1, 10 and 100 (T.-Y. Lin et al., "Microsoft COCO", 2014; cocodataset.org, "Detection evaluation").
    """

    def prepare(tables: MeasureTables, side: str) -> Weighted:
        matches = tables.matches[side].counted
        if cap > matches.max_detections:
            raise SpecError(
                f"AR{cap} needs {cap} detections per image and category, and the run counts {matches.max_detections}; "
                f"set --cropdet-max-detections={cap} or more"
            )
        first = matches.rank < cap
        share = (matches.true_positives() & first).mean(axis=0)
        image = matches.image[matches.contenders]
        bounds = np.searchsorted(matches.contenders, matches.starts)
        places = [slice(bounds[k], bounds[k + 1]) for k in np.flatnonzero(tables.in_mean)]
        objects = _images_of_objects(tables, matches)

        def numbers(weights: Floats) -> Floats:
            rows = [
                divide(share[some] @ weights[image[some]], weights[each].sum(axis=0))
                for some, each in zip(places, objects, strict=True)
            ]
            return _mean_of_rows(rows, weights.shape[1])

        return numbers

    return prepare


def _f1(tables: MeasureTables, side: str) -> Weighted:
    """Return F1 = 2 TP / (2 TP + FP + FN) at the operating point and IoU 0.5, over all chosen categories.

    C. J. van Rijsbergen, "Information Retrieval", 1979, with precision and recall weighing the same.
    """
    ranked = _Ranked.of(tables, side, tables.matches[side])
    confident = ranked.score >= tables.score
    right = _by_image(ranked.image[confident & ranked.right], tables.images)
    wrong = _by_image(ranked.image[confident & ~ranked.right], tables.images)
    objects = _by_image(tables.objects.truth.image[tables.counted], tables.images)
    return lambda weights: divide(2 * (right @ weights), (right + wrong + objects) @ weights)


def _lrp(tables: MeasureTables, side: str) -> Weighted:
    """Return the LRP error at the operating point, 0 to 1, the mean over categories.

    LRP = (sum over TP of (1 - IoU) / (1 - 0.5) + FP + FN) / (TP + FP + FN), at IoU 0.5: K. Oksuz et al., "Localization
    Recall Precision (LRP): A New Performance Metric for Object Detection", ECCV 2018.
    """
    ranked = _Ranked.of(tables, side, tables.matches[side])
    objects = _images_of_objects(tables, tables.matches[side])
    parts = [ranked.take(rows & (ranked.score >= tables.score)) for rows in ranked.by_category(tables.in_mean)]

    def numbers(weights: Floats) -> Floats:
        rows = []
        for part, each in zip(parts, objects, strict=True):
            positives = weights[each].sum(axis=0)
            weight = weights[part.image]
            errors, false = part.change @ weight, (~part.right) @ weight
            rows.append(np.where(positives > 0, divide(positives + errors, positives + false), np.nan))
        return _mean_of_rows(rows, weights.shape[1])

    return numbers


def _optimal_lrp(tables: MeasureTables, side: str) -> Weighted:
    """Return the mean optimal LRP (moLRP), 0 to 1: of each category the least LRP error over all score thresholds.

    K. Oksuz et al., "One Metric to Measure Them All: Localisation Recall Precision (LRP) for Evaluating Visual
    Detection Tasks", TPAMI 2021.
    """
    matches = tables.matches[side].counted
    ranked = _Ranked.of(tables, side, matches)
    objects = _images_of_objects(tables, matches)
    parts = [ranked.take(rows) for rows in ranked.by_category(tables.in_mean)]

    def numbers(weights: Floats) -> Floats:
        rows = []
        for part, each in zip(parts, objects, strict=True):
            positives = weights[each].sum(axis=0)
            step = max(1, CELLS_AT_ONCE_OF_RANKING // max(1, len(part.score)))
            least = [
                part.least_error(weights[:, start : start + step], positives[start : start + step])
                for start in range(0, weights.shape[1], step)
            ]
            rows.append(np.where(positives > 0, np.concatenate(least), np.nan))
        return _mean_of_rows(rows, weights.shape[1])

    return numbers


def _calibration_error(tables: MeasureTables, side: str) -> Weighted:
    """Return the detection expected calibration error (D-ECE), 0 to 1, over the detections that AP counts.

    The mean over detections of |precision - mean score| of their bin, ten bins of score, right at IoU 0.5: F. Küppers
    et al., "Multivariate Confidence Calibration for Object Detection", CVPR Workshops 2020.
    """
    count, right, score = _binned(tables, side)
    return lambda weights: divide(np.abs((right - score) @ weights).sum(axis=0), (count @ weights).sum(axis=0))


def _calibration_against_whole(tables: MeasureTables, side: str) -> Weighted:
    """Return by how much the scores of crops mislead someone who learned on whole images what a score is worth, 0 to 1.

    The mean over the crops' detections of |precision in crops - precision in whole images| of their bin of score: the
    calibration error of crops after histogram binning (B. Zadrozny, C. Elkan, "Obtaining calibrated probability
    estimates from decision trees and naive Bayesian classifiers", ICML 2001) on the references. Bins without any
    detection in whole images are left out.
    """
    (count, right, _), (count_before, right_before, _) = _binned(tables, side), _binned(tables, "reference")

    def numbers(weights: Floats) -> Floats:
        many = count @ weights
        apart = np.abs(divide(right @ weights, many) - divide(right_before @ weights, count_before @ weights))
        known = ~np.isnan(apart)
        return divide((np.where(known, apart, 0.0) * many).sum(axis=0), (known * many).sum(axis=0))

    return numbers


@dataclass(frozen=True, eq=False)
class _Ranked:
    """The D detections that count at IoU 0.5, in the order of the match table: by category, then by falling score."""

    image: Ints
    score: Floats
    category: Ints
    right: Bools
    change: Floats
    """(D,) what each adds to the sum of LRP's errors: 1 if it is wrong, 2 (1 - IoU) - 1 if it finds an object."""

    @classmethod
    def of(cls, tables: MeasureTables, side: str, matches: Matches) -> "_Ranked":
        half, area = at_half(matches), matches.area_index("all")
        objects = matches.matched[area, half]
        counts = ~matches.outside[area]
        right = np.zeros(len(matches.rows), dtype=bool)
        right[matches.contenders] = matches.true_positives()[half]
        counts[matches.contenders] = np.where(objects >= 0, right[matches.contenders], counts[matches.contenders])
        change = np.ones(len(matches.rows))
        hit = right[matches.contenders]
        rows, detected, truth = objects[hit], tables.detected[side], tables.objects.truth
        boxes = detected.boxes[matches.rows[matches.contenders[hit]]]
        iou = paired_iou(boxes, truth.boxes[rows])
        if truth.tight is not None:
            iou = np.maximum(iou, paired_iou(boxes, truth.tight[rows]))
        change[matches.contenders[hit]] = (1 - iou) / (1 - FOUND_IOU) - 1
        category = np.repeat(np.arange(len(matches.categories)), np.diff(matches.starts))
        return cls(matches.image, kept_scores(matches, detected), category, right, change).take(counts)

    def take(self, rows: Bools) -> "_Ranked":
        return _Ranked(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def by_category(self, chosen: Bools) -> list[Bools]:
        """Return (D,) the rows of each of the chosen categories."""
        return [np.asarray(self.category == k) for k in np.flatnonzero(chosen)]

    def least_error(self, weights: Floats, positives: Floats) -> Floats:
        """Return (B,): the least LRP error over all thresholds, 1 where nothing is returned."""
        weight = weights[self.image]
        last = np.append(self.score[1:] != self.score[:-1], True)[: len(self.score)]
        errors = np.cumsum(weight * self.change[:, None], axis=0)[last]
        false = np.cumsum(weight * ~self.right[:, None], axis=0)[last]
        found = divide(positives + errors, positives + false)
        return np.asarray(np.fmin.reduce(found, axis=0, initial=1.0))


def _binned(tables: MeasureTables, side: str) -> tuple[Floats, Floats, Floats]:
    """Return (bins, I) each: how many detections count, how many are right, and the sum of their scores."""
    ranked = _Ranked.of(tables, side, tables.matches[side].counted)
    place = np.clip((ranked.score * SCORE_BINS).astype(np.int64), 0, SCORE_BINS - 1) * tables.images + ranked.image

    def sums(values: Floats) -> Floats:
        size = SCORE_BINS * tables.images
        return np.bincount(place, values, minlength=size).reshape(SCORE_BINS, tables.images).astype(np.float64)

    return sums(np.ones(len(place))), sums(ranked.right.astype(np.float64)), sums(ranked.score)


def _images_of_objects(tables: MeasureTables, matches: Matches) -> list[Ints]:
    """Return the evaluation images of the scored objects of each category in the mean, one for each object."""
    scored = matches.scored[matches.area_index("all")]
    return [matches.truth_image[scored & (matches.truth_category == k)] for k in np.flatnonzero(tables.in_mean)]


def _by_image(images: Ints, count: int) -> Floats:
    return np.bincount(images, minlength=count).astype(np.float64)


def _mean_of_rows(rows: list[Floats], width: int) -> Floats:
    """Return (B,) the mean over categories, without those that are undefined."""
    values = np.stack(rows) if rows else np.zeros((0, width))
    known = ~np.isnan(values)
    return divide(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0))


FURTHER_NUMBERS: Mapping[str, FurtherNumber] = {
    each.name: each
    for each in (
        FurtherNumber("APs", "mAP of small objects, up to 32 x 32 px in the crop", True, area="small", averaged=True),
        FurtherNumber("APm", "mAP of medium objects, 32 x 32 to 96 x 96 px", True, area="medium", averaged=True),
        FurtherNumber("APl", "mAP of large objects, from 96 x 96 px on", True, area="large", averaged=True),
        FurtherNumber(
            "AR1", "mean recall with 1 detection per crop and category", True, _average_recall(1), averaged=True
        ),
        FurtherNumber("AR10", "mean recall with 10 detections", True, _average_recall(10), averaged=True),
        FurtherNumber("AR100", "mean recall with 100 detections", True, _average_recall(100), averaged=True),
        FurtherNumber("F1", "F1 at the operating point", True, _f1),
        FurtherNumber("LRP", "LRP error at the operating point", False, _lrp, averaged=True),
        FurtherNumber("oLRP", "optimal LRP error", False, _optimal_lrp, averaged=True),
        FurtherNumber(
            "ECE",
            "calibration error of scores (D-ECE)",
            False,
            _calibration_error,
            found=False,
            missing="no detection counts, so no score can be right or wrong",
        ),
        FurtherNumber(
            "calibration",
            "calibration error of scores on crops against whole images",
            False,
            _calibration_against_whole,
            found=False,
            between=True,
            missing="no bin of scores has detections both in whole images and in crops",
        ),
    )
}
