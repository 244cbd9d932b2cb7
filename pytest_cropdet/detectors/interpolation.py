"""Images in another size: bilinear, antialiased, or by area, each as the library does that people prepare images with.

OpenCV has no bilinear resize with antialiasing, so that one is here: the separable triangle filter of
``tf.image.resize(antialias=True)``, Pillow's and torchvision's ``BILINEAR``, whose width grows as the image shrinks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.geometry import Floats

__all__ = ["interpolate"]


def interpolate(pixels: NDArray[Any], width: int, height: int, interpolation: str) -> NDArray[Any]:
    """Return an image (height, width, 3), uint8 or float32, in another size and of the same type.

    ``interpolation``: ``bilinear`` (``cv2.INTER_LINEAR``), ``antialiased``, or ``area`` (``cv2.INTER_AREA`` on a side
    that shrinks; one that grows is bilinear).
    """
    import cv2

    if interpolation == "antialiased":
        return _antialiased(pixels, width, height)
    high, wide = pixels.shape[:2]
    if interpolation == "area" and (width < wide or height < high):
        # one side at a time where the other grows: OpenCV then takes no mean, and shifts the picture by half a pixel
        pixels = cv2.resize(pixels, (min(width, wide), min(height, high)), interpolation=cv2.INTER_AREA)
    if pixels.shape[:2] != (height, width):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(pixels)


def _antialiased(pixels: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    rows = _filtered(np.asarray(pixels, dtype=np.float32), height)
    smooth = _filtered(rows.transpose(1, 0, 2), width).transpose(1, 0, 2)
    if pixels.dtype == np.uint8:  # a mean with weights of 0 or more stays within 0 to 255
        smooth = np.rint(smooth)
    return np.ascontiguousarray(smooth, dtype=pixels.dtype)


def _filtered(pixels: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return the first axis in ``count`` pixels, each the weighted mean of those its triangle covers."""
    if count == len(pixels):
        return pixels
    first, weights = triangle_weights(len(pixels), count)
    result = np.zeros((count, *pixels.shape[1:]), np.float32)
    for tap, weight in enumerate(weights.T.astype(np.float32)):
        result += weight[:, None, None] * pixels[np.minimum(first + tap, len(pixels) - 1)]
    return result


def triangle_weights(size: int, count: int) -> tuple[NDArray[np.int64], Floats]:
    """Return, for each of ``count`` pixels made of ``size``, the first it is made of and the weights from there on.

    Pixels are edge to edge, and their centres in the middle; the triangle is one new pixel to each side, and at least
    one old one.

    >>> first, weights = triangle_weights(4, 2)
    >>> first, weights.round(3).tolist()
    (array([0, 1]), [[0.429, 0.429, 0.143], [0.143, 0.429, 0.429]])
    """
    step = size / count
    reach = max(step, 1.0)
    centre = (np.arange(count) + 0.5) * step
    first = np.maximum(np.floor(centre - reach + 0.5).astype(np.int64), 0)
    last = np.minimum(np.floor(centre + reach + 0.5).astype(np.int64), size)
    place = first[:, None] + np.arange(int((last - first).max()))
    weights = np.maximum(1.0 - np.abs(place + 0.5 - centre[:, None]) / reach, 0.0)
    weights[place >= size] = 0.0
    return first, weights / weights.sum(axis=1, keepdims=True)
