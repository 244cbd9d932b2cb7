"""The two seams that are open to users: anything with these methods is a detector or a data set."""

from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

from pytest_cropdet.data.samples import Sample

__all__ = ["Dataset"]


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
