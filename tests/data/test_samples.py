"""What cannot be detections is refused, with what the numbers probably are."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet import Detections, GroundTruth
from pytest_cropdet.geometry.boxes import to_format

BOXES = np.array([[60.0, 40, 90, 55], [70, 80, 75, 90], [30, 20, 70, 60]])
XYWH = "x y width height: boxes[:, 2:] += boxes[:, :2]"


def refused(boxes, kind=Detections):
    with pytest.raises(ValueError, match="boxes: row") as caught:
        kind(boxes, [0.5] * len(boxes), [1] * len(boxes)) if kind is Detections else kind(boxes, [1] * len(boxes))
    return str(caught.value)


@pytest.mark.parametrize("kind", [Detections, GroundTruth])
def test_corners_out_of_order_are_refused_with_row_count_and_the_likely_format(kind):
    text = refused(to_format(BOXES, "xywh"), kind)
    assert "row 0 is 60 40 30 15, so x1 < x0 and y1 < y0 (2 of 3 rows)" in text
    assert "a box is x0 y0 x1 y1 in pixels" in text
    assert f"These numbers fit {XYWH}" in text
    assert "0 to 1" not in text


def test_what_the_message_says_makes_the_boxes_right():
    text = refused(to_format(BOXES, "xywh"))
    boxes = to_format(BOXES, "xywh")
    exec(text.partition("height: ")[2].partition(" makes")[0], {"boxes": boxes})
    np.testing.assert_array_equal(boxes, BOXES)
    swapped = BOXES[:, [2, 3, 0, 1]]
    assert "x1 y1 x0 y0: boxes[:, [2, 3, 0, 1]] is in order" in refused(swapped)
    upwards = BOXES[:, [0, 3, 2, 1]]
    assert "corners with y swapped: boxes[:, [0, 3, 2, 1]] is in order" in refused(upwards)
    centred = refused(to_format(BOXES, "cxcywh"))
    assert "centre's x y, width height: pytest_cropdet.geometry.boxes.from_format(boxes, 'cxcywh')" in centred


def test_normalised_sizes_are_said_to_be_small():
    text = refused(to_format(BOXES / 100, "xywh"))
    assert XYWH in text
    assert "multiply x by the picture's width and y by its height" in text


def test_one_wrong_row_of_many_is_no_other_format():
    rows = np.concatenate([np.tile(BOXES, (4, 1)), [[9.0, 9, 4, 12]]])
    text = refused(rows)
    assert "row 12 is 9 9 4 12, so x1 < x0 (1 of 13 rows)" in text
    assert "Most rows are in order: leave out the others" in text
    assert "width height" not in text


def test_numbers_that_fit_nothing_are_not_given_a_name():
    assert "They fit no other format" in refused(np.array([[-9.0, 5, -20, 2], [5, 5, -1, 9], [5, 5, 9, 9]]))


def test_boxes_without_width_or_height_are_legal_and_rounding_turns_none_inside_out():
    for box in ([5, 5, 5, 9], [5, 5, 9, 5], [5, 5, 5, 5], [-3, 0, -3, 0]):
        assert Detections([box], [0.5], [1]).boxes.tolist() == [box]
    noisy = Detections([[4000.0002, 5, 4000, 9]], [0.5], [1]).boxes
    assert noisy.tolist() == [[4000.0002, 5, 4000.0002, 9]]


@pytest.mark.parametrize(
    ("boxes", "hint"),
    [
        ([1.0, 2, 3, 4], "one box? write [[x0, y0, x1, y1]]"),
        (np.ones((1, 7, 4)), "a batch of one? boxes[0]"),
        (np.ones((4, 7)), "boxes.T has one row per box"),
        (np.ones((7, 6)), "boxes[:, :4] are the boxes"),
        (np.ones((7, 3)), "got (7, 3)"),
    ],
)
def test_boxes_of_another_shape_are_named(boxes, hint):
    with pytest.raises(ValueError, match="expected shape \\(n, 4\\)") as caught:
        Detections(boxes, np.ones(7), np.ones(7))
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("name", "values", "hint"),
    [
        ("scores", [2.5, -1.0], "row 0 is 2.5, must lie between 0 and 1 (logits? apply a sigmoid or softmax first)"),
        ("scores", [95.5, 4.0], "(percent? divide by 100; logits? apply a sigmoid or softmax)"),
        ("scores", [3.0, 1.0], "(are these the categories?)"),
        ("scores", [[0.5], [0.5]], "got (2, 1) (one dimension too many? numpy.ravel(scores) has one)"),
        ("scores", np.ones((2, 9)), "got (2, 9) (one column per category? scores.max(axis=1)"),
        ("categories", [0.9, 0.8], "row 0 is 0.9, which is no whole number (are these the scores?)"),
        ("categories", [1.0, 7.5], "row 1 is 7.5, which is no whole number"),
        ("categories", [1.0, np.nan], "row 1 is nan, which is no whole number"),
        ("categories", ["car", "dog"], "row 0 is 'car', must be a number, not text; give the detector an attribute"),
        ("categories", np.ones((2, 9)), "categories.argmax(axis=1)"),
    ],
)
def test_columns_that_cannot_be_are_named(name, values, hint):
    given = {"scores": [0.5, 0.5], "categories": [1, 1], name: values}
    with pytest.raises(ValueError, match=rf"^{name}: ") as caught:
        Detections(BOXES[:2], **given)
    assert hint in str(caught.value)


def test_categories_as_floats_and_scores_with_the_noise_of_float32_are_as_good():
    found = Detections(BOXES[:2], np.float32([1.0000001, -1e-8]), np.float32([3, 7]))
    assert (found.scores.tolist(), found.categories.tolist()) == ([1.0, 0.0], [3, 7])
    assert not found.scores.flags.writeable
