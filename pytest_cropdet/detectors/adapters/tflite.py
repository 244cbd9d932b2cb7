"""TFLite files: with suppression inside, raw heads and anchors, the table of a YOLO, or rows of decoded boxes.

What the file decides is read from it: type, size and quantisation of the input, which output is what, the labels, and
what its metadata say. What it does not decide has to be set by the user, by the name of the option. Categories count
from 0 unless set otherwise. To files that end in ``TFLite_Detection_PostProcess`` the conventions of the TF Object
Detection API apply: stretched images, normalised boxes.
"""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data import Detections, flatten_inverted
from pytest_cropdet.detectors.adapters.heads import AnchorHead, Found
from pytest_cropdet.detectors.adapters.quiet import quiet
from pytest_cropdet.detectors.adapters.tensorflow_model import NORMALIZED_LIMIT, import_tensorflow
from pytest_cropdet.detectors.adapters.tflite_file import POSTPROCESS, TFLiteFile, labels_inside, read_tflite
from pytest_cropdet.detectors.adapters.tflite_graph import Graph, read_graph
from pytest_cropdet.detectors.adapters.tflite_heads import Known, choose_head
from pytest_cropdet.detectors.adapters.tflite_input import Input, Quantization, read_input
from pytest_cropdet.detectors.adapters.tflite_metadata import PLAIN_TASKS, Export, read_export
from pytest_cropdet.detectors.anchors import read_anchors
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.label_files import Labels, Proof, open_labels
from pytest_cropdet.detectors.resize import Frame, PreparedImage, fit
from pytest_cropdet.detectors.resize_rule import ResizeRule
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import Image

__all__ = ["TFLiteAdapter", "load", "verify"]

TFLITE_RESIZES = ("stretch", "letterbox", "keep_aspect")
WARM_UP_SIDE = 320  # of the empty image that warms up an input of any size


def verify(path: Path) -> None:
    """Raise ``DetectorError`` for a file that a runtime must not see, and say where it is damaged."""
    read_tflite(path)


def load(path: Path, description: Description) -> "TFLiteAdapter":
    """Return the model in ``path``, warmed up.

    ai-edge-litert runs it where that is installed, because it is small and imported quickly; else TensorFlow. Where
    both are, TensorFlow is tried too with a file that ai-edge-litert cannot run (one with operations of TensorFlow).
    """
    description.refuse("a TFLite file takes pixels, and has all that it needs", "input", "signature", "custom_objects")
    file = read_tflite(path)
    labels = None if description.labels else labels_inside(path)
    threads = {} if description.threads is None else {"num_threads": description.threads}
    failure: Exception | None = None
    for runtime in _runtimes():
        with quiet():
            try:
                another = partial(runtime(), model_path=str(path), **threads)
                return TFLiteAdapter(another(), description, labels, file, another)
            except DetectorError as error:
                raise DetectorError(f"{path}: {error}") from error
            except Exception as error:
                failure = error
    raise DetectorError(f"{path} cannot be loaded: {failure}{_flex_hint(file)}") from failure


def _flex_hint(file: TFLiteFile) -> str:
    """Return what helps where a file has operations of TensorFlow, which the runtimes at hand may not have."""
    if not file.flex:
        return ""
    return (
        f"; it has operations of TensorFlow ({', '.join(file.flex)}), which most runtimes of TFLite do not have: use "
        "the SavedModel that it was made from, or convert it again without SELECT_TF_OPS"
    )


def _runtimes() -> list[Callable[[], Any]]:
    interpreters = {"ai_edge_litert": _litert_interpreter, "tensorflow": _tensorflow_interpreter}
    found = [get for name, get in interpreters.items() if importlib.util.find_spec(name) is not None]
    if not found:
        raise DetectorError(
            "a TFLite file needs ai-edge-litert or TensorFlow: pip install 'pytest-cropdet[tflite]' (or [tensorflow])"
        )
    return found


def _litert_interpreter() -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter


def _tensorflow_interpreter() -> Any:
    return import_tensorflow().lite.Interpreter


@dataclass(slots=True)
class _Idle:
    """An interpreter that no call has, and the shape of its input where that was set."""

    interpreter: Any
    shape: tuple[int, ...] = ()


