"""SavedModels made on the fly: a graph of a few lines that finds painted rectangles, exported by any convention."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROWS = 3  # one a category; what was found stands first, and the rest is junk that only the count tells apart


def export(tf: Any, path: Path, **convention: Any) -> Path:
    """Save a detector of painted rectangles and return its folder.

    ``shape`` and ``dtype`` of the input and its ``name``; ``middle``: the value between dark and bright; ``units`` and
    ``boxes`` of what it answers; ``first``: its first category; ``count``: whether it says how many rows count;
    ``inner``: the side to which it resizes inside, with ``image_info`` as TF-Vision gives it; ``drop``: an output that
    it does not have; ``more``: a second input; ``fails``: a height in pixels of pictures on which it raises;
    ``one``: whether it answers for the first picture only; ``signature``: its name, or several names;
    ``raw``: the columns of its raw scores; ``dynamic``: whether it returns as many rows as it finds (of one picture),
    so that its signature names no number of them; ``rename``: other names of its outputs, as ``(old, new)`` pairs;
    ``alone``: a list for one image, without the axis of the batch; ``filled``: rows beyond the count have category -1.
    """
    module = _module(tf, **convention)
    names = convention.get("signature", "serving_default").split()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tf.saved_model.save(module, str(path), signatures=dict.fromkeys(names, module.detect))
    return path


def _module(
    tf: Any,
    *,
    shape: tuple[int | None, ...] = (1, None, None, 3),
    dtype: str = "uint8",
    name: str = "input_tensor",
    middle: float = 127.5,
    units: str = "normalized",
    boxes: str = "yxyx",
    first: int = 1,
    count: bool = True,
    inner: int | None = None,
    drop: str | None = None,
    more: bool = False,
    fails: int | None = None,
    one: bool = False,
    signature: str = "serving_default",
    raw: int | None = None,
    dynamic: bool = False,
    rename: tuple[tuple[str, str], ...] = (),
    alone: bool = False,
    filled: bool = False,
) -> Any:
    def answer(images: Any) -> Mapping[str, Any]:
        pixels = _decoded(tf, images) if dtype == "string" else tf.cast(images, tf.float32)
        if fails is not None:
            tf.debugging.assert_none_equal(tf.shape(pixels)[1], fails, message="no such height")
        outputs = {}
        if inner is not None:
            pixels, outputs["image_info"] = _resized(tf, pixels, inner)
        if one:
            pixels = pixels[:1]
        found, present = _rectangles(tf, pixels, middle)
        if units == "normalized":
            height, width = tf.shape(pixels)[1], tf.shape(pixels)[2]
            found /= tf.cast(tf.stack([height, width, height, width]), tf.float32)
        order = tf.argsort(tf.cast(present, tf.int32), direction="DESCENDING", stable=True)
        sent = tf.shape(pixels)[0]
        outputs["detection_boxes"] = _ordered(tf, tf.gather(found, order, batch_dims=1), boxes)
        # The score says how many pictures came in one call.
        outputs["detection_scores"] = tf.fill([sent, ROWS], 1.0 / tf.cast(sent, tf.float32))
        outputs["detection_classes"] = tf.cast(order + first, tf.float32)
        if raw is not None:
            outputs["raw_detection_scores"] = tf.zeros([sent, 7, raw])
        if dynamic:
            rows = tf.reduce_sum(tf.cast(present, tf.int32))
            outputs = {key: value[:, :rows] if key != "image_info" else value for key, value in outputs.items()}
        if count:
            outputs["num_detections"] = tf.reduce_sum(tf.cast(present, tf.float32), axis=1)
        if filled:
            there = tf.range(ROWS)[None] < tf.reduce_sum(tf.cast(present, tf.int32), axis=1)[:, None]
            outputs["detection_classes"] = tf.where(there, outputs["detection_classes"], -1.0)
        if alone:
            outputs = {key: value[0] for key, value in outputs.items()}
        names = dict(rename)
        return {names.get(key, key): value for key, value in outputs.items() if key != drop}

    spec = tf.TensorSpec(shape[:1] if dtype == "string" else shape, tf.dtypes.as_dtype(dtype), name=name)
    module = tf.Module()
    if more:
        threshold = tf.TensorSpec([], tf.float32, name="threshold")
        module.detect = tf.function(lambda images, threshold: answer(images), input_signature=[spec, threshold])
    else:
        module.detect = tf.function(answer, input_signature=[spec])
    return module


def _decoded(tf: Any, images: Any) -> Any:
    """Pictures in one batch may have different sizes: each is set on black, and its box normalised by that frame."""
    return tf.map_fn(
        lambda data: tf.image.resize(tf.io.decode_image(data, channels=3, expand_animations=False), (96, 96)),
        images,
        fn_output_signature=tf.TensorSpec([96, 96, 3], tf.float32),
    )


def _resized(tf: Any, pixels: Any, inner: int) -> tuple[Any, Any]:
    """Each side brought to ``inner``, with the rows of image_info: size, new size, scale (y before x), offset."""
    size = tf.cast(tf.shape(pixels)[1:3], tf.float32)
    info = tf.stack([size, tf.constant([inner, inner], tf.float32), inner / size, tf.zeros(2)])
    return tf.image.resize(pixels, (inner, inner)), tf.repeat(info[None], tf.shape(pixels)[0], axis=0)


def _rectangles(tf: Any, pixels: Any, middle: float) -> tuple[Any, Any]:
    """Tight boxes y0 x0 y1 x1 of the three colours in pixels, (n, 3, 4), and whether each is there, (n, 3)."""
    bright = pixels > middle
    only = bright & tf.equal(tf.reduce_sum(tf.cast(bright, tf.int32), axis=3, keepdims=True), 1)
    sides = []
    for across in (2, 1):  # rows first
        line = tf.cast(tf.reduce_any(only, axis=across), tf.int32)
        low = tf.argmax(line, axis=1, output_type=tf.int32)
        high = tf.shape(line)[1] - tf.argmax(line[:, ::-1], axis=1, output_type=tf.int32)
        sides.append((low, high))
    (top, bottom), (left, right) = sides
    present = tf.reduce_any(only, axis=[1, 2])
    return tf.cast(tf.stack([top, left, bottom, right], axis=2), tf.float32), present


def _ordered(tf: Any, found: Any, boxes: str) -> Any:
    top, left, bottom, right = tf.unstack(found, axis=2)
    width, height = right - left, bottom - top
    columns = {
        "yxyx": [top, left, bottom, right],
        "xyxy": [left, top, right, bottom],
        "xywh": [left, top, width, height],
        "cxcywh": [left + width / 2, top + height / 2, width, height],
    }
    return tf.stack(columns[boxes], axis=2)
