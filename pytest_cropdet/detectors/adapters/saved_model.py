"""TensorFlow SavedModels, called through a signature that takes one tensor of images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_cropdet.detectors.adapters.quiet import quiet
from pytest_cropdet.detectors.adapters.tensorflow_call import Call
from pytest_cropdet.detectors.adapters.tensorflow_inputs import operations_of
from pytest_cropdet.detectors.adapters.tensorflow_model import TensorFlowAdapter, import_tensorflow, warmed_up
from pytest_cropdet.detectors.adapters.tensorflow_outputs import named_outputs
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.files import refuse_special

__all__ = ["call_of_function", "choose_signature", "load", "verify"]


def verify(path: Path) -> None:
    """Raise ``DetectorError`` for a folder whose files cannot be those of a SavedModel."""
    refuse_special(path / "saved_model.pb", "the model", DetectorError)
    index, parts = path / "variables" / "variables.index", list((path / "variables").glob("variables.data-*"))
    if index.exists() != bool(parts):
        there, missing = (index.name, "variables.data-*") if index.exists() else (parts[0].name, index.name)
        raise DetectorError(f"{path} cannot be used: variables has {there} and no {missing}; copy the whole folder")


def load(path: Path, description: Description) -> "TensorFlowAdapter":
    """Return the SavedModel in ``path``, warmed up."""
    description.refuse("a SavedModel carries its own code", "custom_objects")
    tensorflow = import_tensorflow(description.threads)
    with quiet():
        try:
            model = _load(tensorflow, path)
        except Exception as error:
            raise DetectorError(f"TensorFlow cannot load {path}: {type(error).__name__}: {error}") from error
        return warmed_up(path, lambda: _call_of(model, description), tensorflow, description)


def _load(tensorflow: Any, path: Path) -> Any:
    """Return the SavedModel; of several graphs, as TensorFlow 1 may have written them, the one for serving."""
    try:
        return tensorflow.saved_model.load(str(path))
    except ValueError as error:
        if "tags" not in str(error):
            raise
        return tensorflow.saved_model.load(str(path), tags=["serve"])


def _call_of(model: Any, description: Description) -> Call:
    """Return the signature of a loaded SavedModel that takes images."""
    return call_of_function(choose_signature(model.signatures, description.signature), model)


def call_of_function(function: Any, model: Any) -> Call:
    """Return a concrete function of one tensor of images; ``model`` is whose variables it uses."""
    places, names = function.structured_input_signature
    inputs = {**{str(spec.name or place): spec for place, spec in enumerate(places)}, **names}
    if len(inputs) != 1:
        raise DetectorError(
            f"the signature takes {', '.join(inputs) or 'nothing'}; a detector takes one tensor of images"
        )
    name, spec = next(iter(inputs.items()))

    def run(batch: Any) -> Mapping[str, Any]:
        return named_outputs(function(batch) if places else function(**{name: batch}))

    run.model = model  # type: ignore[attr-defined]  # a signature does not keep its model alive
    operations = operations_of(function.graph.as_graph_def()) if spec.dtype.name == "string" else frozenset()
    tensor = str(function.inputs[0].name).partition(":")[0]
    return Call(name, spec.dtype, spec.shape, named_outputs(function.structured_outputs), run, tensor, operations)


def choose_signature(signatures: Mapping[str, Any], wanted: str | None) -> Any:
    names = ", ".join(signatures) or "none"
    if wanted is not None:
        if wanted not in signatures:
            raise DetectorError(f"signature={wanted}: the SavedModel has {names}")
        return signatures[wanted]
    if "serving_default" in signatures:
        return signatures["serving_default"]
    if len(signatures) == 1:
        return next(iter(signatures.values()))
    more = "; set --cropdet-detector signature=NAME" if signatures else ""
    raise DetectorError(f"the SavedModel needs a signature 'serving_default'; it has {names}{more}")