class TFLiteAdapter:
    """A TFLite file in interpreters, which only ``detect`` calls: one for each call at once.

    ``another``: what makes one more interpreter of the same file, with as many threads.
    """

    def __init__(
        self,
        interpreter: Any,
        description: Description,
        labels: Labels | None = None,
        file: TFLiteFile | None = None,
        another: Callable[[], Any] | None = None,
    ) -> None:
        self._another = another
        self._interpreters = 1
        export = None if file is None else read_export(file.path)
        given = _with_export(description, export)
        normalization = None if file is None else file.metadata.normalization
        if normalization is None and export is not None:
            normalization = export.normalization
        self._input = read_input(interpreter.get_input_details(), given, normalization)
        self.fixed_input = self._input.height > 0
        self._outputs = [(int(each["index"]), Quantization.of(each)) for each in interpreter.get_output_details()]
        graph = read_graph(interpreter, file)
        if not self._input.resizable:
            interpreter.allocate_tensors()
        self._idle = [_Idle(interpreter)]
        size = self._size(file)
        answer = self._warm_up(size)
        graph = graph.shaped([tensor.shape for tensor in answer])
        filled = _with_metadata(_decide(given, graph, self._input), file, graph)
        self._first = int(filled.first_category or 0)
        named, proof = _open_labels(filled, file if graph.is_postprocessed() else None, labels)
        self._labels = named if proof is None else None  # whose numbers are checked as they come
        self.categories = None if named is None else named.count(self._first, proof)
        known = Known(self._count(file), {} if file is None else file.constants, answer, size)
        self._head, filled = choose_head(graph, self._input.batch, filled, known)
        self._range = self._input.decide_range(filled)
        self.description = _decide_resize(filled, graph, self._input).filled(
            range=self._range, anchors=_anchors_inside(file)
        )
        self._resize = self.description.rule()
        self._resize.check_input(self._input.width, self._input.height)
        self.batch = int(filled.batch or 1)
        self.max_detections: int | None = self._head.most

    def _size(self, file: TFLiteFile | None) -> tuple[int, int]:
        """Return height and width of the image that warms the model up."""
        width, height = (None if file is None else file.metadata.size) or (WARM_UP_SIDE, WARM_UP_SIDE)
        return self._input.height or height, self._input.width or width

    def _count(self, file: TFLiteFile | None) -> int | None:
        """Return how many categories there are, by their names or else by the metadata."""
        if self.categories is not None:
            return max(self.categories) - self._first + 1
        return None if file is None else file.metadata.categories

    def _warm_up(self, size: tuple[int, int]) -> list[NDArray[Any]]:
        """Run one empty image: the first real call then costs what every call costs, and shapes are known."""
        return self._call([np.zeros(self._input.shape(*size), self._input.dtype)])

    def input_shape(self, width: int, height: int) -> tuple[int, int]:
        return self._input.height or height, self._input.width or width

    def prepare(self, image: Image) -> PreparedImage:
        """Return ``image`` (RGB uint8) in the input's size, channels, type and range."""
        if self.description.channels == "bgr":
            image = image[:, :, ::-1]
        dtype = np.uint8 if self._input.holds_pixels and self._range == "0..255" else np.float32
        pixels = np.ascontiguousarray(image)
        height, width = self.input_shape(image.shape[1], image.shape[0])
        rule = ResizeRule("stretch") if self._resize.resize == "inside" else self._resize
        fitted = fit(pixels, rule, width, height, dtype)
        return PreparedImage(self._input.values(fitted.pixels, self._range), fitted.frame)

    def detect(self, inputs: Sequence[PreparedImage]) -> list[Detections]:
        """Return the detections of one batch; a short one is filled up and the filling thrown away."""
        tensors = self._call([prepared.pixels for prepared in inputs])
        return [self._read(self._head.read(tensors, row), each.frame) for row, each in enumerate(inputs)]

    def _call(self, pixels: list[NDArray[Any]]) -> list[NDArray[Any]]:
        filling = [np.zeros_like(pixels[0])] * (self._input.batch - len(pixels))
        images = np.stack([*pixels, *filling])
        mine = self._take()
        try:
            if self._input.resizable and images.shape != mine.shape:
                mine.interpreter.resize_tensor_input(self._input.index, images.shape)
                mine.interpreter.allocate_tensors()
                mine.shape = images.shape
            mine.interpreter.set_tensor(self._input.index, images)
            mine.interpreter.invoke()
            return [quantization.real(mine.interpreter.get_tensor(index)) for index, quantization in self._outputs]
        finally:
            self._idle.append(mine)

    def reserve(self, calls: int) -> None:
        """Make interpreters until there is one for each of ``calls`` at once."""
        while self._interpreters < calls and self._another is not None:
            with quiet():
                self._idle.append(self._one_more(self._another))

    def _take(self) -> _Idle:
        """Return an interpreter that no other call has; the one that was used last comes first."""
        try:
            return self._idle.pop()
        except IndexError:
            if self._another is None:
                raise DetectorError("its only interpreter is in another call") from None
            return self._one_more(self._another)

    def _one_more(self, another: Callable[[], Any]) -> _Idle:
        interpreter = another()
        self._interpreters += 1
        if not self._input.resizable:
            interpreter.allocate_tensors()
        return _Idle(interpreter)

    def _read(self, found: Found, frame: Frame) -> Detections:
        boxes = found.boxes
        if self.description.units == "normalized":
            if not isinstance(self._head, AnchorHead):  # boxes decoded here have the units of the anchors
                _check_normalized(boxes)
            boxes = frame.from_normalized(boxes)
        else:
            boxes = frame.to_image(boxes)
        if self._labels is not None:
            self._labels.check(found.numbers, found.scores, self._first)
        ids = found.numbers if self.categories is not None else found.numbers - self._first + 1
        return Detections(flatten_inverted(boxes), found.scores, ids, capped=found.capped)


