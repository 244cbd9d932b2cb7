"""Conventions that are declared wrongly are recognised, and named with the option that mends them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from pytest_cropdet import Detections, GroundTruth, load_dataset, load_detector
from pytest_cropdet.detectors import DetectorHandle, as_handle
from pytest_cropdet.detectors.callables import CallableAdapter
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.resize import Frame, frame_of
from pytest_cropdet.geometry.boxes import to_format
from pytest_cropdet.invariants import failures as broken
from pytest_cropdet.invariants.conventions import SURE_Z, ConventionMistake, suspects
from pytest_cropdet.invariants.detector import CannotTell, check_detector, judge_detector
from pytest_cropdet.invariants.observations import Evidence
from tests.painted import Finder, Painted, painted_data, sample

FIXTURES = Path(__file__).parents[2] / "fixtures"
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
    assert f"set --cropdet-detector {key}={right} instead of {wrong}\n" in text


def test_a_detector_that_is_described_rightly_is_not_suspected(scenes):
    labels = str(FIXTURES / "models" / "labels.txt")
    shown = evidence(scenes, FIXTURES / "models" / "ssd_nms.tflite", labels=labels, **RIGHT)
    check_detector("D15-conventions", shown)
    assert {each.key for each in suspects(shown.detector, shown.samples[:2], scenes.categories)} == {*WRONG, "resize"}


def test_conventions_need_truth_and_images(scenes):
    with pytest.raises(CannotTell, match="no ground truth"):
        check_detector("D15-conventions", Evidence(Finder(), painted_data(9)))
    shown = Evidence(load_detector(FIXTURES / "models" / "ssd_nms.tflite", **RIGHT), list(scenes))
    with pytest.raises(CannotTell, match="no ground truth"):
        check_detector("D15-conventions", shown)
    shown = evidence(scenes, FIXTURES / "models" / "ssd_nms.tflite", examples=15, **RIGHT)
    with pytest.raises(CannotTell, match="15 images with annotated objects, 16 are needed"):
        check_detector("D15-conventions", shown)


SSD = {**WRONG}
del SSD["range"]  # its input is uint8
CENTERNET = {"range": "0..255", "resize": "stretch", "boxes": "xyxy", "units": "input", "first_category": 0}


@pytest.mark.parametrize("key", SSD)
def test_each_mistake_is_named_on_a_real_detector(key, assets):
    wrong, right = SSD[key]
    data = load_dataset(assets / "data" / "coco-open-dev")
    model = next((assets / "models" / "ssd_mobilenet_v1_coco").glob("*.tflite"))
    text = named(evidence(data, model, **{key: wrong}))
    assert f"set --cropdet-detector {key}={right} instead of {wrong}\n" in text


def test_a_wrong_range_is_named_on_a_real_detector(assets):
    data = load_dataset(assets / "data" / "coco-open-dev")
    labels = str(assets / "models" / "coco80.names")
    model = assets / "models" / "centernet_coco" / "centernet_float32.tflite"
    text = named(evidence(data, model, examples=40, labels=labels, **{**CENTERNET, "range": "0..1"}))
    assert "set --cropdet-detector range=0..255 instead of 0..1\n" in text


def hinted(shown):
    judged = judge_detector("D15-conventions", shown)
    assert judged.verdict == "pass"
    assert judged.value < SURE_Z
    return judged.hint


def test_a_resize_that_serves_a_real_detector_better_is_a_hint_and_no_failure(assets):
    """This CenterNet stretches its pictures, and finds more in letterboxed ones (docs/invariants.md)."""
    data = load_dataset(assets / "data" / "coco-open-dev")
    model = assets / "models" / "centernet_coco" / "centernet_float32.tflite"
    shown = evidence(data, model, labels=str(assets / "models" / "coco80.names"), **CENTERNET)
    assert "set --cropdet-detector resize=letterbox instead of stretch\n" in hinted(shown)


def test_a_resize_other_than_that_of_the_training_is_a_hint(assets):
    data = load_dataset(assets / "data" / "coco-open-dev")
    model = next((assets / "models" / "ssd_mobilenet_v1_coco").glob("*.tflite"))
    assert "set --cropdet-detector resize=stretch instead of letterbox\n" in hinted(
        evidence(data, model, resize="letterbox")
    )


def test_a_mistake_comes_before_a_resize_that_gains_more():
    found = [
        ConventionMistake("resize", "letterbox", "stretch", 0.2, 0.9, 9.0, 40),
        ConventionMistake("channels", "rgb", "bgr", 0.2, 0.3, 5.0, 40),
        ConventionMistake("range", "0..1", "0..255", 0.2, 0.1, -2.0, 40),
    ]
    assert [(each.is_sure, each.is_mistake) for each in found] == [(True, False), (True, True), (False, False)]


# Functions of the user's own, whose answers are read in other ways


def misread(change):
    """A detector of painted pictures whose boxes are changed: change(boxes, width, height)."""

    def answer(picture, found):
        height, width = picture.shape[:2]
        return Detections(change(found.boxes, width, height), found.scores, found.categories)

    return Finder(answer)


def over(width, height):
    return np.array([width, height, width, height], dtype=float)


FROM_1 = np.array([-1, -1, 0, 0])
FUNCTIONS = {
    "y0 x0 y1 x1 is returned; return boxes[:, [1, 0, 3, 2]]": lambda b, w, h: b[:, [1, 0, 3, 2]],
    "numbers from 0 to 1 are returned; multiply x by the picture's width": lambda b, w, h: b / over(w, h),
    "y0 x0 y1 x1 is returned; pixels of the picture were expected, but numbers from 0 to 1 are returned; "
    "return boxes[:, [1, 0, 3, 2]], then multiply x": lambda b, w, h: (b / over(w, h))[:, [1, 0, 3, 2]],
    "pixels of an input of 320 x 320 px (resized by stretch) are": lambda b, w, h: b * 320 / over(w, h),
    "pixels of an input of 640 x 640 px (resized by letterbox) are": lambda b, w, h: Frame.to_input(
        frame_of(w, h, "letterbox", 640, 640), b
    ),
    "boxes end 1 px early, as if x1 y1 were the last pixels inside; add 1 to x1 and y1": lambda b, w, h: (
        b - [0, 0, 1, 1]
    ),
    "boxes lie 1 px too far right and down, as if pixels were counted from 1; subtract 1": lambda b, w, h: b + 1,
    "boxes begin 1 px late, as if pixels were counted from 1 and x1 y1 were the last": lambda b, w, h: b - FROM_1,
}


@pytest.mark.parametrize("sentence", FUNCTIONS)
def test_what_a_function_returns_instead_is_named_and_costs_no_call(sentence):
    data = painted_data(16)
    detector = misread(FUNCTIONS[sentence])
    shown = Evidence(detector, data, examples=96, names=data.categories)
    for observation in shown.observations:
        observation.windows()
    calls = detector.shown
    text = named(shown)
    assert sentence in text
    assert text.startswith("Finder: ")
    assert detector.shown == calls == 16


def test_x_y_width_height_that_happens_to_be_in_order_is_named():
    """Objects in the left top corner: x + width is read as x1, and never lies left of x."""
    boxes = [(2 + n % 5, 3 + n % 4, 40 + n, 30 + n) for n in range(24)]
    data = Painted(sample(f"{n:03}.png", 120, 90, {1 + n % 3: box}) for n, box in enumerate(boxes))
    detector = misread(lambda b, w, h: to_format(b, "xywh"))
    text = named(Evidence(detector, data, examples=144, names=data.categories))
    assert "x y width height is returned; add the corner: boxes[:, 2:] += boxes[:, :2]" in text


@pytest.mark.parametrize(
    ("name", "said", "sentence"),
    [
        ("Model", {"boxes": "yxyx"}, "set boxes='xyxy' in the call of load_detector"),
        ("models:factory", {"boxes": "yxyx"}, "set --cropdet-detector boxes=xyxy"),
        ("Model", {"first_category": 0}, "set first_category=1 in the call of load_detector"),
    ],
)
def test_a_model_object_is_fixed_by_what_is_said_of_it_not_by_its_code(name, said, sentence):
    """Its boxes are read by a description: what is set there wrongly is fixed there."""
    description = Description(**{"boxes": "xyxy", "units": "pixels", "first_category": 1} | said)

    def read(images):
        answers = Finder()(images)
        order = [1, 0, 3, 2] if description.boxes == "yxyx" else [0, 1, 2, 3]
        return [replace(each, boxes=each.boxes[:, order]) for each in answers]

    adapter = CallableAdapter(read, Description())
    adapter.description = description
    detector = DetectorHandle(name, lambda: adapter, description)
    data = painted_data(30)
    mistake = suspects(detector, list(data), data.categories)[0]
    assert mistake.is_mistake
    assert sentence in str(mistake)


@pytest.mark.parametrize(("by", "sentence"), [(1, "too high; subtract 1 from each id"), (-1, "too low; add 1 to each")])
def test_ids_that_are_off_by_one_are_named(by, sentence):
    data = painted_data(16)
    detector = Finder(lambda picture, found: Detections(found.boxes, found.scores, found.categories + by))
    assert sentence in named(Evidence(detector, data, examples=96, names=data.categories))


def test_categories_that_are_swapped_are_not_called_off_by_one():
    """Moved by one, half of the ids are right."""
    colours = [1 + n % 2 for n in range(24)]
    boxes = [(2 + n % 5, 3 + n % 4, 40 + n, 30 + n) for n in range(24)]
    data = Painted(sample(f"{n:03}.png", 120, 90, {colours[n]: box}) for n, box in enumerate(boxes))
    swapped = Finder(lambda picture, found: Detections(found.boxes, found.scores, 3 - found.categories))
    shown = Evidence(swapped, data, examples=144, names=data.categories)
    found = suspects(shown.detector, data, data.categories)
    assert "first_category" not in [each.key for each in found if each.is_mistake]


def test_more_images_are_shown_only_where_too_few_are_annotated():
    data = painted_data(40)
    detector = Finder()
    check_detector("D15-conventions", Evidence(detector, data, examples=48, names=data.categories))
    assert detector.shown == 16


HABITS = {
    "right": lambda b, rng: b,
    "half as large": lambda b, rng: b + [[0.25, 0.25, -0.25, -0.25]] * np.tile(b[:, 2:] - b[:, :2], 2),
    "one px too small": lambda b, rng: b + rng.normal(0, 2, b.shape) - [0, 0, 1, 1],
    "loose": lambda b, rng: b + rng.normal(0, 0.2, b.shape) * np.tile(b[:, 2:] - b[:, :2], 2),
    "somewhere": lambda b, rng: np.tile(rng.uniform(0, 60, (len(b), 2)), 2) + rng.uniform(0, 30, (len(b), 2)) @ HALF,
}
HALF = np.array([[0.0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize("habit", HABITS)
@pytest.mark.parametrize("images", [16, 40])
def test_a_poor_detector_is_not_said_to_be_read_wrongly(habit, images):
    rng, data = np.random.default_rng(0), painted_data(images)
    detector = misread(lambda b, w, h: np.sort(HABITS[habit](b, rng).reshape(-1, 2, 2), axis=1).reshape(-1, 4))
    judged = judge_detector("D15-conventions", Evidence(detector, data, examples=6 * images, names=data.categories))
    assert (judged.verdict, judged.hint) == ("pass", None)


def test_the_shipped_detector_as_a_function_is_read_rightly_and_its_mistakes_are_seen(scenes):
    model = load_detector(FIXTURES / "models" / "ssd_nms.tflite", labels=str(FIXTURES / "models/labels.txt"), **RIGHT)
    samples = [each for each in scenes if len(each.truth)][:16]
    answers = {each.id: model([each.image()])[0] for each in samples}
    function = as_handle(lambda images: [])
    function.adapter.categories = model.categories
    assert not [each for each in suspects(function, samples, scenes.categories, answers) if each.is_sure]
    swapped = {
        name: Detections(each.boxes[:, [1, 0, 3, 2]], each.scores, each.categories) for name, each in answers.items()
    }
    assert suspects(function, samples, scenes.categories, swapped)[0].value == "yxyx"


def test_whole_numbers_are_a_hint_where_the_annotations_are_finer():
    whole = painted_data(16)
    finer = Painted(replace(each, truth=GroundTruth(each.truth.boxes + 0.25, each.truth.categories)) for each in whole)
    for data, hint in ((whole, None), (finer, "all coordinates of 48 boxes are whole numbers")):
        judged = judge_detector("D15-conventions", Evidence(Finder(), data, examples=96, names=whole.categories))
        assert judged.verdict == "pass"
        assert (judged.hint or "").startswith("Finder: " + hint if hint else "")
        assert bool(judged.hint) is bool(hint)
