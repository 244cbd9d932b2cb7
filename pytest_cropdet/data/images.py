"""Pictures from files, decoded in one place and by one set of rules.

Whatever the file holds (grayscale, palette, 16 bits, alpha), what comes out is RGB uint8 of shape (height, width, 3):
16-bit values lose their low byte, alpha is left out without blending, and the EXIF orientation is applied, once. The
size is read from the file's header before a pixel is decoded.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pytest_cropdet.data.image_headers import ANIMATION, Header, png_without_animation, read_header, unread_format
from pytest_cropdet.data.standard_error import listen
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import read_file
from pytest_cropdet.geometry import Image

__all__ = [
    "LARGEST_UNCHECKED_IMAGE",
    "LARGEST_UNSIZED_IMAGE",
    "check_size",
    "decode_image",
    "decoder_version",
    "read_image",
]

LARGEST_UNSIZED_IMAGE = 1 << 28  # of an image whose size no annotation states: 0.8 GB of RGB
LARGEST_UNCHECKED_IMAGE = 1 << 26  # annotated ones larger than that are compared with their files when a set is opened
LARGEST_IMAGE = 1 << 30  # of any image: OpenCV decodes no larger ones
Note = Callable[[str, str], None]

_DAMAGE = (b"Corrupt JPEG data", b"Premature end of JPEG", b"Inconsistent progression", b"Invalid SOS", b"Warning: ")
_HARMLESS = (b"Invalid SOS", b"Warning: ")  # what libjpeg says of files that are only unusual
_LOW_12_BITS = 4096


def decoder_version() -> str:
    """Return what decodes pictures, with its version: part of every cache key."""
    import cv2

    return f"cv2 {cv2.__version__}"


def read_image(path: Path, size: tuple[int, int] | None = None, note: Note | None = None) -> Image:
    """Return the picture in ``path`` as RGB uint8 (height, width, 3); ``DataError`` names a file that has none.

    ``size``: the width and height it must have, as shown; ``note``: gets the kind of each oddity and a detail of it.
    """
    return decode_image(read_file(path, "the image"), str(path), size, note)


def decode_image(data: bytes, name: str, size: tuple[int, int] | None = None, note: Note | None = None) -> Image:
    """Return an encoded picture as RGB uint8 (height, width, 3); ``name`` is what an error calls it.

    ``size`` and ``note``: as of :func:`read_image`.
    """
    if not data:
        raise DataError(f"the image {name} is an empty file")
    header = read_header(data)
    _check_header(header, data, name, size)
    if header is not None and header.format == "PNG" and any(kind in data for kind in ANIMATION):
        data = png_without_animation(data)
    pixels, damage = _decoded(data, name, header)
    if size is not None and pixels.shape[:2] != size[::-1]:
        turned = pixels.shape[:2] == size
        raise DataError(_wrong_size(name, (pixels.shape[1], pixels.shape[0]), size, turned))
    if note is not None:
        if damage:
            note("jpeg_damaged", damage)
        if header is not None:
            _note_header(header, data, note)
    return pixels


def check_size(data: bytes, name: str, size: tuple[int, int]) -> None:
    """Raise ``DataError`` if the head of an encoded image shows that it cannot be of the annotated size."""
    _check_header(read_header(data), data, name, size)


def _check_header(header: Header | None, data: bytes, name: str, size: tuple[int, int] | None) -> None:
    """Refuse, before anything is decoded, what lacks its end, is too large, or is not of the annotated size."""
    other = unread_format(data)
    if other is not None:
        raise DataError(f"cannot decode the image {name}: it is {other}, which is not read; convert it to PNG or JPEG")
    if header is None:
        raise DataError(f"cannot decode the image {name}: not a picture that OpenCV reads ({len(data)} bytes)")
    if header.cut:
        raise DataError(f"the image {name} is cut off: a {header.format} without its end ({len(data)} bytes)")
    if min(header.width, header.height) < 1:
        raise DataError(f"cannot decode the image {name}: the header of the {header.format} states no size")
    limit = LARGEST_UNSIZED_IMAGE if size is None else LARGEST_IMAGE
    if header.width * header.height > limit:
        raise DataError(
            f"the image {name} is {header.width:,} x {header.height:,} pixels; at most {limit:,} pixels are decoded"
        )
    stored = (header.width, header.height)
    if size is not None and stored not in (size, size[::-1]):
        raise DataError(_wrong_size(name, stored, size, False))


def _wrong_size(name: str, found: tuple[int, int], size: tuple[int, int], turned: bool) -> str:
    hint = " (its EXIF orientation turns it; annotate it as it is shown, or remove the orientation)" if turned else ""
    return f"the image {name} is {found[0]} x {found[1]} pixels, its annotation says {size[0]} x {size[1]}{hint}"


def _decoded(data: bytes, name: str, header: Header | None) -> tuple[Image, str]:
    """Return the pixels, and what libjpeg says of damage, which it writes to standard error alone."""
    import cv2

    def decode() -> Any:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

    lines: list[str] = []
    try:
        if header is not None and header.format == "JPEG":
            pixels, lines = listen(decode, lambda line: line.startswith(_DAMAGE))
        else:
            pixels = decode()
    except (cv2.error, MemoryError) as error:
        raise DataError(f"cannot decode the image {name}: {error}") from error
    if pixels is None:
        raise DataError(f"cannot decode the image {name}: not a picture that OpenCV reads ({len(data)} bytes)")
    damage = [line for line in lines if not line.encode().startswith(_HARMLESS)]
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8), damage[0] if damage else ""


def _note_header(header: Header, data: bytes, note: Note) -> None:
    """Note what the pixels do not show: an orientation without trace, depth that is not used, more frames."""
    if header.animated:
        note("animated", "")
    if header.orientation in (2, 3, 4) or (header.orientation > 4 and header.width == header.height):
        note("exif", f"orientation {header.orientation}")
    if 8 < header.bits <= 16:
        import cv2

        deep = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
        if deep is not None and deep.dtype == np.uint16 and 0 < int(deep.max()) < _LOW_12_BITS:
            note("dark_16_bit", f"highest value {int(deep.max())}")
