"""Windows, and what becomes of objects and detections in them."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from pytest_cropdet.crops.strategies import boxes, crops
from pytest_cropdet.data.cropping import crop_detections, crop_truth
from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.geometry.crop import Crop
from pytest_cropdet.geometry.masks import Mask
from tests.geometry.invariants import CHECKS, EXACT, MASKED, ODD, same
from tests.strategies import detections_of, scenes, truth_of

quick = settings(max_examples=40, deadline=None)


@pytest.mark.parametrize("check", EXACT, ids=lambda check: check.__name__)
@quick
@given(scene=scenes())
def test_of_boxes_on_quarter_pixels(check, scene):
    check(crop_truth, scene)


@pytest.mark.parametrize("check", ODD, ids=lambda check: check.__name__)
@settings(quick, max_examples=100)
@given(scene=scenes(odd=True))
def test_of_boxes_that_are_not_exact_in_binary(check, scene):
    check(crop_truth, scene)


@pytest.mark.parametrize("check", MASKED, ids=lambda check: check.__name__)
@settings(quick, max_examples=80)
@given(scene=scenes(masked=True))
def test_of_objects_with_masks(check, scene):
    check(crop_truth, scene)


def test_every_check_runs_on_the_real_remap():
    assert set(EXACT) | set(ODD) | set(MASKED) == set(CHECKS)


def ties(scene):
    shown = crop_truth(scene.truth, scene.crop)
    return scene.threshold < 1 and bool((shown.visibility == scene.threshold).any())


def sides(scene):
    return scene.truth.boxes[:, 2:] - scene.truth.boxes[:, :2]


BORDERS = {
    "a box ends where the window begins": lambda s: (s.truth.boxes[:, 2] == s.crop.left).any() and s.crop.left > 0,
    "a box begins where the window ends": lambda s: (s.truth.boxes[:, 1] == s.crop.bottom).any(),
    "a box ends at the image's right border": lambda s: (s.truth.boxes[:, 2] == s.width).any() and s.width > 3,
    "a small window in the first corner": lambda s: (s.crop.left, s.crop.top) == (0, 0) and s.crop.right < s.width,
    "a small window in the last corner": lambda s: (
        (s.crop.right, s.crop.bottom) == (s.width, s.height) and s.crop.left > 0 and s.crop.top > 0
    ),
    "a box of one whole pixel": lambda s: ((sides(s) == 1) & (s.truth.boxes[:, :2] % 1 == 0)).all(axis=1).any(),
    "a box smaller than a pixel": lambda s: (sides(s) < 1).all(axis=1).any(),
    "visibility exactly at the threshold": ties,
    "an image that is not square": lambda s: s.width not in (s.height, 1),
    "an offset in x that is none in y": lambda s: s.crop.left > s.crop.top > 0,
    "a window of one pixel": lambda s: (s.crop.width, s.crop.height) == (1, 1) and s.width > 2,
    "no object": lambda s: len(s.truth) == 0,
    "twins": lambda s: len(np.unique(s.truth.boxes, axis=0)) < len(s.truth),
}


@pytest.mark.parametrize("border", BORDERS)
def test_the_scenes_reach(border):
    find(
        scenes(),
        lambda scene: bool(BORDERS[border](scene)),
        settings=settings(max_examples=3000, phases=[Phase.generate], database=None, deadline=None),
        random=Random(0),
    )


# Windows


@pytest.mark.parametrize("values", [(-1, 0, 2, 2), (0, -1, 2, 2), (0, 0, 0, 2), (0, 0, 2, 0)])
def test_a_window_without_pixels_or_before_the_image_is_refused(values):
    with pytest.raises(ValueError, match=r"left and top must be >= 0, width and height >= 1"):
        Crop(*values)


@pytest.mark.parametrize("value", [1.0, 1.5, True, "1", np.float64(2)])
def test_a_window_is_in_whole_pixels(value):
    with pytest.raises(ValueError, match=r"Crop: width is in whole pixels"):
        Crop(0, 0, value, 1)


def test_a_windows_repr_is_code_even_of_numpy_numbers():
    crop = Crop(*np.arange(1, 5, dtype=np.int32))
    assert repr(crop) == "Crop(left=1, top=2, width=3, height=4)"
    assert eval(repr(crop)) == crop


def test_a_window_of_pixels_is_a_view_and_never_wraps_around():
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    same(Crop(2, 1, 5, 4).of(image), image[1:5, 2:7])
    assert np.shares_memory(Crop(2, 1, 5, 4).of(image), image)
    for sticks_out in (Crop(3, 1, 5, 4), Crop(2, 2, 5, 4)):
        with pytest.raises(ValueError, match="sticks out of an image 7 wide and 5 high"):
            sticks_out.of(image)


@given(scene=scenes())
@quick
def test_pixels_of_a_crop_of_a_crop_are_those_of_one_crop(scene):
    image = np.arange(scene.width * scene.height).reshape(scene.height, scene.width)
    same(scene.inner.of(scene.crop.of(image)), scene.crop.then(scene.inner).of(image))


def test_a_crop_of_a_crop_lies_in_it():
    assert Crop(2, 3, 5, 4).then(Crop(0, 0, 5, 4)) == Crop(2, 3, 5, 4)
    with pytest.raises(ValueError, match="sticks out of Crop"):
        Crop(2, 3, 5, 4).then(Crop(1, 0, 5, 4))


# Scored, ignored, absent

WINDOW = Crop(0, 0, 10, 10)
HALF, ALMOST_HALF, OUTSIDE = (5.0, 0.0, 15.0, 4.0), (5.25, 0.0, 15.0, 4.0), (10.0, 0.0, 20.0, 4.0)


@pytest.mark.parametrize(
    ("box", "threshold", "kept", "scored"),
    [
        (HALF, 0.5, [0], [True]),
        (ALMOST_HALF, 0.5, [0], [False]),
        (ALMOST_HALF, 0.25, [0], [True]),
        (HALF, 0.75, [0], [False]),
        (OUTSIDE, 0.0, [], []),
        ((0.0, 0.0, 10.0, 10.0), 1.0, [0], [True]),
        ((0.0, 0.0, 10.0, 10.25), 1.0, [0], [False]),
    ],
)
def test_an_object_is_scored_from_the_threshold_on_and_ignored_below(box, threshold, kept, scored):
    shown = crop_truth(truth_of([box]), WINDOW, threshold)
    assert (shown.kept.tolist(), shown.scored.tolist()) == (kept, scored)


def test_half_is_the_threshold_where_none_is_given():
    assert crop_truth(truth_of([HALF, ALMOST_HALF]), WINDOW).scored.tolist() == [True, False]


def test_a_crowd_stays_an_ignored_region_however_much_of_it_shows():
    shown = crop_truth(truth_of([HALF, (0, 0, 9, 9), (9, 9, 90, 90)], [True, True, True]), WINDOW)
    assert shown.truth.crowd.tolist() == [True, True, True]
    assert shown.scored.tolist() == [False, False, False]
    same(shown.truth.boxes, np.array([[5, 0, 10, 4], [0, 0, 9, 9], [9, 9, 10, 10]], float))


def mask_with(*pixels, side=20):
    painted = np.zeros((side, side))
    for x, y in pixels:
        painted[y, x] = 1
    return Mask.encode(painted)


def test_with_a_mask_visibility_is_of_the_mask():
    """Three of four of its pixels show, though the box is cut to a half; and the other way round."""
    mostly, barely = mask_with((6, 0), (7, 2), (9, 3), (14, 1)), mask_with((6, 0), (12, 2), (13, 3), (14, 1))
    shown = crop_truth(truth_of([HALF, HALF], masks=(mostly, barely)), WINDOW)
    assert shown.visibility.tolist() == [0.75, 0.25]
    assert shown.scored.tolist() == [True, False]
    assert shown.truth.areas.tolist() == [3, 1]
    same(shown.truth.boxes, np.array([[5, 0, 10, 4]] * 2, float))
    same(shown.tight, np.array([[6, 0, 10, 4], [6, 0, 7, 1]], float))


def test_an_object_none_of_whose_pixels_shows_is_absent_though_its_box_shows():
    hidden = mask_with((12, 0), (14, 3))
    shown = crop_truth(truth_of([HALF, HALF, HALF], masks=(None, hidden, mask_with((5, 0)))), WINDOW)
    assert shown.kept.tolist() == [0, 2]
    assert len(shown) == len(shown.tight) == len(shown.truth.masks) == 2


def test_a_crowd_none_of_whose_pixels_shows_stays_where_its_box_is():
    shown = crop_truth(truth_of([HALF], [True], (mask_with((12, 0)),)), WINDOW)
    assert (shown.kept.tolist(), shown.scored.tolist()) == ([0], [False])
    same(shown.truth.boxes, np.array([[5, 0, 10, 4]], float))


def test_a_mask_too_thin_for_a_pixel_leaves_the_box_to_decide():
    shown = crop_truth(truth_of([HALF], masks=(mask_with(),)), WINDOW)
    assert (shown.visibility.tolist(), shown.scored.tolist()) == ([0.5], [True])


def test_masks_can_be_left_uncut_without_changing_anything_else():
    truth = truth_of([HALF, HALF], masks=(mask_with((6, 0), (14, 1)), None))
    cut, quick = crop_truth(truth, WINDOW), crop_truth(truth, WINDOW, cut_masks=False)
    assert quick.truth.masks == (None, None)
    assert cut.truth.masks[0].decode().shape == (10, 10)
    for name in ("kept", "visibility", "scored", "tight"):
        same(getattr(cut, name), getattr(quick, name))
    same(cut.truth.areas, quick.truth.areas)


def test_a_window_that_sticks_out_of_an_objects_mask_is_refused():
    with pytest.raises(ValueError, match="sticks out of the image, 20 wide and 20 high"):
        crop_truth(truth_of([HALF], masks=(mask_with((6, 0)),)), Crop(5, 0, 16, 10))


@pytest.mark.parametrize("truth", [GroundTruth.empty(), truth_of([(11, 11, 12, 12)]), GroundTruth([], [])])
def test_a_window_without_objects_has_boxes_of_shape_0_4(truth):
    shown = crop_truth(truth, WINDOW)
    assert shown.truth.boxes.shape == shown.tight.shape == (0, 4)
    assert shown.kept.shape == shown.visibility.shape == shown.scored.shape == (0,)
    assert (shown.kept.dtype, shown.scored.dtype) == (np.int64, np.bool_)


@pytest.mark.parametrize("detections", [Detections.empty(), Detections([[11, 11, 12, 12]], [0.5], [1])])
def test_a_window_without_detections_has_boxes_of_shape_0_4(detections):
    shown = crop_detections(detections, WINDOW)
    assert shown.detections.boxes.shape == (0, 4)
    assert shown.kept.shape == shown.visibility.shape == (0,)


@given(scene=scenes(masked=True))
@quick
def test_inputs_are_never_changed(scene):
    columns = ("boxes", "categories", "ids", "crowd", "areas")
    found = detections_of(scene.truth)
    before = [getattr(scene.truth, name).copy() for name in columns]
    found_before = found.boxes.copy()
    crop_truth(scene.truth, scene.crop)
    crop_detections(found, scene.crop)
    for name, column in zip(columns, before, strict=True):
        same(getattr(scene.truth, name), column)
    same(found.boxes, found_before)


def test_values_cannot_be_changed_by_way_of_the_arrays_they_were_made_from():
    boxes, scores = np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([0.5])
    truth, found = GroundTruth(boxes, [1]), Detections(boxes, scores, [1])
    boxes[:], scores[:] = 9, 0
    assert truth.boxes.tolist() == found.boxes.tolist() == [[0, 0, 1, 1]]
    assert found.scores.tolist() == [0.5]
    with pytest.raises(ValueError, match="read-only"):
        truth.boxes[0, 0] = 5


# Detections


@given(scene=scenes(odd=True))
@quick
def test_detections_are_cropped_as_objects_are(scene):
    objects, found = crop_truth(scene.truth, scene.crop), crop_detections(detections_of(scene.truth), scene.crop)
    same(found.detections.boxes, objects.truth.boxes)
    same(found.detections.categories, objects.truth.categories)
    same(found.detections.scores, detections_of(scene.truth).scores[objects.kept])
    same(found.kept, objects.kept)
    same(found.visibility, objects.visibility)


@pytest.mark.parametrize("capped", [True, False])
def test_a_cropped_answer_stays_capped(capped):
    found = Detections([[0, 0, 5, 5]], [0.5], [1], capped)
    assert crop_detections(found, WINDOW).detections.capped is capped


@given(data=st.data())
@settings(quick, max_examples=200)
def test_out_of_the_window_and_into_it_errs_by_half_an_ulp_of_the_larger_coordinate(data):
    crop = data.draw(crops(1000, 1000))
    found = data.draw(boxes(crop.width, crop.height, grid=7, min_count=1))
    away = crop.out_of(found)
    error = np.abs(crop.into(away) - found)
    assert (error <= np.spacing(np.maximum(away, found)) / 2).all()


@given(scene=scenes(odd=True))
@quick
def test_clipping_commutes_with_moving(scene):
    crop, boxes = scene.crop, scene.truth.boxes
    moved = boxes - np.array([crop.left, crop.top] * 2)
    same(crop.into(boxes), np.clip(moved, 0, np.array([crop.width, crop.height] * 2)))
