"""What a run's verdict rests on: doubts that no policy answers, the blind detector, the capped one, and the text."""

import numpy as np
import pytest

from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation.measure import GateFailure
from pytest_cropdet.gate.controls import cap_of
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.geometry.crop import Crop
from pytest_cropdet.settings import RunSettings
from tests.support import (
    NAMES,
    Data,
    Fake,
    blind,
    is_whole,
    loses_cut,
    made,
    objects,
    opinions,
    perfect,
    same,
    sample,
    shown_in,
    small_run,
    strongest,
)

DATA = made()
OPINIONS = opinions(DATA)
POLICIES = ["fail", "pass", "point"]


def few_images(images: int):
    """Two objects of one category in each of so many pictures, and empty pictures up to 60."""
    truth = [objects(((20, 20, 50, 50), 3), ((60, 20, 90, 50), 3)) for _ in range(images)]
    truth += [GroundTruth.empty()] * (60 - images)
    data = Data([sample(number, each) for number, each in enumerate(truth)])
    return perfect(data), data


def rare_categories():
    """A common category with one object an image, and a hundred rare ones, each in four images."""
    names = {key: f"kind {key}" for key in range(1, 102)}
    samples = []
    for number in range(60):
        kinds = [1, *(2 + (number * 7 + place) % 100 for place in range(7))]
        corner = np.array([[13.0 * place, 20.0] for place in range(len(kinds))])
        samples.append(sample(number, GroundTruth(np.concatenate([corner, corner + 12], axis=1), kinds)))
    data = Data(samples, names)
    return perfect(data), data


class TestDoubts:
    @pytest.mark.parametrize("policy", POLICIES)
    def test_too_few_source_images(self, policy):
        detector, data = few_images(49)
        found = small_run(detector, data, "random:keep=1.0,per_image=1", undecided=policy)
        verdict = found.drop.judge(0.5)
        assert (verdict.outcome, verdict.passes, verdict.reason) == ("undecided", False, "images")
        assert "49 source images" in verdict.doubt
        assert "at least 50" in verdict.doubt

    def test_fifty_source_images_are_enough(self):
        detector, data = few_images(50)
        assert small_run(detector, data, "random:keep=1.0,per_image=1").drop <= 0.5

    def test_more_crops_do_not_make_more_images(self):
        detector, data = few_images(49)
        found = small_run(detector, data, "random:keep=1.0,per_image=4")
        assert found.drop.judge(0.5).reason == "images"
        assert found.lost.judge(0.5).reason == "images"
        assert found.ratio.judge(0.5).reason == "images"

    @pytest.mark.parametrize("policy", POLICIES)
    def test_too_few_objects(self, policy):
        detector, data = few_images(14)
        found = small_run(detector, data, "random:keep=1.0,per_image=1", undecided=policy, min_images=10)
        verdict = found.drop.judge(0.5)
        assert (verdict.passes, verdict.reason) == (False, "objects")
        assert "28 scored objects, at least 30" in verdict.doubt
        detector, data = few_images(15)
        assert small_run(detector, data, "random:keep=1.0,per_image=1", min_images=10).drop <= 0.5

    @pytest.mark.parametrize("policy", POLICIES)
    def test_no_category_in_five_images(self, policy):
        names = {key: f"kind {key}" for key in range(60)}
        data = Data([sample(number, objects(((20, 20, 50, 50), number))) for number in range(60)], names)
        found = small_run(perfect(data), data, undecided=policy)
        verdict = found.drop.judge(0.5)
        assert (verdict.outcome, verdict.passes) == ("undecided", False)
        assert verdict.reason in {"categories", "undefined"}
        assert found.drop.value is None

    @pytest.mark.parametrize("policy", POLICIES)
    def test_a_mean_that_speaks_for_less_than_half_of_the_objects(self, policy):
        detector, data = rare_categories()
        found = small_run(detector, data, "random:keep=1.0,per_image=1", undecided=policy)
        verdict = found.drop.judge(0.5)
        assert (verdict.outcome, verdict.passes, verdict.reason) == ("undecided", False, "share")
        assert found.speaks_for["objects"] < 0.5

    def test_the_share_binds_means_alone_and_is_of_the_selected_categories(self):
        detector, data = rare_categories()
        found = small_run(detector, data, "random:keep=1.0,per_image=1")
        assert found.by_category["kind 1"] <= 0.5
        alone = small_run(detector, data, "random:keep=1.0,per_image=1", categories=("kind 1",))
        assert alone.speaks_for == {"categories": 1.0, "objects": 1.0}
        assert alone.drop <= 0.5

    @pytest.mark.parametrize("policy", POLICIES)
    def test_an_undefined_ap(self, policy):
        data = Data([sample(number, GroundTruth.empty()) for number in range(60)])
        found = small_run(blind(), data, undecided=policy)
        assert found.drop.value is None
        for measure in (found.drop, found.by_category["cat"], found.lost):
            verdict = measure.judge(0.5)
            assert (verdict.outcome, verdict.passes, verdict.reason) == ("undecided", False, "undefined")
        assert found.ratio.judge(0.5).reason == "undefined"

    @pytest.mark.parametrize("policy", POLICIES)
    @pytest.mark.parametrize("limit", [0.0, 0.05, 0.5])
    def test_a_blind_detector_never_passes(self, policy, limit):
        found = small_run(blind(), DATA, undecided=policy, max_drop=limit, by_category={"cat": limit})
        assert found.drop.value == 0.0
        assert [(each.passes, each.reason) for each in found.judge()] == [(False, "blind")] * 2
        assert (found.lost.judge(limit).passes, found.lost.judge(limit).reason) == (False, "blind")
        assert (found.flips.judge(limit).passes, found.flips.judge(limit).reason) == (False, "blind")
        with pytest.raises(GateFailure, match="finds nothing cannot lose anything"):
            found.check()

    def test_a_detector_that_is_blind_to_one_category_passes_no_limit_on_it(self):
        seeing = [each.take(np.flatnonzero(each.categories != 7)) for each in opinions(DATA, missing=0.0, false=0)]
        found = small_run(same(seeing), DATA)
        assert found.by_category["dog"].judge(0.05).reason == "blind"
        assert found.by_category["cat"].judge(0.05).outcome == "pass"

    @pytest.mark.parametrize(("min_ap", "outcome"), [(0.0, "pass"), (0.05, "undecided")])
    def test_how_well_the_reference_must_see_is_a_setting(self, min_ap, outcome):
        found = small_run(same(OPINIONS), DATA, min_ap=min_ap)
        low = found.drop.blind[0]
        assert found.drop.judge(low - 0.01).outcome == outcome


