"""What detections are scored against: annotations, or pseudo-labels where a data set has none."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet import Detections, DetectorError, GroundTruth, Sample
from pytest_cropdet.detectors.handle import as_handle
from pytest_cropdet.errors import SpecError
from pytest_cropdet.gate.targets import Targets, check_answers, has_truth
from pytest_cropdet.settings import RunSettings

NAMES = {1: "cat", 2: "dog", 7: "bird"}
SAMPLE = Sample("a.png", 40, 30, GroundTruth.empty(), lambda: np.zeros((30, 40, 3), np.uint8))
FOUND = Detections([[0, 0, 10, 10], [5, 5, 50, 20], [1, 1, 3, 3]], [0.9, 0.4, 0.2], [5, 6, 5])
WHOLE = {"a.png": FOUND}


def test_annotated_targets_take_all_categories_or_those_that_are_named():
    assert Targets.annotated(None, NAMES, RunSettings(), set()).chosen == [1, 2, 7]
    assert Targets.annotated(None, NAMES, RunSettings(categories=("bird", "cat")), set()).chosen == [1, 7]


def test_the_detector_must_know_the_chosen_categories_and_those_with_a_limit_of_their_own_that_have_objects():
    knows, settings = {0: "Cat"}, RunSettings(categories=("cat",))
    assert dict(Targets.annotated(knows, NAMES, settings, {1, 2, 7}).pairing.ids) == {0: 1}
    assert Targets.annotated(knows, NAMES, settings, {1, 7}, limited=["dog"]).pairing.by == "name"
    with pytest.raises(DetectorError, match="does not know 'dog'"):
        Targets.annotated(knows, NAMES, settings, {1, 2, 7}, limited=["dog"])
    with pytest.raises(SpecError, match="no category 'cow'"):
        Targets.annotated(knows, NAMES, settings, {1}, limited=["cow"])


def test_annotated_targets_translate_detections_and_leave_samples_as_they_are():
    targets = Targets.annotated({5: "dog"}, NAMES, RunSettings(), {2})
    assert targets.translate(FOUND).categories.tolist() == [2, 2]
    assert targets.samples([SAMPLE], WHOLE) == [SAMPLE]
    assert targets.high is None


def test_pseudo_labels_are_the_confident_detections_in_the_detectors_own_categories():
    targets = Targets.pseudo({5: "cat", 6: "dog"}, WHOLE, RunSettings())
    assert (targets.names, targets.chosen, targets.pairing, targets.high) == ({5: "cat", 6: "dog"}, [5, 6], None, 0.5)
    assert targets.translate(FOUND) is FOUND
    truth = targets.samples([SAMPLE], WHOLE)[0].truth
    assert truth.boxes.tolist() == [[0, 0, 10, 10], [5, 5, 40, 20]]
    assert truth.crowd.tolist() == [False, True]
    assert Targets.pseudo(None, WHOLE, RunSettings(score_threshold=0.3)).high == 0.3
    assert Targets.pseudo(None, WHOLE, RunSettings()).names == {5: "5", 6: "6"}


def test_a_category_with_a_limit_of_its_own_is_a_chosen_one_among_pseudo_labels():
    settings = RunSettings(categories=("cat",))
    assert Targets.pseudo({5: "cat", 6: "dog"}, WHOLE, settings).chosen == [5]
    assert Targets.pseudo({5: "cat", 6: "dog"}, WHOLE, settings, limited=["dog"]).chosen == [5, 6]


def test_answers_whose_ids_the_data_set_lacks_are_refused_before_the_detector_is_called_again():
    calls = []
    handle = as_handle(lambda images: calls.append(len(images)) or [FOUND for _ in images])
    targets = Targets.annotated(None, NAMES, RunSettings(), {1})
    with pytest.raises(DetectorError, match="no detection has a category of the data set"):
        check_answers(handle, [SAMPLE], WHOLE, targets, RunSettings(), None)
    assert calls == []
    assert check_answers(handle, [SAMPLE], WHOLE, None, RunSettings(), None).same
    assert calls == [1]


def test_a_data_set_is_annotated_unless_it_says_that_it_is_not():
    class Bare:
        pass

    assert has_truth(Bare())
    Bare.has_truth = False
    assert not has_truth(Bare())
