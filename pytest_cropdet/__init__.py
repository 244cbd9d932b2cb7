"""Crop robustness of object detectors as part of a test suite.

Names are imported when they are first used (PEP 562), so that a project which has the plugin installed and does
not use it never pays for NumPy, OpenCV or a framework.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_cropdet.anchors import anchor_report as anchor_report
    from pytest_cropdet.anchors import best_anchors as best_anchors
    from pytest_cropdet.benchmark import Benchmark as Benchmark
    from pytest_cropdet.benchmark import run_benchmark as run_benchmark
    from pytest_cropdet.comparison import Comparison as Comparison
    from pytest_cropdet.comparison import compare as compare
    from pytest_cropdet.crops import Crop as Crop
    from pytest_cropdet.crops import CroppedTruth as CroppedTruth
    from pytest_cropdet.crops import crop_detections as crop_detections
    from pytest_cropdet.crops import crop_truth as crop_truth
    from pytest_cropdet.datasets import load_dataset as load_dataset
    from pytest_cropdet.detectors import load_detector as load_detector
    from pytest_cropdet.detectors.anchors import read_anchors as read_anchors
    from pytest_cropdet.drawn import Drawn as Drawn
    from pytest_cropdet.errors import CropdetError as CropdetError
    from pytest_cropdet.errors import DataError as DataError
    from pytest_cropdet.errors import DetectorError as DetectorError
    from pytest_cropdet.figures.anchors import draw_anchors as draw_anchors
    from pytest_cropdet.figures.benchmark import draw_benchmark as draw_benchmark
    from pytest_cropdet.gate import GateFailure as GateFailure
    from pytest_cropdet.losing import LossRules as LossRules
    from pytest_cropdet.masks import Mask as Mask
    from pytest_cropdet.plan import make_plan as make_plan
    from pytest_cropdet.protocols import Dataset as Dataset
    from pytest_cropdet.protocols import Detector as Detector
    from pytest_cropdet.remap_checks import check_remap as check_remap
    from pytest_cropdet.remap_errors import RemapError as RemapError
    from pytest_cropdet.runner import Run as Run
    from pytest_cropdet.runner import run as run
    from pytest_cropdet.samples import Detections as Detections
    from pytest_cropdet.samples import GroundTruth as GroundTruth
    from pytest_cropdet.samples import Sample as Sample
    from pytest_cropdet.search import find_worst_crop as find_worst_crop
    from pytest_cropdet.strategies import crops_of as crops_of
    from pytest_cropdet.worst import ObjectLost as ObjectLost
    from pytest_cropdet.worst import WorstCrop as WorstCrop

__version__ = "0.1.0"

_HOMES = {
    "Benchmark": "benchmark",
    "Comparison": "comparison",
    "Crop": "crops",
    "CropdetError": "errors",
    "CroppedTruth": "crops",
    "DataError": "errors",
    "Dataset": "protocols",
    "Detections": "samples",
    "Detector": "protocols",
    "DetectorError": "errors",
    "Drawn": "drawn",
    "GateFailure": "gate",
    "GroundTruth": "samples",
    "LossRules": "losing",
    "Mask": "masks",
    "ObjectLost": "worst",
    "RemapError": "remap_errors",
    "Run": "runner",
    "Sample": "samples",
    "WorstCrop": "worst",
    "anchor_report": "anchors",
    "best_anchors": "anchors",
    "check_remap": "remap_checks",
    "compare": "comparison",
    "crop_detections": "crops",
    "crop_truth": "crops",
    "crops_of": "strategies",
    "draw_anchors": "figures.anchors",
    "draw_benchmark": "figures.benchmark",
    "find_worst_crop": "search",
    "load_dataset": "datasets",
    "load_detector": "detectors",
    "make_plan": "plan",
    "read_anchors": "detectors.anchors",
    "run": "runner",
    "run_benchmark": "benchmark",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
