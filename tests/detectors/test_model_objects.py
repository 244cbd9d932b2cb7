"""Models of TensorFlow and Keras handed over in Python, wherever a detector is taken."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from pytest_cropdet import Crop, Detections, compare
from pytest_cropdet.detectors import as_handle, load_detector
from pytest_cropdet.detectors.adapters.tensorflow_model import import_tensorflow
from pytest_cropdet.detectors.frameworks import model_kind
from pytest_cropdet.errors import DetectorError
from tests.detectors.saved_models import export, module_of
from tests.detectors.test_saved_model import ANY, BATCHES, IMAGES, check
from tests.painted import find, paint

tensorflow_only = pytest.mark.usefixtures("needs_tensorflow")

OTHER = (("detection_boxes", "bboxes"), ("detection_scores", "scores"), ("detection_classes", "labels"))
OUTPUTS = "boxes:bboxes,scores:scores,classes:labels,count:num_detections"
SAID = {"outputs": OUTPUTS, "boxes": "xyxy", "units": "pixels", "first_category": 0}


def module(**convention):
    return module_of(import_tensorflow(), **{"shape": BATCHES, **convention})


def keras_model():
    """A Keras model of one layer, which is the module's function."""
    tf = import_tensorflow()
    import keras

    detect = module_of(tf, shape=(None, 64, 96, 3), dtype="float32", boxes="xyxy", first=0, rename=OTHER).detect

    class Find(keras.layers.Layer):
        def call(self, images):
            return dict(detect(images))

    images = keras.Input((64, 96, 3), name="images")
    return keras.Model(images, Find()(images), name="finder")


# What an object is


@tensorflow_only
@pytest.mark.filterwarnings("ignore")
def test_models_are_known_by_their_classes(tmp_path):
    tf = import_tensorflow()
    assert model_kind(module()) == "module"
    assert model_kind(keras_model()) == "keras"
    assert model_kind(tf.saved_model.load(str(export(tf, tmp_path / "model")))) == "signatures"


@pytest.mark.parametrize("other", [find, 7, "text", np.zeros(3), lambda images: images, object()])
def test_what_is_no_model_is_none(other):
    assert model_kind(other) is None


@tensorflow_only
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("base", ["Module", "Model"])
def test_a_class_of_the_users_that_is_called_with_images_is_called_as_ever(base):
    tf = import_tensorflow()
    import keras

    class Mine({"Module": tf.Module, "Model": keras.Model}[base]):
        def __call__(self, images):
            return [find(image) for image in images]

    assert model_kind(Mine()) is None
    check(as_handle(Mine()))


@pytest.mark.subprocess
def test_looking_at_an_object_imports_no_framework():
    code = (
        "import sys\nfrom pytest_cropdet import load_detector\n"
        "load_detector(lambda images: [], batch=2)\nprint('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# Modules


@tensorflow_only
def test_a_module_with_the_apis_names_needs_no_description():
    check(as_handle(module()))
    check(load_detector(module(shape=ANY)))


@tensorflow_only
def test_a_module_of_other_names_is_described_as_a_file_is():
    detector = load_detector(module(boxes="xyxy", units="pixels", first=0, rename=OTHER), batch=2, **SAID)
    assert (detector.name, detector.batch) == ("module", 2)
    check(detector)


@tensorflow_only
def test_what_is_missing_is_said_in_python():
    other = module(boxes="xyxy", units="pixels", first=0, rename=OTHER)
    with pytest.raises(
        DetectorError, match=r"set load_detector\(model, outputs=\.\.\.\) with boxes:bboxes,scores:scores"
    ):
        as_handle(other)
    with pytest.raises(
        DetectorError, match=r"^module: .*set load_detector\(model, units=\.\.\.\) with normalized\|pixels"
    ):
        load_detector(other, outputs=OUTPUTS, boxes="xyxy", first_category=0).load()


@tensorflow_only
def test_what_the_first_image_shows_is_said_in_python_too():
    with pytest.raises(DetectorError, match=r"a box reaches .*; set load_detector\(model, units=\.\.\.\) with pixels"):
        load_detector(module(units="pixels"))(IMAGES)


@tensorflow_only
def test_the_function_of_a_module_is_its_call_or_the_only_one_or_the_one_that_is_named():
    tf = import_tensorflow()
    both = module()
    both.train = tf.function(lambda x: x, input_signature=[tf.TensorSpec([], tf.float32)])
    with pytest.raises(
        DetectorError, match=r"which function .*: Those|are detect, train; set load_detector\(model, sig"
    ):
        as_handle(both)
    check(load_detector(both, signature="detect"))
    with pytest.raises(
        DetectorError, match="signature=serve: the module's functions with an input_signature are detect"
    ):
        load_detector(both, signature="serve").load()

    class Called(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec(BATCHES, tf.uint8)])
        def __call__(self, images):
            return both.detect(images)

    called = Called()
    called.train = both.train
    check(as_handle(called))


