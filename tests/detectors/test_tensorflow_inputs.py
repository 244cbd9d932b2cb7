"""Inputs of strings: encoded images and serialised examples look the same, and the graph shows which it takes."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet.detectors import load_detector
from pytest_cropdet.detectors.adapters.tensorflow_inputs import as_example, as_png, read_input_kind
from pytest_cropdet.detectors.adapters.tensorflow_model import import_tensorflow
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DetectorError
from tests.detectors.saved_models import export
from tests.detectors.test_saved_model import IMAGES, check

pytestmark = pytest.mark.usefixtures("needs_tensorflow")

STRINGS = {"shape": (None,), "dtype": "string"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    tf = import_tensorflow()

    def get(**convention):
        return export(tf, tmp_path_factory.mktemp("strings") / "model", **{**STRINGS, **convention})

    return get


@pytest.mark.parametrize("name", ["input_tensor", "inputs", "tf_example", "image_bytes"])
@pytest.mark.parametrize("takes", ["encoded", "example"])
def test_the_graph_shows_what_strings_it_takes_whatever_its_input_is_called(exported, name, takes):
    """The exporter of the Object Detection API calls both ``input_tensor``."""
    detector = load_detector(exported(name=name, takes=takes))
    check(detector)
    assert detector.description.input == takes


@pytest.mark.parametrize("shape", [(1,), (2,)])
def test_examples_come_in_the_number_that_the_signature_takes(exported, shape):
    detector = load_detector(exported(shape=shape, takes="example"))
    check(detector)
    assert detector.batch == shape[0]


def test_images_in_base64_are_given_as_such(exported):
    check(load_detector(exported(takes="base64")))


def test_red_and_blue_are_exchanged_in_examples_too(exported):
    check(load_detector(exported(takes="example"), channels="bgr"), categories={1: 3, 2: 2, 3: 1})


@pytest.mark.parametrize(
    ("takes", "said", "operation"), [("encoded", "example", "DecodeImage"), ("example", "encoded", "ParseExampleV2")]
)
def test_what_the_graph_shows_cannot_be_changed(exported, takes, said, operation):
    with pytest.raises(
        DetectorError, match=f"input={said}: the graph has the operation {operation}, so .* input={takes}"
    ):
        load_detector(exported(takes=takes), input=said).load()


def test_where_nothing_shows_it_the_option_is_named(exported):
    with pytest.raises(
        DetectorError, match=r"'input_tensor' takes strings, .*--cropdet-detector input=encoded\|example"
    ):
        load_detector(exported(takes="nothing")).load()
    load_detector(exported(takes="nothing"), input="example").load()


@pytest.mark.parametrize(
    ("names", "said", "kind"),
    [
        (("tf_example",), None, "example"),
        (("inputs", "tf_example"), None, "example"),
        (("inputs", "encoded_image_string_tensor"), None, "encoded"),
        (("examples",), None, "example"),
        (("tf_example",), "encoded", "encoded"),
    ],
)
def test_a_name_is_believed_where_the_graph_shows_nothing_and_the_user_says_nothing(names, said, kind):
    tf = import_tensorflow()
    assert read_input_kind(names, tf.string, frozenset({"Identity"}), Description(input=said)) == kind


def test_an_input_of_pixels_is_none_of_strings(exported):
    with pytest.raises(DetectorError, match=r"input=encoded is not used: the model takes pixels \(uint8\)"):
        load_detector(exported(shape=(1, None, None, 3), dtype="uint8"), input="encoded").load()


def test_an_example_has_the_keys_of_the_object_detection_api():
    tf = import_tensorflow()
    image = IMAGES[0]
    features = {
        "image/encoded": tf.io.FixedLenFeature((), tf.string),
        "image/format": tf.io.FixedLenFeature((), tf.string),
        "image/height": tf.io.FixedLenFeature((), tf.int64),
        "image/width": tf.io.FixedLenFeature((), tf.int64),
    }
    read = tf.io.parse_single_example(as_example(image, tf).tobytes(), features)
    assert np.array_equal(tf.io.decode_png(read["image/encoded"]), image)
    assert read["image/encoded"].numpy() == as_png(image).tobytes()
    assert (read["image/format"].numpy(), int(read["image/height"]), int(read["image/width"])) == (b"png", 83, 61)


def test_the_text_of_a_description_that_says_nothing_new_is_what_it_was():
    """Keys of caches contain it."""
    assert repr(Description(batch=2)) == (
        "Description(boxes=None, units=None, first_category=None, labels=None, channels=None, range=None, resize=None, "
        "batch=2, threads=None, nms_iou=None, anchors=None, outputs=None, activation=None, signature=None, "
        "custom_objects=None)"
    )
    assert repr(Description(input="example")).endswith("custom_objects=None, input='example')")
