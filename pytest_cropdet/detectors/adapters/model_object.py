"""Models handed over in Python: a Keras model, a ``tf.Module``, or what ``tf.saved_model.load`` returned."""

from typing import Any

from pytest_cropdet.detectors.adapters.keras import call_of_model, require_tensorflow
from pytest_cropdet.detectors.adapters.quiet import quiet
from pytest_cropdet.detectors.adapters.saved_model import call_of_function, choose_signature
from pytest_cropdet.detectors.adapters.tensorflow_call import Call
from pytest_cropdet.detectors.adapters.tensorflow_model import TensorFlowAdapter, import_tensorflow, warmed_up
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.frameworks import model_kind
from pytest_cropdet.errors import DetectorError

__all__ = ["adapt"]


def adapt(model: Any, name: str, description: Description) -> TensorFlowAdapter:
    """Return the adapter of a model object, warmed up; errors call it ``name``."""
    description.refuse("the model is there already, with the objects that it needs", "custom_objects")
    description.refuse("it chooses what runs an ONNX file, and this is none", "provider")
    tensorflow = import_tensorflow(description.threads)
    with quiet():
        return warmed_up(name, lambda: _call_of(model, name, tensorflow, description), tensorflow, description)


def _call_of(model: Any, name: str, tensorflow: Any, description: Description) -> Call:
    kind = model_kind(model)
    if kind == "keras":
        description.refuse("a Keras model has no signatures", "signature")
        require_tensorflow(name)
        return call_of_model(model, tensorflow)
    if kind == "signatures":
        return call_of_function(choose_signature(model.signatures, description.signature), model)
    return call_of_function(_function_of(model, description.signature), model)


def _function_of(module: Any, wanted: str | None) -> Any:
    """Return the function of a ``tf.Module`` that takes images, traced by its own input signature."""
    members = {name: getattr(module, name, None) for name in dir(module)}
    found: dict[str, Any] = {name: each for name, each in members.items() if _is_traceable(each)}
    names = ", ".join(found) or "none"
    if wanted is not None and wanted not in found:
        raise DetectorError(f"signature={wanted}: the module's functions with an input_signature are {names}")
    if wanted is None and "__call__" not in found and len(found) != 1:
        raise DetectorError(
            f"which function of the module takes images? Those with an input_signature are {names}; "
            + (
                "set --cropdet-detector signature=NAME"
                if found
                else "give one an input_signature: @tf.function(input_signature=[tf.TensorSpec([None, HEIGHT, WIDTH, "
                "3], tf.uint8)])"
            )
        )
    chosen = wanted or ("__call__" if "__call__" in found else next(iter(found)))
    return found[chosen].get_concrete_function()


def _is_traceable(function: Any) -> bool:
    return callable(getattr(function, "get_concrete_function", None)) and (
        getattr(function, "input_signature", None) is not None
    )
