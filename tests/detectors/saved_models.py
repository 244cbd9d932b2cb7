"""SavedModels made on the fly: a graph of a few lines that finds painted rectangles, exported by any convention."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
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
    ``alone``: a list for one image, without the axis of the batch; ``filled``: rows beyond the count have category -1;
    ``takes``: what an input of strings takes, ``encoded``, ``example``, ``base64`` or ``nothing`` of these;
    ``keeps``: the side to which it resizes inside with the aspect kept, as TF-Vision does, with whole numbers as
    categories and counts; ``offset``: (y, x) of what is then cut off; ``answers``: a change of the outputs.
    """
    module = module_of(tf, **convention)
    names = convention.get("signature", "serving_default").split()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tf.saved_model.save(module, str(path), signatures=dict.fromkeys(names, module.detect))
    return path


def module_of(
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
    takes: str = "encoded",
    keeps: int | None = None,
    offset: tuple[int, int] = (0, 0),
    answers: Callable[[Any, dict[str, Any]], dict[str, Any]] | None = None,
) -> Any:
    """Return the module that :func:`export` saves."""

    def answer(images: Any) -> Mapping[str, Any]:
        pixels = (
            _decoded(tf, images, takes, whole=keeps is not None) if dtype == "string" else tf.cast(images, tf.float32)
        )
        if fails is not None:
            tf.debugging.assert_none_equal(tf.shape(pixels)[1], fails, message="no such height")
        outputs = {}
        if inner is not None:
            pixels, outputs["image_info"] = _resized(tf, pixels, inner)
        if keeps is not None:
            pixels, outputs["image_info"] = _resized_keeping_aspect(tf, pixels, keeps, offset)
        if one:
            pixels = pixels[:1]
        found, present = rectangles(tf, pixels, middle)
        if units == "normalized" and keeps is not None:
            info = outputs["image_info"]
            found = found / tf.tile(info[:, 2:3], [1, 1, 2]) / tf.tile(info[:, :1], [1, 1, 2])
        elif units == "normalized":
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
        if keeps is not None:
            whole = ("detection_classes", "num_detections")
            outputs = {key: tf.cast(value, tf.int32) if key in whole else value for key, value in outputs.items()}
        if answers is not None:
            outputs = answers(tf, outputs)
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


def _decoded(tf: Any, images: Any, takes: str, *, whole: bool) -> Any:
    """Pictures of one batch may differ in size: each is stretched, but for a single one that is left ``whole``."""

    def decode(data: Any) -> Any:
        if takes == "nothing":
            return tf.zeros([96, 96, 3]) + tf.cast(tf.strings.length(data), tf.float32)
        if takes == "example":
            keys = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}
            keys["image/height"] = tf.io.FixedLenFeature((), tf.int64)
            data = tf.io.parse_single_example(data, keys)["image/encoded"]
        if takes == "base64":
            data = tf.io.decode_base64(data)
        pixels = tf.io.decode_image(data, channels=3, expand_animations=False)
        return tf.cast(pixels, tf.float32) if whole else tf.image.resize(pixels, (96, 96))

    if whole:
        return decode(images[0])[None]
    return tf.map_fn(
        decode,
        images,
        fn_output_signature=tf.TensorSpec([96, 96, 3], tf.float32),
    )


def _resized(tf: Any, pixels: Any, inner: int) -> tuple[Any, Any]:
    """Each side brought to ``inner``, with the rows of image_info: size, new size, scale (y before x), offset."""
    size = tf.cast(tf.shape(pixels)[1:3], tf.float32)
    info = tf.stack([size, tf.constant([inner, inner], tf.float32), inner / size, tf.zeros(2)])
    return tf.image.resize(pixels, (inner, inner)), tf.repeat(info[None], tf.shape(pixels)[0], axis=0)


def _resized_keeping_aspect(tf: Any, pixels: Any, side: int, offset: tuple[int, int]) -> tuple[Any, Any]:
    """The longer side brought to ``side``, the rest black below and on the right, and the rows of image_info."""
    size = tf.cast(tf.shape(pixels)[1:3], tf.float32)
    scaled = tf.round(size * tf.reduce_min(side / size))
    shown = tf.image.resize(pixels, tf.cast(scaled, tf.int32))[:, offset[0] :, offset[1] :]
    info = tf.stack([size, tf.constant([side, side], tf.float32), scaled / size, tf.constant(offset, tf.float32)])
    return tf.image.pad_to_bounding_box(shown, 0, 0, side, side), tf.repeat(info[None], tf.shape(pixels)[0], axis=0)


def rectangles(tf: Any, pixels: Any, middle: float) -> tuple[Any, Any]:
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


def export_tf1(
    tf: Any,
    path: Path,
    *,
    unrelated: bool = False,
    threshold: bool = False,
    variable: bool = False,
    several: bool = False,
    **convention: Any,
) -> Path:
    """Write ``frozen_inference_graph.pb`` and ``saved_model`` as the exporter of TensorFlow 1 does; return the folder.

    ``unrelated``: another placeholder, which no output needs; ``threshold``: one that the scores need; ``variable``: a
    variable that is not frozen (then there is no SavedModel); ``several``: a second graph in the SavedModel.
    """
    v1 = tf.compat.v1
    name = convention.pop("name", "image_tensor")
    detect = module_of(tf, **convention).detect.python_function
    dtype, shape = convention.get("dtype", "uint8"), convention["shape"]
    graph = tf.Graph()
    with graph.as_default(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = v1.placeholder(tf.dtypes.as_dtype(dtype), shape, name=name)
        if unrelated:
            v1.placeholder(tf.float32, [], name="keep_prob")
        found = dict(detect(image))
        if threshold:
            found["detection_scores"] = found["detection_scores"] + v1.placeholder(tf.float32, [], name="threshold")
        if variable:
            found["detection_scores"] *= v1.get_variable("brightness", [], use_resource=True)
        outputs = {key: tf.identity(value, name=key) for key, value in found.items()}
        (path / "frozen_inference_graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
        if variable:
            return path
        describe = v1.saved_model.build_tensor_info
        signature = v1.saved_model.signature_def_utils.build_signature_def(
            {"inputs": describe(image)},
            {key: describe(value) for key, value in outputs.items()},
            "tensorflow/serving/predict",
        )
        with v1.Session(graph=graph) as session:
            builder = v1.saved_model.Builder(str(path / "saved_model"))
            builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
            if several:
                builder.add_meta_graph(["serve", "gpu"], {"serving_default": signature})
            builder.save()
    return path
