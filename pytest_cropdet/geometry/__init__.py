"""Boxes, masks and windows as arithmetic.

Public modules: `polygons`, many polygons at once to masks.
"""

from pytest_cropdet.geometry.arrays import Bools, Corners, Floats, Image, Ints
from pytest_cropdet.geometry.boxes import (
    FORMATS,
    Boxes,
    areas,
    as_boxes,
    clip,
    from_format,
    has_sides,
    iou,
    paired_iou,
    to_format,
    translate,
    visible_fraction,
)
from pytest_cropdet.geometry.crop import Crop, windows_of
from pytest_cropdet.geometry.masks import Mask, areas_of, boxes_of, window_mask

__all__ = [
    "FORMATS",
    "Bools",
    "Boxes",
    "Corners",
    "Crop",
    "Floats",
    "Image",
    "Ints",
    "Mask",
    "areas",
    "areas_of",
    "as_boxes",
    "boxes_of",
    "clip",
    "from_format",
    "has_sides",
    "iou",
    "paired_iou",
    "to_format",
    "translate",
    "visible_fraction",
    "window_mask",
    "windows_of",
]
