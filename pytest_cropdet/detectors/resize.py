"""Pixels as a model takes them, and the way of its boxes back to the image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.interpolation import interpolate
from pytest_cropdet.detectors.resize_rule import ResizeRule
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import Boxes, Image

__all__ = ["Frame", "PreparedImage", "fit", "frame_of", "scale_values"]


@dataclass(frozen=True, slots=True)
class Frame:
    """How an image lies in a model's input: input pixel = image pixel * scale + offset, edges to edges.

    ``width``, ``height``: the image in pixels; ``input_width``, ``input_height``: the input in pixels.
    """

    width: int
    height: int
    input_width: int
    input_height: int
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[int, int] = (0, 0)

    def to_image(self, boxes: Boxes) -> Boxes:
        """Return boxes ``x0 y0 x1 y1`` in input pixels as boxes in image pixels."""
        offset = np.array([*self.offset, *self.offset], dtype=np.float64)
        return np.asarray((boxes - offset) / np.array([*self.scale, *self.scale]))

    def to_input(self, boxes: Boxes) -> Boxes:
        """Return boxes in image pixels as boxes in input pixels: the way back of :meth:`to_image`."""
        offset = np.array([*self.offset, *self.offset], dtype=np.float64)
        return np.asarray(boxes * np.array([*self.scale, *self.scale]) + offset)

    def from_normalized(self, boxes: Boxes) -> Boxes:
        """Return boxes in 0 to 1 of the input as boxes in image pixels."""
        size = [self.input_width, self.input_height, self.input_width, self.input_height]
        return self.to_image(boxes * np.array(size, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """One picture as the model takes it, with its frame."""

    pixels: NDArray[Any]
    frame: Frame


def frame_of(width: int, height: int, resize: str | ResizeRule, input_width: int = 0, input_height: int = 0) -> Frame:
    """Return how an image of ``width`` by ``height`` pixels lies in a model's input.

    ``input_width``, ``input_height``: of a fixed input in pixels; with limits of the sides 0 where it takes any.
    ``stretch`` fills the input; ``letterbox`` keeps the aspect and centres the picture; ``keep_aspect`` puts it at
    the left top. Sides of the scaled picture are whole pixels, and the frame holds the scales that really come out.

    >>> frame_of(200, 100, "letterbox", 320, 320)
    Frame(width=200, height=100, input_width=320, input_height=320, scale=(1.6, 1.6), offset=(0, 80))
    """
    rule = ResizeRule.of(resize)
    high, wide = rule.input_shape(width, height, input_width, input_height)
    inner_width, inner_height = rule.inner_size(width, height, wide, high)
    left, top = ((wide - inner_width) // 2, (high - inner_height) // 2) if rule.align == "center" else (0, 0)
    return Frame(width, height, wide, high, (inner_width / width, inner_height / height), (left, top))


def fit(image: Image, resize: str | ResizeRule, input_width: int, input_height: int, dtype: Any) -> PreparedImage:
    """Return ``image`` resized as :func:`frame_of` says; borders and interpolation are those of the rule."""
    rule = ResizeRule.of(resize)
    filling = _filling(rule, dtype)
    height, width = image.shape[:2]
    frame = frame_of(width, height, rule, input_width, input_height)
    inner_width, inner_height = round(width * frame.scale[0]), round(height * frame.scale[1])
    pixels: NDArray[Any] = image
    if (inner_width, inner_height) != (width, height):
        source = image if dtype == np.uint8 else image.astype(np.float32)
        pixels = interpolate(source, inner_width, inner_height, rule.interpolation)
    pixels = np.asarray(pixels, dtype=dtype)
    if (inner_width, inner_height) != (frame.input_width, frame.input_height):
        left, top = frame.offset
        canvas = np.empty((frame.input_height, frame.input_width, 3), dtype)
        canvas[:] = filling
        canvas[top : top + inner_height, left : left + inner_width] = pixels
        pixels = canvas
    return PreparedImage(pixels, frame)


def _filling(rule: ResizeRule, dtype: Any) -> tuple[float, ...]:
    """Return what borders are filled with; numbers that the input's type would cut are refused."""
    if np.dtype(dtype).kind != "f" and any(each % 1 for each in rule.fill):
        raise DetectorError(f"{rule}: the input is {np.dtype(dtype)}, so fill must be whole numbers")
    return rule.fill


def scale_values(
    pixels: NDArray[Any],
    value_range: str,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
) -> NDArray[Any]:
    """Return 0..255 pixels in the range a model was trained on, in their own float type (whole numbers as float32).

    ``mean``, ``std``: of each channel in that range, subtracted and divided by, where the model wants it.

    >>> scale_values(np.array([0, 255], np.uint8), "0..1", (0.5,), (0.25,))
    array([-2.,  2.], dtype=float32)
    """
    kind = pixels.dtype.type if pixels.dtype.kind == "f" else np.float32
    if value_range == "0..1":
        pixels = np.asarray(pixels / kind(255.0), dtype=kind)
    elif value_range == "-1..1":
        pixels = np.asarray(pixels / kind(127.5) - kind(1.0), dtype=kind)
    if mean is not None or std is not None:
        pixels = np.asarray((pixels - np.array(mean or 0.0, kind)) / np.array(std or 1.0, kind), dtype=kind)
    return pixels
