"""TensorFlow models that answer with one table of boxes, as exports of YOLO do: called as a list of detections.

The table is read by the rules of a TFLite or ONNX file. What remains of it is handed on as boxes, scores, classes and a
count.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.adapters.heads import Head
from pytest_cropdet.detectors.adapters.table_heads import choose_table_head, place_of_table
from pytest_cropdet.detectors.adapters.tensorflow_call import Call
from pytest_cropdet.detectors.adapters.tensorflow_inputs import check_input, input_sides
from pytest_cropdet.detectors.adapters.tensorflow_outputs import follows_the_api, list_outputs
from pytest_cropdet.detectors.adapters.yolo_heads import YoloHead
from pytest_cropdet.detectors.adapters.yolox_head import YoloxHead
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.label_files import Proof, open_labels
from pytest_cropdet.errors import DetectorError

__all__ = ["open_table"]

ROLES_OF_LIST = {role: role for role in ("boxes", "scores", "classes", "count")}  # outputs of what this module makes
EMPTY_SIDE = 320  # px of the empty image that shows the table of a model that takes any size


def open_table(call: Call, given: Description, tensorflow: Any) -> tuple[Call, Description]:
    """Return a call that answers with a list of detections, where ``call`` answers with one table of boxes.

    Any other call is returned as it is; for it ``DetectorError`` refuses what is said of a table.
    """
    named = given.outputs is not None or call.roles is not None or follows_the_api(call.outputs)
    if not (named or call.dtype.name == "string") and place_of_table(_ranks(call)) is not None:
        found = _read_table(call, given, tensorflow)
        if found is not None:
            return found
    given.refuse("its outputs are read as a list of detections, with scores of 0 to 1", "activation", "head")
    return call, given


def _ranks(call: Call) -> list[list[int]]:
    """Return shapes with the right number of sides, where it is known, and three where it is not."""
    return [[0] * (3 if each.shape.rank is None else each.shape.rank) for each in call.outputs.values()]


def _read_table(call: Call, given: Description, tensorflow: Any) -> tuple[Call, Description] | None:
    names = list(call.outputs)
    check_input(call.name, call.dtype, call.shape)
    height, width = input_sides(call.shape, given)
    size = (height or EMPTY_SIDE, width or EMPTY_SIDE)
    empty = np.zeros([int(call.shape[0] or 1), *size, 3], call.dtype.as_numpy_dtype)
    answer = _tensors(call, names, tensorflow.constant(empty))
    shapes = [each.shape for each in answer]
    place = place_of_table(shapes)
    if place is None or shapes[place][0] != len(empty):
        return None
    labels = None if given.labels is None else open_labels(given.labels)
    categories = None if labels is None else len(labels.count(int(given.first_category or 0)))
    chosen = choose_table_head(shapes, answer[place][0], size, given, categories, list_outputs(call.outputs))
    if chosen is None:
        return None
    head, described = chosen
    if described.units == "pixels":
        raise DetectorError("units=pixels: a table of boxes is in 0..1 or in pixels of the input; set units=input")
    if described.head is not None:
        described = described.filled(boxes="cxcywh", first_category=int(described.head == "efficientdet"))
    layout = head.layout if isinstance(head, YoloHead) else head.head.layout if isinstance(head, YoloxHead) else None
    proof = None if layout is None else Proof(layout.categories, f"the columns of its output {names[place]}")

    def run(batch: Any) -> Mapping[str, NDArray[Any]]:
        return _as_list(head, place, _tensors(call, names, batch))

    most = int(head.most)
    shown = {"boxes": [None, most, 4], "scores": [None, most], "classes": [None, most], "count": [None]}
    outputs = {name: tensorflow.TensorSpec(shape, "float32", name=name) for name, shape in shown.items()}
    return replace(call, outputs=outputs, run=run, roles=ROLES_OF_LIST, order="xyxy", proof=proof), described


def _tensors(call: Call, names: list[str], batch: Any) -> list[NDArray[Any]]:
    found = call.run(batch)
    return [np.asarray(found[name]) for name in names]


def _as_list(head: Head, place: int, tensors: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return what ``head`` reads of each image, with rows of category -1 behind it."""
    images, most = len(tensors[place]), head.most
    found = {
        "boxes": np.zeros((images, most, 4)),
        "scores": np.zeros((images, most)),
        "classes": np.full((images, most), -1.0),
        "count": np.zeros(images),
    }
    for row in range(images):
        read = head.read(tensors, row)
        count = len(read.scores)
        for name, values in (("boxes", read.boxes), ("scores", read.scores), ("classes", read.numbers)):
            found[name][row, :count] = values
        found["count"][row] = count
    return found
