"""Which kind of outputs an ONNX file has, and what of them has to be set by the user.

| outputs | read as |
|---|---|
| names of the TensorFlow Object Detection API | a list, its conventions known |
| boxes, whole numbers, scores, perhaps a count | a list, told by types and shapes; or by ``outputs=`` |
| one table [N, rows, 6] or [rows, 7] | a list |
| one other table [N, rows, columns] | a raw head of the YOLO family, or YOLOX's grids |
| ``pred_boxes`` with ``pred_logits`` or ``logits`` | queries of a DETR |
| boxes [N, Q, 4] and scores [N, Q, C] by ``outputs=`` | a score for each category of each box |
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pytest_cropdet.detectors.adapters.detection_lists import ANY_LENGTH, BatchRows, DetectionList, RowTable
from pytest_cropdet.detectors.adapters.heads import Head
from pytest_cropdet.detectors.adapters.onnx_graph import OnnxGraph
from pytest_cropdet.detectors.adapters.onnx_input import OnnxInput
from pytest_cropdet.detectors.adapters.onnx_metadata import Metadata
from pytest_cropdet.detectors.adapters.onnx_queries import choose_pair, choose_queries
from pytest_cropdet.detectors.adapters.pyramid_levels import LEVELS_ADVICE, are_pyramid_levels
from pytest_cropdet.detectors.adapters.tensorflow_outputs import OUTPUT_WORDS, follows_the_api
from pytest_cropdet.detectors.adapters.yolo_heads import (
    YOLO_HEADS,
    choose_yolo_head,
    is_yolo_table,
)
from pytest_cropdet.detectors.adapters.yolox_head import choose_yolox_head
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.label_files import Labels, Proof
from pytest_cropdet.errors import DetectorError

__all__ = ["OnnxOutputs", "choose_onnx_head"]

LIST = ("boxes", "scores", "classes")
FUNCTION = "write a function that runs it in ONNX Runtime and returns Detections, and name it as package.module:factory"
LIST_NAMES = "--cropdet-detector outputs=boxes:NAME,scores:NAME,classes:NAME"


@dataclass(frozen=True, slots=True)
class OnnxOutputs:
    """A ``head``, the ``places`` of the outputs that it reads, and the description with what its kind decides.

    ``batched``: whether these outputs have an axis of images. ``proof``: of the number of categories.
    """

    head: Head
    places: tuple[int, ...]
    description: Description
    proof: Proof | None = None
    batched: bool = True


def choose_onnx_head(
    graph: OnnxGraph,
    image: OnnxInput,
    size: tuple[int, int],
    given: Description,
    labels: Labels | None,
    metadata: Metadata,
) -> OnnxOutputs:
    """Return how the outputs are read; ``DetectorError`` says what is needed, or that nobody can know.

    ``size``: height and width of the input in pixels; ``labels``: names of categories, where they are known.
    """
    roles = graph.roles(given)
    boxes, logits = graph.named("pred_boxes"), graph.named("pred_logits", "logits")
    places = [place for place, tensor in enumerate(graph.tensors) if tensor.ndim == 3]
    if not roles and None in (boxes, logits) and len(places) == 1 and graph.tensors[places[0]].shape[2] != 4:
        return _of_table(graph, places[0], image, size, given, labels, metadata)
    given.refuse(f"it says how one table is read, and its outputs are {graph.listed()}", "head")
    if roles:
        return _by_roles(graph, image, roles, given, labels)
    if boxes is not None and logits is not None:
        head, described, proof = choose_queries(graph, image, boxes, logits, given, labels)
        return OnnxOutputs(head, (boxes, logits), described, proof)
    if len(graph.tensors) == 1 and graph.tensors[0].ndim == 2 and graph.tensors[0].shape[1] == 7:
        described = _listed(given, image, "rows of an image, a box, a category and a score")
        return OnnxOutputs(BatchRows(0, _plain(described, ANY_LENGTH)), (), described)
    found = _typed_roles(graph)
    if found:
        return _by_roles(graph, image, found, given, labels)
    if are_pyramid_levels([tensor.shape for tensor in graph.tensors]):
        raise DetectorError(f"its outputs are {graph.listed()}. {LEVELS_ADVICE}")
    raise DetectorError(f"its outputs are {graph.listed()}, which no reader knows; {_proposal(graph)}")


def _by_roles(
    graph: OnnxGraph, image: OnnxInput, roles: Mapping[str, int], given: Description, labels: Labels | None
) -> OnnxOutputs:
    if set(LIST) <= set(roles):
        return _of_list(graph, image, roles, given)
    if {"boxes", "scores"} == set(roles):
        head, described, proof = choose_pair(graph, roles["boxes"], roles["scores"], given, labels)
        return OnnxOutputs(head, (roles["boxes"], roles["scores"]), described, proof)
    missing = " and ".join(role for role in ("boxes", "scores") if role not in roles) or "classes"
    raise DetectorError(f"outputs={given.outputs}: {missing} missing; it has {graph.listed()}")


def _of_list(graph: OnnxGraph, image: OnnxInput, roles: Mapping[str, int], given: Description) -> OnnxOutputs:
    tensors = {role: graph.tensors[place] for role, place in roles.items()}
    boxes = tensors["boxes"]
    batched = boxes.ndim != 2
    flat = {
        role: tensors[role].shape[:-1]
        if tensors[role].shape[-1:] == (1,) and tensors[role].ndim == boxes.ndim
        else tensors[role].shape
        for role in ("scores", "classes")
    }
    fits = boxes.ndim in (2, 3) and boxes.shape[-1] == 4 and set(flat.values()) == {boxes.shape[:-1]}
    count = tensors.get("count")
    if not fits or (count is not None and count.size != (len(boxes) if batched else 1)):
        shown = ", ".join(f"{role}: {graph.outputs[place]}" for role, place in roles.items())
        raise DetectorError(
            f"its outputs ({shown}) are no list of detections: boxes [N, rows, 4], scores and classes [N, rows], "
            f"count [N]; set {LIST_NAMES}"
        )
    if given.outputs is None and follows_the_api(output.name for output in graph.outputs):
        inside = {} if image.is_fixed else {"resize": "inside"}
        given = given.filled(boxes="yxyx", units="normalized", first_category=1, **inside)
    described = _listed(given, image, "a list of detections")
    declared = graph.outputs[roles["boxes"]].shape
    rows = declared[-2] if len(declared) == boxes.ndim else None
    head = _plain(described, rows if isinstance(rows, int) else ANY_LENGTH, roles)
    return OnnxOutputs(head, tuple(roles.values()), described, batched=batched)


def _listed(given: Description, image: OnnxInput, what: str) -> Description:
    """Return the description of a list, whose order, units and first category only its author knows."""
    described = given.filled(units="normalized") if image.scales_boxes else given
    torchvision = "; those of torchvision are xyxy, in pixels, from 1" if not image.batched else ""
    described.require("boxes", f"its outputs are {what}, with the four numbers of a box in any order{torchvision}")
    units = ("normalized", "input") if image.is_fixed else ("normalized", "pixels", "input")
    described.require("units", f"its outputs are {what}, with boxes in 0..1 or in pixels{torchvision}", *units)
    described.require(
        "first_category", f"its outputs are {what}, and the number of its first category may be 0 or 1{torchvision}"
    )
    return described


def _of_table(
    graph: OnnxGraph,
    place: int,
    image: OnnxInput,
    size: tuple[int, int],
    given: Description,
    labels: Labels | None,
    metadata: Metadata,
) -> OnnxOutputs:
    """Return how one tensor [N, rows, columns] is read."""
    table = graph.tensors[place][0]
    masks = [tensor.shape[1] for tensor in graph.tensors if tensor.ndim == 4 and metadata.has_masks]
    extra = masks[0] if len(masks) == 1 else 0
    if metadata.suppressed:
        given = given.filled(head="yolo_end2end")
    shape = (table.shape[0], table.shape[1])
    first = int(given.first_category or 0)
    names = None if labels is None else len(labels.count(first))
    if given.head == "yolox":
        yolox, described = choose_yolox_head(table, place, size, given)
        return OnnxOutputs(yolox, (place,), described, _columns(graph, place, yolox.head.layout.categories))
    if given.head in YOLO_HEADS or (given.head is None and is_yolo_table(shape, size, given, names, extra)):
        yolo, described = choose_yolo_head(table, place, size, given, names, extra=extra)
        return OnnxOutputs(yolo, (place,), described, _columns(graph, place, yolo.layout.categories))
    if shape[1] == 7 and not extra:
        why = "its rows of 7 numbers may be EfficientDet's: image, y0 x0 y1 x1 in pixels of the input, score, category"
        given.require("head", why, "efficientdet")
    if shape[1] == 6 + extra or (shape[1] == 7 and given.head == "efficientdet"):
        return _of_rows(graph, place, image, given, metadata)
    raise DetectorError(
        f"its outputs are {graph.listed()}, which no reader knows; if it is a raw head of the YOLO family set "
        f"--cropdet-detector head=yolo|yolo_objectness|yolox, and for any other {FUNCTION}"
    )


def _of_rows(graph: OnnxGraph, place: int, image: OnnxInput, given: Description, metadata: Metadata) -> OnnxOutputs:
    """Return how one tensor [N, rows, 6] or EfficientDet's [N, rows, 7] is read, suppressed inside."""
    if metadata.ultralytics:
        given = given.filled(boxes="xyxy", units="input")
    elif given.head == "yolo_end2end":
        given = given.filled(boxes="xyxy", first_category=0)
    elif given.head == "efficientdet":
        given = given.filled(boxes="yxyx", units="input", first_category=1)
    described = _listed(given, image, "rows of a box, a score and a category")
    rows = graph.outputs[place].shape[1]
    plain = _plain(described, rows if isinstance(rows, int) else ANY_LENGTH)
    return OnnxOutputs(RowTable(place, plain, int(given.head == "efficientdet")), (place,), described)


