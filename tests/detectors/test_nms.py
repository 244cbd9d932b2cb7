"""Suppression of duplicates, against known cases and a plain double loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cropdet.detectors.nms import suppress
from pytest_cropdet.geometry.boxes import iou


def kept(boxes: list[list[float]], scores: list[float], categories: list[int] | None = None, **how: float) -> list[int]:
    numbers = np.array(categories or [1] * len(boxes), dtype=np.int64)
    return suppress(np.array(boxes, dtype=float), np.array(scores), numbers, **how).tolist()  # type: ignore[arg-type]


def by_a_double_loop(boxes: np.ndarray, scores: np.ndarray, categories: np.ndarray, max_iou: float) -> list[int]:
    found: list[int] = []
    for row in sorted(range(len(scores)), key=lambda row: (-scores[row], row)):
        rivals = [k for k in found if categories[k] == categories[row]]
        if all(iou(boxes[row : row + 1], boxes[k : k + 1])[0, 0] <= max_iou for k in rivals):
            found.append(row)
    return found


def test_the_better_of_two_that_overlap_remains() -> None:
    assert kept([[0, 0, 10, 10], [0, 0, 10, 9]], [0.5, 0.9], max_iou=0.5) == [1]


def test_categories_do_not_suppress_one_another() -> None:
    assert kept([[0, 0, 10, 10], [0, 0, 10, 10]], [0.5, 0.9], [1, 2], max_iou=0.5) == [1, 0]


def test_an_overlap_of_exactly_the_limit_remains_and_one_above_goes() -> None:
    half = [[0, 0, 10, 10], [0, 0, 10, 5]]
    assert kept(half, [0.9, 0.8], max_iou=0.5) == [0, 1]
    assert kept(half, [0.9, 0.8], max_iou=0.4999) == [0]


def test_what_a_suppressed_box_overlaps_is_not_suppressed_by_it() -> None:
    chain = [[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]]
    assert kept(chain, [0.9, 0.8, 0.7], max_iou=0.4) == [0, 2]


def test_of_equal_scores_the_earlier_row_remains() -> None:
    assert kept([[0, 0, 10, 10]] * 3, [0.7, 0.7, 0.7], max_iou=0.5) == [0]
    apart = [[20 * k, 0, 20 * k + 10, 10] for k in range(4)]
    assert kept(apart, [0.5, 0.7, 0.5, 0.7], max_iou=0.5) == [1, 3, 0, 2]


def test_the_best_are_kept_where_only_some_may_be() -> None:
    apart = [[20 * k, 0, 20 * k + 10, 10] for k in range(4)]
    assert kept(apart, [0.1, 0.4, 0.2, 0.3], max_iou=0.5, most=2) == [1, 3]


def test_a_limit_of_one_keeps_everything_and_one_of_zero_all_that_do_not_touch() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 10], [9, 9, 19, 19], [10, 0, 20, 10]]
    assert kept(boxes, [0.9, 0.8, 0.7, 0.6], max_iou=1) == [0, 1, 2, 3]
    assert kept(boxes, [0.9, 0.8, 0.7, 0.6], max_iou=0) == [0, 3]


def test_boxes_without_area_stay_and_nothing_stays_nothing() -> None:
    assert kept([[5, 5, 5, 5], [5, 5, 5, 5]], [0.9, 0.8], max_iou=0.5) == [0, 1]
    assert suppress(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), 0.5).shape == (0,)


corners = st.lists(st.tuples(*[st.integers(0, 12)] * 4, st.integers(0, 4), st.integers(1, 3)), max_size=30)


@given(rows=corners, percent=st.sampled_from([0, 25, 50, 75, 100]), stretch=st.sampled_from([0.25, 1.0, 8.0]))
def test_it_equals_a_double_loop_in_every_frame(rows: list[tuple[int, ...]], percent: int, stretch: float) -> None:
    table = np.array(rows, dtype=float).reshape(-1, 6)
    boxes = np.concatenate([np.minimum(table[:, :2], table[:, 2:4]), np.maximum(table[:, :2], table[:, 2:4])], axis=1)
    scores, categories = table[:, 4] / 4, table[:, 5].astype(np.int64)
    wanted = by_a_double_loop(boxes, scores, categories, percent / 100)
    assert suppress(boxes, scores, categories, percent / 100).tolist() == wanted
    stretched = boxes * [stretch, 1, stretch, 1]
    assert suppress(stretched, scores, categories, percent / 100).tolist() == wanted
    for most in (0, 1, 5):
        assert suppress(boxes, scores, categories, percent / 100, most).tolist() == wanted[:most]


@pytest.mark.parametrize("anchors", [9600])
def test_many_candidates_are_suppressed_in_time_that_an_image_can_bear(anchors: int) -> None:
    generator = np.random.default_rng(0)
    low = generator.uniform(0, 300, (anchors * 8, 2))
    boxes = np.concatenate([low, low + generator.uniform(5, 60, low.shape)], axis=1)
    rows = suppress(boxes, generator.random(len(low)), generator.integers(0, 8, len(low)), 0.6, most=100)
    assert len(rows) == 100
