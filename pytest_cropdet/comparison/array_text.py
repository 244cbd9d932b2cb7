"""Arrays as text in JSON: zlib in base64, with type and shape, beyond which nothing is unpacked."""

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["array_from_text", "array_to_text"]

TYPES = ("|b1", "|u1", "<u2", "<u4", "<i4", "<i8")
MOST = 1 << 31  # numbers of one array


def array_to_text(array: NDArray[Any]) -> dict[str, Any]:
    """Return an array of flags or whole numbers as built-in values, in the smallest type that holds them."""
    array = np.asarray(array)
    if array.dtype != bool:
        low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
        kinds = TYPES[1:4] if low >= 0 else TYPES[4:]
        kind = next(each for each in kinds if np.iinfo(each).min <= low and high <= np.iinfo(each).max)
        array = array.astype(kind)
    packed = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode("ascii")
    return {"type": array.dtype.str, "shape": list(array.shape), "zlib": packed}


def array_from_text(text: Mapping[str, Any]) -> NDArray[Any]:
    """Return the array that :func:`array_to_text` wrote; ``ValueError`` says what is wrong with it."""
    kind, shape = text["type"], text["shape"]
    if kind not in TYPES or not all(isinstance(side, int) and side >= 0 for side in shape) or len(shape) > 3:
        raise ValueError(f"an array has the type {kind!r} and the shape {shape!r}")
    size = int(np.prod(shape, dtype=object)) if shape else 1
    if size > MOST:
        raise ValueError(f"an array has {size} numbers")
    wanted = size * np.dtype(kind).itemsize
    try:
        unpack = zlib.decompressobj()
        content = unpack.decompress(base64.b64decode(text["zlib"], validate=True), wanted + 1)
    except (zlib.error, binascii.Error, TypeError) as error:
        raise ValueError(f"an array cannot be unpacked: {error}") from error
    if len(content) != wanted:
        raise ValueError(f"an array has {len(content)} bytes, not the {wanted} of its shape")
    if kind == "|b1" and any(content.translate(None, b"\x00\x01")):
        raise ValueError("an array of flags has other values than 0 and 1")
    found: NDArray[Any] = np.frombuffer(content, dtype=kind).reshape(shape)
    return found
