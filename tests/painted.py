"""Pictures of three painted rectangles, and a detector that finds them: what it is told wrongly, it answers wrongly.

Category 1 is painted red, 2 green, 3 blue, so that channels in another order are other categories; nothing but the
place of the pixels says where a box is, so that a wrong resize, order or unit moves it.

Used where a detector must see what it is shown: by the tests of detectors/, of inference/ and invariants/, which hand
it changed pictures, of causes/, which render them, and of the gate's order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pytest_cropdet.data.samples import Detections, GroundTruth, Sample
from pytest_cropdet.geometry.arrays import Image

Box = tuple[int, int, int, int]


def paint(width: int, height: int, objects: Mapping[int, Box]) -> Image:
    """A black picture with one rectangle a category."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for category, (left, top, right, bottom) in objects.items():
        pixels[top:bottom, left:right, category - 1] = 255
    return pixels


def find(pixels: np.ndarray, middle: float = 127.5) -> Detections:
    """The tight box of each colour, in pixels of the picture."""
    boxes, categories = [], []
    bright = pixels > middle
    for category in (1, 2, 3):
        only = bright[:, :, category - 1] & (bright.sum(axis=2) == 1)
        y, x = np.nonzero(only)
        if x.size:
            boxes.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
            categories.append(category)
    return Detections(np.array(boxes, float).reshape(-1, 4), np.full(len(boxes), 0.9), categories)


def sample(name: str, width: int, height: int, objects: Mapping[int, Box], reads: list[str] | None = None) -> Sample:
    """A painted picture as a sample; ``reads`` collects the names of the pictures that are decoded."""

    def read() -> Image:
        if reads is not None:
            reads.append(name)
        return paint(width, height, objects)

    return Sample(name, width, height, GroundTruth([*objects.values()], [*objects]), read)


class Painted(list):
    """A data set of painted pictures."""

    name = "painted"
    categories = {1: "red", 2: "green", 3: "blue"}  # noqa: RUF012


def painted_data(images: int, seed: int = 0) -> Painted:
    """Pictures of 120 x 90 px, each with one rectangle of every colour in a third of its own."""
    rng = np.random.default_rng(seed)

    def boxes() -> dict[int, Box]:
        thirds = rng.permutation(3)
        found = {}
        for category, third in zip((1, 2, 3), thirds.tolist(), strict=True):
            width, height = rng.integers(12, 36), rng.integers(12, 50)
            left, top = 40 * third + rng.integers(0, 40 - width), rng.integers(0, 90 - height)
            found[category] = (int(left), int(top), int(left + width), int(top + height))
        return found

    return Painted(sample(f"{number:03}.png", 120, 90, boxes()) for number in range(images))


class Finder:
    """A detector of painted rectangles whose answer passes through ``answer(picture, found)``; it counts pictures."""

    batch = 8

    def __init__(self, answer: Callable[[Image, Detections], Detections] = lambda picture, found: found) -> None:
        self.answer = answer
        self.shown = 0

    def __call__(self, images: Sequence[Image]) -> list[Detections]:
        self.shown += len(images)
        return [self.answer(image, find(image)) for image in images]
