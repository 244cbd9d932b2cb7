"""Stopping early: when to look, at which level, and that it gives the verdict of the whole run for fewer calls."""

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cropdet.crops.plan import shuffled
from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.errors import SpecError
from pytest_cropdet.gate.early_stopping import (
    DESIGNS,
    LOOK_REPLICATES,
    RESOLVED,
    enough_categories,
    look_levels,
    look_points,
    resolved_points,
)
from pytest_cropdet.gate.old_model import refuse_without_old
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.settings import RunSettings
from tests.support import Data, loses_cut, made, same, sample, small_run

DATA = made(110)
SHARP = [Detections(each.truth.boxes, np.full(len(each.truth), 0.9), each.truth.categories) for each in DATA]
ONE_CROP = "random:keep=0.6,per_image=1"


def looked(detector, data=DATA, **changes):
    return small_run(detector, data, ONE_CROP, **{"looks": "auto", "min_images": 30, **changes})


class TestPoints:
    @pytest.mark.parametrize(
        ("images", "points"),
        [
            (1, [1]),
            (50, [50]),
            (51, [50, 51]),
            (100, [50, 100]),
            (800, [50, 100, 200, 400, 800]),
            (1000, [50, 100, 200, 400, 800, 1000]),
        ],
    )
    def test_looks_double_from_fifty_and_end_at_the_end(self, images, points):
        assert look_points(images) == points

    @given(st.integers(1, 100_000))
    def test_looks_rise_and_are_few(self, images):
        points = look_points(images)
        assert points[-1] == images
        assert all(one < other for one, other in itertools.pairwise(points))
        assert len(points) <= 2 + max(0, math.log2(images / 50))


class TestLevels:
    @pytest.mark.parametrize(
        "points", [[50, 100], [50, 100, 200, 400, 800], [100, 200, 300], [50, 100, 200, 210]], ids=str
    )
    def test_all_looks_together_err_as_often_as_one_look_may(self, points):
        """A million walks without drift, seeded: how many cross a boundary, and when."""
        walks, rng = 1_000_000, np.random.default_rng(1)
        boundaries = [NormalDist().inv_cdf(level) for level in look_levels(points)]
        position, before = np.zeros(walks), 0
        crossed = np.zeros(walks, bool)
        for point, boundary in zip(points, boundaries, strict=True):
            position += math.sqrt(point - before) * rng.standard_normal(walks)
            crossed |= position / math.sqrt(point) > boundary
            before = point
            spent = 0.05 * math.log(1 + (math.e - 1) * point / points[-1])  # Pocock's function
            assert crossed.mean() == pytest.approx(spent, abs=4 * math.sqrt(0.05 * 0.95 / walks))
        assert crossed.mean() == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / walks))

    def test_one_look_has_the_whole_budget(self):
        assert look_levels([300]) == pytest.approx([0.95], abs=1e-5)
        assert look_levels([300], 0.9) == pytest.approx([0.9], abs=1e-5)

    @pytest.mark.parametrize("images", [60, 100, 210, 800, 1500])
    def test_every_look_asks_for_more_than_a_single_one_would(self, images):
        levels = look_levels(look_points(images))
        assert all(0.95 < level < 1 for level in levels)

    def test_more_looks_cost_more_at_the_end(self):
        ends = [look_levels(points)[-1] for points in ([800], [400, 800], [200, 400, 800], [50, 100, 200, 400, 800])]
        assert all(one < other for one, other in itertools.pairwise(ends))

    def test_fractions_count_and_not_images(self):
        assert look_levels([50, 100, 200]) == pytest.approx(look_levels([500, 1000, 2000]), abs=1e-12)

    def test_a_stricter_level_is_stricter_at_every_look(self):
        pairs = zip(look_levels([50, 100], 0.95), look_levels([50, 100], 0.99), strict=True)
        assert all(one < other for one, other in pairs)


class TestOrder:
    def test_the_order_is_seeded_and_does_not_depend_on_the_data_sets(self):
        one = [each.id for each in shuffled(DATA, 3)]
        assert [each.id for each in shuffled(list(reversed(DATA.samples)), 3)] == one
        assert [each.id for each in shuffled(DATA, 4)] != one
        assert one != sorted(one)
        assert sorted(one) == sorted(each.id for each in DATA)

    def test_a_run_that_looks_takes_the_first_of_that_order(self):
        found = looked(same(SHARP), max_drop=0.2, seed=3)
        assert [each.id for each in found.objects.index.samples] == [each.id for each in shuffled(DATA, 3)[:50]]


