"""Pictures from files, decoded in one place and by one set of rules.

Whatever the file holds (grayscale, palette, 16 bits, alpha), what comes out is RGB uint8 of shape (height, width, 3):
16-bit values lose their low byte, alpha is left out without blending, and the EXIF orientation is applied, once.
"""

from pathlib import Path

import numpy as np

from pytest_cropdet.errors import DataError
from pytest_cropdet.samples import Image

__all__ = ["decode_image", "decoder_version", "read_image"]

_JPEG_START, _JPEG_END, _START_OF_SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA


def decoder_version() -> str:
    """Return what decodes pictures, with its version: part of every cache key."""
    import cv2

    return f"cv2 {cv2.__version__}"


def read_image(path: Path) -> Image:
    """Return the picture in ``path`` as RGB uint8 (height, width, 3); ``DataError`` names a file that has none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the image {path}: {error.strerror or error}") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> Image:
    """Return an encoded picture as RGB uint8 (height, width, 3); ``name`` is what an error calls it."""
    import cv2

    if not data:
        raise DataError(f"the image {name} is an empty file")
    if data.startswith(_JPEG_START) and _is_cut_off(data):
        raise DataError(f"the image {name} is cut off: a JPEG without its end ({len(data)} bytes)")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise DataError(f"cannot decode the image {name}: {error}") from error
    if pixels is None:
        raise DataError(f"cannot decode the image {name}: not a picture that OpenCV reads ({len(data)} bytes)")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _is_cut_off(jpeg: bytes) -> bool:
    """Whether a JPEG has no end behind its header; the header's own preview picture ends with the same two bytes."""
    place = len(_JPEG_START)
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF and jpeg[place + 1] != _START_OF_SCAN:
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
    return jpeg.find(_JPEG_END, place) < 0
