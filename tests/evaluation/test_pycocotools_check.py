"""pycocotools as a second opinion: it agrees to 1e-9 on everything, and a planted difference is noticed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cropdet.data.samples import GroundTruth
from pytest_cropdet.errors import VerifyError
from pytest_cropdet.evaluation import Detected, Truth, average_precision, block_matching, match
from pytest_cropdet.evaluation.coco.pycocotools_check import TOLERANCE, pycocotools_precision
from pytest_cropdet.gate import summary
from tests.evaluation.made import CATEGORIES, IMAGES, sets
from tests.gate.test_controls import HALVES, TestGeometricFloor
from tests.support import Data, loses_cut, made, opinions, sample, small_run


def differ(truth: Truth, detected: Detected) -> float:
    """The largest difference between pycocotools and ours; infinite where only one is undefined."""
    ours = average_precision(match(truth, detected, images=IMAGES, categories=CATEGORIES)).values
    theirs = pycocotools_precision(truth, detected, IMAGES, CATEGORIES)
    if (np.isnan(ours) != np.isnan(theirs)).any():
        return np.inf
    return float(np.abs(np.nan_to_num(ours) - np.nan_to_num(theirs)).max())


@st.composite
def with_tight_boxes(draw: st.DrawFn) -> tuple[Truth, Detected]:
    """Crowds, strays and ties, and objects whose tight box is a part of the clipped one."""
    truth, detected = draw(sets())
    share = np.array(
        [draw(st.sampled_from([(1.0, 1.0), (0.5, 1.0), (1.0, 0.5), (0.25, 0.75)])) for _ in range(len(truth))]
    )
    sides = truth.boxes[:, 2:] - truth.boxes[:, :2]
    tight = truth.boxes.copy()
    tight[:, 2:] = tight[:, :2] + sides * share.reshape(-1, 2)
    if draw(st.booleans()) and len(truth):  # detections that sit on tight boxes
        boxes = detected.boxes.copy()
        count = min(len(boxes), len(tight))
        boxes[:count] = tight[:count]
        detected = replace(detected, boxes=boxes, area=None)
    return replace(truth, crowd=truth.crowd | truth.ignored, ignored=truth.ignored & False, tight=tight), detected


@given(with_tight_boxes())
@settings(max_examples=60, deadline=None)
def test_pycocotools_agrees_where_either_box_counts(made_up):
    assert differ(*made_up) <= TOLERANCE


@given(sets())
@settings(max_examples=30, deadline=None)
def test_pycocotools_agrees_where_there_is_one_box(made_up):
    truth, detected = made_up
    assert differ(truth, detected) <= 1e-9


def test_the_order_of_the_categories_is_that_which_was_asked_for():
    truth = Truth([0, 0], [2, 9], [[0, 0, 9, 9], [20, 20, 29, 29]], [81, 81], [False] * 2, [False] * 2)
    detected = Detected([0], [9], [[20, 20, 29, 29]], [0.5])
    found = pycocotools_precision(truth, detected, 1, [9, 5, 2])
    assert found[0] == pytest.approx([1.0, np.nan, 0.0], nan_ok=True)


def test_an_object_that_is_only_ignored_takes_one_detection_and_a_crowd_takes_all():
    boxes = [[20, 20, 29, 29]] * 3
    detected = Detected([0] * 4, [2] * 4, [*boxes, [0, 0, 9, 9]], [0.9, 0.8, 0.7, 0.6])
    found = {}
    for kind in ("crowd", "ignored"):
        flags = {"crowd": [False, False], "ignored": [False, False], kind: [False, True]}
        truth = Truth([0, 0], [2, 2], [[0, 0, 9, 9], [20, 20, 29, 29]], [81, 81], flags["crowd"], flags["ignored"])
        assert differ(truth, detected) <= 1e-9
        found[kind] = pycocotools_precision(truth, detected, 1, [2])[0, 0]
    assert found["crowd"] == pytest.approx(1.0)
    assert found["ignored"] == pytest.approx(1 / 3)


class TestRuns:
    DATA = made(30)
    WHOLE = opinions(DATA, loose=0.1)

    def test_a_run_is_verified_without_a_word(self):
        plain = small_run(loses_cut(self.WHOLE), self.DATA)
        assert small_run(loses_cut(self.WHOLE), self.DATA, verify=True).drop.value == plain.drop.value

    def test_a_run_with_masks_and_crowds_is_verified(self):
        data = TestGeometricFloor.data()
        crowds = Data(
            [
                sample(
                    number,
                    GroundTruth(
                        [*each.truth.boxes, [70, 5, 115, 30]],
                        [3, 7],
                        crowd=[False, True],
                        masks=(*each.truth.masks, None),
                    ),
                    120,
                    60,
                )
                for number, each in enumerate(data)
            ]
        )
        for left in (TestGeometricFloor.CLIPPED, TestGeometricFloor.TIGHT, TestGeometricFloor.BETWEEN):
            small_run(TestGeometricFloor.drawing(left), crowds, HALVES, verify=True)

    def test_a_difference_in_the_eighth_digit_is_noticed_and_named(self, monkeypatch):
        def wrong(*arguments, **options):
            found = average_precision(*arguments, **options)
            return replace(found, values=found.values + 1e-8)

        monkeypatch.setattr(summary, "average_precision", wrong)
        with pytest.raises(VerifyError, match=r"AP of the reference differs .* by 1e-08 .*please report it"):
            small_run(loses_cut(self.WHOLE), self.DATA, verify=True)

    def test_a_wrong_rule_of_matching_is_noticed(self, monkeypatch):
        def one_detection_an_image(*arguments, **options):
            return match(*arguments, **{**options, "max_detections": 1})

        monkeypatch.setattr(block_matching, "match", one_detection_an_image)
        small_run(loses_cut(self.WHOLE), self.DATA)  # who does not ask does not know
        with pytest.raises(VerifyError):
            small_run(loses_cut(self.WHOLE), self.DATA, verify=True)
