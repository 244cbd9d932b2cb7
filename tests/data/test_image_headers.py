"""Headers of image files: what they say is what the decoder finds, and it is believed before a pixel is decoded."""

from __future__ import annotations

import os
import struct
import time
import zlib

import cv2
import numpy as np
import pytest

from pytest_cropdet.data.image_headers import png_without_animation, read_header
from pytest_cropdet.data.images import decode_image, read_image
from pytest_cropdet.data.standard_error import listen
from pytest_cropdet.errors import DataError
from tests.data.pictures import encoded, quadrants, with_exif
from tests.geometry.invariants import same

PICTURE = quadrants(50, 34)
WRITTEN = (".png", ".jpg", ".gif", ".webp", ".bmp", ".tiff", ".ppm", ".pam", ".jp2", ".ras", ".hdr", ".avif")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def blank_png(width: int, height: int) -> bytes:
    """A grayscale PNG whose head promises more than its one row."""
    packed = zlib.compress(bytes(1 + width))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def animated_png(pixels: np.ndarray) -> bytes:
    """Two frames: the picture, and one that no decoder could read."""
    head, *rest = [(kind, content) for kind, content in parts(encoded(pixels))]
    height, width = pixels.shape[:2]
    frame = struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 10, 0, 0)
    first = [head, (b"acTL", struct.pack(">II", 2, 0)), (b"fcTL", frame), *rest[:-1]]
    second = [(b"fcTL", struct.pack(">I", 1) + frame[4:]), (b"fdAT", struct.pack(">I", 2) + b"not deflated"), rest[-1]]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in (*first, *second))


def parts(png: bytes):
    place = 8
    while place < len(png):
        length = int.from_bytes(png[place : place + 4], "big")
        yield png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        place += 12 + length


@pytest.mark.parametrize("ending", WRITTEN)
def test_size_and_depth_are_those_that_the_decoder_finds(ending):
    if not cv2.haveImageWriter(f"x{ending}"):
        pytest.skip(f"OpenCV writes no {ending} here")
    header = read_header(encoded(PICTURE, ending))
    assert (header.width, header.height, header.bits, header.cut) == (50, 34, 8, False)


@pytest.mark.parametrize("ending", [".png", ".tiff", ".pgm"])
def test_sixteen_bits_are_seen(ending):
    deep = np.arange(50 * 34, dtype=np.uint16).reshape(34, 50)
    header = read_header(encoded(deep, ending))
    assert (header.width, header.height, header.bits) == (50, 34, 16)


def test_lossless_and_extended_webp_and_an_old_bmp_have_sizes_too():
    lossless = encoded(PICTURE, ".webp", cv2.IMWRITE_WEBP_QUALITY, 101)
    assert (read_header(lossless).width, read_header(lossless).height) == (50, 34)
    flags = bytes([2, 0, 0, 0]) + (49).to_bytes(3, "little") + (33).to_bytes(3, "little")
    extended = read_header(b"RIFF" + bytes(4) + b"WEBPVP8X" + bytes(4) + flags)
    assert (extended.width, extended.height, extended.animated) == (50, 34, True)
    old = b"BM" + bytes(12) + struct.pack("<IHHHH", 12, 50, 34, 1, 24)
    assert (read_header(old).width, read_header(old).height) == (50, 34)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_orientation_of_a_jpeg_and_of_a_png(orientation):
    assert read_header(with_exif(encoded(PICTURE, ".jpg"), orientation)).orientation == orientation
    head, *rest = parts(encoded(PICTURE))
    block = b"MM\0*" + struct.pack(">IH HHI HH", 8, 1, 0x0112, 3, 1, orientation, 0)
    png = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in (head, (b"eXIf", block), *rest))
    assert read_header(png).orientation == orientation


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"P6 x", b"RIFF"])
def test_what_has_no_header_has_none(data):
    assert read_header(data) is None


def test_a_small_file_of_a_huge_picture_is_refused_before_it_is_decoded(monkeypatch):
    data = blank_png(20_000, 20_000)
    assert len(data) < 1 << 20
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    begun = time.perf_counter()
    with pytest.raises(DataError, match=r"a\.png is 20000 x 20000 pixels, its annotation says 60 x 40$"):
        decode_image(data, "a.png", (60, 40))
    with pytest.raises(DataError, match=r"a\.png is 20,000 x 20,000 pixels; at most 268,435,456 pixels are decoded"):
        decode_image(data, "a.png")
    assert time.perf_counter() - begun < 1


@pytest.mark.parametrize("ending", [".jpg", ".gif", ".webp", ".bmp", ".tiff", ".ppm", ".jp2"])
def test_a_picture_of_another_size_is_refused_before_it_is_decoded(ending, monkeypatch):
    if not cv2.haveImageWriter(f"x{ending}"):
        pytest.skip(f"OpenCV writes no {ending} here")
    data = encoded(PICTURE, ending)
    assert decode_image(data, "a", (50, 34)).shape == (34, 50, 3)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(DataError, match="is 50 x 34 pixels, its annotation says 51 x 34"):
        decode_image(data, "a", (51, 34))


