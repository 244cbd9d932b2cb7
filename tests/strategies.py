"""Small scenes: objects on a fine grid, and windows that cut them.

Everything is drawn as a margin, a whole number that shrinks to 0: a box shrinks to the whole frame and a window to the
whole image, so what is left of a failure says how much of which side it takes. Nothing is filtered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from pytest_cropdet.boxes import Boxes
from pytest_cropdet.crops import Crop
from pytest_cropdet.masks import Mask
from pytest_cropdet.samples import Detections, GroundTruth

GRID = 4  # boxes lie on quarters of a pixel, where sums and products of this size are exact
LONGEST = 9

lengths = st.integers(1, LONGEST)
thresholds = st.sampled_from([0.5, 0.25, 0.75, 1.0])
steps = st.sampled_from([4, 2, 1])


@dataclass(frozen=True)
class Scene:
    """Objects in a frame, a window of it, and a window of that window."""

    width: int
    height: int
    truth: GroundTruth
    crop: Crop
    inner: Crop
    threshold: float = 0.5

    @property
    def all_of_it(self) -> Crop:
        return Crop(0, 0, self.width, self.height)


@st.composite
def spans(draw: st.DrawFn, length: int) -> tuple[int, int]:
    """A first and a last + 1 of 0 to ``length``, as two margins."""
    before = draw(st.integers(0, length - 1))
    return before, length - draw(st.integers(0, length - 1 - before))


@st.composite
def windows(draw: st.DrawFn, width: int, height: int) -> Crop:
    left, right = draw(spans(width))
    top, bottom = draw(spans(height))
    return Crop(left, top, right - left, bottom - top)


@st.composite
def boxes(draw: st.DrawFn, width: int, height: int) -> tuple[float, float, float, float]:
    """A box on whole, half or quarter pixels."""
    step = draw(steps)
    left, right = draw(spans(width * GRID // step))
    top, bottom = draw(spans(height * GRID // step))
    unit = step / GRID
    return left * unit, top * unit, right * unit, bottom * unit


@st.composite
def odd_boxes(draw: st.DrawFn, width: int, height: int) -> tuple[float, float, float, float]:
    """A box on sevenths of a pixel, none of which is exact in binary."""
    left, right = draw(spans(width * 7))
    top, bottom = draw(spans(height * 7))
    return left / 7, top / 7, right / 7, bottom / 7


@st.composite
def masks(draw: st.DrawFn, width: int, height: int, box: tuple[float, float, float, float]) -> Mask:
    """Some of the pixels that a box touches: every ``stride``-th, counted along the rows; never none."""
    stride = draw(st.integers(1, 5))
    pixels = np.zeros((height, width), bool)
    left, top, right, bottom = (int(np.floor(v)) for v in (box[0], box[1], -(-box[2] // 1), -(-box[3] // 1)))
    inside = np.zeros((bottom - top) * (right - left), bool)
    inside[draw(st.integers(0, min(stride, len(inside)) - 1)) :: stride] = True
    pixels[top:bottom, left:right] = inside.reshape(bottom - top, right - left)
    return Mask.encode(pixels)


def truth_of(rows: list[tuple[float, ...]], crowd: list[bool] | None = None, masks: tuple[Mask | None, ...] = ()):
    """Ground truth in which no number of one column could be taken for one of another."""
    count = len(rows)
    return GroundTruth(
        boxes=np.array(rows, dtype=np.float64).reshape(-1, 4),
        categories=np.arange(count) % 3 + 20,
        ids=np.arange(count) * 7 + 1,
        crowd=np.zeros(count, bool) if crowd is None else np.array(crowd, bool),
        masks=masks,
    )


@st.composite
def scenes(draw: st.DrawFn, *, masked: bool = False, odd: bool = False) -> Scene:
    """Up to four objects, some of them crowds; with ``masked`` some have masks, with ``odd`` no box is exact."""
    width, height = draw(lengths), draw(lengths)
    rows = draw(st.lists((odd_boxes if odd else boxes)(width, height), max_size=4))
    crowd = [draw(st.booleans()) for _ in rows]
    drawn = tuple(draw(st.none() | masks(width, height, row)) for row in rows) if masked else ()
    crop = draw(windows(width, height))
    inner = draw(windows(crop.width, crop.height))
    return Scene(width, height, truth_of(rows, crowd, drawn), crop, inner, draw(thresholds))


@st.composite
def framed_boxes(draw: st.DrawFn, count: int = 3) -> tuple[int, int, Boxes]:
    """A frame's sides and boxes in it, on the grid."""
    width, height = draw(lengths), draw(lengths)
    rows = draw(st.lists(boxes(width, height), max_size=count))
    return width, height, np.array(rows, dtype=np.float64).reshape(-1, 4)


def detections_of(truth: GroundTruth) -> Detections:
    """A detector's answer that finds exactly the objects."""
    count = len(truth)
    return Detections(truth.boxes, np.arange(count, 0, -1) / (count + 1), truth.categories)
