"""ONNX files, in ONNX Runtime on the processor: what the file proves is read, and the rest has to be set.

An ONNX file holds no code: operations of libraries are refused by name, and no library is loaded.
"""

import os
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data import Detections, flatten_inverted
from pytest_cropdet.detectors.adapters.detection_lists import ANY_LENGTH
from pytest_cropdet.detectors.adapters.heads import Found
from pytest_cropdet.detectors.adapters.onnx_file import OnnxFile, files_of, read_onnx
from pytest_cropdet.detectors.adapters.onnx_graph import OnnxGraph, Tensor
from pytest_cropdet.detectors.adapters.onnx_heads import OnnxOutputs, choose_onnx_head
from pytest_cropdet.detectors.adapters.onnx_input import MASK, read_images_input
from pytest_cropdet.detectors.adapters.onnx_metadata import Metadata, read_onnx_metadata
from pytest_cropdet.detectors.adapters.quiet import quiet
from pytest_cropdet.detectors.adapters.tensorflow_model import BATCH, NORMALIZED_LIMIT
from pytest_cropdet.detectors.description import Description, parse_size
from pytest_cropdet.detectors.label_files import open_labels
from pytest_cropdet.detectors.resize import Frame, PreparedImage, fit
from pytest_cropdet.detectors.resize_rule import ResizeRule
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import Image

__all__ = ["OnnxAdapter", "files", "load", "runtime_version", "verify"]

RESIZES = ("stretch", "letterbox", "keep_aspect")
WARM_UP = 320  # px a side, of the empty image that a model of any size is tried with
ERRORS_ONLY = 3  # of what the runtime writes
CPU = "CPUExecutionProvider"
RUNTIME_PACKAGES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino")
_UNKNOWN = re.compile(  # in errors of the runtime: an operation that it does not know, or cannot run
    r"No Op registered for (?P<a>\S+)|(?P<b>[\w.:]+)\(-?\d+\) is not a registered|implementation for (?P<c>[\w.:]+)\("
)


def files(path: Path) -> list[Path]:
    """Return all files of the model in ``path``: weights of large models are beside it."""
    return files_of(path)


def runtime_version() -> str:
    """Return the version of ONNX Runtime, on which the last digits depend; builds for GPUs have other names."""
    for package in RUNTIME_PACKAGES:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return ""


def verify(path: Path) -> None:
    """Raise ``DetectorError`` for a file that is damaged, incomplete, or needs code that it does not contain."""
    file = read_onnx(path)
    file.external_files()
    file.refuse_custom()


def load(path: Path, description: Description) -> "OnnxAdapter":
    """Return the model in ``path``, warmed up."""
    description.refuse("an ONNX file has no signatures", "signature")
    description.refuse("an ONNX file has no objects of Keras", "custom_objects")
    runtime = _import_runtime()
    _check_provider(runtime, description.provider)
    file = read_onnx(path)
    with quiet():
        try:
            session = _session(runtime, path, description)
        except Exception as error:
            unknown = _UNKNOWN.search(str(error))
            if unknown is not None:
                raise DetectorError(
                    f"{path}: ONNX Runtime {runtime.__version__} does not have the operation "
                    f"{unknown[unknown.lastgroup or 0]}; export it without that operation, or for another opset"
                ) from error
            raise DetectorError(f"{path} cannot be loaded: {error}") from error
        try:
            return OnnxAdapter(session, description, file)
        except DetectorError as error:
            raise DetectorError(f"{path}: {error}") from error
        except Exception as error:
            raise DetectorError(f"{path} fails on an empty image: {type(error).__name__}: {error}") from error


def _import_runtime() -> Any:
    try:
        with quiet():
            import onnxruntime
    except ImportError as error:
        raise DetectorError(f"an ONNX file needs ONNX Runtime ({error}): pip install 'pytest-cropdet[onnx]'") from error
    return onnxruntime


def _check_provider(runtime: Any, provider: str | None) -> None:
    """Refuse a provider that this build of the runtime does not have."""
    there = runtime.get_available_providers()
    if provider is not None and provider not in there:
        raise DetectorError(
            f"provider={provider}: ONNX Runtime {runtime.__version__} as installed here has {', '.join(there)}; set "
            "one of them with --cropdet-detector=provider=NAME, or install the build that has it (for CUDA: "
            "pip install onnxruntime-gpu)"
        )


