"""Arithmetic on boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cropdet.crops.strategies import boxes as drawn_boxes
from pytest_cropdet.geometry.boxes import (
    FORMATS,
    areas,
    as_boxes,
    clip,
    from_format,
    has_sides,
    iou,
    to_format,
    translate,
    visible_fraction,
)
from tests.geometry.invariants import same
from tests.strategies import framed_boxes, lengths

quick = settings(max_examples=60, deadline=None)
shifts = st.integers(-20, 20)


@given(framed=framed_boxes(), other=framed_boxes(), x=shifts, y=shifts, factor=st.integers(1, 5))
@quick
def test_iou_does_not_change_when_everything_moves_or_grows(framed, other, x, y, factor):
    first, second = framed[2], other[2]
    plain = iou(first, second)
    same(iou(translate(first, x, y), translate(second, x, y)), plain)
    same(iou(first * factor, second * factor), plain)


@given(framed=framed_boxes(), other=framed_boxes())
@quick
def test_iou_is_a_share_the_same_both_ways_and_1_only_for_equal_boxes(framed, other):
    first, second = framed[2], other[2]
    both = iou(first, second)
    assert both.shape == (len(first), len(second))
    same(both, iou(second, first).T)
    assert ((both >= 0) & (both <= 1)).all()
    same(both == 1, (first[:, None] == second[None]).all(axis=2))


@given(framed=framed_boxes(), other=framed_boxes())
@quick
def test_iou_is_what_painted_pixels_share(framed, other):
    def paint(box):
        left, top, right, bottom = (box * 4).astype(int)
        picture = np.zeros((36, 36), bool)
        picture[top:bottom, left:right] = True
        return picture

    expected = [[(paint(a) & paint(b)).sum() / (paint(a) | paint(b)).sum() for b in other[2]] for a in framed[2]]
    same(iou(framed[2], other[2]), np.array(expected).reshape(len(framed[2]), len(other[2])))


def test_boxes_without_area_have_an_iou_of_0_even_with_themselves():
    flat = np.array([[3.0, 3.0, 3.0, 9.0]])
    assert iou(flat, flat).tolist() == [[0.0]]


def test_boxes_that_touch_share_nothing():
    assert iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[2.0, 0.0, 4.0, 2.0]])).tolist() == [[0.0]]


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
@quick
def test_a_format_comes_back_within_2_ulp_of_the_largest_coordinate(name, data):
    boxes = data.draw(drawn_boxes(1000, 700, grid=7, min_count=1))
    tolerance = 2 * np.spacing(boxes.max())
    back = from_format(to_format(boxes, name), name)
    assert (np.abs(back - boxes) <= tolerance).all()
    written = to_format(boxes, name)
    again = to_format(from_format(written, name), name)
    assert (np.abs(again - written) <= tolerance).all()


def test_each_format_puts_its_numbers_where_its_name_says():
    box = np.array([[10.0, 20.0, 13.0, 28.0]])
    written = {name: to_format(box, name)[0].tolist() for name in FORMATS}
    assert written == {
        "xyxy": [10, 20, 13, 28],
        "yxyx": [20, 10, 28, 13],
        "xywh": [10, 20, 3, 8],
        "cxcywh": [11.5, 24, 3, 8],
    }


@given(framed=framed_boxes(), x=shifts, y=shifts)
@quick
def test_moving_there_and_back_changes_nothing(framed, x, y):
    same(translate(translate(framed[2], x, y), -x, -y), framed[2])


@given(framed=framed_boxes(), width=lengths, height=lengths)
@quick
def test_clipping_twice_is_clipping_once_and_keeps_every_row(framed, width, height):
    once = clip(framed[2], width, height)
    assert len(once) == len(framed[2])
    same(clip(once, width, height), once)
    assert (once >= 0).all()
    assert (once <= [width, height, width, height]).all()


def test_a_box_outside_the_frame_keeps_its_row_and_loses_its_sides():
    clipped = clip(np.array([[-5.0, 0.0, -1.0, 3.0], [10.0, 2.0, 12.0, 4.0], [9.5, 0.0, 10.5, 1.0]]), 10, 10)
    assert has_sides(clipped).tolist() == [False, False, True]
    assert areas(clipped).tolist() == [0, 0, 0.5]


def test_a_box_turned_inside_out_has_no_area_not_even_twice_inside_out():
    assert areas(np.array([[4.0, 4.0, 1.0, 1.0], [4.0, 1.0, 1.0, 4.0]])).tolist() == [0, 0]


def test_the_visible_fraction_of_an_uncut_box_is_exactly_1_and_of_one_without_area_0():
    boxes = np.array([[1 / 3, 1 / 7, 2 / 3, 6 / 7], [5.0, 5.0, 5.0, 5.0]])
    assert visible_fraction(boxes, boxes).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("nothing", [[], (), np.zeros((0, 4)), np.zeros(0, np.float32)])
def test_no_boxes_have_shape_0_4(nothing):
    assert as_boxes(nothing).shape == (0, 4)
    for function in (
        lambda b: clip(b, 5, 5),
        lambda b: translate(b, 1, 1),
        *[lambda b, n=n: to_format(b, n) for n in FORMATS],
    ):
        assert function(as_boxes(nothing)).shape == (0, 4)
    assert iou(as_boxes(nothing), np.ones((2, 4))).shape == (0, 2)


@pytest.mark.parametrize("wrong", [[1, 2, 3, 4], [[1, 2, 3]], np.zeros((2, 5)), np.zeros((1, 1, 4))])
def test_boxes_of_another_shape_are_named(wrong):
    with pytest.raises(ValueError, match=r"detections: expected shape \(n, 4\), got"):
        as_boxes(wrong, "detections")
