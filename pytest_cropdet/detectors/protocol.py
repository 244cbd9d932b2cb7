"""What makes an object a detector."""

from collections.abc import Sequence
from typing import Protocol

from pytest_cropdet.data import Detections
from pytest_cropdet.geometry import Image

__all__ = ["Detector"]


class Detector(Protocol):
    """Anything that is called with RGB uint8 images of shape (height, width, 3) and answers one ``Detections`` each.

    An answer may also have the form of another library's, and ``input`` says that it takes images in another form; see
    ``docs/detectors.md``. These attributes are read where an object has them:

    - ``categories``: mapping of its category ids to names; with it, detector and data set are reconciled by name;
      without it, its ids are taken for the data set's.
    - ``batch``: the most images it takes in one call (1 without the attribute).
    - ``fingerprint``: a string that changes whenever its answers may change; without one nothing is cached.
    - ``input``: what it takes of an image, ``rgb`` without the attribute; see :func:`~pytest_cropdet.as_detector`.
    - ``max_detections``: the most rows it ever returns for an image.
    """

    def __call__(self, images: Sequence[Image], /) -> Sequence[Detections]:
        """Return the detections of each image, in pixels of that image, in the order of ``images``."""
        ...
