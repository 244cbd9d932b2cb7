"""What the first bytes of an image file say, read before any decoder sees the file: format, size, depth, orientation.

Formats are known by their content, as OpenCV knows them. A file in a format that is not known here has no header.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["ANIMATION", "Header", "png_without_animation", "read_header", "unread_format"]

_PNG = b"\x89PNG\r\n\x1a\n"
ANIMATION = (b"acTL", b"fcTL", b"fdAT")  # chunks of an animated PNG beside those of its first frame
_JPEG = b"\xff\xd8"
_BARE = {0x01, *range(0xD0, 0xD9)}  # JPEG markers without a length
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _END, _APP1 = 0xDA, 0xD9, 0xE1
_ORIENTATION = 0x0112
_ENTRIES = 1000  # of a TIFF directory that are looked at


@dataclass(frozen=True, slots=True)
class Header:
    """The head of an image file: ``width`` and ``height`` as stored, ``bits`` a channel, EXIF ``orientation`` 1 to 8.

    ``cut``: the file lacks its end. ``animated``: it has more than one frame.
    """

    format: str
    width: int
    height: int
    bits: int = 8
    orientation: int = 1
    cut: bool = False
    animated: bool = False


def read_header(data: bytes) -> Header | None:
    """Return the header of an image file, ``None`` where the format is not known or the header itself is broken.

    >>> read_header(b"P5 640 480 255 ...")
    Header(format='PNM', width=640, height=480, bits=8, orientation=1, cut=False, animated=False)
    """
    for beginning, reader in _READERS:
        if beginning.match(data):
            try:
                return reader(data)
            except (struct.error, IndexError, ValueError, OverflowError):
                return None
    return None


def unread_format(data: bytes) -> str | None:
    """Return the name of an image format that is not read, by its first bytes; ``None`` for any other content.

    >>> unread_format(b"....ftypheic....")
    'HEIC'
    """
    for beginning, name in _UNREAD:
        if beginning.match(data):
            return name
    return None


def png_without_animation(data: bytes) -> bytes:
    """Return a PNG that has the default image of an animated one alone; the frames behind it are left out."""
    return _PNG + b"".join(chunk for kind, _, chunk in _chunks(data) if kind not in ANIMATION)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield kind, content and the whole of each chunk of a PNG, up to its end or to where it is broken."""
    place = len(_PNG)
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        end = place + 12 + length
        if end > len(data):
            return
        kind = data[place + 4 : place + 8]
        yield kind, data[place + 8 : end - 4], data[place:end]
        if kind == b"IEND":
            return
        place = end


def _png(data: bytes) -> Header:
    width, height, bits = struct.unpack(">IIB", data[16:25])
    orientation, animated, whole = 1, False, False
    for kind, content, _ in _chunks(data):
        if kind == b"eXIf":
            orientation = _exif(content)
        animated |= kind in ANIMATION
        whole = kind == b"IEND"
    return Header("PNG", width, height, bits, orientation, not whole, animated)


def _jpeg(data: bytes) -> Header:
    """Walk the markers up to the first scan; as libjpeg does, skip fill bytes (0xFF) and what is no marker."""
    width = height = 0
    bits, orientation, place = 8, 1, len(_JPEG)
    while 0 <= place < len(data) - 1:
        marker = data[place + 1]
        if data[place] != 0xFF or marker in (0x00, 0xFF):
            place = data.find(b"\xff", place + 1)
            continue
        if marker in _BARE:
            place += 2
            continue
        if marker in (_START_OF_SCAN, _END):
            break
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        content = data[place + 4 : place + 2 + length]
        if marker in _START_OF_FRAME:
            bits, height, width = struct.unpack(">BHH", content[:5])
        elif marker == _APP1 and content.startswith(b"Exif\0\0"):
            orientation = _exif(content[6:])
        place += 2 + length
    cut = place < 0 or data.rfind(bytes([0xFF, _END])) < place  # a preview in the header ends with the same two bytes
    return Header("JPEG", width, height, bits, orientation, cut)


def _exif(block: bytes) -> int:
    """Return the orientation in an EXIF block, 1 where it has none."""
    try:
        for tag, kind, _, value, order in _directory(block):
            if tag == _ORIENTATION and kind == 3:
                found: int = struct.unpack(f"{order}H", value[:2])[0]
                return found if 1 <= found <= 8 else 1
    except (struct.error, ValueError):
        pass
    return 1


