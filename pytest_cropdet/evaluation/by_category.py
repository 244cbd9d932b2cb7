"""Values by the names of categories, which say what names there are where one is mistyped."""

from typing import NoReturn, TypeVar

from pytest_cropdet.errors import UnknownCategory
from pytest_cropdet.terms import did_you_mean, one_line

__all__ = ["ByCategory"]

T = TypeVar("T")
NAMES_LISTED = 20


class ByCategory(dict[str, T]):
    """A dict by the names of categories; ``[name]`` of another is a ``KeyError`` that lists them.

    >>> ByCategory(red=0.1, blue=0.2)["rd"]
    Traceback (most recent call last):
    pytest_cropdet.errors.UnknownCategory: no category is called 'rd'; there are red, blue; did you mean red?
    """

    def __missing__(self, name: object) -> NoReturn:
        names = [one_line(each) for each in self]
        more = f" and {len(names) - NAMES_LISTED} more" if len(names) > NAMES_LISTED else ""
        there = f"there are {', '.join(names[:NAMES_LISTED])}{more}" if names else "there are none"
        raise UnknownCategory(f"no category is called {name!r}; {there}{did_you_mean(name, names)}")
