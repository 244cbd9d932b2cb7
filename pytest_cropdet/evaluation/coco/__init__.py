"""Matching, average precision and resampling: arrays in, numbers out.

>>> import numpy as np
>>> truth = Truth([0], [1], [[0, 0, 10, 10]], [100], [False], [False])
>>> detected = Detected([0], [1], [[0, 0, 10, 9]], [0.9])
>>> round(average_precision(match(truth, detected, images=1, categories=[1])).mAP, 3)
0.9
"""

from pytest_cropdet.evaluation.coco.average_precision import (
    RECALL_POINTS,
    AveragePrecision,
    average_precision,
    coco_summary,
    recall,
)
from pytest_cropdet.evaluation.coco.bootstrap import Replicates, percentile_bounds, resample
from pytest_cropdet.evaluation.coco.matching import match
from pytest_cropdet.evaluation.coco.tables import (
    ALL_AREAS,
    COCO_AREA_RANGES,
    COCO_SIZES,
    COCO_THRESHOLDS,
    Detected,
    Matches,
    Truth,
    size_classes,
)

__all__ = [
    "ALL_AREAS",
    "COCO_AREA_RANGES",
    "COCO_SIZES",
    "COCO_THRESHOLDS",
    "RECALL_POINTS",
    "AveragePrecision",
    "Detected",
    "Matches",
    "Replicates",
    "Truth",
    "average_precision",
    "coco_summary",
    "match",
    "percentile_bounds",
    "recall",
    "resample",
    "size_classes",
]
