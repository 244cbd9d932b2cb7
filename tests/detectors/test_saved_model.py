"""SavedModels: every convention finds the same truth, and what a signature leaves open is asked for by name."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pytest_cropdet.detectors import load_detector
from pytest_cropdet.detectors.adapters.tensorflow_model import import_tensorflow
from pytest_cropdet.errors import DetectorError
from tests.detectors.saved_models import ROWS, export
from tests.painted import paint

pytestmark = pytest.mark.usefixtures("needs_tensorflow")

ANY, BATCHES, FIXED, FOURS = (1, None, None, 3), (None, None, None, 3), (None, 64, 96, 3), (4, 64, 96, 3)
TRUTHS = [
    (61, 83, {1: (0, 5, 31, 40), 2: (33, 41, 61, 80), 3: (40, 3, 58, 20)}),
    (128, 50, {2: (100, 0, 128, 26)}),
    (61, 83, {3: (10, 20, 50, 70), 1: (0, 0, 9, 18)}),
    (96, 64, {}),
    (200, 151, {1: (3, 100, 60, 151), 3: (120, 8, 200, 90)}),
]
IMAGES = [paint(*truth) for truth in TRUTHS]


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Return the folder of a model by a convention, exported once."""
    made: dict[str, Path] = {}
    tf = import_tensorflow()

    def get(**convention):
        key = repr(sorted(convention.items()))
        if key not in made:
            made[key] = export(tf, tmp_path_factory.mktemp("exported") / "saved_model", **convention)
        return made[key]

    return get


def check(detector, *, tolerance=1.0, categories=None):
    """The truth of every picture comes back, within a pixel of the model's input."""
    names = categories or {1: 1, 2: 2, 3: 3}
    for (width, height, objects), found in zip(TRUTHS, detector(IMAGES), strict=True):
        expected = {names[key]: box for key, box in objects.items()}
        seen = dict(zip(found.categories.tolist(), found.boxes, strict=True))
        assert set(seen) == set(expected)
        largest = max(width / 64, height / 64, 1.0)  # image pixels in a pixel of the smallest input here
        for key, box in expected.items():
            assert (np.abs(seen[key] - box) <= tolerance * largest + 1e-3).all()


CONVENTIONS = {
    "Object Detection API": ({}, {}),
    "Object Detection API, batches": ({"shape": BATCHES}, {"batch": 2}),
    "Object Detection API, float": ({"shape": BATCHES, "dtype": "float32"}, {}),
    "Object Detection API, TF1": ({"shape": BATCHES, "name": "inputs"}, {}),
    "x before y": ({"boxes": "xyxy"}, {"boxes": "xyxy"}),
    "corner and size": ({"boxes": "xywh"}, {"boxes": "xywh"}),
    "centre and size": ({"boxes": "cxcywh"}, {"boxes": "cxcywh"}),
    "pixels of the image": ({"units": "pixels"}, {"units": "pixels"}),
    "stretched": ({"shape": FIXED}, {"resize": "stretch"}),
    "letterbox": ({"shape": FIXED}, {"resize": "letterbox"}),
    "aspect kept": ({"shape": FIXED}, {"resize": "keep_aspect"}),
    "pixels of the input": ({"shape": FIXED, "units": "pixels"}, {"resize": "letterbox", "units": "input"}),
    "float 0..255": (
        {"shape": FIXED, "dtype": "float32", "name": "images"},
        {"resize": "stretch", "range": "0..255"},
    ),
    "float 0..1": (
        {"shape": FIXED, "dtype": "float32", "name": "images", "middle": 0.5},
        {"resize": "stretch", "range": "0..1"},
    ),
    "float -1..1": (
        {"shape": FIXED, "dtype": "float32", "name": "images", "middle": 0.0},
        {"resize": "letterbox", "range": "-1..1"},
    ),
    "half floats": (
        {"shape": FIXED, "dtype": "float16", "name": "images", "middle": 0.5},
        {"resize": "stretch", "range": "0..1"},
    ),
    "always four": ({"shape": FOURS}, {"resize": "stretch"}),
    "encoded": ({"shape": (None,), "dtype": "string", "name": "image_bytes"}, {}),
    "encoded, one at a time": ({"shape": (1,), "dtype": "string", "name": "image_bytes"}, {}),
    "encoded, always two": ({"shape": (2,), "dtype": "string", "name": "image_bytes"}, {}),
    "TF-Vision, pixels": ({"shape": BATCHES, "inner": 96, "units": "pixels", "name": "inputs"}, {"units": "input"}),
}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_the_same_truth_is_found_by_any_convention(model, name):
    convention, description = CONVENTIONS[name]
    check(load_detector(model(**convention), **description))


