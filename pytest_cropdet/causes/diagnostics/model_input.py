"""Boxes as a model meets them: their size, aspect and place after the resize."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pytest_cropdet.detectors import ResizeRule, frame_of
from pytest_cropdet.geometry import Boxes, Floats

__all__ = ["AtInput", "at_input", "input_note", "is_known"]


@dataclass(frozen=True, eq=False)
class AtInput:
    """Boxes as a model meets them.

    ``size``: (n,) log2 of the root of the box's area, in pixels of the input, or in sides of the picture where the
    input is not known. ``aspect``: (n,) log2 of width over height. ``x``, ``y``: (n,) centre in the input, 0 to 1.
    """

    size: Floats
    aspect: Floats
    x: Floats
    y: Floats


def at_input(boxes: Boxes, sides: ArrayLike, input_size: tuple[int, int], resize: str | ResizeRule | None) -> AtInput:
    """Return how boxes of pictures lie in a model's input.

    ``boxes``: (n, 4) pixels, with area. ``sides``: (n, 2) width and height of the picture of each. ``input_size``:
    (height, width) in pixels, 0 where the model takes any. ``resize``: as in
    :class:`~pytest_cropdet.detectors.Description`, or with all its details. With a known resize to a known size the
    frame is that of :func:`~pytest_cropdet.detectors.frame_of`; else boxes are measured in sides of their picture,
    which is right up to a factor for a model that stretches every picture to one size.

    >>> round(float(2 ** at_input(np.array([[0.0, 0, 50, 50]]), [[200, 100]], (320, 320), "letterbox").size[0]), 6)
    80.0
    """
    pictures, which = np.unique(np.asarray(sides, dtype=np.int64).reshape(-1, 2), axis=0, return_inverse=True)
    if resize is not None and is_known(input_size, resize):
        high, wide = input_size
        frames = [frame_of(width, height, resize, wide, high) for width, height in pictures.tolist()]
        scale = np.array([each.scale for each in frames]).reshape(-1, 2)
        offset = np.array([each.offset for each in frames], dtype=np.float64).reshape(-1, 2)
        whole = np.array([(each.input_width, each.input_height) for each in frames], dtype=np.float64).reshape(-1, 2)
    else:
        scale, offset, whole = 1.0 / pictures, np.zeros(pictures.shape), np.ones(pictures.shape)
    which = which.reshape(-1)
    low, high_ends = (boxes[:, part] * scale[which] + offset[which] for part in (slice(0, 2), slice(2, 4)))
    length = np.log2(high_ends - low)
    centre = (low + high_ends) / 2 / whole[which]
    return AtInput(length.mean(axis=1), length[:, 0] - length[:, 1], centre[:, 0], centre[:, 1])


def is_known(input_size: tuple[int, int], resize: str | ResizeRule | None) -> bool:
    """Return whether the place of a picture in the model's input follows from these two."""
    return resize is not None and ResizeRule.of(resize).knows_input(*input_size)


def input_note(input_size: tuple[int, int], resize: str | ResizeRule | None) -> str:
    """Return what sizes at the input rest on, one sentence."""
    if resize is not None and is_known(input_size, resize):
        size = f" of {input_size[1]} x {input_size[0]} pixels" if min(input_size) > 0 else ""
        return f"sizes are those at the model's input{size} ({ResizeRule.of(resize)})"
    return (
        "it is not known how the model resizes its input. Sizes and aspects are relative to the image, which is right "
        "if the model stretches every image to one size; if it takes images as they are, crops change no size. "
        "Set --cropdet-detector resize=..."
    )
