"""Large JSON files, written piece by piece: a list in them is made while it is written, and never there as a whole."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from pytest_cropdet.files import write_whole
from pytest_cropdet.terms import encodable

__all__ = ["JsonRows", "write_large_json"]

JsonRows = Callable[[], Iterable[dict[str, Any]]]
ROWS_A_PIECE = 1000


def write_large_json(path: Path, content: Mapping[str, Any] | JsonRows) -> None:
    """Write a list, or an object, whole or not at all; ``JsonRows``, also as values of the object, become lists.

    JsonRows are written as they are, so their texts must be :func:`~pytest_cropdet.terms.encodable`.
    """
    write_whole(path, lambda: (piece.encode("ascii") for piece in _pieces(content)))


def _pieces(content: Mapping[str, Any] | JsonRows) -> Iterator[str]:
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
    while some := list(islice(left, ROWS_A_PIECE)):
        yield before + json.dumps(some, allow_nan=False)[1:-1]
        before = ", "
    yield "]" if before == ", " else "[]"
