"""Large JSON files, written piece by piece: a list in them is made while it is written, and never there as a whole."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from pytest_cropdet.files import write_whole
from pytest_cropdet.terms import encodable

__all__ = ["Rows", "write_json"]

Rows = Callable[[], Iterable[dict[str, Any]]]
ROWS_AT_ONCE = 1000


def write_json(path: Path, content: Mapping[str, Any] | Rows) -> None:
    """Write a list, or an object, whole or not at all; ``Rows``, also as values of the object, become lists.

    Rows are written as they are, so their texts must be :func:`~pytest_cropdet.terms.encodable`.
    """
    write_whole(path, lambda: (piece.encode("ascii") for piece in _pieces(content)))


def _pieces(content: Mapping[str, Any] | Rows) -> Iterator[str]:
    if callable(content):
        yield from _list(content())
        return
    yield "{"
    for place, (key, value) in enumerate(content.items()):
        yield f"{', ' if place else ''}{json.dumps(encodable(key))}: "
        if callable(value):
            yield from _list(value())
        else:
            yield json.dumps(encodable(value), allow_nan=False)
    yield "}"


def _list(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    left, before = iter(rows), "["
    while some := list(islice(left, ROWS_AT_ONCE)):
        yield before + json.dumps(some, allow_nan=False)[1:-1]
        before = ", "
    yield "]" if before == ", " else "[]"