@pytest.mark.parametrize("place", [2, "frame", "scan"])
def test_fill_bytes_before_a_marker_are_no_damage(place):
    data = encoded(PICTURE, ".jpg")
    at = place if place == 2 else data.index(b"\xff\xc0" if place == "frame" else b"\xff\xda")
    filled = data[:at] + b"\xff\xff\xff" + data[at:]
    found = []
    same(decode_image(filled, "a.jpg", (50, 34), lambda *each: found.append(each)), decode_image(data, "a.jpg"))
    assert found == []
    with pytest.raises(DataError, match="cut off: a JPEG without its end"):
        decode_image(filled[:-40], "a.jpg")


def test_bytes_between_markers_do_not_hide_the_size():
    data = encoded(PICTURE, ".jpg")
    at = data.index(b"\xff\xc0")
    assert read_header(data[:at] + b"\x00\x07\xff\x00" + data[at:]).width == 50


# Animated PNG


def test_of_an_animated_png_the_decoder_sees_the_first_frame_alone(monkeypatch):
    data, seen, found = animated_png(PICTURE), [], []
    decode = cv2.imdecode
    monkeypatch.setattr(cv2, "imdecode", lambda array, flags: seen.append(array.tobytes()) or decode(array, flags))
    same(decode_image(data, "a.png", note=lambda *each: found.append(each)), PICTURE)
    assert found == [("animated", "")]
    assert not any(word in each for each in seen for word in (b"acTL", b"fcTL", b"fdAT"))
    assert read_header(data).animated
    assert not read_header(png_without_animation(data)).animated


def test_an_animated_png_that_is_cut_off_is_refused():
    data = animated_png(PICTURE)
    for length in (len(data) - 12, len(data) - 30, 60):
        with pytest.raises(DataError, match=r"a\.png is cut off: a PNG without its end"):
            decode_image(data[:length], "a.png")


# What the pixels do not show


def notes(data: bytes, size: tuple[int, int] | None = None) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    decode_image(data, "a", size, lambda kind, detail: found.append((kind, detail)))
    return found


@pytest.mark.parametrize(
    ("orientation", "width", "noted"),
    [(1, 50, False), (2, 50, True), (3, 50, True), (4, 50, True), (6, 50, False), (6, 34, True), (8, 34, True)],
)
def test_an_orientation_is_noted_where_the_size_does_not_show_it(orientation, width, noted):
    data = with_exif(encoded(quadrants(width, 34), ".jpg"), orientation)
    assert notes(data) == ([("exif", f"orientation {orientation}")] if noted else [])


@pytest.mark.parametrize("ending", [".png", ".tiff"])
@pytest.mark.parametrize(("highest", "noted"), [(255, True), (4095, True), (4096, False), (65535, False), (0, False)])
def test_sixteen_bits_of_which_only_the_lowest_are_used(ending, highest, noted):
    deep = np.zeros((34, 50), np.uint16)
    deep[3, 4] = highest
    assert notes(encoded(deep, ending)) == ([("dark_16_bit", f"highest value {highest}")] if noted else [])


def test_a_jpeg_cut_short_that_ends_properly_and_one_damaged_in_the_middle_are_noted(capfd):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encoded(cv2.GaussianBlur(noise, (0, 0), 1), ".jpg")
    assert notes(data) == []
    middle = len(data) * 2 // 3
    for broken in (data[:middle] + b"\xff\xd9", data[:middle] + bytes(40) + data[middle + 40 :]):
        (kind, detail), *more = notes(broken)
        assert (kind, more) == ("jpeg_damaged", [])
        assert detail.startswith(("Corrupt JPEG data", "Premature end"))
    assert capfd.readouterr().err == ""


def test_what_others_write_to_standard_error_meanwhile_is_let_through(capfd):
    def both() -> int:
        os.write(2, b"of somebody else\nCorrupt JPEG data: 3 bytes\n")
        return 7

    assert listen(both, lambda line: line.startswith(b"Corrupt")) == (7, ["Corrupt JPEG data: 3 bytes"])
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "of somebody else\nlater\n"


def test_a_standard_error_that_was_replaced_meanwhile_stays_replaced(tmp_path):
    kept = os.dup(2)
    try:
        with (tmp_path / "theirs").open("wb") as theirs:
            assert listen(lambda: os.dup2(theirs.fileno(), 2), lambda line: True)[1] == []
            os.write(2, b"to the new one")
        assert (tmp_path / "theirs").read_bytes() == b"to the new one"
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def test_an_error_of_the_decoder_leaves_standard_error_as_it_was(capfd):
    with pytest.raises(ZeroDivisionError):
        listen(lambda: 1 / 0, lambda line: True)
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_a_pipe_in_place_of_an_image_is_refused(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match="it is a named pipe; only regular files are read"):
        read_image(tmp_path / "a.png")
