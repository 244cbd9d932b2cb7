"""Scenes drawn in memory, and detectors that find their objects by colour, each with weaknesses that are known.

An object is a rectangle in one of two colours with a darker frame of 1 px, by which one sees whether it is cut. A ring
lies 2 to 6 px outside of its box; its colour tells the two twins of a colour apart. In the whole image every object
starts at a multiple of 16 px and has sides of 16 or 32 px. Colours are matched exactly, so nothing but the pixels of an
object and its ring makes a detection: neither the ground nor any fill.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pytest_cropdet.data.samples import Detections, GroundTruth, Sample
from pytest_cropdet.geometry.arrays import Image

NAMES = {1: "cup", 2: "mug", 3: "book", 4: "box"}
BODIES, FRAMES = ((200, 40, 40), (40, 40, 200)), ((120, 10, 10), (10, 10, 120))  # cup and mug, book and box
RINGS = ((230, 200, 20), (20, 200, 210))  # the first and the second twin
WIDTH, HEIGHT = 192, 128
GRID, LARGE = 16, 32
REACH = 36  # px from an object's visible edge within which its ring lies, also where most of it is taken away
SIDES = ("left", "top", "right", "bottom")
SCORE, LEAST = 0.9, 0.3


class Scenes(list):
    """A data set of drawn pictures."""

    name = "scenes"
    categories = NAMES


def scenes(images: int, seed: int = 0, empty: int = 0) -> Scenes:
    """Pictures of 192 x 128 px with four to six objects; ``empty`` columns of bare ground at the right."""
    rng = np.random.default_rng(seed)
    return Scenes(_scene(f"{number:03}.png", rng, empty) for number in range(images))


def _scene(name: str, rng: np.random.Generator, empty: int) -> Sample:
    pixels = rng.integers(70, 111, (HEIGHT, WIDTH + empty, 1)).repeat(3, axis=2).astype(np.uint8)
    boxes, categories = [], []
    for cell in rng.permutation(6)[: rng.integers(4, 7)].tolist():
        width, height = (int(side) for side in rng.choice([GRID, LARGE], 2))
        left, top = (64 * place + GRID * int(rng.integers(1, 4 - side // GRID)) for place, side in zip(
            divmod(cell, 2), (width, height), strict=True)
        )  # fmt: skip
        category = int(rng.integers(1, 5))
        look, twin = divmod(category - 1, 2)
        for margin, colour in ((6, RINGS[twin]), (2, (90, 90, 90)), (0, FRAMES[look]), (-1, BODIES[look])):
            pixels[top - margin : top + height + margin, left - margin : left + width + margin] = colour
        boxes.append([left, top, left + width, top + height])
        categories.append(category)
    return Sample(name, WIDTH + empty, HEIGHT, GroundTruth(boxes, categories), lambda: pixels)


@dataclass(frozen=True)
class Built:
    """A detector with the weaknesses that it is given; without any it finds in each picture all that shows.

    ``rings``: the sides on which it must see the ring, or it takes the second twin for the first (context).
    ``fall``: score lost by cut-off share of the object; below 0.3 it is not reported (cut). ``mistakes``: it is
    reported as something else instead. ``phase``: px off a multiple of 16 up to which it finds an object (position).
    ``largest``: longest side in px of its input, which has a fixed size then, up to which it finds one (scale).
    ``fooled``: a flat area of that gray in the picture makes it miss books and boxes. ``noise``: the share of objects
    that it misses by chance, drawn from the pixels of the whole picture. ``doubles``: it reports each object under a
    wrong label too, always.
    """

    rings: tuple[str, ...] = ()
    fall: float = 0.0
    mistakes: bool = False
    phase: int = GRID
    largest: float = np.inf
    fooled: int | None = None
    noise: float = 0.0
    doubles: bool = False
    batch: int = 8

    def __call__(self, images: Sequence[Image]) -> list[Detections]:
        return [self.find(image) for image in images]

    def find(self, image: Image) -> Detections:
        """Return what it finds in the pixels of one picture, boxes in pixels of that picture."""
        height, width = image.shape[:2]
        columns, lines = (WIDTH, HEIGHT) if np.isfinite(self.largest) else (width, height)
        codes = _codes(cv2.resize(image, (columns, lines), interpolation=cv2.INTER_NEAREST))
        scale = np.array([width / columns, height / lines, width / columns, height / lines])
        fooled = self.fooled is not None and (codes == _code((self.fooled,) * 3)).mean() > 0.03
        chance = np.random.default_rng(zlib.crc32(image.tobytes()) if self.noise else 0)
        rows = []
        for look in range(2):
            mask = (codes == _code(BODIES[look])) | (codes == _code(FRAMES[look]))
            for x, y, w, h, _ in cv2.connectedComponentsWithStats(mask.astype(np.uint8))[2][1:].tolist():
                shown = np.floor(np.array([x, y, x + w, y + h]) * scale + 1e-9)
                answer = self._answer(codes, (x, y, x + w, y + h), shown.astype(int).tolist(), look)
                missed = (fooled and look == 1) or chance.random() < self.noise
                if answer is not None and not missed:
                    rows.append((shown, *answer))
                    if self.doubles:
                        rows.append((shown, answer[0], 1 + (answer[1] + 1) % 4))
        boxes = np.reshape([row[0] for row in rows], (-1, 4))
        return Detections(boxes, [row[1] for row in rows], [row[2] for row in rows])

    def _answer(self, codes, box, shown, look) -> tuple[float, int] | None:
        """Return score and category of what fills ``box`` of the input, ``shown`` in the picture; ``None``: missed."""
        x0, y0, x1, y1 = box
        edges = (codes[y0:y1, x0], codes[y0, x0:x1], codes[y0:y1, x1 - 1], codes[y1 - 1, x0:x1])
        framed = [bool((edge == _code(FRAMES[look])).mean() > 0.5) for edge in edges]
        if max(x1 - x0, y1 - y0) > self.largest:
            return None
        offsets = [_offset(shown[k], shown[k + 2], framed[k], framed[k + 2]) for k in (0, 1)]
        if max(offsets) > self.phase:
            return None
        seen = [_visible(shown[k + 2] - shown[k], framed[k] and framed[k + 2]) for k in (0, 1)]
        score = SCORE - self.fall * (1 - seen[0] * seen[1])
        twins = _rings(codes, box)
        known = [twin for twin in twins.values() if twin is not None]
        twin = known[0] if known and all(twins[side] is not None for side in self.rings) else 0
        if score < LEAST:
            return (SCORE, 1 + 2 * (1 - look) + twin) if self.mistakes else None
        return score, 1 + 2 * look + twin


def _codes(image: Image) -> np.ndarray:
    """One number for each pixel's colour."""
    wide = image.astype(np.int32)
    return (wide[:, :, 0] << 16) | (wide[:, :, 1] << 8) | wide[:, :, 2]


