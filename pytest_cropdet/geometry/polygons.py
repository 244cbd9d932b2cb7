"""Many polygons at once to masks: the codes that :meth:`Mask.from_segmentation` has for each, without its objects."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from pytest_cropdet.geometry.masks import FAR, LONGEST_SIDE

__all__ = ["encode_polygons", "is_plain_polygons", "outlines_in_reach"]

_NUMBERS = {int, float}


def is_plain_polygons(segmentation: Any) -> bool:
    """Return whether a COCO ``segmentation`` is a list of polygons, each a flat list of at least three points.

    >>> is_plain_polygons([[0, 0, 4, 0, 4, 4.5]]), is_plain_polygons([[0, 0, 4, 0]]), is_plain_polygons({"counts": "0"})
    (True, False, False)
    """
    return (
        type(segmentation) is list
        and bool(segmentation)
        and all(
            type(each) is list and len(each) >= 6 and len(each) % 2 == 0 and set(map(type, each)) <= _NUMBERS
            for each in segmentation
        )
    )


def outlines_in_reach(
    points: NDArray[np.float64], starts: NDArray[np.int64], objects: NDArray[np.int64], height: int, width: int
) -> NDArray[np.bool_]:
    """Return for each object whether its polygons are finite, near the image and short enough to be drawn.

    ``points``: (n, 2) x and y of all polygons. ``starts``: the first point of each polygon. ``objects``: the first
    polygon of each object.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
        sides = np.array([width, height], dtype=np.float64)
        near = ((low >= -FAR * sides) & (high <= (FAR + 1) * sides)).all(axis=1)  # false for what is no number
        following = np.concatenate([points[1:], points[:1]])
        following[np.append(starts[1:], len(points)) - 1] = points[starts]
        length = np.add.reduceat(np.abs(points - following).max(axis=1), starts)
        short = np.add.reduceat(length, objects) < 0.99 * LONGEST_SIDE  # sums differ in their last digits
    return np.logical_and.reduceat(near, objects) & short


def encode_polygons(
    polygons: Sequence[NDArray[np.float64]], objects: NDArray[np.int64], height: int, width: int
) -> tuple[list[bytes], NDArray[np.float64]]:
    """Return the compressed code of each object, and their tight boxes, (n, 4) ``x0 y0 x1 y1``, in one frame.

    ``polygons``: flat ``x y x y ...``, of at least three points. ``objects``: the first polygon of each object.

    >>> codes, boxes = encode_polygons([np.array([1.0, 1, 4, 1, 4, 3, 1, 3])], np.array([0]), height=5, width=6)
    >>> boxes
    array([[1., 1., 4., 3.]])
    """
    codes = coco_mask.frPyObjects(list(polygons), height, width)
    if len(objects) < len(codes):
        ends = np.append(objects[1:], len(codes)).tolist()
        parts = zip(objects.tolist(), ends, strict=True)
        codes = [codes[first] if last == first + 1 else coco_mask.merge(codes[first:last]) for first, last in parts]
    boxes = np.asarray(coco_mask.toBbox(codes), dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return [code["counts"] for code in codes], boxes
