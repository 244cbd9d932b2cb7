"""Windows of an image, and what becomes of boxes, masks and detections in them.

The rules are those of the field's evaluators, written down once: coordinates are pixel edges, half-open, float64,
never rounded; an object is in the window if and only if its clipped box has width and height (and, with a mask, a
visible pixel); visibility is measured in the original frame against the original object.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytest_cropdet.geometry.arrays import Image, Ints
from pytest_cropdet.geometry.boxes import Boxes, translate

__all__ = ["Crop", "windows_of"]


@dataclass(frozen=True, slots=True, order=True)
class Crop:
    """A window of an image, in whole pixels: columns ``left`` to ``right``, rows ``top`` to ``bottom``, half-open."""

    left: int
    top: int
    width: int
    height: int

    def __post_init__(self) -> None:
        for name in ("left", "top", "width", "height"):
            value = getattr(self, name)
            if isinstance(value, (bool, float)) or int(value) != value:
                raise ValueError(f"Crop: {name} is in whole pixels, not {value!r}")
            object.__setattr__(self, name, int(value))
        if self.left < 0 or self.top < 0 or self.width < 1 or self.height < 1:
            raise ValueError(f"{self}: left and top must be >= 0, width and height >= 1")

    @property
    def right(self) -> int:
        """The column after the last one."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The row after the last one."""
        return self.top + self.height

    def fits(self, width: int, height: int) -> bool:
        """Whether the window lies inside an image of that size."""
        return self.right <= width and self.bottom <= height

    def of(self, image: Image) -> Image:
        """Return the window's pixels as a view of ``image``; a window that sticks out is a ``ValueError``."""
        height, width = image.shape[:2]
        if not self.fits(width, height):
            raise ValueError(f"{self} sticks out of an image {width} wide and {height} high")
        return image[self.top : self.bottom, self.left : self.right]

    def clip(self, boxes: Boxes) -> Boxes:
        """Return ``boxes`` cut to the window, still in the image's frame; rows outside have no area."""
        low = np.array([self.left, self.top, self.left, self.top], dtype=np.float64)
        high = np.array([self.right, self.bottom, self.right, self.bottom], dtype=np.float64)
        return np.clip(boxes, low, high)

    def into(self, boxes: Boxes) -> Boxes:
        """Return boxes of the image in the window's frame, clipped to it; rows outside have no area.

        >>> Crop(100, 50, 40, 30).into(np.array([[90.0, 60.0, 120.0, 70.0]]))
        array([[ 0., 10., 20., 20.]])
        """
        return translate(self.clip(boxes), -self.left, -self.top)

    def out_of(self, boxes: Boxes) -> Boxes:
        """Return boxes of the window in the image's frame.

        >>> Crop(100, 50, 40, 30).out_of(np.array([[0.0, 10.0, 20.0, 20.0]]))
        array([[100.,  60., 120.,  70.]])
        """
        return translate(boxes, self.left, self.top)

    def then(self, inner: "Crop") -> "Crop":
        """Return the one window that equals this crop followed by ``inner``, a crop of this crop.

        >>> Crop(10, 20, 50, 40).then(Crop(5, 5, 10, 10))
        Crop(left=15, top=25, width=10, height=10)
        """
        if not inner.fits(self.width, self.height):
            raise ValueError(f"{inner} sticks out of {self}")
        return Crop(self.left + inner.left, self.top + inner.top, inner.width, inner.height)


def windows_of(crops: Sequence[Crop]) -> Ints:
    """Return (n, 4) ``left top right bottom`` of windows, in whole pixels.

    >>> windows_of([Crop(10, 20, 50, 40)])
    array([[10, 20, 60, 60]])
    """
    sides = [(each.left, each.top, each.width, each.height) for each in crops]
    windows = np.array(sides, dtype=np.int64).reshape(-1, 4)
    windows[:, 2:] += windows[:, :2]
    return windows
