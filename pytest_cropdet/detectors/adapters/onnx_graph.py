"""The outputs of an ONNX file, and what its operations prove of them and of its input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.adapters.onnx_file import Node, OnnxFile
from pytest_cropdet.detectors.adapters.tensorflow_outputs import API, follows_the_api
from pytest_cropdet.detectors.description import Description, outputs_by_role
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.terms import one_line

__all__ = ["OnnxGraph", "Tensor", "are_channels_first", "shown_shape"]

MOVING = ("Identity", "Cast", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Gather", "Flatten", "Split")
PREPARING = ("Identity", "Cast", "Sub", "Mul", "Div", "Add", "Pad", "Resize", "Clip", "QuantizeLinear")
ACTIVATING: Mapping[str, str] = {"Sigmoid": "sigmoid", "Softmax": "softmax"}
CHANNELS_FIRST = (0, 3, 1, 2)  # the order of the axes of a Transpose that puts channels first
FOLLOWED = 32  # operations that are followed


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output: ``shape`` as the file declares it (``None`` and names are open), ``dtype`` of NumPy."""

    name: str
    dtype: Any
    shape: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{one_line(self.name)} {np.dtype(self.dtype)} {shown_shape(self.shape)}"


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """``outputs`` in the file's order, with the ``tensors`` that one empty image gave."""

    outputs: Sequence[Tensor]
    tensors: Sequence[NDArray[Any]]
    file: OnnxFile

    def listed(self) -> str:
        """Return names, types and shapes of all outputs, as declared."""
        return ", ".join(map(str, self.outputs))

    def roles(self, given: Description) -> dict[str, int]:
        """Return which output is what: as the user says, else by the names of the Object Detection API."""
        names = [output.name for output in self.outputs]
        if given.outputs is not None:
            return {role: self._place(name) for role, name in outputs_by_role(given.outputs).items()}
        if follows_the_api(names):
            return {role: names.index(name) for role, name in API.items() if name in names}
        return {}

    def named(self, *names: str) -> int | None:
        """Return the place of the output with the first of ``names`` that there is."""
        known = [output.name for output in self.outputs]
        return next((known.index(name) for name in names if name in known), None)

    def activation_of(self, place: int) -> str | None:
        """Return what the file itself does last with an output, ``sigmoid`` or ``softmax``, if that can be seen."""
        makers = {name: node for node in self.file.nodes for name in node.outputs}
        return _activation(makers, self.outputs[place].name, FOLLOWED)

    def _place(self, name: str) -> int:
        place = self.named(name)
        if place is None and name.isdecimal() and int(name) < len(self.outputs):
            return int(name)
        if place is None:
            raise DetectorError(f"outputs=: there is no output {name!r}; it has {self.listed()}")
        return place


def _activation(makers: Mapping[str, Node], name: str, depth: int) -> str | None:
    node = makers.get(name)
    if node is None or not depth:
        return None
    if node.kind in ACTIVATING:
        return ACTIVATING[node.kind]
    if node.kind in MOVING:
        return _activation(makers, node.inputs[0], depth - 1)
    if node.kind == "Concat":
        found = {_activation(makers, each, depth - 1) for each in node.inputs}
        return found.pop() if len(found) == 1 else None
    return None


def are_channels_first(file: OnnxFile, name: str) -> bool | None:
    """Return whether the input ``name`` has its channels before height and width; ``None`` if nothing shows it.

    What shows it is the first convolution, whose weights are for three channels: ONNX has channels first there, so an
    input with channels last is transposed on its way to it.
    """
    seen = {name}
    for node in file.nodes:  # which are sorted: what makes a tensor comes before what takes it
        if not seen.intersection(node.inputs[:1]):
            continue
        if node.kind == "Transpose" and node.whole.get("perm") == CHANNELS_FIRST:
            return False
        if node.kind == "Conv":
            sides = file.sides.get(node.inputs[1], ())
            return True if len(sides) == 4 and sides[1] == 3 else None
        if node.kind in PREPARING:
            seen.update(node.outputs)
    return None


def shown_shape(shape: Sequence[Any]) -> str:
    """Return a shape as messages show it.

    >>> shown_shape(["batch", 3, None, 640])
    '[batch, 3, ?, 640]'
    """
    return f"[{', '.join('?' if side is None else str(side) for side in shape)}]"
