"""One table of boxes as a model's output: raw ones of the YOLO family, or rows that were suppressed inside."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.adapters.heads import Head, RowsHead
from pytest_cropdet.detectors.adapters.yolo_heads import choose_yolo_head, is_yolo_table
from pytest_cropdet.detectors.adapters.yolox_head import choose_yolox_head
from pytest_cropdet.detectors.description import Description

__all__ = ["box_order", "choose_table_head", "place_of_table"]

EFFICIENTDET_COLUMNS = 7
ROW_HEADS = ((None, "yolo_end2end"), ("efficientdet",))  # without and with a number before those of the box
Shapes = Sequence[Sequence[int] | None]  # of outputs, None for one that is the same for every image


def place_of_table(shapes: Shapes) -> int | None:
    """Return which output is the one table, where the only other one may be the prototypes of masks.

    >>> place_of_table([(1, 32, 160, 160), (1, 116, 8400)]), place_of_table([(1, 10, 4), (1, 10, 3)])
    (1, None)
    """
    ranks = {place: len(shape) for place, shape in enumerate(shapes) if shape is not None}
    tables = [place for place, rank in ranks.items() if rank == 3]
    masks = [place for place, rank in ranks.items() if rank == 4]
    return tables[0] if len(tables) == 1 and len(masks) == len(ranks) - 1 <= 1 else None


def choose_table_head(
    shapes: Shapes,
    table: NDArray[Any] | None,
    size: tuple[int, int],
    given: Description,
    categories: int | None,
    listed: str,
) -> tuple[Head, Description] | None:
    """Return how the one table among outputs of these ``shapes`` is read, ``None`` where they are something else.

    ``table``: what the model answers to an empty image, without the batch. Beside it may be the prototypes of masks,
    [N, height, width, M]: its last M columns are their coefficients then. ``size``: height and width of the input in
    pixels. ``listed``: the outputs, as messages show them.
    """
    place = place_of_table(shapes)
    if place is None:
        return None
    shape = tuple(shapes[place] or ())
    masks = [each for each in shapes if each is not None and len(each) == 4]
    extra = min(masks[0][1], masks[0][3]) if masks else 0
    if table is None:
        table = np.zeros(shape[1:])
    if given.head == "yolox":
        return choose_yolox_head(table, place, size, given)
    if is_yolo_table(shape[1:], size, given, categories, extra):
        return choose_yolo_head(table, place, size, given, categories, extra)
    start = int(shape[2] == EFFICIENTDET_COLUMNS and not extra)
    if shape[2] != 6 + extra + start or given.head not in ROW_HEADS[start]:
        if given.head is None and not start:
            return None
        given.refuse(f"its output is {listed}", "head")
        why = "its rows of 7 numbers may be EfficientDet's: image, y0 x0 y1 x1 in pixels of the input, score, category"
        given.require("head", why, "efficientdet")
    given.refuse("its output is rows of a box, a score and a category", "activation")
    described = given
    if given.head is not None:
        described = given.filled(boxes="yxyx", units="input") if start else given.filled(boxes="xyxy")
    return RowsHead(place, box_order(described), shape[1], given.nms_iou, start), described


def box_order(given: Description) -> str:
    """Return the order of a box's numbers; where that or their units are open, ``DetectorError``."""
    order = given.require("boxes", "the file does not say in which order the four numbers of a box are")
    why = "the file does not say whether boxes are in 0..1 or in pixels of its input"
    given.require("units", why, "normalized", "input")
    return str(order)
