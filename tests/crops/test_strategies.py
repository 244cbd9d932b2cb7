"""What the public strategies draw, what they reach, and what they shrink to."""

from __future__ import annotations

import subprocess
import sys
from random import Random

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from pytest_cropdet import Crop, crop_truth, crops_of
from pytest_cropdet.crops.strategies import boxes, crops, detections, ground_truths, samples
from pytest_cropdet.data.painted import PaintedSample, paint
from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.errors import DataError, SpecError
from pytest_cropdet.geometry.boxes import has_sides
from pytest_cropdet.geometry.masks import Mask
from tests.support import Data, objects, sample

quick = settings(max_examples=40, deadline=None)
NAMESPACE = {
    "Crop": Crop,
    "Detections": Detections,
    "GroundTruth": GroundTruth,
    "Mask": Mask,
    "PaintedSample": PaintedSample,
}


def smallest(strategy, condition, examples=500):
    return find(
        strategy,
        condition,
        settings=settings(max_examples=examples, phases=[Phase.generate, Phase.shrink], database=None, deadline=None),
        random=Random(0),
    )


def reached(strategy, condition, examples=500):
    return find(
        strategy,
        condition,
        settings=settings(max_examples=examples, phases=[Phase.generate], database=None, deadline=None),
        random=Random(0),
    )


# Shrinking


def test_a_window_shrinks_to_the_whole_image():
    assert smallest(crops(640, 480), lambda crop: True) == Crop(0, 0, 640, 480)


SIDES = {
    "left": (lambda crop: crop.left, Crop(37, 0, 603, 480)),
    "top": (lambda crop: crop.top, Crop(0, 37, 640, 443)),
    "right": (lambda crop: 640 - crop.right, Crop(0, 0, 603, 480)),
    "bottom": (lambda crop: 480 - crop.bottom, Crop(0, 0, 640, 443)),
}
OBJECTS = np.array([[50.0, 60.0, 300.5, 400.25], [36.0, 36.0, 604.0, 444.0]])


@pytest.mark.parametrize("touching", [(), OBJECTS], ids=["anywhere", "touching"])
@pytest.mark.parametrize("side", SIDES)
def test_what_fails_from_37_px_on_shrinks_to_37_px_off_that_side_alone(side, touching):
    margin, expected = SIDES[side]
    assert smallest(crops(640, 480, touching=touching), lambda crop: margin(crop) >= 37) == expected


def test_of_a_data_set_it_shrinks_to_the_first_sample_that_fails():
    data = Data([sample(number, objects(((30, 20, 80, 70), 3))) for number in range(6)])
    assert smallest(crops_of(data), lambda case: case[1].left >= 37) == ("000.png", Crop(37, 0, 83, 90))
    fails = lambda case: case[0] >= "003.png" and case[1].width <= 100  # noqa: E731
    assert smallest(crops_of(data), fails) == ("003.png", Crop(0, 0, 100, 90))


def test_everything_else_shrinks_to_the_whole_frame_and_the_first_of_its_kind():
    assert smallest(boxes(30, 20), lambda found: len(found) == 2).tolist() == [[0, 0, 30, 20]] * 2
    assert smallest(boxes(30, 20), lambda found: (found[:, 0] >= 7.3).any()).tolist() == [[8, 0, 30, 20]]
    assert repr(smallest(detections(30, 20), lambda found: len(found) == 1)) == (
        "Detections(boxes=[[0.0, 0.0, 30.0, 20.0]], scores=[1.0], categories=[1])"
    )
    truth = smallest(ground_truths(30, 20, masks=True), lambda found: len(found) == 1)
    assert repr(truth) == "GroundTruth(boxes=[[0.0, 0.0, 30.0, 20.0]], categories=[1])"
    assert (
        repr(smallest(samples(), lambda found: True))
        == "PaintedSample(16, 16, GroundTruth(boxes=[], categories=[]), seed=0)"
    )


# Parameters