def _directory(data: bytes) -> Iterator[tuple[int, int, int, bytes, str]]:
    """Yield tag, type, count, value field and byte order of each entry of the first directory of a TIFF."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        raise ValueError("neither of the two byte orders")
    large = struct.unpack(f"{order}H", data[2:4])[0] == 43
    start = struct.unpack(f"{order}Q", data[8:16])[0] if large else struct.unpack(f"{order}I", data[4:8])[0]
    head, entry = (8, "HHQ8s") if large else (2, "HHI4s")
    count = int.from_bytes(data[start : start + head], "little" if order == "<" else "big")
    size = struct.calcsize(f"{order}{entry}")
    for number in range(min(count, _ENTRIES)):
        tag, kind, many, value = struct.unpack_from(f"{order}{entry}", data, start + head + number * size)
        yield tag, kind, many, value, order


def _tiff(data: bytes) -> Header:
    numbers = {256: 0, 257: 0, 258: 8, _ORIENTATION: 1}
    for tag, kind, count, value, order in _directory(data):
        if tag not in numbers:
            continue
        letter = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind)
        if letter is None:
            continue
        width = struct.calcsize(f"{order}{letter}")
        if count * width > len(value):  # the values are elsewhere: one for each channel
            place, source = int.from_bytes(value, "little" if order == "<" else "big"), data
        else:
            place, source = 0, value
        numbers[tag] = struct.unpack(f"{order}{letter}", source[place : place + width])[0]
    return Header("TIFF", numbers[256], numbers[257], numbers[258], numbers[_ORIENTATION])


def _gif(data: bytes) -> Header:
    width, height = struct.unpack("<HH", data[6:10])
    return Header("GIF", width, height, animated=_frames(data) > 1)


def _frames(data: bytes) -> int:
    """Return how many frames a GIF has, up to where it is broken."""
    place = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    count = 0
    while place < len(data) and data[place] in (0x21, 0x2C):
        if data[place] == 0x2C:
            count += 1
            flags = data[place + 9] if place + 9 < len(data) else 0
            place += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        else:
            place += 2
        while place < len(data) and data[place]:
            place += data[place] + 1
        place += 1
    return count


def _bmp(data: bytes) -> Header:
    size = struct.unpack("<I", data[14:18])[0]
    width, height = struct.unpack("<HH", data[18:22]) if size == 12 else struct.unpack("<ii", data[18:26])
    return Header("BMP", abs(width), abs(height))


def _webp(data: bytes) -> Header:
    kind, body = data[12:16], data[20:30]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(body[at : at + 3], "little") for at in (4, 7))
        return Header("WebP", width, height, animated=bool(body[0] & 2))
    if kind == b"VP8L":
        word = int.from_bytes(body[1:5], "little")
        return Header("WebP", 1 + (word & 0x3FFF), 1 + (word >> 14 & 0x3FFF))
    width, height = struct.unpack("<HH", body[6:10])
    return Header("WebP", width & 0x3FFF, height & 0x3FFF)


def _pnm(data: bytes) -> Header:
    """Read the numbers of a PBM, PGM, PPM or PFM; PAM names them."""
    text = re.sub(rb"#[^\n]*", b"", data[:4096])
    if text.startswith(b"P7"):
        named = dict(re.findall(rb"(WIDTH|HEIGHT|MAXVAL)\s+(\d{1,9})", text))
        return Header("PNM", int(named[b"WIDTH"]), int(named[b"HEIGHT"]), 16 if int(named[b"MAXVAL"]) > 255 else 8)
    found = re.match(rb"P[1-6fF]\s+(\d{1,9})\s+(\d{1,9})(?:\s+(\d{1,9}))?", text)
    if found is None:
        raise ValueError("no size")
    deep = text[1:2] in b"2356" and found[3] is not None and int(found[3]) > 255
    return Header("PNM", int(found[1]), int(found[2]), 16 if deep else 8)


def _jpeg_2000(data: bytes) -> Header:
    at = data.find(b"ihdr", 0, 4096)
    if at >= 0:
        height, width, _, depth = struct.unpack(">IIHB", data[at + 4 : at + 15])
        return Header("JPEG 2000", width, height, (depth & 0x7F) + 1)
    right, bottom, left, top = struct.unpack(">IIII", data[8:24])
    return Header("JPEG 2000", right - left, bottom - top)


def _avif(data: bytes) -> Header:
    at = data.index(b"ispe", 0, 65536)
    width, height = struct.unpack(">II", data[at + 8 : at + 16])
    return Header("AVIF", width, height)


def _sun(data: bytes) -> Header:
    width, height = struct.unpack(">II", data[4:12])
    return Header("Sun raster", width, height)


def _radiance(data: bytes) -> Header:
    found = re.search(rb"\n[-+]Y (\d{1,9}) [-+]X (\d{1,9})\n", data[:65536])
    if found is None:
        raise ValueError("no size")
    return Header("Radiance HDR", int(found[2]), int(found[1]))


_READERS = tuple(
    (re.compile(beginning, re.DOTALL), reader)
    for beginning, reader in (
        (re.escape(_PNG), _png),
        (rb"\xff\xd8", _jpeg),
        (rb"GIF8", _gif),
        (rb"BM", _bmp),
        (rb"RIFF....WEBP", _webp),
        (rb"II[*+]\0|MM\0[*+]", _tiff),
        (rb"P[1-7fF]\s", _pnm),
        (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", _jpeg_2000),
        (rb"....ftyp(avi|(mif1|msf1).{0,60}avi)", _avif),
        (rb"\x59\xa6\x6a\x95", _sun),
        (rb"#\?R", _radiance),
    )
)
_UNREAD = tuple(
    (re.compile(beginning, re.DOTALL), name)
    for beginning, name in (
        (rb"....ftyp(heic|heix|heim|heis|hevc|hevx|(mif1|msf1)(?!.{0,60}avi))", "HEIC"),
        (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (rb"%PDF", "PDF"),
        (rb"8BPS", "a Photoshop file"),
        (rb"\s*<(\?xml[^>]*>\s*(<!--.{0,300}?-->\s*)?<)?svg", "SVG"),
        (rb"\s*<(!doctype )?html", "a web page"),
    )
)
