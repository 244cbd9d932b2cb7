"""The options of a custom operation, a FlexBuffers map of numbers, read with every offset checked."""

import struct
from typing import Any

from pytest_cropdet.detectors.adapters.flatbuffer import DamagedError

__all__ = ["read_map"]

INT, UINT, FLOAT, MAP, BOOL = 1, 2, 3, 9, 26
INDIRECT = {6: INT, 7: UINT, 8: FLOAT}  # a number that is kept elsewhere, to the kind of number
FORMS = {INT: "bhiq", UINT: "BHIQ", FLOAT: "?efd", BOOL: "BHIQ"}  # by kind, then by width 1, 2, 4, 8


def read_map(data: bytes) -> dict[str, Any]:
    r"""Return the numbers of a map by name; other values are left out. ``DamagedError`` says that it cannot be read.

    >>> read_map(b"num_classes\x00\x01\x0d\x01\x01\x01\x5a\x04\x02\x24\x01")
    {'num_classes': 90}
    """
    if len(data) < 3:
        raise DamagedError(f"the options of an operation are {len(data)} bytes long")
    kind, width, root_width = data[-2] >> 2, 1 << (data[-2] & 3), data[-1]
    if kind != MAP:
        raise DamagedError(f"the options of an operation are of kind {kind}, not a map")
    place = _back(data, len(data) - 2 - root_width, root_width)
    count = _unsigned(data, place - width, width)
    keys = _back(data, place - 3 * width, width)
    key_width = _unsigned(data, place - 2 * width, width)
    if place + count * (width + 1) > len(data):
        raise DamagedError(f"the options of an operation end after {len(data)} bytes, and {count} values are to follow")
    found = {}
    for number in range(count):
        name = _key(data, _back(data, keys + number * key_width, key_width))
        packed = data[place + count * width + number]
        value = _value(data, place + number * width, width, packed >> 2, 1 << (packed & 3))
        if value is not None:
            found[name] = value
    return found


def _value(data: bytes, place: int, width: int, kind: int, inner: int) -> Any:
    if kind in INDIRECT:
        kind, place, width = INDIRECT[kind], _back(data, place, width), inner
    if kind not in FORMS:
        return None
    value = _number(data, place, width, FORMS[kind])
    return bool(value) if kind == BOOL else value


def _back(data: bytes, place: int, width: int) -> int:
    """Return the place that the offset at ``place`` points at: offsets count backwards."""
    return place - _unsigned(data, place, width)


def _unsigned(data: bytes, place: int, width: int) -> int:
    return int(_number(data, place, width, FORMS[UINT]))


def _number(data: bytes, place: int, width: int, forms: str) -> Any:
    if width not in (1, 2, 4, 8) or not 0 <= place <= len(data) - width:
        raise DamagedError(f"the options of an operation point at byte {place} of {len(data)}")
    return struct.unpack_from("<" + forms[width.bit_length() - 1], data, place)[0]


def _key(data: bytes, place: int) -> str:
    end = data.find(b"\0", place) if 0 <= place < len(data) else -1
    if end < 0:
        raise DamagedError(f"the options of an operation have a name at byte {place} of {len(data)}")
    return data[place:end].decode("utf-8", "replace")
