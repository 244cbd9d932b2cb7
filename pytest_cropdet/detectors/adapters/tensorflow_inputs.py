"""What the input of a TensorFlow model takes: pixels, encoded images, or encoded images in serialised examples.

An input of strings looks the same for encoded images and for serialised ``tf.train.Example`` messages. The operations
of the graph show which of the two it is; where they do not, the input's name may, and else an option says it.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.description import Description, parse_size
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import Image

__all__ = ["as_example", "as_png", "check_input", "input_sides", "operations_of", "read_input_kind"]

PARSES = ("ParseExample", "ParseExampleV2", "ParseSingleExample")  # operations that read serialised examples
DECODES = ("DecodeImage", "DecodePng", "DecodeJpeg", "DecodeBmp", "DecodeGif", "DecodeAndCropJpeg", "DecodeWebP")
EXAMPLE_NAMES = ("tf_example", "examples", "serialized_example", "serialized_examples")
ENCODED_NAMES = ("encoded_image_string_tensor", "image_bytes", "encoded_image", "encoded_images")
DTYPES = ("uint8", "float32", "float16", "string")


def check_input(name: str, dtype: Any, shape: Any) -> None:
    """Refuse an input that does not take images."""
    shaped = dtype.name == "string" or (shape.rank == 4 and shape[3] == 3)
    if dtype.name not in DTYPES or not shaped:
        raise DetectorError(
            f"its input {name!r} is {dtype.name} {shape}; images are uint8 or float "
            "[N, height, width, 3], or strings [N]: encoded images, or serialised examples that contain them"
        )


def input_sides(shape: Any, given: Description) -> tuple[int | None, int | None]:
    """Return height and width of an input of pixels, ``None`` where any is taken; ``input_size`` fixes what is open."""
    height, width = (None if side is None else int(side) for side in (shape[1], shape[2]))
    if given.input_size is None:
        return height, width
    wide, high = parse_size(given.input_size)
    if height not in (None, high) or width not in (None, wide):
        raise DetectorError(
            f"input_size={given.input_size}: its input is fixed at {width} x {height} pixels; remove it from "
            "--cropdet-detector"
        )
    return high, wide


def operations_of(graph: Any) -> frozenset[str]:
    """Return the kinds of operations in a graph (``tf.GraphDef``) and in the functions that it calls."""
    bodies = {each.signature.name: each for each in graph.library.function}
    waiting = [graph.node]
    seen: set[str] = set()
    found: set[str] = set()
    while waiting:
        for node in waiting.pop():
            found.add(node.op)
            called = {node.op, *(name for value in node.attr.values() for name in _functions(value))}
            for name in called & set(bodies) - seen:
                seen.add(name)
                waiting.append(bodies[name].node_def)
    return frozenset(found)


def _functions(value: Any) -> list[str]:
    """Return the names of the functions in an attribute of a node."""
    return [value.func.name, *(each.name for each in value.list.func)]


def read_input_kind(names: Iterable[str], dtype: Any, operations: frozenset[str], given: Description) -> str:
    """Return what an input takes: ``pixels``, ``encoded`` or ``example``.

    ``names``: of the input; ``operations``: of the graph behind it. What the graph shows cannot be changed.
    """
    if dtype.name != "string":
        given.refuse(f"the model takes pixels ({dtype.name})", "input")
        return "pixels"
    parses, decodes = sorted(operations.intersection(PARSES)), sorted(operations.intersection(DECODES))
    shown = "example" if parses else "encoded" if decodes else None
    if shown is not None:
        if given.input not in (None, shown):
            raise DetectorError(
                f"input={given.input}: the graph has the operation {(parses or decodes)[0]}, so it takes input={shown}"
            )
        return shown
    if given.input is None:
        for name in names:
            if name in EXAMPLE_NAMES:
                return "example"
            if name in ENCODED_NAMES:
                return "encoded"
    kind: str = given.require(
        "input",
        f"its input {next(iter(names), '')!r} takes strings, and neither its name nor the graph shows whether these "
        "are encoded images or serialised tf.train.Example messages",
    )
    return kind


def as_png(image: Image) -> NDArray[np.uint8]:
    """Return an RGB image as the bytes of a PNG file."""
    import cv2

    done, data = cv2.imencode(".png", np.ascontiguousarray(image[:, :, ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise DetectorError("OpenCV could not encode an image as PNG for a model that takes encoded images")
    return np.asarray(data, dtype=np.uint8).reshape(-1)


def as_example(image: Image, tensorflow: Any) -> NDArray[np.uint8]:
    """Return an RGB image as a serialised ``tf.train.Example`` with the keys of the Object Detection API."""
    train = tensorflow.train
    height, width = image.shape[:2]
    texts = {
        "image/encoded": as_png(image).tobytes(),
        "image/format": b"png",
        "image/filename": b"image.png",
        "image/source_id": b"0",
    }
    features = {key: train.Feature(bytes_list=train.BytesList(value=[value])) for key, value in texts.items()}
    for key, number in (("image/height", height), ("image/width", width)):
        features[key] = train.Feature(int64_list=train.Int64List(value=[number]))
    example = train.Example(features=train.Features(feature=features))
    return np.frombuffer(example.SerializeToString(), dtype=np.uint8)
