"""Lists of detections as exporters write them: by outputs, in rows of six or seven numbers, or a score per category."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.adapters.heads import LEAST_SCORE, Found, Tensors, activate, as_numbers, read_scores
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import from_format

__all__ = ["ANY_LENGTH", "BatchRows", "DetectionList", "QueryTable", "RowTable"]

ANY_LENGTH = 1 << 31  # rows of a list whose length changes from image to image
PADDING = -1.0  # of scores and categories, in rows that are no detections
LOGITS = 0.01  # below 0 by more than that no score lies, but for padding


@dataclass(frozen=True, slots=True)
class DetectionList:
    """``places`` of boxes, classes, scores and perhaps count among the outputs.

    ``boxes``: order of the four numbers. ``first``: number of the first category; rows with a lower one are padding.
    ``activation``: what makes the scores 0 to 1.
    """

    places: Mapping[str, int]
    boxes: str
    first: int
    most: int
    activation: str = "none"
    nms_iou: float | None = None

    def read(self, tensors: Tensors, row: int) -> Found:
        """Return the rows of image ``row`` that are detections."""
        scores = np.ravel(tensors[self.places["scores"]][row])
        rows = len(scores)
        if "count" in self.places:
            count = float(np.ravel(tensors[self.places["count"]])[row])
            if not 0 <= count < np.inf:
                raise DetectorError(f"its count of detections is {count:.4g}; is another output the count?")
            rows = min(rows, round(count))
        boxes = tensors[self.places["boxes"]][row].reshape(-1, 4)[:rows]
        classes = np.ravel(tensors[self.places["classes"]][row])[:rows]
        return self.found(boxes, scores[:rows], classes, counted="count" in self.places)

    def found(
        self, boxes: NDArray[Any], scores: NDArray[Any], classes: NDArray[Any], *, counted: bool = False
    ) -> Found:
        """Return rows as detections, without padding: categories below the first, scores of 0 where nothing counts."""
        given = activated(scores, self.activation)
        kept = (classes >= self.first) & ((given > 0) | counted)
        found = Found(
            from_format(boxes[kept].astype(np.float64), self.boxes),
            read_scores(given[kept]),
            as_numbers(classes[kept]),
        )
        return found.suppressed(self.nms_iou, self.most)


@dataclass(frozen=True, slots=True)
class RowTable:
    """One tensor [N, rows, 6]: a box, its score and its category; ``start``: how many numbers are before them."""

    place: int
    list: DetectionList
    start: int = 0

    @property
    def most(self) -> int:
        """The most detections of an image."""
        return self.list.most

    def read(self, tensors: Tensors, row: int) -> Found:
        """Return the rows that are detections."""
        table = tensors[self.place][row][:, self.start :]
        return self.list.found(table[:, :4], table[:, 4], table[:, 5])


@dataclass(frozen=True, slots=True)
class BatchRows:
    """One tensor [rows, 7] for all images of a batch: which image, a box, its category and its score."""

    place: int
    list: DetectionList

    @property
    def most(self) -> int:
        """The most detections of an image."""
        return self.list.most

    def read(self, tensors: Tensors, row: int) -> Found:
        """Return the rows of image ``row``."""
        table = tensors[self.place]
        table = table[table[:, 0] == row]
        return self.list.found(table[:, 1:5], table[:, 6], table[:, 5])


@dataclass(frozen=True, slots=True)
class QueryTable:
    """Boxes [N, Q, 4] and class scores [N, Q, C]: the number of a category is its column.

    ``no_object``: the last column stands for "no object". ``single``: a query has one category, its best; else each
    score counts, and the best ``most`` remain. Columns before ``first`` are no categories.
    """

    boxes: int
    scores: int
    order: str
    activation: str
    first: int
    most: int
    no_object: bool = False
    single: bool = False
    nms_iou: float | None = None

    def read(self, tensors: Tensors, row: int) -> Found:
        """Return the detections of image ``row``."""
        raw = tensors[self.scores][row]
        if not np.isfinite(raw).all():
            raise DetectorError("its class scores contain numbers that are not finite (NaN or infinite)")
        columns = activate(raw, self.activation)
        columns = columns[:, self.first : columns.shape[1] - int(self.no_object)]
        boxes = from_format(tensors[self.boxes][row].astype(np.float64), self.order)
        likely = columns >= LEAST_SCORE
        if self.single:
            likely &= np.arange(columns.shape[1]) == columns.argmax(axis=1)[:, None]
        rows, best = np.nonzero(likely)
        scores = read_scores(columns[rows, best])
        found = Found(boxes[rows], scores, best.astype(np.int64) + self.first)
        if self.nms_iou is not None:
            return found.suppressed(self.nms_iou, self.most)
        order = np.argsort(-scores, kind="stable")[: self.most]
        return Found(found.boxes[order], scores[order], found.numbers[order], capped=len(scores) >= self.most)


def activated(scores: NDArray[Any], activation: str) -> NDArray[np.float64]:
    """Return scores of a list as 0 to 1; ``DetectorError`` for logits that nothing is said of."""
    if activation == "softmax":
        raise DetectorError(
            "activation=softmax: a list has one score per box, which softmax makes 1; set --cropdet-detector "
            "activation=none|sigmoid"
        )
    if activation == "sigmoid":
        return activate(scores, activation)
    values = scores.astype(np.float64)
    below = values[(values < -LOGITS) & (values != PADDING)]
    if below.size or (values > 1 + LOGITS).any():
        shown = f"{values.min():.4g} to {values.max():.4g}"
        raise DetectorError(
            f"its scores go from {shown}, not 0 to 1: they may be logits (set --cropdet-detector activation=sigmoid), "
            "or another output contains the scores (set --cropdet-detector "
            "outputs=boxes:NAME,classes:NAME,scores:NAME,count:NAME)"
        )
    return values
