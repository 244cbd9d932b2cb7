"""Crop robustness of object detectors as part of a test suite.

Names are imported when they are first used (PEP 562), so that a project which has the plugin installed and does
not use it never pays for NumPy, OpenCV or a framework.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_cropdet.causes.diagnostics.anchor_fit import anchor_report as anchor_report
    from pytest_cropdet.causes.diagnostics.anchor_fit import best_anchors as best_anchors
    from pytest_cropdet.benchmark.result import Benchmark as Benchmark
    from pytest_cropdet.benchmark.result import run_benchmark as run_benchmark
    from pytest_cropdet.search.comparison import Comparison as Comparison
    from pytest_cropdet.search.comparison import compare as compare
    from pytest_cropdet.geometry.crop import Crop as Crop
    from pytest_cropdet.geometry.crop import CroppedTruth as CroppedTruth
    from pytest_cropdet.geometry.crop import crop_detections as crop_detections
    from pytest_cropdet.geometry.crop import crop_truth as crop_truth
    from pytest_cropdet.data import load_dataset as load_dataset
    from pytest_cropdet.detectors import load_detector as load_detector
    from pytest_cropdet.detectors.anchors import read_anchors as read_anchors
    from pytest_cropdet.crops.drawn_plan import Drawn as Drawn
    from pytest_cropdet.errors import CropdetError as CropdetError
    from pytest_cropdet.errors import DataError as DataError
    from pytest_cropdet.errors import DetectorError as DetectorError
    from pytest_cropdet.figures.anchors import draw_anchors as draw_anchors
    from pytest_cropdet.figures.benchmark import draw_benchmark as draw_benchmark
    from pytest_cropdet.evaluation.measure import GateFailure as GateFailure
    from pytest_cropdet.search.loss_rules import LossRules as LossRules
    from pytest_cropdet.geometry.masks import Mask as Mask
    from pytest_cropdet.crops.plan import make_plan as make_plan
    from pytest_cropdet.data.dataset import Dataset as Dataset
    from pytest_cropdet.data.dataset import Detector as Detector
    from pytest_cropdet.invariants.remap_checks import check_remap as check_remap
    from pytest_cropdet.invariants.remap_errors import RemapError as RemapError
    from pytest_cropdet.gate.runner import Run as Run
    from pytest_cropdet.gate.runner import run as run
    from pytest_cropdet.data.samples import Detections as Detections
    from pytest_cropdet.data.samples import GroundTruth as GroundTruth
    from pytest_cropdet.data.samples import Sample as Sample
    from pytest_cropdet.search.dataset_search import find_worst_crop as find_worst_crop
    from pytest_cropdet.crops.strategies import crops_of as crops_of
    from pytest_cropdet.search.worst_crop import ObjectLost as ObjectLost
    from pytest_cropdet.search.worst_crop import WorstCrop as WorstCrop

__version__ = "0.1.0"

_HOMES = {
    "Benchmark": "benchmark.result",
    "Comparison": "search.comparison",
    "Crop": "geometry.crop",
    "CropdetError": "errors",
    "CroppedTruth": "geometry.crop",
    "DataError": "errors",
    "Dataset": "data.dataset",
    "Detections": "data.samples",
    "Detector": "data.dataset",
    "DetectorError": "errors",
    "Drawn": "crops.drawn_plan",
    "GateFailure": "evaluation.measure",
    "GroundTruth": "data.samples",
    "LossRules": "search.loss_rules",
    "Mask": "geometry.masks",
    "ObjectLost": "search.worst_crop",
    "RemapError": "invariants.remap_errors",
    "Run": "gate.runner",
    "Sample": "data.samples",
    "WorstCrop": "search.worst_crop",
    "anchor_report": "causes.diagnostics.anchor_fit",
    "best_anchors": "causes.diagnostics.anchor_fit",
    "check_remap": "invariants.remap_checks",
    "compare": "search.comparison",
    "crop_detections": "geometry.crop",
    "crop_truth": "geometry.crop",
    "crops_of": "crops.strategies",
    "draw_anchors": "figures.anchors",
    "draw_benchmark": "figures.benchmark",
    "find_worst_crop": "search.dataset_search",
    "load_dataset": "data.loading",
    "load_detector": "detectors.loading",
    "make_plan": "crops.plan",
    "read_anchors": "detectors.anchors",
    "run": "gate.runner",
    "run_benchmark": "benchmark.result",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
