"""Boxes whose second corner lies before the first, and what their four numbers probably are instead."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CORNER_NOISE", "flatten_inverted", "ordered_corners"]

CORNER_NOISE = 1e-3  # px by which rounding in float32 may turn a box without width or height inside out
MOSTLY = 0.9  # share of boxes in order from which on the order is right, and single boxes are wrong
LARGEST_SHARE = 1.5  # no coordinate above it: 0 to 1, a little over the border


def ordered_corners(boxes: NDArray[np.float64], what: str = "boxes") -> NDArray[np.float64]:
    """Return (n, 4) boxes with ``x1 >= x0`` and ``y1 >= y0``; a ``ValueError`` names what others probably are.

    A box without width or height is legal.

    >>> ordered_corners(np.array([[20.0, 40.0, 15.0, 90.0]]))
    Traceback (most recent call last):
    ...
    ValueError: boxes: row 0 is 20 40 15 90, so x1 < x0 (1 of 1 rows); a box is x0 y0 x1 y1 in pixels of the picture.
      These numbers fit x y width height: boxes[:, 2:] += boxes[:, :2] makes corners of them.
    """
    if not (boxes[:, 2:] < boxes[:, :2]).any():
        return boxes
    turned = boxes[:, 2:] < boxes[:, :2] - CORNER_NOISE
    rows = np.flatnonzero(turned.any(axis=1))
    if not len(rows):
        return flatten_inverted(boxes)
    first = rows[0]
    wrong = " and ".join(f"{axis}1 < {axis}0" for axis, each in zip("xy", turned[first], strict=True) if each)
    numbers = " ".join(f"{value:g}" for value in boxes[first])
    raise ValueError(
        f"{what}: row {first} is {numbers}, so {wrong} ({len(rows)} of {len(boxes)} rows); a box is x0 y0 x1 y1 in "
        f"pixels of the picture.\n  {_likely(boxes, turned)}"
    )


def flatten_inverted(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return boxes of which those turned inside out have no width or height: they are nowhere, as they were.

    >>> flatten_inverted(np.array([[5.0, 1.0, 2.0, 3.0]]))
    array([[5., 1., 5., 3.]])
    """
    return np.concatenate([boxes[:, :2], np.maximum(boxes[:, 2:], boxes[:, :2])], axis=1)


def _likely(boxes: NDArray[np.float64], turned: NDArray[np.bool_]) -> str:
    """Return which other formats the numbers fit, the most common first, and how to make corners of them."""
    wrong = turned.any(axis=1)
    if len(boxes) >= 10 and 1 - wrong.mean() >= MOSTLY:
        return "Most rows are in order: leave out the others, which are no boxes, or fix what makes them."
    start, size = boxes[:, :2], boxes[:, 2:]
    fits = []
    if (size >= 0).all():
        fits.append(("x y width height", "boxes[:, 2:] += boxes[:, :2] makes corners of them"))
        if (start - size / 2 >= -0.01 * np.abs(start)).all():
            fits.append(
                ("the centre's x y, width height", "pytest_cropdet.geometry.boxes.from_format(boxes, 'cxcywh') does")
            )
    if turned.all():
        fits.append(("x1 y1 x0 y0", "boxes[:, [2, 3, 0, 1]] is in order"))
    for axis, columns in enumerate(("[2, 1, 0, 3]", "[0, 3, 2, 1]")):
        if len(boxes) > 1 and turned[:, axis].all() and not turned[:, 1 - axis].any():
            fits.append((f"corners with {'xy'[axis]} swapped", f"boxes[:, {columns}] is in order"))
    text = "; or ".join(f"{name}: {fix}" for name, fix in fits)
    text = f"These numbers fit {text}." if text else "They fit no other format: look at what the detector returns."
    if _is_small(boxes):
        text += " They are all small, as if they were 0 to 1: multiply x by the picture's width and y by its height."
    return text


def _is_small(boxes: NDArray[Any]) -> bool:
    return bool(np.abs(boxes).max() <= LARGEST_SHARE)
