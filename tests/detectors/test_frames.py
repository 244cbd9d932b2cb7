"""How an image gets into a model's input, and boxes out of it again."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet.detectors.resize import Frame, fit, scale_values
from tests.geometry.invariants import same
from tests.painted import find, paint

SIZES = [(64, 48), (61, 83), (127, 40), (200, 151), (33, 32), (48, 64)]
INPUTS = [(64, 64), (96, 48)]


def painted(width, height):
    """A third of each side: left top, in the middle, and touching the right bottom corner."""
    w, h = width // 3, height // 3
    return {1: (0, 0, w, h), 2: (w, h, 2 * w, 2 * h), 3: (width - w, height - h, width, height)}


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float16])
@pytest.mark.parametrize("resize", ["stretch", "letterbox", "keep_aspect"])
@pytest.mark.parametrize("given", INPUTS)
@pytest.mark.parametrize("size", SIZES)
def test_what_is_found_in_the_input_comes_back_to_the_image_within_an_input_pixel(size, given, resize, dtype):
    objects = painted(*size)
    prepared = fit(paint(*size, objects), resize, *given, dtype)
    assert (prepared.pixels.shape, prepared.pixels.dtype) == ((given[1], given[0], 3), dtype)
    found = find(prepared.pixels)
    assert found.categories.tolist() == [1, 2, 3]
    error = prepared.frame.to_image(found.boxes) - np.array([*objects.values()])
    assert (np.abs(error) * np.tile(prepared.frame.scale, 2) <= 1 + 1e-9).all()


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "keep_aspect"])
@pytest.mark.parametrize("size", SIZES)
def test_the_frame_says_exactly_where_the_image_lies(size, resize):
    white = np.full((size[1], size[0], 3), 255, np.uint8)
    prepared = fit(white, resize, 96, 48, np.uint8)
    y, x = np.nonzero(prepared.pixels[:, :, 0])
    lies = np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], float)
    assert (prepared.pixels[y.min() : y.max() + 1, x.min() : x.max() + 1] == 255).all()
    np.testing.assert_allclose(prepared.frame.to_image(lies), [[0, 0, *size]], rtol=1e-15)


def lies_at(size, resize):
    prepared = fit(np.full((size[1], size[0], 3), 255, np.uint8), resize, 96, 48, np.uint8)
    y, x = np.nonzero(prepared.pixels[:, :, 0])
    return x.min(), y.min(), x.max() + 1, y.max() + 1


def test_stretch_fills_letterbox_centres_and_keep_aspect_starts_at_the_left_top():
    assert [lies_at((60, 60), way) for way in ("stretch", "letterbox", "keep_aspect")] == [
        (0, 0, 96, 48),
        (24, 0, 72, 48),
        (0, 0, 48, 48),
    ]
    assert lies_at((200, 20), "letterbox") == (0, 19, 96, 29)
    assert lies_at((200, 20), "keep_aspect") == (0, 0, 96, 10)


def test_an_image_too_thin_to_show_still_gets_a_pixel():
    assert lies_at((1000, 2), "keep_aspect") == (0, 0, 96, 1)


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "keep_aspect"])
def test_an_image_of_the_inputs_size_goes_in_as_it_is(resize):
    noise = np.random.default_rng(0).integers(0, 256, (48, 96, 3), dtype=np.uint8)
    prepared = fit(noise, resize, 96, 48, np.uint8)
    same(prepared.pixels, noise)
    assert prepared.frame == Frame(96, 48, 96, 48)


def test_a_frame_undoes_offset_and_scale_in_that_order():
    frame = Frame(200, 100, 64, 64, (0.5, 0.25), (8, 4))
    same(frame.to_image(np.array([[8.0, 4.0, 58.0, 29.0]])), np.array([[0.0, 0.0, 100.0, 100.0]]))
    same(frame.from_normalized(np.array([[0.125, 0.0625, 1.0, 1.0]])), np.array([[0.0, 0.0, 112.0, 240.0]]))
    assert frame.to_image(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    ("name", "expected"), [("0..255", [0, 51, 255]), ("0..1", [0, 0.2, 1]), ("-1..1", [-1, -0.6, 1])]
)
def test_values_are_brought_to_the_models_range_in_its_type(name, expected, dtype):
    values = scale_values(np.array([0, 51, 255], dtype), name)
    assert values.dtype == dtype
    np.testing.assert_allclose(values, expected, atol=1e-3)


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_a_window_of_an_image_and_its_channels_turned_around_go_in_like_copies(resize):
    """Views: what a crop and a change of channels hand over is not contiguous."""
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    view = noise[3:40, 5:60, ::-1]
    same(fit(view, resize, 64, 64, np.uint8).pixels, fit(view.copy(), resize, 64, 64, np.uint8).pixels)
