"""The reasons of an undecided verdict: all of them, each true, and first what more data cannot cure."""

import json

import numpy as np
import pytest

from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.evaluation.measure import Doubt, Measure
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.geometry.masks import Mask
from tests.support import (
    Data,
    Fake,
    blind,
    loses_cut,
    made,
    objects,
    opinions,
    perfect,
    same,
    sample,
    shown_in,
    small_run,
)

WHOLE = "random:keep=1.0,per_image=1"
KINDS = {key: f"kind {key}" for key in range(1, 31)}
TOO_FEW = Doubt("images", "12 images, use at least 50")
CAP = Doubt("cap", "10 boxes", only_pass=True)


def handful(images: int = 8, masks: bool = False) -> Data:
    """What one tries first: a few pictures of many kinds of things, none of them in five pictures."""
    samples = []
    for number in range(images):
        kinds = [1 + (3 * number + place) % len(KINDS) for place in range(3)]
        boxes = np.array([[5.0 + 38 * place, 20.0, 35.0 + 38 * place, 60.0] for place in range(3)])
        masks_of = tuple(
            Mask.from_segmentation([[x0, y0, x1, y0, x1, y1, x0, y1]], 90, 120) for x0, y0, x1, y1 in boxes
        )
        samples.append(sample(number, GroundTruth(boxes, kinds, masks=masks_of if masks else ())))
    return Data(samples, KINDS)


def loss(value=0.0, low=0.0, high=0.0, **options) -> Measure:
    return Measure("drop", value, low, high, **options)


class TestOrder:
    @pytest.mark.parametrize(
        ("options", "reasons"),
        [
            ({"doubts": (TOO_FEW,), "blind": (0.0, 0.05)}, ("blind", "images")),
            ({"doubts": (TOO_FEW,), "blind": (0.0, 0.05), "reference": 0.02}, ("blind", "images")),
            ({"doubts": (TOO_FEW,), "blind": (0.0, 0.05), "reference": 0.9}, ("images", "blind")),
            ({"doubts": (TOO_FEW,), "spread": 0.2}, ("spread", "images")),
            ({"doubts": (TOO_FEW, CAP)}, ("cap", "images")),
            ({"doubts": (TOO_FEW, CAP), "blind": (0.0, 0.05), "spread": 0.2}, ("blind", "spread", "cap", "images")),
            ({"doubts": (Doubt("share", "a third"), TOO_FEW)}, ("images", "share")),
            ({"doubts": (TOO_FEW, Doubt("own", "of a user's own"))}, ("images", "own")),
        ],
    )
    def test_all_reasons_are_listed_first_what_more_data_cannot_cure(self, options, reasons):
        verdict = loss(**options).judge(0.1)
        assert (verdict.outcome, verdict.passes, verdict.reasons) == ("undecided", False, reasons)
        assert verdict.reason == reasons[0]
        assert all(doubt.text in verdict.doubt for doubt in verdict.doubts)

    def test_a_loss_that_is_sure_is_no_sign_of_a_reference_that_is_weak_or_capped(self):
        verdict = loss(0.3, 0.25, 0.35, doubts=(TOO_FEW, CAP), blind=(0.0, 0.05)).judge(0.1)
        assert verdict.reasons == ("images",)

    def test_what_is_not_defined_is_undefined_for_the_reason_that_is_known(self):
        no_mean = Doubt("categories", "no category in 5 images")
        assert loss(None, None, None, doubts=(no_mean, TOO_FEW)).judge(0.1).reasons == ("images", "categories")
        assert loss(None, None, None, doubts=(TOO_FEW,)).judge(0.1).reasons == ("undefined", "images")

    def test_a_measure_that_is_not_defined_costs_nothing(self):
        verdict = loss(None, None, None).judge(0.1)
        assert verdict.headline == "UNDECIDED drop undefined, limit 0.100 (undefined)"


class TestHandful:
    def test_it_is_too_few_images_and_no_category_has_enough(self):
        found = small_run(perfect(handful()), handful(), "random:keep=1.0,per_image=2", max_drop=0.05)
        (verdict,) = found.judge()
        assert verdict.reasons == ("images", "categories")
        text = found.explain(verdict)
        assert "undecided: too few images: 8 source images have a scored object" in text
        assert "use at least 50 (cropdet_min_images)" in text
        assert "no category has scored objects in 5 source images or more" in text
        for false in ("undefined mAP;", "no scored object", "cost undefined", "advice"):
            assert false not in text

    @pytest.mark.parametrize("masks", [True, False])
    def test_no_masks_is_said_only_of_data_without_masks(self, masks):
        data = handful(masks=masks)
        found = small_run(perfect(data), data)
        assert found.controls["geometric_floor"] is None  # there is no mean to measure it by
        assert ("no masks" in found.explain(found.drop.judge(0.05))) is not masks

    def test_a_detector_that_finds_nothing_in_a_handful_is_blind_first(self):
        found = small_run(blind(), handful(), WHOLE, max_drop=0.05)
        (verdict,) = found.judge()
        assert verdict.reasons[:2] == ("blind", "images")
        assert "finds none of the scored objects" in verdict.doubts[0].text

    def test_a_single_category_in_a_few_images_has_a_drop_but_no_verdict(self):
        data = Data([sample(number, objects(((20, 20, 50, 50), 3))) for number in range(8)])
        verdict = small_run(perfect(data), data).drop.judge(0.05)
        assert verdict.reasons == ("images", "objects")
        assert verdict.measure.value == 0

    def test_enough_images_of_too_many_categories_are_not_called_too_few(self):
        names = {key: f"kind {key}" for key in range(60)}
        data = Data([sample(number, objects(((20, 20, 50, 50), number))) for number in range(60)], names)
        assert small_run(perfect(data), data).drop.judge(0.05).reasons == ("categories",)

    def test_the_json_has_the_first_reason_and_all_of_them(self):
        found = small_run(blind(), made(images=36), max_drop=0.05)
        found.judge()
        told = json.loads(json.dumps(run_record(found)))
        assert told["verdict_reason"] == "blind"
        assert told["verdict_reasons"] == ["blind", "images"]


