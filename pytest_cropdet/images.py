"""Pictures from files, decoded in one place and by one set of rules.

Whatever the file holds (grayscale, palette, 16 bits, alpha), what comes out is RGB uint8 of shape (height, width, 3):
16-bit values lose their low byte, alpha is left out without blending, and the EXIF orientation is applied, once.
"""

from pathlib import Path

import numpy as np

from pytest_cropdet.errors import DataError
from pytest_cropdet.samples import Image

__all__ = ["decode_image", "decoder_version", "read_image"]

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


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
    if data.startswith(_JPEG_START) and _JPEG_END not in data:
        raise DataError(f"the image {name} is cut off: a JPEG without its end ({len(data)} bytes)")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise DataError(f"cannot decode the image {name}: {error}") from error
    if pixels is None:
        raise DataError(f"cannot decode the image {name}: not a picture that OpenCV reads ({len(data)} bytes)")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)
