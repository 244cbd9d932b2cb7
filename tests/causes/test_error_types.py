"""What each kind of mistake costs: number by number against tidecv, and by hand where our rules are our own."""

import importlib
import json

import numpy as np
import pytest

from pytest_cropdet.causes.diagnostics.error_types import ERROR_KINDS, FALSE_POSITIVES, error_types, find_errors
from pytest_cropdet.evaluation import Detected, Truth, average_precision, match
from tests.causes import tide

STORED = json.loads(tide.STORED.read_text(encoding="utf-8"))
CAT, DOG, BIRD = tide.CATEGORIES
OBJECT = (0.0, 0.0, 100.0, 100.0)


@pytest.fixture
def their_recall_points(monkeypatch):
    """tidecv reads precision at i / 100, pycocotools at ``linspace(0, 1, 101)``: ten points differ in the last digit.

    Where a recall is exactly one of the ten, a bar of the sum is another.
    """
    module = importlib.import_module("pytest_cropdet.evaluation.coco.average_precision")
    monkeypatch.setattr(module, "RECALL_POINTS", np.arange(101) / 100)


def costs(truth, detected, images=tide.IMAGES):
    return {kind: each.crop for kind, each in error_types(*tide.tables(truth, detected, images)).costs.items()}


@pytest.mark.usefixtures("their_recall_points")
class TestAgainstTidecv:
    @pytest.mark.parametrize("name", STORED)
    def test_every_cost_is_theirs(self, name):
        seed, regions = name.split()
        theirs = dict(STORED[name])
        arguments = tide.tables(*tide.case(int(seed), regions == "True"))
        assert pytest.approx(theirs.pop("AP50"), abs=1e-9) == average_precision(arguments[2]["crop"]).AP50
        assert {kind: each.crop for kind, each in error_types(*arguments).costs.items()} == pytest.approx(
            theirs, abs=1e-9
        )

    def test_the_stored_cases_hold_every_kind(self):
        assert {(kind, numbers[kind] > 0.001) for numbers in STORED.values() for kind in ERROR_KINDS} == {
            (kind, True) for kind in ERROR_KINDS
        }

    @pytest.mark.parametrize("regions", [False, True])
    @pytest.mark.parametrize("seed", range(50, 56))
    def test_live_where_it_is_installed(self, seed, regions):
        pytest.importorskip("tidecv", reason="pip install tidecv to ask it anew")
        case = tide.case(seed, regions)
        theirs = tide.ask_tidecv(*case)
        theirs.pop("AP50")
        assert costs(*case) == pytest.approx(theirs, abs=1e-9)


def test_with_our_recall_points_the_costs_are_at_most_a_bar_of_each_curve_away():
    for name, theirs in STORED.items():
        seed, regions = name.split()
        ours = costs(*tide.case(int(seed), regions == "True"))
        assert ours == pytest.approx({kind: theirs[kind] for kind in ERROR_KINDS}, abs=2 / 101)


def one(box, category=CAT, score=0.9):
    return box, category, score


def told(truths, rows, crowd=None, tight=None, stray=None):
    """The errors of one image: ``truths`` as (box, category), ``rows`` as (box, category, score)."""
    count = len(truths)
    boxes = np.reshape([each[0] for each in truths], (-1, 4))
    crowd = np.zeros(count, bool) if crowd is None else crowd
    truth = Truth(
        np.zeros(count, int), [each[1] for each in truths], boxes, np.ones(count), crowd, np.zeros(count, bool), tight
    )
    found = Detected(
        np.zeros(len(rows), int),
        [row[1] for row in rows],
        np.reshape([row[0] for row in rows], (-1, 4)),
        [row[2] for row in rows],
        stray=stray,
    )
    matches = match(truth, found, images=1, categories=tide.CATEGORIES)
    return find_errors(tide.objects_of(truth, 1), found, matches)


def kinds(errors):
    """The kind of each detection that counts, in the order of the rows."""
    order = np.argsort(errors.matches.rows[errors.place])
    return [None if index < 0 else FALSE_POSITIVES[index] for index in errors.kind[order]]


