"""What a TFLite file says of its own input and outputs: its metadata, and what an exporter left beside the model.

The metadata of the TFLite Task Library and of MediaPipe are a flatbuffer inside the file. Ultralytics' exporters append
a text or JSON to it, as to a zip archive.
"""

import json
import zipfile
from ast import literal_eval
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.adapters.flatbuffer import FlatTable, read_flatbuffer
from pytest_cropdet.detectors.adapters.tflite_input import Normalization
from pytest_cropdet.detectors.adapters.tflite_schema import (
    METADATA_IDENTIFIER,
    METADATA_ROOTS,
    METADATA_TABLES,
    METADATA_UNIONS,
)
from pytest_cropdet.errors import DetectorError

__all__ = ["Export", "TFLiteMetadata", "read_export", "read_metadata"]

METADATA_BUFFER = "TFLITE_METADATA"
DETECTOR_METADATA = "DETECTOR_METADATA"  # MediaPipe's: how raw heads are decoded
OUTPUT_ROLES = {  # by the names that the writers of metadata use
    "location": "boxes",
    "locations": "boxes",
    "category": "classes",
    "categories": "classes",
    "classes": "classes",
    "score": "scores",
    "scores": "scores",
    "number of detections": "count",
}
ROLE_SETS = ({"boxes", "scores"}, {"boxes", "scores", "classes"}, {"boxes", "scores", "classes", "count"})
BOUNDARIES, UPPER_LEFT, CENTER = 1, 2, 3  # kinds of boxes
BOX_ORDERS = {
    (BOUNDARIES, ()): "xyxy",
    (BOUNDARIES, (0, 1, 2, 3)): "xyxy",
    (BOUNDARIES, (1, 0, 3, 2)): "yxyx",
    (UPPER_LEFT, ()): "xywh",
    (UPPER_LEFT, (0, 1, 2, 3)): "xywh",
    (CENTER, ()): "cxcywh",
    (CENTER, (0, 1, 2, 3)): "cxcywh",
}
EXPORT_FILES = ("temp_meta.txt", "metadata.json", "meta.txt")
EXPORT_LIMIT = 1_000_000  # bytes that are read
PLAIN_TASKS = ("detect", "segment")  # whose tables begin with upright boxes


@dataclass(frozen=True, slots=True)
class TFLiteMetadata:
    """What the metadata say; empty or ``None`` where they say nothing.

    ``roles``: which output is what, by place. ``boxes``, ``units``: of a list of detections. ``anchors``: rows ``cy cx
    h w`` with the ``scales`` of their encodings. ``activation``: what makes raw scores 0 to 1. ``categories``: their
    number. ``size``: width and height of an input that takes any.
    """

    normalization: Normalization | None = None
    roles: Mapping[str, int] | None = None
    boxes: str | None = None
    units: str | None = None
    anchors: NDArray[np.float64] | None = None
    scales: tuple[float, ...] = ()
    activation: str | None = None
    categories: int | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """What Ultralytics' exporter wrote beside a model: its ``task``, and whether duplicates are suppressed inside."""

    task: str
    suppressed: bool

    @property
    def normalization(self) -> Normalization:
        """Return how these models take pixels: 0 to 1."""
        return Normalization((0.0,), (255.0,))


def read_metadata(model: FlatTable) -> TFLiteMetadata:
    """Return what the metadata inside a file say; ``DamagedError`` where they contradict their own format."""
    for entry in model.get("metadata", ()):
        data = model["buffers"][entry.get("buffer", 0)].get("data", ())
        if entry.get("name") == METADATA_BUFFER and len(data) > 8 and bytes(data[4:8]) == METADATA_IDENTIFIER:
            said = read_flatbuffer(data.tobytes(), METADATA_ROOTS[0], METADATA_TABLES, METADATA_UNIONS)
            graphs = said.get("subgraph_metadata", ())
            return _of_graph(graphs[0]) if len(graphs) else TFLiteMetadata()
    return TFLiteMetadata()


