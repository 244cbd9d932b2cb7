"""Objects and detections in many windows at once: bit for bit what the small values are, window by window."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random
from unittest import mock

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from pytest_cropdet.crops.strategies import crops, detections, ground_truths
from pytest_cropdet.data import crop_rows
from pytest_cropdet.data.crop_rows import crop_detection_rows, crop_object_rows
from pytest_cropdet.data.cropping import crop_detections, crop_truth
from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.geometry import Crop, Mask, windows_of
from tests.strategies import thresholds

SIDE = 9
OUTSIDE = [[-5.0, -5.0, 0.0, 3.0], [-2.0, 4.0, 12.0, 4.0], [-0.0, -0.0, 2.5, 2.5], [9.0, 0.0, 14.0, 9.0]]
EMPTY, FULL = Mask.encode(np.zeros((SIDE, SIDE))), Mask.encode(np.ones((SIDE, SIDE)))
many = settings(max_examples=150, deadline=None)


def bits(column) -> tuple:
    """All that can differ in an array, the sign of a zero included."""
    return column.dtype, column.shape, column.tobytes()


@st.composite
def truths(draw: st.DrawFn, masked: bool) -> GroundTruth:
    """Objects in or beyond a frame of 9 by 9, some crowds, some ignored, some with masks that may be empty."""
    drawn = draw(ground_truths(SIDE, SIDE, grid=draw(st.sampled_from([4, 7])), masks=masked))
    odd = draw(st.lists(st.sampled_from(OUTSIDE), max_size=2))
    count = len(drawn) + len(odd)
    flags = st.lists(st.booleans(), min_size=count, max_size=count)
    masks = [*drawn.masks, *([None] * len(odd))]
    if masked:
        masks = [draw(st.sampled_from([mask, mask, EMPTY, FULL])) for mask in masks]
    return GroundTruth(
        boxes=np.concatenate([drawn.boxes, np.reshape(odd, (-1, 4))]),
        categories=np.arange(count) % 3 + 20,
        ids=np.arange(count) * 7 + 1,
        crowd=draw(flags),
        areas=np.linspace(0.1, 70.3, count),
        masks=tuple(masks),
        ignored=draw(flags),
    )


@st.composite
def windows(draw: st.DrawFn, images: int) -> tuple[np.ndarray, list[Crop]]:
    """Windows of any of the images, in any order, and whose each is."""
    owner = draw(st.lists(st.integers(0, images - 1), max_size=6)) if images else []
    return np.array(owner, dtype=np.int64), [draw(crops(SIDE, SIDE)) for _ in owner]


@st.composite
def truth_scenes(draw: st.DrawFn):
    images = draw(st.lists(truths(masked=draw(st.booleans())), max_size=3))
    return images, *draw(windows(len(images))), draw(thresholds)


@st.composite
def detection_scenes(draw: st.DrawFn):
    answers = detections(SIDE, SIDE, grid=draw(st.sampled_from([4, 7])), beyond=4, max_count=5)
    images = draw(st.lists(answers, max_size=3))
    return images, *draw(windows(len(images)))


def objects_one_by_one(images, owner, crops, threshold):
    shown = [
        crop_truth(images[i], crop, threshold, cut_masks=False) for i, crop in zip(owner.tolist(), crops, strict=True)
    ]
    of_truth = ("boxes", "categories", "ids", "crowd", "areas", "ignored")
    columns = {name: [getattr(each.truth, name) for each in shown] for name in of_truth}
    columns |= {name: [getattr(each, name) for each in shown] for name in ("visibility", "scored", "tight")}
    return np.repeat(np.arange(len(shown)), [len(each) for each in shown]), columns


@many
@given(scene=truth_scenes(), at_once=st.sampled_from([1, 3, 1 << 14]))
def test_objects_in_many_windows_are_those_of_each_window_bit_for_bit(scene, at_once):
    images, owner, crops, threshold = scene
    with mock.patch.object(crop_rows, "ROWS_AT_ONCE", at_once):
        rows = crop_object_rows(images, owner, windows_of(crops), threshold)
    window, columns = objects_one_by_one(images, owner, crops, threshold)
    assert bits(rows.window) == bits(window.astype(np.int64))
    for name, parts in columns.items():
        got = getattr(rows, name)
        assert bits(got) == bits(np.concatenate([got[:0], *parts])), name


@many
@given(scene=detection_scenes(), at_once=st.sampled_from([1, 3, 1 << 14]))
def test_detections_in_many_windows_are_those_of_each_window_bit_for_bit(scene, at_once):
    images, owner, crops = scene
    with mock.patch.object(crop_rows, "ROWS_AT_ONCE", at_once):
        rows = crop_detection_rows(images, owner, windows_of(crops))
    shown = [crop_detections(images[i], crop) for i, crop in zip(owner.tolist(), crops, strict=True)]
    expected = {
        "window": [np.full(len(each.kept), place) for place, each in enumerate(shown)],
        "visibility": [each.visibility for each in shown],
        **{name: [getattr(each.detections, name) for each in shown] for name in ("boxes", "scores", "categories")},
    }
    for name, parts in expected.items():
        got = getattr(rows, name)
        assert bits(got) == bits(np.concatenate([got[:0], *parts])), name


def touches(scene, of_box, of_window):
    images, owner, crops, _ = scene
    return any(
        (images[i].boxes[:, of_box] == getattr(crop, of_window)).any() and getattr(crop, of_window) > 0
        for i, crop in zip(owner.tolist(), crops, strict=True)
    )


def shown(scene):
    images, owner, crops, threshold = scene
    return [crop_truth(images[i], crop, threshold, cut_masks=False) for i, crop in zip(owner, crops, strict=True)]


REACHED = {
    "no image": lambda s: not s[0],
    "an image with objects and without a window": lambda s: len(s[0]) > len({*s[1].tolist()}) > 0 and len(s[0][0]) > 0,
    "an empty image between others": lambda s: [bool(len(s[0][i])) for i in s[1]][:3] == [True, False, True],
    "windows not in the order of the images": lambda s: (np.diff(s[1]) < 0).any(),
    "a box that ends where a window begins": lambda s: touches(s, 2, "left"),
    "a box that begins where a window ends": lambda s: touches(s, 1, "bottom"),
    "an ignored object that shows too little": lambda s: any(
        (each.visibility < s[3]).any() and images.ignored.any()
        for each, images in zip(shown(s), [s[0][i] for i in s[1]], strict=True)
    ),
    "an ignored object that shows enough": lambda s: any(each.truth.ignored.any() for each in shown(s)),
    "an ignored crowd": lambda s: any((each.ignored & each.crowd).any() for each in s[0]),
    "a mask that is hidden though its box shows": lambda s: any(
        len(crop_truth(replace(s[0][i], masks=()), crop)) > len(crop_truth(s[0][i], crop))
        for i, crop in zip(s[1], s[2], strict=True)
    ),
    "a tight box smaller than the clipped box": lambda s: any(
        not np.array_equal(each.tight, each.truth.boxes) for each in shown(s)
    ),
    "masks beside objects without": lambda s: any(
        {mask is None for mask in images.masks} == {True, False} for images in s[0]
    ),
}


@pytest.mark.parametrize("case", REACHED)
def test_the_scenes_reach(case):
    any_will_do = settings(max_examples=5000, deadline=None, phases=[Phase.generate], database=None)
    find(truth_scenes(), lambda scene: bool(REACHED[case](scene)), settings=any_will_do, random=Random(0))


def test_a_window_that_sticks_out_of_a_mask_is_refused_as_for_one_window():
    truth = GroundTruth([[0, 0, 9, 9]], [1], masks=(FULL,))
    with pytest.raises(ValueError, match="sticks out of the image, 9 wide and 9 high"):
        crop_object_rows([truth], np.array([0]), np.array([[5, 0, 12, 9]]), 0.5)


# What the work grows with: counted, not timed.


def scene_of(windows_an_image: int, images: int = 6):
    """Images of 30 boxes each, and windows: (values, owner, windows)."""
    rng = np.random.default_rng(3)
    corner = rng.integers(0, 40, (30, 2))
    boxes = np.concatenate([corner, corner + rng.integers(5, 30, (30, 2))], axis=1)
    owner = np.repeat(np.arange(images), windows_an_image)
    left = rng.integers(0, 20, len(owner))
    return boxes, owner, np.stack([left, left, left + 40, left + 40], axis=1)


@pytest.mark.parametrize("windows_an_image", [1, 8, 64])
def test_each_window_looks_at_the_rows_of_its_own_image_and_no_others(windows_an_image, monkeypatch):
    boxes, owner, windows = scene_of(windows_an_image)
    looked_at = []
    has_sides = crop_rows.has_sides
    monkeypatch.setattr(crop_rows, "has_sides", lambda rows: looked_at.append(len(rows)) or has_sides(rows))
    monkeypatch.setattr(crop_rows, "ROWS_AT_ONCE", 100)
    crop_object_rows([GroundTruth(boxes, [1] * 30)] * 6, owner, windows, 0.5)
    crop_detection_rows([Detections(boxes, [0.5] * 30, [1] * 30)] * 6, owner, windows)
    assert sum(looked_at) == 2 * 30 * len(owner)
    assert max(looked_at) < 100 + 30


def test_only_masks_of_objects_whose_box_shows_are_looked_at_and_each_once_a_window(monkeypatch):
    boxes, owner, windows = scene_of(8)
    calls = Counter()
    overlap = Mask.overlap
    monkeypatch.setattr(Mask, "overlap", lambda *masks: calls.update(masks=1) or overlap(*masks))
    full = Mask.encode(np.ones((80, 80)))
    masks = (full, *[None] * 28, full)
    bare = crop_object_rows([GroundTruth(boxes, [1] * 30)] * 6, owner, windows, 0.5)
    assert not calls
    crop_object_rows([GroundTruth(boxes, [1] * 30, masks=masks)] * 6, owner, windows, 0.5)
    assert calls["masks"] == int(np.isin(bare.ids, [1, 30]).sum()) > 0
