"""Keras files, ``.keras`` and ``.h5``: loaded by Keras in its safe mode, and called with one tensor of images."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pytest_cropdet.detectors.adapters.keras_tasks import call_of_task, is_task
from pytest_cropdet.detectors.adapters.quiet import quiet
from pytest_cropdet.detectors.adapters.tensorflow_call import Call
from pytest_cropdet.detectors.adapters.tensorflow_model import TensorFlowAdapter, import_tensorflow, warmed_up
from pytest_cropdet.detectors.adapters.tensorflow_outputs import named_outputs
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DetectorError

__all__ = ["call_of_model", "load", "open_file", "require_tensorflow", "verify"]

REGISTERING = {"keras_hub": "keras-hub", "keras_cv": "keras-cv"}  # that register layers when they are imported
HDF5 = b"\x89HDF\r\n\x1a\n"


def verify(path: Path) -> None:
    """Raise ``DetectorError`` for a file that is neither a ``.keras`` archive nor HDF5."""
    with path.open("rb") as stream:
        begin = stream.read(len(HDF5))
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise DetectorError(f"{path} is not a .keras file: it is no zip archive (a download that was cut off?)")
    if path.suffix != ".keras" and begin != HDF5:
        raise DetectorError(f"{path} is not an HDF5 file: it does not begin with the bytes of one")


def load(path: Path, description: Description) -> TensorFlowAdapter:
    """Return the Keras model in ``path``, warmed up."""
    description.refuse("a Keras file has no signatures", "signature")
    tensorflow = import_tensorflow(description.threads)
    with quiet():
        model = open_file(path, description)
        return warmed_up(path, lambda: call_of_model(model, tensorflow), tensorflow, description)


def open_file(path: Path, description: Description) -> Any:
    """Return the model in a Keras file, with the custom objects that the user names."""
    import keras

    custom = None if description.custom_objects is None else _custom_objects(description.custom_objects)
    require_tensorflow(path)
    _import_packages(path)
    try:
        return keras.saving.load_model(path, custom_objects=custom, compile=False, safe_mode=True)
    except Exception as error:
        raise DetectorError(f"Keras cannot load {path}: {_reason(error, description)}") from error


def require_tensorflow(name: object) -> None:
    """Refuse a Keras that runs on another framework."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise DetectorError(
            f"{name}: Keras runs on {keras.backend.backend()} here; set the environment variable "
            "KERAS_BACKEND=tensorflow"
        )


def _import_packages(path: Path) -> None:
    """Import the packages whose layers a ``.keras`` file names, so that Keras finds them."""
    if path.suffix != ".keras":
        return
    try:
        with zipfile.ZipFile(path) as archive:
            named = set(_modules(json.loads(archive.read("config.json"))))
    except (KeyError, ValueError, RecursionError, zipfile.BadZipFile):
        return  # Keras says what is wrong with it
    for package in sorted(named & set(REGISTERING)):
        try:
            import_module(package)
        except ImportError as error:
            raise DetectorError(f"{path} needs {package} ({error}): pip install {REGISTERING[package]}") from error


def _modules(config: Any) -> Iterator[str]:
    """Yield the package of each class that a configuration names."""
    if isinstance(config, dict):
        yield str(config.get("module") or "").partition(".")[0]
        yield str(config.get("registered_name") or "").partition(">")[0]
    for value in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        yield from _modules(value)


def call_of_model(model: Any, tensorflow: Any) -> Call:
    """Return a Keras model as a function of one tensor of images."""
    given = getattr(model, "inputs", None)
    inputs = given if isinstance(given, list) else [given]
    if len(inputs) != 1 or inputs[0] is None:
        names = ", ".join(str(getattr(each, "name", each)) for each in inputs if each is not None)
        raise DetectorError(
            f"the model takes {names or 'inputs of unknown shape'}; a detector takes one tensor of images"
            + ("" if names else ": images = keras.Input((HEIGHT, WIDTH, 3)); keras.Model(images, model(images))")
        )
    if is_task(model):
        dtype = tensorflow.as_dtype(inputs[0].dtype)
        return call_of_task(model, tensorflow, str(inputs[0].name), tensorflow.TensorShape(inputs[0].shape), dtype)
    spec = tensorflow.TensorSpec(inputs[0].shape, inputs[0].dtype, name="images")
    function = tensorflow.function(lambda images: model(images, training=False), input_signature=[spec])
    outputs = named_outputs(function.get_concrete_function().structured_outputs)

    def run(batch: Any) -> Mapping[str, Any]:
        return named_outputs(function(batch))

    return Call(str(inputs[0].name), spec.dtype, spec.shape, outputs, run)


def _custom_objects(name: str) -> Mapping[str, Any]:
    """Return the mapping that ``package.module:mapping`` names."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise DetectorError(
            f"custom_objects={name}: {error} (pytest's ini option 'pythonpath' adds a folder)"
        ) from error
    if not isinstance(found, Mapping):
        raise DetectorError(f"custom_objects={name}: must be a mapping of names to classes, not {type(found).__name__}")
    return found


def _reason(error: Exception, description: Description) -> str:
    """Return what went wrong in a few words, and what helps where that is known."""
    text = f"{type(error).__name__}: {error}"
    if "Lambda" in text and "safe_mode" in text:
        return (
            "it contains a Lambda layer, which is code of the file's author, and is not run. Write a function that "
            "loads the model and returns Detections, and name it as package.module:factory"
        )
    if description.custom_objects is None and ("custom_objects" in text or "register_keras_serializable" in text):
        return f"{text.splitlines()[0]} (set --cropdet-detector custom_objects=package.module:mapping)"
    return text.splitlines()[0] if text else type(error).__name__
