"""All open conventions of a model at once; and nothing that was tried for it is ever used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_cropdet import load_detector
from pytest_cropdet.detectors import Description, OpenConventionsError, origins, probe
from pytest_cropdet.detectors.open_conventions import (
    HINT,
    OpenConvention,
    load_described,
    read_refusal,
    write_refusal,
)
from pytest_cropdet.errors import DetectorError

MODELS = Path(__file__).parents[2] / "fixtures" / "models"


class Needs:
    """A model that requires conventions one after another, and fails in ways of its own."""

    def __init__(self, *keys, fails=lambda known: None):
        self.keys = keys
        self.fails = fails
        self.loads = []

    def __call__(self, known):
        self.loads.append(known.known())
        for key in self.keys:
            known.require(key, f"{key} is not said")
        self.fails(known)
        return "loaded"


def refused(model, **given):
    with pytest.raises(OpenConventionsError) as caught:
        load_described(model, Description.of(**given))
    return caught.value


def test_what_is_described_loads_once():
    model = Needs("range")
    assert load_described(model, Description.of(range="0..1")) == "loaded"
    assert len(model.loads) == 1


def test_all_open_conventions_are_named_in_one_error_and_the_first_as_before():
    error = refused(Needs("resize", "boxes", "range"), boxes="xyxy")
    assert [each.key for each in error.open] == ["resize", "range"]
    first, *more = str(error).splitlines()
    assert first == "resize is not said; set --cropdet-detector resize=inside|stretch|letterbox|keep_aspect"
    assert "    --cropdet-detector=range=0..255|0..1|-1..1" in more
    assert more[-1] == HINT
    assert HINT not in error.without_hint
    assert error.complete == {"boxes": "xyxy", "resize": "inside", "range": "0..255"}


def test_a_value_that_does_not_fit_is_passed_over():
    def fails(known):
        if known.range != "-1..1":
            raise RuntimeError("the runtime fails")

    error = refused(Needs("units", "range", fails=fails))
    assert [each.key for each in error.open] == ["units", "range"]
    assert error.complete == {"units": "normalized", "range": "-1..1"}


def test_where_a_file_is_needed_what_may_follow_is_not_known():
    error = refused(Needs("range", "anchors", "resize"))
    assert [each.key for each in error.open] == ["range", "anchors"]
    assert error.complete is None
    assert "others may follow" in str(error)


def test_a_line_that_an_error_proposes_is_a_convention_that_is_open():
    def load(known):
        if known.outputs is None:
            raise DetectorError("odd names; if these are a list, set --cropdet-detector outputs=boxes:b,scores:s")
        known.require("units", "units are not said")

    error = refused(load)
    assert (error.open[0].key, error.open[0].choices) == ("outputs", ("boxes:b,scores:s",))
    assert error.complete == {"units": "normalized", "outputs": "boxes:b,scores:s"}


def test_a_line_about_what_is_set_already_is_an_error_like_any_other():
    def load(known):
        raise DetectorError("no range; set --cropdet-detector range=0..255")

    with pytest.raises(DetectorError, match=r"^no range") as caught:
        load_described(load, Description.of(range="0..1"))
    assert not isinstance(caught.value, OpenConventionsError)


@pytest.mark.parametrize(
    ("found", "values"),
    [
        (OpenConvention("range", "", ("0..255", "0..1")), ("0..255", "0..1")),
        (OpenConvention("anchors", "", ("FILE", "none")), ()),
        (OpenConvention("labels", "", ("FILE",)), ()),
        (OpenConvention("nms_iou", "", ("VALUE",)), ("0.5",)),
        (OpenConvention("activation", "", ("none", "sigmoid", "softmax")), ("none", "sigmoid", "softmax")),
        (OpenConvention("outputs", "", ("boxes:NAME,scores:NAME",)), ()),
    ],
)
def test_what_can_be_tried_needs_no_file_and_no_name(found, values):
    assert found.values == values


def test_a_refusal_is_the_same_on_the_other_side_of_a_process():
    error = refused(Needs("range", "resize"))
    copy = read_refusal(json.loads(json.dumps(write_refusal(error))))
    assert isinstance(copy, OpenConventionsError)
    assert (str(copy), copy.open, copy.complete) == (str(error), error.open, error.complete)
    plain = read_refusal(json.loads(json.dumps(write_refusal(DetectorError("no")))))
    assert (type(plain), str(plain)) == (DetectorError, "no")


@pytest.mark.subprocess
@pytest.mark.usefixtures("needs_tensorflow")
def test_a_file_that_is_tried_in_a_process_of_its_own_names_all_too(monkeypatch):
    monkeypatch.setenv(probe.SWITCH, "on")
    monkeypatch.setattr(probe, "known_as_good", set())
    monkeypatch.setattr("pytest_cropdet.detectors.loading.load_described", None)  # this process need not load it
    model = load_detector(MODELS / "ssd_raw.tflite", anchors=MODELS / "ssd_anchors.npy", labels=MODELS / "labels.txt")
    with pytest.raises(OpenConventionsError) as caught:
        model.load()
    assert [each.key for each in caught.value.open] == ["nms_iou", "range", "resize"]
    assert caught.value.open[1].why == "its input is float32, and the file does not say in which range"


def test_each_convention_has_its_origin():
    opened = [OpenConvention("range", "float", ("0..255", "0..1"))]
    known = Description.of(boxes="yxyx", units="normalized", channels="rgb", resize="stretch", first_category=0)
    found = {each.key: each for each in origins(known, {"units": "normalized"}, opened, "tflite")}
    assert (found["range"].value, found["range"].is_open) == ("0..255|0..1", True)
    assert found["units"].source == "you said"
    assert found["boxes"].source == "the file says (names or operations of its outputs)"
    assert found["channels"].source == "assumed: no file says it"
    assert found["resize"].source == "assumed for a tflite of this form"
    assert found["first_category"].source == "assumed: tflite models count from 0"
