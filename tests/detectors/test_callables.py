"""Detectors of the user's own: any callable, a factory by name, an entry point."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

from pytest_cropdet.data.samples import Detections
from pytest_cropdet.detectors import as_handle, load_detector
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DataError, DetectorError
from tests.geometry.invariants import same
from tests.painted import find, paint

IMAGE = paint(40, 30, {1: (3, 4, 20, 25), 3: (22, 0, 40, 12)})


def finds_all(images):
    return [find(image) for image in images]


# Any callable


def test_a_function_gets_rgb_pictures_and_its_answers_are_passed_on():
    detector = as_handle(finds_all)
    (found,) = detector([IMAGE])
    same(found.boxes, np.array([[3.0, 4, 20, 25], [22, 0, 40, 12]]))
    assert found.categories.tolist() == [1, 3]
    assert (detector.name, detector.batch, detector.categories, detector.fingerprint) == ("finds_all", 1, None, None)


def test_an_object_says_what_it_is_by_its_attributes():
    class Mine:
        name = "mine"
        batch = 4
        categories = {1: "red"}  # noqa: RUF012
        max_detections = 7
        fingerprint = "abc"

        def __call__(self, images):
            return finds_all(images)

    detector = as_handle(Mine())
    assert (detector.name, detector.batch, detector.categories) == ("mine", 4, {1: "red"})
    assert (detector.max_detections, detector.fingerprint) == (7, "abc")
    assert as_handle(detector) is detector
    assert repr(detector) == "DetectorHandle('mine')"


def test_what_cannot_be_called_is_no_detector():
    with pytest.raises(DetectorError, match="a detector is called with a list of images; int is not callable"):
        as_handle(7)


@pytest.mark.parametrize(("batch", "sent"), [(1, [1] * 5), (2, [2, 2, 1]), (8, [5])])
def test_no_more_images_are_sent_than_it_takes_and_rows_out_are_rows_in(batch, sent):
    sizes = []

    def detector(images):
        sizes.append(len(images))
        return finds_all(images)

    detector.batch = batch
    handle = as_handle(detector)
    images = [paint(40, 30, {1: (place, 0, 40, 30)}) for place in range(5)]
    assert [found.boxes[0, 0] for found in handle(images)] == [0, 1, 2, 3, 4]
    assert sizes == sent
    assert handle.images_sent == 5
    assert handle.seconds > 0


def test_more_prepared_pictures_than_it_takes_are_refused():
    detector = as_handle(finds_all)
    prepared = [detector.adapter.prepare(IMAGE)] * 2
    with pytest.raises(DetectorError, match="finds_all takes 1 images per call, 2 were to be sent"):
        detector.detect(prepared)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (None, "must return a list of Detections, one an image, not NoneType"),
        (find(IMAGE), "must return a list of Detections, one an image, not Detections"),
        ([{"boxes": []}], "must return Detections for each image, not a dict with boxes: scores and labels missing"),
        ({"boxes": []}, "must return a list of Detections, one an image, not dict"),
        (["boxes"], "must return Detections for each image, not str; it may return Detections, a dict"),
        ([], r"was given 1 images \(a\.png\) and answered 0; if it takes one image per call"),
        ([find(IMAGE)] * 2, r"was given 1 images \(a\.png\) and answered 2"),
    ],
)
def test_an_answer_that_is_none_is_named(answer, sentence):
    detector = as_handle(lambda images: answer)
    with pytest.raises(DetectorError, match=sentence) as caught:
        detector.detect([detector.adapter.prepare(IMAGE)], ["a.png"])
    assert "a.png" in str(caught.value)


def test_a_generator_of_answers_is_as_good_as_a_list_and_its_own_mistake_is_its_own():
    assert len(as_handle(lambda images: (find(image) for image in images))([IMAGE])) == 1

    def broken(images):
        yield find(images[0])
        raise TypeError("no such layer")

    with pytest.raises(DetectorError, match="broken failed on an image: TypeError: no such layer"):
        as_handle(broken)([IMAGE])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (([[0, 0, np.nan, 1]], [0.5], [1]), "boxes: row 0 is not finite"),
        (([[0, 0, 1, 1]], [np.nan], [1]), "scores: row 0 is nan, must lie between 0 and 1"),
        (([[0, 0, 1, 1]], [1.01], [1]), r"scores: row 0 is 1\.01"),
        (([[0, 0, 1, 1]], [0.5], [1, 2]), r"categories: expected shape \(1,\) to go with the boxes, got \(2,\)"),
    ],
)
def test_detections_that_cannot_be_are_named_with_the_picture(values, sentence):
    detector = as_handle(lambda images: [Detections(*values)])
    with pytest.raises(DetectorError, match=rf"failed on a\.png: ValueError: {sentence}"):
        detector.detect([detector.adapter.prepare(IMAGE)], ["a.png"])


def test_an_error_of_ours_keeps_its_kind_and_names_the_picture():
    def detector(images):
        raise DataError("no colours")

    handle = as_handle(detector)
    handle.adapter.batch = 2
    with pytest.raises(DataError, match=r"^detector, a\.png, b\.png: no colours$"):
        handle.detect([handle.adapter.prepare(IMAGE)] * 2, ["a.png", "b.png"])


def test_no_images_are_no_call():
    assert as_handle(finds_all)([]) == []


# package.module:factory


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of the user's own into a folder on sys.path and return its name, one nobody has imported."""
    monkeypatch.syspath_prepend(tmp_path)
    number = itertools.count()

    def write(text):
        name = f"own_{tmp_path.name}_{next(number)}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    yield write
    for name in [name for name in sys.modules if name.startswith(f"own_{tmp_path.name}_")]:
        del sys.modules[name]


