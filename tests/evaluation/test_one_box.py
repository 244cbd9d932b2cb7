"""One right box an object: every detection comes out as it does with two, or is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given

from pytest_cropdet.evaluation import Detected, Truth, average_precision, match
from pytest_cropdet.evaluation.coco import one_box as module
from pytest_cropdet.evaluation.coco.one_box import one_box
from tests.evaluation.made import CATEGORIES, IMAGES, sets

CLIPPED, TIGHT = [0.0, 0.0, 100.0, 40.0], [20.0, 0.0, 80.0, 40.0]


def truth(boxes=(CLIPPED,), tight=(TIGHT,), crowd=None):
    count = len(boxes)
    crowd = np.zeros(count, bool) if crowd is None else crowd
    return Truth([0] * count, [7] * count, boxes, [100.0] * count, crowd, [False] * count, tight)


def answers(*boxes, stray=None):
    scores = np.linspace(0.9, 0.5, len(boxes))
    return Detected([0] * len(boxes), [7] * len(boxes), boxes, scores, stray=stray)


def outcomes(given_truth, detected, images=1, categories=(7,), cap=100):
    """Of each detection at each threshold: whether it is counted, right, ignored."""
    found = match(given_truth, detected, images=images, categories=list(categories), max_detections=cap)
    told = np.full((len(detected), 10, 2), -1)
    told[found.rows] = np.stack([found.truth_of().T >= 0, found.ignored().T], axis=2)
    told[..., 0] = np.where(
        told[..., 1] == 1, 2, told[..., 0]
    )  # who matches an ignored region is ignored, as any other
    return told


@pytest.mark.parametrize("box", [CLIPPED, TIGHT])
def test_an_object_keeps_the_box_that_its_detection_fits(box):
    exact = one_box(truth(), answers(box), images=1, categories=[7])
    assert exact.truth.tight is None
    assert exact.truth.boxes.tolist() == [box]
    assert not exact.moved.any()
    assert not exact.apart.any()


def test_truth_without_second_boxes_stays_as_it_is():
    plain = replace(truth(), tight=None)
    exact = one_box(plain, answers(CLIPPED), images=1, categories=[7])
    assert exact.truth is plain


def conflict():
    """The stronger detection fits the clipped box up to 0.85, then the weaker one fits the tight box up to 0.95."""
    return truth(), answers([10.0, 0.0, 100.0, 40.0], [20.0, 0.0, 79.0, 40.0])


def test_a_detection_that_needs_the_other_box_is_moved_with_the_same_overlap():
    two, detected = conflict()
    wanted = outcomes(two, detected)
    assert (wanted[0, :, 0] != wanted[1, :, 0]).all()  # one of them is right at each threshold, never both
    exact = one_box(two, detected, images=1, categories=[7])
    assert exact.moved.sum() == 1
    assert not exact.apart.any()
    assert (outcomes(exact.truth, exact.detected) == wanted).all()
    assert exact.detected.score.tolist() == detected.score.tolist()


def test_what_still_comes_out_otherwise_is_named(monkeypatch):
    two, detected = conflict()
    monkeypatch.setattr(module, "_unfit", lambda *_: [])
    exact = one_box(two, detected, images=1, categories=[7])
    assert exact.apart.any()
    differ = (outcomes(exact.truth, exact.detected) != outcomes(two, detected)).any(axis=(1, 2))
    assert np.array_equal(differ, exact.apart)


def beside_a_region():
    """Moving either detection as the boxes differ would change how much of it lies in the region."""
    region = [121.0, 182.0, 166.0, 208.0]
    clipped, tight = [119.0, 170.0, 176.0, 208.0], [129.0, 170.0, 166.0, 208.0]
    two = truth((clipped, region), (tight, region), np.array([False, True]))
    return two, answers([119.82, 178.63, 168.68, 208.0], [133.41, 172.46, 167.8, 208.0])


def test_a_detection_that_would_meet_a_region_is_moved_another_way(monkeypatch):
    two, detected = beside_a_region()
    exact = one_box(two, detected, images=1, categories=[7])
    assert exact.moved.any()
    assert not exact.apart.any()
    assert (outcomes(exact.truth, exact.detected) == outcomes(two, detected)).all()
    monkeypatch.setattr(module, "_shrunk", module._mapped)
    assert one_box(two, detected, images=1, categories=[7]).apart.any()


@given(sets())
def test_every_detection_comes_out_as_with_both_boxes_or_is_named(made):
    given_truth, detected = made
    shrunk = given_truth.boxes + np.array([16.0, 0.0, -16.0, 0.0])
    whole = (shrunk[:, 2] > shrunk[:, 0]) & ~given_truth.crowd
    two = replace(
        given_truth, ignored=np.zeros(len(given_truth), bool), tight=np.where(whole[:, None], shrunk, given_truth.boxes)
    )
    for cap in (100, 2):
        exact = one_box(two, detected, images=IMAGES, categories=CATEGORIES, max_detections=cap)
        ours = outcomes(exact.truth, exact.detected, IMAGES, CATEGORIES, cap)
        same = (ours == outcomes(two, detected, IMAGES, CATEGORIES, cap)).all(axis=(1, 2))
        assert np.array_equal(~same, exact.apart)


def test_of_many_made_up_detections_hardly_any_is_not_carried():
    rng = np.random.default_rng(4)
    images, per_image = 60, 12
    corner = rng.uniform(0, 200, (images, 2))
    clipped = np.concatenate([corner, corner + rng.uniform(40, 120, (images, 2))], axis=1)
    cut = rng.uniform(0, 0.3, images) * (clipped[:, 2] - clipped[:, 0])
    tight = clipped - np.stack([0 * cut, 0 * cut, cut, 0 * cut], axis=1)
    flat = np.arange(images)
    two = Truth(flat, flat % 3, clipped, [100.0] * images, [False] * images, [False] * images, tight)
    image = np.repeat(flat, per_image)
    right = np.where(rng.random((len(image), 1)) < 0.5, clipped[image], tight[image])
    boxes = np.sort((right + rng.normal(0, 4, right.shape)).reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    detected = Detected(image, image % 3, boxes, rng.random(len(image)), stray=rng.random(len(image)) < 0.2)
    exact = one_box(two, detected, images=images, categories=[0, 1, 2])
    assert exact.moved.sum() > 5
    assert exact.apart.sum() <= 2
    both = average_precision(match(two, detected, images=images, categories=[0, 1, 2]))
    one = average_precision(match(exact.truth, exact.detected, images=images, categories=[0, 1, 2]))
    assert one.mAP == pytest.approx(both.mAP, abs=1e-9 if not exact.apart.any() else 1e-3)
