"""TF-Vision's exports: boxes in pixels of the resized input, which ``image_info`` brings back to the image."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet.detectors import load_detector
from pytest_cropdet.detectors.adapters.tensorflow_model import import_tensorflow
from pytest_cropdet.errors import DetectorError
from tests.detectors.saved_models import export
from tests.detectors.test_saved_model import BATCHES, FIXED, check
from tests.painted import paint

pytestmark = pytest.mark.usefixtures("needs_tensorflow")

VISION = {"shape": BATCHES, "keeps": 320, "units": "pixels", "name": "inputs"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    tf = import_tensorflow()

    def get(**convention):
        return export(tf, tmp_path_factory.mktemp("vision") / "model", **{**VISION, **convention})

    return get


@pytest.mark.parametrize(
    ("convention", "said"),
    [
        ({}, {"units": "input"}),
        ({"units": "normalized"}, {"units": "normalized"}),
        ({"shape": (1, None, None, 3)}, {"units": "input"}),
        ({"shape": FIXED}, {"units": "input", "resize": "letterbox"}),
        ({"shape": FIXED, "units": "normalized"}, {"units": "normalized", "resize": "letterbox"}),
        ({"shape": FIXED}, {"units": "input", "resize": "stretch"}),
    ],
    ids=["pixels", "normalised", "one at a time", "fixed", "fixed and normalised", "stretched"],
)
def test_whole_numbers_and_boxes_of_the_resized_input_are_read(exported, convention, said):
    check(load_detector(exported(**convention), **said))


@pytest.mark.parametrize("takes", ["encoded", "example"])
def test_strings_of_tf_vision_are_read_too(exported, takes):
    check(load_detector(exported(shape=(1,), dtype="string", takes=takes), units="input"))


def test_what_was_cut_off_above_and_on_the_left_is_added_again(exported):
    detector = load_detector(exported(offset=(20, 44)), units="input")
    (found,) = detector([paint(160, 120, {1: (60, 30, 120, 90)})])
    assert np.abs(found.boxes - [[60, 30, 120, 90]]).max() <= 1
    assert np.abs(detector([paint(160, 120, {1: (40, 30, 60, 90)})])[0].boxes - [[40, 30, 60, 90]]).max() <= 1


def test_an_image_info_of_another_meaning_is_refused_and_not_used(exported):
    def swapped(tf, outputs):
        return {**outputs, "image_info": outputs["image_info"][:, :, ::-1]}

    detector = load_detector(exported(answers=swapped), units="input")
    with pytest.raises(DetectorError, match=r"image_info says that the image is 120 x 160 pixels, and it is 160 x 120"):
        detector([paint(160, 120, {1: (60, 30, 120, 90)})])


@pytest.mark.parametrize(
    ("exports", "said", "sentence"),
    [
        ("normalized", "input", r"its boxes reach 0\.\d+ at most, so they are no pixels .*units=normalized"),
        ("pixels", "normalized", r"a box reaches \d+.*, so boxes are not normalised .*units=input"),
    ],
)
def test_units_that_are_declared_wrongly_are_named(exported, exports, said, sentence):
    with pytest.raises(DetectorError, match=sentence):
        load_detector(exported(units=exports), units=said)([paint(160, 120, {1: (60, 30, 120, 90)})])


def test_an_image_info_of_another_shape_is_refused(exported):
    def short(tf, outputs):
        return {**outputs, "image_info": outputs["image_info"][:, :3]}

    with pytest.raises(DetectorError, match=r"image_info of an image is \(3, 2\), not \(4, 2\)"):
        load_detector(exported(answers=short), units="input").load()