def _plain(described: Description, most: int, roles: Mapping[str, int] | None = None) -> DetectionList:
    first, activation = int(described.first_category or 0), described.activation or "none"
    return DetectionList(roles or {}, str(described.boxes), first, most, activation, described.nms_iou)


def _columns(graph: OnnxGraph, place: int, categories: int) -> Proof:
    return Proof(categories, f"the columns of its output {graph.outputs[place].name}")


def _typed_roles(graph: OnnxGraph) -> dict[str, int]:
    """Return which output is what where types and shapes prove it: categories are whole numbers, scores are not."""
    kinds = [tensor.dtype.kind for tensor in graph.tensors]
    shapes = [tensor.shape for tensor in graph.tensors]
    boxes = [k for k, shape in enumerate(shapes) if len(shape) in (2, 3) and shape[-1] == 4 and kinds[k] == "f"]
    if len(boxes) != 1 or len(shapes) not in (3, 4):
        return {}
    rows = shapes[boxes[0]][:-1]
    whole = [k for k, shape in enumerate(shapes) if shape == rows and kinds[k] in "iu"]
    broken = [k for k, shape in enumerate(shapes) if shape == rows and kinds[k] == "f"]
    if len(whole) != 1 or len(broken) != 1:
        return {}
    found = {"boxes": boxes[0], "scores": broken[0], "classes": whole[0]}
    counts = [k for k in range(len(shapes)) if k not in found.values()]
    if counts and int(np.prod(shapes[counts[0]])) == (rows[0] if len(rows) == 2 else 1):
        found["count"] = counts[0]
    return found


def _proposal(graph: OnnxGraph) -> str:
    names = [output.name for output in graph.outputs]
    found: dict[str, str] = {}
    for role, words in OUTPUT_WORDS.items():
        parts = {name: name.lower().replace("/", "_").replace(":", "_").replace("-", "_") for name in names}
        fits = (n for word in words for n in names if f"_{word}_" in f"_{parts[n]}_" and n not in found.values())
        if (name := next(fits, None)) is not None:
            found[role] = name
    if {"boxes", "scores"} <= set(found):
        named = ",".join(f"{role}:{name}" for role, name in found.items())
        return f"if these are detections, set --cropdet-detector outputs={named}"
    if not any(tensor.shape[-1:] == (4,) for tensor in graph.tensors):
        classifier = "it has one row of numbers an image and no boxes, as classifiers have; if it is a detector, "
        return f"{classifier if all(tensor.ndim == 2 for tensor in graph.tensors) else ''}{FUNCTION}"
    return f"set {LIST_NAMES} if it has a list of detections; for any other {FUNCTION}"
