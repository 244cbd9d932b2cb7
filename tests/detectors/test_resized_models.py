"""Models whose images are resized before them by every rule: the painted truth comes back, inputs fixed or free."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet.detectors import load_detector
from pytest_cropdet.detectors.adapters.tensorflow_model import import_tensorflow
from pytest_cropdet.errors import DetectorError
from tests.detectors import tflite_models
from tests.detectors.saved_models import export
from tests.painted import paint

pytestmark = [
    pytest.mark.usefixtures("needs_tensorflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*tf.lite.Interpreter:UserWarning"),
]

FIXED, FREE = (None, 64, 96, 3), (None, None, None, 3)
TRUTHS = [
    (61, 83, {1: (0, 5, 31, 40), 2: (33, 41, 61, 80), 3: (40, 3, 58, 20)}),
    (128, 50, {2: (100, 0, 128, 26)}),
    (83, 61, {3: (10, 20, 50, 60), 1: (0, 0, 9, 18)}),
    (200, 151, {1: (3, 100, 60, 151), 3: (120, 8, 200, 90)}),
]
IMAGES = [paint(*truth) for truth in TRUTHS]
RULES = {
    "borders of another colour, at the left top": (FIXED, {"resize": "letterbox", "fill": 114, "align": "top_left"}),
    "rounded down, antialiased": (
        FIXED,
        {"resize": "keep_aspect", "rounding": "floor", "interpolation": "antialiased"},
    ),
    "stretched by area": (FIXED, {"resize": "stretch", "interpolation": "area"}),
    "smaller than its fixed input": (FIXED, {"resize": "letterbox", "min_side": 40, "max_side": 60}),
    "limits, a size for each image": (FREE, {"resize": "keep_aspect", "min_side": 60, "max_side": 100}),
    "limits, a square for all": (FREE, {"resize": "keep_aspect", "min_side": 60, "max_side": 100, "pad": "max_side"}),
    "the longest side, a multiple": (FREE, {"resize": "letterbox", "max_side": 96, "pad": 32, "fill": 114}),
    "the shortest side": (FREE, {"resize": "keep_aspect", "min_side": 64, "rounding": "floor", "pad": 8}),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    made = {}

    def get(**convention):
        key = repr(sorted(convention.items()))
        if key not in made:
            folder = tmp_path_factory.mktemp("exported") / "saved_model"
            made[key] = export(import_tensorflow(), folder, **convention)
        return made[key]

    return get


def check(detector) -> None:
    """The truth comes back, within a pixel of the input."""
    for (_, _, objects), image, found in zip(TRUTHS, IMAGES, detector(IMAGES), strict=True):
        scale = np.tile(detector.adapter.prepare(image).frame.scale, 2)
        seen = dict(zip(found.categories.tolist(), found.boxes, strict=True))
        assert set(seen) == set(objects)
        for key, box in objects.items():
            assert (np.abs(seen[key] - box) * scale).max() <= 1.001


@pytest.mark.parametrize("units", ["normalized", "input"])
@pytest.mark.parametrize("name", RULES)
def test_boxes_come_back_from_every_rule_in_both_units(model, name, units):
    shape, keys = RULES[name]
    path = model(shape=shape, units="pixels" if units == "input" else units)
    detector = load_detector(path, units=units, **keys)
    check(detector)
    for image in IMAGES:
        high, wide = image.shape[:2]
        assert detector.adapter.prepare(image).pixels.shape[:2] == detector.input_shape(wide, high)


def test_a_square_for_all_goes_in_batches_and_a_size_for_each_does_not(model):
    sent = []
    for keys in (RULES["limits, a square for all"][1], RULES["limits, a size for each image"][1]):
        detector = load_detector(model(shape=FREE), batch=4, **keys)
        sent.append([found.scores.tolist()[0] for found in detector(IMAGES)])  # one over the images of a call
        assert detector.profile.input_size == ((100, 100) if len(sent) == 1 else (0, 0))
    assert sent == [[0.25] * 4, [1.0] * 4]
    square = load_detector(model(shape=FREE), batch=4, **RULES["limits, a square for all"][1])
    assert [found.scores[0] for found in square(IMAGES[:2])] == [0.25] * 2, "a short batch is filled up, as of any size"


def test_image_info_of_what_the_model_was_given_leads_back_to_the_image(model):
    """TF-Vision's scale is that of its own resize, after which the one before the model is still to be undone."""
    path = model(shape=FIXED, inner=96, units="pixels", name="inputs")
    check(load_detector(path, units="input", resize="letterbox"))


@pytest.mark.parametrize(
    ("convention", "keys", "sentence"),
    [
        (
            {"shape": FREE},
            {"resize": "stretch"},
            "resize=stretch: the model takes images of any size and resizes them its",
        ),
        (
            {"shape": FREE},
            {"min_side": 60},
            r"min_side=60 says how images are resized; .* resize=letterbox\|keep_aspect",
        ),
        ({"shape": FREE}, {"resize": "letterbox", "max_side": 96}, "nothing says how far the borders go; set"),
        (
            {"shape": FREE, "units": "pixels"},
            {"resize": "keep_aspect", "max_side": 96, "units": "pixels"},
            "units=pixels: images are resized before the model .*; set --cropdet-detector units=input",
        ),
        (
            {"shape": FIXED},
            {"resize": "letterbox", "pad": 32, "max_side": 64},
            "pad=32 is not used: its input is fixed at 96",
        ),
        ({"shape": FIXED}, {"resize": "letterbox", "fill": 0.5}, "so fill must be whole numbers"),
        (
            {"shape": (None,), "dtype": "string", "name": "image_bytes"},
            {"resize": "keep_aspect", "max_side": 96},
            "resize=keep_aspect: the model takes encoded images, and decodes and resizes them itself",
        ),
    ],
)
def test_a_rule_that_does_not_fit_the_model_is_refused(model, convention, keys, sentence):
    with pytest.raises(DetectorError, match=sentence):
        load_detector(model(**convention), **keys).load()


def test_a_tflite_file_takes_the_same_keys(tmp_path):
    path = tflite_models.convert(tflite_models.api_list((0.0, 255.0)), tmp_path / "api.tflite")
    given = {"range": "0..255", "first_category": 0, "resize": "letterbox"}
    detector = load_detector(path, fill="1,2,3", align="top_left", rounding="floor", interpolation="area", **given)
    image = np.zeros((157, 97, 3), np.uint8)
    image[30:120, 14:60] = 255
    prepared = detector.adapter.prepare(image)
    assert (prepared.pixels[:, 59:] == (1, 2, 3)).all(), "97 * 96 / 157 is 59.3"
    assert prepared.pixels[:, 58].max() == 0
    found = detector([image])[0]
    assert (np.abs(found.boxes[0] - (14, 30, 60, 120)) * 96 / 157).max() <= 1.001
    with pytest.raises(DetectorError, match="pad=32 is not used: its input is fixed at 128 x 96"):
        load_detector(path, pad=32, max_side=64, **given).load()
