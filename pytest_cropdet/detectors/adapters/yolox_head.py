"""YOLOX's table before it is decoded: offsets and logarithms of sizes in the cells of grids at strides 8, 16 and 32."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.adapters.heads import Found, Tensors
from pytest_cropdet.detectors.adapters.yolo_heads import NMS_IOUS, YoloHead, YoloLayout
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import Floats

__all__ = ["YoloxHead", "choose_yolox_head", "grid"]

YOLOX_STRIDES = ((8, 16, 32), (8, 16, 32, 64))  # of the grids: usual, and models with a P6
LARGEST_LOGARITHM = 20.0  # of a size in cells; beyond it a number is no logarithm of one


@dataclass(frozen=True, slots=True)
class YoloxHead:
    """Rows that ``head`` reads once boxes are decoded; ``cells``: column, row and stride of the cell of each."""

    head: YoloHead
    cells: Floats

    @property
    def most(self) -> int:
        """The most detections of an image."""
        return self.head.most

    @property
    def place(self) -> int:
        """Which output it reads."""
        return self.head.place

    def read(self, tensors: Tensors, row: int) -> Found:
        """Return the best boxes of image ``row``, in pixels of the input."""
        plain = replace(self.head, layout=replace(self.head.layout, transposed=False))
        found = plain.candidates(self.decoded(tensors[self.place][row]))
        return found.suppressed(self.head.nms_iou, self.most)

    def decoded(self, table: NDArray[Any]) -> Floats:
        """Return the table of one image with a row per box, centre and size in pixels of the input."""
        table = self.head.layout.rows(table).astype(np.float64)
        if len(table) != len(self.cells):
            raise DetectorError(
                f"head=yolox: its output has {len(table):,} rows, and the input that it was loaded with has "
                f"{len(self.cells):,} cells; give it images of one size: --cropdet-detector pad=max_side"
            )
        if np.nanmax(table[:, 2:4], initial=0.0) > LARGEST_LOGARITHM:
            raise DetectorError(
                f"head=yolox: a size is {np.nanmax(table[:, 2:4]):.4g}, so boxes are decoded already; set "
                "--cropdet-detector head=yolo_objectness"
            )
        stride = self.cells[:, 2:]
        parts = [(table[:, :2] + self.cells[:, :2]) * stride, np.exp(table[:, 2:4]) * stride, table[:, 4:]]
        return np.concatenate(parts, axis=1)


def grid(height: int, width: int, strides: tuple[int, ...]) -> Floats:
    """Return column, row and stride of each cell, from fine to coarse, row by row.

    >>> grid(16, 16, (8, 16)).tolist()
    [[0.0, 0.0, 8.0], [1.0, 0.0, 8.0], [0.0, 1.0, 8.0], [1.0, 1.0, 8.0], [0.0, 0.0, 16.0]]
    """
    parts = []
    for stride in strides:
        rows, columns = np.mgrid[0 : height // stride, 0 : width // stride]
        parts.append(np.stack([columns.ravel(), rows.ravel(), np.full(rows.size, stride)], axis=1))
    return np.concatenate(parts).astype(np.float64)


def choose_yolox_head(
    table: NDArray[Any], place: int, size: tuple[int, int], given: Description
) -> tuple[YoloxHead, Description]:
    """Return how a table [rows, 5 + categories], or its transpose, is decoded, and the description with its units.

    ``table``: what the model answers to one image; ``place``: among the outputs. ``size``: height and width of the
    input in pixels.
    """
    given.refuse("head=yolox reads centre and size in cells", "boxes")
    described = given.filled(units="input")
    if described.units != "input":
        raise DetectorError(f"units={given.units}: head=yolox reads boxes in cells; remove it from --cropdet-detector")
    shown = f"its output [N, {table.shape[0]}, {table.shape[1]}]"
    grids = [grid(*size, strides) for strides in YOLOX_STRIDES]
    cells = next((each for each in grids if len(each) in table.shape), None)
    if cells is None:
        known = " or ".join(f"{len(each):,}" for each in grids)
        raise DetectorError(
            f"head=yolox: {shown} has no {known} rows, the cells of an input of {size[1]} x {size[0]} pixels"
        )
    transposed = table.shape[0] != len(cells)
    layout = YoloLayout(transposed, True, table.shape[int(not transposed)] - 5)
    if layout.categories < 1:
        raise DetectorError(f"head=yolox: {shown} has no column for a category")
    nms_iou = float(described.require("nms_iou", f"raw boxes find an object many times ({NMS_IOUS})"))
    first = int(given.first_category or 0)
    plain = YoloHead(place, layout, nms_iou, activation=given.activation or "none", first=first)
    head = YoloxHead(plain, cells)
    head.decoded(table)  # whether its numbers are logarithms of sizes
    return head, described
