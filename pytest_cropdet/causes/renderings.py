"""The pictures of the chain, for one window W of an image: each differs from the one before it in one thing.

| rendering | what the detector sees |
|---|---|
| ``whole`` | the image as it is |
| ``context`` | pixels outside W replaced by fill, except the whole boxes of the objects that W cuts |
| ``cut`` | everything outside W replaced by fill; same frame, same place, same scale |
| ``moved`` | W's pixels at the origin of the same frame, fill elsewhere |
| ``crop`` | W alone |

Two more stand beside the chain. ``hollow`` swaps the first two steps: the outside parts of the same boxes are filled,
their surroundings are kept. ``placebo`` shows what fill itself does: it is laid only where no object is near.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_cropdet.data import GroundTruth
from pytest_cropdet.geometry import Bools, Boxes, Crop, Image, Ints, areas
from pytest_cropdet.settings import FILLS, check_choice

__all__ = ["Rendering", "cut_objects", "detected_in", "fill_image", "render"]

GRAY = 128
BLUR_CELLS = 8  # the blurred image is its own mean in that many cells a side, interpolated
PLACEBO_MARGIN = 32.0  # px that the placebo leaves around every box, or half of its longer side


@dataclass(frozen=True, slots=True)
class Rendering:
    """How one crop is rendered: ``name`` is ``context``, ``cut``, ``moved``, ``hollow`` or ``placebo``.

    ``boxes``: those that matter outside of the window, ``x0 y0 x1 y1`` in pixels of the image: of the objects it cuts,
    for the placebo of every annotated one. Two renderings of a crop with the same ``str`` show the same pixels.
    """

    name: str
    fill: str
    boxes: tuple[tuple[float, float, float, float], ...] = ()

    @classmethod
    def of(cls, name: str, fill: str, crop: Crop, boxes: Boxes) -> "Rendering":
        """Return the rendering of a crop; boxes that do not change a pixel are left out.

        >>> Rendering.of("context", "mean", Crop(0, 0, 50, 50), np.array([[10.0, 10, 20, 20], [40.0, 10, 60, 20]]))
        Rendering(name='context', fill='mean', boxes=((40.0, 10.0, 60.0, 20.0),))
        """
        check_choice("cropdet_fill", fill, FILLS)
        if name in ("cut", "moved"):
            return cls(name, fill)
        rows = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        if name == "placebo":
            rows = _enlarged(rows)
        outside = (rows[:, :2] < [crop.left, crop.top]).any(axis=1) | (rows[:, 2:] > [crop.right, crop.bottom]).any(
            axis=1
        )
        kept = tuple(tuple(row) for row in np.unique(rows[outside], axis=0).tolist())
        return cls(name, fill, kept)

    def __str__(self) -> str:
        """Return what tells it from any other: part of the name under which its detections are kept."""
        name = "cut" if self.name == "context" and not self.boxes else self.name
        return " ".join([name, self.fill, *(repr(edge) for box in self.boxes for edge in box)])

    def pixels(self, image: Image, crop: Crop) -> Image:
        """Return the picture: see :func:`render`."""
        return render(image, crop, self)


def cut_objects(truth: GroundTruth, crop: Crop, shown: Ints, counted: Bools) -> Bools:
    """Return (n,): the objects of an image that ``cut`` cuts, and that ``context`` leaves whole.

    These are the scored ones, and those that show less and are no larger than the window: what is left of one may get
    a wrong label that counts, which is then the cut's doing. What is larger than the window is surroundings.
    """
    shows, scored = np.isin(truth.ids, shown), np.isin(truth.ids, shown[counted])
    return np.asarray(scored | (shows & ~truth.crowd & (areas(truth.boxes) <= crop.width * crop.height)))


def detected_in(name: str) -> Literal["image", "window"]:
    """Return the frame of a rendering's detections: the whole image's, or the window's.

    >>> detected_in("cut"), detected_in("moved")
    ('image', 'window')
    """
    return "window" if name in ("moved", "crop") else "image"


def fill_image(image: Image, fill: str) -> Image:
    """Return what stands for the pixels of ``image`` (height, width, 3) where they are taken away.

    ``mean``: its mean colour. ``gray``: 128. ``blur``: its mean in 8 x 8 cells, interpolated.
    """
    import cv2

    if fill == "gray":
        return np.full(image.shape, GRAY, dtype=np.uint8)
    if fill == "mean":
        flat = np.empty(image.shape, np.uint8)
        flat[:] = np.rint(cv2.mean(image)[:3])
        return flat
    height, width = image.shape[:2]
    cells = cv2.resize(image, (min(BLUR_CELLS, width), min(BLUR_CELLS, height)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(cells, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def render(image: Image, crop: Crop, rendering: Rendering) -> Image:
    """Return the picture, of the image's own size; ``image`` is not changed."""
    background = fill_image(image, rendering.fill)
    if rendering.name == "moved":
        background[: crop.height, : crop.width] = crop.of(image)
        return background
    if rendering.name == "hollow":
        picture = np.array(image)
        for rows, columns in _slices(rendering.boxes, image):
            picture[rows, columns] = background[rows, columns]
    else:
        picture = background
        for rows, columns in _slices(rendering.boxes, image):
            picture[rows, columns] = image[rows, columns]
    crop.of(picture)[:] = crop.of(image)
    return picture


def _slices(boxes: tuple[tuple[float, float, float, float], ...], image: Image) -> list[tuple[slice, slice]]:
    """Return the rows and columns of every pixel that a box touches."""
    rows = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    low = np.maximum(np.floor(rows[:, :2]), 0).astype(int)
    high = np.maximum(np.minimum(np.ceil(rows[:, 2:]), [image.shape[1], image.shape[0]]), 0).astype(int)
    return [(slice(y0, y1), slice(x0, x1)) for (x0, y0), (x1, y1) in zip(low.tolist(), high.tolist(), strict=True)]


def _enlarged(boxes: Boxes) -> Boxes:
    """Return boxes with max(32 px, half their longer side) added on every side."""
    margin = np.maximum(PLACEBO_MARGIN, (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0.0) / 2)[:, None]
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)
