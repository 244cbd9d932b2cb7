"""Heads with a score for each category of each box: queries of a DETR, or boxes and scores that the user names."""

from pytest_cropdet.detectors.adapters.detection_lists import QueryTable
from pytest_cropdet.detectors.adapters.heads import MOST_KEPT
from pytest_cropdet.detectors.adapters.onnx_graph import OnnxGraph
from pytest_cropdet.detectors.adapters.onnx_input import OnnxInput
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.label_files import Labels, Proof
from pytest_cropdet.errors import DetectorError

__all__ = ["choose_pair", "choose_queries"]


def choose_queries(
    graph: OnnxGraph, image: OnnxInput, boxes: int, logits: int, given: Description, labels: Labels | None
) -> tuple[QueryTable, Description, Proof]:
    """Return how ``pred_boxes`` and logits of a DETR are read; its boxes are centre and size in 0..1.

    Softmax: a query is of its best category, and the last column is "no object". Sigmoid: no such column, and each
    score counts.
    """
    queries, columns = _shape(graph, boxes, logits)
    described = given.filled(boxes="cxcywh", units="normalized")
    activation = _activation(
        graph, logits, described, "softmax in DETR, whose last column is 'no object'; sigmoid in RT-DETR and others"
    )
    if not image.has_pixels:
        why = "its outputs have the names of a DETR, some of which take pixels less a mean (0,0,0: this one does not)"
        described.require("mean", why)
    no_object = "softmax" in (activation, graph.activation_of(logits))
    last = columns - int(no_object)
    first = _first(described, labels, last, graph.outputs[logits].name)
    described = described.filled(first_category=first)
    head = QueryTable(
        boxes, logits, str(described.boxes), activation, first, queries, no_object, no_object, described.nms_iou
    )
    return head, described, _proof(graph, logits, columns, first, last)


def choose_pair(
    graph: OnnxGraph, boxes: int, scores: int, given: Description, labels: Labels | None
) -> tuple[QueryTable, Description, Proof]:
    """Return how boxes [N, Q, 4] and scores [N, Q, C] that the user named are read."""
    _, columns = _shape(graph, boxes, scores)
    given.require("boxes", "the file does not say in which order the four numbers of a box are")
    why = "the file does not say whether boxes are in 0..1 or in pixels of its input"
    given.require("units", why, "normalized", "input")
    why = "boxes with a score for each category may find an object many times (nms_iou=1 removes nothing)"
    nms_iou = float(given.require("nms_iou", why, "0.5", "1"))
    activation = _activation(graph, scores, given, "the file does not say whether its scores are probabilities")
    first = 0 if given.first_category is None else given.first_category
    known = 0 if labels is None else len(labels.lines) or len(labels.own)
    if known not in (columns, columns - 1):
        raise DetectorError(
            f"its scores have {columns} columns and {known or 'no'} names are known, so whether one of them is the "
            f"background is open; set --cropdet-detector labels=FILE with {columns - 1} or {columns} names"
        )
    if known == columns and first:
        raise DetectorError(
            f"first_category={first}: its scores have {columns} columns, one for each of the {known} names, so the "
            "first category is that of column 0; set --cropdet-detector first_category=0"
        )
    if known < columns:
        why = (
            f"its scores have {columns} columns and {known} names are known, so the first column (as in SSD: the first "
            "category has number 1) or the last one (as in DETR: it has number 0) is no category"
        )
        first = int(given.require("first_category", why))
    described = given.filled(first_category=first)
    last = first + known
    head = QueryTable(boxes, scores, str(given.boxes), activation, first, MOST_KEPT, last < columns, nms_iou=nms_iou)
    return head, described, _proof(graph, scores, columns, first, last)


def _proof(graph: OnnxGraph, scores: int, columns: int, first: int, last: int) -> Proof:
    without = f" without {columns - last + first} for no object" if last - first < columns else ""
    return Proof(last - first, f"the {columns} columns of its output {graph.outputs[scores].name}{without}")


def _shape(graph: OnnxGraph, boxes: int, scores: int) -> tuple[int, int]:
    """Return queries and columns; ``DetectorError`` for shapes that do not fit each other."""
    one, other = graph.tensors[boxes].shape, graph.tensors[scores].shape
    if len(one) != 3 or one[2] != 4 or len(other) != 3 or one[:2] != other[:2]:
        raise DetectorError(
            f"its boxes ({graph.outputs[boxes]}) and scores ({graph.outputs[scores]}) are not [N, Q, 4] and [N, Q, C]; "
            "for a list of detections set --cropdet-detector outputs=boxes:NAME,scores:NAME,classes:NAME"
        )
    return one[1], other[2]


def _activation(graph: OnnxGraph, place: int, given: Description, why: str) -> str:
    inside = graph.activation_of(place)
    if inside is not None and given.activation not in (None, "none"):
        raise DetectorError(
            f"activation={given.activation}: a {inside} is the last step inside the file, so its class scores are "
            "probabilities already; remove activation= from --cropdet-detector"
        )
    if inside is not None:
        return "none"
    return str(given.require("activation", f"its class scores are logits or probabilities: {why}"))


def _first(given: Description, labels: Labels | None, last: int, name: str) -> int:
    """Return the first column that is a category: as the user says, or as the names fit."""
    if given.first_category is not None:
        return int(given.first_category)
    fitting: dict[int, dict[int, str]] = {}
    for first in (0, 1):
        try:
            if labels is not None:
                fitting[first] = labels.count(first, Proof(last - first, name))
        except DetectorError:
            continue
    if fitting and all(each == next(iter(fitting.values())) for each in fitting.values()):
        return next(iter(fitting))
    why = f"the number of a category is its column in {name}, and the first category may be that of column 0 or 1"
    return int(given.require("first_category", why))
