"""What a model file says of itself, read without running it where that can be: signatures, inputs and outputs."""

import json
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_cropdet.detectors.adapters.flatbuffer import read_flatbuffer
from pytest_cropdet.detectors.adapters.quiet import quiet
from pytest_cropdet.detectors.adapters.tflite_schema import IDENTIFIER, ROOT, TABLES, UNIONS
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.files import read_file

if TYPE_CHECKING:
    from pytest_cropdet.detectors.adapters.served_model import ServedFacts, ServedTensor
    from pytest_cropdet.detectors.adapters.tensorflow_call import Call

__all__ = ["ModelFacts", "TensorFact", "facts_of_server", "read_facts"]

ANY = "any"  # shape
TFLITE_TYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 5: "string", 6: "bool", 9: "int8"}


@dataclass(frozen=True, slots=True)
class TensorFact:
    """An input or an output: its name, its type, and its shape as text; ``more``: what else is known of its values."""

    name: str
    dtype: str
    shape: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a file says; empty where it says nothing that can be read."""

    signature: str = ""
    inputs: tuple[TensorFact, ...] = ()
    outputs: tuple[TensorFact, ...] = ()
    metadata: str = ""


def read_facts(kind: str, path: Path, given: Description | None = None) -> ModelFacts:
    """Return what the model in ``path`` says of itself; empty for a kind that shows nothing without being run.

    ``given``: its ``signature``, where it is not the usual one, and its ``custom_objects``.
    """
    readers: Mapping[str, Callable[[Path, Description], ModelFacts]] = {
        "tflite": _tflite,
        "saved_model": _saved_model,
        "onnx": _onnx,
        "keras": _keras,
        "frozen_graph": _frozen_graph,
    }
    with suppress(Exception):  # these lines are shown beside what matters, and must not stop it
        return readers[kind](path, given or Description())
    return ModelFacts()


def facts_of_server(facts: "ServedFacts") -> ModelFacts:
    """Return what a server says of a model, in the form of what a file says."""

    def shown(tensors: Mapping[str, "ServedTensor"]) -> tuple[TensorFact, ...]:
        return tuple(TensorFact(name, each.dtype.name, _sides(each.shape)) for name, each in tensors.items())

    version = "no version named" if facts.version is None else f"version {facts.version} on the server"
    return ModelFacts("", shown(facts.inputs), shown(facts.outputs), version)


def _tflite(path: Path, given: Description) -> ModelFacts:
    data = read_file(path, "the model", DetectorError)
    if data[4:8] != IDENTIFIER:
        return ModelFacts()
    model = read_flatbuffer(data, ROOT, TABLES, UNIONS)
    graph = model["subgraphs"][0]
    named = {each["signature_key"]: each for each in model.get("signature_defs", ()) if "signature_key" in each}
    chosen: Mapping[str, Any] = named.get("serving_default") or next(iter(named.values()), {})
    aliases = {
        int(each.get("tensor_index", 0)): each["name"]
        for part in ("inputs", "outputs")
        for each in chosen.get(part, ())
        if "name" in each
    }

    def fact(number: int) -> TensorFact:
        tensor = graph["tensors"][number]
        sides = tensor["shape_signature"] if len(tensor.get("shape_signature", ())) else tensor.get("shape", ())
        shape = [int(side) for side in sides]
        quantization = tensor.get("quantization", {})
        scale, zero = quantization.get("scale", ()), quantization.get("zero_point", ())
        more = f"quantised: (value - {int(zero[0])}) * {float(scale[0]):.6g}" if len(scale) == len(zero) == 1 else ""
        name, dtype = str(tensor.get("name", "")), TFLITE_TYPES.get(int(tensor.get("type", 0)), "another type")
        return TensorFact(aliases.get(number, name), dtype, _shape(shape) if shape else "set when it runs", more)

    metadata = ", ".join(str(each.get("name", "")) for each in model.get("metadata", ()))
    return ModelFacts(
        ", ".join(named),
        tuple(fact(int(number)) for number in graph.get("inputs", ())),
        tuple(fact(int(number)) for number in graph.get("outputs", ())),
        metadata,
    )


def _saved_model(path: Path, given: Description) -> ModelFacts:
    with quiet():
        from tensorflow.core.protobuf import saved_model_pb2
        from tensorflow.dtypes import as_dtype

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((path / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0]
    named = {name: each for name, each in graph.signature_def.items() if not name.startswith("__")}
    name = given.signature or ("serving_default" if "serving_default" in named else next(iter(named), ""))

    def facts(tensors: Mapping[str, Any]) -> tuple[TensorFact, ...]:
        found = []
        for key in sorted(tensors):
            shape = tensors[key].tensor_shape
            sides = ANY if shape.unknown_rank else _shape([int(side.size) for side in shape.dim])
            found.append(TensorFact(key, str(as_dtype(tensors[key].dtype).name), sides))
        return tuple(found)

    written = f"written by TensorFlow {graph.meta_info_def.tensorflow_version}"
    if name not in named:
        return ModelFacts(", ".join(named), metadata=written)
    others = [each for each in named if each != name]
    shown = f"{name} (others: {', '.join(others)})" if others else name
    return ModelFacts(shown, facts(named[name].inputs), facts(named[name].outputs), written)


def _onnx(path: Path, given: Description) -> ModelFacts:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def facts(tensors: Any) -> tuple[TensorFact, ...]:
        return tuple(TensorFact(each.name, each.type, str(list(each.shape)).replace("'", "")) for each in tensors)

    stored = session.get_modelmeta()
    texts = [f"{key}={value}"[:100] for key, value in stored.custom_metadata_map.items()]
    made = [f"written by {stored.producer_name}"] if stored.producer_name else []
    return ModelFacts("", facts(session.get_inputs()), facts(session.get_outputs()), ", ".join([*made, *texts]))


def _keras(path: Path, given: Description) -> ModelFacts:
    """Load the file, as nothing else names its outputs; a model that decodes its own predictions is called once."""
    from pytest_cropdet.detectors.adapters.keras import call_of_model, open_file
    from pytest_cropdet.detectors.adapters.tensorflow_model import import_tensorflow

    tensorflow = import_tensorflow(given.threads)
    with quiet():
        call = call_of_model(open_file(path, given), tensorflow)
    metadata = ""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            metadata = f"written by Keras {json.loads(archive.read('metadata.json'))['keras_version']}"
    return _of_call(call, metadata)


def _frozen_graph(path: Path, given: Description) -> ModelFacts:
    from pytest_cropdet.detectors.adapters.frozen_graph import call_of_file
    from pytest_cropdet.detectors.adapters.tensorflow_model import import_tensorflow

    tensorflow = import_tensorflow(given.threads)
    with quiet():
        return _of_call(call_of_file(path, tensorflow, given))


def _of_call(call: "Call", metadata: str = "") -> ModelFacts:
    outputs = (TensorFact(name, each.dtype, _sides(each.shape)) for name, each in call.outputs.items())
    named = tuple(replace(each, dtype=str(getattr(each.dtype, "name", each.dtype))) for each in outputs)
    return ModelFacts("", (TensorFact(call.name, call.dtype.name, _sides(call.shape)),), named, metadata)


def _sides(shape: Any) -> str:
    """Return the shape of a tensor of TensorFlow, or of a served model, as messages show it."""
    return ANY if shape.rank is None else _shape([-1 if side is None else int(side) for side in shape])


def _shape(sides: list[int]) -> str:
    """Return a shape as messages show it.

    >>> _shape([1, -1, 4])
    '[1, N, 4]'
    """
    return f"[{', '.join('N' if side < 0 else str(side) for side in sides)}]"
