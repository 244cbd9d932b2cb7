"""Keras models that decode their own predictions, as KerasHub's and KerasCV's detectors do: what ``predict`` does.

Called directly, such a model returns raw heads. ``predict`` brings images to the model's input where the model has a
preprocessor, and its step returns a dict with ``boxes``, ``confidence``, ``labels`` (or ``classes``) and
``num_detections``. The order and the units of the boxes are the model's ``bounding_box_format``. The step is called
here and not ``predict``, which costs some 50 ms per call, nor ``predict_on_batch``, which hands KerasHub's RetinaNet a
tuple that it cannot unpack.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pytest_cropdet.detectors.adapters.tensorflow_call import Call
from pytest_cropdet.detectors.resize import Frame
from pytest_cropdet.errors import DetectorError

__all__ = ["call_of_task", "is_task"]

KERAS_FORMATS: Mapping[str, tuple[str, str]] = {
    "xyxy": ("xyxy", "input"),
    "yxyx": ("yxyx", "input"),
    "xywh": ("xywh", "input"),
    "center_xywh": ("cxcywh", "input"),
    "rel_xyxy": ("xyxy", "normalized"),
    "rel_yxyx": ("yxyx", "normalized"),
    "rel_xywh": ("xywh", "normalized"),
    "rel_center_xywh": ("cxcywh", "normalized"),
}
PREDICTED: Mapping[str, tuple[str, ...]] = {
    "boxes": ("boxes",),
    "scores": ("confidence",),
    "classes": ("labels", "classes"),
    "count": ("num_detections",),
}
SIDE = 64  # px of the empty image that shows what predict returns, where the model takes any size
LARGEST_SCALE = 0.05  # a preprocessor that multiplies by no more takes pixels of 0 to 255


def is_task(model: Any) -> bool:
    """Whether a Keras model decodes its own predictions and says in which format."""
    return isinstance(getattr(model, "bounding_box_format", None), str) and callable(
        getattr(model, "decode_predictions", None)
    )


def call_of_task(model: Any, tensorflow: Any, name: str, shape: Any, dtype: Any) -> Call:
    """Return ``predict`` of a model whose own input has that name, shape and type."""
    written = model.bounding_box_format.lower()
    if written not in KERAS_FORMATS:
        raise DetectorError(
            f"its bounding_box_format is {written!r}, which is none of {', '.join(KERAS_FORMATS)}; write a function "
            "that returns Detections and name it as package.module:factory"
        )
    order, units = KERAS_FORMATS[written]
    conventions = {"boxes": order, "units": units}
    frame = None
    preprocessor = getattr(model, "preprocessor", None)
    if preprocessor is not None:
        converter = _converter_of(preprocessor)
        frame = frame_of_converter(converter)
        if converter.image_size is not None:
            shape = tensorflow.TensorShape([shape[0], None, None, 3])
        if _divides(converter):
            conventions["range"] = "0..255"

    import keras

    step = tensorflow.function(model.predict_step, autograph=False)

    def run(batch: Any) -> Mapping[str, Any]:
        if preprocessor is not None:
            batch = keras.utils.unpack_x_y_sample_weight(model.preprocess_samples(batch))[0]
        with warnings.catch_warnings():  # of a call without preprocessing, which was done above
            warnings.simplefilter("ignore", UserWarning)
            found: Mapping[str, Any] = step(batch)
        return found

    empty = np.zeros([shape[0] or 1, shape[1] or SIDE, shape[2] or SIDE, 3], dtype.as_numpy_dtype)
    found = run(tensorflow.constant(empty))
    outputs = {
        str(key): tensorflow.TensorSpec([None, *np.shape(value)[1:]], name=str(key)) for key, value in found.items()
    }
    roles = _roles(outputs)
    return Call(name, dtype, shape, outputs, run, roles=roles, conventions=conventions, frame=frame)


def _roles(outputs: Mapping[str, Any]) -> dict[str, str] | None:
    """Return which output is what by the names that KerasHub gives them; ``None`` where one is not there."""
    found = {role: next((name for name in names if name in outputs), None) for role, names in PREDICTED.items()}
    known = {role: name for role, name in found.items() if name is not None}
    return known if len(known) == len(PREDICTED) else None


def _converter_of(preprocessor: Any) -> Any:
    """Return the layer that resizes and scales images; a preprocessor without one may do anything."""
    converter = getattr(preprocessor, "image_converter", None)
    if converter is None or not hasattr(converter, "image_size"):
        raise DetectorError(
            f"its preprocessor is {type(preprocessor).__name__}, which has no image_converter that says how it "
            "resizes; write a function that returns Detections and name it as package.module:factory"
        )
    return converter


def _divides(converter: Any) -> bool:
    """Whether a converter scales pixels as only values of 0 to 255 need it."""
    scale = getattr(converter, "scale", None)
    return scale is not None and bool(np.all(np.abs(np.asarray(scale, dtype=np.float64)) <= LARGEST_SCALE))


def frame_of_converter(converter: Any) -> Callable[[int, int], Frame] | None:
    """Return how images lie in the input that Keras' ``Resizing`` layer makes of them; ``None`` if it resizes nothing.

    It stretches, or cuts the middle out that has the aspect of the input, or pads to that aspect; sides of what is cut
    or padded are whole pixels, rounded down.
    """
    if converter.image_size is None:
        return None
    input_height, input_width = map(int, converter.image_size)
    cuts = bool(getattr(converter, "crop_to_aspect_ratio", False))
    pads = bool(getattr(converter, "pad_to_aspect_ratio", False))

    def frame(width: int, height: int) -> Frame:
        inner_width, inner_height = width, height
        if cuts or pads:
            limit = min if cuts else max
            inner_height = max(1, limit(height, int(np.float32(width * input_height) / np.float32(input_width))))
            inner_width = max(1, limit(width, int(np.float32(height * input_width) / np.float32(input_height))))
        left, top = int((inner_width - width) / 2), int((inner_height - height) / 2)  # below 0 where it cuts
        if pads:  # as much on either side
            inner_width, inner_height = width + 2 * left, height + 2 * top
        scale = (input_width / inner_width, input_height / inner_height)
        offset: Any = (left * scale[0], top * scale[1])  # which need not be whole pixels
        return Frame(width, height, input_width, input_height, scale, offset)

    return frame
