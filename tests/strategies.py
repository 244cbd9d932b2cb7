"""Small scenes: objects on a fine grid, and windows that cut them, drawn by the public strategies.

Used by the property tests of what remaps ground truth: those of geometry/, of augment/, and of the mutants that
invariants/ must find.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from pytest_cropdet.crops.strategies import boxes, crops, ground_truths
from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.geometry.boxes import Boxes
from pytest_cropdet.geometry.crop import Crop
from pytest_cropdet.geometry.masks import Mask

GRID = 4  # boxes lie on quarters of a pixel, where sums and products of this size are exact
LONGEST = 9

lengths = st.integers(1, LONGEST)
thresholds = st.sampled_from([0.5, 0.25, 0.75, 1.0])


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


def truth_of(rows, crowd=None, masks: tuple[Mask | None, ...] = ()):
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
    drawn = draw(ground_truths(width, height, grid=7 if odd else GRID, masks=masked))
    crop = draw(crops(width, height))
    inner = draw(crops(crop.width, crop.height))
    truth = truth_of(drawn.boxes, drawn.crowd, drawn.masks)
    return Scene(width, height, truth, crop, inner, draw(thresholds))


@st.composite
def framed_boxes(draw: st.DrawFn, count: int = 3) -> tuple[int, int, Boxes]:
    """A frame's sides and boxes in it, on the grid."""
    width, height = draw(lengths), draw(lengths)
    return width, height, draw(boxes(width, height, max_count=count, grid=GRID))


def detections_of(truth: GroundTruth) -> Detections:
    """A detector's answer that finds exactly the objects."""
    count = len(truth)
    return Detections(truth.boxes, np.arange(count, 0, -1) / (count + 1), truth.categories)