class TestCap:
    """Ten boxes for the whole picture, ten for each window: the reference starves."""

    DATA = made(images=60, per_image=14, seed=1)
    WHOLE = opinions(DATA, missing=0.0, false=0)

    @classmethod
    def capped(cls, rows: int = 10, mark: bool = True, **attributes):
        def answer(number: int, crop: Crop) -> Detections:
            found = strongest(shown_in(cls.WHOLE[number], crop), rows)
            return found if mark else Detections(found.boxes, found.scores, found.categories)

        return Fake(answer, **attributes)

    @pytest.mark.parametrize("policy", POLICIES)
    def test_a_pass_becomes_undecided(self, policy):
        found = small_run(self.capped(), self.DATA, undecided=policy, max_drop=0.05, by_category={"cat": 0.05})
        assert found.drop.high < 0.0  # crops gained
        assert [(each.outcome, each.passes, each.reason) for each in found.judge()] == [("undecided", False, "cap")] * 2
        assert (found.lost.judge(0.05).passes, found.lost.judge(0.05).reason) == (False, "cap")
        assert found.cap.share == 1.0
        assert found.cap.rows == 10
        with pytest.raises(
            GateFailure, match=r"its maximum of 10 boxes on 100% of the whole images, so the comparison is unfair"
        ):
            found.check()

    def test_accept_overrides(self):
        found = small_run(self.capped(), self.DATA, cap="accept")
        assert found.drop <= 0.05
        assert found.by_category["cat"] <= 0.05
        assert found.cap.binds

    def test_a_fail_stays_a_fail(self):
        def answer(number: int, crop: Crop) -> Detections:
            least = 0.5 if is_whole(crop) else 1.0
            return strongest(shown_in(self.WHOLE[number], crop, least), 10 if is_whole(crop) else 2)

        found = small_run(Fake(answer), self.DATA)
        assert found.cap.binds
        assert found.drop.judge(0.05).outcome == "fail"

    def test_with_equal_numbers_of_boxes_nothing_is_gained(self):
        """Of the ten strongest in the picture, those in the window are the strongest there."""
        score = np.random.default_rng(0).uniform(0.2, 1.0, (len(self.DATA), 14))
        whole = [Detections(each.truth.boxes, score[row], each.truth.categories) for row, each in enumerate(self.DATA)]
        exact = Fake(lambda number, crop: strongest(shown_in(whole[number], crop, 1e-9), 10))
        found = small_run(exact, self.DATA)
        assert found.drop.value < -0.1
        assert found.controls["equal_boxes"] == pytest.approx(0.0, abs=1e-12)

    def test_a_detector_that_names_its_maximum_need_not_mark_its_answers(self):
        found = small_run(self.capped(mark=False, max_detections=10), self.DATA)
        assert found.cap.share == 1.0
        assert found.drop.judge(0.05).reason == "cap"

    def test_a_roomy_cap_does_not_bind(self):
        found = small_run(self.capped(rows=100), self.DATA)
        assert (found.cap.share, found.cap.binds) == (0.0, False)
        assert found.drop <= 0.05

    @pytest.mark.parametrize(("full", "binds"), [(5, False), (6, True)])
    def test_one_image_in_twenty_is_forgiven(self, full, binds):
        cap = cap_of([True] * full + [False] * (100 - full), [10] * full + [3] * (100 - full), None)
        assert cap.binds is binds
        assert cap.rows == (10 if full else None)