def _session(runtime: Any, path: Path, description: Description) -> Any:
    options, threads = runtime.SessionOptions(), description.threads
    options.log_severity_level = ERRORS_ONLY
    if threads is None and int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
        threads = 1
    if threads is not None:
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
    return runtime.InferenceSession(str(path), options, providers=[description.provider or CPU], enable_fallback=0)


def _tensor(argument: Any) -> Tensor:
    """Return an input or output of a session."""
    kinds = {"float": "float32", "double": "float64", "bool": "bool"}
    kind = str(argument.type).removeprefix("tensor(").removesuffix(")")
    name = kinds.get(kind, kind)
    return Tensor(str(argument.name), np.dtype(name if name in np.sctypeDict else object), tuple(argument.shape))


class OnnxAdapter:
    """An ONNX file in a session, which only ``detect`` calls."""

    def __init__(self, session: Any, description: Description, file: OnnxFile) -> None:
        self._session = session
        self._input = read_images_input([_tensor(each) for each in session.get_inputs()], file)
        metadata = read_onnx_metadata(file.metadata, file.path.name)
        given = metadata.fill(description)
        self._resize = self._decide_size(given, metadata)
        size = self.input_shape(WARM_UP, WARM_UP)
        labels = open_labels(given.labels) if given.labels else metadata.labels
        graph = OnnxGraph([_tensor(each) for each in session.get_outputs()], self._warm_up(size), file)
        self._chosen = choose_onnx_head(graph, self._input, size, given, labels, metadata)
        self._chosen.head.read(self._rows(graph.tensors), 0)  # what cannot be scores shows itself before the first call
        self.description = self._decide_input(self._chosen)
        self.batch = int(self.description.batch or 1)
        self.max_detections = None if self._chosen.head.most >= ANY_LENGTH else self._chosen.head.most
        self._first = int(self.description.first_category or 0)
        self._labels = labels if self._chosen.proof is None else None  # whose numbers are checked as they come
        self.categories = None if labels is None else labels.count(self._first, self._chosen.proof)

    @property
    def fixed_input(self) -> bool:
        """Whether the model is given one size, whatever that of the image."""
        return 0 not in self.input_shape(0, 0)

    def _decide_size(self, given: Description, metadata: Metadata) -> ResizeRule:
        """Return how images get their size; what contradicts the file is refused."""
        image, rule = self._input, given.rule()
        sides = (image.height or 0, image.width or 0)
        if given.input_size is not None:
            width, height = parse_size(given.input_size)
            contradicts = image.height not in (None, height) or image.width not in (None, width)
            if given.resize == "inside" or contradicts:
                why = "the model resizes images itself" if given.resize == "inside" else f"{image.shown} is fixed"
                given.refuse(why, "input_size")
            sides = (height, width)
        elif 0 in sides and given.resize != "inside" and not rule.has_limits and metadata.size is not None:
            sides = metadata.size
        self._size = sides
        if given.resize != "inside":
            if given.resize is not None and 0 in sides and not rule.has_limits:
                raise DetectorError(
                    f"resize={given.resize}: {image.shown} takes images of any size, and the file does not say for "
                    "which size it was made; set --cropdet-detector resize=inside if it resizes images itself, else "
                    "input_size=WIDTHxHEIGHT for one size, or min_side= and max_side= for limits"
                )
            rule.check_input(sides[1], sides[0])
        if given.units == "pixels" and (0 not in sides or rule.resize != "inside"):
            raise DetectorError(
                f"units=pixels: {self._sized() if 0 not in sides else f'images are resized before ({rule})'}, so the "
                "model never gets the size of the image; set --cropdet-detector units=input for boxes in pixels of the "
                "input"
            )
        if image.batch is not None and given.batch is not None and given.batch > image.batch:
            raise DetectorError(f"batch={given.batch}: the file takes {image.batch} images per call ({image.tensor})")
        return rule

    def _decide_input(self, chosen: OnnxOutputs) -> Description:
        """Return the description with range, resize and batch; what is open has to be set."""
        image, given, rule = self._input, chosen.description, self._resize
        if 0 in self._size:
            why = f"{image.shown} takes images of any size, and the file does not say who resizes them"
            given.require("resize", f"{why} (the model itself: inside; else with input_size=)")
        else:
            if given.resize == "inside":
                choices = "|".join(RESIZES)
                raise DetectorError(f"resize=inside: {self._sized()}; set --cropdet-detector resize={choices}")
            why = f"{self._sized()}, and the file does not say how images get there"
            given.require("resize", why, *RESIZES)
        has_borders = rule.pad or (rule.resize not in ("inside", "stretch") and 0 not in self._size)
        if image.has_mask and has_borders:
            raise DetectorError(
                f"{rule}: its second input {MASK} says which pixels are no image, and only images that fill the input "
                "are sent; set --cropdet-detector resize=stretch"
            )
        value_range = image.decide_range(given)
        batch = 1 if not chosen.batched else image.batch or given.batch or BATCH
        return given.filled(channels="rgb", range=value_range, batch=batch)

    def _sized(self) -> str:
        height, width = self._size
        return f"its input is {'fixed at' if self._input.is_fixed else 'used at'} {width} x {height} pixels"

    def _warm_up(self, size: tuple[int, int]) -> list[NDArray[Any]]:
        """Run one empty image: the first real call then costs what every call costs, and shapes are known."""
        blank = np.zeros((*size, 3), np.uint8)
        ordered = blank.transpose(2, 0, 1) if self._input.channels == 0 else blank
        return self._run([ordered.astype(self._input.tensor.dtype)])

    def input_shape(self, width: int, height: int) -> tuple[int, int]:
        return self._resize.input_shape(width, height, self._size[1], self._size[0])

    def prepare(self, image: Image) -> PreparedImage:
        """Return ``image`` (RGB uint8) in the input's size, channels, type, range and order of axes."""
        if self.description.channels == "bgr":
            image = image[:, :, ::-1]
        height, width = image.shape[:2]
        image = np.ascontiguousarray(image)
        if self._resize.resize == "inside":
            fitted = PreparedImage(image, Frame(width, height, width, height))
        else:
            dtype = np.uint8 if self._input.has_pixels else np.float32
            fitted = fit(image, self._resize, self._size[1], self._size[0], dtype)
        return PreparedImage(self._input.values(fitted.pixels, self.description), fitted.frame)

    def detect(self, inputs: Sequence[PreparedImage]) -> list[Detections]:
        """Return the detections of one batch; a short one of a fixed batch is filled up and the filling thrown away."""
        tensors = self._rows(self._run([prepared.pixels for prepared in inputs]))
        sent = self._input.batch or len(inputs)
        for place in self._chosen.places:
            if tensors[place].ndim and len(tensors[place]) != sent:
                name = self._session.get_outputs()[place].name
                raise DetectorError(
                    f"the model was given {sent} images and its {name} is {list(tensors[place].shape)}, of "
                    f"{len(tensors[place])}; if it takes one image per call, set --cropdet-detector batch=1"
                )
        return [self._read(self._chosen.head.read(tensors, row), each.frame) for row, each in enumerate(inputs)]

    def _run(self, pixels: list[NDArray[Any]]) -> list[NDArray[Any]]:
        filling = [np.zeros_like(pixels[0])] * ((self._input.batch or len(pixels)) - len(pixels))
        answer = self._session.run(None, self._input.feed(np.stack([*pixels, *filling])))
        return [np.asarray(tensor) for tensor in answer]

    def _rows(self, tensors: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """Return tensors with an axis of images."""
        return tensors if self._chosen.batched else [tensor[None] for tensor in tensors]

    def _read(self, found: Found, frame: Frame) -> Detections:
        boxes = found.boxes
        if self.description.units == "normalized":
            if boxes.size and np.abs(boxes).max() > NORMALIZED_LIMIT:
                pixels = "pixels" if self._resize.resize == "inside" else "input"
                raise DetectorError(
                    f"a box reaches {np.abs(boxes).max():.4g}, so boxes are not normalised to 0..1; set "
                    f"--cropdet-detector units={pixels}"
                )
            boxes = frame.from_normalized(boxes)
        else:
            boxes = frame.to_image(boxes)
        if self._labels is not None:
            self._labels.check(found.numbers, found.scores, self._first)
        ids = found.numbers if self.categories is not None else found.numbers - self._first + 1
        return Detections(flatten_inverted(boxes), found.scores, ids, capped=found.capped)