@pytest.mark.parametrize("convention", [{}, {"shape": FIXED}, {"shape": (None,), "dtype": "string"}])
def test_a_model_that_takes_bgr_takes_red_for_blue_unless_told(model, convention):
    description = {"resize": "letterbox"} if "shape" in convention and len(convention["shape"]) == 4 else {}
    check(load_detector(model(**convention), channels="bgr", **description), categories={1: 3, 2: 2, 3: 1})


def test_a_first_category_of_0_is_counted_to_1_where_there_are_no_names(model):
    check(load_detector(model(first=0), first_category=0))


@pytest.mark.parametrize("first", [0, 1])
def test_labels_name_categories_by_the_models_own_numbers(model, first):
    detector = load_detector(model(first=first), first_category=first, labels="red,green,blue")
    assert detector.categories == {first: "red", first + 1: "green", first + 2: "blue"}
    check(detector, categories={1: first, 2: first + 1, 3: first + 2})


def test_boxes_of_another_order_are_not_found_out_but_are_wrong(model):
    """Why order is in the description: nothing in the answer shows it."""
    with pytest.raises(AssertionError):
        check(load_detector(model(boxes="xyxy")))


# How many pictures a call


@pytest.mark.parametrize(
    ("convention", "description", "batch", "calls"),
    [
        ({}, {}, 1, [1, 1, 1]),
        ({"shape": FOURS}, {"resize": "stretch"}, 4, [4, 4, 4]),
        ({"shape": FOURS}, {"resize": "stretch", "batch": 2}, 2, [4, 4, 4]),
        ({"shape": FIXED}, {"resize": "stretch", "batch": 2}, 2, [2, 2, 2]),
        ({"shape": FIXED}, {"resize": "stretch"}, 8, [8, 8, 8]),
        ({"shape": BATCHES}, {"batch": 2}, 2, [2, 2, 1]),
    ],
)
def test_no_call_holds_more_than_the_signature_takes_and_short_ones_are_filled_up(
    model, convention, description, batch, calls
):
    detector = load_detector(model(**convention), **description)
    assert detector.batch == batch
    found = detector([IMAGES[0]] * 3)
    assert [round(1 / each.scores[0]) for each in found] == calls


def test_an_answer_does_not_depend_on_what_else_is_in_the_batch(model):
    detector = load_detector(model(shape=FIXED), resize="stretch", batch=3)
    together, (alone,) = detector([IMAGES[0], IMAGES[1], IMAGES[4]]), detector([IMAGES[1]])
    assert together[1].boxes.tolist() == alone.boxes.tolist()
    assert together[1].scores.tolist() == alone.scores.tolist()


def test_more_images_a_call_than_the_signature_takes_are_refused(model):
    with pytest.raises(DetectorError, match="batch=2: the signature takes 1 images per call"):
        load_detector(model(), batch=2).load()


def test_a_model_that_answers_for_one_of_two_pictures_is_named(model):
    detector = load_detector(model(shape=BATCHES, one=True), batch=2)
    with pytest.raises(DetectorError, match="was given 2 images and its detection_boxes has 1 rows"):
        detector([IMAGES[0], IMAGES[2]])


def test_the_number_of_detections_cuts_the_rows(model):
    found = load_detector(model())(IMAGES)
    assert [len(each) for each in found] == [3, 1, 2, 0, 2]
    assert [each.capped for each in found] == [True, False, False, False, False]
    assert found[3].boxes.shape == (0, 4)


def test_without_a_number_of_detections_every_row_counts(model):
    detector = load_detector(model(count=False))
    assert [len(each) for each in detector(IMAGES)] == [ROWS] * len(IMAGES)


