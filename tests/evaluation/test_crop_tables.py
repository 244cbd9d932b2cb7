"""The tables of all crops at once: bit for bit those of the small values, crop by crop, and at what they cost."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cropdet.crops import Plan
from pytest_cropdet.crops.strategies import crops, detections, ground_truths
from pytest_cropdet.data import Detections, GroundTruth, crop_detections, crop_truth
from pytest_cropdet.evaluation import CropIndex, average_precision, build_detected, build_objects, match
from pytest_cropdet.geometry import Crop
from tests.data.test_crop_rows import bits
from tests.strategies import thresholds
from tests.support import sample

WIDTH, HEIGHT = 9, 7


@st.composite
def scenes(draw: st.DrawFn):
    """An index of images with their windows, answers to the images and to the crops, and a threshold."""
    images, windows = [], {}
    for number in range(draw(st.integers(1, 3))):
        truth = draw(ground_truths(WIDTH, HEIGHT, masks=draw(st.booleans())))
        ignored = draw(st.lists(st.booleans(), min_size=len(truth), max_size=len(truth)))
        truth = GroundTruth(truth.boxes, truth.categories, truth.ids, truth.crowd, truth.areas, truth.masks, ignored)
        checked = draw(st.none() | st.frozensets(st.integers(1, 3)))
        images.append(replace(sample(number, truth, WIDTH, HEIGHT), checked=checked))
        windows[images[-1].id] = tuple(draw(st.lists(crops(WIDTH, HEIGHT), max_size=3)))
    index = CropIndex.of(images, Plan("x", 0, "random", windows))
    answers = detections(WIDTH, HEIGHT, grid=7, beyond=3)
    whole, seen = [draw(answers) for _ in images], [draw(answers) for _ in index.crops]
    return index, whole, seen, draw(thresholds)


def joined(like, parts):
    return np.concatenate([like[:0], *parts])


@settings(max_examples=100, deadline=None)
@given(scene=scenes())
def test_objects_are_those_of_each_crop(scene):
    index, _, _, threshold = scene
    got = build_objects(index, threshold)
    cropped = [
        crop_truth(index.samples[unit].truth, crop, threshold, cut_masks=False)
        for unit, crop in zip(index.unit, index.crops, strict=True)
    ]
    scored = joined(got.scored, [each.scored for each in cropped])
    ignored = joined(got.scored, [each.truth.ignored & ~each.truth.crowd for each in cropped])
    for column, parts in (
        (got.truth.image, [np.full(len(each), place) for place, each in enumerate(cropped)]),
        (got.truth.category, [each.truth.categories for each in cropped]),
        (got.truth.boxes, [each.truth.boxes for each in cropped]),
        (got.truth.area, [each.truth.areas for each in cropped]),
        (got.truth.crowd, [~(scored | ignored)]),
        (got.truth.ignored, [ignored]),
        (got.truth.tight, [each.tight for each in cropped]),
        (got.scored, [scored]),
        (got.annotation, [each.truth.ids for each in cropped]),
        (got.visibility, [each.visibility for each in cropped]),
    ):
        assert bits(column) == bits(joined(column, parts))


@pytest.mark.parametrize("given_as", ["whole", "image", "window"])
@settings(max_examples=80, deadline=None)
@given(scene=scenes())
def test_detections_are_those_of_each_crop(scene, given_as):
    index, whole, seen, threshold = scene
    if given_as == "whole":
        got = build_detected(index, whole, threshold, whole=True)
    else:
        got = build_detected(index, seen, threshold, frame=given_as)
    cropped, checked = [], []
    for place, (unit, crop) in enumerate(zip(index.unit, index.crops, strict=True)):
        window = Crop(0, 0, crop.width, crop.height) if given_as == "window" else crop
        cropped.append(crop_detections(whole[unit] if given_as == "whole" else seen[place], window))
        ids = index.samples[unit].checked
        checked.append([ids is None or key in ids for key in cropped[-1].detections.categories.tolist()])
    stray = [
        (each.visibility < threshold) | ~np.array(known, dtype=bool)
        for each, known in zip(cropped, checked, strict=True)
    ]
    for column, parts in (
        (got.image, [np.full(len(each.kept), place) for place, each in enumerate(cropped)]),
        (got.category, [each.detections.categories for each in cropped]),
        (got.boxes, [each.detections.boxes for each in cropped]),
        (got.score, [each.detections.scores for each in cropped]),
        (got.stray, stray),
    ):
        assert bits(column) == bits(joined(column, parts))


def python_calls(work) -> int:
    """How many Python functions run in a piece of work."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("step", ["objects", "whole", "window", "match", "ap"])
def test_more_crops_of_the_images_call_no_more_functions(step):
    """All crops go through the same array operations: nothing is done crop by crop."""
    boxes = [[10.0 * i, 5.0, 10.0 * i + 15, 30.0] for i in range(10)]
    truth, found = GroundTruth(boxes, [1] * 10), Detections(boxes, np.linspace(0.9, 0.1, 10), [1] * 10)
    images = [sample(number, truth) for number in range(5)]

    def calls(crops: int) -> int:
        windows = {image.id: (Crop(0, 0, 120, 90),) * crops for image in images}
        index = CropIndex.of(images, Plan("x", 0, "random", windows))
        objects = build_objects(index, 0.5).truth
        table = build_detected(index, [found] * len(index), 0.5)
        matches = match(objects, table, images=len(index), categories=[1])
        return python_calls(
            {
                "objects": lambda: build_objects(index, 0.5),
                "whole": lambda: build_detected(index, [found] * 5, 0.5, whole=True),
                "window": lambda: build_detected(index, [found] * len(index), 0.5),
                "match": lambda: match(objects, table, images=len(index), categories=[1]),
                "ap": lambda: average_precision(matches),
            }[step]
        )

    calls(4)  # what is done once in a process
    assert calls(4) == calls(40) > 0
