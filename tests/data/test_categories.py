"""Categories of a detector and of a data set, by name and by id."""

from __future__ import annotations

import re

import pytest

from pytest_cropdet.data.categories import reconcile, select_categories
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.errors import DetectorError, SpecError

PETS = {17: "cat", 18: "dog"}


def found(*categories, capped=False):
    count = len(categories)
    boxes = [[place, 0, place + 1, 1] for place in range(count)]
    return Detections(boxes, [0.9 - place / 10 for place in range(count)], categories, capped)


def test_with_names_on_both_sides_ids_may_differ():
    matched = reconcile({0: "dog", 1: "horse", 2: "cat"}, PETS, [17, 18])
    seen = matched.translate(found(2, 1, 0))
    assert matched.by == "name"
    assert seen.categories.tolist() == [17, 18]
    assert seen.boxes[:, 0].tolist() == [0, 2]
    assert seen.scores.tolist() == [0.9, 0.7]


def test_names_match_whatever_their_case_and_the_spaces_around_them():
    assert reconcile({1: " Dog", 2: "CAT "}, PETS, [17, 18]).ids == {1: 18, 2: 17}


def test_two_of_a_detectors_categories_may_be_one_of_the_data_set():
    assert reconcile({1: "cat", 2: "dog", 3: "Cat"}, PETS, [17]).translate(found(3, 1)).categories.tolist() == [17, 17]


def test_without_names_ids_are_taken_as_they_are_0_included():
    matched = reconcile(None, {0: "cell", 5: "platelet"}, [0])
    assert matched.by == "id"
    assert matched.translate(found(0, 3, 5)).categories.tolist() == [0, 5]


@pytest.mark.parametrize("capped", [True, False])
def test_a_translated_answer_stays_capped_and_an_empty_one_has_shape_0_4(capped):
    seen = reconcile(None, PETS, []).translate(found(1, 2, capped=capped))
    assert seen.boxes.shape == (0, 4)
    assert seen.capped is capped


def test_a_category_with_objects_that_the_detector_does_not_know_shows_both_lists():
    with pytest.raises(DetectorError, match="the detector does not know 'dog' of the data set") as caught:
        reconcile({1: "cat", 2: "horse"}, PETS, [17, 18])
    assert str(caught.value).splitlines()[1:-1] == [
        "  the data set's | the detector's",
        "  18 dog         | -",
        "  17 cat         | 1 cat",
        "  -              | 2 horse",
    ]
    assert "labels=FILE" in str(caught.value)


def test_a_category_without_objects_need_not_be_known():
    assert reconcile({1: "cat"}, PETS, [17]).ids == {1: 17}


def test_ids_that_have_nothing_in_common_show_both_lists():
    matched = reconcile(None, PETS, [17])
    with pytest.raises(DetectorError, match="no detection has a category of the data set") as caught:
        matched.check_ids([found(0, 2), found(1)])
    assert "the detector's ids: 0, 1, 2\n  the data set's: 17 cat, 18 dog\n" in str(caught.value)


def test_a_long_list_of_ids_is_cut_short():
    with pytest.raises(DetectorError, match=re.escape("ids: 100, 101, 102") + r".* 119 and 10 more"):
        reconcile(None, PETS, []).check_ids([found(), Detections([[0, 0, 1, 1]] * 30, [0.5] * 30, range(100, 130))])


def test_one_shared_id_or_no_detection_at_all_is_no_mismatch():
    matched = reconcile(None, PETS, [17])
    matched.check_ids([found(0), found(17)])
    matched.check_ids([found(), found()])
    reconcile({1: "cat"}, PETS, [17]).check_ids([found(0)])


def test_categories_are_chosen_by_name():
    assert select_categories(["Dog ", "cat", "dog"], PETS) == [17, 18]
    with pytest.raises(SpecError, match="the data set has no category 'cow'; it has cat, dog"):
        select_categories(["dog", "cow"], PETS)
