"""A TensorFlow model called through one function: by the names of the Object Detection API, or as the user says.

What the function's signature decides is read from it: the type and size of the input, whether it takes batches, whether
the model
resizes. What it does not decide is asked of the user, by the name of the option.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data import Detections, flatten_inverted
from pytest_cropdet.detectors.adapters.heads import as_numbers, read_scores
from pytest_cropdet.detectors.adapters.quiet import quiet
from pytest_cropdet.detectors.adapters.tensorflow_call import Call
from pytest_cropdet.detectors.adapters.tensorflow_inputs import (
    as_example,
    as_png,
    check_input,
    input_sides,
    read_input_kind,
)
from pytest_cropdet.detectors.adapters.tensorflow_outputs import REQUIRED, choose_outputs, follows_the_api, read_count
from pytest_cropdet.detectors.adapters.tensorflow_tables import open_table
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.label_files import SURE, Proof, open_labels
from pytest_cropdet.detectors.resize import Frame, PreparedImage, fit, scale_values
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import Boxes, Floats, Image, Ints, from_format

__all__ = ["NORMALIZED_LIMIT", "TensorFlowAdapter", "import_tensorflow", "warmed_up"]

RAW_SCORES = ("raw_detection_scores", "detection_multiclass_scores")
BATCH, GPU_BATCH = 8, 32  # where the signature takes any number and the user names none
PIXELS_LIMIT = 1.5  # a box in pixels that a detector is sure of reaches further
NORMALIZED_LIMIT = 4.0  # a normalised box may stick out of its image, but never by that much


def import_tensorflow(threads: int | None = None) -> Any:
    """Return tensorflow, imported quietly; ``DetectorError`` names the line that installs it.

    Where this is the first to import it, ``threads`` (one, where several workers of pytest-xdist share the machine) is
    set, and memory of GPUs grows as it is needed; a process that had TensorFlow before is left as it is.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    owned = "tensorflow" not in sys.modules
    try:
        with quiet():
            import tensorflow

            if owned:
                _set_up(tensorflow, threads)
    except ImportError as error:
        raise DetectorError(
            f"this detector needs TensorFlow ({error}): pip install 'pytest-cropdet[tensorflow]'"
        ) from error
    return tensorflow


def _set_up(tensorflow: Any, threads: int | None) -> None:
    if threads is None and int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
        threads = 1
    if threads is not None:
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    for gpu in tensorflow.config.list_physical_devices("GPU"):
        tensorflow.config.experimental.set_memory_growth(gpu, True)


def warmed_up(path: object, make: Callable[[], Call], tensorflow: Any, description: Description) -> "TensorFlowAdapter":
    """Return the adapter of what ``make`` returns, called once; errors name the file, or the model by its name."""
    try:
        call, description = open_table(make(), description, tensorflow)
        adapter = TensorFlowAdapter(call, tensorflow, description)
        adapter.warm_up()
    except DetectorError as error:
        raise DetectorError(f"{path}: {error}") from error
    except Exception as error:
        raise DetectorError(f"{path} fails on an empty image: {type(error).__name__}: {error}") from error
    return adapter


