"""What exporters write into the metadata of an ONNX file: names of categories, the size of the input, the task.

Values are texts of Python or JSON. They are read as literals, and never run.
"""

from ast import literal_eval
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_cropdet.detectors.adapters.tflite_metadata import PLAIN_TASKS
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.label_files import Labels, parse_labels
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.terms import one_line

__all__ = ["Metadata", "read_onnx_metadata"]

LONGEST = 1 << 20  # characters of a value that is read
LARGEST_SIDE = 1 << 15  # px


@dataclass(frozen=True, slots=True)
class Metadata:
    """``labels``: names of categories. ``size``: (height, width) of the input it was exported for.

    ``ultralytics``: written by the exporter of Ultralytics, all of whose detectors take RGB images of 0..1, count
    categories from 0 and return boxes in pixels of the input. ``suppressed``: it says that duplicates are removed.
    ``has_masks``: each box has the coefficients of a mask behind its scores, which no detection needs.
    """

    labels: Labels | None = None
    size: tuple[int, int] | None = None
    ultralytics: bool = False
    suppressed: bool = False
    has_masks: bool = False

    def fill(self, given: Description) -> Description:
        """Return a description with what the metadata decides."""
        return given.filled(channels="rgb", range="0..1", first_category=0) if self.ultralytics else given


def read_onnx_metadata(texts: Mapping[str, str], path: str) -> Metadata:
    """Return what the metadata of a file says; ``DetectorError`` for a model that is no detector by its own words."""
    task = texts.get("task", "detect")
    if task not in PLAIN_TASKS:
        raise DetectorError(
            f"its metadata says task={one_line(task)!r}, a model without upright boxes; export a detector, "
            "or write a function that returns Detections and name it as package.module:factory"
        )
    labels = None
    if 0 < len(texts.get("names", "")) <= LONGEST:
        try:
            labels = parse_labels(f"{{'names': {texts['names']}}}", f"metadata of {path}")
        except DetectorError:  # they are in a form that nobody knows, so they have to be given
            labels = None
    arguments = _literal(texts.get("args", ""))
    suppressed = isinstance(arguments, dict) and arguments.get("nms") is True
    suppressed = suppressed or _literal(texts.get("end2end", "")) is True
    return Metadata(
        labels, _size(texts.get("imgsz", "")), texts.get("author") == "Ultralytics", suppressed, task == "segment"
    )


def _size(text: str) -> tuple[int, int] | None:
    """Return height and width.

    >>> _size("[480, 640]"), _size("640"), _size("[640]"), _size("__import__('os')")
    ((480, 640), (640, 640), None, None)
    """
    value = _literal(text)
    sides = [value, value] if isinstance(value, int) else value
    if not isinstance(sides, list | tuple) or len(sides) != 2:
        return None
    if not all(type(side) is int and 0 < side <= LARGEST_SIDE for side in sides):
        return None
    return sides[0], sides[1]


def _literal(text: str) -> object:
    try:
        return literal_eval(text.strip()) if len(text) <= LONGEST else None
    except (MemoryError, RecursionError, SyntaxError, TypeError, ValueError):
        return None