def _with_export(given: Description, export: Export | None) -> Description:
    """Return the description with what the exporter wrote beside the model; a task without upright boxes is refused."""
    if export is None:
        return given
    if export.task not in PLAIN_TASKS:
        raise DetectorError(
            f"its metadata say task={export.task}; only models for {' and '.join(PLAIN_TASKS)} are read"
        )
    return given.filled(head="yolo_end2end") if export.suppressed else given


def _with_metadata(given: Description, file: TFLiteFile | None, graph: Graph) -> Description:
    """Return the description with what the metadata say of boxes, anchors and raw scores."""
    if file is None or graph.is_postprocessed():
        return given
    if file.metadata.anchors is not None:
        return given.filled(anchors=str(file.path), activation=file.metadata.activation)
    return given.filled(boxes=file.metadata.boxes, units=file.metadata.units) if graph.said else given


def _decide(given: Description, graph: Graph, image: Input) -> Description:
    """Return the description with the numbers of images and categories; what contradicts the file is refused."""
    if given.units == "pixels" and image.height:
        raise DetectorError(
            f"units=pixels: {image.fixed}, so it never learns the size of the image; set --cropdet-detector "
            "units=input for boxes in pixels of the input"
        )
    if given.batch is not None and given.batch > image.batch:
        raise DetectorError(f"batch={given.batch}: the file takes {image.batch} images per call")
    if graph.follows_the_api() and not graph.is_postprocessed():
        given.require(
            "first_category",
            "its outputs have the names of the Object Detection API, which count categories from 1 or 0",
        )
    first = 1 if given.head == "efficientdet" else 0  # of whose rows the categories count from 1
    return given.filled(first_category=first, channels="rgb", batch=image.batch)


def _decide_resize(given: Description, graph: Graph, image: Input) -> Description:
    if not image.height:
        if given.resize != "inside":
            why = f"{image.fixed}: resize=inside sends each image as it is, input_size sends all of them in one size"
            given.require("input_size", why)
        return given
    if given.resize == "inside":
        raise DetectorError(f"resize=inside: {image.fixed}; set --cropdet-detector resize={'|'.join(TFLITE_RESIZES)}")
    if not graph.is_postprocessed():
        given.require("resize", f"{image.fixed}, and the file does not say how images get there", *TFLITE_RESIZES)
    return given.filled(resize="stretch")


def _anchors_inside(file: TFLiteFile | None) -> str | None:
    """Return the file as the source of its own anchors, where it has them."""
    if file is None or file.postprocess is None or file.postprocess.anchors is None:
        return None
    try:
        read_anchors(file.path)
    except DetectorError:  # they matter to a section of the report alone
        return None
    return str(file.path)


def _open_labels(
    given: Description, file: TFLiteFile | None, inside: Labels | None
) -> tuple[Labels | None, Proof | None]:
    """Return the names, given or inside, and what the file proves of the number of its categories."""
    labels = open_labels(given.labels) if given.labels else inside
    found = None if file is None or file.postprocess is None else file.postprocess.categories
    first = int(given.first_category or 0)
    if found is None or found <= first:
        return labels, None
    # a user who says that it counts from 1, with a name for each, is left to the check of conventions
    return labels, Proof(found - first, f"num_classes={found} of its {POSTPROCESS}", perhaps=found if first else None)


def _check_normalized(boxes: NDArray[np.float64]) -> None:
    if boxes.size and np.abs(boxes).max() > NORMALIZED_LIMIT:
        raise DetectorError(
            f"a box reaches {np.abs(boxes).max():.4g}, so boxes are not normalised to 0..1; set --cropdet-detector "
            "units=input for pixels of the input"
        )
