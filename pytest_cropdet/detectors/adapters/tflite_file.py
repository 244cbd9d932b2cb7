"""A TFLite file by itself: verified before a runtime sees it, and what it says of its post-processing.

Runtimes check little of a file and nothing of its offsets, so that one cut off by a broken download ends their process.
Beyond offsets, numbers must point at what there is, constants be as long as their shapes, and every operation's inputs
have been written before it runs.
"""

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.adapters.flatbuffer import DamagedError, FlatTable, read_flatbuffer
from pytest_cropdet.detectors.adapters.flexbuffer import read_map
from pytest_cropdet.detectors.adapters.tflite_metadata import TFLiteMetadata, read_metadata
from pytest_cropdet.detectors.adapters.tflite_schema import IDENTIFIER, ROOT, TABLES, UNIONS
from pytest_cropdet.detectors.label_files import Labels, parse_labels
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.files import read_file

__all__ = ["PostProcess", "TFLiteFile", "labels_inside", "read_tflite"]

POSTPROCESS = "TFLite_Detection_PostProcess"
CUSTOM = 32  # the number of the operations that have a name
STRING, RESOURCE, VARIANT = 5, 13, 14  # types without a size
BITS = {0: 32, 1: 16, 2: 32, 3: 8, 4: 64, 6: 8, 7: 16, 8: 64, 9: 8, 10: 64, 11: 128, 12: 64}
BITS |= {15: 32, 16: 16, 17: 4, 18: 16, 19: 2, 20: 4}
NUMBERS = {0: "<f4", 3: "u1", 9: "i1"}  # the types of anchors
MOST_ELEMENTS = 1 << 40  # of a tensor
LABELS_LIMIT = 1_000_000  # bytes of a label map that are read
LABELS_FILE = "--cropdet-detector labels=FILE"
FLEX = "Flex"  # begins the names of operations of TensorFlow
FILE_DAMAGED = "the file is damaged (a download that was cut off?): fetch or export it again"


@dataclass(frozen=True, slots=True)
class PostProcess:
    """What the operation ``TFLite_Detection_PostProcess`` says.

    ``categories``: their number, from 0, ``None`` where open. ``anchors``: rows ``cy cx h w`` of the input, with the
    scale factors ``ty tx th tw`` of its encodings.
    """

    categories: int | None
    anchors: NDArray[np.float64] | None = None
    scales: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class TFLiteFile:
    """A file that was verified. ``postprocess`` where it has that operation.

    ``constants``: the outputs that are constants (exporters write anchors so), by the number of their tensor.
    ``postprocessed``: the tensors that the operation ``TFLite_Detection_PostProcess`` writes, in its order. ``flex``:
    the operations of TensorFlow in it, which TFLite's own runtimes do not have.
    """

    path: Path
    postprocess: PostProcess | None = None
    constants: Mapping[int, NDArray[np.float64]] = field(default_factory=dict)
    metadata: TFLiteMetadata = field(default_factory=TFLiteMetadata)
    postprocessed: tuple[int, ...] = ()
    flex: tuple[str, ...] = ()


def read_tflite(path: Path) -> TFLiteFile:
    """Return what a TFLite file says of itself; ``DetectorError`` names one that is damaged, and where."""
    data = read_file(path, "the model", DetectorError)
    if data[4:8] != IDENTIFIER:
        raise DetectorError(f"{path} is not a TFLite file: its bytes 4 to 8 are not TFL3")
    try:
        model = read_flatbuffer(data, ROOT, TABLES, UNIONS)
        _verify(model, len(data))
        graph = model["subgraphs"][0]
        outputs = {int(number): _constant(graph["tensors"][number], model) for number in graph.get("outputs", ())}
        constants = {number: values for number, values in outputs.items() if values is not None}
        written = [operator.get("outputs", ()) for operator, _ in _named(model, POSTPROCESS)]
        return TFLiteFile(
            path,
            _postprocess(model),
            constants,
            read_metadata(model),
            tuple(int(tensor) for tensor in written[0]) if written else (),
            _flex_operations(model),
        )
    except DamagedError as error:
        raise DetectorError(f"{path} cannot be used: {error}; {FILE_DAMAGED}") from error
    except DetectorError as error:
        raise DetectorError(f"{path}: {error}") from error


