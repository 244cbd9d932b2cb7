"""The usual generic recipe (rotate, shift, shear, zoom, flip) with its boxes mapped: what crop recipes compare with.

The class that old tutorials use for it, Keras's deprecated ``ImageDataGenerator``, moves pixels and no boxes.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.augment.augmentation import Augmented, Fill, check_fill, fill_colour
from pytest_cropdet.augment.draws import MILLION, Draws
from pytest_cropdet.data import MIN_VISIBILITY, GroundTruth
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry import Boxes, Floats, Mask, clip, has_sides, visible_fraction

__all__ = ["Generic"]

ANGLE, MOVE_ACROSS, MOVE_DOWN, SHEAR, ZOOM_X, ZOOM_Y, FLIP = range(7)  # the slots of a sample's draws


@dataclass(frozen=True)
class Generic:
    """Rotation, shift, shear, zoom and flip about the image's centre, in the image's own frame.

    ``rotation`` and ``shear``: up to so many degrees either way. ``shift``: up to that share of each side. ``zoom``:
    each side by a factor from 1 - zoom to 1 + zoom. ``flip``: how often left and right change places. A box becomes the
    box that encloses its four moved corners, clipped; it is ignored if less than ``min_visibility`` of that enclosing
    box shows. With a mask both come from the moved pixels: the box is that of the pixels whose centres show.
    """

    rotation: float = 15.0
    shift: float = 0.1
    shear: float = 10.0
    zoom: float = 0.2
    flip: float = 0.5
    min_visibility: float = MIN_VISIBILITY
    fill: Fill = "mean"
    seed: int = 0

    def __post_init__(self) -> None:
        check_fill(self.fill)
        limits = {"rotation": 180.0, "shift": 1.0, "shear": 60.0, "zoom": 0.95, "flip": 1.0, "min_visibility": 1.0}
        for name, limit in limits.items():
            if not 0 <= getattr(self, name) <= limit:
                raise SpecError(f"Generic: {name}={getattr(self, name)} must lie between 0 and {limit:g}")

    def matrix(self, draws: Draws, width: Any, height: Any, functions: Any = math) -> tuple[Any, ...]:
        """Return a b c d x y: a point (p, q), in pixels from the edges, goes to (a p + b q + x, c p + d q + y).

        It is flip, then zoom, shear, rotation about the centre, and shift. ``functions``: what has cos, sin and tan of
        the numbers that ``draws`` yields, ``math`` or ``tf.math``.
        """
        degree = math.pi / 180
        angle = draws.real(ANGLE, -self.rotation, self.rotation) * degree
        slant = functions.tan(draws.real(SHEAR, -self.shear, self.shear) * degree)
        wider, taller = (draws.real(slot, 1 - self.zoom, 1 + self.zoom) for slot in (ZOOM_X, ZOOM_Y))
        mirrored = draws.below(FLIP, MILLION) < round(self.flip * MILLION)
        cos, sin = functions.cos(angle), functions.sin(angle)
        wider = wider * (draws.choose(mirrored, -1, 1) / 1)
        a, c = cos * wider, sin * wider
        b, d = (cos * slant - sin) * taller, (sin * slant + cos) * taller
        x = (0.5 - a * 0.5) * width - b * 0.5 * height + draws.real(MOVE_ACROSS, -self.shift, self.shift) * width
        y = (0.5 - d * 0.5) * height - c * 0.5 * width + draws.real(MOVE_DOWN, -self.shift, self.shift) * height
        return a, b, c, d, x, y

    def __call__(self, image: NDArray[Any], truth: GroundTruth, index: int, *, seed: int | None = None) -> Augmented:
        """Return sample number ``index`` of the training; see :class:`~pytest_cropdet.augment.Augmentation`."""
        import cv2

        height, width = image.shape[:2]
        a, b, c, d, x, y = self.matrix(Draws(self.seed if seed is None else seed, index), width, height)
        centred = np.array([[a, b, x + (a + b - 1) / 2], [c, d, y + (c + d - 1) / 2]])  # of pixels by their centres
        pixels = cv2.warpAffine(
            np.ascontiguousarray(image),
            centred,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=fill_colour(self.fill, image).astype(float).tolist(),
        )
        moved = enclosing(truth.boxes, (a, b, c, d, x, y))
        boxes = clip(moved, width, height)
        inside, visibility = has_sides(boxes), visible_fraction(moved, boxes)
        for row, mask in enumerate(truth.masks):
            if mask is not None and mask.area:
                share, box = moved_mask(mask, (a, b, c, d, x, y))
                inside[row] = share > 0
                visibility[row], boxes[row] = share, clip(box[None], width, height)[0]
        kept = np.flatnonzero(inside)
        ignored = ~truth.counted[kept] | (visibility[kept] < self.min_visibility)
        pixels = np.asarray(pixels).reshape(image.shape)
        return Augmented(pixels, boxes[kept], truth.categories[kept], ignored, kept, visibility[kept])


def enclosing(boxes: Boxes, matrix: tuple[float, ...]) -> Boxes:
    """Return the boxes that enclose the four moved corners of each box, (n, 4), not clipped."""
    a, b, c, d, x, y = matrix
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    centre = np.stack([a * middle[:, 0] + b * middle[:, 1] + x, c * middle[:, 0] + d * middle[:, 1] + y], axis=1)
    reach = np.stack([abs(a) * half[:, 0] + abs(b) * half[:, 1], abs(c) * half[:, 0] + abs(d) * half[:, 1]], axis=1)
    return np.concatenate([centre - reach, centre + reach], axis=1)


def moved_mask(mask: Mask, matrix: tuple[float, ...]) -> tuple[float, Floats]:
    """Return the share of a mask's pixels whose centres stay in the frame, and the box (4,) of those pixels, moved."""
    a, b, c, d, x, y = matrix
    rows, columns = np.nonzero(mask.decode())
    p, q = columns + 0.5, rows + 0.5
    across, down = a * p + b * q + x, c * p + d * q + y
    stays = (across >= 0) & (across < mask.width) & (down >= 0) & (down < mask.height)
    if not stays.any():
        return 0.0, np.zeros(4)
    across, down = across[stays], down[stays]
    wide, tall = (abs(a) + abs(b)) / 2, (abs(c) + abs(d)) / 2
    box = np.array([across.min() - wide, down.min() - tall, across.max() + wide, down.max() + tall])
    return float(stays.mean()), box