@pytest.mark.slow
def test_hardly_anything_drawn_is_rejected():
    """Hypothesis gives up a few draws by itself, when they get too long."""
    calls, drawn = [], []

    @settings(max_examples=200, phases=[Phase.generate], derandomize=True, database=None, deadline=None)
    @given(st.data())
    def look(data):
        calls.append(1)
        stride, low = data.draw(st.integers(1, 9)), data.draw(st.sampled_from([0.5, 1.0, 1.7]))
        truth = data.draw(ground_truths(40, 30, masks=True))
        data.draw(crops(40, 30, min_side=5, max_cut=17, touching=truth.boxes, aspect=(low, 2.0), stride=stride))
        data.draw(detections(40, 30, beyond=3))
        drawn.append(1)

    look()
    assert len(drawn) >= 200
    assert len(calls) - len(drawn) < 0.1 * len(drawn)


@given(data=st.data())
@quick
def test_a_window_keeps_min_side_and_loses_no_more_than_max_cut(data):
    width, height, least, most = (data.draw(st.integers(1, 60)) for _ in range(4))
    crop = data.draw(crops(width, height, min_side=least, max_cut=most))
    assert crop.fits(width, height)
    assert (crop.width >= min(least, width), crop.height >= min(least, height)) == (True, True)
    assert max(crop.left, crop.top, width - crop.right, height - crop.bottom) <= most


@given(data=st.data())
@quick
def test_a_window_lies_inside_one_and_contains_a_box(data):
    region = data.draw(crops(40, 30))
    box = region.out_of(data.draw(boxes(region.width, region.height, min_count=1, max_count=1)))
    crop = data.draw(crops(40, 30, inside=region, containing=box[0]))
    assert (crop.left, crop.top) >= (region.left, region.top)
    assert (crop.right <= region.right, crop.bottom <= region.bottom, crop.top >= region.top) == (True, True, True)
    assert (crop.clip(box) == box).all()


@given(data=st.data())
@quick
def test_all_margins_are_multiples_of_the_stride(data):
    width, height, stride = (data.draw(st.integers(1, 90)) for _ in range(3))
    crop = data.draw(crops(width, height, stride=stride, touching=[[3, 4, 32, 64]]))
    margins = (crop.left, crop.top, width - crop.right, height - crop.bottom)
    assert [margin % stride for margin in margins] == [0, 0, 0, 0]


@given(data=st.data())
@quick
def test_the_aspect_holds_to_the_pixel(data):
    width, height = data.draw(st.integers(20, 90)), data.draw(st.integers(20, 90))
    low = data.draw(st.sampled_from([0.5, 1.0, 4 / 3, 2.0]))
    high = low * data.draw(st.sampled_from([1.0, 1.5]))
    crop = data.draw(crops(width, height, aspect=(low, high)))
    assert crop.width / high - 1 < crop.height < crop.width / low + 1
    square = data.draw(crops(width, height, aspect=1.0, min_side=9))
    assert square.width == square.height >= 9


def test_the_largest_window_of_an_aspect_is_the_smallest_case():
    assert smallest(crops(640, 480, aspect=1.0), lambda crop: True) == Crop(0, 0, 480, 480)
    assert smallest(crops(640, 480, aspect=2.0), lambda crop: True) == Crop(0, 0, 640, 320)


@given(data=st.data())
@quick
def test_an_aspect_that_cannot_be_is_met_as_nearly_as_can_be(data):
    crop = data.draw(crops(10, 100, aspect=2.0, min_side=8, stride=data.draw(st.integers(1, 3))))
    assert crop.fits(10, 100)
    assert (crop.width, crop.height) >= (8, 8)


def test_a_side_shorter_than_min_side_stays_whole():
    assert smallest(crops(640, 50, min_side=64), lambda crop: crop.left > 0) == Crop(1, 0, 639, 50)
    with pytest.raises(NoSuchExample):
        smallest(crops(640, 50, min_side=64), lambda crop: crop.height < 50 or crop.width < 64, 300)