@pytest.mark.parametrize("count", [True, False], ids=["counted", "uncounted"])
def test_of_a_number_of_rows_that_changes_none_is_the_most(model, count):
    """Each answer is as long as what was found, so its length says nothing about what was cut off."""
    detector = load_detector(model(dynamic=True, count=count))
    found = detector(IMAGES)
    assert [len(each) for each in found] == [3, 1, 2, 0, 2]
    assert detector.max_detections is None
    assert not any(each.capped for each in found)


def test_the_number_of_rows_is_the_most_a_model_finds(model):
    assert load_detector(model()).max_detections == ROWS


# What a signature leaves open, and what contradicts it


@pytest.mark.parametrize(
    ("convention", "description", "sentence"),
    [
        (
            {"shape": FIXED, "dtype": "float32", "name": "images"},
            {"range": "0..1"},
            r"fixed at 96 x 64 pixels .*; set --cropdet-detector resize=stretch\|letterbox\|keep_aspect",
        ),
        (
            {"shape": FIXED, "dtype": "float32", "name": "images"},
            {"resize": "stretch"},
            r"input 'images' is float32, .*; set --cropdet-detector range=0\.\.255\|0\.\.1\|-1\.\.1",
        ),
        (
            {"shape": BATCHES, "inner": 96, "units": "pixels", "name": "inputs"},
            {},
            r"'image_info' .*; set --cropdet-detector units=normalized\|pixels\|input",
        ),
        ({"shape": FIXED}, {"resize": "inside"}, "resize=inside: its input is fixed at 96 x 64 pixels"),
        ({}, {"resize": "letterbox"}, "resize=letterbox: the model takes images of any size"),
        ({}, {"range": "0..1"}, r"range=0\.\.1: its input is uint8, so pixels are 0\.\.255"),
        ({"drop": "detection_scores"}, {}, "its outputs are .*, and not the detection_boxes, detection_scores"),
        ({"more": True}, {}, "the signature takes .*threshold.*; a detector takes one tensor of images"),
        ({"signature": "serve train"}, {}, "needs a signature 'serving_default'; it has serve, train"),
        ({"fails": 320}, {}, "fails on an empty image: InvalidArgumentError: "),
        ({"shape": (None, 64, 96, 3), "dtype": "int32"}, {}, r"its input 'input_tensor' is int32 \(None, 64, 96, 3\)"),
    ],
)
def test_what_cannot_be_decided_is_asked_for_and_what_cannot_be_is_refused(model, convention, description, sentence):
    with pytest.raises(DetectorError, match=sentence) as caught:
        load_detector(model(**convention), **description).load()
    assert str(caught.value).startswith(str(model(**convention)))


def test_boxes_in_pixels_taken_for_normalised_ones_are_named_with_the_picture(model):
    detector = load_detector(model(units="pixels"))
    detector.load()
    with pytest.raises(
        DetectorError, match=r"street\.jpg: a box reaches 80, so boxes are not normalised .*units=pixels"
    ):
        detector.detect([detector.adapter.prepare(IMAGES[0])], ["street.jpg"])


@pytest.mark.parametrize("signature", ["serve", "serving_default"])
def test_the_only_signature_is_taken_whatever_its_name(model, signature):
    check(load_detector(model(signature=signature)))


def test_an_error_of_the_model_names_the_picture(model):
    detector = load_detector(model(fails=13))
    detector.load()
    with pytest.raises(DetectorError, match=r"(?s)failed on thin\.jpg: InvalidArgumentError: .*no such height"):
        detector.detect([detector.adapter.prepare(paint(40, 13, {}))], ["thin.jpg"])


