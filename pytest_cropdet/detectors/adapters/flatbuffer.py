"""Flatbuffers read with every offset checked: what points outside the file is an error, never a crash.

TFLite's runtimes check nothing, and a file that a broken download cut off ends their process.
"""

import struct
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

__all__ = ["DamagedError", "FlatTable", "read_flatbuffer"]

DEEPEST = 64  # tables inside tables, as the library's own verifier
MOST_TABLES = 1_000_000  # tables, as the library's own verifier
FlatTable = dict[str, Any]  # named fields that are there: numbers, texts, arrays, tables or lists of tables


class DamagedError(ValueError):
    """The file contradicts its own format; the text says where."""


class _Field(NamedTuple):
    slot: int
    name: str
    kind: str
    size: int  # bytes in the table


def read_flatbuffer(
    data: bytes, root: str, tables: Mapping[str, tuple[str, ...]], unions: Mapping[str, tuple[str, ...]]
) -> FlatTable:
    """Return the table ``root`` of a file with all that hangs on it; ``DamagedError`` says what points outside it.

    ``tables`` and ``unions`` are declared as in :mod:`~pytest_cropdet.detectors.adapters.tflite_schema`. Vectors of
    numbers are arrays over ``data``.
    """
    return _Reader(data, tables, unions).root(root)


class _Reader:
    def __init__(
        self, data: bytes, tables: Mapping[str, tuple[str, ...]], unions: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._data = data
        self._fields = {name: _fields(kinds) for name, kinds in tables.items()}
        self._unions = unions
        self._seen: dict[tuple[int, str], Any] = {}
        self._tables = 0

    def root(self, name: str) -> FlatTable:
        return self._table(self._target(0, name), name, 0)

    def _number(self, form: str, place: int, what: str) -> int:
        try:
            return int(struct.unpack_from(form, self._data, place)[0]) if place >= 0 else self._outside(what, place)
        except struct.error:
            return self._outside(what, place)

    def _outside(self, what: str, place: int) -> int:
        raise DamagedError(f"{what} is at byte {place:,} of a file of {len(self._data):,} bytes")

    def _target(self, place: int, what: str) -> int:
        distance = self._number("<I", place, what)
        if not distance:
            raise DamagedError(f"{what}, written at byte {place:,}, points at itself")
        return place + distance

    def _count(self, more: int, name: str, depth: int) -> None:
        self._tables += more
        if depth > DEEPEST or self._tables > MOST_TABLES:
            raise DamagedError(
                f"more than {DEEPEST} tables inside one another, or than {MOST_TABLES:,} in all, at {name}"
            )

    def _table(self, place: int, name: str, depth: int) -> FlatTable:
        if (place, name) in self._seen:
            known: FlatTable = self._seen[place, name]
            return known
        self._count(1, name, depth)
        form = place - self._number("<i", place, name)
        sizes = self._number("<H", form, name), self._number("<H", form + 2, name)
        if sizes[0] < 4 or sizes[0] % 2 or form + sizes[0] > len(self._data):
            self._outside(f"the form of {name}", form + sizes[0])
        if sizes[1] < 4 or place + sizes[1] > len(self._data):
            self._outside(f"the end of {name}", place + sizes[1])
        slots = struct.unpack_from(f"<{sizes[0] // 2 - 2}H", self._data, form + 4)
        found: FlatTable = {}
        self._seen[place, name] = found
        chosen = 0  # the member of the union that follows
        for field in self._fields[name]:
            within = slots[field.slot] if field.slot < len(slots) else 0
            if within and not 4 <= within <= sizes[1] - field.size:
                raise DamagedError(f"{name}.{field.name}, at byte {place + within:,}, lies outside of its table")
            value = self._value(place + within, field, f"{name}.{field.name}", depth, chosen) if within else None
            chosen = value if isinstance(value, int) else 0
            if value is not None:
                found[field.name] = value
        return found

    def _value(self, place: int, field: _Field, what: str, depth: int, chosen: int) -> Any:
        kind = field.kind
        if kind.startswith("<"):
            members = self._unions[kind[1:-1]]
            target = self._target(place, what)
            if not 1 <= chosen <= len(members):  # a newer member: that it is a table is all that is known
                self._number("<i", target, what)
                return None
            return self._table(target, members[chosen - 1], depth + 1)
        if kind.startswith("["):
            return self._vector(self._target(place, what), kind[1:-1], what, depth)
        if kind == "str":
            return self._text(self._target(place, what), what)
        if kind in self._fields:
            return self._table(self._target(place, what), kind, depth + 1)
        number = np.frombuffer(self._data, _dtype(kind), 1, place)[0]
        return number.item()

    def _vector(self, place: int, kind: str, what: str, depth: int) -> Any:
        count = self._number("<I", place, what)
        inside = kind in self._fields
        size = 4 if inside else _dtype(kind).itemsize
        if place + 4 + count * size > len(self._data):
            self._outside(f"the end of {what} ({count:,} of {size} bytes each)", place + 4 + count * size)
        if not inside:
            return np.frombuffer(self._data, _dtype(kind), count, place + 4)
        if (place, f"[{kind}]") not in self._seen:
            self._count(count, what, depth)
            starts = [self._target(place + 4 + 4 * number, what) for number in range(count)]
            self._seen[place, f"[{kind}]"] = [self._table(start, kind, depth + 1) for start in starts]
        return self._seen[place, f"[{kind}]"]

    def _text(self, place: int, what: str) -> str:
        end = place + 4 + self._number("<I", place, what)
        if end >= len(self._data) or self._data[end]:
            self._outside(f"the end of the text {what}", end)
        return self._data[place + 4 : end].decode("utf-8", "replace")


@cache
def _dtype(kind: str) -> np.dtype[Any]:
    return np.dtype(f"<{'u' if kind.isdigit() else ''}{kind}")


def _fields(kinds: tuple[str, ...]) -> list[_Field]:
    """Return the fields of a table that are declared; ``-`` is one that no file has any more."""
    found = []
    for slot, declared in enumerate(kinds):
        name, _, kind = declared.rpartition(":")
        number = kind.isdigit() or (len(kind) == 2 and kind[1].isdigit())
        if kind != "-":
            found.append(_Field(slot, name or f"field {slot}", kind, _dtype(kind).itemsize if number else 4))
    return found