WRONG = {
    "no image": (lambda: crops(0, 5), "width, height, min_side and stride are whole pixels from 1 on"),
    "no side": (lambda: crops(5, 5, min_side=0), "min_side=0"),
    "less than no cut": (lambda: crops(5, 5, max_cut=-1), "max_cut from 0 on"),
    "a region that sticks out": (lambda: crops(5, 5, inside=Crop(1, 0, 5, 5)), "sticks out of an image 5 wide"),
    "a box outside the region": (
        lambda: crops(9, 9, inside=Crop(5, 0, 4, 4), containing=(2, 0, 6, 4)),
        "no window is left of a side of 9 px: at least 5 and 0 px must go, at most 2 and 3 px may",
    ),
    "a region cut by less than it must": (lambda: crops(9, 9, inside=Crop(5, 0, 4, 4), max_cut=3), "at most 3 and"),
    "a negative aspect": (lambda: crops(5, 5, aspect=-1.0), "width / height above 0"),
    "an aspect upside down": (lambda: crops(5, 5, aspect=(2.0, 1.0)), "the least and the most"),
}


@pytest.mark.parametrize("case", WRONG)
def test_parameters_that_leave_no_window_are_named_at_once(case):
    make, sentence = WRONG[case]
    with pytest.raises(SpecError, match=sentence):
        make()


# What they reach: the edge cases of the geometry


@pytest.fixture(scope="module")
def scenes():
    """A thousand truths, each with a window and what shows in it."""
    drawn = []

    @settings(max_examples=1000, phases=[Phase.generate], derandomize=True, database=None, deadline=None)
    @given(st.data())
    def look(data):
        truth = data.draw(ground_truths(24, 18))
        crop = data.draw(crops(24, 18, touching=truth.boxes))
        drawn.append((truth, crop, crop_truth(truth, crop)))

    look()
    return drawn


def lengths(truth):
    return truth.boxes[:, 2:] - truth.boxes[:, :2]


EDGES = {
    "an object that only touches the window's left": lambda t, c, s: ((t.boxes[:, 2] == c.left) & (c.left > 0)).any(),
    "an object that only touches the window's bottom": lambda t, c, s: (t.boxes[:, 1] == c.bottom).any(),
    "an object that ends where the window ends": lambda t, c, s: ((t.boxes[:, 2] == c.right) & (c.right < 24)).any(),
    "an object that ends where the image ends": lambda t, c, s: ((t.boxes[:, 2] == 24) & (t.boxes[:, 0] > 0)).any(),
    "a small window at offset 0": lambda t, c, s: (c.left, c.top) == (0, 0) and c.right < 16 and c.bottom < 12,
    "a small window at offset W - w": lambda t, c, s: (c.right, c.bottom) == (24, 18) and c.left > 8 and c.top > 6,
    "an object of one pixel": lambda t, c, s: (lengths(t) == 1).all(axis=1).any(),
    "an object below a pixel": lambda t, c, s: (lengths(t) < 1).all(axis=1).any(),
    "a sliver that shows": lambda t, c, s: ((s.visibility < 0.05) & (s.visibility > 0)).any(),
    "exactly half of an object shows": lambda t, c, s: (s.visibility == 0.5).any(),
    "a quarter of an object shows": lambda t, c, s: (s.visibility == 0.25).any(),
    "a window that is not square": lambda t, c, s: c.width > 2 * c.height,
    "other offsets in x than in y": lambda t, c, s: c.left > 0 and c.top > 0 and c.left != c.top,
    "a window of one column": lambda t, c, s: c.width == 1 < c.height,
    "a crowd that is cut": lambda t, c, s: (s.truth.crowd & (s.visibility < 1)).any(),
    "objects, none of which shows": lambda t, c, s: len(t) > 1 and len(s) == 0,
    "no object": lambda t, c, s: len(t) == 0,
    "twins": lambda t, c, s: len(np.unique(t.boxes, axis=0)) < len(t),
}


@pytest.mark.slow
@pytest.mark.parametrize("edge", EDGES)
def test_the_strategies_reach(edge, scenes):
    assert sum(bool(EDGES[edge](*scene)) for scene in scenes) >= 3


def test_touching_makes_common_what_chance_seldom_hits():
    def share(**more):
        hit = []

        @settings(max_examples=200, phases=[Phase.generate], derandomize=True, database=None, deadline=None)
        @given(crop=crops(640, 480, **more))
        def look(crop):
            hit.append(bool({crop.left, crop.right} & {113, 421} or {crop.top, crop.bottom} & {57, 333}))

        look()
        return sum(hit) / len(hit)

    assert share(touching=[[113, 57, 421, 333]]) > 0.3
    assert share() < 0.1


