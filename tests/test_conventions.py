"""Conventions that are declared wrongly are recognised, and named with the option that mends them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tensorflow")

from pytest_cropdet import broken, load_dataset, load_detector
from pytest_cropdet.conventions import suspects
from pytest_cropdet.detector_invariants import CannotTell, check_detector
from pytest_cropdet.evidence import Evidence

from .painted import Finder, painted_data

FIXTURES = Path(__file__).parents[1] / "fixtures"
RIGHT = {"range": "0..255", "resize": "stretch"}
WRONG = {
    "channels": ("bgr", "rgb"),
    "range": ("0..1", "0..255"),
    "boxes": ("xyxy", "yxyx"),
    "units": ("input", "normalized"),
    "first_category": (1, 0),
}


@pytest.fixture(scope="module")
def scenes():
    return load_dataset(FIXTURES / "scenes")


def evidence(data, model, examples=120, **said):
    return Evidence(load_detector(model, **said), list(data), examples=examples, names=data.categories)


def named(shown):
    with pytest.raises(broken.WrongConvention) as caught:
        check_detector("D15-conventions", shown)
    return str(caught.value)


@pytest.mark.parametrize("key", WRONG)
def test_each_mistake_is_named_on_the_shipped_detector(key, scenes):
    wrong, right = WRONG[key]
    labels = str(FIXTURES / "models" / "labels.txt")
    said = {**RIGHT, "labels": labels, key: wrong}
    text = named(evidence(scenes, FIXTURES / "models" / "ssd_nms.tflite", **said))
    assert f"say --cropdet-detector {key}={right} instead of {wrong}\n" in text


def test_a_detector_that_is_described_rightly_is_not_suspected(scenes):
    labels = str(FIXTURES / "models" / "labels.txt")
    shown = evidence(scenes, FIXTURES / "models" / "ssd_nms.tflite", labels=labels, **RIGHT)
    check_detector("D15-conventions", shown)
    assert {each.key for each in suspects(shown.detector, shown.samples[:2], scenes.categories)} == {*WRONG, "resize"}


def test_a_function_has_conventions_of_its_own_and_images_need_truth(scenes):
    with pytest.raises(CannotTell, match="is no file"):
        check_detector("D15-conventions", Evidence(Finder(), painted_data(9), names={}))
    shown = Evidence(load_detector(FIXTURES / "models" / "ssd_nms.tflite", **RIGHT), list(scenes))
    with pytest.raises(CannotTell, match="no ground truth"):
        check_detector("D15-conventions", shown)
    shown = evidence(scenes, FIXTURES / "models" / "ssd_nms.tflite", examples=15, **RIGHT)
    with pytest.raises(CannotTell, match="15 images with annotated objects, 16 are needed"):
        check_detector("D15-conventions", shown)


SSD = {**WRONG, "resize": ("letterbox", "stretch")}
del SSD["range"]  # its input is uint8
CENTERNET = {"range": "0..255", "resize": "stretch", "boxes": "xyxy", "units": "input", "first_category": 0}


@pytest.mark.parametrize("key", SSD)
def test_each_mistake_is_named_on_a_real_detector(key, assets):
    wrong, right = SSD[key]
    data = load_dataset(assets / "data" / "coco-open-dev")
    model = next((assets / "models" / "ssd_mobilenet_v1_coco").glob("*.tflite"))
    text = named(evidence(data, model, **{key: wrong}))
    assert f"say --cropdet-detector {key}={right} instead of {wrong}\n" in text


def test_a_wrong_range_is_named_on_a_real_detector(assets):
    data = load_dataset(assets / "data" / "coco-open-dev")
    labels = str(assets / "models" / "coco80.names")
    model = assets / "models" / "centernet_coco" / "centernet_float32.tflite"
    text = named(evidence(data, model, examples=40, labels=labels, **{**CENTERNET, "range": "0..1"}))
    assert "say --cropdet-detector range=0..255 instead of 0..1\n" in text


def test_a_resize_that_serves_a_real_detector_better_is_named(assets):
    """This CenterNet stretches its pictures, and finds more in letterboxed ones (docs/invariants.md)."""
    data = load_dataset(assets / "data" / "coco-open-dev")
    model = assets / "models" / "centernet_coco" / "centernet_float32.tflite"
    text = named(evidence(data, model, labels=str(assets / "models" / "coco80.names"), **CENTERNET))
    assert "say --cropdet-detector resize=letterbox instead of stretch\n" in text
