"""Packages that only some readers need: the extra ``data``."""

from importlib import import_module
from typing import Any

from pytest_cropdet.errors import DataError

__all__ = ["import_extra"]

_PACKAGES = {"yaml": "PyYAML", "google_crc32c": "google-crc32c", "google.protobuf": "protobuf"}


def import_extra(module: str, what: str) -> Any:
    """Return a module of the extra; ``DataError`` says how to install it. ``what``: the reader that needs it."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        name = next((each for key, each in _PACKAGES.items() if module.startswith(key)), module.partition(".")[0])
        raise DataError(f"{what} needs {name}: pip install 'pytest-cropdet[data]'") from error
