"""Which data set is the configured one: strategies ask when they draw, whoever runs the test answers.

The plugin answers for the length of a test; nothing here knows pytest or a data set.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_cropdet.errors import SpecError

if TYPE_CHECKING:
    from pytest_cropdet.data.dataset import Dataset

__all__ = ["answering", "configured_dataset"]

_resolvers: list[Callable[[], "Dataset"]] = []


@contextmanager
def answering(resolver: Callable[[], "Dataset"]) -> Iterator[None]:
    """Let ``resolver`` say which data set is configured while the context lasts; the innermost one is asked."""
    _resolvers.append(resolver)
    try:
        yield
    finally:
        _resolvers.remove(resolver)


def configured_dataset() -> "Dataset":
    """Return the data set of the running test; ``SpecError`` says what to configure where there is none."""
    if not _resolvers:
        raise SpecError(
            "crops_of() without a data set takes the configured one, which only a test that pytest runs has: "
            "write crops_of(dataset), for example with load_dataset('instances.json')"
        )
    return _resolvers[-1]()
