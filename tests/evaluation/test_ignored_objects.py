"""Objects that need not be found (VOC's difficult): in crops, in tables and in a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_cropdet import Crop, Detections, GroundTruth, crop_truth
from pytest_cropdet.crops import Plan
from pytest_cropdet.evaluation import CropIndex, average_precision, build_detected, build_objects, match
from tests.support import made, objects, perfect, sample, small_run

BOXES = [[0.0, 0.0, 20.0, 20.0], [40.0, 40.0, 60.0, 60.0], [80.0, 0.0, 100.0, 20.0]]
TRUTH = GroundTruth(BOXES, [3, 3, 3], ignored=[False, True, False], crowd=[False, False, True])


def test_a_ground_truth_keeps_what_is_ignored():
    assert TRUTH.counted.tolist() == [True, False, False]
    assert TRUTH.take(np.array([1])).ignored.tolist() == [True]
    assert eval(repr(TRUTH)).ignored.tolist() == TRUTH.ignored.tolist()
    assert objects(((0, 0, 9, 9), 3)).ignored.tolist() == [False]
    with pytest.raises(ValueError, match="ignored"):
        GroundTruth(BOXES, [3, 3, 3], ignored=[True])


@pytest.mark.parametrize(("left", "stays"), [(45, True), (55, False)])
def test_in_a_crop_it_stays_ignored_while_enough_of_it_shows(left, stays):
    shown = crop_truth(TRUTH, Crop(left, 30, 60, 40))
    assert shown.scored.tolist() == [False]
    assert shown.truth.ignored.tolist() == [stays]


def tables(answer, crop):
    one = sample(0, TRUTH)
    index = CropIndex.of([one], Plan("x", 0, "random", {one.id: (crop,)}))
    found = build_objects(index, 0.5)
    matches = match(found.truth, build_detected(index, [answer], 0.5, whole=True), images=1, categories=[3])
    return found.truth, average_precision(matches).mean(), matches


def test_one_detection_of_it_is_set_aside_and_the_next_is_wrong():
    """A crowd takes any number; what shows too little is as a crowd."""
    thrice = Detections([*[BOXES[1]] * 3, BOXES[0]], [0.9, 0.8, 0.7, 0.6], [3] * 4)
    truth, ap, matches = tables(thrice, Crop(0, 0, 120, 90))
    assert (truth.crowd.tolist(), truth.ignored.tolist()) == ([False, False, True], [False, True, False])
    assert ap == pytest.approx(1 / 3)
    assert matches.ignored()[0].tolist().count(True) == 1
    on_crowd = Detections([*[BOXES[2]] * 3, BOXES[0]], [0.9, 0.8, 0.7, 0.6], [3] * 4)
    assert tables(on_crowd, Crop(0, 0, 120, 90))[1] == pytest.approx(1.0)
    truth, _, _ = tables(thrice, Crop(0, 0, 45, 90))
    assert (truth.crowd.tolist(), truth.ignored.tolist()) == ([False, True], [False, False])


def test_whether_it_is_found_changes_no_ap_and_pycocotools_agrees():
    data, bare = made(30), made(30)
    for number, each in enumerate(data.samples):
        truth = replace(each.truth, ignored=np.arange(len(each.truth)) == 0)
        data.samples[number] = replace(each, truth=truth)
        bare.samples[number] = replace(each, truth=truth.take(np.flatnonzero(truth.counted)))
    for detector in (perfect(bare), perfect(data)):
        result = small_run(detector, data, verify=True)
        assert (result.ap["reference"], result.ap["crop"], result.drop.value) == (1.0, 1.0, 0.0)
        assert not result.objects.scored[result.objects.annotation == 1].any()
        assert result.objects.truth.ignored.any()
