"""A model behind HTTP, whatever its protocol: what it says of itself, and its outputs read as a SavedModel's.

The rules of reading are those of :mod:`tensorflow_model`; only tensors come as JSON, so no framework is needed.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.adapters.tensorflow_call import Call
from pytest_cropdet.detectors.adapters.tensorflow_model import TensorFlowAdapter
from pytest_cropdet.detectors.adapters.tensorflow_outputs import REQUIRED, choose_outputs
from pytest_cropdet.detectors.adapters.tensorflow_tables import open_table
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DetectorError

__all__ = ["ENCODED", "ModelAddress", "ServedFacts", "ServedModel", "ServedTensor", "Sides", "ValueKind", "load_served"]


@dataclass(frozen=True, slots=True)
class ModelAddress:
    """Where a model is: ``model`` is the URL of the model itself, ``version`` that its URL names, if any."""

    url: str
    server: str
    model: str
    version: str | None


class Sides(tuple[int | None, ...]):
    """The sides of a tensor, ``None`` where one is open; ``rank`` is their number, ``None`` where that is open, too."""

    rank: int | None

    @classmethod
    def of(cls, sides: list[int] | None) -> "Sides":
        """Return sides as servers give them, with -1 for one that is open."""
        found = cls(None if side < 0 else side for side in sides or [])
        found.rank = None if sides is None else len(sides)
        return found


@dataclass(frozen=True, slots=True)
class ValueKind:
    """The type of a tensor's values."""

    name: str
    as_numpy_dtype: Any


ENCODED = ValueKind("string", object)
UNSENT = ("tf_example", "examples", "serialized_example", "serialized_examples")  # names of inputs
READ_BESIDE = ("image_info",)  # what the adapter reads beside the list of detections


@dataclass(frozen=True, slots=True)
class ServedTensor:
    """What a server says of an input or output."""

    dtype: ValueKind
    shape: Sides


@dataclass(frozen=True, slots=True)
class ServedFacts:
    """What a server says of a model: its ``version``, where it has one, its tensors, and all of that as ``said``."""

    version: str | None
    inputs: Mapping[str, ServedTensor]
    outputs: Mapping[str, ServedTensor]
    said: Any

    @property
    def identity(self) -> str:
        """A hash of all that the server says; another version has another one."""
        return hashlib.sha256(json.dumps([self.version, self.said], sort_keys=True).encode()).hexdigest()


class ServedModel(Protocol):
    """A model as the client of its protocol."""

    def facts(self) -> ServedFacts:
        """Return what the server says of the model now."""
        ...

    def predict(self, batch: NDArray[Any], facts: ServedFacts, wanted: Sequence[str]) -> Mapping[str, NDArray[Any]]:
        """Return the ``wanted`` outputs, and perhaps others, as the version in ``facts`` answers for a batch.

        An answer of another version is a ``DetectorError``.
        """
        ...


# What TensorFlowAdapter uses of TensorFlow, for tensors that travel as JSON.
RUNTIME = SimpleNamespace(
    string=ENCODED,
    config=SimpleNamespace(list_physical_devices=lambda kind: []),
    constant=lambda values: np.array(values, dtype=object) if isinstance(values, list) else np.asarray(values),
    TensorSpec=lambda sides, dtype, name: ServedTensor(
        ValueKind(dtype, np.dtype(dtype)), Sides.of([-1 if side is None else side for side in sides])
    ),
)


def load_served(model: ServedModel, facts: ServedFacts, description: Description) -> TensorFlowAdapter:
    """Return the adapter of a served model, called once."""
    description.refuse("a served model runs elsewhere", "custom_objects", "threads", "provider")
    if description.input != "encoded":
        description.refuse("a served model says what it takes, and examples are not sent", "input")
    if len(facts.inputs) != 1:
        raise DetectorError(
            f"the model takes {', '.join(facts.inputs) or 'nothing'}; a detector takes one tensor of images"
        )
    name, spec = next(iter(facts.inputs.items()))
    if name in UNSENT:
        raise DetectorError(f"its input {name!r} takes serialised examples; serve a signature that takes images")
    table = Call(
        name, spec.dtype, spec.shape, facts.outputs, lambda batch: model.predict(batch, facts, [*facts.outputs])
    )
    opened, description = open_table(table, description, RUNTIME)
    if opened is not table:
        return _warmed_up(opened, description)
    roles = choose_outputs(facts.outputs, description)
    wanted = [*roles.values(), *(name for name in READ_BESIDE if name in facts.outputs)]

    def run(batch: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        answered = model.predict(batch, facts, wanted)
        outputs = {**answered, **{each: _output(answered, each, facts) for each in roles.values()}}
        if not outputs[roles["boxes"]].size:  # JSON has no sides of nothing
            outputs[roles["boxes"]] = np.zeros((*outputs[roles["scores"]].shape, 4))
        _check_rows({role: outputs[each] for role, each in roles.items()}, roles, len(batch))
        return outputs

    return _warmed_up(Call(name, spec.dtype, spec.shape, facts.outputs, run), description)


def _warmed_up(call: Call, description: Description) -> TensorFlowAdapter:
    adapter = TensorFlowAdapter(call, RUNTIME, description)
    adapter.warm_up()
    return adapter


def _output(outputs: Mapping[str, NDArray[Any]], name: str, facts: ServedFacts) -> NDArray[Any]:
    """Return an output as the type that the model computes it in, whatever its numbers look like as text."""
    if name not in outputs:
        raise DetectorError(f"the answer has no output {name!r}; it has {', '.join(sorted(outputs)) or 'none'}")
    if outputs[name].dtype.kind not in "biuf":
        raise DetectorError(f"the output {name!r} of the answer has values that are no numbers")
    kind = facts.outputs[name].dtype.as_numpy_dtype
    return outputs[name] if kind is object else outputs[name].astype(kind)


def _check_rows(found: Mapping[str, NDArray[Any]], roles: Mapping[str, str], sent: int) -> None:
    """Refuse an answer whose tensors do not belong together, or are not those of the images that were sent."""
    shapes = ", ".join(f"{roles[role]} {list(found[role].shape)}" for role in REQUIRED)
    boxes = found["boxes"].shape
    lengths = {found[role].shape[0] if found[role].ndim else 0 for role in REQUIRED}
    if len(boxes) == 3 and lengths != {sent}:
        raise DetectorError(
            f"the model was given {sent} images and its answer has {shapes}, which are not {sent} rows; if it takes "
            "one image per call, set --cropdet-detector batch=1"
        )
    fits = len(boxes) in (2, 3) and boxes[-1] == 4
    fits = fits and all(found[role].shape == boxes[:-1] for role in ("scores", "classes"))
    if not fits:
        raise DetectorError(
            f"the answer has {shapes}; a list of detections has boxes [N, rows, 4], scores and classes [N, rows]"
        )
    if "count" in found and found["count"].size != (sent if len(boxes) == 3 else 1):
        raise DetectorError(
            f"the model was given {sent} images, and {roles['count']} has {found['count'].size} numbers"
        )