@pytest.mark.slow
class TestRuns:
    @pytest.mark.parametrize(
        ("detector", "limit", "outcome"), [(same, 0.2, "pass"), (loses_cut, 0.1, "fail")], ids=["pass", "fail"]
    )
    def test_a_clear_case_is_decided_at_the_first_look_with_the_same_verdict(self, detector, limit, outcome):
        early, whole = detector(SHARP), detector(SHARP)
        found = looked(early, max_drop=limit, explain="off")
        full = looked(whole, max_drop=limit, looks="off", explain="off")
        assert [each.outcome for each in found.judge()] == [each.outcome for each in full.judge()] == [outcome]
        assert found.images == 50
        assert full.images == 110
        assert found.spent.model_calls == 100
        assert found.spent.spared == 2 * (110 - 50)
        assert len(early.shown) == 100 + early.batch  # and the first batch again
        assert full.spent.spared == 0

    def test_what_the_looks_saw_is_told(self):
        found = looked(loses_cut(SHARP), max_drop=0.1)
        assert [(each.images, each.decided) for each in found.looks] == [(50, True)]
        assert found.looks[0].level == look_levels(look_points(110))[0]
        assert found.drop.level == found.looks[0].level
        assert (found.looks[0].low, found.looks[0].high) == (found.drop.low, found.drop.high)
        told = run_record(found)
        assert told["looks"][0]["images"] == 50
        assert told["model_calls_spared"] == 120
        assert told["drop"]["level"] == found.drop.level

    def test_bounds_at_a_look_are_wider_than_those_of_a_run_on_as_many_images(self):
        found = looked(loses_cut(SHARP), max_drop=0.1)
        some = Data(found.objects.index.samples)
        plain = small_run(loses_cut(SHARP), some, ONE_CROP, replicates=4000)
        assert plain.drop.value == pytest.approx(found.drop.value, abs=1e-12)
        assert found.drop.low < plain.drop.low < plain.drop.high < found.drop.high

    def test_an_open_case_goes_on_to_the_end(self):
        value = small_run(loses_cut(SHARP), DATA, ONE_CROP).drop.value
        found = looked(loses_cut(SHARP), max_drop=value)
        assert [each.images for each in found.looks] == [50, 100, 110]
        assert [each.decided for each in found.looks] == [False] * 3
        assert found.images == 110
        assert found.spent.spared == 0
        assert found.drop.value == pytest.approx(value, abs=1e-12)
        assert found.judge()[0].outcome == "undecided"
        assert found.drop.level > 0.95

    def test_it_goes_on_until_every_stated_limit_is_decided(self):
        """The mean is clear at once, the dogs are not."""
        dogs = small_run(loses_cut(SHARP), DATA, ONE_CROP).by_category["dog"].value
        found = looked(loses_cut(SHARP), max_drop=0.1, by_category={"dog": dogs})
        assert len(found.looks) == 3

    def test_without_a_limit_there_is_nothing_to_decide(self):
        found = looked(loses_cut(SHARP))
        assert found.images == 110
        assert found.drop.level == 0.95

    def test_a_blind_detector_is_looked_at_to_the_end(self):
        found = looked(same([Detections.empty()] * 110), max_drop=0.2)
        assert found.images == 110
        assert found.judge()[0].reason == "blind"


class TestCategories:
    """A rare category is in one picture of twenty, so a look at fifty sees it in two or three."""

    @staticmethod
    def data(rare: int) -> Data:
        names = {1: "common", **{key: f"rare {key}" for key in range(2, 2 + rare)}}
        samples = []
        for number in range(200):
            kinds = [1, 1, *(key for key in range(2, 2 + rare) if number % 20 == key)]
            corner = np.array([[10.0 + 14 * place, 30.0] for place in range(len(kinds))])
            samples.append(sample(number, GroundTruth(np.concatenate([corner, corner + 12], axis=1), kinds)))
        return Data(samples, names)

    @pytest.mark.parametrize(
        ("ready", "kept", "enough"),
        [(4, 5, True), (3, 4, False), (7, 9, False), (8, 10, True), (799, 1000, False), (0, 0, True)],
    )
    def test_enough_is_80_percent_of_those_in_the_mean(self, ready, kept, enough):
        class Counted:
            def images_by_category(self, rows):
                return {key: 5 if key < ready else 4 for key in range(kept)}

        assert enough_categories(Counted(), np.ones(1, bool), range(kept)) is enough

    @staticmethod
    def sharp(data: Data):
        return same(
            [Detections(each.truth.boxes, np.full(len(each.truth), 0.9), each.truth.categories) for each in data]
        )

    def test_the_mean_is_over_the_categories_of_the_full_plan(self):
        names = {1: "common", 2: "often", 3: "usual", 4: "frequent", 5: "rare"}
        samples = []
        for number in range(200):
            kinds = [1, 2, 3, 4, *([5] if number % 20 == 0 else [])]
            corner = np.array([[10.0 + 14 * place, 30.0] for place in range(len(kinds))])
            samples.append(sample(number, GroundTruth(np.concatenate([corner, corner + 12], axis=1), kinds)))
        data = Data(samples, names)
        found = small_run(self.sharp(data), data, "random:keep=1.0,per_image=1", looks="auto", max_drop=0.2)
        rare = next(each for each in found.categories if each.name == "rare")
        assert found.images == 50
        assert rare.images < 5
        assert rare.in_mean  # four of five are ready, and the mean is over all five

    def test_no_look_before_four_fifths_of_them_are_ready(self):
        data = self.data(rare=2)
        found = small_run(self.sharp(data), data, "random:keep=1.0,per_image=1", looks="auto", max_drop=0.2)
        first = shuffled(data, 0)
        ready = [
            point
            for point in (50, 100, 200)
            if all(sum(key in each.truth.categories for each in first[:point]) >= 5 for key in data.categories)
        ]
        assert ready[0] > 50
        assert found.looks[0].images == ready[0] == found.images
        assert found.looks[0].level == pytest.approx(look_levels(ready)[0])


