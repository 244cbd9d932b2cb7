"""Raw heads of the YOLO family: one table of boxes and class scores for each image, in every layout of exporters.

| layout | written by |
|---|---|
| [N, rows, 5 + categories], with an objectness | YOLOv3, v4, v5, v6, v7, YOLOX |
| [N, 4 + categories, rows], without one | YOLOv8, v9, v11, v12 |
| the same two with the axes exchanged | converters that move channels last |

A score is objectness times class score. As in the validation that these models are published with, a box may be found
under several categories, every score above 0.001 counts, duplicates are suppressed within a category, and the best 300
remain. Boxes are ``cxcywh`` unless the user says something else. Pure NumPy: any runtime may hand its tensors over.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.adapters.heads import SLACK, Found, Tensors, activate, read_scores
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import from_format

__all__ = [
    "YOLO_HEADS",
    "YoloHead",
    "YoloLayout",
    "choose_yolo_head",
    "grid_rows",
    "is_yolo_table",
    "measured_units",
    "yolo_layout",
]

YOLO_HEADS = ("yolo", "yolo_objectness")  # values of head= that name a raw table
LEAST_YOLO_SCORE = 0.001  # the score above which a box and category count in the validation of these models
MOST_YOLO_BOXES = 300  # that remain of an image there
NMS_IOUS = "0.7 is the one of the validation of YOLOv8 to v12, 0.6 of YOLOv5, 0.65 of YOLOv6, v7 and YOLOX"
STRIDES = ((8, 16, 32), (16, 32), (4, 8, 16, 32), (8, 16, 32, 64))  # of the grids: usual, tiny, P2 and P6 models
ANCHORS_PER_CELL = (1, 3)
BEYOND = 2.0  # no box of 0 to 1 reaches further
SPREAD_OVER_CELLS = 0.3  # of the input: over the cells of a grid, centres of 0 to 1 are spread further


@dataclass(frozen=True, slots=True)
class YoloLayout:
    """How a table lies: ``transposed`` where a box is a column, and what its numbers are.

    After the four numbers of a box an ``objectness``, if there is one, the scores of ``categories``, and ``extra``
    numbers that no detection needs, such as the coefficients of masks.
    """

    transposed: bool
    objectness: bool
    categories: int
    extra: int = 0

    def rows(self, table: NDArray[Any]) -> NDArray[Any]:
        """Return the table of one image with one row per box."""
        return table.T if self.transposed else table


@dataclass(frozen=True, slots=True)
class YoloHead:
    """One tensor [N, ...] of raw boxes, at ``place`` among the outputs, suppressed by us.

    ``order``: of the four numbers. ``activation``: what makes its scores 0 to 1. ``first``: its first category.
    """

    place: int
    layout: YoloLayout
    nms_iou: float
    order: str = "cxcywh"
    activation: str = "none"
    first: int = 0
    most: int = MOST_YOLO_BOXES

    def read(self, tensors: Tensors, row: int) -> Found:
        """Return the best boxes of image ``row``, in the units of the table."""
        return self.candidates(tensors[self.place][row]).suppressed(self.nms_iou, self.most)

    def candidates(self, table: NDArray[Any]) -> Found:
        """Return every box under each category with a score above 0.001.

        >>> head = YoloHead(0, YoloLayout(transposed=False, objectness=True, categories=2), nms_iou=0.7)
        >>> found = head.candidates(np.array([[50.0, 40.0, 20.0, 10.0, 0.5, 1.0, 0.5], [0.0] * 7]))
        >>> found.boxes.tolist(), found.scores.tolist(), found.numbers.tolist()
        ([[40.0, 35.0, 60.0, 45.0], [40.0, 35.0, 60.0, 45.0]], [0.5, 0.25], [0, 1])
        """
        rows = self.layout.rows(table)
        first = 4 + int(self.layout.objectness)
        if not np.isfinite(rows[:, : first + self.layout.categories]).all():
            raise DetectorError("its output contains numbers that are not finite (NaN or infinite)")
        scores = activate(rows[:, first : first + self.layout.categories], self.activation)
        if self.layout.objectness:
            scores = scores * activate(rows[:, 4:5], "sigmoid" if self.activation != "none" else "none")
        places, columns = np.nonzero(scores > LEAST_YOLO_SCORE)
        boxes = from_format(rows[:, :4].astype(np.float64), self.order)[places]
        return Found(boxes, read_scores(scores[places, columns]), columns.astype(np.int64) + self.first)


def grid_rows(height: int, width: int) -> set[int]:
    """Return how many boxes a YOLO may have for an input of that size: cells of its grids, one or three boxes each.

    >>> sorted(grid_rows(640, 640))[:3]
    [2000, 6000, 8400]
    """
    cells = [sum(-(-height // stride) * -(-width // stride) for stride in strides) for strides in STRIDES]
    return {count * anchors for count, anchors in product(cells, ANCHORS_PER_CELL)}


def is_yolo_table(
    shape: Sequence[int], size: tuple[int, int], given: Description, categories: int | None, extra: int = 0
) -> bool:
    """Whether an output of ``shape`` (rows and columns, without the batch) is a raw table of a YOLO.

    The user says so with ``head``, or one of its sides is the number of boxes for an input of ``size`` (height, width),
    or the other has the columns of ``categories``. Six columns alone may be decoded boxes, and prove nothing, unless
    there are more rows than any suppression leaves.
    """
    if given.head is not None:
        return given.head in YOLO_HEADS
    if shape[1] == 6 + extra and shape[0] <= MOST_YOLO_BOXES:
        return False
    grid = grid_rows(*size)
    if any(side in grid and other > 4 + extra for side, other in (shape, shape[::-1])):
        return True
    if categories is None or shape[1] == 6:
        return False
    return any(side - extra - categories in (4, 5) and other > side for side, other in (shape, shape[::-1]))


def yolo_layout(
    shape: Sequence[int], size: tuple[int, int], given: Description, categories: int | None, extra: int = 0
) -> YoloLayout:
    """Return the layout of a table of ``shape``; ``DetectorError`` says what is needed where shapes leave it open.

    ``size``: height and width of the input in pixels. ``categories``: their number, where it is known. ``extra``:
    columns at the end that are no scores.

    >>> yolo_layout((84, 8400), (640, 640), Description(), 80)
    YoloLayout(transposed=True, objectness=False, categories=80, extra=0)
    """
    found = list(_possible(shape, given.head, extra))
    fitting = [each for each in found if categories in (None, each.categories)]
    grid = grid_rows(*size)
    on_grid = [each for each in fitting if shape[int(each.transposed)] in grid]
    fitting = on_grid or fitting
    shown = f"its output [N, {shape[0]}, {shape[1]}]"
    if not fitting:
        numbers = sorted({each.categories for each in found if each.categories < max(shape) // 2})
        raise DetectorError(
            f"{shown} has {' or '.join(map(str, numbers)) or 'no'} categories, and {categories} names are known; set "
            "--cropdet-detector labels=FILE with a name for each category"
        )
    if len({each.transposed for each in fitting}) > 1:
        raise DetectorError(
            f"{shown} may have a box in each row or in each column; set --cropdet-detector labels=FILE with a name for "
            "each category, which decides it, or write a package.module:factory"
        )
    if len(fitting) > 1:
        without, with_objectness = sorted((each.categories for each in fitting), reverse=True)
        given.require(
            "head",
            f"{shown} may have {without} categories (head=yolo: YOLOv8 and later), or an objectness and "
            f"{with_objectness} categories (head=yolo_objectness: YOLOv3 to v7, YOLOX); labels=FILE with a "
            "name for each category decides it, too",
            *YOLO_HEADS,
        )
    return fitting[0]


def _possible(shape: Sequence[int], head: str | None, extra: int) -> Iterator[YoloLayout]:
    for transposed, objectness in product((False, True), repeat=2):
        categories = shape[int(not transposed)] - 4 - int(objectness) - extra
        if categories > 0 and head in (None, YOLO_HEADS[int(objectness)]):
            yield YoloLayout(transposed, objectness, categories, extra)


def measured_units(boxes: NDArray[Any], size: tuple[int, int]) -> str | None:
    """Return the units that raw boxes (rows, 4) themselves prove, ``None`` where they prove nothing.

    Every cell of a grid answers with a box near itself, also for an empty image: numbers far above 1 are pixels of the
    input, and centres that are spread over 0 to 1 are normalised. ``size``: height and width of the input in pixels.
    """
    centres = boxes[:, :2].astype(np.float64)
    if min(size) <= BEYOND or not len(centres) or not np.isfinite(centres).all():
        return None
    if np.abs(centres).max() > BEYOND:
        return "input"
    low, high = np.percentile(centres, (5, 95), axis=0)
    return "normalized" if (high - low).min() > SPREAD_OVER_CELLS else None


def choose_yolo_head(
    table: NDArray[Any],
    place: int,
    size: tuple[int, int],
    given: Description,
    categories: int | None,
    extra: int = 0,
) -> tuple[YoloHead, Description]:
    """Return how a raw table is read, and the description with what its kind and its numbers decide.

    ``table``: what the model answers to one image, [rows, columns] or [columns, rows]; ``place``: among the outputs.
    """
    layout = yolo_layout(table.shape, size, given, categories, extra)
    refuse_undecoded(layout.rows(table))
    units = measured_units(layout.rows(table)[:, :4], size)
    if units is not None and given.units not in (None, units):
        said = "pixels of its input" if units == "input" else "0 to 1"
        raise DetectorError(f"units={given.units}: its boxes are in {said}; set --cropdet-detector units={units}")
    described = given.filled(boxes="cxcywh", units=units, head=YOLO_HEADS[int(layout.objectness)])
    why = "the file does not say whether boxes are in 0..1 or in pixels of its input"
    described.require("units", why, "normalized", "input")
    last = 4 + int(layout.objectness) + layout.categories
    _check_activation(layout.rows(table)[:, 4:last].astype(np.float64), given)
    nms_iou = described.require("nms_iou", f"its raw boxes find an object many times, and need an NMS IoU ({NMS_IOUS})")
    head = YoloHead(
        place,
        layout,
        float(nms_iou),
        str(described.boxes),
        described.activation or "none",
        int(described.first_category or 0),
    )
    return head, described


def refuse_undecoded(rows: NDArray[Any]) -> None:
    """Raise ``DetectorError`` for a table with a row per box whose sizes are below 0: they are logarithms."""
    if rows.size and np.nanmin(rows[:, 2:4]) < 0:
        raise DetectorError(
            f"a width or height in its table is {np.nanmin(rows[:, 2:4]):.4g}, so its boxes are not decoded; for "
            "YOLOX set --cropdet-detector head=yolox, for any other write a function that decodes them and name it as "
            "package.module:factory"
        )


def _check_activation(scores: NDArray[np.float64], given: Description) -> None:
    """Raise ``DetectorError`` where raw scores themselves show that ``activation`` is missing, or one too many."""
    low, high = (float(scores.min()), float(scores.max())) if scores.size else (0.0, 0.0)
    if low < -SLACK or high > 1 + SLACK:
        if given.activation in (None, "none"):
            why = f"its class scores go from {low:.4g} to {high:.4g}, so they are no probabilities"
            Description().require("activation", why, "sigmoid", "softmax")
    elif low < high and given.activation not in (None, "none"):
        raise DetectorError(
            f"activation={given.activation}: its class scores are 0 to 1 already; remove activation= from "
            "--cropdet-detector"
        )
