"""Every kind of picture file becomes RGB uint8, and what is none is named."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pytest_cropdet.data.images import decode_image, decoder_version, read_image
from pytest_cropdet.errors import DataError
from tests.data.pictures import encoded, palette_png, quadrants, with_exif
from tests.geometry.invariants import same

PICTURE = quadrants()
GRAY = np.arange(32 * 48, dtype=np.uint16).reshape(32, 48)


def test_colours_come_out_as_red_green_blue():
    same(decode_image(encoded(PICTURE), "x"), PICTURE)


def test_grayscale_has_three_equal_channels():
    gray = (GRAY % 256).astype(np.uint8)
    same(decode_image(encoded(gray), "x"), np.dstack([gray] * 3))


def test_a_16_bit_picture_loses_its_low_byte():
    gray = GRAY * 40
    assert gray.max() > 60_000
    same(decode_image(encoded(gray), "x"), np.dstack([(gray >> 8).astype(np.uint8)] * 3))
    colour = np.dstack([gray, gray[::-1], gray[:, ::-1]])
    same(decode_image(encoded(colour), "x"), (colour >> 8).astype(np.uint8))


def test_alpha_is_left_out_without_blending():
    transparent = np.dstack([PICTURE, np.tile(np.arange(48, dtype=np.uint8) * 5, (32, 1))])
    same(decode_image(encoded(transparent), "x"), PICTURE)


@pytest.mark.parametrize("transparent", [None, 1])
def test_a_palette_is_looked_up(transparent):
    palette = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    indices = GRAY % 3
    same(decode_image(palette_png(indices, palette, transparent), "x"), np.array(palette, np.uint8)[indices])


TURNS = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_the_exif_orientation_is_applied_once(orientation):
    shown = decode_image(with_exif(encoded(PICTURE, ".jpg"), orientation), "x")
    turned = TURNS[orientation](PICTURE)
    assert shown.shape == turned.shape
    middle = np.s_[4:-4:8, 4:-4:8]  # away from the edges between colours, where JPEG rings
    np.testing.assert_allclose(shown[middle].astype(int), turned[middle].astype(int), atol=30)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_jpeg_is_named(share):
    data = encoded(PICTURE, ".jpg")
    with pytest.raises(DataError, match=r"the image a\.jpg is cut off: a JPEG without its end"):
        decode_image(data[: int(len(data) * share)], "a.jpg")


def test_a_truncated_jpeg_is_named_though_its_preview_is_whole():
    preview = encoded(PICTURE[::2, ::2], ".jpg")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = with_exif(encoded(noise, ".jpg"), 1, preview)
    assert decode_image(data, "a.jpg").shape == noise.shape
    for length in (300, len(data) // 2, len(data) - 2):
        with pytest.raises(DataError, match=r"the image a\.jpg is cut off"):
            decode_image(data[:length], "a.jpg")


def test_a_jpeg_with_something_behind_its_end_is_read():
    data = encoded(PICTURE, ".jpg")
    same(decode_image(data + b"\0" * 100, "x"), decode_image(data, "x"))


def test_a_truncated_png_is_named():
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encoded(noise)
    for length in (len(data) // 2, len(data) - 30):
        with pytest.raises(DataError, match=r"the image a\.png"):
            decode_image(data[:length], "a.png")


def test_an_empty_file_and_one_that_is_no_picture_are_named():
    with pytest.raises(DataError, match=r"the image a\.png is an empty file"):
        decode_image(b"", "a.png")
    with pytest.raises(DataError, match=r"cannot decode the image a\.png: not a picture that OpenCV reads \(9 bytes\)"):
        decode_image(b"not a png", "a.png")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read the image .*missing\.png: No such file"):
        read_image(tmp_path / "missing.png")
    with pytest.raises(DataError, match=r"cannot read the image .*: it is a folder; only regular files are read"):
        read_image(tmp_path)


def test_a_picture_is_read_from_a_path_of_any_name(tmp_path):
    path = tmp_path / "kühe auf der weide 1.png"
    path.write_bytes(encoded(PICTURE))
    same(read_image(path), PICTURE)


def test_the_decoder_is_named_with_its_version():
    assert decoder_version() == f"cv2 {cv2.__version__}"
