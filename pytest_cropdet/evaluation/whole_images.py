"""AP of whole images by COCO's rules: the number that is known from training."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pytest_cropdet.data import Detections, Sample
from pytest_cropdet.evaluation.coco.average_precision import AveragePrecision, average_precision
from pytest_cropdet.evaluation.coco.matching import match
from pytest_cropdet.evaluation.coco.tables import ALL_AREAS, Detected, Matches, Truth
from pytest_cropdet.evaluation.crop_tables import CropIndex, unchecked
from pytest_cropdet.geometry import Crop

__all__ = ["whole_image_ap", "whole_image_matches"]


def whole_image_ap(
    samples: Sequence[Sample], found: Sequence[Detections], categories: Mapping[int, str]
) -> AveragePrecision:
    """Return AP of detections in whole images: the first 100 of each image and category, boxes clipped to the image.

    ``found``: one a sample, with the data set's ids; ``categories``: the data set's names by id.
    """
    return average_precision(whole_image_matches(samples, found, categories))


def whole_image_matches(
    samples: Sequence[Sample],
    found: Sequence[Detections],
    categories: Mapping[int, str],
    area_ranges: Mapping[str, tuple[float, float]] = ALL_AREAS,
) -> Matches:
    """Return which detection in whole images matched which object, by COCO's rules on the uncut objects.

    Arguments as of :func:`whole_image_ap`; ``area_ranges``: names with (low, high) in square pixels.
    """
    truths = [sample.truth for sample in samples]
    empty = np.zeros((0, 4))
    clipped = [
        Crop(0, 0, sample.width, sample.height).clip(each.boxes) for sample, each in zip(samples, found, strict=True)
    ]
    truth = Truth(
        image=np.repeat(np.arange(len(truths)), [len(each) for each in truths]),
        category=np.concatenate([np.zeros(0, np.int64), *(each.categories for each in truths)]),
        boxes=np.concatenate([empty, *(each.boxes for each in truths)]),
        area=np.concatenate([np.zeros(0), *(each.areas for each in truths)]),
        crowd=np.concatenate([np.zeros(0, np.bool_), *(each.crowd for each in truths)]),
        ignored=np.concatenate([np.zeros(0, np.bool_), *(each.ignored for each in truths)]),
    )
    detected = Detected(
        image=np.repeat(np.arange(len(found)), [len(each) for each in found]),
        category=np.concatenate([np.zeros(0, np.int64), *(each.categories for each in found)]),
        boxes=np.concatenate([empty, *clipped]),
        score=np.concatenate([np.zeros(0), *(each.scores for each in found)]),
    )
    place = np.arange(len(samples))
    frames = tuple(Crop(0, 0, sample.width, sample.height) for sample in samples)
    stray = unchecked(CropIndex(tuple(samples), frames, place, np.zeros_like(place)), detected)
    detected = replace(detected, stray=stray)
    return match(truth, detected, images=len(samples), categories=sorted(categories), area_ranges=area_ranges)
