"""Keras models that decode their own predictions: KerasHub's surface, on a model that finds painted rectangles."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest

from pytest_cropdet.detectors import load_detector
from pytest_cropdet.detectors.adapters.tensorflow_model import import_tensorflow
from pytest_cropdet.errors import DetectorError
from tests.painted import paint

pytestmark = [pytest.mark.usefixtures("needs_tensorflow"), pytest.mark.filterwarnings("ignore")]

# what keras_hub.models.RetinaNetObjectDetector has: raw heads by call, decoded by predict_step, a preprocessor
CODE = """
import keras
import tensorflow as tf
from tests.detectors.saved_models import rectangles


class Converter:
    def __init__(self, image_size=None, scale=1 / 255, **resizing):
        self.image_size, self.scale = image_size, scale
        self.crop_to_aspect_ratio = resizing.get("crop_to_aspect_ratio", False)
        self.pad_to_aspect_ratio = resizing.get("pad_to_aspect_ratio", False)
        self.resizing = keras.layers.Resizing(*image_size, **resizing) if image_size else None

    def __call__(self, images):
        images = self.resizing(images) if self.resizing else images
        return images if self.scale is None else images * self.scale


class Preprocessor:
    def __init__(self, image_converter):
        self.image_converter = image_converter


@keras.saving.register_keras_serializable(package="keras_hub")
class Detector(keras.Model):
    def __init__(self, sides=(64, 96), bounding_box_format="xyxy", middle=127.5, labels="labels", **more):
        self.said = dict(sides=sides, bounding_box_format=bounding_box_format, middle=middle, labels=labels)
        images = keras.Input((*sides, 3), name="images")
        super().__init__(images, {"cls_logits": keras.layers.Identity()(images)}, **more)
        self.bounding_box_format, self.middle, self.labels = bounding_box_format, middle, labels
        self.preprocessor = None

    def get_config(self):
        return {**self.said, "name": self.name}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def preprocess_samples(self, x):
        return self.preprocessor.image_converter(x)

    def predict_step(self, *args):
        return self.decode_predictions(super().predict_step(*args), *args)

    def decode_predictions(self, predictions, data):
        if isinstance(data, (list, tuple)):
            images, _ = data
        pixels = predictions["cls_logits"]
        height, width = pixels.shape[1:3]
        boxes, there = rectangles(tf, pixels, self.middle)
        boxes = keras.utils.bounding_boxes.convert_format(
            boxes, source="yxyx", target=self.bounding_box_format, height=height, width=width
        )
        order = tf.argsort(tf.cast(there, tf.int32), direction="DESCENDING", stable=True)
        found = tf.sort(tf.cast(there, tf.int32), direction="DESCENDING") > 0
        return {
            "boxes": tf.where(found[..., None], tf.gather(boxes, order, batch_dims=1), -1.0),
            "confidence": tf.where(found, 0.9, -1.0),
            self.labels: tf.where(found, order, -1),
            "num_detections": tf.reduce_sum(tf.cast(there, tf.int32), axis=1),
        }