class TensorFlowAdapter:
    """A TensorFlow model called through one function: a SavedModel's signature, or a Keras model."""

    def __init__(self, call: Call, tensorflow: Any, description: Description) -> None:
        self._tensorflow = tensorflow
        self._call = call
        outputs = call.outputs
        check_input(call.name, call.dtype, call.shape)
        self._kind = read_input_kind((call.name, call.tensor), call.dtype, call.operations, description)
        given = description
        description = _agree(description, call.conventions)
        known = call.roles if description.outputs is None else None
        self._roles = choose_outputs(outputs, description) if known is None else dict(known)
        self._api = known is None and description.outputs is None and follows_the_api(outputs)
        self._assumed = self._api and given.first_category is None  # by the names of the outputs
        self._encoded = self._kind != "pixels"
        sizes = (call.shape[:1] if call.shape.rank else [None]) if self._encoded else call.shape
        shape = [None if side is None else int(side) for side in sizes]
        self._dtype = None if self._encoded else np.dtype(call.dtype.as_numpy_dtype)
        sides = (None, None) if self._encoded else input_sides(call.shape, description)
        self.fixed_input = None not in sides
        self._input_size = sides
        self._image_info = "image_info" in outputs
        shapes = [outputs[self._roles[role]].shape for role in REQUIRED]
        self._batched = shapes[0].rank != 2
        if not self._batched:  # a list for one image
            shape[0] = 1
        self.description = self._decide(description, shape)
        self._resize = self.description.rule()
        self._resize.check_input(self._input_size[1] or 0, self._input_size[0] or 0)
        self.fixed_input |= 0 not in self.input_shape(0, 0)
        self.batch = int(self.description.batch or 1)
        self._pad_to = shape[0] if shape[0] else (self.batch if self.fixed_input or call.frame else 1)
        place = 1 if self._batched else 0
        rows = [shape[place] for shape in shapes if shape.rank and shape.rank > place and shape[place]]
        self.max_detections = int(rows[0]) if rows else None
        self._first = int(self.description.first_category or 0)
        labels = open_labels(self.description.labels) if self.description.labels else None
        proof = call.proof or _prove_categories(outputs, described=description.first_category is not None)
        self._labels = labels if proof is None else None  # whose numbers are checked as they come
        self.categories = None if labels is None else labels.count(self._first, proof)

    def _decide(self, given: Description, shape: list[int | None]) -> Description:
        """Return the description with what the signature says; ask for what is open, refuse what contradicts it."""
        if self._encoded:
            given = given.filled(input=self._kind)
            why = "the model takes encoded images, and decodes them itself"
            given.refuse(why, "range", "mean", "std", "input_size")
        if self._dtype == np.uint8:
            given.refuse("its input is uint8, which has the pixels as they are", "mean", "std")
        if "range" in self._call.conventions:
            given.refuse("the model has a preprocessor, which scales pixels itself", "mean", "std")
        if shape[0] is not None and given.batch is not None and given.batch > shape[0]:
            raise DetectorError(f"batch={given.batch}: the signature takes {shape[0]} images per call")
        if self.fixed_input:
            size = f"{self._input_size[1]} x {self._input_size[0]}"
            given.require(
                "resize",
                f"its input is fixed at {size} pixels and the signature does not say how images get there",
                "stretch",
                "letterbox",
                "keep_aspect",
            )
            if given.resize == "inside":
                raise DetectorError(f"resize=inside: its input is fixed at {size} pixels, so it cannot resize inside")
        else:
            given.rule().check_input(self._input_size[1] or 0, self._input_size[0] or 0)
            if given.resize not in (None, "inside") and (self._encoded or given.units == "pixels"):
                raise DetectorError(
                    f"resize={given.resize}: the model takes encoded images, and decodes and resizes them itself"
                    if self._encoded
                    else f"units=pixels: images are resized before the model (resize={given.resize}), so it never "
                    "learns their size; set --cropdet-detector units=input for boxes in pixels of the input"
                )
        if self._image_info:
            given.require(
                "units",
                "with 'image_info' among its outputs, boxes may be normalised or in pixels of the resized input",
            )
        if not self._api:
            _require_order(given)
        if not (self._encoded or self._dtype == np.uint8 or self._call.name == "input_tensor"):
            given.require(
                "range",
                f"its input {self._call.name!r} is {self._dtype}, and the signature does not say in which range",
            )
        elif self._dtype == np.uint8 and given.range not in (None, "0..255"):
            raise DetectorError(f"range={given.range}: its input is uint8, so pixels are 0..255")
        given.statistics()
        return given.filled(
            boxes="yxyx",
            units="normalized",
            first_category=1,
            channels="rgb",
            range=None if self._encoded else "0..255",
            resize="inside",
            batch=shape[0] or (GPU_BATCH if self._tensorflow.config.list_physical_devices("GPU") else BATCH),
        )

    def warm_up(self) -> None:
        """Run one empty image, so that the first real call costs what every call costs."""
        height, width = self._input_size
        self.detect([self.prepare(np.zeros((height or 320, width or 320, 3), np.uint8))])

    def input_shape(self, width: int, height: int) -> tuple[int, int]:
        fixed_height, fixed_width = self._input_size
        return self._resize.input_shape(width, height, fixed_width or 0, fixed_height or 0)

    def prepare(self, image: Image) -> PreparedImage:
        """Return ``image`` (RGB uint8) in the input's size, channels, type and range."""
        if self.description.channels == "bgr":
            image = image[:, :, ::-1]
        height, width = image.shape[:2]
        if self._encoded:
            data = as_png(image) if self._kind == "encoded" else as_example(image, self._tensorflow)
            return PreparedImage(data, Frame(width, height, width, height))
        if self._resize.resize != "inside":
            fixed_height, fixed_width = self._input_size
            fitted = fit(image, self._resize, fixed_width or 0, fixed_height or 0, self._dtype)
        else:
            frame = self._call.frame or (lambda width, height: Frame(width, height, width, height))
            fitted = PreparedImage(np.ascontiguousarray(image, dtype=self._dtype), frame(width, height))
        said = self.description
        return PreparedImage(scale_values(fitted.pixels, str(said.range), *said.statistics()), fitted.frame)

    def detect(self, inputs: Sequence[PreparedImage]) -> list[Detections]:
        """Return the detections of one batch; short batches are filled up and the filling thrown away."""
        pixels = [prepared.pixels for prepared in inputs]
        missing = self._pad_to - len(pixels)
        if self._encoded:
            data = [array.tobytes() for array in pixels]
            batch = self._tensorflow.constant([*data, *data[:1] * missing])
            if "DecodeBase64" in self._call.operations:
                batch = self._tensorflow.io.encode_base64(batch)
        else:
            batch = self._tensorflow.constant(np.stack([*pixels, *[np.zeros_like(pixels[0])] * missing]))
        outputs = {name: np.asarray(value) for name, value in self._call.run(batch).items()}
        if not self._batched:
            outputs |= {name: outputs[name][None] for name in self._roles.values()}
        sent = int(batch.shape[0])
        for role in REQUIRED:
            name = self._roles[role]
            if len(outputs[name]) != sent:
                raise DetectorError(f"the model was given {sent} images and its {name} has {len(outputs[name])} rows")
        if "count" in self._roles and outputs[self._roles["count"]].size != sent:
            numbers = outputs[self._roles["count"]].size
            raise DetectorError(
                f"the model was given {sent} images and its {self._roles['count']} has {numbers} numbers, not one per "
                "image"
            )
        return [self._read(outputs, row, prepared.frame) for row, prepared in enumerate(inputs)]

    def _read(self, outputs: Mapping[str, NDArray[Any]], row: int, frame: Frame) -> Detections:
        table = {role: outputs[name] for role, name in self._roles.items()}
        total = table["scores"].shape[1]
        count = read_count(table["count"], row, total, self._roles["count"]) if "count" in table else total
        classes, scores = as_numbers(table["classes"][row, :count]), read_scores(table["scores"][row, :count])
        order = self._call.order or str(self.description.boxes)
        boxes = from_format(table["boxes"][row, :count].astype(np.float64).reshape(-1, 4), order)
        if self.description.units == "normalized":
            _check_normalized(boxes)
            boxes = frame.from_normalized(boxes)
        elif self.description.units == "input":
            if self._image_info:
                _check_pixels(boxes[scores >= SURE])
                boxes = undo_resize(boxes, outputs["image_info"][row], frame)
            boxes = frame.to_image(boxes)
        if self._assumed:
            _check_first(classes, scores)
        if not self._api:
            filled = classes >= self._first  # rows of padding have a category below the first, such as -1
            boxes, classes, scores = boxes[filled], classes[filled], scores[filled]
        ids = classes if self.categories is not None else classes - self._first + 1
        if self._labels is not None:
            self._labels.check(classes, scores, self._first)
        most = self.max_detections  # of a number of rows that changes from answer to answer none is the largest
        return Detections(flatten_inverted(boxes), scores, ids, capped=most is not None and count >= most)


