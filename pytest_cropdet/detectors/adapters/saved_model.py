"""TensorFlow SavedModels, called through a signature that takes one tensor of images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_cropdet.detectors.adapters.quiet import quiet
from pytest_cropdet.detectors.adapters.tensorflow_model import Call, TensorFlowAdapter, import_tensorflow, warmed_up
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.files import refuse_special

__all__ = ["load", "verify"]


def verify(path: Path) -> None:
    """Raise ``DetectorError`` for a folder whose files cannot be those of a SavedModel."""
    refuse_special(path / "saved_model.pb", "the model", DetectorError)
    index, parts = path / "variables" / "variables.index", list((path / "variables").glob("variables.data-*"))
    if index.exists() != bool(parts):
        there, missing = (index.name, "variables.data-*") if index.exists() else (parts[0].name, index.name)
        raise DetectorError(f"{path} cannot be used: variables has {there} and no {missing}; copy the whole folder")


def load(path: Path, description: Description) -> "TensorFlowAdapter":
    """Return the SavedModel in ``path``, warmed up."""
    description.refuse(
        "a SavedModel's outputs are read as a list of detections, with scores of 0 to 1", "activation", "head"
    )
    description.refuse("a SavedModel carries its own code", "custom_objects")
    tensorflow = import_tensorflow(description.threads)
    with quiet():
        try:
            model = tensorflow.saved_model.load(str(path))
        except Exception as error:
            raise DetectorError(f"TensorFlow cannot load {path}: {type(error).__name__}: {error}") from error
        return warmed_up(path, lambda: _call_of(model, description), tensorflow, description)


def _call_of(model: Any, description: Description) -> Call:
    """Return the signature of a loaded SavedModel that takes images."""
    signature = _choose_signature(model.signatures, description.signature)
    inputs = signature.structured_input_signature[1]
    if len(inputs) != 1:
        raise DetectorError(
            f"the signature takes {', '.join(inputs) or 'nothing'}; a detector takes one tensor of images"
        )
    name, spec = next(iter(inputs.items()))

    def run(batch: Any) -> Mapping[str, Any]:
        answers: Mapping[str, Any] = signature(**{name: batch})
        return answers

    run.model = model  # type: ignore[attr-defined]  # a signature does not keep its model alive
    return Call(name, spec.dtype, spec.shape, signature.structured_outputs, run)


def _choose_signature(signatures: Mapping[str, Any], wanted: str | None) -> Any:
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
