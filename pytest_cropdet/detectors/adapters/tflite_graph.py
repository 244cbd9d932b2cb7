"""What a TFLite file says of its outputs, by names and operations and never by their order, which converters change."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pytest_cropdet.detectors.adapters.tensorflow_outputs import OUTPUT_WORDS
from pytest_cropdet.detectors.adapters.tflite_file import POSTPROCESS, TFLiteFile
from pytest_cropdet.detectors.description import Description, outputs_by_role
from pytest_cropdet.errors import DetectorError

__all__ = ["Graph", "Output", "read_graph"]

KERNEL_ORDER = ("boxes", "classes", "scores", "count")  # in which that operation writes its four outputs
TENSORFLOW_2_ORDER = ("count", "scores", "classes", "boxes")  # in which its exporter numbers them, from 0
API_NAMES = {
    "detection_boxes": "boxes",
    "detection_classes": "classes",
    "detection_scores": "scores",
    "num_detections": "count",
}
ACTIVATION_OPERATORS = {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid"}
PASSING = ("CONCATENATION", "DEQUANTIZE", "EXPAND_DIMS", "QUANTIZE", "RESHAPE", "SLICE", "SQUEEZE", "STRIDED_SLICE")


@dataclass(frozen=True, slots=True)
class Output:
    """An output: its tensor's number and name, its name in the signature (or none), its shape.

    ``unscaled``: its type, where that is a small integer that no scale makes a real number.
    """

    index: int
    name: str
    alias: str | None
    shape: tuple[int, ...]
    unscaled: str | None = None

    def __str__(self) -> str:
        return f"{self.alias or self.name} {list(self.shape)}"


@dataclass(frozen=True, slots=True)
class Graph:
    """The outputs in the order of the file, and its operations where the runtime shows them.

    ``postprocessed``: the tensors that ``TFLite_Detection_PostProcess`` writes, as the file itself says. ``said``: the
    places of outputs, by what they are, as its metadata say.
    """

    outputs: tuple[Output, ...]
    operations: tuple[Mapping[str, Any], ...] = ()
    postprocessed: tuple[int, ...] = ()
    said: Mapping[str, int] = field(default_factory=dict)

    def listed(self) -> str:
        """Return the outputs with their shapes, as messages show them."""
        return ", ".join(map(str, self.outputs))

    def proposal(self) -> str | None:
        """Return ``outputs=`` for a list of detections whose names are obvious or numbered; it is never taken."""
        numbers = {_number_of(each.alias or each.name): place for place, each in enumerate(self.outputs)}
        if set(numbers) == {0, 1, 2, 3}:
            places = {role: numbers[number] for number, role in enumerate(TENSORFLOW_2_ORDER)}
        else:
            places = {}
            for role, words in OUTPUT_WORDS.items():
                fitting = [place for place, each in enumerate(self.outputs) if _has_word(each, words)]
                places |= {role: fitting[0]} if len(fitting) == 1 else {}
        ranks = {role: len(self.outputs[place].shape) for role, place in places.items()}
        if [ranks.get(role) for role in ("boxes", "classes", "scores")] != [3, 2, 2] or ranks.get("count", 1) > 1:
            return None
        return ",".join(f"{role}:{self.outputs[places[role]].name}" for role in KERNEL_ORDER if role in places)

    def shaped(self, shapes: Sequence[tuple[int, ...]]) -> "Graph":
        """Return the graph with the shapes that a call showed; before the first call some are not known."""
        outputs = [replace(each, shape=shape) for each, shape in zip(self.outputs, shapes, strict=True)]
        return replace(self, outputs=tuple(outputs))

    def roles(self, description: Description) -> dict[str, int]:
        """Return the places of boxes, classes, scores and count, as far as they are told.

        The operation ``TFLite_Detection_PostProcess`` decides, then that name as a tensor's with its suffix, then the
        names of the Object Detection API in the signature, then the metadata. ``outputs=`` goes before all of them.
        """
        found = self._by_operation() or self._by_suffix() or self._by_alias() or dict(self.said)
        if description.outputs:
            found |= {role: self._place_of(name) for role, name in outputs_by_role(description.outputs).items()}
        return found

    def is_postprocessed(self) -> bool:
        """Whether boxes, classes and scores come out of ``TFLite_Detection_PostProcess``."""
        return {"boxes", "classes", "scores"} <= set(self._by_operation() or self._by_suffix())

    def follows_the_api(self) -> bool:
        """Whether boxes, classes and scores are those of the Object Detection API, by operation or name."""
        return self.is_postprocessed() or {"boxes", "classes", "scores"} <= set(self._by_alias())

    def activation_of(self, place: int) -> str | None:
        """Return what made an output probabilities inside the model, ``None`` where that is not seen."""
        makers = {int(tensor): each for each in self.operations for tensor in each["outputs"]}
        tensor = self.outputs[place].index
        while tensor in makers:
            operation = makers.pop(tensor)
            if operation["op_name"] in ACTIVATION_OPERATORS:
                return ACTIVATION_OPERATORS[operation["op_name"]]
            if operation["op_name"] not in PASSING:
                break
            tensor = int(operation["inputs"][0])
        return None

    def _by_operation(self) -> dict[str, int]:
        places = {each.index: place for place, each in enumerate(self.outputs)}
        shown = [each["outputs"] for each in self.operations if each["op_name"] == POSTPROCESS]
        tensors = zip(KERNEL_ORDER, shown[0] if shown else self.postprocessed, strict=False)
        return {role: places[int(tensor)] for role, tensor in tensors if int(tensor) in places}

    def _by_suffix(self) -> dict[str, int]:
        suffixes = {POSTPROCESS: "boxes"} | {
            f"{POSTPROCESS}:{number}": role for number, role in enumerate(KERNEL_ORDER)
        }
        return {suffixes[each.name]: place for place, each in enumerate(self.outputs) if each.name in suffixes}

    def _by_alias(self) -> dict[str, int]:
        return {API_NAMES[each.alias]: place for place, each in enumerate(self.outputs) if each.alias in API_NAMES}

    def _place_of(self, name: str) -> int:
        for place, each in enumerate(self.outputs):
            if name in (each.alias, each.name):
                return place
        names = ", ".join(each.name + (f" ({each.alias})" if each.alias else "") for each in self.outputs)
        raise DetectorError(f"outputs=: the model has no output {name!r}; it has {names}")


def read_graph(interpreter: Any, file: TFLiteFile | None = None) -> Graph:
    """Return the outputs and operations of an interpreter, with what its ``file`` says of them.

    To be read before its tensors are allocated: then a delegate takes operations over.
    """
    show = getattr(interpreter, "_get_ops_details", None)  # no public name has it; without it, names decide
    operations = tuple(show()) if show is not None else ()
    aliases: dict[int, str] = {}
    signatures = interpreter.get_signature_list()
    if "serving_default" in signatures or len(signatures) == 1:
        key = "serving_default" if "serving_default" in signatures else next(iter(signatures))
        runner = interpreter.get_signature_runner(key)
        aliases = {int(each["index"]): alias for alias, each in runner.get_output_details().items()}
    details = [(int(each["index"]), each) for each in interpreter.get_output_details()]
    outputs = [
        Output(index, str(each["name"]), aliases.get(index), tuple(each["shape"]), _unscaled(each))
        for index, each in details
    ]
    if file is None:
        return Graph(tuple(outputs), operations)
    said = file.metadata.roles or {}
    return Graph(tuple(outputs), operations, file.postprocessed, said if len(said) == len(outputs) else {})


def _number_of(name: str) -> int | None:
    """Return the number at the end of a name.

    >>> _number_of("StatefulPartitionedCall:3"), _number_of("output_1"), _number_of("boxes")
    (3, 1, None)
    """
    found = re.search(r"(?:_|:)(\d{1,3})$", name)
    return None if found is None else int(found[1])


def _has_word(output: Output, words: Sequence[str]) -> bool:
    parts = set(re.split(r"[^a-z]+", f"{output.alias or output.name}".lower()))
    return any(set(word.split("_")) <= parts for word in words)


def _unscaled(details: Mapping[str, Any]) -> str | None:
    dtype = np.dtype(details["dtype"])
    small = dtype.kind in "iu" and dtype.itemsize < 4
    return str(dtype) if small and not details["quantization"][0] else None
