"""The kinds of detector files there are adapters for, by the word that stands before the path."""

from collections.abc import Mapping

__all__ = ["KINDS"]

KINDS: Mapping[str, str] = {"saved_model": "a folder with saved_model.pb", "tflite": "a .tflite file"}
