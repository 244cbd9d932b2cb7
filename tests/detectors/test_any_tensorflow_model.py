"""TensorFlow models whose outputs have other names: proposed, never guessed, and read right once they are named."""

from __future__ import annotations

import sys
import zipfile

import numpy as np
import pytest

from pytest_cropdet.detectors import load_detector
from pytest_cropdet.detectors.adapters.tensorflow_model import import_tensorflow
from pytest_cropdet.detectors.adapters.tensorflow_outputs import choose_outputs, named_outputs
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DetectorError
from tests.detectors.saved_models import export
from tests.detectors.test_saved_model import IMAGES, check

pytestmark = pytest.mark.usefixtures("needs_tensorflow")

OTHER = (
    ("detection_boxes", "bboxes"),
    ("detection_scores", "confidences"),
    ("detection_classes", "labels"),
    ("num_detections", "valid_detections"),
)
PLAIN = {"boxes": "xyxy", "units": "pixels", "first": 0, "rename": OTHER}
SAID = {"boxes": "xyxy", "units": "pixels", "first_category": 0}
NAMED = "boxes:bboxes,scores:confidences,classes:labels,count:valid_detections"
UNNUMBERED = {1: 1, 2: 2, 3: 3}


class Shaped:
    def __init__(self, *shape):
        tf = import_tensorflow()
        self.shape = tf.TensorShape(shape)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    tf = import_tensorflow()

    def get(**convention):
        return export(tf, tmp_path_factory.mktemp("any") / "model", **{**PLAIN, **convention})

    return get


def test_obvious_names_are_proposed_with_the_line_to_set_and_not_taken(exported):
    with pytest.raises(DetectorError) as caught:
        load_detector(exported(), **SAID).load()
    text = str(caught.value)
    assert "bboxes [1, 3, 4]" in text
    assert f"--cropdet-detector outputs={NAMED}" in text


@pytest.mark.parametrize(
    ("convention", "outputs"),
    [
        ({}, NAMED),
        ({"count": False, "filled": True}, "boxes:bboxes,scores:confidences,classes:labels"),
        ({"shape": (None, None, None, 3)}, NAMED),
        ({"alone": True}, NAMED),
        ({"signature": "other serve"}, NAMED),
        (
            {"rename": ()},
            "boxes:detection_boxes,scores:detection_scores,classes:detection_classes,count:num_detections",
        ),
    ],
)
def test_a_list_of_detections_is_read_by_the_names_that_are_set(exported, convention, outputs):
    more = {"signature": "serve"} if "signature" in convention else {}
    check(load_detector(exported(**convention), outputs=outputs, **SAID, **more), categories=UNNUMBERED)


