"""What can be wrong with a remap of boxes into a window: one failure class per cause, which its summary tells."""

# ruff: noqa: D101, N818

from typing import Any

from pytest_cropdet.errors import CropdetError

__all__ = [
    "BoxesNotClipped",
    "BoxesNotMoved",
    "ClippedToLastPixel",
    "CrowdDropped",
    "CrowdMisaligned",
    "HiddenObjectKept",
    "ImpreciseBoxes",
    "InputChanged",
    "LabelsMisaligned",
    "OffByOne",
    "RebasedVisibility",
    "RemapError",
    "RemapRaised",
    "RoundedToPixels",
    "SliverKept",
    "SwappedAxes",
    "VisibleObjectDropped",
    "WrongAnswer",
    "WrongBoxes",
    "WrongImage",
    "WrongVisibility",
]


class RemapError(CropdetError, AssertionError):
    """A remap is wrong. The first line names the cause, the others give the smallest case in numbers.

    ``case``: the :class:`~pytest_cropdet.invariants.remap_rules.RemapCase`; ``answer``: what the function returned, if
    it did;
    ``others``: what else :func:`~pytest_cropdet.check_remap` found, each an error with a case of its own.
    """

    summary = "the remap is wrong"
    case: Any = None
    answer: Any = None
    others: tuple["RemapError", ...] = ()


class RemapRaised(RemapError):
    summary = "it raises"


class WrongAnswer(RemapError):
    summary = "the answer has the wrong form"


class InputChanged(RemapError):
    summary = "it changes the arrays it is given"


class SwappedAxes(RemapError):
    summary = "x and y are swapped"


class BoxesNotMoved(RemapError):
    summary = "boxes stay in the image's frame"


class BoxesNotClipped(RemapError):
    summary = "boxes reach over the window"


class ClippedToLastPixel(RemapError):
    summary = "boxes are clipped to width - 1 and height - 1"


class OffByOne(RemapError):
    summary = "boxes are one pixel off"


class RoundedToPixels(RemapError):
    summary = "boxes are rounded to whole pixels"


class ImpreciseBoxes(RemapError):
    summary = "boxes are off by a part of a pixel"


class WrongBoxes(RemapError):
    summary = "boxes are not where the objects are"


class SliverKept(RemapError):
    summary = "an object of which nothing is visible comes back"


class HiddenObjectKept(RemapError):
    summary = "an object below min_visibility comes back"


class VisibleObjectDropped(RemapError):
    summary = "a visible object is missing"


class CrowdDropped(RemapError):
    summary = "a crowd is missing"


class LabelsMisaligned(RemapError):
    summary = "labels belong to other boxes"


class CrowdMisaligned(RemapError):
    summary = "crowd flags belong to other boxes"


class RebasedVisibility(RemapError):
    summary = "visibility is not measured against the original object"


class WrongVisibility(RemapError):
    summary = "visibility is not the visible share of the object"


class WrongImage(RemapError):
    summary = "the image that comes back is not the window"
