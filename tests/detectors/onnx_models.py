"""Tiny ONNX files, made on the spot: each finds the one bright rectangle in its input and returns it in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HEIGHT, WIDTH = 96, 128
RED, BLUE = 1, 2  # categories by the colour of the rectangle, where the first one, which is never found, has number 0
SECOND = (10.0, 20.0, 30.0, 50.0)  # another box, which every list has after the rectangle, with a score of 0.25
SCORES = (0.9, 0.25)
ORDERS = {"xyxy": (0, 1, 2, 3), "yxyx": (1, 0, 3, 2)}
TYPES = {"float32": 1, "uint8": 2, "int32": 6, "int64": 7, "float16": 10}


class Graph:
    """A graph that finds the rectangle: ``box`` (N, 4) x0 y0 x1 y1 in pixels of the input, ``category`` (N, 1) float.

    ``ends``: what black and white are in the input; ``shape``: of the input, by NumPy's or the runtime's order of axes.
    """

    def __init__(
        self,
        ends: tuple[Any, Any] = (0.0, 1.0),
        shape: Sequence[Any] = ("N", 3, HEIGHT, WIDTH),
        dtype: str = "float32",
        last: bool = False,
    ) -> None:
        self.helper = pytest.importorskip("onnx.helper", reason="needs the package onnx, which writes the models")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs = [self.helper.make_tensor_value_info("images", TYPES[dtype], list(shape))]
        self.outputs: list[Any] = []
        low, high = (np.reshape(np.asarray(end, np.float32), (-1, 1, 1)) for end in ends)
        image = self("Cast", "images", to=1)
        image = image if len(shape) == 4 else self("Unsqueeze", image, self.whole(0))
        image = self("Transpose", image, perm=[0, 3, 1, 2]) if last else image
        light = self("Div", self("Sub", image, self.constant(low)), self.constant(high - low))
        seen = self("Cast", self("Greater", self("ReduceMax", light, axes=[1], keepdims=0), self.constant(0.5)), to=1)
        x0, x1, width = self.ends(self("ReduceMax", seen, axes=[1], keepdims=0))
        y0, y1, height = self.ends(self("ReduceMax", seen, axes=[2], keepdims=0))
        self.box = self("Concat", x0, y0, x1, y1, axis=1)
        self.size = self("Concat", width, height, width, height, axis=0)
        colours = self("ReduceMean", light, axes=[2, 3], keepdims=0)
        is_blue = self("Greater", self.part(colours, 2, 3), self.part(colours, 0, 1))
        self.category = self("Add", self("Cast", is_blue, to=1), self.constant(float(RED)))

    def __call__(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        output = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def whole(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def part(self, tensor: str, start: int, end: int, axis: int = 1) -> str:
        return self("Slice", tensor, self.whole(start), self.whole(end), self.whole(axis))

    def ends(self, seen: str) -> tuple[str, str, str]:
        """Return first and last place of ones along the second axis, and its length, (N, 1) and (1,)."""
        length = self("Gather", self("Shape", seen), self.constant(1, np.int64))
        places = self("Cast", self("Range", self.constant(0, np.int64), length, self.constant(1, np.int64)), to=1)
        is_seen = self("Cast", seen, to=9)
        size = self("Cast", self("Unsqueeze", length, self.whole(0)), to=1)
        first = self("ReduceMin", self("Where", is_seen, places, size), axes=[1], keepdims=1)
        after = self("Add", places, self.constant(1.0))
        last = self("ReduceMax", self("Where", is_seen, after, self.constant(0.0)), axes=[1], keepdims=1)
        return first, self("Max", last, self("Add", first, self.constant(1.0))), size  # of nothing: 1 px outside

    def fixed(self, values: Any) -> str:
        """Return the same values for each image: (N, *shape)."""
        values = np.asarray(values, np.float32)
        zero = self("Mul", self.part(self.box, 0, 1), self.constant(0.0))
        for _ in range(values.ndim - 1):
            zero = self("Unsqueeze", zero, self.whole(-1))
        return self("Add", zero, self.constant(values[None]))

    def ordered(self, boxes: str, order: str = "xyxy", normalized: bool = False) -> str:
        """Return boxes (N, 4) in another order and unit."""
        boxes = self("Div", boxes, self.size) if normalized else boxes
        if order in ORDERS:
            return self("Gather", boxes, self.whole(*ORDERS[order]), axis=1)
        low, high = self.part(boxes, 0, 2), self.part(boxes, 2, 4)
        centre = self("Mul", self("Add", low, high), self.constant(0.5))
        return self("Concat", centre if order == "cxcywh" else low, self("Sub", high, low), axis=1)

    def boxes(self, order: str = "xyxy", normalized: bool = False, padding: float = 0.0) -> str:
        """Return the rectangle, the second box and a row of padding: (N, 3, 4)."""
        found = [self.ordered(each, order, normalized) for each in (self.box, self.fixed(SECOND))]
        rows = [self("Unsqueeze", each, self.whole(1)) for each in (*found, self.fixed([padding] * 4))]
        return self("Concat", *rows, axis=1)

    def classes(self, first: int = 0, padding: float = -1.0) -> str:
        """Return the categories of the three rows: (N, 3) float."""
        rows = [self("Add", each, self.constant(float(first))) for each in (self.category, self.fixed([BLUE]))]
        return self("Concat", *rows, self.fixed([padding]), axis=1)

    def output(self, name: str, tensor: str, shape: Sequence[Any], dtype: str = "float32") -> Graph:
        self.outputs.append(self.helper.make_tensor_value_info(name, TYPES[dtype], list(shape)))
        self("Cast", tensor, name=name, to=TYPES[dtype])
        return self

    def model(self, metadata: dict[str, str] | None = None) -> Any:
        graph = self.helper.make_graph(self.nodes, "tiny", self.inputs, self.outputs, self.constants)
        model = self.helper.make_model(graph, opset_imports=[self.helper.make_opsetid("", 17)], ir_version=8)
        self.helper.set_model_props(model, metadata or {})
        return model

    def save(self, path: Path, metadata: dict[str, str] | None = None) -> Path:
        path.write_bytes(self.model(metadata).SerializeToString())
        return path


def detections(
    graph: Graph,
    order: str = "xyxy",
    normalized: bool = False,
    first: int = 0,
    scores: Sequence[float] = (*SCORES, -1.0),
    kinds: tuple[str, str] = ("int64", "float32"),
    names: tuple[str, str, str] = ("boxes", "scores", "labels"),
    rows: Any = 3,
) -> Graph:
    """Return a graph whose outputs are a list, padded with -1."""
    graph.output(names[0], graph.boxes(order, normalized, -1.0), ["N", rows, 4])
    graph.output(names[1], graph.fixed(scores), ["N", rows], kinds[1])
    return graph.output(names[2], graph.classes(first), ["N", rows], kinds[0])


def grid_rows(objectness: bool = False, undecoded: bool = False) -> np.ndarray:
    """Return a table for an empty input: a box of one stride in each cell, with scores of nothing, (252, 4 + ...)."""
    rows = []
    for stride in (8, 16, 32):
        y, x = np.mgrid[0 : HEIGHT // stride, 0 : WIDTH // stride]
        middle = np.stack([x.ravel() + 0.5, y.ravel() + 0.5], 1)
        sides = np.full_like(middle, 1.0)
        plain = np.hstack([np.full_like(middle, 0.5), np.full_like(middle, -0.7)])
        rows.append(plain if undecoded else np.hstack([middle, sides]) * stride)
    boxes = np.concatenate(rows)
    return np.hstack([boxes, np.zeros((len(boxes), 3 + int(objectness)))])


def yolo(
    graph: Graph, objectness: bool = False, transposed: bool = True, undecoded: bool = False, extra: int = 0
) -> Graph:
    """Return a graph whose output is a raw table with three categories, and ``extra`` columns of ones after them."""
    table = np.pad(grid_rows(objectness, undecoded), ((0, 0), (0, extra)), constant_values=1.0)
    box = graph.ordered(graph.box, "cxcywh")
    if undecoded:  # that of the first cell, of stride 8
        cells = graph("Mul", box, graph.constant(1 / 8))
        box = graph("Concat", graph.part(cells, 0, 2), graph("Log", graph.part(cells, 2, 4)), axis=1)
    one = graph("Cast", graph("Equal", graph.category, graph.fixed(range(3))), to=1)
    score = graph("Mul", one, graph.constant(SCORES[0]))
    sure = [graph.fixed([1.0])] if objectness else []
    more = [graph.fixed([1.0] * extra)] if extra else []
    first = graph("Concat", box, *sure, score, *more, axis=1)
    whole = graph("Concat", graph("Unsqueeze", first, graph.whole(1)), graph.fixed(table[1:]), axis=1)
    shape = ["N", len(table), table.shape[1]]
    if transposed:
        whole, shape = graph("Transpose", whole, perm=[0, 2, 1]), ["N", table.shape[1], len(table)]
    return graph.output("output0", whole, shape)


def rows_of_six(graph: Graph, rows: int = 3) -> Graph:
    """Return a graph whose output is [N, rows, 6]: x0 y0 x1 y1, a score and a category."""
    scores = graph("Unsqueeze", graph.fixed([*SCORES, 0.0]), graph.whole(2))
    classes = graph("Unsqueeze", graph.classes(padding=0.0), graph.whole(2))
    table = graph("Concat", graph.boxes(), scores, classes, axis=2)
    return graph.output("output0", table, ["N", rows, 6])


def queries(graph: Graph, columns: Sequence[Sequence[float]], names: tuple[str, str]) -> Graph:
    """Return a graph whose outputs are those of a DETR: logits of three queries, and normalised centre and size."""
    graph.output(names[0], graph.fixed(columns), ["N", 3, len(columns[0])])
    return graph.output(names[1], graph.boxes("cxcywh", True), ["N", 3, 4])
