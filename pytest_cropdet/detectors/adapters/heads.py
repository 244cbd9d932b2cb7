"""What comes out of a model that ends in tensors: each kind of ending, read for one image of a batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.anchors import Anchors
from pytest_cropdet.detectors.nms import suppress
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import Boxes, Floats, Ints, from_format

__all__ = ["AnchorHead", "Found", "Head", "ListHead", "RowsHead"]

MOST_KEPT = 100  # detections of an image that a raw head keeps, as evaluators count them
LEAST_SCORE = 0.01  # below it a raw head's scores, one an anchor and category, are no detections
SLACK = 0.01  # scores that were quantised may leave 0..1 by that much
NUMBER_SLACK = 0.25  # categories that were quantised may lie that far from a whole number
NAME_OUTPUTS = (
    "is another output the categories? set --cropdet-detector outputs=boxes:NAME,classes:NAME,scores:NAME,count:NAME"
)
RAW_TABLE = (
    "if the rows are raw boxes of a YOLO, set --cropdet-detector head=yolo (YOLOv8 and later) or head=yolo_objectness"
)
Tensors = Sequence[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Found:
    """What a head says of one image: boxes ``x0 y0 x1 y1`` in its own units, categories by its own numbers."""

    boxes: Boxes
    scores: Floats
    numbers: Ints
    capped: bool = False

    def suppressed(self, nms_iou: float | None, most: int) -> "Found":
        """Return what our suppression leaves, best first; with ``nms_iou`` ``None`` all of it, as it is.

        ``most``: rows that may be returned; ``capped`` says that they are as many.
        """
        if nms_iou is None:
            return Found(self.boxes, self.scores, self.numbers, capped=len(self.scores) >= most)
        rows = suppress(self.boxes, self.scores, self.numbers, nms_iou, most)
        return Found(self.boxes[rows], self.scores[rows], self.numbers[rows], capped=len(rows) >= most)


class Head(Protocol):
    """One kind of ending."""

    @property
    def most(self) -> int:
        """The most detections of an image."""
        ...

    def read(self, tensors: Tensors, row: int) -> Found:
        """Return what the tensors, in the order of the model's outputs, say of image ``row`` of the batch."""
        ...


@dataclass(frozen=True, slots=True)
class ListHead:
    """A list of detections, suppressed inside: ``places`` of boxes, classes, scores and perhaps count."""

    places: Mapping[str, int]
    boxes: str
    most: int
    nms_iou: float | None = None

    def read(self, tensors: Tensors, row: int) -> Found:
        """Return the rows up to the count; without one, those with a score above 0."""
        scores = tensors[self.places["scores"]][row]
        if "count" in self.places:
            given = min(int(np.rint(np.ravel(tensors[self.places["count"]])[row])), self.most)
            rows = np.arange(max(0, given))
        else:
            rows = np.flatnonzero(scores > 0)
        boxes = tensors[self.places["boxes"]][row][rows].astype(np.float64)
        found = Found(
            from_format(boxes, self.boxes),
            read_scores(scores[rows]),
            as_numbers(tensors[self.places["classes"]][row][rows]),
        )
        return found.suppressed(self.nms_iou, self.most)


@dataclass(frozen=True, slots=True)
class RowsHead:
    """One tensor [N, rows, 6]: a box, its score and its category; rows that score 0 are filling.

    ``start``: the numbers before them, such as that of the image. What follows the six, such as the coefficients of
    masks, is passed over.
    """

    place: int
    boxes: str
    most: int
    nms_iou: float | None = None
    start: int = 0

    def read(self, tensors: Tensors, row: int) -> Found:
        """Return the rows with a score above 0."""
        table = tensors[self.place][row].astype(np.float64)[:, self.start :]
        table = table[table[:, 4] > 0]
        numbers = as_numbers(table[:, 5], RAW_TABLE)
        found = Found(from_format(table[:, :4], self.boxes), read_scores(table[:, 4]), numbers)
        return found.suppressed(self.nms_iou, self.most)


@dataclass(frozen=True, slots=True)
class AnchorHead:
    """Raw heads: encodings [N, A, 4] and scores [N, A, C]; ``background``: the first column of C is no category.

    Decoded against the anchors and suppressed by us; the best ``most`` remain.
    """

    encodings: int
    scores: int
    anchors: Anchors
    activation: str
    background: bool
    first: int
    nms_iou: float
    most: int = MOST_KEPT

    def read(self, tensors: Tensors, row: int) -> Found:
        """Return the best boxes of one image."""
        scores = activate(tensors[self.scores][row], self.activation)[:, int(self.background) :]
        rows, columns = np.nonzero(scores >= LEAST_SCORE)
        boxes = self.anchors.decode(tensors[self.encodings][row])[rows]
        found = Found(boxes, read_scores(scores[rows, columns]), columns.astype(np.int64) + self.first)
        return found.suppressed(self.nms_iou, self.most)


def activate(values: NDArray[Any], activation: str) -> Floats:
    """Return raw scores (A, C) as probabilities.

    >>> activate(np.array([[0.0, 0.0]]), "softmax")
    array([[0.5, 0.5]])
    """
    raw = values.astype(np.float64)
    if activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(raw, -700, 700))))
    if activation == "softmax":
        powers = np.exp(raw - raw.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
    if raw.size and (raw.min() < -SLACK or raw.max() > 1 + SLACK):
        raise DetectorError(
            f"its class scores go from {raw.min():.4g} to {raw.max():.4g}, so they are no probabilities; set "
            "--cropdet-detector activation=sigmoid|softmax"
        )
    return raw


def read_scores(values: NDArray[Any]) -> Floats:
    """Return scores as float64 in 0 to 1; what cannot be scores is a ``DetectorError``."""
    scores = values.astype(np.float64)
    if scores.size and not (scores.min() >= -SLACK and scores.max() <= 1 + SLACK):
        raise DetectorError(
            f"its scores go from {scores.min():.4g} to {scores.max():.4g}, not 0 to 1; is another output the scores? "
            "set --cropdet-detector outputs=boxes:NAME,classes:NAME,scores:NAME,count:NAME"
        )
    return np.clip(scores, 0.0, 1.0)


def as_numbers(values: NDArray[Any], fix: str = NAME_OUTPUTS) -> Ints:
    """Return category numbers as integers; what cannot be categories is a ``DetectorError`` with the ``fix``."""
    numbers = np.rint(values.astype(np.float64))
    if numbers.size and np.abs(numbers - values).max() > NUMBER_SLACK:
        raise DetectorError(f"its categories are no whole numbers; {fix}")
    return numbers.astype(np.int64)