def _of_graph(graph: FlatTable) -> TFLiteMetadata:
    inputs, outputs = graph.get("input_tensor_metadata", ()), graph.get("output_tensor_metadata", ())
    image = inputs[0] if len(inputs) == 1 else {}
    roles = {OUTPUT_ROLES.get(str(each.get("name")).lower(), ""): place for place, each in enumerate(outputs)}
    known = len(roles) == len(outputs) and set(roles) in ROLE_SETS
    order, units = _box_order(outputs[roles["boxes"]]) if known else (None, None)
    decoding = _decoding(graph)
    return TFLiteMetadata(
        _normalization(image), roles if known else None, order, units, *decoding, size=_default_size(image)
    )


def _properties(tensor: FlatTable) -> FlatTable:
    properties: FlatTable = tensor.get("content", {}).get("properties", {})
    return properties


def _normalization(image: FlatTable) -> Normalization | None:
    for unit in image.get("process_units", ()):
        options = unit.get("options", {})
        mean, std = (tuple(float(each) for each in options.get(name, ())) for name in ("mean", "std"))
        if Normalization.is_possible(mean, std):
            return Normalization(mean, std)
    return None


def _default_size(image: FlatTable) -> tuple[int, int] | None:
    size = _properties(image).get("default_size", {})
    width, height = size.get("width", 0), size.get("height", 0)
    return (width, height) if width and height else None


def _box_order(tensor: FlatTable) -> tuple[str | None, str | None]:
    properties = _properties(tensor)
    index = tuple(int(each) for each in properties.get("index", ()))
    order = BOX_ORDERS.get((properties.get("type", 0), index))
    return order, "normalized" if order is not None and not properties.get("coordinate_type", 0) else None


def _decoding(
    graph: FlatTable,
) -> tuple[NDArray[np.float64] | None, tuple[float, ...], str | None, int | None]:
    """Return anchors, scale factors, activation and number of categories of raw heads, as MediaPipe writes them."""
    for custom in graph.get("custom_metadata", ()):
        data = custom.get("data", ())
        if custom.get("name") != DETECTOR_METADATA or not len(data):
            continue
        said = read_flatbuffer(data.tobytes(), METADATA_ROOTS[1], METADATA_TABLES, METADATA_UNIONS)
        decoding = said.get("tensors_decoding_options", {})
        fixed = said.get("ssd_anchors_options", {}).get("fixed_anchors_schema", {}).get("anchors", ())
        rows = [[each.get(side, 0.0) for side in ("y_center", "x_center", "height", "width")] for each in fixed]
        if rows and not decoding.get("apply_exponential_on_box_size", 0):
            raise DetectorError(
                "its metadata decode the sizes of raw boxes without an exponential, which is not read here; write a "
                "function that returns Detections and name it as package.module:factory"
            )
        scales = tuple(float(decoding.get(f"{side}_scale", 0.0)) for side in "yxhw")
        activation = "sigmoid" if decoding.get("sigmoid_score", 0) else "none"
        return np.array(rows) if rows else None, scales, activation, decoding.get("num_classes") or None
    return None, (), None, None


def read_export(path: Path) -> Export | None:
    """Return what Ultralytics' exporter wrote beside a model; ``None`` for a file of another origin."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in EXPORT_FILES if name in archive.namelist()]
            texts = [archive.open(name).read(EXPORT_LIMIT).decode("utf-8", errors="replace") for name in names]
    except Exception:  # no archive, or one that is damaged in a way of its own: the labels inside name it
        return None
    for text in texts:
        said = _parsed(text)
        if isinstance(said, dict) and said.get("author") == "Ultralytics":
            arguments = said.get("args")
            nms = isinstance(arguments, dict) and bool(arguments.get("nms"))
            return Export(str(said.get("task", "detect")), nms or bool(said.get("end2end")))
    return None


def _parsed(text: str) -> Any:
    readers: Sequence[Any] = (json.loads, literal_eval)
    for read in readers:
        try:
            return read(text.strip())
        except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError):
            continue
    return None