def _agree(given: Description, conventions: Mapping[str, str]) -> Description:
    """Return what was given and what the model itself says; refuse what contradicts it."""
    for key, value in conventions.items():
        if getattr(given, key) not in (None, value):
            raise DetectorError(f"{key}={getattr(given, key)}: the model itself says {key}={value}")
    return given.filled(**conventions)


def undo_resize(boxes: Boxes, info: NDArray[Any], frame: Frame) -> Boxes:
    """Return boxes in pixels of the input inside a TF-Vision model as boxes in pixels of what the model was given.

    ``info``: its image_info, with the rows original size, new size, scale and offset, height before width.
    """
    if info.shape != (4, 2):
        raise DetectorError(f"its image_info of an image is {info.shape}, not (4, 2) as TF-Vision exports it")
    (height, width), _, scale, offset = info.astype(np.float64)
    if abs(height - frame.input_height) > 0.5 or abs(width - frame.input_width) > 0.5:
        raise DetectorError(
            f"its image_info says that the image is {width:g} x {height:g} pixels, and it is {frame.input_width} x "
            f"{frame.input_height}; TF-Vision's begins with height and width of the original image"
        )
    return np.asarray((boxes + offset[[1, 0, 1, 0]]) / scale[[1, 0, 1, 0]])


def _require_order(given: Description) -> None:
    """Require what only the Object Detection API's names say of boxes and categories."""
    given.require("boxes", "the model does not say in which order the four numbers of a box are")
    given.require("units", "the model does not say whether boxes are in 0..1 or in pixels")
    given.require("first_category", "the model does not say which number its first category has")