"""
SIZES = [(96, 64), (61, 83), (128, 50), (200, 151), (33, 97)]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A module of the name that KerasHub has."""
    import_tensorflow()
    (tmp_path / "keras_hub.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "keras_hub", raising=False)
    yield importlib.import_module("keras_hub")
    import keras

    keras.saving.get_custom_objects().clear()


def middle_box(width, height):
    """A box in the middle, which no cut of the sides touches."""
    return (width * 4 // 10, height * 4 // 10, width * 6 // 10, height * 6 // 10)


def check_middles(detector, scale=1.0):
    """The middle of every picture is found, to a pixel of the model's input."""
    pictures = [paint(width, height, {3: middle_box(width, height)}) for width, height in SIZES]
    for (width, height), (found) in zip(SIZES, detector(pictures), strict=True):
        assert found.categories.tolist() == [3]
        gaps = np.abs(found.boxes[0] - middle_box(width, height))
        assert gaps.max() <= scale * max(width / 64, height / 64, 1) + 1e-3, (width, height)


@pytest.mark.parametrize("written", ["xyxy", "yxyx", "xywh", "center_xywh", "rel_xyxy", "rel_yxyx", "rel_xywh"])
def test_boxes_are_read_by_the_models_own_format(hub, written):
    detector = load_detector(
        hub.Detector(bounding_box_format=written), first_category=0, range="0..255", resize="stretch"
    )
    check_middles(detector)
    order = written.removeprefix("rel_").replace("center_xywh", "cxcywh")
    assert (detector.description.boxes, detector.max_detections) == (order, 3)
    assert detector.description.units == ("normalized" if written.startswith("rel_") else "input")


@pytest.mark.parametrize("labels", ["labels", "classes"])
def test_keras_hubs_and_keras_cvs_names_are_known(hub, labels):
    check_middles(load_detector(hub.Detector(labels=labels), first_category=0, range="0..255", resize="letterbox"))


@pytest.mark.parametrize("sides", [(64, 96), (80, 80), (97, 64)])
@pytest.mark.parametrize("written", ["xyxy", "rel_yxyx"])
@pytest.mark.parametrize(
    "resizing", [{}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}], ids=["stretch", "cut", "pad"]
)
def test_the_preprocessors_resize_is_undone_at_every_size(hub, sides, written, resizing):
    model = hub.Detector(sides=sides, bounding_box_format=written, middle=0.5)
    model.preprocessor = hub.Preprocessor(hub.Converter(image_size=sides, **resizing))
    detector = load_detector(model, first_category=0)
    check_middles(detector)
    assert (detector.description.range, detector.description.resize) == ("0..255", "inside")


def test_a_box_at_the_corner_is_where_it_was_after_padding(hub):
    model = hub.Detector(sides=(64, 64), middle=0.5)
    model.preprocessor = hub.Preprocessor(hub.Converter(image_size=(64, 64), pad_to_aspect_ratio=True))
    (found,) = load_detector(model, first_category=0)([paint(129, 60, {1: (0, 0, 40, 20), 2: (100, 50, 129, 60)})])
    assert np.abs(found.boxes - [[0, 0, 40, 20], [100, 50, 129, 60]]).max() <= 2.1


def test_keras_pads_as_much_on_either_side_even_where_that_is_one_pixel_short(hub):
    """Of 9 x 4 pixels it makes 9 x 8, not 9 x 9, before it stretches them to the input."""
    model = hub.Detector(sides=(64, 64), middle=0.5)
    model.preprocessor = hub.Preprocessor(hub.Converter(image_size=(64, 64), pad_to_aspect_ratio=True))
    (found,) = load_detector(model, first_category=0)([paint(9, 4, {1: (0, 0, 9, 4)})])
    assert np.abs(found.boxes - [[0, 0, 9, 4]]).max() < 0.3


def test_a_preprocessor_that_resizes_nothing_leaves_the_resize_open(hub):
    model = hub.Detector(middle=0.5)
    model.preprocessor = hub.Preprocessor(hub.Converter())
    with pytest.raises(DetectorError, match=r"load_detector\(model, resize=\.\.\.\) with stretch\|letterbox"):
        load_detector(model, first_category=0).load()
    check_middles(load_detector(model, first_category=0, resize="letterbox"))


@pytest.mark.parametrize(
    ("convention", "said", "sentence"),
    [
        ({}, {"range": "0..255", "resize": "stretch"}, r"first_category=\.\.\.\) with 0\|1"),
        ({}, {"first_category": 0, "resize": "stretch"}, r"range=\.\.\.\) with 0\.\.255\|0\.\.1"),
        ({}, {"first_category": 0, "boxes": "yxyx"}, "boxes=yxyx: the model itself says boxes=xyxy"),
        ({}, {"first_category": 0, "units": "normalized"}, "units=normalized: the model itself says units=input"),
    ],
)
def test_what_the_model_does_not_say_is_required_and_what_it_says_is_not_changed(hub, convention, said, sentence):
    with pytest.raises(DetectorError, match=sentence):
        load_detector(hub.Detector(**convention), **said).load()


def test_a_converter_that_divides_nothing_does_not_prove_a_range(hub):
    model = hub.Detector(sides=(64, 64))
    model.preprocessor = hub.Preprocessor(hub.Converter(image_size=(64, 64), scale=None))
    with pytest.raises(DetectorError, match=r"range=\.\.\.\) with"):
        load_detector(model, first_category=0).load()
    check_middles(load_detector(model, first_category=0, range="0..255"))


def test_a_preprocessor_that_may_do_anything_is_refused(hub):
    model = hub.Detector()
    model.preprocessor = object()
    with pytest.raises(DetectorError, match="its preprocessor is object, which has no image_converter"):
        load_detector(model, first_category=0).load()


def test_a_format_that_is_none_of_keras_is_named(hub):
    model = hub.Detector()
    model.bounding_box_format = "polygon"
    with pytest.raises(DetectorError, match="its bounding_box_format is 'polygon', which is none of xyxy, yxyx"):
        load_detector(model, first_category=0).load()


def test_a_file_imports_the_package_that_registers_its_layers(hub, tmp_path, monkeypatch):
    import keras

    hub.Detector().save(tmp_path / "model.keras")
    said = {"first_category": 0, "range": "0..255", "resize": "stretch"}
    keras.saving.get_custom_objects().clear()
    monkeypatch.delitem(sys.modules, "keras_hub")
    check_middles(load_detector(tmp_path / "model.keras", **said))
    monkeypatch.setitem(sys.modules, "keras_hub", None)  # as where it is not installed
    with pytest.raises(DetectorError, match=r"model\.keras needs keras_hub .*: pip install keras-hub"):
        load_detector(tmp_path / "model.keras", **said).load()


@pytest.mark.slow
def test_the_real_package_where_it_is_installed(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "keras_hub", raising=False)
    keras_hub = pytest.importorskip("keras_hub", reason="needs KerasHub: pip install keras-hub")
    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64] * 4,
        stackwise_num_blocks=[1] * 4,
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
    )
    converter = keras_hub.layers.RetinaNetImageConverter(image_size=(128, 128), scale=1 / 255)
    model = keras_hub.models.RetinaNetObjectDetector(
        backbone=keras_hub.models.RetinaNetBackbone(image_encoder=encoder, min_level=3, max_level=7, use_p5=False),
        num_classes=4,
        bounding_box_format="xyxy",
        preprocessor=keras_hub.models.RetinaNetObjectDetectorPreprocessor(image_converter=converter),
    )
    model.prediction_decoder = keras_hub.layers.NonMaxSuppression(
        bounding_box_format="xyxy", from_logits=True, confidence_threshold=0.001, max_detections=20
    )
    images = np.random.default_rng(0).integers(0, 255, (2, 96, 160, 3)).astype(np.uint8)
    model.save(tmp_path / "model.keras")
    predicted = model.predict(images.astype(np.float32), verbose=0)
    for source in (model, tmp_path / "model.keras"):
        for row, found in enumerate(load_detector(source, first_category=0)(list(images))):
            count = predicted["num_detections"][row]
            assert count == len(found) > 0
            # the converter cuts the middle of 96 x 96 out, from x = 32 on, and makes 128 x 128 of it
            boxes = predicted["boxes"][row, :count] * 0.75 + [32, 0, 32, 0]
            assert np.abs(found.boxes - boxes).max() < 0.05
            assert np.allclose(found.scores, predicted["confidence"][row, :count], atol=1e-4)
            assert found.categories.tolist() == (predicted["labels"][row, :count] + 1).tolist()