MAKES = """
from pytest_cropdet import Detections
made = 0
def make():
    global made
    made += 1
    def detector(images):
        return [Detections([[0, 0, 2, 3]], [0.5], [0]) for image in images]
    detector.batch = 3
    return detector
not_a_factory = 7
def nothing():
    pass
"""


def test_a_factory_is_called_once_and_not_before_the_first_image(module):
    name = module(MAKES)
    detector = load_detector(f"{name}:make")
    assert detector.name == f"{name}:make"
    assert sys.modules[name].made == 0
    detector([IMAGE])
    detector([IMAGE])
    assert sys.modules[name].made == 1
    assert detector.batch == 3


def test_labels_and_a_batch_can_be_said_of_a_factory(module):
    detector = load_detector(f"{module(MAKES)}:make", labels="cell,platelet", first_category=0, batch=2)
    assert detector.categories == {0: "cell", 1: "platelet"}
    assert detector.batch == 2


def test_a_factory_without_names_may_count_from_0(module):
    found = load_detector(f"{module(MAKES)}:make", first_category=0)([np.zeros((9, 9, 3), np.uint8)])[0]
    as_it_is = load_detector(f"{module(MAKES)}:make")([np.zeros((9, 9, 3), np.uint8)])[0]
    assert found.categories.tolist() == (as_it_is.categories + 1).tolist() != []


def test_where_a_factory_starts_is_refused_if_its_categories_have_names(module):
    named = MAKES.replace("detector.batch = 3", "detector.categories = {0: 'cell'}")
    with pytest.raises(
        DetectorError, match=r"first_category=0 is not used: the categories of .* have names and numbers"
    ):
        load_detector(f"{module(named)}:make", first_category=0).load()
    assert load_detector(f"{module(named)}:make", first_category=0, labels="platelet").categories == {0: "platelet"}


@pytest.mark.parametrize("key", ["units=pixels", "channels=bgr", "boxes=xywh", "range=0..1", "resize=stretch"])
def test_the_conventions_of_a_factorys_answers_are_fixed(module, key):
    name, _, value = key.partition("=")
    with pytest.raises(DetectorError, match=f"answers in pixels x0 y0 x1 y1 of the RGB image .*; {name} cannot be set"):
        load_detector(f"{module(MAKES)}:make", **{name: value}).load()


def test_a_module_in_a_package_is_found(tmp_path, module):
    module("")
    package = tmp_path / f"own_{tmp_path.name}_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "models.py").write_text(MAKES)
    assert load_detector(f"{package.name}.models:make")([IMAGE])[0].boxes.tolist() == [[0, 0, 2, 3]]


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("{name}:absent", "no detector {name}:absent: {name} has no 'absent'"),
        ("{name}:not_a_factory", "{name}:not_a_factory is not a function that makes a detector but int"),
        ("no_such_package:make", "there is no module 'no_such_package' on sys.path .*pythonpath"),
        ("{name}.inner:make", "there is no module '{name}.inner' on sys.path"),
    ],
)
def test_a_module_or_function_that_is_not_there_is_named(module, spec, sentence):
    name = module(MAKES)
    with pytest.raises(DetectorError, match=sentence.format(name=name)):
        load_detector(spec.format(name=name))


def test_a_factory_that_makes_nothing_is_named_when_it_is_called(module):
    name = module(MAKES)
    with pytest.raises(DetectorError, match=f"{name}:nothing returned NoneType, which cannot be called with images"):
        load_detector(f"{name}:nothing")([IMAGE])


@pytest.mark.parametrize(
    ("text", "kind", "sentence"),
    [
        ("import no_such_framework", ModuleNotFoundError, "no_such_framework"),
        ("import sys\nsys.no_such_thing", AttributeError, "no_such_thing"),
    ],
)
def test_a_mistake_inside_the_users_module_is_shown_as_it_is(module, text, kind, sentence):
    with pytest.raises(kind, match=sentence):
        load_detector(f"{module(text)}:make")


