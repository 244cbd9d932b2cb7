"""Arithmetic on boxes.

Boxes are ``(n, 4)`` float64 arrays of ``x0 y0 x1 y1`` in pixels, measured from the left and top edge of the frame;
``x1`` and ``y1`` are exclusive (half-open), so width is ``x1 - x0``. Nothing here rounds, normalises or drops a row:
row i stays object i.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_cropdet.geometry.arrays import Floats

__all__ = [
    "Boxes",
    "areas",
    "as_boxes",
    "clip",
    "from_format",
    "has_sides",
    "iou",
    "paired_iou",
    "to_format",
    "translate",
    "visible_fraction",
]

Boxes = NDArray[np.float64]


def as_boxes(values: ArrayLike, what: str = "boxes") -> Boxes:
    """Return ``values`` as an (n, 4) float64 array; an empty list becomes (0, 4).

    >>> as_boxes([])
    array([], shape=(0, 4), dtype=float64)
    """
    boxes = np.asarray(values, dtype=np.float64)
    if boxes.size == 0:
        return np.zeros((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{what}: expected shape (n, 4), got {boxes.shape}{_shaped(boxes.shape)}")
    return boxes


def _shaped(shape: tuple[int, ...]) -> str:
    """Return what an array of another shape probably is, and how to make (n, 4) of it."""
    match shape:
        case (4,):
            return " (one box? write [[x0, y0, x1, y1]])"
        case (1, _, 4):
            return " (a batch of one? boxes[0] is its first image)"
        case (4, _):
            return " (one row per coordinate? boxes.T has one row per box)"
        case (_, 5 | 6):
            return " (score and category beside the box? boxes[:, :4] are the boxes)"
    return ""


def areas(boxes: Boxes) -> Floats:
    """Return the area of each box in square pixels; a box turned inside out has area 0.

    >>> areas(np.array([[0.0, 0.0, 4.0, 3.0], [2.0, 2.0, 2.0, 9.0]]))
    array([12.,  0.])
    """
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def has_sides(boxes: Boxes) -> NDArray[np.bool_]:
    """Return which boxes have both width and height: the half-open rule for "there is something here".

    >>> has_sides(np.array([[0.0, 0.0, 1.0, 1.0], [5.0, 0.0, 5.0, 9.0]]))
    array([ True, False])
    """
    return np.asarray((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))


def clip(boxes: Boxes, width: float, height: float) -> Boxes:
    """Return ``boxes`` cut to a frame of ``width`` by ``height`` pixels.

    A box outside the frame comes back with zero area; it is never dropped, so row i is still box i.

    >>> clip(np.array([[-5.0, 2.0, 30.0, 8.0]]), width=20, height=10)
    array([[ 0.,  2., 20.,  8.]])
    """
    return np.clip(boxes, 0.0, np.array([width, height, width, height], dtype=np.float64))


def translate(boxes: Boxes, x: float, y: float) -> Boxes:
    """Return ``boxes`` moved right by ``x`` and down by ``y`` pixels.

    >>> translate(np.array([[1.0, 2.0, 3.0, 4.0]]), 10, -2)
    array([[11.,  0., 13.,  2.]])
    """
    return boxes + np.array([x, y, x, y], dtype=np.float64)


def iou(first: Boxes, second: Boxes) -> Floats:
    """Return intersection over union of each pair, shape (n, m); 0 where both boxes have no area.

    >>> iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0]])).round(4)
    array([[0.3333]])
    """
    return _shared(first[:, None], second[None, :], areas(first)[:, None] + areas(second)[None, :])


def paired_iou(first: Boxes, second: Boxes) -> Floats:
    """Return intersection over union of each box with the one in the same row, shape (n,); 0 where both have no area.

    >>> paired_iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0]])).round(4)
    array([0.3333])
    """
    return _shared(first, second, areas(first) + areas(second))


def _shared(first: Floats, second: Floats, total: Floats) -> Floats:
    """Return the shared area over that of either, of boxes along the last axis; ``total``: the sum of both areas."""
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    sides = np.maximum(high - low, 0.0)
    both = sides[..., 0] * sides[..., 1]
    either = total - both
    return np.asarray(np.divide(both, either, out=np.zeros_like(both), where=either > 0))


def visible_fraction(boxes: Boxes, clipped: Boxes) -> Floats:
    """Return area(clipped) / area(boxes) for each row: 1.0 exactly for a box that was not cut, 0 for one without area.

    Both arrays are in the same frame, that of the original (REMAP rule 2): subtraction of a common offset could
    change the last digits.

    >>> visible_fraction(np.array([[0.0, 0.0, 4.0, 2.0]]), np.array([[0.0, 0.0, 3.0, 2.0]]))
    array([0.75])
    """
    whole, seen = areas(boxes), areas(clipped)
    untouched = (boxes == clipped).all(axis=1) & has_sides(boxes)
    return np.asarray(np.divide(seen, whole, out=untouched.astype(np.float64), where=(whole > 0) & ~untouched))


def _xywh_to_xyxy(boxes: Boxes) -> Boxes:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _xyxy_to_xywh(boxes: Boxes) -> Boxes:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _cxcywh_to_xyxy(boxes: Boxes) -> Boxes:
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _xyxy_to_cxcywh(boxes: Boxes) -> Boxes:
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def _swap(boxes: Boxes) -> Boxes:
    return boxes[:, [1, 0, 3, 2]]


def _same(boxes: Boxes) -> Boxes:
    return boxes


_FORMATS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "xyxy": (_same, _same),
    "yxyx": (_swap, _swap),
    "xywh": (_xywh_to_xyxy, _xyxy_to_xywh),
    "cxcywh": (_cxcywh_to_xyxy, _xyxy_to_cxcywh),
}
FORMATS = tuple(_FORMATS)


def from_format(boxes: Boxes, name: str) -> Boxes:
    """Return boxes in ``xyxy``, ``yxyx``, ``xywh`` (corner, size) or ``cxcywh`` (centre, size) as ``x0 y0 x1 y1``.

    >>> from_format(np.array([[10.0, 20.0, 3.0, 4.0]]), "xywh")
    array([[10., 20., 13., 24.]])
    """
    return np.asarray(_FORMATS[name][0](boxes))


def to_format(boxes: Boxes, name: str) -> Boxes:
    """Return ``x0 y0 x1 y1`` boxes in one of the formats that :func:`from_format` reads.

    >>> to_format(np.array([[10.0, 20.0, 13.0, 24.0]]), "cxcywh")
    array([[11.5, 22. ,  3. ,  4. ]])
    """
    return np.asarray(_FORMATS[name][1](boxes))
