"""What runs a model file: one adapter for each runtime, and how its outputs are read."""

from importlib import import_module
from typing import Any

__all__ = ["import_adapter"]


def import_adapter(kind: str) -> Any:
    """Return the adapter's module for a ``kind`` of model file; only now is its runtime looked for."""
    return import_module(f"{__name__}.{kind}")
