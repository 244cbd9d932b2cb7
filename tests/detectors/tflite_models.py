"""Tiny TFLite files, made on the spot: each finds the one bright rectangle in its input and says so in its own way."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HEIGHT, WIDTH = 96, 128
RED, BLUE = 1, 2  # the categories, counted from 0, after a 0 that is never found; by the colour of the rectangle
LABELS = "nothing,red,blue"
ANCHORS = np.array([[0.25, 0.25, 0.5, 0.4], [0.3, 0.7, 0.2, 0.2], [0.7, 0.3, 0.6, 0.3], [0.75, 0.8, 0.1, 0.5]])
SCORES = (0.9, 0.8, 0.7, 0.05)  # of the four anchors, for the rectangle's category
ENDS = {"0..255": (0.0, 255.0), "0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0)}


@cache
def tensorflow() -> Any:
    tf = pytest.importorskip("tensorflow", reason="needs tensorflow's converter")
    tf.get_logger().setLevel("ERROR")
    return tf


def locate(images: Any, ends: tuple[float, float]) -> tuple[Any, Any]:
    """Return the rectangle, x0 y0 x1 y1 in pixels of the input (N, 4), and its category (N,)."""
    tf = tensorflow()
    light = (images - ends[0]) / (ends[1] - ends[0])
    bright = tf.reduce_max(light, -1) > 0.5
    sides = []
    for axis, length in ((1, WIDTH), (2, HEIGHT)):
        seen = tf.reduce_any(bright, axis)
        place = tf.range(length, dtype=tf.float32)
        sides.append(tf.reduce_min(tf.where(seen, place, float(length)), -1))
        sides.append(tf.reduce_max(tf.where(seen, place + 1, 0.0), -1))
    x0, x1, y0, y1 = sides
    red, blue = (tf.reduce_mean(light[..., channel], (1, 2)) for channel in (0, 2))
    return tf.stack([x0, y0, x1, y1], -1), tf.where(red > blue, float(RED), float(BLUE))


def convert(
    serve: Callable[[Any], Any],
    path: Path,
    dtype: str = "float32",
    batch: int | None = 1,
    quantise: tuple[str, tuple[float, float]] | None = None,
    shape: tuple[int | None, ...] | None = None,
    outputs: str | None = None,
    select_tf_ops: bool = False,
) -> Path:
    """Write ``serve`` as a TFLite file; ``quantise``: the type of input and outputs, and the range calibrated on.

    ``shape``: of the input, if it is another one. ``outputs``: their type, where it is not the input's.
    ``select_tf_ops``: operations of TensorFlow remain such.
    """
    tf = tensorflow()
    spec = tf.TensorSpec([batch, HEIGHT, WIDTH, 3] if shape is None else shape, dtype, name="picture")
    function = tf.function(serve, input_signature=[spec]).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    if select_tf_ops:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    converter.allow_custom_ops = not select_tf_ops
    if quantise is not None:
        kind, (low, high) = quantise
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: calibration(low, high)
        converter.inference_input_type = tf.as_dtype(kind)
        converter.inference_output_type = tf.as_dtype(outputs or kind)
    path.write_bytes(converter.convert())
    return path


def calibration(low: float, high: float) -> Any:
    for size in (HEIGHT, 40, 12):
        picture = np.full((1, HEIGHT, WIDTH, 3), low, np.float32)
        picture[:, :size, : size + 8, 0] = high
        yield [picture]


def api_list(ends: tuple[float, float]) -> Callable[[Any], Any]:
    """A list under the names of the Object Detection API: row 0 is the rectangle, row 1 a weak one, the rest refuse."""

    def serve(picture: Any) -> Any:
        boxes, category, score, count = list_of(picture, ends)
        return {
            "detection_boxes": boxes,
            "detection_classes": category,
            "detection_scores": score,
            "num_detections": count,
        }

    return serve


def shuffled_list(ends: tuple[float, float]) -> Callable[[Any], Any]:
    """The same list under names that say nothing, in another order."""

    def serve(picture: Any) -> Any:
        boxes, category, score, count = list_of(picture, ends)
        return {"alpha": score, "beta": count, "gamma": category, "delta": boxes}

    return serve


def list_of(picture: Any, ends: tuple[float, float]) -> tuple[Any, Any, Any, Any]:
    tf = tensorflow()
    images = tf.cast(picture, tf.float32)
    box, category = locate(images, ends)
    zero = category[:, None] * 0
    y0_x0_y1_x1 = tf.gather(box, [1, 0, 3, 2], axis=1) / tf.constant([HEIGHT, WIDTH, HEIGHT, WIDTH], tf.float32)
    outside = tf.constant([[-0.09, -0.05, 0.5, 1.2]]) + zero
    boxes = tf.stack([y0_x0_y1_x1, outside, outside, outside], 1)
    categories = tf.concat([category[:, None], zero + BLUE, zero, zero], 1)
    scores = tf.concat([zero + 0.9, zero + 0.25, zero + 1, zero + 1], 1)
    return boxes, categories, scores, zero[:, 0] + 2


def rows(order: str, units: str, ends: tuple[float, float]) -> Callable[[Any], Any]:
    """Rows of six numbers: the rectangle, the same a pixel wider, a row of filling."""

    def serve(picture: Any) -> Any:
        tf = tensorflow()
        box, category = locate(tf.cast(picture, tf.float32), ends)
        wider = tf.stack([box, box + tf.constant([0.0, 0.0, 1.0, 0.0]), box * 0], 1)
        x0, y0, x1, y1 = tf.unstack(wider, axis=-1)
        if units == "normalized":
            x0, y0, x1, y1 = x0 / WIDTH, y0 / HEIGHT, x1 / WIDTH, y1 / HEIGHT
        four = {
            "xyxy": (x0, y0, x1, y1),
            "yxyx": (y0, x0, y1, x1),
            "xywh": (x0, y0, x1 - x0, y1 - y0),
            "cxcywh": ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0),
        }[order]
        score = tf.constant([[0.9, 0.6, 0.0]]) + 0 * x0
        return {"found": tf.stack([*four, score, category[:, None] + 0 * x0], -1)}

    return serve


def raw(columns: int, ending: str, ends: tuple[float, float] = (0.0, 255.0)) -> Callable[[Any], Any]:
    """Raw heads: every anchor encodes the rectangle; ``columns`` 4 has a background first. ``ending`` of the scores."""

    def serve(picture: Any) -> Any:
        tf = tensorflow()
        box, category = locate(picture, ends)
        x0, y0, x1, y1 = tf.unstack(box / tf.constant([WIDTH, HEIGHT, WIDTH, HEIGHT], tf.float32), axis=1)
        a = tf.constant(ANCHORS, tf.float32)
        cy, cx = ((y0 + y1) / 2)[:, None], ((x0 + x1) / 2)[:, None]
        codes = [
            (cy - a[:, 0]) / a[:, 2] * 10,
            (cx - a[:, 1]) / a[:, 3] * 10,
            tf.math.log((y1 - y0)[:, None] / a[:, 2]) * 5,
            tf.math.log((x1 - x0)[:, None] / a[:, 3]) * 5,
        ]
        column = tf.range(columns, dtype=tf.float32) - (columns - 3)  # of the category 0, 1, 2
        hit = tf.cast(tf.equal(column, category[:, None, None]), tf.float32)  # (N, 1, columns)
        wanted = hit * tf.constant(SCORES)[None, :, None]
        if ending.startswith("softmax"):  # what is left of 1 is background
            rest = tf.cast(tf.equal(column, -1.0), tf.float32) * (1 - tf.constant(SCORES))[None, :, None]
            logits = tf.math.log(wanted + rest + 1e-6)
        else:
            logits = tf.math.log((wanted + 1e-4) / (1 - wanted + 1e-4))
        inside = {"softmax": tf.nn.softmax, "sigmoid": tf.sigmoid}
        return {"encodings": tf.stack(codes, -1), "predictions": inside.get(ending, lambda same: same)(logits)}

    return serve


def postprocessed(picture: Any, names: str = "zyxw") -> Any:
    """Raw heads and the operation ``TFLite_Detection_PostProcess``, with its outputs under wrong names.

    One anchor on the left half of the input, one on the right; each is found if it is bright, in category 0 or 1.
    ``names``: of boxes, classes, scores and count; the converter puts the outputs in their order.
    """
    tf = tensorflow()
    settings = {
        "max_detections": "i: 10",
        "max_classes_per_detection": "i: 1",
        "detections_per_class": "i: 10",
        "use_regular_nms": "b: true",
        "nms_score_threshold": "f: 0.3",
        "nms_iou_threshold": "f: 0.5",
        "num_classes": "i: 2",
        **{f"{axis}_scale": f"f: {scale}" for axis, scale in zip("yxhw", (10.0, 10.0, 5.0, 5.0), strict=True)},
    }
    attributes = " ".join(f'attr {{ key: "{key}" value {{ {value} }} }}' for key, value in settings.items())

    @tf.function(experimental_implements=f'name: "TFLite_Detection_PostProcess" {attributes}')
    def operation(encodings: Any, scores: Any, anchors: Any) -> tuple[Any, ...]:
        return tuple(tf.zeros(shape) for shape in ((1, 10, 4), (1, 10), (1, 10), (1,)))

    anchors = tf.constant([[0.5, 0.2, 1.2, 0.6], [0.5, 0.75, 0.5, 0.25]])  # the first reaches over the border
    half = WIDTH // 2
    light = [tf.reduce_max(part) / 255 for part in (picture[:, :, :half], picture[:, :, half:])]
    zero = 0 * light[0]
    scores = tf.reshape(tf.stack([zero, 0.9 * light[0], zero, zero, zero, 0.8 * light[1]]), (1, 2, 3))
    boxes, classes, found, count = operation(tf.zeros((1, 2, 4)) + zero, scores, anchors)
    return dict(sorted(zip(names, (boxes, classes, found, count), strict=True)))


def with_unknown_operation(picture: Any) -> Any:
    """Rows out of an operation that no TFLite runtime has."""
    tf = tensorflow()
    return {"found": tf.math.betainc(0.5, 0.5, picture[:, :3, :2, :] / 255)}
