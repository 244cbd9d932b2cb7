"""Runs on made-up pictures, with detectors whose loss is known."""

import itertools
import json

import numpy as np
import pytest

from pytest_cropdet.data.data_warnings import DataWarnings
from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.detectors.handle import as_handle
from pytest_cropdet.errors import DataError, DetectorError, SpecError
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.gate.runner import Finished, events, run
from pytest_cropdet.geometry.crop import Crop
from pytest_cropdet.inference.progress import Advanced, Started
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
    small_run,
)

DATA = made()
OPINIONS = opinions(DATA)
SHARP = [Detections(each.truth.boxes, np.full(len(each.truth), 0.9), each.truth.categories) for each in DATA]


@pytest.fixture(scope="module")
def losing():
    """A run of a detector that loses what is cut, with limits of every kind."""
    return small_run(loses_cut(SHARP), DATA, max_drop=0.05, by_category={"dog": 0.8}, min_ratio=0.9, min_crop_ap=0.1)


class TestKnownLosses:
    @pytest.mark.parametrize("keep", ["0.3", "0.5-0.9", "1.0"])
    @pytest.mark.parametrize("metric", ["mAP", "AP50", "AP75"])
    def test_who_sees_in_the_crop_what_he_sees_in_the_whole_loses_exactly_nothing(self, keep, metric):
        found = small_run(same(OPINIONS), DATA, f"random:keep={keep},per_image=3", metric=metric)
        assert found.drop.value == pytest.approx(0.0, abs=1e-14)  # the order of a sum is all that differs
        assert (found.drop.low, found.drop.high) == pytest.approx((0.0, 0.0), abs=1e-14)
        assert found.metric_values["crop"] > 0.3
        assert (found.hidden.lost.value, found.hidden.gained.value, found.hidden.flips.value) == (0.0, 0.0, 0.0)
        assert found.hidden.confident_ratio == 1.0
        assert found.ratio.value == pytest.approx(1.0, abs=1e-14)
        assert found.worst is None

    def test_crops_that_keep_everything_cost_exactly_nothing_for_any_detector(self):
        whole = opinions(DATA, loose=0.2, false=6)
        found = small_run(Fake(lambda number, crop: whole[number]), DATA, "random:keep=1.0,per_image=2")
        assert (found.drop.value, found.drop.low, found.drop.high) == (0.0, 0.0, 0.0)
        assert found.controls["without_stray"] == 0.0
        assert found.controls["equal_boxes"] == 0.0

    def test_who_loses_what_is_cut_has_a_drop_with_bounds_around_it(self, losing):
        assert 0.1 < losing.drop.low < losing.drop.value < losing.drop.high < 0.6
        assert losing.drop.value == pytest.approx(losing.ap["reference"] - losing.ap["crop"], abs=1e-12)
        assert [verdict.outcome for verdict in losing.judge()] == ["fail", "fail", "pass", "pass"]

    def test_a_perfect_detector_has_an_ap_of_one_on_both_sides(self):
        found = small_run(perfect(DATA), DATA)
        assert found.ap["reference"] == pytest.approx(1.0, abs=1e-12)
        assert found.ap["crop"] == pytest.approx(1.0, abs=1e-12)
        assert found.hidden.recall == {"reference": 1.0, "crop": 1.0}
        assert found.hidden.precision == {"reference": 1.0, "crop": 1.0}

    def test_the_drop_of_a_metric_is_that_of_its_iou(self):
        whole = opinions(DATA, loose=0.15)
        runs = {metric: small_run(loses_cut(whole), DATA, metric=metric) for metric in ("mAP", "AP50", "AP75")}
        for metric, found in runs.items():
            before, after = found.metric_values["reference"], found.metric_values["crop"]
            assert found.drop.value == before - after
            assert found.drop.unit == metric
        assert len({found.drop.value for found in runs.values()}) == 3
        assert runs["mAP"].ap50 == runs["AP50"].ap50

    def test_more_loss_shows_as_more_drop(self):
        drops = [small_run(loses_cut(OPINIONS, least), DATA).drop.value for least in (0.5, 0.7, 0.9, 1.0)]
        assert drops[0] == pytest.approx(0.0, abs=1e-14)
        assert all(one < other for one, other in itertools.pairwise(drops))