@pytest.mark.parametrize("left_out", ["boxes", "units", "first_category"])
def test_what_other_names_do_not_say_is_required_by_name(exported, left_out):
    said = {key: value for key, value in SAID.items() if key != left_out}
    with pytest.raises(DetectorError, match=f"--cropdet-detector {left_out}="):
        load_detector(exported(), outputs=NAMED, **said).load()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"outputs": "boxes:nothing,scores:confidences,classes:labels"}, "there is no output 'nothing'; it has bboxes"),
        ({"outputs": "boxes:bboxes,scores:confidences"}, "classes missing; it has bboxes"),
        ({"outputs": "boxes:labels,scores:confidences,classes:bboxes"}, "a list of detections has boxes"),
        ({"outputs": NAMED, "signature": "train"}, "signature=train: the SavedModel has serving_default"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_there_is(exported, given, sentence):
    with pytest.raises(DetectorError, match=sentence):
        load_detector(exported(), **SAID, **given).load()


def test_scores_that_are_none_are_named(exported):
    """Categories in the scores' place: the commonest mistake, which shapes do not show."""
    swapped = "boxes:bboxes,scores:labels,classes:confidences"
    with pytest.raises(DetectorError, match=r"its scores go from|its categories are no whole numbers"):
        load_detector(exported(), outputs=swapped, **SAID)(IMAGES)


def test_outputs_without_names_go_by_their_place():
    outputs = named_outputs([Shaped(None, 5, 4), Shaped(None, 5), Shaped(None, 5)])
    chosen = choose_outputs(outputs, Description(outputs="boxes:0,scores:2,classes:output_1"))
    assert chosen == {"boxes": "output_0", "scores": "output_2", "classes": "output_1"}
    with pytest.raises(DetectorError, match="there is no output '3'"):
        choose_outputs(outputs, Description(outputs="boxes:0,scores:2,classes:3"))


class TestKeras:
    """Keras files: made of Keras' own operations, of a layer of the user's, and such that cannot be loaded."""

    @pytest.fixture(scope="class")
    @staticmethod
    def finder():
        import_tensorflow()
        import keras
        from keras import ops

        images = keras.Input((64, 96, 3), name="images", dtype="float32")
        bright = ops.cast(images > 127.5, "float32")
        only = bright * ops.cast(ops.equal(ops.sum(bright, axis=3, keepdims=True), 1.0), "float32")
        sides = []
        for across, length in ((1, 96), (2, 64)):  # columns, then rows
            line = ops.max(only, axis=across)
            low = ops.argmax(line, axis=1)
            high = length - ops.argmax(ops.flip(line, axis=1), axis=1)
            sides.append((ops.cast(low, "float32") / length, ops.cast(high, "float32") / length))
        (left, right), (top, bottom) = sides
        there = ops.max(only, axis=(1, 2))
        outputs = {
            "boxes": ops.stack([left, top, right, bottom], axis=2),
            "scores": there * 0.9,
            "classes": ops.where(there > 0, ops.cumsum(ops.ones_like(there), axis=1) - 1.0, -1.0),
        }
        return keras.Model(images, outputs)

    SAID = {  # noqa: RUF012
        "outputs": "boxes:boxes,scores:scores,classes:classes",
        "boxes": "xyxy",
        "units": "normalized",
        "first_category": 0,
        "range": "0..255",
        "resize": "stretch",
    }

    @pytest.mark.parametrize("name", ["finder.keras", "exported"])
    @pytest.mark.filterwarnings("ignore")
    def test_a_file_and_an_export_of_one_model_find_the_same(self, finder, tmp_path, name):
        path = tmp_path / name
        if name == "exported":
            finder.export(path, verbose=False)
        else:
            finder.save(path)
        check(load_detector(path, **self.SAID), categories=UNNUMBERED, tolerance=1.5)

    @pytest.mark.filterwarnings("ignore")
    def test_an_h5_file_gives_what_the_same_model_gives_as_a_keras_file(self, tmp_path):
        """The older format knows layers only, no single operations."""
        import keras

        images = keras.Input((32, 32, 3), name="images")
        seen = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3, strides=2)(images))
        outputs = {
            "boxes": keras.layers.Reshape((2, 4))(keras.layers.Dense(8, activation="sigmoid")(seen)),
            "scores": keras.layers.Dense(2, activation="sigmoid")(seen),
            "classes": keras.layers.Dense(2, kernel_initializer="zeros", bias_initializer="ones")(seen),
        }
        model = keras.Model(images, outputs)
        said = {**self.SAID, "boxes": "cxcywh", "first_category": 1}
        found = []
        for name in ("one.keras", "one.h5"):
            model.save(tmp_path / name)
            found.append(load_detector(tmp_path / name, **said)(IMAGES))
        for one, other in zip(*found, strict=True):
            assert len(one) == 2
            assert np.array_equal(one.boxes, other.boxes)
            assert np.array_equal(one.scores, other.scores)
            assert one.categories.tolist() == [1, 1]

    @pytest.mark.filterwarnings("ignore")
    def test_a_layer_of_the_users_is_found_by_custom_objects(self, finder, tmp_path, monkeypatch):
        code = (
            "import keras\n\n\nclass Same(keras.layers.Layer):\n"
            "    def call(self, images):\n        return images\n\n\n"
            "OBJECTS = {'Same': Same}\nNOTHING = [1]\n"
        )
        (tmp_path / "made_layers.py").write_text(code)
        monkeypatch.syspath_prepend(str(tmp_path))
        import keras
        import made_layers

        images = keras.Input((64, 96, 3), name="images")
        keras.Model(images, finder(made_layers.Same()(images))).save(tmp_path / "own.keras")
        keras.saving.get_custom_objects().clear()
        monkeypatch.delitem(sys.modules, "made_layers")
        check(
            load_detector(tmp_path / "own.keras", custom_objects="made_layers:OBJECTS", **self.SAID),
            categories=UNNUMBERED,
            tolerance=1.5,
        )
        for wrong, sentence in (
            ("made_layers:NOTHING", "must be a mapping"),
            ("made_layers:GONE", "no attribute 'GONE'"),
        ):
            with pytest.raises(DetectorError, match=sentence):
                load_detector(tmp_path / "own.keras", custom_objects=wrong, **self.SAID).load()

    @pytest.mark.filterwarnings("ignore")
    def test_code_inside_a_file_is_not_run(self, tmp_path):
        import keras

        images = keras.Input((64, 96, 3))
        keras.Model(images, keras.layers.Lambda(lambda x: x[:, 0])(images)).save(tmp_path / "code.keras")
        with pytest.raises(DetectorError, match="contains a Lambda layer, which is code of the file's author"):
            load_detector(tmp_path / "code.keras", **self.SAID).load()

    @pytest.mark.parametrize(
        ("name", "content", "sentence"),
        [
            ("cut.keras", b"PK\x03\x04 and no more", "is not a .keras file: it is no zip archive"),
            ("cut.h5", b"not", "is not an HDF5 file"),
        ],
    )
    def test_a_file_that_is_none_is_refused_by_name(self, tmp_path, name, content, sentence):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DetectorError, match=f"{name} {sentence}"):
            load_detector(tmp_path / name, **self.SAID).load()

    def test_a_damaged_archive_is_named(self, tmp_path):
        path = tmp_path / "empty.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("nothing.txt", "")
        with pytest.raises(DetectorError, match=r"Keras cannot load .*empty\.keras"):
            load_detector(path, **self.SAID).load()

    def test_two_inputs_are_refused_with_their_names(self, tmp_path):
        import keras

        one, two = keras.Input((8, 8, 3), name="one"), keras.Input((8, 8, 3), name="two")
        keras.Model([one, two], one + two).save(tmp_path / "two.keras")
        with pytest.raises(DetectorError, match="the model takes one, two; a detector takes one tensor of images"):
            load_detector(tmp_path / "two.keras", **self.SAID).load()


def test_the_answer_of_one_image_is_the_same_in_a_batch(exported):
    """A signature of any number of images is filled with several at once."""
    detector = load_detector(
        exported(shape=(None, 64, 96, 3)), outputs=NAMED, resize="stretch", **{**SAID, "units": "input"}
    )
    alone = [detector([image])[0] for image in IMAGES[:3]]
    for one, other in zip(alone, detector(IMAGES[:3]), strict=True):
        assert np.array_equal(one.boxes, other.boxes)
