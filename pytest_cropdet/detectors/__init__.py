"""One face for every detector: models of TensorFlow, TFLite and ONNX, in files or behind HTTP, and any function."""

from pytest_cropdet.detectors.anchors import Anchors, read_anchors
from pytest_cropdet.detectors.answer_readings import (
    AnswerReading,
    Declared,
    lies_on_edges,
    overlaps,
    possible_readings,
    rounding_hint,
    worth,
)
from pytest_cropdet.detectors.cores import workers_note
from pytest_cropdet.detectors.description import NO_ANCHORS, Description, alternatives, change_convention
from pytest_cropdet.detectors.handle import DetectorHandle, Profile, as_handle, describe
from pytest_cropdet.detectors.libraries import as_detector
from pytest_cropdet.detectors.loading import load_detector
from pytest_cropdet.detectors.merges import Pieces
from pytest_cropdet.detectors.nms import suppress
from pytest_cropdet.detectors.open_conventions import OpenConvention, OpenConventionsError
from pytest_cropdet.detectors.protocol import Detector
from pytest_cropdet.detectors.provenance import Origin, facts_of, origins
from pytest_cropdet.detectors.regions import Regions, read_region_settings
from pytest_cropdet.detectors.resize import Frame, PreparedImage, frame_of
from pytest_cropdet.detectors.resize_rule import ResizeRule
from pytest_cropdet.detectors.sliced import Sliced, read_sliced_spec
from pytest_cropdet.detectors.versions import ADAPTERS, answer_versions, runtime_versions
from pytest_cropdet.detectors.windowed import Windowed

__all__ = [
    "ADAPTERS",
    "NO_ANCHORS",
    "Anchors",
    "AnswerReading",
    "Declared",
    "Description",
    "Detector",
    "DetectorHandle",
    "Frame",
    "OpenConvention",
    "OpenConventionsError",
    "Origin",
    "Pieces",
    "PreparedImage",
    "Profile",
    "Regions",
    "ResizeRule",
    "Sliced",
    "Windowed",
    "alternatives",
    "answer_versions",
    "as_detector",
    "as_handle",
    "change_convention",
    "describe",
    "facts_of",
    "frame_of",
    "lies_on_edges",
    "load_detector",
    "origins",
    "overlaps",
    "possible_readings",
    "read_anchors",
    "read_region_settings",
    "read_sliced_spec",
    "rounding_hint",
    "runtime_versions",
    "suppress",
    "workers_note",
    "worth",
]