class TestGoods:
    def test_the_ratio_is_crop_over_reference(self, losing):
        assert losing.ratio.value == pytest.approx(losing.ap["crop"] / losing.ap["reference"], abs=1e-12)
        assert losing.ratio.low < losing.ratio.value < losing.ratio.high
        assert losing.crop_ap.value == losing.ap["crop"]
        assert losing.ratio >= 0.1
        assert not losing.ratio.doubts
        assert losing.ratio.judge(0.99).outcome == "fail"

    def test_the_ratio_of_a_blind_detector_is_undefined_not_one(self):
        found = small_run(blind(), DATA)
        assert found.ratio.value is None
        assert found.ratio.judge(0.5).reason == "undefined"

    def test_a_detector_that_is_nearly_blind_passes_no_gate_by_losing_nothing(self):
        """AP of the reference is about 0.03, and so is that of the crop: the ratio is 1."""
        rare = [each if number % 10 == 0 else Detections.empty() for number, each in enumerate(OPINIONS)]
        found = small_run(same(rare), DATA)
        assert found.ratio.value == pytest.approx(1.0, abs=1e-12)
        assert found.ratio.judge(0.9).reason == "blind"
        assert found.lost.judge(0.1).reason == "blind"
        assert (found.lost - found.gained).judge(0.1).reason == "blind"
        assert found.flips.judge(0.1).reason == "blind"
        assert found.drop.judge(0.05).reason == "blind"


class TestCategories:
    def test_a_category_named_in_a_limit_is_judged_by_itself(self, losing):
        dog = next(each for each in losing.categories if each.name == "dog")
        assert losing.by_category["dog"].value == dog.drop
        assert losing.by_category["dog"].low < dog.drop < losing.by_category["dog"].high
        assert losing.by_category["dog"].name == "drop of dog"

    def test_the_mean_drop_is_the_mean_of_the_categories(self, losing):
        assert losing.drop.value == pytest.approx(np.mean([each.drop for each in losing.categories]), abs=1e-12)

    def test_names_in_limits_are_read_as_generously_as_elsewhere(self):
        found = small_run(loses_cut(OPINIONS), DATA, by_category={" Dog": 0.3})
        assert [verdict.measure.name for verdict in found.judge()] == ["drop of dog"]

    def test_a_category_outside_of_the_mean_can_have_a_limit_of_its_own(self):
        found = small_run(loses_cut(OPINIONS), DATA, categories=("cat",), by_category={"dog": 0.3}, max_drop=0.3)
        assert [verdict.measure.name for verdict in found.judge()] == ["drop", "drop of dog"]
        alone = small_run(loses_cut(OPINIONS), DATA, categories=("cat",))
        assert found.drop.value == alone.drop.value
        assert found.speaks_for == alone.speaks_for

    def test_a_limit_on_an_unknown_category_is_refused_before_the_detector_is_called(self):
        detector = same(OPINIONS)
        with pytest.raises(SpecError, match="no category 'horse'; it has cat, dog, bird"):
            small_run(detector, DATA, by_category={"horse": 0.1})
        assert detector.shown == []

    def test_the_mean_over_one_category_is_a_valid_map(self):
        data = made(categories={1: "face"})
        found = small_run(loses_cut(opinions(data, missing=0.0, false=1)), data, max_drop=0.7)
        assert [each.name for each in found.categories] == ["face"]
        assert found.drop.value == found.categories[0].drop
        assert found.judge()[0].outcome == "pass"

    def test_categories_of_the_mean_have_objects_in_five_source_images(self):
        """Bird: in five images. Dog: fifty objects in four images. Neither crops nor objects are counted."""
        samples = []
        for number in range(60):
            kinds = [3, 12 if number < 5 else 3, *([7] * 5 if number < 4 else [])]
            corner = np.array([[10.0 * place, 8.0 * place] for place in range(len(kinds))])
            samples.append(sample(number, GroundTruth(np.concatenate([corner, corner + 9], axis=1), kinds)))
        data = Data(samples)
        found = small_run(perfect(data), data, "random:keep=1.0,per_image=3")
        assert {each.name: (each.images, each.in_mean) for each in found.categories} == {
            "cat": (60, True),
            "dog": (4, False),
            "bird": (5, True),
        }
        assert found.by_category["dog"].judge(0.5).reason == "images"
        assert found.by_category["bird"].judge(0.5).outcome == "pass"
        assert found.speaks_for["categories"] == pytest.approx(2 / 3)
        assert found.speaks_for["objects"] == pytest.approx(120 / 140)

    def test_a_category_without_scored_objects_is_undefined_and_takes_part_in_nothing(self):
        data = Data(DATA.samples, {**NAMES, 20: "horse"})
        found = small_run(loses_cut(OPINIONS), data)
        horse = next(each for each in found.categories if each.name == "horse")
        assert (horse.reference, horse.crop, horse.drop, horse.in_mean) == (None, None, None, False)
        assert found.by_category["horse"].judge(0.5).reason in {"undefined", "images"}
        assert found.drop.value == small_run(loses_cut(OPINIONS), DATA).drop.value


