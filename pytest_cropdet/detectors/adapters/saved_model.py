"""TensorFlow SavedModels with the output names of the TensorFlow Object Detection API.

What the signature decides is read from it: the type and size of the input, whether it takes batches, whether the model
resizes. What it does not decide is asked of the user, by the name of the option.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data import Detections, flatten_inverted
from pytest_cropdet.detectors.adapters.quiet import quiet
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.label_files import Proof, open_labels
from pytest_cropdet.detectors.resize import Frame, PreparedImage, fit, scale_values
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.files import refuse_special
from pytest_cropdet.geometry import Image, from_format

__all__ = ["SavedModelAdapter", "load", "verify"]

BOXES, SCORES, CLASSES, COUNT = "detection_boxes", "detection_scores", "detection_classes", "num_detections"
RAW_SCORES = ("raw_detection_scores", "detection_multiclass_scores")
BATCH, GPU_BATCH = 8, 32  # where the signature takes any number and the user names none
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


def verify(path: Path) -> None:
    """Raise ``DetectorError`` for a folder whose files cannot be those of a SavedModel."""
    refuse_special(path / "saved_model.pb", "the model", DetectorError)
    index, parts = path / "variables" / "variables.index", list((path / "variables").glob("variables.data-*"))
    if index.exists() != bool(parts):
        there, missing = (index.name, "variables.data-*") if index.exists() else (parts[0].name, index.name)
        raise DetectorError(f"{path} cannot be used: variables has {there} and no {missing}; copy the whole folder")


def load(path: Path, description: Description) -> "SavedModelAdapter":
    """Return the SavedModel in ``path``, warmed up."""
    described = f"a SavedModel has boxes, scores and classes under the names {BOXES}, {SCORES}, {CLASSES}"
    description.refuse(described, "outputs", "activation")
    tensorflow = import_tensorflow(description.threads)
    with quiet():
        try:
            model = tensorflow.saved_model.load(str(path))
        except Exception as error:
            raise DetectorError(f"TensorFlow cannot load {path}: {type(error).__name__}: {error}") from error
        try:
            adapter = SavedModelAdapter(model, tensorflow, description)
            adapter.warm_up()
        except DetectorError as error:
            raise DetectorError(f"{path}: {error}") from error
        except Exception as error:
            raise DetectorError(f"{path} fails on an empty image: {type(error).__name__}: {error}") from error
    return adapter


class SavedModelAdapter:
    """A SavedModel called through its signature."""

    def __init__(self, model: Any, tensorflow: Any, description: Description) -> None:
        self._tensorflow = tensorflow
        self._model = model  # a signature does not keep its model alive
        self._signature = _choose_signature(model.signatures)
        (self._input_name, spec), outputs = _read_signature(self._signature)
        self._encoded = spec.dtype == tensorflow.string
        sizes = (spec.shape[:1] if spec.shape.rank else [None]) if self._encoded else spec.shape
        shape = [None if side is None else int(side) for side in sizes]
        self._dtype = None if self._encoded else np.dtype(spec.dtype.as_numpy_dtype)
        sides = (None, None) if self._encoded else (shape[1], shape[2])
        self.fixed_input = None not in sides
        self._input_size = sides
        self._image_info = "image_info" in outputs
        self.description = self._decide(description, shape, outputs)
        self.batch = int(self.description.batch or 1)
        self._pad_to = shape[0] if shape[0] else (self.batch if self.fixed_input else 1)
        shapes = [outputs[name].shape for name in (BOXES, SCORES, CLASSES)]
        rows = [shape[1] for shape in shapes if shape.rank and shape.rank > 1 and shape[1]]
        self.max_detections = int(rows[0]) if rows else None
        self._first = int(self.description.first_category or 0)
        labels = open_labels(self.description.labels) if self.description.labels else None
        proof = _prove_categories(outputs, described=description.first_category is not None)
        self._labels = labels if proof is None else None  # whose numbers are checked as they come
        self.categories = None if labels is None else labels.count(self._first, proof)

    def _decide(self, given: Description, shape: list[int | None], outputs: Mapping[str, Any]) -> Description:
        """Return the description with what the signature says; ask for what is open, refuse what contradicts it."""
        if self._encoded:
            given.refuse("the model takes encoded images, and decodes them itself", "range")
        if shape[0] is not None and given.batch is not None and given.batch > shape[0]:
            raise DetectorError(f"batch={given.batch}: the signature takes {shape[0]} images a call")
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
        elif given.resize not in (None, "inside"):
            raise DetectorError(f"resize={given.resize}: the model takes images of any size and resizes them itself")
        if self._image_info:
            given.require(
                "units",
                "with 'image_info' among its outputs, boxes may be normalised or in pixels of the resized input",
            )
        from_api = self._encoded or self._dtype == np.uint8 or self._input_name == "input_tensor"
        if not from_api:
            given.require(
                "range",
                f"its input {self._input_name!r} is {self._dtype}, and the signature does not say in which range",
            )
        elif self._dtype == np.uint8 and given.range not in (None, "0..255"):
            raise DetectorError(f"range={given.range}: its input is uint8, which holds 0..255")
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
        return fixed_height or height, fixed_width or width

    def prepare(self, image: Image) -> PreparedImage:
        """Return ``image`` (RGB uint8) in the input's size, channels, type and range."""
        if self.description.channels == "bgr":
            image = image[:, :, ::-1]
        height, width = image.shape[:2]
        if self._encoded:
            return PreparedImage(_as_png(image), Frame(width, height, width, height))
        if self.fixed_input:
            fixed_height, fixed_width = self._input_size
            fitted = fit(image, str(self.description.resize), fixed_width or 0, fixed_height or 0, self._dtype)
        else:
            fitted = PreparedImage(np.ascontiguousarray(image, dtype=self._dtype), Frame(width, height, width, height))
        return PreparedImage(scale_values(fitted.pixels, str(self.description.range)), fitted.frame)

    def detect(self, inputs: Sequence[PreparedImage]) -> list[Detections]:
        """Return the detections of one batch; short batches are filled up and the filling thrown away."""
        pixels = [prepared.pixels for prepared in inputs]
        missing = self._pad_to - len(pixels)
        if self._encoded:
            data = [array.tobytes() for array in pixels]
            batch = self._tensorflow.constant([*data, *data[:1] * missing])
        else:
            batch = self._tensorflow.constant(np.stack([*pixels, *[np.zeros_like(pixels[0])] * missing]))
        outputs = {name: value.numpy() for name, value in self._signature(**{self._input_name: batch}).items()}
        sent = int(batch.shape[0])
        for name in (BOXES, SCORES, CLASSES):
            if len(outputs[name]) != sent:
                raise DetectorError(f"the model was given {sent} images and its {name} has {len(outputs[name])} rows")
        return [self._read(outputs, row, prepared.frame) for row, prepared in enumerate(inputs)]

    def _read(self, outputs: Mapping[str, NDArray[Any]], row: int, frame: Frame) -> Detections:
        total = outputs[SCORES].shape[1]
        count = min(int(np.ravel(outputs[COUNT])[row]), total) if COUNT in outputs else total
        boxes = from_format(outputs[BOXES][row, :count].astype(np.float64).reshape(-1, 4), str(self.description.boxes))
        if self.description.units == "normalized":
            _check_normalized(boxes)
            boxes = frame.from_normalized(boxes)
        elif self.description.units == "input":
            if self._image_info:  # rows of image_info: original size, resized size, scale (y, x), offset (y, x)
                scale = outputs["image_info"][row, 2].astype(np.float64)
                boxes = boxes / scale[[1, 0, 1, 0]]
            else:
                boxes = frame.to_image(boxes)
        classes = outputs[CLASSES][row, :count].astype(np.int64)
        ids = classes if self.categories is not None else classes - self._first + 1
        scores = np.clip(outputs[SCORES][row, :count].astype(np.float64), 0.0, 1.0)
        if self._labels is not None:
            self._labels.check(classes, scores, self._first)
        most = self.max_detections  # of a number of rows that changes from answer to answer none is the largest
        return Detections(flatten_inverted(boxes), scores, ids, capped=most is not None and count >= most)


