"""What a detector may do wrong on crops, one class each: the names under which its invariants fail; and a verdict."""

from dataclasses import dataclass, field
from typing import Literal

from pytest_cropdet.errors import CropdetError

__all__ = [
    "BatchDependent",
    "BrokenInvariant",
    "CannotTell",
    "CategoryChanged",
    "DetectorRaised",
    "DuplicatesKept",
    "InteriorObjectLost",
    "Judged",
    "MovedByPadding",
    "MovedByShift",
    "NotRepeatable",
    "ObjectMadeUp",
    "OutsideFrame",
    "ScoreChanged",
    "ScoreRisesWithCut",
    "ShiftSensitive",
    "TruncatedObjectLost",
    "WrongConvention",
]


class BrokenInvariant(AssertionError):  # noqa: N818  (not an error: the check did its work)
    """Something that must hold for a detector on crops does not."""


class CannotTell(CropdetError):  # noqa: N818  (no error: there is nothing to judge)
    """An invariant cannot be judged; the text says why."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of an invariant: ``pass``, ``fail``, or ``skip`` where it cannot be judged.

    ``value`` of ``what``, and what is ``allowed``; ``None`` where nothing was measured, ``allowed`` also where no
    number is the limit. ``error``: what :meth:`check` raises, a :class:`BrokenInvariant` or a :class:`CannotTell`.
    """

    name: str
    verdict: Literal["pass", "fail", "skip"]
    value: float | None = None
    allowed: float | None = None
    what: str | None = None
    error: BrokenInvariant | CannotTell | None = field(default=None, compare=False)

    @property
    def reason(self) -> str | None:
        """Why it fails or cannot be judged; ``None`` where it holds."""
        return None if self.error is None else str(self.error)

    def check(self) -> None:
        """Raise what is wrong, or why it cannot be told."""
        __tracebackhide__ = True
        if self.error is not None:
            raise self.error


class NotRepeatable(BrokenInvariant):
    """The same picture gets another answer."""


class BatchDependent(BrokenInvariant):
    """A picture gets another answer in a batch than alone."""


class MovedByPadding(BrokenInvariant):
    """Fill at the right and bottom, whole strides of it, changes what lies far from it."""


class MovedByShift(BrokenInvariant):
    """A shift by whole strides changes the answer."""


class ShiftSensitive(BrokenInvariant):
    """Some pixels less at the left and top move boxes, or lose objects far from them."""


class InteriorObjectLost(BrokenInvariant):
    """An object that lies inside the window, away from the cut, is not found there."""


class ObjectMadeUp(BrokenInvariant):
    """A confident detection away from the cut is nothing in the whole image."""


class ScoreChanged(BrokenInvariant):
    """The score of an object inside the window is another one."""


class CategoryChanged(BrokenInvariant):
    """An object inside the window gets another category."""


class DuplicatesKept(BrokenInvariant):
    """Two detections of one category overlap by more than the declared NMS lets pass."""


class OutsideFrame(BrokenInvariant):
    """Boxes reach far over the picture's border."""


class TruncatedObjectLost(BrokenInvariant):
    """An object of which three quarters show is not found."""


class ScoreRisesWithCut(BrokenInvariant):
    """The less shows of an object, the higher its score."""


class DetectorRaised(BrokenInvariant):
    """A picture without any object, or a tiny one, makes the detector fail."""


class WrongConvention(BrokenInvariant):
    """A convention of the detector is declared wrongly; the text names it and the option that mends it."""