class TestCounts:
    def test_objects_are_counted_by_crop_and_once(self):
        data = Data([sample(number, objects(((50, 30, 60, 40), 3), ((0, 0, 5, 5), 7))) for number in range(6)])
        found = small_run(perfect(data), data, "tile:size=80,overlap=0.5")
        # 120 x 90 in tiles of 80: two columns by two rows; the first object shows in all four, the second in one
        assert found.crops == 24
        assert found.scored_objects == 6 * 5
        assert found.distinct_objects == 6 * 2
        assert found.images == 6
        assert found.spent.model_calls == 6 + 24

    def test_one_annotation_id_in_two_images_is_two_objects(self):
        """Ids are unique in COCO; a data set of the user's own may count from 1 in each image, as ours does here."""
        data = Data([sample(number, objects(((50, 30, 60, 40), 3))) for number in range(5)])
        assert small_run(perfect(data), data).distinct_objects == 5

    def test_false_positives_in_crops_without_objects_count(self):
        """Objects at the left, false detections at the right, in the crop alone: they cost AP all the same."""
        data = Data([sample(number, objects(((5, 5, 25, 25), 3))) for number in range(20)])
        box = np.array([[5.0, 5.0, 25.0, 25.0]])

        def answer(number: int, crop: Crop) -> Detections:
            if is_whole(crop) or crop.left == 0:
                return Detections(box, [0.5], [3]) if crop.top == 0 else Detections.empty()
            return Detections(box, [0.9], [3])

        found = small_run(Fake(answer), data, "tile:size=60,overlap=0")
        empty = set(range(found.crops)) - set(found.objects.truth.image.tolist())
        assert empty
        assert found.ap["reference"] == pytest.approx(1.0)
        assert found.ap["crop"] < 0.6
        assert found.hidden.precision["crop"] < 0.6


class TestRecord:
    def test_every_value_of_the_record_is_json_and_nothing_is_nan(self, losing):
        losing.judge()
        told = run_record(losing)
        assert json.loads(json.dumps(told, allow_nan=False)) == told

    def test_undefined_is_none_in_the_result_and_in_the_record(self):
        data = Data([sample(number, GroundTruth.empty()) for number in range(8)])
        found = small_run(same([Detections.empty()] * 8), data, max_drop=0.05)
        assert found.drop.value is None
        assert found.ap == {"reference": None, "crop": None}
        assert found.judge()[0].reason == "undefined"
        told = json.loads(json.dumps(run_record(found), allow_nan=False))
        assert told["drop"] == {"value": None, "low": None, "high": None, "level": 0.95}
        assert told["verdict"] == "undecided"
        assert told["hidden"]["lost"]["value"] is None
        assert told["operating_point"]["recall"] == {"reference": None, "crop": None}

    def test_the_record_has_every_part(self, losing):
        parts = """name verdict limit metric drop verdict_reason ratio ap ap50 ap75 images crops objects
        distinct_objects model_calls seconds seed plan detector dataset speaks_for cap controls operating_point hidden
        deterministic looks model_calls_spared hint evaluator categories verdicts"""
        assert set(parts.split()) <= set(run_record(losing))

    def test_the_record_says_what_the_run_says(self, losing):
        losing.judge()
        told = run_record(losing)
        assert told["drop"] == {
            "value": losing.drop.value,
            "low": losing.drop.low,
            "high": losing.drop.high,
            "level": losing.drop.level,
        }
        assert told["verdict"] == "fail"
        assert told["limit"] == 0.05
        assert told["controls"]["equal_boxes"] == losing.controls["equal_boxes"]
        assert told["hidden"]["lost"]["count"] == int(losing.hidden.lost.over.sum())
        assert {each["name"]: each["drop"] for each in told["categories"]} == {
            each.name: each.drop for each in losing.categories
        }


