"""AP of whole images by COCO's rules: the number that is known from training."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pytest_cropdet.data import Detections, Sample
from pytest_cropdet.evaluation.coco.average_precision import AveragePrecision, average_precision
from pytest_cropdet.evaluation.coco.matching import match
from pytest_cropdet.evaluation.coco.tables import Detected, Truth
from pytest_cropdet.evaluation.crop_tables import CropIndex, unchecked
from pytest_cropdet.geometry import Crop

__all__ = ["whole_image_ap"]


def whole_image_ap(
    samples: Sequence[Sample], found: Sequence[Detections], categories: Mapping[int, str]
) -> AveragePrecision:
    """Return AP of detections in whole images: the first 100 of each image and category, boxes clipped to the image.

    ``found``: one a sample, with the data set's ids; ``categories``: the data set's names by id.
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
    return average_precision(match(truth, detected, images=len(samples), categories=sorted(categories)))