class TestOneImage:
    """An object of 100 x 100 px; a box of its left x px has IoU x/100."""

    @pytest.mark.parametrize(
        ("width", "category", "kind"),
        [
            (100, CAT, None),
            (50, CAT, None),
            (49, CAT, "localisation"),
            (10, CAT, "localisation"),
            (9, CAT, "background"),
            (100, DOG, "class"),
            (50, DOG, "class"),
            (49, DOG, "both"),
            (11, DOG, "both"),
            (10, DOG, "background"),
        ],
    )
    def test_the_borders_of_the_kinds(self, width, category, kind):
        errors = told([(OBJECT, CAT)], [one((0, 0, width, 100), category)])
        assert kinds(errors) == [kind]
        assert errors.missed.tolist() == [kind in ("both", "background")]

    def test_the_weaker_of_two_that_find_one_object_is_a_duplicate(self):
        assert kinds(told([(OBJECT, CAT)], [one(OBJECT, score=0.8), one((0, 0, 90, 100))])) == ["duplicate", None]

    def test_a_poor_place_goes_before_a_wrong_category_and_that_before_a_duplicate(self):
        twins = [(OBJECT, CAT), (OBJECT, DOG)]
        assert kinds(told(twins, [one((0, 0, 60, 100)), one((0, 0, 55, 100), score=0.5)])) == [None, "class"]
        beside = [((0, 0, 100, 100), DOG), ((60, 0, 160, 100), CAT)]
        assert kinds(told(beside, [one((0, 0, 90, 100))])) == ["localisation"]

    def test_an_object_is_given_to_the_strongest_that_points_at_it_of_either_kind(self):
        rows = [one((0, 0, 40, 100), score=0.3), one(OBJECT, DOG, 0.7), one((0, 0, 30, 100), score=0.6)]
        errors = told([(OBJECT, CAT)], rows)
        assert kinds(errors) == ["localisation", "class", "localisation"]
        assert errors.target[np.argsort(errors.matches.rows[errors.place])].tolist() == [-1, 0, -1]
        assert average_precision(errors.mended("class")).values[0, 0] == pytest.approx(1)
        assert average_precision(errors.mended("localisation")).values[0, 0] == 0

    def test_an_object_that_is_found_is_given_to_nobody_again(self):
        errors = told([(OBJECT, CAT)], [one(OBJECT), one((0, 0, 40, 100), score=0.95)])
        assert kinds(errors) == [None, "localisation"]
        assert errors.target.tolist() == [-1, -1]
        assert len(errors.mended("localisation").rows) == 1

    def test_a_region_that_does_not_count_makes_no_error_and_reaches_no_object(self):
        region = (200, 200, 400, 400)
        truths = [(OBJECT, CAT), (region, CAT)]
        rows = [one((210, 210, 300, 300)), one((210, 210, 300, 300), DOG)]
        errors = told(truths, rows, crowd=[False, True])
        assert kinds(errors) == ["background"]  # that of the other category; a region excuses its own alone
        assert errors.missed.tolist() == [True, False]

    def test_a_stray_detection_is_no_error_but_may_find_an_object(self):
        rows = [one(OBJECT, score=0.5), one((0, 0, 30, 100)), one((300, 300, 310, 310))]
        assert kinds(told([(OBJECT, CAT)], rows, stray=[True] * 3)) == [None]

    def test_either_box_of_a_cut_object_counts(self):
        """The tight box is the lower half; what lies on a third of that has IoU 1/6 with the whole box."""
        row = [one((0, 50, 100, 60), DOG)]
        assert kinds(told([(OBJECT, CAT)], row)) == ["background"]
        assert kinds(told([(OBJECT, CAT)], row, tight=[(0, 50, 100, 70)])) == ["class"]


