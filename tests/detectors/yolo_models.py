"""Tiny TFLite files with the table of a YOLO: every cell of three grids answers, two of them with the rectangle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.detectors.tflite_models import BLUE, HEIGHT, RED, WIDTH, list_of, locate, tensorflow

CELLS = 252
SCORES = {40: 0.9, 41: 0.6}  # of the cells that answer with the rectangle; the second one a pixel wider
MASKS = 5


def cells() -> np.ndarray:
    """Return the boxes (252, 4) ``cx cy w h`` around the cells, in pixels of the input."""
    grids = []
    for stride in (8, 16, 32):
        rows, columns = np.mgrid[: HEIGHT // stride, : WIDTH // stride]
        middles = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], 1) * stride
        grids.append(np.concatenate([middles, np.full_like(middles, stride)], 1))
    return np.concatenate(grids).astype(np.float32)


def table(
    transposed: bool = False,
    objectness: bool = False,
    normalized: bool = True,
    masks: bool = False,
    logits: bool = False,
    channels_first: bool = False,
    ends: tuple[float, float] = (0.0, 1.0),
    undecoded: bool = False,
) -> Callable[[Any], Any]:
    """A table of 252 boxes with three categories; ``undecoded``: in cells of the grids, as YOLOX leaves it."""

    def serve(picture: Any) -> Any:
        tf = tensorflow()
        images = tf.cast(tf.transpose(picture, [0, 2, 3, 1]) if channels_first else picture, tf.float32)
        box, category = locate(images, ends)
        x0, y0, x1, y1 = tf.unstack(box[:, None], axis=-1)
        boxes = tf.constant(cells())[None] + 0 * box[:, None]
        wanted = tf.zeros((1, CELLS, 3)) + 0 * box[:, None, :3]
        for row, score in SCORES.items():
            hit = tf.one_hot([row], CELLS)[..., None]
            wider = float(row - 40)
            four = tf.stack(
                [(x0 + x1 + wider) / 2, (y0 + y1) / 2, tf.maximum(x1 - x0 + wider, 0), tf.maximum(y1 - y0, 0)], -1
            )
            boxes = boxes * (1 - hit) + four * hit
            wanted += hit * tf.one_hot(tf.cast(category, tf.int32), 3)[:, None] * score
        if undecoded:
            middles, stride = cells()[None, :, :2], cells()[None, :, 2:]
            sides = tf.math.log(tf.maximum(boxes[..., 2:], 1.0) / stride)
            boxes = tf.concat([(boxes[..., :2] - middles) / stride + 0.5, sides], -1)
        elif normalized:
            boxes /= tf.constant([WIDTH, HEIGHT] * 2, tf.float32)
        certain = 0 * boxes[..., :1] + 0.9
        scores = wanted / 0.9 if objectness else wanted
        if logits:
            certain, scores = (tf.math.log((each + 1e-4) / (1 - each + 1e-4)) for each in (certain, scores))
        parts = [boxes, *([certain] if objectness else []), scores]
        parts += [0 * boxes[..., :1] + tf.zeros((1, CELLS, MASKS)) + 0.5] if masks else []
        found = tf.concat(parts, -1)
        outputs = {"found": tf.transpose(found, [0, 2, 1]) if transposed else found}
        if masks:
            outputs["protos"] = images[:, ::4, ::4, :1] + tf.zeros((1, HEIGHT // 4, WIDTH // 4, MASKS))
        return outputs

    return serve


def with_count(order: str, ends: tuple[float, float] = (0.0, 1.0)) -> Callable[[Any], Any]:
    """A list of detections as a tuple in the order of the converter of TensorFlow 2, or as EfficientDet's rows."""

    def serve(picture: Any) -> Any:
        boxes, category, score, count = list_of(picture, ends)
        named = {"boxes": boxes, "classes": category, "scores": score, "count": count}
        return {f"output_{place}": named[role] for place, role in enumerate(order.split())}

    return serve


def of_any_size(picture: Any) -> Any:
    """Rows of six numbers, in pixels of the input, from an input of any size and any number of images."""
    tf = tensorflow()
    light = picture / 255
    bright = tf.cast(tf.reduce_max(light, -1) > 0.5, tf.float32)
    sides = []
    for axis in (1, 2):
        seen = tf.reduce_max(bright, axis)
        length = tf.shape(seen)[1]
        place = tf.cast(tf.range(length), tf.float32)
        sides.append(tf.reduce_min(place + (1 - seen) * 1e4, -1))
        sides.append(tf.reduce_max((place + 1) * seen, -1))
    x0, x1, y0, y1 = sides
    red, blue = (tf.reduce_mean(light[..., channel], (1, 2)) for channel in (0, 2))
    category = tf.where(red > blue, float(RED), float(BLUE))
    return {"found": tf.stack([x0, y0, x1, y1, 0 * x0 + 0.9, category], -1)[:, None]}
