"""What a user can get wrong, as exceptions whose text says what, where and how to fix it."""

from pytest_cropdet.terms import visible

__all__ = [
    "CannotTell",
    "ClusterError",
    "CropdetError",
    "DataError",
    "DetectorError",
    "DetectorTimeoutError",
    "SpecError",
    "UnknownCategory",
    "VerifyError",
]


class CropdetError(Exception):
    """Base of every error this package raises on purpose."""

    def __str__(self) -> str:
        return str(visible(super().__str__()))


class DataError(CropdetError, ValueError):
    """A data set, an annotation or a picture cannot be used as it is."""


class DetectorError(CropdetError, ValueError):
    """A detector cannot be loaded, described or trusted as it is."""


class DetectorTimeoutError(DetectorError):
    """A call of the detector took longer than ``--cropdet-timeout`` allows."""


class VerifyError(CropdetError, ArithmeticError):
    """Our numbers and pycocotools' differ."""


class SpecError(CropdetError, ValueError):
    """A crop spec or an option's value does not say what it should."""


class UnknownCategory(SpecError, KeyError):  # noqa: N818  (as KeyError it is one, too)
    """A run has no category of this name."""

    def __str__(self) -> str:
        return str(visible(self.args[0])) if self.args else ""


class ClusterError(CropdetError, RuntimeError):
    """A cluster cannot be reached, or its workers cannot run the detector."""


class CannotTell(CropdetError):  # noqa: N818  (no error: there is nothing to judge)
    """An invariant cannot be judged; the text says why."""