class TestReproducible:
    def test_the_same_seed_gives_the_same_numbers(self):
        one, other = (run_record(small_run(loses_cut(OPINIONS), DATA, seed=4, max_drop=0.1)) for _ in range(2))
        del one["seconds"], other["seconds"]
        assert one == other

    def test_another_seed_gives_other_windows_and_another_drop(self):
        one, other = (small_run(loses_cut(OPINIONS), DATA, seed=seed) for seed in (0, 1))
        assert one.drop.value != other.drop.value

    def test_the_order_of_the_data_set_moves_nothing_but_the_last_digits(self):
        order = np.random.default_rng(0).permutation(len(DATA))
        mixed = Data([DATA[place] for place in order], dict(reversed(NAMES.items())))
        one = small_run(loses_cut(OPINIONS), DATA, max_drop=0.3)
        other = small_run(loses_cut(OPINIONS), mixed, max_drop=0.3)
        assert other.drop.value == pytest.approx(one.drop.value, abs=1e-12)
        assert other.ap == pytest.approx(one.ap, abs=1e-12)
        assert other.hidden.lost.value == one.hidden.lost.value
        assert other.hidden.score == one.hidden.score
        assert [each.outcome for each in other.judge()] == [each.outcome for each in one.judge()]

    def test_the_batch_of_the_detector_moves_nothing(self):
        runs = [small_run(loses_cut(OPINIONS, batch=batch), DATA) for batch in (1, 7, 64)]
        assert len({(each.drop.value, each.drop.low, each.drop.high) for each in runs}) == 1

    def test_fewer_images_are_a_part_of_more(self):
        some, more = (
            {each.id for each in small_run(same(OPINIONS), DATA, sample_images=count).objects.index.samples}
            for count in (10, 20)
        )
        assert len(some) == 10
        assert some < more


class TestDetectors:
    def test_categories_are_brought_together_by_name(self):
        ids = {3: 0, 7: 1, 12: 2}

        def answer(number: int, crop: Crop) -> Detections:
            found = same(OPINIONS).answer(number, crop)
            return Detections(found.boxes, found.scores, [ids[int(key)] for key in found.categories])

        renamed = Fake(answer, categories={0: "Cat", 1: "DOG", 2: "bird", 3: "horse"})
        assert small_run(renamed, DATA).ap == small_run(same(OPINIONS), DATA).ap

    def test_a_detector_that_does_not_know_a_category_is_refused_before_it_is_called(self):
        detector = same(OPINIONS, categories={0: "cat", 1: "dog"})
        with pytest.raises(DetectorError, match="does not know 'bird'"):
            small_run(detector, DATA)
        assert detector.shown == []

    def test_ids_that_fit_nowhere_are_noticed(self):
        shifted = [Detections(each.boxes, each.scores, each.categories + 100) for each in OPINIONS]
        with pytest.raises(DetectorError, match="no detection has a category of the data set"):
            small_run(same(shifted), DATA)

    def test_a_data_set_without_images_is_refused(self):
        with pytest.raises(DataError, match="has no images"):
            run(blind(), Data([]))

    def test_every_picture_and_every_crop_is_sent_once_and_then_one_batch_again(self):
        detector = same(OPINIONS, batch=16)
        found = small_run(detector, DATA)
        crops = [(int(sample.id[:3]), crop) for sample in DATA for crop in found.plan.windows[sample.id]]
        wholes = [(number, crop) for number, crop in detector.shown if is_whole(crop)]
        assert sorted(each for each in detector.shown if not is_whole(each[1])) == sorted(crops)
        assert sorted(number for number, _ in wholes) == sorted([*range(60), *range(16)])
        assert found.spent.model_calls == len(DATA) + len(crops)

    def test_calls_are_those_of_this_run_when_a_handle_is_used_twice(self):
        handle = as_handle(same(OPINIONS))
        first, second = (small_run(handle, DATA).spent for _ in range(2))
        assert first.model_calls == second.model_calls == 60 + 120
        assert 0 <= second.model_seconds < handle.seconds


def test_events_tell_the_size_then_the_progress_then_the_result():
    seen = list(events(same(OPINIONS), DATA, RunSettings(crops="random:keep=0.6,per_image=2", replicates=100)))
    assert seen[0] == Started(images=60, crops=120, calls=180)
    done = [each.done for each in seen if isinstance(each, Advanced)]
    assert done == sorted(done)
    assert done[-1] == 180
    assert isinstance(seen[-1], Finished)
    assert len([each for each in seen if isinstance(each, Finished)]) == 1


def test_what_is_odd_in_the_data_is_in_the_run_its_record_and_the_text_of_a_failure():
    data = made()
    data.warnings = DataWarnings()
    data.warnings.add("crowds", "image 000.png: annotation 1")
    found = small_run(loses_cut(SHARP), data, max_drop=0.05)
    assert [each["kind"] for each in found.data_warnings] == ["crowds"]
    assert run_record(found)["data_warnings"] == found.data_warnings
    assert f"data: {found.data_warnings[0]['text']}" in found.explain(found.judge()[0])
    data.warnings = ["of another kind"]
    assert small_run(loses_cut(SHARP), data).data_warnings == []


def test_a_spec_in_the_place_of_the_settings_is_named_with_the_argument_it_belongs_to():
    with pytest.raises(SpecError, match=r"not 'random:keep=0.5'; write crops='random:keep=0.5'"):
        run(perfect(DATA), DATA, "random:keep=0.5")