@tensorflow_only
def test_a_module_whose_functions_say_nothing_of_their_input_is_refused():
    tf = import_tensorflow()
    silent = tf.Module()
    silent.detect = tf.function(lambda images: images)
    with pytest.raises(
        DetectorError, match=r"with an input_signature are none; give one an input_signature: @tf\.func"
    ):
        as_handle(silent)


@tensorflow_only
def test_what_tensorflow_loaded_is_read_by_its_signature(tmp_path):
    tf = import_tensorflow()
    loaded = tf.saved_model.load(str(export(tf, tmp_path / "model", shape=BATCHES)))
    check(as_handle(loaded))
    check(load_detector(loaded, batch=3))


# Keras models


@tensorflow_only
@pytest.mark.filterwarnings("ignore")
def test_a_keras_model_is_described_as_its_file_is():
    said = {**SAID, "units": "normalized", "range": "0..255", "resize": "stretch"}
    detector = load_detector(keras_model(), **said)
    assert detector.name == "finder"
    check(detector, tolerance=1.5)
    with pytest.raises(DetectorError, match=r"^finder: .*load_detector\(model, resize=\.\.\.\)"):
        load_detector(keras_model(), **{**said, "resize": None}).load()
    with pytest.raises(DetectorError, match="signature=serve is not used: a Keras model has no signatures"):
        load_detector(keras_model(), signature="serve", **said).load()


@tensorflow_only
@pytest.mark.filterwarnings("ignore")
def test_a_keras_model_without_an_input_is_named_with_what_gives_it_one():
    import_tensorflow()
    import keras

    class Mine(keras.Model):
        def call(self, images):
            return images

    with pytest.raises(DetectorError, match=r"inputs of unknown shape.*images = keras\.Input\(\(HEIGHT, WIDTH, 3\)\)"):
        as_handle(Mine())


# Wherever a detector is taken


@tensorflow_only
def test_a_model_is_compared_like_any_detector():
    assert len(compare(module(), IMAGES[4], Crop(110, 0, 90, 100)).found) == 1


@tensorflow_only
def test_a_description_goes_with_a_factory_that_returns_a_model(tmp_path, monkeypatch):
    name = f"makes_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(
        "from tests.detectors.test_model_objects import OTHER, module\n\n\n"
        "def make():\n    return module(boxes='xyxy', units='pixels', first=0, rename=OTHER)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    detector = load_detector(f"{name}:make", labels="red,green,blue", **SAID)
    check(detector, categories={1: 0, 2: 1, 3: 2})
    assert detector.categories == {0: "red", 1: "green", 2: "blue"}
    with pytest.raises(DetectorError, match=rf"^{name}:make: .*--cropdet-detector outputs=boxes:bboxes"):
        load_detector(f"{name}:make").load()


# Functions, which may be described here too


def test_a_function_is_handed_over_with_names_and_a_batch():
    sizes = itertools.count()

    def detector(images):
        next(sizes)
        return [Detections([[0, 0, 2, 3]], [0.5], [0]) for _ in images]

    handle = load_detector(detector, labels="cell,platelet", first_category=0, batch=2)
    assert (handle.name, handle.categories, handle.batch) == ("detector", {0: "cell", 1: "platelet"}, 2)
    assert len(handle([paint(9, 9, {})] * 4)) == 4
    assert next(sizes) == 2
    assert load_detector(handle) is handle
    assert load_detector(detector).batch == 1
    with pytest.raises(DetectorError, match="detector is a detector already; give batch to the call of load_detector"):
        load_detector(handle, batch=3)
    with pytest.raises(DetectorError, match=r"answers in pixels x0 y0 x1 y1 of the RGB image .*; boxes cannot be set"):
        load_detector(detector, boxes="yxyx").load()
    with pytest.raises(DetectorError, match="int is not callable"):
        load_detector(7)


def test_a_fingerprint_changes_with_what_is_said():
    def detector(images):
        return []

    detector.fingerprint = "mine"
    assert load_detector(detector).fingerprint == "mine"
    prints = {load_detector(detector, batch=batch).fingerprint for batch in (1, 2)}
    assert len(prints | {"mine"}) == 3
