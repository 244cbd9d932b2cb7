"""A cap on the number of detections: what it changes, of the detector and of the evaluator, and what is judged then."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from pytest_cropdet.benchmark.result import run_benchmark
from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.evaluation import Detected, Truth, average_precision, coco_summary, match, recall, resample
from pytest_cropdet.evaluation.coco.tables import COCO_AREA_RANGES
from pytest_cropdet.gate.caps import NOISE, noise_score
from pytest_cropdet.gate.dry_runs import dry_run
from pytest_cropdet.gate.evaluator_cap import cut_off_pairs
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.geometry.crop import Crop
from pytest_cropdet.settings import RunSettings
from tests.support import Data, Fake, is_whole, made, opinions, same, sample, shown_in, small_run, strongest

CAT = 3
CROPS = "random:keep=0.6,per_image=2"


def with_filling(found: Detections, rows: int, low: float, high: float, number: int) -> Detections:
    """An answer filled up to ``rows`` rows with junk that scores from ``high`` down to exactly ``low``."""
    rng = np.random.default_rng(number)
    count = rows - len(found)
    corner = rng.random((count, 2)) * 20
    scores = np.linspace(high, low, count)
    return Detections(
        np.concatenate([found.boxes, np.concatenate([corner, corner + 6], axis=1)]),
        np.concatenate([found.scores, scores]),
        np.concatenate([found.categories, rng.choice([3, 7, 12], count)]),
        capped=True,
    )


class TestFilling:
    """A detector that always returns as many rows as it can: what lies below the noise score is filling."""

    DATA = made(60, 3)
    SEEN = opinions(DATA, missing=0.1)

    def filled(self, rows: int, low: float) -> Fake:
        def answer(number: int, crop: Crop) -> Detections:
            return with_filling(shown_in(self.SEEN[number], crop), rows, low, 0.2, number)

        return Fake(answer, max_detections=rows)

    def test_a_hundred_rows_that_end_in_noise_cut_nothing_off(self):
        found = small_run(self.filled(100, 0.02), self.DATA)
        assert (found.cap.share, found.cap.rows, found.cap.used_up, found.cap.binds) == (1.0, 100, 0.0, False)
        assert abs(found.drop.value) < 0.03
        assert found.drop <= 0.1
        assert found.lost <= 0.1
        assert "limited by" not in found.explain(found.drop.judge(0.1))

    def test_a_loss_of_such_a_detector_is_still_a_fail(self):
        def answer(number: int, crop: Crop) -> Detections:
            some = shown_in(self.SEEN[number], crop, 0.5 if is_whole(crop) else 1.0)
            return with_filling(some, 100, 0.02, 0.2, number)

        assert small_run(Fake(answer), self.DATA).drop.judge(0.1).outcome == "fail"

    def test_the_noise_score_follows_a_detector_whose_scores_are_all_low(self):
        assert noise_score(0.5, agreement=False) == NOISE
        assert noise_score(0.04, agreement=False) == pytest.approx(0.01)
        assert noise_score(0.3, agreement=True) == 0.3  # below it nothing is an object, and nothing is found

    def test_scores_that_are_low_on_the_whole_are_not_taken_for_filling(self):
        """The same capped detector as in test_verdict, with a tenth of its scores."""
        data = made(images=60, per_image=14, seed=1)
        whole = opinions(data, missing=0.0, false=0)

        def answer(number: int, crop: Crop) -> Detections:
            some = strongest(shown_in(whole[number], crop), 10)
            return Detections(some.boxes, some.scores / 20, some.categories, some.capped)

        found = small_run(Fake(answer), data)
        assert found.hidden.score < NOISE
        assert found.cap.binds
        assert found.drop.judge(0.05).reason == "cap"

    def test_ten_rows_for_one_object_an_image(self):
        """A small export: ten rows always, the junk scores more than noise, and there is nothing to be cut off."""
        data = made(150, 1)
        seen = opinions(data, missing=0.1, false=0)

        def answer(number: int, crop: Crop) -> Detections:
            return with_filling(shown_in(seen[number], crop), 10, 0.1, 0.3, number)

        found = small_run(Fake(answer, max_detections=10), data)
        assert found.cap.binds
        assert found.cap.agrees
        assert found.drop <= 0.1
        text = found.explain(found.drop.judge(0.1))
        assert "returned its maximum of 10 boxes on 100% of the whole images" in text
        assert "which agrees" in text
        assert run_record(found)["cap_check"]["agrees"] is True


class TestFewFullImages:
    """A hundred boxes, none of them noise, on 8 % of the images."""

    DATA = made(100, 3)
    SEEN = opinions(DATA, missing=0.1)

    @pytest.fixture(scope="class")
    @classmethod
    def found(cls):
        def answer(number: int, crop: Crop) -> Detections:
            some = shown_in(cls.SEEN[number], crop)
            if not is_whole(crop):
                some = some.take(np.flatnonzero(np.arange(len(some)) % 17 != 16))
            return with_filling(some, 100, 0.1, 0.3, number) if number % 25 < 2 else some

        return small_run(Fake(answer, max_detections=100), cls.DATA)

    def test_equal_numbers_of_boxes_agree_and_the_gate_decides(self, found):
        assert found.cap.share == pytest.approx(0.08)
        assert found.cap.binds
        assert found.cap.agrees
        change = found.caps.change
        assert found.caps.equal.value == pytest.approx(found.controls["equal_boxes"], abs=1e-12)
        assert change.value == pytest.approx(found.controls["equal_boxes"] - found.drop.value, abs=1e-12)
        assert change.low <= change.value <= change.high
        for measure in (found.drop, found.lost, found.flips, found.by_category["cat"], found.lost - found.gained):
            assert measure.judge(0.15).outcome == "pass"
        assert found.ratio >= 0.8

    def test_the_record_has_both_drops_and_their_difference(self, found):
        told = run_record(found)
        assert told["cap"] == {"share": 0.08, "rows": 100, "binds": True}
        assert told["cap_check"]["equal_boxes"]["value"] == pytest.approx(told["controls"]["equal_boxes"], abs=1e-12)
        assert told["cap_check"]["used_up"] == pytest.approx(0.08)
        assert 0 < told["cap_check"]["objects"] < 1
        assert set(told["cap_check"]["change"]) == {"value", "low", "high"}
        assert told["cap_check"]["missing_found"]["value"] >= told["drop"]["value"]


def surely_ranked(data: Data, seed: int = 0) -> list[Detections]:
    """Every object with a score of its own."""
    rng = np.random.default_rng(seed)
    return [
        Detections(each.truth.boxes, rng.uniform(0.3, 1.0, len(each.truth)), each.truth.categories) for each in data
    ]


class TestStarved:
    """Ten boxes on images of fourteen objects."""

    DATA = made(images=80, per_image=14, seed=1)
    SEEN = surely_ranked(DATA)

    @pytest.fixture(scope="class")
    @classmethod
    def gains(cls):
        return small_run(Fake(lambda number, crop: strongest(shown_in(cls.SEEN[number], crop), 10)), cls.DATA)

    def test_crops_that_gain_do_not_pass_and_both_numbers_are_named(self, gains):
        found = gains
        assert found.drop.high < 0
        for measure in (found.drop, found.by_category["cat"], found.lost, found.ratio):
            verdict = measure.judge(0.05 if not measure.good else 0.5)
            assert (verdict.outcome, verdict.passes, verdict.reason) == ("undecided", False, "cap")
        equal = found.controls["equal_boxes"]
        assert f"the drop is {found.drop.value:.3f}, with equal numbers of boxes {equal:.3f}" in verdict.doubt

    def test_crops_that_lose_just_what_the_cap_takes_do_not_pass(self):
        """The weak objects: the cap cuts them off the whole image, and the crop does not see them at all.

        Both drops are 0. Without the cap the whole image would show four objects more of each fourteen.
        """

        def answer(number: int, crop: Crop) -> Detections:
            return shown_in(strongest(self.SEEN[number], 10), crop)

        def marked(number: int, crop: Crop) -> Detections:
            some = answer(number, crop)
            return Detections(some.boxes, some.scores, some.categories, capped=is_whole(crop))

        found = small_run(Fake(marked), self.DATA)
        assert found.drop.value == pytest.approx(0.0, abs=1e-12)
        assert found.controls["equal_boxes"] == pytest.approx(0.0, abs=1e-12)
        assert found.cap.agrees
        for measure in (found.drop, found.by_category["dog"], found.lost):
            verdict = measure.judge(0.1)
            assert (verdict.outcome, verdict.passes, verdict.reason) == ("undecided", False, "cap")
            assert "had found every missing object of those images" in verdict.doubt
        assert found.drop <= 0.6  # no detector without the cap would lose so much
        assert small_run(Fake(marked), self.DATA, cap="accept").drop <= 0.1
        whole = Fake(lambda number, crop: unmarked(answer(number, crop)))
        assert small_run(whole, self.DATA).drop <= 0.1  # not cut off: there was no more to find

    def test_rows_that_score_less_than_the_operating_point_are_not_found_there(self):
        """What was cut off scores no more than the weakest row: at a higher operating point it finds nothing."""

        def marked(number: int, crop: Crop) -> Detections:
            some = shown_in(strongest(self.SEEN[number], 10), crop)
            return Detections(some.boxes, some.scores, some.categories, capped=is_whole(crop))

        found = small_run(Fake(marked), self.DATA, score_threshold=0.95)
        assert found.lost.judge(0.1).outcome != "undecided" or found.lost.judge(0.1).reason != "cap"

    def test_ap_of_the_crops_rests_on_no_whole_image(self, gains):
        assert gains.crop_ap >= 0.5


def test_a_few_crowded_images_that_hold_most_objects_are_cut_off_like_many_images():
    """Ten rows; four images of a hundred have 80 objects, the others four. Crops lose every third object."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(100):
        count = 80 if number % 25 == 0 else 4
        place = rng.permutation(COLUMNS * 10)[:count]
        corner = np.stack([6.0 * (place % COLUMNS), 9.0 * (place // COLUMNS)], axis=1)
        samples.append(sample(number, GroundTruth(np.concatenate([corner, corner + 5], axis=1), [CAT] * count)))
    data = Data(samples, {CAT: "cat"})
    seen = surely_ranked(data)

    def answer(number: int, crop: Crop) -> Detections:
        some = shown_in(seen[number], crop)
        some = some if is_whole(crop) else some.take(np.flatnonzero(np.arange(len(some)) % 3 != 2))
        return strongest(some, 10)

    found = small_run(Fake(answer, max_detections=10), data)
    assert (found.cap.used_up, found.cap.binds) == (pytest.approx(0.04), True)
    verdict = found.drop.judge(0.35)
    assert (verdict.outcome, verdict.reasons) == ("undecided", ("cap",))
    assert "on 4% of the whole images, with 4" in verdict.doubt


def test_the_cap_is_of_the_detectors_own_rows_whatever_categories_count():
    """Ten rows, half of them of a category that the data set does not have."""
    data = made(60, 5)
    seen = [Detections(each.truth.boxes, np.linspace(0.5, 0.9, 5), each.truth.categories) for each in data]

    def answer(number: int, crop: Crop) -> Detections:
        some = shown_in(seen[number], crop)
        count = 10 - len(some)
        junk = np.tile([0.0, 0.0, 5.0, 5.0], (count, 1))
        return Detections(
            np.concatenate([some.boxes, junk]),
            np.concatenate([some.scores, np.full(count, 0.6)]),
            np.concatenate([some.categories, np.full(count, 99)]),
            capped=True,
        )

    found = small_run(Fake(answer), data)
    assert (found.cap.rows, found.cap.share) == (10, 1.0)
    assert len(found.detected["reference"]) < 10 * len(data) * 2


# The evaluator's cap

COLUMNS, ROWS = 20, 9


def dense(images: int = 60, per: int = 180, categories: Sequence[int] = (CAT,)) -> Data:
    """Small objects on a grid, all of one category, or of several in turn."""
    corner = np.array([[6.0 * (k % COLUMNS), 10.0 * (k // COLUMNS)] for k in range(per)])
    boxes = np.concatenate([corner, corner + np.array([5, 8])], axis=1)
    kinds = [categories[k % len(categories)] for k in range(per)]
    names = {3: "cat", 7: "dog", 12: "bird"}
    return Data([sample(number, GroundTruth(boxes, kinds)) for number in range(images)], names)


def finds(data: Data, share: float = 1.0) -> Fake:
    """A detector that is perfect on whole images and finds ``share`` of the objects in crops."""
    rng = np.random.default_rng(5)
    scores = rng.uniform(0.5, 1.0, (len(data), len(data[0].truth)))
    whole = [Detections(each.truth.boxes, scores[row], each.truth.categories) for row, each in enumerate(data)]

    def answer(number: int, crop: Crop) -> Detections:
        some = shown_in(whole[number], crop)
        if is_whole(crop):
            return some
        return some.take(np.flatnonzero(np.arange(len(some)) % 4 < 4 * share))

    return Fake(answer)


NEARLY_ALL = "random:keep=0.95,per_image=1"


class TestEvaluatorCap:
    DATA = dense()

    @pytest.fixture(scope="class")
    @classmethod
    def found(cls):
        limits = {"max_drop": 0.05, "by_category": {"cat": 0.05}}
        return small_run(finds(cls.DATA, 0.75), cls.DATA, NEARLY_ALL, explain="always", **limits)

    @pytest.fixture(scope="class")
    @classmethod
    def roomy(cls):
        return small_run(finds(cls.DATA, 0.75), cls.DATA, NEARLY_ALL, max_detections=200)

    def test_a_detector_that_loses_every_fourth_object_does_not_pass(self, found):
        assert found.drop.value < 0.1  # the first hundred of either side
        assert [(each.outcome, each.passes, each.reason) for each in found.judge()] == [("undecided", False, "cap")] * 2
        evaluator = found.caps.evaluator
        assert evaluator.pairs["reference"] == 60
        assert 150 < evaluator.largest <= 180
        assert evaluator.share == 1.0
        text = found.explain(found.drop.judge(0.05))
        assert "AP counts 100 detections per image and category" in text
        assert f"--cropdet-max-detections={evaluator.largest}" in text

    def test_with_room_for_all_it_fails_as_it_should(self, roomy):
        found = roomy
        assert found.ap["reference"] == pytest.approx(1.0)
        assert found.drop.value == pytest.approx(0.25, abs=0.03)
        assert found.drop.judge(0.05).outcome == "fail"
        assert not found.caps.evaluator.binds
        assert run_record(found)["max_detections"] == run_record(found)["evaluator_cap"]["max_detections"] == 200

    def test_the_operating_point_counts_every_detection(self, found, roomy):
        assert found.hidden.recall["reference"] == 1.0
        assert found.hidden.score == roomy.hidden.score
        assert found.hidden.to_dict() == roomy.hidden.to_dict()
        assert found.labels.to_dict() == roomy.labels.to_dict()
        assert found.causes.fates.to_dict() == roomy.causes.fates.to_dict()

    @pytest.mark.slow
    def test_a_perfect_detector_does_not_pass_by_half_of_its_boxes_either(self):
        found = small_run(finds(self.DATA), self.DATA, NEARLY_ALL)
        assert found.drop.judge(0.05).reason == "cap"
        assert found.crop_ap.judge(0.3).reason == "cap"
        assert found.lost <= 0.05
        assert small_run(finds(self.DATA), self.DATA, NEARLY_ALL, cap="accept").drop <= 0.05
        assert small_run(finds(self.DATA), self.DATA, NEARLY_ALL, max_detections=180).drop <= 0.05

    def test_only_the_category_that_is_crowded_is_in_doubt(self):
        """Nine of ten objects are cats."""
        data = dense(categories=(3, 3, 3, 3, 7, 3, 3, 3, 3, 3))
        found = small_run(finds(data), data, NEARLY_ALL)
        assert found.by_category["cat"].judge(0.05).reason == "cap"
        assert found.by_category["dog"] <= 0.05

    def test_a_single_crowded_image_is_named_and_decides_nothing(self):
        crowd, rest = dense(1), made(99, 3, categories={3: "cat", 7: "dog", 12: "bird"})
        data = Data([*crowd, *[sample(n + 1, each.truth) for n, each in enumerate(rest)]])
        whole = [Detections(each.truth.boxes, np.full(len(each.truth), 0.9), each.truth.categories) for each in data]
        found = small_run(same(whole), data, NEARLY_ALL)
        assert found.caps.evaluator.binds
        assert 0 < found.caps.evaluator.share <= 0.05
        assert found.drop <= 0.05
        assert "AP counts 100 detections" in found.explain(found.drop.judge(0.05))

    def test_a_few_crowded_images_that_change_the_verdict_are_not_passed_by(self):
        """Four images of a hundred hold most of the objects, and crops lose half of what is in them."""
        crowd, rest = dense(4), made(96, 3, categories={3: "cat"})
        data = Data([*crowd, *[sample(n + 4, each.truth) for n, each in enumerate(rest)]], {3: "cat"})
        whole = surely_ranked(data)

        def answer(number: int, crop: Crop) -> Detections:
            some = shown_in(whole[number], crop)
            return strongest(some, 100) if number < 4 and not is_whole(crop) else some

        found = small_run(Fake(lambda number, crop: unmarked(answer(number, crop))), data, NEARLY_ALL)
        assert found.drop.high < 0.05
        assert found.caps.evaluator.share <= 0.05
        verdict = found.drop.judge(0.05)
        assert (verdict.outcome, verdict.reason) == ("undecided", "cap")
        assert "with every detection counted" in verdict.doubt

    def test_wrong_detections_beyond_the_cap_bind_nothing(self):
        data = made(60, 3)
        seen = opinions(data)

        def answer(number: int, crop: Crop) -> Detections:
            some = shown_in(seen[number], crop)
            junk = np.tile([50.0, 40.0, 54.0, 44.0], (150, 1)) - np.tile([crop.left, crop.top], 2)
            return Detections(
                np.concatenate([some.boxes, junk]),
                np.concatenate([some.scores, np.full(150, 0.05)]),
                np.concatenate([some.categories, np.full(150, CAT)]),
            )

        found = small_run(Fake(answer), data, NEARLY_ALL)
        assert found.matches["reference"].beyond
        assert not found.caps.evaluator.binds
        assert found.drop <= 0.05

    @pytest.mark.slow
    def test_pycocotools_agrees_at_any_number(self):
        data = dense(6)
        for most in (30, 200):
            found = small_run(finds(data, 0.75), data, NEARLY_ALL, verify=True, max_detections=most)
            assert found.caps.evaluator.binds == (most == 30)

    def test_causes_errors_and_places_are_those_of_what_ap_counts(self, found):
        steps = sum(step.value for step in found.steps)
        assert steps == pytest.approx(found.drop.value)
        assert found.errors["missed"].reference == pytest.approx(1 - found.ap50["reference"], abs=0.02)
        parts = {each.label: each.cost for each in found.where.by["category"]}
        assert parts["cat"].drop == pytest.approx(found.drop.value)
        assert parts["cat"].found["whole"] == 1.0

    def test_an_estimate_says_beforehand_what_is_too_crowded(self):
        told = dry_run(self.DATA, RunSettings(crops=NEARLY_ALL))
        assert told.crowded == 60
        line = "60 crops show more than 100 objects of a category, and AP counts 100 detections: set --cropdet-max-det"
        assert any(line in each and f"={told.most} or more" in each for each in told.advice())
        assert not dry_run(self.DATA, RunSettings(crops=NEARLY_ALL, max_detections=180)).crowded

    @pytest.mark.slow
    def test_the_benchmark_counts_as_many_and_notes_what_it_left_out(self):
        data = dense(6)
        some, all_of_it = (
            run_benchmark(finds(data), data, "quick", replicates=100, max_detections=n) for n in (100, 200)
        )
        assert any("AP counts 100 detections per image and category" in note for note in some.notes)
        assert not any("AP counts" in note for note in all_of_it.notes)
        assert some.whole.value < 0.6
        assert all_of_it.whole.value == pytest.approx(1.0)
        assert all_of_it.to_dict()["max_detections"] == 200

    def test_it_is_checked_when_it_is_set(self):
        with pytest.raises(ValueError, match="cropdet_max_detections must be 1 or more, not 0"):
            RunSettings(max_detections=0)


def unmarked(found: Detections) -> Detections:
    """The same, never marked as cut off."""
    return Detections(found.boxes, found.scores, found.categories)


# The table that holds more than AP counts


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_table_that_keeps_more_gives_the_ap_of_one_that_does_not(most):
    rng = np.random.default_rng(most)
    for _ in range(30):
        truth, detected = crowded(rng)
        rules = {"images": 3, "categories": [1, 2], "area_ranges": COCO_AREA_RANGES}
        plain = match(truth, detected, max_detections=most, **rules)
        kept = match(truth, detected, max_detections=most, beyond=True, **rules)
        everything = match(truth, detected, **rules)
        assert kept.rows.tolist() == everything.rows.tolist()
        np.testing.assert_array_equal(kept.truth_of(), everything.truth_of())
        for table in (kept, everything.first(most)):
            np.testing.assert_array_equal(
                average_precision(table, max_detections=most).values, average_precision(plain).values
            )
        assert {key: value for key, value in coco_summary(kept).items() if not math.isnan(value)} == {
            key: value for key, value in coco_summary(plain).items() if not math.isnan(value)
        }
        np.testing.assert_array_equal(recall(kept), recall(plain))
        np.testing.assert_array_equal(
            resample([kept], [0, 1, 2], replicates=20, seed=1).means,
            resample([plain], [0, 1, 2], replicates=20, seed=1).means,
        )
        np.testing.assert_array_equal(kept.counted.matched, plain.matched)
        np.testing.assert_array_equal(kept.counted.rank, plain.rank)
        np.testing.assert_array_equal(kept.counted.starts, plain.starts)


def crowded(rng: np.random.Generator) -> tuple[Truth, Detected]:
    """Objects that overlap and detections near them, with ties of score."""
    count, found = int(rng.integers(1, 12)), int(rng.integers(1, 25))
    boxes = rng.integers(0, 12, (count, 2)).astype(float)
    near = boxes[rng.integers(0, count, found)] + rng.integers(-2, 3, (found, 2))
    crowd = rng.random(count) < 0.2
    truth = Truth(
        rng.integers(0, 3, count),
        rng.integers(1, 3, count),
        np.concatenate([boxes, boxes + 10], axis=1),
        np.full(count, 100.0),
        crowd,
        np.zeros(count, bool),
    )
    return truth, Detected(
        rng.integers(0, 3, found),
        rng.integers(1, 3, found),
        np.concatenate([near, near + 10], axis=1),
        rng.integers(1, 6, found) / 10,
    )


def test_a_table_cannot_be_asked_for_more_than_it_keeps():
    truth, detected = crowded(np.random.default_rng(0))
    table = match(truth, detected, images=3, categories=[1, 2], max_detections=2)
    with pytest.raises(ValueError, match="between 1 and 2, not 3"):
        table.first(3)


def test_pairs_count_once_however_many_detections_are_beyond():
    truth = Truth([0] * 3, [1] * 3, [[20 * k, 0, 20 * k + 9, 9] for k in range(3)], [81] * 3, [False] * 3, [False] * 3)
    detected = Detected([0] * 3, [1] * 3, truth.boxes, [0.9, 0.8, 0.7])
    table = match(truth, detected, images=1, categories=[1], max_detections=1, beyond=True)
    assert cut_off_pairs(table).tolist() == [0]
    assert cut_off_pairs(match(truth, detected, images=1, categories=[1], beyond=True)).tolist() == []