def _choose_signature(signatures: Mapping[str, Any]) -> Any:
    if "serving_default" in signatures:
        return signatures["serving_default"]
    if len(signatures) == 1:
        return next(iter(signatures.values()))
    names = ", ".join(signatures) or "none"
    raise DetectorError(f"the SavedModel needs a signature 'serving_default'; it has {names}")


def _read_signature(signature: Any) -> tuple[tuple[str, Any], Mapping[str, Any]]:
    inputs = signature.structured_input_signature[1]
    outputs = signature.structured_outputs
    if len(inputs) != 1:
        raise DetectorError(
            f"the signature takes {', '.join(inputs) or 'nothing'}; a detector takes one tensor of images"
        )
    name, spec = next(iter(inputs.items()))
    missing = [wanted for wanted in (BOXES, SCORES, CLASSES) if wanted not in outputs]
    if missing:
        raise DetectorError(
            f"the signature has no output {', '.join(missing)} (it has {', '.join(sorted(outputs))}); for a model with "
            "other outputs write a function that returns Detections and name it as package.module:factory"
        )
    kinds = ("uint8", "float32", "float16", "string")
    shaped = spec.dtype.name == "string" or (spec.shape.rank == 4 and spec.shape[3] == 3)
    if spec.dtype.name not in kinds or not shaped or name in ("tf_example", "examples"):
        raise DetectorError(
            f"its input {name!r} is {spec.dtype.name} {spec.shape}; images are uint8 or float [N, height, width, 3], "
            "or encoded strings [N]"
        )
    return (name, spec), outputs


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
            f"a box reaches {np.abs(boxes).max():.4g}, so boxes are not normalised to 0..1; say --cropdet-detector "
            "units=pixels (of the image) or units=input (of the resized input)"
        )


def _as_png(image: Image) -> NDArray[np.uint8]:
    import cv2

    done, data = cv2.imencode(".png", np.ascontiguousarray(image[:, :, ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise DetectorError("OpenCV could not encode an image as PNG for a model that takes encoded images")
    return np.asarray(data, dtype=np.uint8).reshape(-1)