class TestCheck:
    def test_every_stated_limit_that_does_not_let_pass_is_named(self):
        found = small_run(loses_cut(OPINIONS), DATA, max_drop=0.01, min_crop_ap=0.9, by_category={"dog": 0.02})
        with pytest.raises(GateFailure) as caught:
            found.check()
        text = str(caught.value)
        first = text.splitlines()[0]
        assert first.startswith(
            f"FAIL drop {found.drop.value:.3f} > 0.010: crops lose {found.drop.value:.3f} mAP (95% "
        )
        assert "at least 0.900 is required" in text
        assert "the limit is 0.020" in text

    def test_a_failure_says_what_the_numbers_rest_on_and_where_it_went_wrong(self):
        found = small_run(loses_cut(OPINIONS), DATA, max_drop=0.01)
        with pytest.raises(GateFailure) as caught:
            found.check()
        text = str(caught.value)
        assert f"whole image {found.ap['reference']:.3f} -> crop {found.ap['crop']:.3f} mAP" in text
        assert f"120 crops of 60 images, {found.scored_objects} objects" in text
        assert "most lost: " in text
        assert f"worst crop: Crop(left={found.worst.crop.left}" in text
        assert "no masks: a detector that draws tighter boxes" in text

    def test_undecided_by_bounds_says_how_many_images_would_decide(self):
        found = small_run(loses_cut(OPINIONS), DATA)
        limit = (found.drop.value + found.drop.high) / 2
        needed = found.drop.images_to_decide(limit, 60)
        with pytest.raises(GateFailure, match=rf"about {needed} images \(\+-30 %\) would be enough"):
            assert found.drop <= limit
        assert 180 <= needed <= 300  # half the distance, four times the images

    def test_a_run_without_limits_is_measured_and_not_judged(self):
        found = small_run(loses_cut(OPINIONS), DATA)
        assert found.judge() == []
        assert (found.verdict, found.all_verdicts) == ("none", [])
        with pytest.raises(SpecError, match="no limit to check: state one, as in run"):
            found.check()

    def test_a_stated_limit_that_nobody_compared_counts_in_the_verdict(self):
        stated = {"max_drop": 0.01, "min_crop_ap": 0.01, "min_ap": 0.0}
        found = small_run(loses_cut(OPINIONS), DATA, **stated)
        assert (found.verdict, found.verdicts) == ("fail", [])
        assert [(each.measure.name, each.outcome) for each in found.all_verdicts] == [
            ("drop", "fail"),
            ("AP(crop)", "pass"),
        ]
        assert found.crop_ap >= 0.01  # another measure does not answer for the drop
        assert found.verdict == "fail"
        assert found.drop <= 0.4  # a comparison of the drop does, whatever its limit
        assert found.verdict == "pass"
        assert small_run(loses_cut(OPINIONS), DATA, max_drop=0.4, min_ap=0.0).verdict == "pass"
        few = made(images=30)
        assert small_run(same(opinions(few)), few, max_drop=0.4, min_ap=0.0).verdict == "undecided"

    def test_each_stated_limit_has_its_line_with_its_name_and_reason(self):
        found = small_run(loses_cut(OPINIONS), DATA, max_drop=0.5, by_category={"cat": 0.9, "dog": 0.02}, min_ap=0.0)
        with pytest.raises(GateFailure) as caught:
            found.check()
        first, *text = str(caught.value).splitlines()
        told = run_record(found)
        assert (told["verdict"], told["verdict_reason"]) == ("fail", None)  # the reason of another limit is not its own
        assert [(each["measure"], each["reason"]) for each in told["verdicts"]] == [
            ("drop", "blind"),
            ("drop of cat", "blind"),
            ("drop of dog", None),
        ]
        cat, dog = (found.by_category[name] for name in ("cat", "dog"))
        cost = f"{dog.value:.3f}"
        sure = f"(95% sure: at least {dog.low:.3f})"
        assert first == f"FAIL drop of dog {cost} > 0.020: dog: crops lose {cost} mAP {sure}; the limit is 0.020"
        (numbers,) = (each for each in found.categories if each.name == "dog")
        assert text[0].startswith(f"  whole image {numbers.reference:.3f} -> crop {numbers.crop:.3f} mAP   ")
        assert text[-1] == (
            f"UNDECIDED drop of cat {cat}, limit 0.900 (blind): cat: crops lose {cat.value:.3f} mAP: "
            + found.by_category["cat"].judge(0.9).doubt
        )
        assert text[-2].startswith(f"UNDECIDED drop {found.drop}, limit 0.500 (blind): crops lose ")

    def test_a_limit_that_is_judged_twice_is_noted_once(self):
        found = small_run(loses_cut(OPINIONS), DATA, max_drop=0.4, min_ap=0.0)
        found.check()
        found.check()
        assert len(found.verdicts) == 1

    def test_the_verdict_of_a_run_is_its_worst(self):
        found = small_run(loses_cut(OPINIONS), DATA, min_ap=0.0)
        assert found.drop <= 0.4
        assert found.verdict == "pass"
        found.drop.judge(found.drop.value)
        assert found.verdict == "undecided"
        found.drop.judge(0.0)
        assert found.verdict == "fail"
        assert [each.outcome for each in found.verdicts] == ["pass", "undecided", "fail"]

    def test_asking_whether_it_is_decided_leaves_no_trace(self):
        found = small_run(loses_cut(OPINIONS), DATA, max_drop=0.01)
        assert found.is_decided()
        assert found.verdicts == []


