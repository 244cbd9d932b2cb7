"""The generic recipe: boxes go where the pixels go, in NumPy and in a graph alike."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cropdet.augment import Generic
from pytest_cropdet.data.samples import GroundTruth
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry.masks import Mask
from tests.geometry.invariants import same

NOTHING = {"rotation": 0.0, "shift": 0.0, "shear": 0.0, "zoom": 0.0, "flip": 0.0}
HEIGHT, WIDTH = 60, 80


def picture(seed=0):
    """A smooth picture with four objects, two of them with masks."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3).astype(int)
    boxes = rng.uniform(0, 1, (4, 4)) * [60, 45, 20, 15]
    boxes[:, 2:] += boxes[:, :2]
    masks = np.zeros((4, HEIGHT, WIDTH), bool)
    for row in (0, 1):
        left, top, right, bottom = boxes[row].astype(int)
        masks[row, top : bottom + 1, left : right + 1] = rng.random((bottom - top + 1, right - left + 1)) < 0.6
    coded = tuple(Mask.encode(mask) if mask.any() else None for mask in masks)
    truth = GroundTruth(boxes, [1, 2, 3, 4], crowd=[False, False, False, True], masks=coded)
    return np.clip((smooth - 128) * 4 + 128, 0, 255).astype(np.uint8), truth, masks


def test_nothing_asked_for_changes_nothing():
    image, truth, _ = picture()
    plain = GroundTruth(truth.boxes, truth.categories)
    shown = Generic(**NOTHING)(image, plain, 3)
    same(shown.image, image)
    np.testing.assert_allclose(shown.boxes, truth.boxes, atol=1e-12)
    assert shown.visibility.tolist() == [1.0] * 4
    assert not shown.ignored.any()


def test_a_flip_mirrors_pixels_boxes_and_masks():
    image, truth, masks = picture()
    shown = Generic(**{**NOTHING, "flip": 1.0})(image, truth, 3)
    same(shown.image, image[:, ::-1])
    for row, box in enumerate(shown.boxes):
        if masks[row].any():
            y, x = np.nonzero(masks[row][:, ::-1])
            expected = [x.min(), y.min(), x.max() + 1, y.max() + 1]
        else:
            left, top, right, bottom = truth.boxes[row]
            expected = [WIDTH - right, top, WIDTH - left, bottom]
        np.testing.assert_allclose(box, expected, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(index=st.integers(0, 2**62))
def test_the_moved_box_is_the_tight_one_of_its_moved_pixels_but_for_interpolation(index):
    image = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    image[20:35, 30:55] = 255
    shown = Generic(fill=(0,))(image, GroundTruth([[30, 20, 55, 35]], [1]), index)
    y, x = np.nonzero(shown.image[..., 0] > 2)
    assert shown.kept.size
    tight = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
    assert (np.abs(shown.boxes[0] - tight) <= 1.6).all()


def test_by_corners_an_object_that_leaves_is_ignored_and_then_gone():
    recipe = Generic(**{**NOTHING, "shift": 1.0})
    truth = GroundTruth([[0, 0, 40, HEIGHT]], [1])
    outcomes = set()
    for index in range(80):
        shown = recipe(np.zeros((HEIGHT, WIDTH, 3), np.uint8), truth, index)
        outcomes.add(tuple(shown.ignored))
        if len(shown.boxes):
            side = shown.boxes[0, 2:] - shown.boxes[0, :2]
            np.testing.assert_allclose(shown.visibility[0], side.prod() / (40 * HEIGHT))
            assert shown.ignored[0] == (shown.visibility[0] < 0.5)
    assert outcomes == {(), (True,), (False,)}


@pytest.mark.usefixtures("needs_tensorflow")
@pytest.mark.parametrize("with_masks", [False, True])
def test_the_graph_is_the_numpy_side_to_rounding(with_masks):
    import tensorflow as tf

    from pytest_cropdet.augment import generic_map

    run, recipe = tf.function(generic_map(Generic(rotation=40, shift=0.4))), Generic(rotation=40, shift=0.4)
    ignored_once, gone_once = False, False
    for index in range(25):
        image, truth, masks = picture(index)
        if not with_masks:
            truth = GroundTruth(truth.boxes, truth.categories, crowd=truth.crowd)
        plain = recipe(image, truth, index)
        shown = run(
            tf.constant(image),
            tf.constant(truth.boxes),
            tf.constant(truth.categories),
            tf.constant(index),
            ignored=tf.constant(truth.crowd),
            masks=tf.constant(masks) if with_masks else None,
        )
        pixels, boxes, categories, ignored = (part.numpy() for part in shown)
        rows = np.flatnonzero((categories > 0) | ignored)
        same(rows, plain.kept)
        same(ignored[rows], plain.ignored)
        np.testing.assert_allclose(boxes[rows], plain.boxes, atol=1e-9)
        assert np.abs(pixels.astype(int) - plain.image.astype(int)).max() <= 2
        ignored_once |= bool(plain.ignored[~truth.crowd[plain.kept]].any())
        gone_once |= len(rows) < 4
    assert ignored_once
    assert gone_once


def test_a_mistake_is_named():
    with pytest.raises(SpecError, match=r"Generic: zoom=20 must lie between 0 and 0\.95"):
        Generic(zoom=20)
