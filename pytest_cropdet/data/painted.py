"""Samples whose pixels follow from a few numbers: a picture that can be written into a test as one line of code."""

from dataclasses import dataclass

import numpy as np

from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.geometry import Image

__all__ = ["PaintedSample", "paint"]


def paint(width: int, height: int, truth: GroundTruth, seed: int = 0) -> Image:
    """Return a picture of RGB uint8 (height, width, 3): a background made from ``seed``, a rectangle for each object.

    A rectangle fills every pixel that its box touches, in a colour of its category; the background runs from dark to
    less dark, so that a pixel differs from its neighbours. Crowds are not painted.
    """
    y, x = np.mgrid[0:height, 0:width]
    steps = np.array([3, 5, 7]) + np.array([seed, seed // 7, seed // 49]) % 7
    pixels = ((x[..., None] * steps + y[..., None] * steps[::-1] + seed) % 96).astype(np.uint8)
    for box, category in zip(truth.boxes[~truth.crowd], truth.categories[~truth.crowd], strict=True):
        left, top = np.maximum(np.floor(box[:2]), 0).astype(int)
        right, bottom = np.maximum(np.ceil(box[2:]), 0).astype(int)
        pixels[top:bottom, left:right] = 128 + np.array([37, 67, 97]) * int(category) % 128
    return np.asarray(pixels, dtype=np.uint8)


@dataclass(frozen=True)
class _Painter:
    width: int
    height: int
    truth: GroundTruth
    seed: int

    def __call__(self) -> Image:
        return paint(self.width, self.height, self.truth, self.seed)


class PaintedSample(Sample):
    """A sample ``width`` by ``height`` pixels that shows ``truth``, painted by :func:`paint`; its repr is code.

    >>> PaintedSample(64, 48, GroundTruth([[8.0, 8.0, 24.0, 40.0]], [1]), seed=3).image().shape
    (48, 64, 3)
    """

    def __init__(self, width: int, height: int, truth: GroundTruth, seed: int = 0) -> None:
        painter = _Painter(width, height, truth, seed)
        super().__init__(f"painted {width}x{height} #{seed}", width, height, truth, painter)
        object.__setattr__(self, "seed", seed)

    def __repr__(self) -> str:
        return f"PaintedSample({self.width}, {self.height}, {self.truth!r}, seed={self.read.seed})"  # type: ignore[attr-defined]