# Entry points and what is no detector


def test_an_installed_detector_is_found_by_its_name(tmp_path, module):
    name = module(MAKES)
    info = tmp_path / "zoo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pytest_cropdet.detectors]\nzoo-small = {name}:make\n")
    detector = load_detector("zoo-small", batch=2)
    assert (detector.name, detector.batch) == ("zoo-small", 2)
    assert len(detector([IMAGE, IMAGE])) == 2


@pytest.mark.parametrize("spec", ["zoo-tiny", "models/none", "a b:c", "7:make", "package:", "saved_modell:x/y"])
def test_what_is_neither_a_path_nor_a_name_is_refused_with_what_there_is(spec):
    with pytest.raises(DetectorError, match="neither an existing path nor one of saved_model:PATH"):
        load_detector(spec)


def test_a_path_that_is_not_there_or_no_model_is_named(tmp_path):
    with pytest.raises(DetectorError, match=r"no detector at .*none: the path does not exist"):
        load_detector(f"saved_model:{tmp_path / 'none'}")
    with pytest.raises(DetectorError, match=r"no detector at .*away\.onnx: the path does not exist"):
        load_detector(tmp_path / "away.onnx")
    with pytest.raises(DetectorError, match=r"is not a SavedModel: it has no saved_model\.pb"):
        load_detector(f"saved_model:{tmp_path}")
    with pytest.raises(
        DetectorError,
        match=r"the kind of .* is not recognised .*for another kind, write a factory and give package\.module",
    ):
        load_detector(tmp_path)
    (tmp_path / "SSD.TFLITE").write_bytes(b"no model")
    with pytest.raises(DetectorError, match="is not a TFLite file"):
        load_detector(tmp_path / "SSD.TFLITE")
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(DetectorError, match=r"is not a detector, but .*saved_model is"):
        load_detector(str(tmp_path))


@pytest.mark.parametrize(
    ("files", "given", "what"),
    [
        (["yolo11n.pt"], "yolo11n.pt", r"a PyTorch file; export it to ONNX, .*package\.module:factory"),
        (["net.mlmodel"], "net.mlmodel", "a Core ML model; .* ONNX or TFLite"),
        (["web/model.json", "web/group1-shard1of1.bin"], "web", r"a TensorFlow\.js model; give the SavedModel"),
        (["web/model.json"], "web/model.json", r"a TensorFlow\.js model"),
        (["c/checkpoint", "c/model.ckpt-7.index"], "c", "a checkpoint of TensorFlow, .*exporter_main_v2"),
        (["c/model.ckpt-7.index"], "c/model.ckpt-7.index", "a checkpoint of TensorFlow"),
        (["hub/config.json", "hub/model.safetensors"], "hub", "weights without a network; .*pipeline"),
        (["ir/net.xml", "ir/net.bin"], "ir/net.xml", "an OpenVINO model"),
        (["net.ENGINE"], "net.ENGINE", "a TensorRT engine"),
    ],
)
def test_a_model_of_another_format_is_named_with_what_to_do(tmp_path, files, given, what):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"bytes")
    with pytest.raises(DetectorError, match=f"cannot be read: it is {what}"):
        load_detector(tmp_path / given)


def test_a_data_set_in_the_place_of_a_model_is_named(tmp_path):
    for name in ("images/val/a.png", "labels/val/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(
        DetectorError, match=r"is no detector but a data set \(YOLO, images and labels\): .*--cropdet-data"
    ):
        load_detector(tmp_path)


def test_a_description_that_cannot_be_is_named_before_anything_is_looked_for():
    with pytest.raises(DetectorError, match="units=px: must be one of"):
        load_detector("models/none", units="px")


# What a model on disk is known by, before any framework is imported


def exported(folder, content=b"weights"):
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "data").write_bytes(content)
    return folder


def test_a_fingerprint_follows_the_files_and_the_description_and_not_the_place(tmp_path):
    here, there = exported(tmp_path / "a"), exported(tmp_path / "b" / "c")
    other = exported(tmp_path / "d", b"other weights")
    prints = [load_detector(each).fingerprint for each in (here, there, other)]
    assert prints[0] == prints[1] != prints[2]
    assert load_detector(f"saved_model:{here}").fingerprint == prints[0]
    assert load_detector(here, units="pixels").fingerprint not in prints
    (here / "variables" / "data").rename(here / "variables" / "date")
    assert load_detector(here).fingerprint not in prints


def test_a_model_is_described_by_what_was_said_until_it_is_loaded(tmp_path):
    detector = load_detector(exported(tmp_path / "model"), units="pixels")
    assert detector.name == f"saved_model:{tmp_path / 'model'}"
    assert detector.description == Description(units="pixels")