class TestWeak:
    def test_ap_0_and_36_images_are_both_said_and_images_would_not_cure_it(self):
        found = small_run(blind(), made(images=36), WHOLE, max_drop=0.05)
        lines = found.explain(found.judge()[0]).splitlines()
        assert "returned no box at all on 36 whole images" in lines[1]
        assert lines[2].startswith("  also: too few images: 36 source images")

    def test_the_ratio_of_a_blind_detector_is_undefined_because_it_finds_nothing(self):
        found = small_run(blind(), made())
        assert "the detector finds none of the objects" in found.ratio.judge(0.5).doubts[0].text

    def test_precision_without_a_detection_is_undefined_because_there_is_none(self):
        data = made()
        whole = opinions(data)
        found = small_run(same(whole), data, score_threshold=1.0)
        verdict = found.precision.judge(0.5)
        assert "precision is undefined: no detection in crops scores 1 or more" in verdict.doubt

    def test_a_spread_that_nobody_could_measure_is_no_number(self):
        """No object is in the images that are shown again."""
        full = made(images=60)
        samples = [sample(number, GroundTruth.empty()) for number in range(56)]
        samples += [sample(56 + number, each.truth) for number, each in enumerate(full)]
        draw = np.random.default_rng(0)

        def answer(number, crop):
            truth = samples[number].truth if number >= 56 else full[number].truth
            return shown_in(Detections(truth.boxes, draw.uniform(0.4, 0.6, len(truth)), truth.categories), crop)

        verdict = small_run(Fake(answer), Data(samples), WHOLE).drop.judge(0.2)
        assert verdict.reason == "spread"
        assert "two passes over the same images differ by an unknown amount" in verdict.doubt


class TestExplained:
    def test_a_detector_is_not_asked_why_it_loses_what_it_never_found(self):
        detector = blind()
        found = small_run(detector, made(), max_drop=0.05)
        assert "context lost" not in found.explain(found.judge()[0])
        assert len(detector.shown) <= 60 * 3 + 60  # whole images and crops, and a batch for repeatability
        assert found.explanation.causes is None

    def test_nothing_is_advised_where_nothing_could_be_judged(self):
        data = made(images=20)
        found = small_run(loses_cut(opinions(data)), data, max_drop=0.05)
        verdict = found.judge()[0]
        assert verdict.reasons == ("images",)
        assert "advice" not in found.explain(verdict)
        assert (found.advice.recipes, found.advice.code) == ((), "")
        assert "nothing could be judged: too few images" in str(found.advice)
        told = small_run(loses_cut(opinions(data)), data, max_drop=0.05, min_images=10)
        assert "what to try: " in told.explain(told.judge()[0])
        assert told.advice.recipes


def scattered(data: Data, seed: int = 0) -> Fake:
    """A detector whose boxes are all too wide by a tenth, and of the right category in one of twenty objects."""
    draw = np.random.default_rng(seed)
    ids = list(data.categories)
    whole = []
    for each in data:
        boxes = each.truth.boxes * 1.0
        boxes[:, 2] += 0.1 * (boxes[:, 2] - boxes[:, 0])
        right = draw.random(len(boxes)) < 0.4
        other = [ids[(ids.index(key) + 1) % len(ids)] for key in each.truth.categories.tolist()]
        noise = Detections(boxes, np.full(len(boxes), 0.9), np.where(right, each.truth.categories, other))
        whole.append(noise)
    return Fake(lambda number, crop: shown_in(whole[number], crop))


class TestBias:
    def test_a_weak_reference_is_no_evidence_of_a_coordinate_mistake(self):
        data = made(images=60, per_image=4)
        weak = small_run(scattered(data), data, max_drop=0.4, explain="always")
        assert weak.drop.blind[0] < 0.4
        assert (weak.bias.mistakes, weak.bias.judged, weak.bias.text) == ((), False, None)
        assert weak.bias.to_dict()["judged"] is False
        seeing = small_run(scattered(data), data, max_drop=0.0, explain="always")
        assert seeing.drop.blind[0] > 0.05
        assert [each.kind for each in seeing.bias.mistakes]
        assert "judged" not in seeing.bias.to_dict()