class TestSettings:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"max_drop": 5},
            {"max_drop": -0.1},
            {"max_drop": float("nan")},
            {"min_ratio": 1.2},
            {"min_crop_ap": 80},
            {"by_category": {"cat": 3}},
            {"min_visibility": 2},
            {"score_threshold": -1},
            {"min_ap": 7},
            {"metric": "AP60"},
            {"undecided": "maybe"},
            {"cap": "ignore"},
            {"looks": "on"},
            {"min_images": 0},
            {"min_objects": 0},
            {"sample_images": 0},
            {"replicates": 99},
        ],
        ids=lambda wrong: "-".join(map(str, wrong.items())),
    )
    def test_a_setting_that_cannot_be_is_refused_by_its_name(self, wrong):
        name = "cat" if "by_category" in wrong else f"cropdet_{next(iter(wrong))}"
        with pytest.raises(SpecError, match=name):
            RunSettings(**wrong)

    @pytest.mark.parametrize(
        ("limits", "stated"),
        [
            ({}, False),
            ({"max_drop": 0.0}, True),
            ({"min_ratio": 0.0}, True),
            ({"min_crop_ap": 0.0}, True),
            ({"by_category": {"cat": 0.0}}, True),
        ],
        ids=str,
    )
    def test_a_limit_of_zero_is_a_limit(self, limits, stated):
        assert RunSettings(**limits).states_limits is stated


def test_names_of_the_made_up_categories_are_those_of_the_data():
    assert {each.name for each in small_run(same(OPINIONS), DATA).categories} == set(NAMES.values())
