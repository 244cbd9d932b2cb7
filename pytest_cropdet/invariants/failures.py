"""What a detector may do wrong on crops, one class each: the names under which its invariants fail."""

from pytest_cropdet.terms import visible

__all__ = [
    "BatchDependent",
    "BrokenInvariant",
    "CategoryChanged",
    "DetectorRaised",
    "DuplicatesKept",
    "InteriorObjectLost",
    "MovedByPadding",
    "MovedByShift",
    "NotRepeatable",
    "ObjectMadeUp",
    "OutsideFrame",
    "OwnInvariantBroken",
    "ScoreChanged",
    "ScoreRisesWithCut",
    "ShiftSensitive",
    "TruncatedObjectLost",
    "WrongConvention",
]


class BrokenInvariant(AssertionError):  # noqa: N818  (not an error: the check did its work)
    """Something that must hold for a detector on crops does not."""

    def __str__(self) -> str:
        return str(visible(super().__str__()))


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


class OwnInvariantBroken(BrokenInvariant):
    """The number of an invariant of a user's own is above its limit."""


class WrongConvention(BrokenInvariant):
    """A convention of the detector is declared wrongly; the text names it and the option that mends it."""
