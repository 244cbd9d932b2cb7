"""The two seams that are open to users: anything with these methods is a detector or a data set."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from pytest_cropdet.data.samples import Detections, Image, Sample

__all__ = ["Dataset", "Detector"]


class Detector(Protocol):
    """Anything that is called with RGB uint8 images of shape (height, width, 3) and answers one ``Detections`` each.

    These attributes are read where an object has them:

    - ``categories``: mapping of its category ids to names; with it, detector and data set are reconciled by name;
      without it, its ids are taken for the data set's.
    - ``batch``: the most images it takes in one call (1 without the attribute).
    - ``fingerprint``: a string that changes whenever its answers may change; without one nothing is cached.
    - ``max_detections``: the most rows it ever returns for an image.
    """

    def __call__(self, images: Sequence[Image], /) -> Sequence[Detections]:
        """Return the detections of each image, in pixels of that image, in the order of ``images``."""
        ...


@runtime_checkable
class Dataset(Protocol):
    """A sequence of samples whose order never changes, and the names of their categories."""

    @property
    def name(self) -> str:
        """What messages call it: a path, or the name of a set."""
        ...

    @property
    def categories(self) -> Mapping[int, str]:
        """Names by category id."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...

    def __iter__(self) -> Iterator[Sample]: ...
