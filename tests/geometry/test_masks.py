"""Masks as run-length codes against masks as arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from pytest_cropdet.crops.strategies import crops
from pytest_cropdet.geometry.masks import Mask, window_mask
from tests.geometry.invariants import same
from tests.strategies import lengths

quick = settings(max_examples=50, deadline=None)


@st.composite
def pictures(draw, width=None, height=None):
    """A picture of up to 9 x 9 pixels, all of them off, on, or any."""
    width, height = width or draw(lengths), height or draw(lengths)
    bits = draw(st.integers(0, 2 ** (width * height) - 1))
    return np.array([bits >> place & 1 for place in range(width * height)], bool).reshape(height, width)


def box_of(pixels):
    y, x = np.nonzero(pixels)
    return [x.min(), y.min(), x.max() + 1, y.max() + 1] if x.size else [0, 0, 0, 0]


@given(pixels=pictures())
@quick
def test_a_mask_has_the_pixels_area_and_half_open_box_of_its_picture(pixels):
    mask = Mask.encode(pixels)
    same(mask.decode(), pixels)
    assert mask.area == pixels.sum()
    assert mask.box.tolist() == box_of(pixels)


@given(data=st.data())
@quick
def test_the_overlap_of_two_masks_is_where_both_pictures_are_set(data):
    width, height = data.draw(lengths), data.draw(lengths)
    first, second = data.draw(pictures(width, height)), data.draw(pictures(width, height))
    same(Mask.encode(first).overlap(Mask.encode(second)).decode(), first & second)


@given(data=st.data())
@quick
def test_a_cut_mask_is_the_mask_of_the_cut_picture(data):
    pixels = data.draw(pictures())
    crop = data.draw(crops(pixels.shape[1], pixels.shape[0]))
    cut = Mask.encode(pixels).cut(crop.left, crop.top, crop.width, crop.height)
    assert cut == Mask.encode(crop.of(pixels))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (4, 3), (1, 5), (5, 1)])
def test_the_mask_of_a_window_is_exact_wherever_the_window_lies(width, height):
    """Every window: full height, full width, one pixel, each corner."""
    for left in range(width):
        for right in range(left + 1, width + 1):
            for top in range(height):
                for bottom in range(top + 1, height + 1):
                    pixels = np.zeros((height, width), bool)
                    pixels[top:bottom, left:right] = True
                    mask = window_mask(height, width, left, top, right - left, bottom - top)
                    same(mask.decode(), pixels)
                    assert (mask.area, mask.box.tolist()) == (pixels.sum(), [left, top, right, bottom])


@given(pixels=pictures(), compressed=st.sampled_from(["str", "bytes", "runs"]))
@quick
def test_a_run_length_code_is_read_compressed_and_not(pixels, compressed):
    height, width = pixels.shape
    code = coco_mask.encode(np.asfortranarray(pixels, np.uint8))
    counts = code["counts"] if compressed == "bytes" else code["counts"].decode()
    if compressed == "runs":
        flat = [False, *pixels.T.ravel().tolist()]
        ends = [place for place in range(1, len(flat)) if flat[place] != flat[place - 1]]
        counts = np.diff([1, *ends, len(flat)]).tolist()
    mask = Mask.from_segmentation({"size": [height, width], "counts": counts}, height, width)
    same(mask.decode(), pixels)
    assert mask.area == pixels.sum()


def test_long_runs_and_shrinking_ones_are_decoded_as_they_were_written():
    """Runs of more than 31 pixels take several characters, and ones shorter than the last but one a sign."""
    runs = [100, 3, 4000, 70, 2, 1, 65, 900, 1, 15, 16, 17, 31, 32, 33, 0, 1]
    runs.append(100 * 70 - sum(runs))
    mask = Mask.from_segmentation({"size": [100, 70], "counts": runs}, 100, 70)
    expected = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(70, 100).T
    same(mask.decode(), expected)
    assert mask.area == sum(runs[1::2])


def test_polygons_are_filled_and_several_are_one_mask():
    mask = Mask.from_segmentation([[1, 1, 4, 1, 4, 3, 1, 3], [6, 0, 8, 0, 8, 2, 6, 2]], 5, 9)
    expected = np.zeros((5, 9), bool)
    expected[1:3, 1:4] = expected[0:2, 6:8] = True
    same(mask.decode(), expected)


def test_a_polygon_thinner_than_a_pixel_has_no_pixels():
    assert Mask.from_segmentation([[1, 1, 4, 1, 4, 1.1, 1, 1.1]], 5, 9).area == 0


@pytest.mark.parametrize(
    ("segmentation", "sentence"),
    [
        ({"size": [9, 5], "counts": [45]}, r"run-length code of size \[9, 5\], image is 5 x 9"),
        ({"counts": [45]}, "run-length code of size None"),
        ({"size": [5, 9], "counts": [44]}, "do not add up to 5 x 9 pixels"),
        ({"size": [5, 9], "counts": [50, -5]}, "do not add up to 5 x 9 pixels"),
        ({"size": [5, 9], "counts": "a1"}, "do not add up to 5 x 9 pixels"),
        ({"size": [5, 9], "counts": "m"}, "or is cut off"),
        ({"size": [5, 9], "counts": ""}, "or is cut off"),
        ({"size": [5, 9], "counts": "]1 no code"}, "characters that are none of its own"),
        ({"size": [5, 9], "counts": "oooooooooooooooooo1"}, "longer than any picture"),
        ({"size": [5, 9]}, "do not add up"),
        ([[1, 1, 4, 1]], "at least three points"),
        ([[1, 1, 4, 1, 4, 3, 1]], "at least three points"),
        ([1, 1, 4, 1, 4, 3], "at least three points"),
        ([[1, 1, 4, 1, 4, float("nan")]], "not finite"),
        ("polygon", "neither a list of polygons nor a run-length code"),
        ([], "neither a list of polygons nor a run-length code"),
    ],
)
def test_a_segmentation_that_is_none_is_refused(segmentation, sentence):
    with pytest.raises(ValueError, match=sentence):
        Mask.from_segmentation(segmentation, 5, 9)


def test_a_mask_is_made_of_a_picture_in_two_dimensions():
    with pytest.raises(ValueError, match=r"shape \(height, width\)"):
        Mask.encode(np.zeros((2, 2, 3)))


def test_a_masks_repr_is_code():
    mask = Mask.encode(np.eye(3))
    assert eval(repr(mask)) == mask