def test_a_file_that_is_no_graph_is_named(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no graph")
    with pytest.raises(DetectorError, match=f"TensorFlow cannot load {tmp_path}: "):
        load_detector(tmp_path).load()


def test_what_the_file_says_is_in_the_description_once_it_is_loaded(model):
    detector = load_detector(model(shape=BATCHES), batch=2)
    assert detector.description.known() == {"batch": 2}
    detector.load()
    assert detector.description.known() == {
        "boxes": "yxyx",
        "units": "normalized",
        "first_category": 1,
        "channels": "rgb",
        "range": "0..255",
        "resize": "inside",
        "batch": 2,
    }


@pytest.mark.subprocess
def test_a_model_is_named_and_fingerprinted_without_its_framework(model):
    code = f"""if 1:
        import sys
        from pytest_cropdet import load_detector
        detector = load_detector({str(model())!r}, units="normalized")
        print(len(detector.fingerprint), "tensorflow" in sys.modules)
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["64", "False"]


def test_a_framework_that_is_not_installed_is_named_with_the_line_that_installs_it(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(DetectorError, match=r"needs TensorFlow .*pip install 'pytest-cropdet\[tensorflow\]'"):
        load_detector(model()).load()


@pytest.mark.parametrize(
    "labels", ["red,green,blue", "background,red,green,blue", "???,red,green,blue", "N/A,red,green,blue"]
)
def test_the_columns_of_raw_scores_say_that_a_first_line_for_no_object_is_none(model, labels):
    detector = load_detector(model(raw=4), labels=labels)
    assert detector.categories == {1: "red", 2: "green", 3: "blue"}
    check(detector)


@pytest.mark.parametrize(("labels", "has"), [("red,green", "2 names"), ("other,red,green,blue", "4 names")])
def test_names_that_do_not_fit_the_columns_of_raw_scores_are_refused_with_both_numbers(model, labels, has):
    with pytest.raises(DetectorError, match=rf"it has {has}, and the model has 3 categories \(raw_detection_scores"):
        load_detector(model(raw=4), labels=labels).load()


def test_raw_scores_without_a_column_for_the_background_fit_where_the_user_says_what_is_first(model):
    detector = load_detector(model(raw=3), labels="red,green,blue", first_category=1)
    assert detector.categories == {1: "red", 2: "green", 3: "blue"}
    with pytest.raises(DetectorError, match="3 names, and the model has 2 categories"):
        load_detector(model(raw=3), labels="red,green,blue").load()


def test_without_raw_scores_a_sure_detection_beyond_the_names_is_refused(model):
    with pytest.raises(
        DetectorError, match=r"found category number 3 .*names are of the numbers 1 to 2.*first_category"
    ):
        load_detector(model(), labels="red,green")(IMAGES)


@pytest.mark.parametrize(
    ("convention", "given"),
    [
        ({}, {"custom_objects": "made:OBJECTS"}),
        ({}, {"activation": "sigmoid"}),
        ({"shape": (None,), "dtype": "string"}, {"range": "0..1"}),
    ],
)
def test_an_option_that_a_saved_model_does_not_use_is_refused_by_name(model, convention, given):
    name, value = next(iter(given.items()))
    with pytest.raises(DetectorError, match=f"{name}={value} is not used: .*; remove it from --cropdet-detector"):
        load_detector(model(**convention), **given).load()


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.index", "assets/names.txt"])
def test_a_git_lfs_pointer_in_place_of_any_file_is_named_with_the_command(tmp_path, file):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / file).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "utf-8")
    with pytest.raises(DetectorError, match=rf"the model's file .*{file} is a Git LFS pointer.*git lfs pull"):
        load_detector(tmp_path)


@pytest.mark.parametrize("missing", ["variables.index", "variables.data-00000-of-00001"])
def test_variables_without_their_other_half_are_named(model, tmp_path, missing):
    whole = Path(__file__).parents[2] / "fixtures" / "models" / "saved_model"
    copy = shutil.copytree(whole, tmp_path / "copy")
    (copy / "variables" / missing).unlink()
    with pytest.raises(DetectorError, match=r"copy cannot be used: variables has .* and no variables\."):
        load_detector(copy).load()


@pytest.mark.parametrize(
    "file", ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]
)
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_file_of_a_saved_model_names_the_model(tmp_path, file, damage):
    whole = Path(__file__).parents[2] / "fixtures" / "models" / "saved_model"
    copy = shutil.copytree(whole, tmp_path / "copy")
    data = bytearray((copy / file).read_bytes())
    if damage == "flipped":
        for place in range(8, len(data), 97):
            data[place] ^= 0x55
    (copy / file).write_bytes(bytes(data if damage == "flipped" else data[: len(data) // 2]))
    with pytest.raises(DetectorError, match=re.escape(str(copy))):
        load_detector(copy, labels="a,b,c,d,e,f,g,h").load()