@given(data=st.data())
@quick
def test_every_box_has_sides_in_its_frame_or_as_far_beyond_as_told(data):
    width, height, grid = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9)), data.draw(st.integers(1, 8))
    drawn = data.draw(boxes(width, height, min_count=1, grid=grid, beyond=3))
    assert has_sides(drawn).all()
    assert (drawn >= -3).all()
    assert (drawn <= [width + 3, height + 3] * 2).all()
    np.testing.assert_allclose(drawn * grid, np.rint(drawn * grid), rtol=0, atol=1e-9)


@pytest.mark.slow
def test_detections_reach_over_the_frame_only_where_told_and_scores_from_0_to_1():
    assert (reached(detections(9, 9, beyond=2), lambda found: (found.boxes < -1).any()).boxes >= -2).all()
    for score in (0.0, 1.0):
        reached(detections(9, 9), lambda found, score=score: (found.scores == score).any())
    with pytest.raises(NoSuchExample):
        reached(detections(9, 9), lambda found: (found.boxes < 0).any() or (found.boxes > 9).any(), 300)


# Pictures


@given(drawn=samples(crowds=True))
@quick
def test_a_picture_follows_from_its_numbers(drawn):
    image = drawn.image()
    assert (image.shape, image.dtype) == ((drawn.height, drawn.width, 3), np.uint8)
    again = eval(repr(drawn), NAMESPACE)
    np.testing.assert_array_equal(again.image(), image)
    assert (again.id, repr(again)) == (drawn.id, repr(drawn))


def test_an_object_is_painted_on_the_pixels_that_its_box_touches_and_a_crowd_is_not():
    truth = GroundTruth([[1.25, 2.0, 3.5, 4.0], [6, 0, 9, 1]], [5, 5], crowd=[False, True])
    bright = (paint(9, 6, truth, seed=3) >= 128).all(axis=2)
    y, x = np.nonzero(bright)
    assert [x.min(), y.min(), x.max() + 1, y.max() + 1] == [1, 2, 4, 4]
    assert bright.sum() == 6


def test_pictures_of_other_seeds_differ():
    pictures = [paint(32, 32, GroundTruth.empty(), seed).tobytes() for seed in range(256)]
    assert len(set(pictures)) == 256


@given(data=st.data())
@quick
def test_what_is_drawn_prints_as_code_to_paste(data):
    drawn = [
        data.draw(crops(30, 20)),
        data.draw(detections(30, 20)),
        data.draw(ground_truths(30, 20, masks=True, crowds=True)),
    ]
    for each in drawn:
        again = eval(repr(each), NAMESPACE)
        assert (type(again), repr(again)) == (type(each), repr(each))
        for name in ("boxes", "categories", "crowd", "areas"):
            if hasattr(each, name):
                np.testing.assert_array_equal(getattr(again, name), getattr(each, name))
        assert "\n" not in repr(each)


# The data set


@pytest.mark.subprocess
def test_without_a_data_set_and_outside_of_a_test_of_pytest_it_says_what_to_write():
    code = "from pytest_cropdet import crops_of\ncrops_of().example()"
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "write crops_of(dataset), for example with load_dataset('instances.json')" in run.stderr


def test_an_empty_data_set_is_named():
    with pytest.raises(DataError, match="the data set has no samples"):
        smallest(crops_of(Data([])), lambda case: True)


def test_no_picture_is_read():
    def read():
        raise RuntimeError("read")

    data = [PaintedSample(640, 480, GroundTruth.empty())]
    object.__setattr__(data[0], "read", read)
    assert smallest(crops_of(data), lambda case: True) == ("painted 640x480 #0", Crop(0, 0, 640, 480))


@pytest.mark.subprocess
def test_importing_the_strategies_loads_no_framework_and_no_decoder():
    code = "from pytest_cropdet.strategies import crops, samples; samples(); import sys; print(*sys.modules, sep='\\n')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert {"numpy", "hypothesis", "pytest_cropdet.crops.strategies"} <= loaded
    assert not loaded & {"tensorflow", "cv2", "matplotlib", "keras", "torch"}