def _prove_categories(outputs: Mapping[str, Any], *, described: bool) -> Proof | None:
    """Return how many categories the raw scores have: a column for each, after one for the background.

    ``described``: the user says where categories start, as of an export that has no column for the background.
    """
    for name in RAW_SCORES:
        shape = outputs[name].shape if name in outputs else None
        if shape is not None and shape.rank == 3 and shape[2] is not None and shape[2] > 1:
            columns = int(shape[2])
            why = f"{name} has {columns} columns, the first is the background's"
            return Proof(columns - 1, why, perhaps=columns if described else None)
    return None


def _check_normalized(boxes: NDArray[np.float64]) -> None:
    if boxes.size and np.abs(boxes).max() > NORMALIZED_LIMIT:
        raise DetectorError(
            f"a box reaches {np.abs(boxes).max():.4g}, so boxes are not normalised to 0..1; set --cropdet-detector "
            "units=pixels (of the image) or units=input (of the resized input)"
        )


def _check_pixels(boxes: Boxes) -> None:
    """Refuse sure detections that would all lie in the first pixel of a TF-Vision model's input."""
    if boxes.size and np.abs(boxes).max() <= PIXELS_LIMIT:
        raise DetectorError(
            f"its boxes reach {np.abs(boxes).max():.4g} at most, so they are no pixels of the resized input; set "
            "--cropdet-detector units=normalized"
        )


def _check_first(classes: Ints, scores: Floats) -> None:
    """Refuse a sure detection of a category that a model of the Object Detection API does not have."""
    below = (classes < 1) & (scores >= SURE)
    if below.any():
        raise DetectorError(
            f"it found category number {int(classes[below].min())} with a score of {float(scores[below].max()):.2f}, "
            "and models of the TensorFlow Object Detection API count from 1; set --cropdet-detector first_category=0"
        )
