"""The pictures of the chain: which pixels each keeps, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cropdet.causes.renderings import Rendering, detected_in, fill_image, render
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry.crop import Crop

WIDTH, HEIGHT = 90, 60
IMAGE = np.random.default_rng(5).integers(0, 120, (HEIGHT, WIDTH, 3)).astype(np.uint8)
IMAGE[:, :, 2] += 130
WINDOW = Crop(30, 20, 40, 25)
INSIDE, REACHING, OUTSIDE = (35.0, 25.0, 50.0, 40.0), (60.5, 10.5, 80.25, 30.0), (1.0, 2.0, 9.0, 12.0)
FILLS = ("mean", "blur", "gray")


def shown(name, boxes=(), crop=WINDOW, fill="gray"):
    return render(IMAGE, crop, Rendering.of(name, fill, crop, np.reshape(boxes, (-1, 4))))


def kept(picture):
    """Which pixels show the image; the image holds no gray pixel."""
    assert not (IMAGE == 128).all(axis=2).any()
    return (picture == IMAGE).all(axis=2) & ~(picture == 128).all(axis=2)


def within(*boxes):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


SHOWN = (WINDOW.left, WINDOW.top, WINDOW.right, WINDOW.bottom)


def test_context_keeps_the_window_and_every_pixel_that_a_scored_box_touches():
    picture = shown("context", [INSIDE, REACHING])
    assert np.array_equal(kept(picture), within(SHOWN, (60, 10, 81, 30)))
    assert (picture[~kept(picture)] == 128).all()


def test_cut_keeps_the_window_alone():
    picture = shown("cut", [INSIDE, REACHING, OUTSIDE])
    assert np.array_equal(kept(picture), within(SHOWN))
    assert (picture[~kept(picture)] == 128).all()


def test_moved_lays_the_window_at_the_origin_of_the_same_frame():
    picture = shown("moved")
    assert picture.shape == IMAGE.shape
    assert np.array_equal(picture[:25, :40], IMAGE[20:45, 30:70])
    assert (picture[25:] == 128).all()
    assert (picture[:, 40:] == 128).all()


def test_hollow_fills_the_outer_parts_of_the_boxes_and_keeps_what_surrounds_them():
    picture = shown("hollow", [INSIDE, REACHING])
    filled = within((60, 10, 81, 30)) & ~within(SHOWN)
    assert np.array_equal(kept(picture), ~filled)
    assert (picture[filled] == 128).all()


def test_context_and_hollow_together_hold_every_pixel_and_share_the_window_alone():
    context, hollow = kept(shown("context", [REACHING])), kept(shown("hollow", [REACHING]))
    assert (context | hollow).all()
    assert np.array_equal(context & hollow, within(SHOWN))


@pytest.mark.parametrize(("box", "margin"), [((1.0, 2.0, 9.0, 12.0), 32), ((2.0, 2.0, 82.0, 8.0), 40)])
def test_the_placebo_leaves_32_px_or_half_the_longer_side_around_every_box(box, margin):
    x0, y0, x1, y1 = (round(edge) for edge in box)
    picture = shown("placebo", [box], Crop(80, 50, 10, 10))
    around = (max(0, x0 - margin), max(0, y0 - margin), min(WIDTH, x1 + margin), min(HEIGHT, y1 + margin))
    assert np.array_equal(kept(picture), within((80, 50, 90, 60), around))


@pytest.mark.parametrize("name", ["context", "cut", "moved", "hollow", "placebo"])
@pytest.mark.parametrize("fill", FILLS)
def test_a_window_that_is_the_whole_image_leaves_every_pixel(name, fill):
    assert np.array_equal(shown(name, [REACHING], Crop(0, 0, WIDTH, HEIGHT), fill), IMAGE)


@pytest.mark.parametrize("name", ["context", "cut", "moved", "hollow", "placebo"])
def test_the_image_is_not_changed(name):
    before = IMAGE.copy()
    shown(name, [REACHING])
    assert np.array_equal(before, IMAGE)


def test_fills_are_the_mean_the_mean_of_cells_and_gray():
    assert (fill_image(IMAGE, "gray") == 128).all()
    assert np.abs(fill_image(IMAGE, "mean") - IMAGE.reshape(-1, 3).mean(axis=0)).max() <= 0.5
    halves = np.zeros((64, 64, 3), np.uint8)
    halves[:, 32:] = 200
    blurred = fill_image(halves, "blur")
    assert (blurred[:, :8] == 0).all()
    assert (blurred[:, -8:] == 200).all()
    assert (np.diff(blurred[0, :, 0].astype(int)) >= 0).all()
    assert fill_image(IMAGE[:3, :2], "blur").shape == (3, 2, 3)


def test_what_shows_the_same_pixels_has_the_same_name_and_what_does_not_has_another():
    def name(rendering, boxes=(), fill="mean"):
        return str(Rendering.of(rendering, fill, WINDOW, np.reshape(boxes, (-1, 4))))

    assert name("context", [INSIDE]) == name("cut", [REACHING]) == name("cut")
    assert name("context", [REACHING, INSIDE, REACHING]) == name("context", [REACHING])
    assert name("context", [REACHING, OUTSIDE]) == name("context", [OUTSIDE, REACHING])
    different = [name("cut"), name("moved"), name("cut", fill="gray"), name("context", [REACHING])]
    different += [name("context", [OUTSIDE]), name("hollow", [REACHING]), name("placebo", [REACHING])]
    assert len(set(different)) == len(different)


edges = st.tuples(st.integers(-20, 110), st.integers(-20, 80), st.integers(1, 60), st.integers(1, 60))


@given(st.lists(edges, max_size=4), st.integers(0, 60), st.integers(0, 40), st.integers(1, 30), st.integers(1, 20))
def test_renderings_with_one_name_show_the_same_pixels(rows, left, top, width, height):
    crop = Crop(left, top, width, height)
    boxes = np.reshape([(x, y, x + w, y + h) for x, y, w, h in rows], (-1, 4)).astype(float)
    context, cut = (Rendering.of(name, "gray", crop, boxes) for name in ("context", "cut"))
    same = np.array_equal(render(IMAGE, crop, context), render(IMAGE, crop, cut))
    assert same or str(context) != str(cut)
    everything = render(IMAGE, crop, Rendering("context", "gray", tuple(map(tuple, boxes.tolist()))))
    assert np.array_equal(render(IMAGE, crop, context), everything)


def test_detections_of_moved_and_crop_are_in_the_windows_frame():
    assert [detected_in(name) for name in ("whole", "context", "cut", "hollow", "placebo")] == ["image"] * 5
    assert [detected_in(name) for name in ("moved", "crop")] == ["window"] * 2


def test_a_fill_that_does_not_exist_is_named():
    with pytest.raises(SpecError, match="cropdet_fill must be one of mean, blur, gray, not 'red'"):
        Rendering.of("cut", "red", WINDOW, np.zeros((0, 4)))