class TestHint:
    def test_a_run_without_looks_says_what_they_would_have_spared(self):
        found = looked(same(SHARP), max_drop=0.2, looks="off")
        spared = looked(same(SHARP), max_drop=0.2).spent.spared
        assert found.hint == f"--cropdet-looks auto would have decided after 50 images and spared {spared} calls"
        assert found.verdicts == []

    def test_there_is_no_hint_where_nothing_would_have_been_spared(self):
        without_limit = looked(loses_cut(SHARP), looks="off")
        assert without_limit.hint is None
        assert looked(loses_cut(SHARP), looks="off", max_drop=without_limit.drop.value).hint is None

    def test_there_is_no_hint_where_looks_were_on_or_images_are_few(self):
        assert looked(same(SHARP), max_drop=0.2).hint is None
        few = Data(DATA.samples[:50])
        assert small_run(same(SHARP), few, ONE_CROP, max_drop=0.2, min_images=30).hint is None


class TestOften:
    """More looks, whose error is spent so that they err as seldom."""

    DESIGN = DESIGNS["often"]

    def test_looks_are_a_quarter_apart(self):
        assert look_points(200, self.DESIGN) == [50, 62, 78, 98, 122, 153, 191, 200]
        assert look_points(50, self.DESIGN) == [50]

    @pytest.mark.parametrize("images", [60, 200, 800])
    def test_all_looks_together_err_as_often_as_one_look_may(self, images):
        """Walks without drift, seeded: how many cross a boundary, and when."""
        walks, rng = 400_000, np.random.default_rng(2)
        points = resolved_points(look_points(images, self.DESIGN), 0.95, self.DESIGN)
        boundaries = [NormalDist().inv_cdf(level) for level in look_levels(points, 0.95, self.DESIGN.spend)]
        position, before = np.zeros(walks), 0
        crossed = np.zeros(walks, bool)
        for point, boundary in zip(points, boundaries, strict=True):
            position += math.sqrt(point - before) * rng.standard_normal(walks)
            crossed |= position / math.sqrt(point) > boundary
            before = point
            spent = 0.05 * (0.06 + 0.94 * point / images)
            assert crossed.mean() == pytest.approx(spent, abs=4 * math.sqrt(0.05 * 0.95 / walks))
        assert crossed.mean() == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / walks))

    @pytest.mark.parametrize("images", [60, 800, 5000, 100_000])
    def test_no_look_asks_for_a_level_that_the_replicates_cannot_show(self, images):
        points = resolved_points(look_points(images, self.DESIGN), 0.95, self.DESIGN)
        assert points[-1] == images
        assert points[0] == 50  # a part of the error is there at once
        levels = look_levels(points, 0.95, self.DESIGN.spend)
        assert all((1 - level) * LOOK_REPLICATES >= RESOLVED for level in levels)

    def test_more_is_left_for_the_last_look_than_pocock_leaves(self):
        points = resolved_points(look_points(800, self.DESIGN), 0.95, self.DESIGN)
        assert look_levels(points, 0.95, self.DESIGN.spend)[-1] < look_levels(points)[-1] - 0.002

    @pytest.mark.slow
    def test_a_run_looks_at_these_points_and_its_bounds_have_these_levels(self):
        value = small_run(loses_cut(SHARP), DATA, ONE_CROP).drop.value
        found = looked(loses_cut(SHARP), max_drop=value, looks="often")
        points = resolved_points(look_points(110, self.DESIGN), 0.95, self.DESIGN)
        assert [each.images for each in found.looks] == points
        assert len(points) > 3
        assert [each.level for each in found.looks] == look_levels(points, 0.95, self.DESIGN.spend)
        assert found.drop.value == pytest.approx(value, abs=1e-12)
        clear = looked(loses_cut(SHARP), max_drop=0.1, looks="often")
        assert clear.images == points[0]
        assert clear.spent.spared == 2 * (110 - points[0])
        assert clear.judge()[0].outcome == "fail"

    def test_looks_as_before_are_those_of_auto(self):
        """Frozen: the numbers of runs with ``looks=auto`` stay."""
        frozen = [0.9949067942373956, 0.9940791724577275, 0.9895701675030473, 0.9823521273972735, 0.9727870621686872]
        assert look_levels([50, 100, 200, 400, 800]) == pytest.approx(frozen, abs=1e-14)

    def test_what_is_compared_is_not_cut_short(self):
        with pytest.raises(SpecError, match="looks=often stops one model early"):
            refuse_without_old(RunSettings(looks="often"), same(SHARP))
