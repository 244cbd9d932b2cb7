"""Each rule of COCO's evaluation in the smallest set that shows it."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet.evaluation import (
    COCO_AREA_RANGES,
    COCO_THRESHOLDS,
    RECALL_POINTS,
    Detected,
    Truth,
    average_precision,
    coco_summary,
    match,
)
from pytest_cropdet.evaluation.coco.matching import _stable_order
from tests.evaluation import oracle
from tests.evaluation.made import benchmark, detections_at, objects_at

A, B, FAR = [0, 0, 100, 100], [0, 0, 100, 90], [300, 300, 400, 400]


def truth_of(truth: Truth, detected: Detected, threshold: float = 0.5, **options: int) -> list[int]:
    """The truth row of each detection, in the order of the detections."""
    matches = match(truth, detected, images=2, categories=[1], thresholds=[threshold], **options)
    result = np.full(len(detected), -9)
    result[matches.rows] = matches.truth_of()[0]
    return result.tolist()


def test_of_two_objects_with_equal_iou_the_last_is_taken():
    truth = objects_at([0, 0, 0], [A, A, FAR])
    assert truth_of(truth, detections_at([0], [A], [0.9])) == [1]
    assert truth_of(truth, detections_at([0, 0], [A, B], [0.8, 0.9])) == [0, 1]


def test_more_groups_of_image_and_category_than_16_bits_count():
    """Images 1 and 65,537 have the same low 16 bits; so have their keys in each category."""
    far = [65_537, 1, 131_073, 1]
    truth, detected = objects_at(far, [A, B, A, A]), detections_at(far, [A, B, A, A], [0.9, 0.8, 0.7, 0.6])
    matches = match(truth, detected, images=131_074, categories=[1], thresholds=[0.5], max_detections=1)
    found = np.full(4, -9)
    found[matches.rows] = matches.truth_of()[0]
    assert found.tolist() == [0, 1, 2, -9]
    matches = match(truth, detected, images=131_074, categories=[1], thresholds=[0.95])
    assert matches.truth_of()[0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("bound", [2**16 - 1, 2**16, 2**32 + 5])
def test_keys_of_any_size_are_sorted_and_equal_ones_stay_in_order(bound):
    key = np.random.default_rng(bound).integers(0, bound, 500) // 7 * 7
    key[::3] = key[1]
    assert _stable_order(key, bound).tolist() == np.argsort(key, kind="stable").tolist()


@pytest.mark.parametrize(("less", "matched"), [(0.0, 0), (1e-11, 0), (1e-9, -1)])
def test_iou_1_is_what_is_within_1e_10_of_it_as_in_pycocotools(less, matched):
    box = [0, 0, 100, 100 * (1 - less)]
    assert truth_of(objects_at([0], [A]), detections_at([0], [box], [0.9]), 1.0) == [matched]


def test_the_higher_score_chooses_first_and_the_rest_take_what_is_left():
    truth = objects_at([0, 0], [A, B])
    assert truth_of(truth, detections_at([0, 0], [A, A], [0.8, 0.9])) == [1, 0]
    assert truth_of(truth, detections_at([0, 0], [A, A], [0.8, 0.9]), threshold=0.95) == [-1, 0]


def test_of_equal_scores_the_earlier_row_chooses_first():
    truth = objects_at([0], [A])
    assert truth_of(truth, detections_at([0, 0], [B, A], [0.9, 0.9])) == [0, -1]


def test_a_chain_of_displaced_wishes_is_followed_to_its_end():
    steps = [[10.0 * i, 0, 100 + 10.0 * i, 100] for i in range(6)]
    truth = objects_at([0] * 6, steps)
    between = [[s[0] + 4, 0, s[2] + 4, 100] for s in steps]
    detected = detections_at([0] * 6, [between[0]] * 6, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    assert truth_of(truth, detected) == [0, 1, 2, 3, -1, -1]


def test_a_crowd_takes_any_number_over_the_detections_area():
    truth = objects_at([0, 0], [A, FAR], crowd=[True, False])
    small = [10, 10, 30, 30]
    matches = match(truth, detections_at([0] * 3, [small] * 3, [0.9, 0.8, 0.7]), images=1, categories=[1])
    assert (matches.truth_of() == 0).all()
    assert matches.ignored().all()


def test_a_scored_object_goes_before_a_crowd_that_fits_better():
    truth = objects_at([0, 0], [A, B], crowd=[True, False])
    assert truth_of(truth, detections_at([0], [A], [0.9])) == [1]


def test_an_ignored_object_takes_one_detection_and_hides_it():
    truth = objects_at([0], [A], ignored=[True])
    matches = match(truth, detections_at([0, 0], [A, A], [0.9, 0.8]), images=1, categories=[1], thresholds=[0.5])
    assert matches.truth_of().tolist() == [[0, -1]]
    assert matches.ignored().tolist() == [[True, False]]


@pytest.mark.parametrize(("side", "sizes"), [(31, "s"), (32, "sm"), (33, "m"), (95, "m"), (96, "ml"), (97, "l")])
def test_both_ends_of_an_area_range_belong_to_it(side, sizes):
    box = [0, 0, side, side]
    matches = match(
        objects_at([0], [box]),
        detections_at([0], [box], [0.9]),
        images=1,
        categories=[1],
        area_ranges=COCO_AREA_RANGES,
    )
    numbers = coco_summary(matches)
    assert "".join(size for size in "sml" if not np.isnan(numbers["AP" + size])) == sizes


def test_the_cap_counts_within_an_image_and_category():
    """A cap of 2 leaves two detections in each image and each category, those of highest score."""
    truth = objects_at([0] * 2, [A, A], category=[1, 2])
    detected = detections_at(
        [0] * 6, [FAR, A, FAR, FAR, A, FAR], [0.5, 0.7, 0.9, 0.4, 0.2, 0.3], category=[1, 1, 1, 2, 2, 2]
    )
    matches = match(truth, detected, images=1, categories=[1, 2], max_detections=2)
    assert sorted(matches.rows.tolist()) == [1, 2, 3, 5]
    assert average_precision(matches).values[0].round(2).tolist() == [0.5, 0.0]
    assert average_precision(match(truth, detected, images=1, categories=[1, 2])).values[0, 1] > 0.3


@pytest.mark.parametrize(
    ("found", "objects", "points"),
    [
        (7, 25, 29),  # recall 0.28 reaches the point 0.28, which in float32 lies above it
        (7, 20, 35),  # recall 0.35 does not reach the point 35 * 0.01, which lies a last bit above it
    ],
)
def test_recall_points_are_compared_in_float64(found, objects, points):
    truth = objects_at([0] * objects, [[200 * i, 0, 200 * i + 100, 100] for i in range(objects)])
    detected = detections_at([0] * found, truth.boxes[:found].tolist(), [0.9] * found)
    matches = match(truth, detected, images=1, categories=[1])
    assert average_precision(matches).values[0, 0] * 101 == pytest.approx(points)
    theirs = oracle.precision_of(oracle.pycocotools(truth, detected, 1, [1]))
    np.testing.assert_allclose(average_precision(matches).values, theirs, rtol=0, atol=1e-12)


def test_thresholds_are_those_of_pycocotools_to_the_last_bit():
    run = oracle.pycocotools(objects_at([0], [A]), detections_at([0], [A], [0.9]), 1, [1])
    assert COCO_THRESHOLDS.tolist() == run.params.iouThrs.tolist()
    assert RECALL_POINTS.tolist() == run.params.recThrs.tolist()


def test_a_stray_detection_counts_only_where_it_finds_a_scored_object():
    truth = objects_at([0], [A])
    detected = detections_at([0, 0, 0], [FAR, B, FAR], [0.9, 0.8, 0.7], stray=[True, True, False])
    matches = match(truth, detected, images=1, categories=[1], thresholds=[0.5, 0.95])
    assert matches.ignored().tolist() == [[True, False, False], [True, True, False]]
    assert average_precision(matches).values[:, 0].round(9).tolist() == [1.0, 0.0]


def test_a_realistic_set_with_stray_detections_gives_pycocotools_numbers():
    truth, detected = benchmark().synthetic(60, seed=5)
    stray = np.random.default_rng(0).random(len(detected)) < 0.3
    detected = Detected(detected.image, detected.category, detected.boxes, detected.score, stray=stray)
    categories = list(range(1, 81))
    ours = coco_summary(match(truth, detected, images=60, categories=categories, area_ranges=COCO_AREA_RANGES))
    theirs = oracle.twelve(truth, detected, 60, categories)
    np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=0, atol=1e-12)


def test_a_category_without_scored_objects_is_undefined_and_in_no_mean():
    truth = objects_at([0, 0], [A, A], category=[1, 2], crowd=[False, True])
    detected = detections_at([0, 0, 0], [A, A, A], [0.9, 0.8, 0.7], category=[1, 2, 3])
    found = average_precision(match(truth, detected, images=1, categories=[1, 2, 3]))
    assert np.isnan(found.values).tolist() == [[False, True, True]] * 10
    assert found.mAP == pytest.approx(1.0)
    assert found.mean(categories=[True, False, True]) == pytest.approx(1.0)
    assert np.isnan(found.mean(categories=[False, True, True]))


def test_nothing_at_all_is_undefined():
    nothing = match(objects_at([], []), detections_at([], [], []), images=0, categories=[1])
    assert np.isnan(average_precision(nothing).mAP)
    assert np.isnan(
        list(
            coco_summary(
                match(
                    objects_at([], []),
                    detections_at([0], [A], [0.5]),
                    images=2,
                    categories=[1],
                    area_ranges=COCO_AREA_RANGES,
                )
            ).values()
        )
    ).all()


def test_objects_without_detections_have_an_ap_of_zero():
    matches = match(objects_at([1], [A]), detections_at([], [], []), images=2, categories=[1])
    assert average_precision(matches).mAP == 0.0


def test_other_categories_are_left_out():
    truth = objects_at([0, 0], [A, A], category=[1, 77])
    detected = detections_at([0, 0], [A, A], [0.9, 0.8], category=[1, 77])
    matches = match(truth, detected, images=1, categories=[5, 1])
    assert matches.rows.tolist() == [0]
    np.testing.assert_array_equal(average_precision(matches).per_category.round(9), [np.nan, 1.0])


def test_the_order_of_images_in_the_table_does_not_matter():
    truth, detected = benchmark().synthetic(40, seed=1)
    order = np.random.default_rng(1).permutation(len(detected))
    shuffled = Detected(detected.image[order], detected.category[order], detected.boxes[order], detected.score[order])
    categories = list(range(1, 81))
    first = average_precision(match(truth, detected, images=40, categories=categories)).values
    second = average_precision(match(truth, shuffled, images=40, categories=categories)).values
    np.testing.assert_array_equal(first, second)


def test_many_pairs_are_matched_in_blocks_alike(monkeypatch):
    truth, detected = benchmark().synthetic(30, seed=2)
    categories = list(range(1, 81))
    whole = match(truth, detected, images=30, categories=categories)
    monkeypatch.setattr("pytest_cropdet.evaluation.coco.matching.PAIRS_AT_ONCE", 7)
    blocks = match(truth, detected, images=30, categories=categories)
    np.testing.assert_array_equal(whole.truth_of(), blocks.truth_of())


CUT = [0.0, 0.0, 60.0, 100.0]  # what is left of a box in the window
VISIBLE = [0.0, 20.0, 45.0, 80.0]  # what is left of the object


def test_with_either_box_clipped_and_tight_detectors_are_both_perfect():
    images = [0, 1, 2]
    clipped = detections_at(images, [CUT] * 3, [0.9, 0.8, 0.7])
    tight = detections_at(images, [VISIBLE] * 3, [0.9, 0.8, 0.7])

    def score(truth: Truth, detected: Detected) -> float:
        return average_precision(match(truth, detected, images=3, categories=[1])).mAP

    either = objects_at(images, [CUT] * 3, tight=[VISIBLE] * 3)
    assert score(either, clipped) == pytest.approx(1.0)
    assert score(either, tight) == pytest.approx(1.0)
    assert score(objects_at(images, [CUT] * 3), tight) == 0.0
    assert score(objects_at(images, [VISIBLE] * 3), clipped) == 0.0


def test_either_box_does_not_shrink_a_crowd():
    truth = objects_at([0, 0], [A, FAR], crowd=[True, False], tight=[VISIBLE, FAR])
    outside_tight = detections_at([0], [[60, 0, 100, 10]], [0.9])
    assert truth_of(truth, outside_tight) == [0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes": [[0, 0, 1]]}, r"Truth.boxes has shape \(1, 3\), expected \(G, 4\)"),
        ({"category": [1, 2]}, "Truth.category has 2 rows, but image has 1"),
        ({"category": [1.5]}, "Truth.category must contain integers"),
        ({"area": [np.nan]}, "Truth.area contains a number that is not finite"),
        ({"tight": [[0, 0, 1, 1]] * 2}, "Truth.tight has 2 rows"),
    ],
)
def test_a_table_that_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Truth(**{**vars(objects_at([0], [A])), **change})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": 1}, "detected.image reaches from 1 to 1, with 1 images"),
        ({"categories": [1, 1]}, "name one twice"),
        ({"thresholds": [0.0]}, "above 0"),
        ({"max_detections": 0}, "at least 1"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        match(objects_at([0], [A]), detections_at([1], [A], [0.5]), **{"images": 2, "categories": [1], **options})


def test_weights_of_the_wrong_length_are_refused():
    matches = match(objects_at([0], [A]), detections_at([1], [A], [0.5]), images=2, categories=[1])
    with pytest.raises(ValueError, match=r"expected \(2,\)"):
        average_precision(matches, [1.0])
    with pytest.raises(ValueError, match="not negative"):
        average_precision(matches, [1.0, -1.0])
    with pytest.raises(ValueError, match=r"IoU 0\.6 was not matched"):
        average_precision(
            match(objects_at([0], [A]), detections_at([], [], []), images=1, categories=[1], thresholds=[0.5])
        ).mean(threshold=0.6)
