"""Interpolation: the same numbers as the libraries that people prepare images with."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cropdet.detectors.interpolation import interpolate, triangle_weights

SIZES = [(64, 48), (61, 83), (33, 32), (7, 200)]
CLOSE = 0.01  # of 255: both compute in float32
INTO = [(32, 32), (61, 20), (17, 90), (130, 131), (1, 1)]


def noise(width: int, height: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.usefixtures("needs_tensorflow")
def test_antialiased_is_tensorflows():
    import tensorflow as tf

    for size in SIZES:
        for wide, high in INTO:
            image = noise(*size).astype(np.float32)
            theirs = tf.image.resize(image, [high, wide], antialias=True).numpy()
            np.testing.assert_allclose(interpolate(image, wide, high, "antialiased"), theirs, atol=CLOSE)


@pytest.mark.usefixtures("needs_tensorflow")
def test_bilinear_is_tensorflows_without_antialiasing():
    import tensorflow as tf

    for size in SIZES:
        for wide, high in INTO:
            image = noise(*size).astype(np.float32)
            theirs = tf.image.resize(image, [high, wide]).numpy()
            np.testing.assert_allclose(interpolate(image, wide, high, "bilinear"), theirs, atol=CLOSE)


@pytest.mark.parametrize("into", INTO)
@pytest.mark.parametrize("size", SIZES)
def test_antialiased_is_pillows(size, into):
    """Pillow rounds to 8 bits after each axis, here it is done once; its image of floats is not rounded."""
    pillow = pytest.importorskip("PIL.Image")
    image = noise(*size)
    theirs = np.asarray(pillow.fromarray(image).resize(into, pillow.BILINEAR), np.int64)
    assert np.abs(interpolate(image, *into, "antialiased") - theirs).max() <= 1
    channel = pillow.fromarray(image[:, :, 1].astype(np.float32)).resize(into, pillow.BILINEAR)
    ours = interpolate(image.astype(np.float32), *into, "antialiased")[:, :, 1]
    np.testing.assert_allclose(ours, np.asarray(channel), atol=CLOSE)


@pytest.mark.parametrize(("name", "how"), [("bilinear", cv2.INTER_LINEAR), ("area", cv2.INTER_AREA)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_others_are_opencvs(name, how, dtype):
    image = noise(61, 83).astype(dtype)
    theirs = cv2.resize(image, (30, 40), interpolation=how)
    assert interpolate(image, 30, 40, name).tobytes() == theirs.tobytes()


def test_area_is_the_mean_of_what_a_pixel_covers():
    image = noise(60, 40).astype(np.float32)
    np.testing.assert_allclose(
        interpolate(image, 15, 10, "area"), image.reshape(10, 4, 15, 4, 3).mean(axis=(1, 3)), atol=1e-3
    )


@pytest.mark.parametrize(("width", "height"), [(15, 90), (200, 10)])
def test_area_is_a_mean_on_the_side_that_shrinks_where_the_other_grows(width, height):
    image = noise(60, 40).astype(np.float32)
    mixed = interpolate(image, width, height, "area")
    image = image.reshape(40, 15, 4, 3).mean(axis=2) if width < 60 else image.reshape(10, 4, 60, 3).mean(axis=1)
    theirs = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(mixed, theirs, atol=1e-3)


def test_area_is_bilinear_where_both_sides_grow():
    image = noise(61, 83)
    assert interpolate(image, 90, 100, "area").tobytes() == interpolate(image, 90, 100, "bilinear").tobytes()


def test_antialiasing_keeps_what_a_plain_bilinear_skips():
    """Every fourth column is white: a quarter of the light, of which samples between them see none."""
    image = np.zeros((8, 256, 3), np.uint8)
    image[:, ::4] = 255
    assert interpolate(image, 64, 8, "bilinear")[:, 1:-1].max() == 0
    assert np.abs(interpolate(image, 64, 8, "antialiased")[:, 1:-1].astype(int) - 64).max() <= 1
    assert np.abs(interpolate(image, 64, 8, "area")[:, 1:-1].astype(int) - 64).max() <= 1


@given(size=st.integers(1, 300), count=st.integers(1, 300))
def test_weights_are_shares_of_pixels_that_exist_and_centred(size, count):
    first, weights = triangle_weights(size, count)
    place = first[:, None] + np.arange(weights.shape[1])
    assert (weights >= 0).all()
    assert not weights[(place >= size) | (place < 0)].any()
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    mirrored = np.zeros((count, size))
    np.add.at(mirrored, (np.arange(count)[:, None], np.minimum(place, size - 1)), weights)
    np.testing.assert_allclose(mirrored, mirrored[::-1, ::-1], atol=1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_flat_image_stays_flat_and_its_type(dtype):
    image = np.full((50, 70, 3), 255, dtype)
    for name in ("bilinear", "antialiased", "area"):
        small = interpolate(image, 13, 31, name)
        assert small.dtype == dtype
        assert small.flags.c_contiguous
        np.testing.assert_allclose(small, 255, rtol=1e-6)
