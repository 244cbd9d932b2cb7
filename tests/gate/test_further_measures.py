"""Measures by name: AP by size, AR, F1, LRP and calibration, as losses and of one side, with verdicts and doubts."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet import GateFailure
from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import FURTHER_NUMBERS
from pytest_cropdet.gate.results import Run
from tests.support import Data, Fake, blind, is_whole, loses_cut, made, opinions, perfect, sample, shown_in, small_run

DATA = made(images=60)
GOODS = ("APs", "AR1", "AR10", "AR100", "F1")
ERRORS = ("LRP", "oLRP", "ECE")


@pytest.fixture(scope="module")
def weak():
    return small_run(loses_cut(opinions(DATA)), DATA)


@pytest.fixture(scope="module")
def whole():
    return small_run(perfect(DATA), DATA)


@pytest.mark.parametrize("name", GOODS)
def test_a_good_is_lost_in_crops(weak, whole, name):
    lost, crop, reference = (weak.measure(name, of=of) for of in ("loss", "crop", "reference"))
    assert lost.value == pytest.approx(reference.value - crop.value)
    assert 0 < lost.low < lost.value < lost.high
    assert (lost.name, crop.name, reference.name) == (f"{name} lost", f"{name} on crops", f"{name} in whole images")
    assert (lost.good, crop.good, reference.good) == (False, True, True)
    assert [lost.judge(each).outcome for each in (lost.high, lost.value, lost.low / 2)] == ["pass", "undecided", "fail"]
    assert (crop >= crop.low).outcome == "pass"
    assert crop.judge(crop.high + 0.01).outcome == "fail"
    assert whole.measure(name).value == 0.0
    assert 0.6 < whole.measure(name, of="crop").value <= 1.0


@pytest.mark.parametrize("name", ["LRP", "oLRP"])
def test_an_error_is_added_in_crops(weak, whole, name):
    added, crop = weak.measure(name), weak.measure(name, of="crop")
    assert added.value == pytest.approx(crop.value - weak.measure(name, of="reference").value)
    assert 0 < added.low < added.value < added.high
    assert (added.name, crop.name) == (f"{name} added", f"{name} on crops")
    assert (crop <= 0.99).outcome == "pass"
    with pytest.raises(TypeError, match="a loss is gated as"):
        _ = crop >= 0.1
    assert whole.measure(name, of="crop").value == pytest.approx(0.0, abs=1e-12)


def test_scores_that_fall_on_crops_show_in_the_calibration_and_not_in_the_ap():
    opinion = opinions(DATA)

    def half(number, crop):
        found = shown_in(opinion[number], crop)
        return found if is_whole(crop) else Detections(found.boxes, found.scores / 2, found.categories)

    fair, falls = (small_run(detector, DATA) for detector in (Fake(lambda n, c: shown_in(opinion[n], c)), Fake(half)))
    assert falls.drop.value == pytest.approx(fair.drop.value)
    assert fair.measure("calibration").value == 0.0
    assert falls.measure("calibration").low > 0.1
    with pytest.raises(GateFailure, match=r"FAIL calibration 0.*calibration error of scores on crops against whole"):
        assert falls.measure("calibration") <= 0.05
    assert falls.measure("ECE", of="crop").value != pytest.approx(falls.measure("ECE", of="reference").value)


def test_ap_by_size_needs_enough_objects_of_that_size(weak):
    assert weak.measure("APl").judge(0.5).reason == "undefined"
    medium = weak.measure("APm")
    assert medium.value is not None
    assert medium.judge(0.5).reason in ("images", "categories")


@pytest.mark.parametrize("name", [*GOODS, "LRP", "oLRP"])
def test_a_detector_that_finds_nothing_has_nothing_to_lose(name):
    nothing = small_run(blind(), DATA)
    assert nothing.measure(name, of="crop").value == (0.0 if name in GOODS else 1.0)
    found = nothing.measure(name)
    assert found.value == pytest.approx(0.0)
    verdict = found.judge(0.5)
    assert (verdict.outcome, verdict.reason) == ("undecided", "blind")
    assert (
        f"the detector is too weak for this test: {'' if name in GOODS else '1 - '}{name} on the same" in verdict.doubt
    )


@pytest.mark.parametrize("name", ["ECE", "calibration"])
def test_scores_of_no_detection_are_worth_nothing_that_is_defined(name):
    verdict = small_run(blind(), DATA).measure(name).judge(0.5)
    assert (verdict.outcome, verdict.reason) == ("undecided", "undefined")
    assert FURTHER_NUMBERS[name].missing in verdict.doubt


def test_f1_fits_recall_and_precision(weak):
    precision, recall = weak.precision.value, weak.recall.value
    assert weak.measure("F1", of="crop").value == pytest.approx(2 * precision * recall / (precision + recall))


def test_too_few_images_leave_all_undecided():
    few = made(images=20)
    found = small_run(perfect(few), few)
    for name in (*GOODS, *ERRORS, "calibration"):
        assert found.measure(name).judge(0.9).reason == "images", name


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("APx", {}, "no measure is called 'APx'; there are APs, APm"),
        ("APs", {"of": "drop"}, "of='drop': write 'loss', 'crop' or 'reference'"),
        ("calibration", {"of": "crop"}, "calibration compares crops with whole images: it has no of='crop'"),
        ("APs", {"good": True}, r"good=, vectorised= and unit= are of a function; 'APs' says its own"),
        ("APs", {"name": "drop"}, "cannot be called 'drop': built-in ones are called so"),
        (np.mean, {"of": "crop"}, "of= is of a measure by name"),
    ],
    ids=["unknown", "side", "between", "good", "taken", "function"],
)
def test_mistakes_are_named(weak, name, arguments, sentence):
    with pytest.raises(SpecError, match=sentence):
        weak.measure(name, **arguments)


def test_without_truth_they_are_agreement_and_those_of_scores_are_refused():
    class Pictures(Data):
        has_truth = False

    data = Pictures([sample(number, GroundTruth.empty()) for number in range(60)])
    found = small_run(loses_cut(opinions(DATA)), data)
    assert found.measure("AR10", of="reference").value == 1.0
    assert found.measure("AR10").value == pytest.approx(found.measure("AR10", of="crop").value * -1 + 1)
    for name in ("ECE", "calibration"):
        with pytest.raises(SpecError, match=f"{name} needs ground truth"):
            found.measure(name)


def test_they_are_in_json_and_in_a_saved_run(tmp_path):
    found = small_run(loses_cut(opinions(DATA)), DATA)
    values = {each.name: each.value for each in (found.measure(name) for name in FURTHER_NUMBERS)}
    assert {each["name"]: each["value"] for each in found.to_dict()["measures"]} == values
    found.save(tmp_path / "run.zip")
    again = Run.load(tmp_path / "run.zip")
    for name in FURTHER_NUMBERS:  # measured anew from the file, and the same
        assert again.measure(name, name=f"again {name}").value == found.measure(name).value


def test_a_name_of_ones_own_may_be_given(weak):
    assert weak.measure("APs", name="specks").name == "specks"