class TestTheMean:
    def test_what_is_found_where_no_object_is_counts_too(self):
        """tidecv leaves an image that holds no annotation out, and what is wrong there costs nothing."""
        truth = Truth([0], [CAT], [OBJECT], [1], [False], [False])
        found = Detected([0, 1], [CAT, CAT], [OBJECT, OBJECT], [0.5, 0.9])
        assert costs(truth, found, 2)["background"] == pytest.approx(1 / 2)

    def test_a_category_without_objects_takes_no_part(self):
        """tidecv counts it as AP 0 as long as something is called so."""
        truth = Truth([0], [CAT], [OBJECT], [1], [False], [False])
        found = Detected([0, 0], [CAT, DOG], [OBJECT, (200, 0, 300, 100)], [0.5, 0.9])
        assert set(costs(truth, found, 1).values()) == {0.0}

    def test_a_category_of_which_all_is_missed_takes_no_part_once_that_is_mended(self):
        truth = Truth([0, 0], [CAT, DOG], [OBJECT, (200, 0, 300, 100)], [1, 1], [False] * 2, [False] * 2)
        found = Detected([0], [CAT], [OBJECT], [0.5])
        assert costs(truth, found, 1)["missed"] == pytest.approx(1 / 2)

    def test_who_finds_nothing_misses_all_and_nothing_is_left_to_measure(self):
        truth = Truth([0], [CAT], [OBJECT], [1], [False], [False])
        found = costs(truth, Detected([], [], [], []), 1)
        assert found["missed"] is None
        assert found["false_negative"] is None
        assert found["background"] == 0

    def test_only_the_kept_categories_are_in_the_mean(self):
        objects, detected, matches, _ = tide.tables(*tide.case(1))
        each = [error_types(objects, detected, matches, np.eye(3, dtype=bool)[k]) for k in range(3)]
        together = error_types(objects, detected, matches, np.array([True, False, True]))
        for kind in ERROR_KINDS:
            assert together[kind].crop == pytest.approx((each[0][kind].crop + each[2][kind].crop) / 2)

    @pytest.mark.parametrize("seed", tide.SEEDS)
    def test_without_mistakes_of_a_kind_nothing_is_worse(self, seed):
        assert min(costs(*tide.case(seed)).values()) >= 0

    def test_a_kind_that_does_not_exist_is_told(self):
        with pytest.raises(ValueError, match="kind must be one of class, localisation, both"):
            told([(OBJECT, CAT)], []).mended("label")

    @pytest.mark.parametrize("seed", tide.SEEDS)
    def test_nothing_mended_is_the_ap_of_the_gate(self, seed):
        objects, detected, matches, _ = tide.tables(*tide.case(seed, regions=True))
        same = find_errors(objects, detected["crop"], matches["crop"]).mended()
        assert pytest.approx(average_precision(matches["crop"]).AP50, abs=1e-14) == average_precision(same).AP50


class TestTheChange:
    @pytest.fixture
    def changed(self):
        """In the crop every third label is another."""
        truth, found = tide.case(3)
        flipped = np.where(np.arange(len(found)) % 3 == 0, found.category % 12 + CAT, found.category)
        flipped = np.where(np.isin(flipped, tide.CATEGORIES), flipped, CAT)
        other = Detected(found.image, flipped, found.boxes, found.score)
        objects, detected, matches, kept = tide.tables(truth, found)
        detected["crop"] = other
        matches["crop"] = match(truth, other, images=tide.IMAGES, categories=tide.CATEGORIES)
        return objects, detected, matches, kept

    def test_each_rendering_has_its_own_costs(self, changed):
        result = error_types(*changed)
        assert result["class"].reference == costs(*tide.case(3))["class"]
        assert result["class"].change == result["class"].crop - result["class"].reference > 0.05
        assert (result["class"].low, result["class"].high) == (None, None)

    def test_bounds_hold_the_change_and_follow_from_the_seed(self, changed):
        result = error_types(*changed, replicates=200, seed=4)
        for kind in ERROR_KINDS:
            assert result[kind].low <= result[kind].change <= result[kind].high
        assert result["class"].low > 0
        assert result.to_dict() == error_types(*changed, replicates=200, seed=4).to_dict()
        assert result.to_dict() != error_types(*changed, replicates=200, seed=5).to_dict()

    def test_bounds_are_those_of_source_images(self, changed):
        """With every two images of one source the spread is about that of half as many."""
        objects, *others = changed
        pairs = tide.objects_of(objects.truth)
        pairs.index.unit[:] = np.arange(tide.IMAGES) // 20
        few, many = (error_types(each, *others, replicates=100)["class"] for each in (pairs, objects))
        assert few.change == many.change
        assert (few.low, few.high) != (many.low, many.high)

    def test_what_answers_alike_changes_by_exactly_nothing(self):
        result = error_types(*tide.tables(*tide.case(2)), replicates=50)
        assert {(each.change, each.low, each.high) for each in result.costs.values()} == {(0.0, 0.0, 0.0)}

    def test_the_dictionary_is_of_built_in_values(self, changed):
        values = error_types(*changed, replicates=50).to_dict()
        assert json.loads(json.dumps(values)) == values
        assert list(values) == list(ERROR_KINDS)
        assert {type(value) for each in values.values() for value in each.values()} == {float}
