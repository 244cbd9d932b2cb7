"""One face for every detector: SavedModel, TFLite and any function."""

from pytest_cropdet.detectors.anchors import Anchors, read_anchors
from pytest_cropdet.detectors.answer_readings import (
    Declared,
    is_sharp,
    overlaps,
    readings,
    whole_numbers,
    worth,
)
from pytest_cropdet.detectors.description import NO_ANCHORS, Description, alternatives
from pytest_cropdet.detectors.handle import DetectorHandle, Profile, as_handle, describe
from pytest_cropdet.detectors.loading import load_detector
from pytest_cropdet.detectors.nms import suppress
from pytest_cropdet.detectors.protocol import Detector
from pytest_cropdet.detectors.resize import Frame, Prepared, frame_of

__all__ = [
    "NO_ANCHORS",
    "Anchors",
    "Declared",
    "Description",
    "Detector",
    "DetectorHandle",
    "Frame",
    "Prepared",
    "Profile",
    "alternatives",
    "as_handle",
    "describe",
    "frame_of",
    "is_sharp",
    "load_detector",
    "overlaps",
    "read_anchors",
    "readings",
    "suppress",
    "whole_numbers",
    "worth",
]