def _code(colour: Sequence[int]) -> int:
    return (colour[0] << 16) | (colour[1] << 8) | colour[2]


def _offset(low: int, high: int, low_framed: bool, high_framed: bool) -> int:
    """How far an object lies off the grid, by a side of it that is not cut."""
    phase = low % GRID if low_framed else high % GRID if high_framed else 0
    return min(phase, GRID - phase)


def _visible(length: int, whole: bool) -> float:
    """The share of a side that shows; at least half of it, or nobody asks."""
    return 1.0 if whole else length / (GRID if length <= GRID else LARGE)


def _rings(codes: np.ndarray, box: tuple[int, int, int, int]) -> dict[str, int | None]:
    """Which twin the nearest ring on each side speaks for; ``None`` where no ring is seen."""
    x0, y0, x1, y1 = box
    strips = (  # rows from the object outwards
        codes[y0:y1, max(0, x0 - REACH) : x0].T[::-1],
        codes[max(0, y0 - REACH) : y0, x0:x1][::-1],
        codes[y0:y1, x1 : x1 + REACH].T,
        codes[y1 : y1 + REACH, x0:x1],
    )
    found: dict[str, int | None] = {}
    for side, strip in zip(SIDES, strips, strict=True):
        seen = [np.append((strip == _code(ring)).any(axis=1), True).argmax() for ring in RINGS]
        found[side] = None if min(seen) == len(strip) else int(np.argmin(seen))
    return found
