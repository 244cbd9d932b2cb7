"""Matching, AP and resampling; numbers with bounds, and what a limit makes of them.

Public modules: `coco.pycocotools_check`, which imports pycocotools' evaluator.

>>> truth = Truth([0], [1], [[0, 0, 10, 10]], [100], [False], [False])
>>> detected = Detected([0], [1], [[0, 0, 10, 9]], [0.9])
>>> round(average_precision(match(truth, detected, images=1, categories=[1])).mAP, 3)
0.9
"""

from pytest_cropdet.evaluation.block_matching import match_blocks
from pytest_cropdet.evaluation.block_one_box import OneBoxBlocks, one_box_blocks
from pytest_cropdet.evaluation.by_category import ByCategory
from pytest_cropdet.evaluation.coco.average_precision import (
    IOU_OF,
    RECALL_POINTS,
    AveragePrecision,
    average_precision,
    coco_summary,
    recall,
)
from pytest_cropdet.evaluation.coco.best_worst import extreme_ap
from pytest_cropdet.evaluation.coco.bootstrap import Replicates, drawn_weights, percentile_bounds, resample
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
from pytest_cropdet.evaluation.crop_tables import (
    MIN_IMAGES_PER_CATEGORY,
    SIDES,
    CropIndex,
    Objects,
    build_detected,
    build_objects,
    kept_categories,
    unchecked,
)
from pytest_cropdet.evaluation.data_support import (
    ScoredRows,
    category_doubts,
    data_doubts,
    object_doubts,
    speaks_for,
)
from pytest_cropdet.evaluation.detected_blocks import (
    Blocks,
    ChangedBlocks,
    DetectedBlocks,
    DetectedTables,
    blocks_of,
)
from pytest_cropdet.evaluation.further_numbers import (
    FURTHER_NUMBERS,
    FurtherNumber,
    Of,
    further_number,
    sides_and_draws,
)
from pytest_cropdet.evaluation.interval import (
    Bounded,
    Interval,
    bounds_of,
    bounds_text,
    digits,
    none_for_nan,
    subtract,
    z_score,
)
from pytest_cropdet.evaluation.measure import Doubt, GateFailure, Measure, Outcome, Reading, Verdict
from pytest_cropdet.evaluation.measure_tables import MeasureFunction, MeasureTables, measured_and_drawn
from pytest_cropdet.evaluation.object_shares import HiddenNumbers, Share, hidden_numbers, measure_share
from pytest_cropdet.evaluation.operating_point import (
    FATES,
    FOUND_IOU,
    OperatingPoint,
    at_half,
    best_f1_score,
    covering_detections,
    matched_scores,
)
from pytest_cropdet.evaluation.paired_test import sign_flip_p
from pytest_cropdet.evaluation.pairing import STATES, Pair, PlacedDetection, State, make_pairs
from pytest_cropdet.evaluation.ratios import (
    bounded_ratio,
    divide,
    draw_units,
    drawn_sums,
    ratio_of_sums,
    resampled_ratio,
)
from pytest_cropdet.evaluation.whole_images import whole_image_ap, whole_image_matches

__all__ = [
    "ALL_AREAS",
    "COCO_AREA_RANGES",
    "COCO_SIZES",
    "COCO_THRESHOLDS",
    "FATES",
    "FOUND_IOU",
    "FURTHER_NUMBERS",
    "IOU_OF",
    "MIN_IMAGES_PER_CATEGORY",
    "RECALL_POINTS",
    "SIDES",
    "STATES",
    "AveragePrecision",
    "Blocks",
    "Bounded",
    "ByCategory",
    "ChangedBlocks",
    "CropIndex",
    "Detected",
    "DetectedBlocks",
    "DetectedTables",
    "Doubt",
    "FurtherNumber",
    "GateFailure",
    "HiddenNumbers",
    "Interval",
    "Matches",
    "Measure",
    "MeasureFunction",
    "MeasureTables",
    "Objects",
    "Of",
    "OneBoxBlocks",
    "OperatingPoint",
    "Outcome",
    "Pair",
    "PlacedDetection",
    "Reading",
    "Replicates",
    "ScoredRows",
    "Share",
    "State",
    "Truth",
    "Verdict",
    "at_half",
    "average_precision",
    "best_f1_score",
    "blocks_of",
    "bounded_ratio",
    "bounds_of",
    "bounds_text",
    "build_detected",
    "build_objects",
    "category_doubts",
    "coco_summary",
    "covering_detections",
    "data_doubts",
    "digits",
    "divide",
    "draw_units",
    "drawn_sums",
    "drawn_weights",
    "extreme_ap",
    "further_number",
    "hidden_numbers",
    "kept_categories",
    "make_pairs",
    "match",
    "match_blocks",
    "matched_scores",
    "measure_share",
    "measured_and_drawn",
    "none_for_nan",
    "object_doubts",
    "one_box_blocks",
    "percentile_bounds",
    "ratio_of_sums",
    "recall",
    "resample",
    "resampled_ratio",
    "sides_and_draws",
    "sign_flip_p",
    "size_classes",
    "speaks_for",
    "subtract",
    "unchecked",
    "whole_image_ap",
    "whole_image_matches",
    "z_score",
]