def labels_inside(path: Path) -> Labels | None:
    """Return the label map inside a TFLite file, which then is a zip archive too; else ``None``.

    Of several texts those count whose names speak of labels and not of metadata, if they say the same.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, ValueError, zipfile.BadZipFile):
        return None
    try:
        with archive:
            texts = [name for name in archive.namelist() if name.lower().endswith((".txt", "metadata.json"))]
            named = [name for name in texts if "label" in name.lower()] or texts
            maps = [name for name in named if "meta" not in name.lower()] or named
            read = {name: archive.open(name).read(LABELS_LIMIT).decode("utf-8", errors="replace") for name in maps}
    except Exception as error:  # a damaged archive fails in ways of its own
        raise DetectorError(f"{path}: the files inside cannot be read: {error}; set {LABELS_FILE}") from error
    if len(set(read.values())) > 1:
        raise DetectorError(f"{path} contains {', '.join(maps)}; set {LABELS_FILE}")
    for name, text in read.items():
        if text.strip().startswith("{") and "meta" in name.lower() and "names" not in text:
            return None
        return parse_labels(text, f"{name} inside {path}", Path(name).suffix)
    return None


def _flex_operations(model: FlatTable) -> tuple[str, ...]:
    """Return the names of the operations of TensorFlow that any graph of the file uses, without their prefix."""
    codes = [str(code.get("custom_code", "")) for code in model["operator_codes"]]
    return tuple(sorted({code.removeprefix(FLEX) for code in codes if code.startswith(FLEX)}))


def _verify(model: FlatTable, length: int) -> None:
    for name in ("operator_codes", "subgraphs", "buffers"):
        if not len(model.get(name, ())):
            raise DamagedError(f"it has no {name}")
    for number, buffer in enumerate(model["buffers"]):
        _check_outside(buffer, "offset", "size", f"buffer {number}", length)
    for number, metadata in enumerate(model.get("metadata", ())):
        _check_number(metadata.get("buffer", 0), len(model["buffers"]), f"metadata {number}: buffer")
    for number, graph in enumerate(model["subgraphs"]):
        _verify_tensors(graph.get("tensors", []), model["buffers"], f"graph {number}")
        _verify_operators(graph, model, f"graph {number}", length)
    for number, signature in enumerate(model.get("signature_defs", ())):
        _verify_signature(signature, model["subgraphs"], f"signature {number}")


def _check_number(value: int, count: int, what: str, least: int = 0) -> None:
    if not least <= value < count:
        raise DamagedError(f"{what} is {value:,} of {count:,}")


def _check_outside(table: FlatTable, offset: str, size: str, what: str, length: int) -> None:
    """Check data that lie in the file but not in the flatbuffer, as in files above 2 GB."""
    start = table.get(offset, 0)
    if start > 1 and start + table.get(size, 0) > length:
        raise DamagedError(f"{what} ends at byte {start + table.get(size, 0):,} of a file of {length:,} bytes")


def _verify_tensors(tensors: list[FlatTable], buffers: list[FlatTable], graph: str) -> None:
    for number, tensor in enumerate(tensors):
        what = f"{graph}, tensor {number} ({tensor.get('name', '')!r})"
        _check_number(tensor.get("buffer", 0), len(buffers), f"{what}: buffer")
        if tensor.get("type", 0) not in BITS and tensor.get("type", 0) not in (STRING, RESOURCE, VARIANT):
            raise DamagedError(f"{what}: its type is {tensor.get('type', 0)}, which is none")
        elements = _elements(tensor)
        if min([*tensor.get("shape", ()), *tensor.get("shape_signature", ()), 0]) < -1 or elements > MOST_ELEMENTS:
            raise DamagedError(f"{what}: its shape is {tensor['shape'].tolist()}")
        data = buffers[tensor.get("buffer", 0)].get("data", ())
        wanted = (elements * BITS.get(tensor.get("type", 0), 0) + 7) // 8
        sized = tensor.get("type", 0) in BITS and "sparsity" not in tensor
        if len(data) and sized and len(data) != wanted:
            raise DamagedError(f"{what}: {wanted:,} bytes of data are needed, there are {len(data):,}")


def _elements(tensor: FlatTable) -> int:
    elements = 1
    for side in tensor.get("shape", ()):
        elements *= max(0, int(side))
    return elements


def _verify_operators(graph: FlatTable, model: FlatTable, what: str, length: int) -> None:
    tensors = graph.get("tensors", [])
    written = {number for number, tensor in enumerate(tensors) if _has_value(tensor, model)}
    for name in ("inputs", "outputs"):
        for tensor in graph.get(name, ()):
            _check_number(int(tensor), len(tensors), f"{what}: tensor of its {name}")
    written |= {int(tensor) for tensor in graph.get("inputs", ())}
    for number, operator in enumerate(graph.get("operators", ())):
        here = f"{what}, operation {number}"
        _check_number(operator.get("opcode_index", 0), len(model["operator_codes"]), f"{here}: kind")
        _check_outside(operator, "large_custom_options_offset", "large_custom_options_size", f"{here}: options", length)
        for tensor in map(int, operator.get("inputs", ())):
            _check_number(tensor, len(tensors), f"{here}: tensor of its inputs", least=-1)
            if tensor >= 0 and tensor not in written:
                raise DamagedError(
                    f"{here} reads tensor {tensor} ({tensors[tensor].get('name', '')!r}), which has no value"
                )
        for tensor in map(int, operator.get("outputs", ())):
            _check_number(tensor, len(tensors), f"{here}: tensor of its outputs", least=-1)
            written.add(tensor)
    for tensor in map(int, graph.get("outputs", ())):
        if tensor not in written:
            raise DamagedError(f"{what}: its output {tensor} ({tensors[tensor].get('name', '')!r}) is never written")


def _has_value(tensor: FlatTable, model: FlatTable) -> bool:
    """Return whether a tensor has its value before anything runs: a constant, a variable, or one without elements."""
    buffer = model["buffers"][tensor.get("buffer", 0)]
    kept = len(buffer.get("data", ())) or buffer.get("offset", 0) > 1 or tensor.get("external_buffer", 0)
    return bool(kept) or bool(tensor.get("is_variable", 0)) or ("shape" in tensor and not _elements(tensor))


def _verify_signature(signature: FlatTable, graphs: list[FlatTable], what: str) -> None:
    _check_number(signature.get("subgraph_index", 0), len(graphs), f"{what}: graph")
    tensors = len(graphs[signature.get("subgraph_index", 0)].get("tensors", ()))
    if "signature_key" not in signature:
        raise DamagedError(f"{what} has no name")
    for each in (*signature.get("inputs", ()), *signature.get("outputs", ())):
        if "name" not in each:
            raise DamagedError(f"{what}: a tensor has no name")
        _check_number(each.get("tensor_index", 0), tensors, f"{what}: tensor {each['name']!r}")


def _postprocess(model: FlatTable) -> PostProcess | None:
    for operator, tensors in _named(model, POSTPROCESS):
        options = operator.get("custom_options")
        settings: Mapping[str, Any] = {} if options is None else read_map(options.tobytes())
        count = settings.get("num_classes")
        categories = count if isinstance(count, int) and count > 0 else None
        inputs = [int(number) for number in operator.get("inputs", ())]
        anchors = _constant(tensors[inputs[2]], model) if len(inputs) > 2 and inputs[2] >= 0 else None
        scales = [settings.get(name) for name in ("y_scale", "x_scale", "h_scale", "w_scale")]
        numbers = tuple(float(scale) for scale in scales if isinstance(scale, float | int) and scale > 0)
        if anchors is None or anchors.ndim != 2 or anchors.shape[1:] != (4,) or len(numbers) != 4:
            return PostProcess(categories)
        return PostProcess(categories, anchors, numbers)
    return None


def _constant(tensor: FlatTable, model: FlatTable) -> NDArray[np.float64] | None:
    """Return the real values of a constant in the file; ``None`` for another tensor."""
    data, kind = model["buffers"][tensor.get("buffer", 0)].get("data", ()), NUMBERS.get(tensor.get("type", 0))
    shape = [int(side) for side in tensor.get("shape", ())]
    if kind is None or not len(data) or min(shape, default=0) < 0 or "sparsity" in tensor:
        return None
    stored = data.view(kind).reshape(shape).astype(np.float64)
    quantization = tensor.get("quantization", {})
    scale, zero_point = quantization.get("scale", ()), quantization.get("zero_point", ())
    if kind == "<f4" or not len(scale):
        return np.asarray(stored)
    if len(scale) > 1 or len(zero_point) > 1:
        return None
    return np.asarray((stored - (zero_point[0] if len(zero_point) else 0)) * float(scale[0]))


def _named(model: FlatTable, name: str) -> Iterator[tuple[FlatTable, list[FlatTable]]]:
    """Yield the operations of the main graph with that name, each with the graph's tensors."""
    graph = model["subgraphs"][0]
    for operator in graph.get("operators", ()):
        code = model["operator_codes"][operator.get("opcode_index", 0)]
        number = max(code.get("builtin_code", 0), code.get("deprecated_builtin_code", 0))
        if number == CUSTOM and code.get("custom_code") == name:
            yield operator, graph["tensors"]
