"""Crop robustness of object detectors as part of a test suite.

Names are imported when they are first used (PEP 562), so that a project which has the plugin installed and does
not use it never pays for NumPy, OpenCV or a framework.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_cropdet.benchmark import Benchmark as Benchmark
    from pytest_cropdet.benchmark import run_benchmark as run_benchmark
    from pytest_cropdet.causes import anchor_report as anchor_report
    from pytest_cropdet.causes import best_anchors as best_anchors
    from pytest_cropdet.crops import CropFamily as CropFamily
    from pytest_cropdet.crops import Drawn as Drawn
    from pytest_cropdet.crops import Parameter as Parameter
    from pytest_cropdet.crops import SeededDraws as SeededDraws
    from pytest_cropdet.crops import make_plan as make_plan
    from pytest_cropdet.crops import register_family as register_family
    from pytest_cropdet.crops.strategies import crops_of as crops_of
    from pytest_cropdet.data import CroppedTruth as CroppedTruth
    from pytest_cropdet.data import Dataset as Dataset
    from pytest_cropdet.data import Detections as Detections
    from pytest_cropdet.data import GroundTruth as GroundTruth
    from pytest_cropdet.data import Sample as Sample
    from pytest_cropdet.data import crop_detections as crop_detections
    from pytest_cropdet.data import crop_truth as crop_truth
    from pytest_cropdet.data import dataset_from_records as dataset_from_records
    from pytest_cropdet.data import load_dataset as load_dataset
    from pytest_cropdet.detectors import Detector as Detector
    from pytest_cropdet.detectors import Regions as Regions
    from pytest_cropdet.detectors import Sliced as Sliced
    from pytest_cropdet.detectors import as_detector as as_detector
    from pytest_cropdet.detectors import load_detector as load_detector
    from pytest_cropdet.detectors import read_anchors as read_anchors
    from pytest_cropdet.errors import CannotTell as CannotTell
    from pytest_cropdet.errors import CropdetError as CropdetError
    from pytest_cropdet.errors import DataError as DataError
    from pytest_cropdet.errors import DetectorError as DetectorError
    from pytest_cropdet.evaluation import GateFailure as GateFailure
    from pytest_cropdet.figures import draw_anchors as draw_anchors
    from pytest_cropdet.figures import draw_benchmark as draw_benchmark
    from pytest_cropdet.gate import Run as Run
    from pytest_cropdet.gate import run as run
    from pytest_cropdet.geometry import Crop as Crop
    from pytest_cropdet.geometry import Mask as Mask
    from pytest_cropdet.invariants import RemapError as RemapError
    from pytest_cropdet.invariants import invariant as invariant
    from pytest_cropdet.invariants.remap_checks import check_remap as check_remap
    from pytest_cropdet.search import Comparison as Comparison
    from pytest_cropdet.search import LossRules as LossRules
    from pytest_cropdet.search import ObjectLost as ObjectLost
    from pytest_cropdet.search import WorstCrop as WorstCrop
    from pytest_cropdet.search import compare as compare
    from pytest_cropdet.search.dataset_search import find_worst_crop as find_worst_crop

__version__ = "0.1.0"

_HOMES = {
    "Benchmark": "benchmark",
    "CannotTell": "errors",
    "Comparison": "search",
    "Crop": "geometry",
    "CropFamily": "crops",
    "CropdetError": "errors",
    "CroppedTruth": "data",
    "DataError": "errors",
    "Dataset": "data",
    "Detections": "data",
    "Detector": "detectors",
    "DetectorError": "errors",
    "Drawn": "crops",
    "GateFailure": "evaluation",
    "GroundTruth": "data",
    "LossRules": "search",
    "Mask": "geometry",
    "ObjectLost": "search",
    "Parameter": "crops",
    "RemapError": "invariants",
    "Run": "gate",
    "Sample": "data",
    "SeededDraws": "crops",
    "WorstCrop": "search",
    "anchor_report": "causes",
    "Regions": "detectors",
    "Sliced": "detectors",
    "as_detector": "detectors",
    "best_anchors": "causes",
    "check_remap": "invariants.remap_checks",
    "compare": "search",
    "crop_detections": "data",
    "crop_truth": "data",
    "crops_of": "crops.strategies",
    "dataset_from_records": "data",
    "draw_anchors": "figures",
    "draw_benchmark": "figures",
    "find_worst_crop": "search.dataset_search",
    "invariant": "invariants",
    "load_dataset": "data",
    "load_detector": "detectors",
    "make_plan": "crops",
    "read_anchors": "detectors",
    "register_family": "crops",
    "run": "gate",
    "run_benchmark": "benchmark",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
