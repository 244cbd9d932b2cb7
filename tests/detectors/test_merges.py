"""Merged answers: each rule against its public namesake, and what the seam rule does at seams."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cropdet.detectors import merges
from pytest_cropdet.detectors.merges import MERGES, OPEN_TRUST, Pieces, Rule, merge_pieces
from pytest_cropdet.errors import SpecError

# What SAHI 0.12.8 and ensemble-boxes 1.0.9 returned for these boxes at an overlap of 0.4. One image on which SAHI's
# `nmm` differs, because it joins in the order of tiles, is left out (benchmarks/merges.py counts them).
CASES = json.loads(Path(__file__).with_name("merges.json").read_text(encoding="utf-8"))


def pieces(boxes, scores, categories=None, tiles=None, ends=None):
    count = len(scores)
    return Pieces(
        np.array(boxes, dtype=np.float64).reshape(-1, 4),
        np.array(scores, dtype=np.float64),
        np.ones(count, np.int64) if categories is None else np.array(categories),
        np.zeros(count, np.int64) if tiles is None else np.array(tiles),
        np.zeros((count, 4), bool) if ends is None else np.array(ends, dtype=bool),
    )


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{place}-{case['merge']}-{case['metric']}" for place, case in enumerate(CASES)]
)
def test_a_rule_returns_what_its_namesake_does(case):
    found = merge_pieces(
        pieces(case["boxes"], case["scores"], case["categories"]), Rule(case["merge"], 0.4, case["metric"])
    )
    rows = [
        [*boxes, score, category]
        for boxes, score, category in zip(
            found.boxes.tolist(), found.scores.tolist(), found.categories.tolist(), strict=True
        )
    ]
    assert np.allclose(sorted(rows), case["expected"], atol=2e-3)  # wbf is float32 there
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.usefixtures("needs_tensorflow")
def test_soft_nms_is_tensorflows():
    import tensorflow as tf

    for seed in range(5):
        rng = np.random.default_rng(seed)
        corner, sides = rng.uniform(0, 60, (8, 2)), rng.uniform(20, 60, (8, 2))
        boxes, scores = np.concatenate([corner, corner + sides], axis=1), rng.uniform(0.1, 1, 8)
        found = merge_pieces(pieces(boxes, scores), Rule("soft-nms", 0.5, "iou"))
        rows, expected = tf.image.non_max_suppression_with_scores(
            boxes[:, [1, 0, 3, 2]], scores, 8, 1.0, 0.001, soft_nms_sigma=0.25
        )
        assert np.allclose(found.scores, expected, atol=1e-5)
        assert np.array_equal(found.boxes, boxes[rows.numpy()])


cases = st.lists(
    st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(1, 60), st.integers(1, 60), st.floats(0.01, 1)),
    max_size=12,
)


@given(cases, st.sampled_from(sorted(MERGES)), st.sampled_from(["iou", "ios"]))
def test_no_rule_invents_a_place_or_a_score(found, name, metric):
    boxes = [[x, y, x + w, y + h] for x, y, w, h, _ in found]
    merged = merge_pieces(pieces(boxes, [each[-1] for each in found]), Rule(name, 0.5, metric))
    assert len(merged) <= len(found)
    assert bool(len(merged)) == bool(found)
    if found:
        assert merged.scores.max() == max(each[-1] for each in found)
        outer = np.array(boxes)
        assert (merged.boxes[:, :2] >= outer[:, :2].min(axis=0) - 1e-9).all()
        assert (merged.boxes[:, 2:] <= outer[:, 2:].max(axis=0) + 1e-9).all()


LEFT, TOP, RIGHT, BOTTOM = np.eye(4, dtype=bool)
NONE = np.zeros(4, dtype=bool)
SEAM = Rule("seam", 0.5, "iou")


def test_halves_on_both_sides_of_a_seam_become_one_box():
    halves = pieces([[50, 10, 100, 40], [100, 11, 140, 41]], [0.8, 0.6], tiles=[0, 1], ends=[RIGHT, LEFT])
    found = merge_pieces(halves, SEAM)
    assert found.boxes.tolist() == [[50, 10, 140, 41]]
    assert found.scores.tolist() == [0.8]
    assert len(merge_pieces(halves, Rule("nms", 0.5, "iou"))) == 2  # a rule that does not know of seams keeps both


def test_quarters_around_a_corner_become_one_box():
    quarters = [[50, 50, 100, 100], [100, 50, 150, 100], [50, 100, 100, 150], [100, 100, 150, 150]]
    ends = [RIGHT | BOTTOM, LEFT | BOTTOM, RIGHT | TOP, LEFT | TOP]
    found = merge_pieces(pieces(quarters, [0.9, 0.8, 0.7, 0.6], tiles=[0, 1, 2, 3], ends=ends), SEAM)
    assert found.boxes.tolist() == [[50, 50, 150, 150]]
    assert found.scores.tolist() == [0.9]


def test_a_piece_of_a_complete_box_is_left_out_even_if_it_scores_higher():
    found = merge_pieces(
        pieces([[50, 10, 100, 40], [50, 10, 140, 40]], [0.9, 0.5], tiles=[0, -1], ends=[RIGHT, NONE]), SEAM
    )
    assert found.boxes.tolist() == [[50, 10, 140, 40]]


def test_a_piece_that_nothing_completes_is_trusted_less():
    found = merge_pieces(pieces([[50, 10, 100, 40]], [0.8], ends=[RIGHT]), SEAM)
    assert found.scores.tolist() == [0.8 * OPEN_TRUST]


def test_neighbours_that_do_not_face_each_other_stay_two():
    beside = pieces([[50, 10, 100, 40], [100, 60, 140, 90]], [0.8, 0.6], tiles=[0, 1], ends=[RIGHT, LEFT])
    assert len(merge_pieces(beside, SEAM)) == 2
    same_way = pieces([[50, 10, 100, 40], [60, 10, 100, 40]], [0.8, 0.6], tiles=[0, 0], ends=[RIGHT, RIGHT])
    assert merge_pieces(same_way, Rule("none", 0.5, "iou")).boxes[:, 2].tolist() == [100.0] * 2
    assert merge_pieces(same_way, SEAM).boxes.tolist() == [[50, 10, 100, 40]]  # doubles of one piece are one


def test_categories_are_merged_by_themselves():
    two = pieces([[0, 0, 10, 10], [0, 0, 10, 10]], [0.9, 0.8], categories=[1, 2])
    for name in MERGES:
        assert sorted(merge_pieces(two, Rule(name, 0.5, "iou")).categories.tolist()) == [1, 2]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (("max", 0.5, "iou"), "unknown merge 'max'; choose from none, nms"),
        (("nms", 0.0, "iou"), "iou must be above 0"),
        (("nms", 0.5, "giou"), "metric must be iou or ios"),
    ],
)
def test_what_is_no_rule_is_refused(rule, words):
    with pytest.raises(SpecError, match=words):
        Rule(*rule)


@pytest.mark.parametrize("at_once", [(1, 1_000_000), (3, 1_000_000), (128, 40), (128, 1_000_000)])
@pytest.mark.parametrize("metric", ["iou", "ios"])
def test_nms_in_blocks_is_nms_box_by_box(monkeypatch, at_once, metric):
    monkeypatch.setattr(merges, "NMS_ROWS", at_once[0])
    monkeypatch.setattr(merges, "NMS_PAIRS", at_once[1])
    rng = np.random.default_rng(7)
    for count in (0, 1, 2, 40):
        corner = rng.integers(0, 60, (count, 2))
        boxes = np.concatenate([corner, corner + rng.integers(0, 40, (count, 2))], axis=1).astype(np.float64)
        shown = pieces(boxes, np.sort(rng.random(count))[::-1])
        alive, expected = set(range(count)), []
        for row in range(count):
            if row in alive:
                alive.discard(row)
                taken = [
                    other
                    for other in sorted(alive)
                    if merges.overlaps_of(boxes[[row]], boxes[[other]], metric)[0, 0] >= 0.4
                ]
                alive -= set(taken)
                expected.append((row, taken))
        found = merges._greedy_groups(shown, Rule("nms", 0.4, metric))
        assert [(row, taken.tolist()) for row, taken in found] == expected
