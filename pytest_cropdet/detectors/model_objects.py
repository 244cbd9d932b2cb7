"""Objects handed over in Python in place of a file: what they are called, and models of TensorFlow or Keras opened."""

import re
from typing import Any

from pytest_cropdet.detectors.adapters import import_adapter
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DetectorError

__all__ = ["object_name", "open_model"]

_OPTION = re.compile(r"--cropdet-detector (\w+)=([\w.|:,-]*)")


def object_name(detector: Any) -> str:
    """Return what a detector is called: its own name, or that of its class."""
    name = getattr(detector, "name", None) or getattr(detector, "__name__", None)
    return str(name or type(detector).__name__)


def open_model(model: Any, name: str, description: Description) -> Any:
    """Return the adapter of a model of TensorFlow or Keras; its errors say in Python what is missing."""
    try:
        adapter = import_adapter("model_object").adapt(model, name, description)
    except DetectorError as error:
        raise _in_python(error) from error
    detect = adapter.detect

    def detect_in_python(inputs: Any) -> Any:
        try:
            return detect(inputs)
        except DetectorError as error:
            raise _in_python(error) from error

    adapter.detect = detect_in_python
    return adapter


def _in_python(error: DetectorError) -> DetectorError:
    """Return the error with the call that sets an option in place of the option."""
    return DetectorError(_OPTION.sub(r"load_detector(model, \1=...) with \2", str(error)))
