"""What TensorFlow 1 wrote: frozen graphs and SavedModels whose input is called ``inputs``."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cropdet.detectors import load_detector
from pytest_cropdet.detectors.adapters.tensorflow_model import import_tensorflow
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.plugin.option_values import named_specs
from tests.detectors.saved_models import export, export_tf1
from tests.detectors.test_saved_model import BATCHES, IMAGES, check

pytestmark = pytest.mark.usefixtures("needs_tensorflow")

OTHER = (("detection_boxes", "head/bboxes"), ("detection_scores", "head/scores"), ("detection_classes", "head/classes"))
NAMED = "boxes:head/bboxes:0,scores:head/scores,classes:head/classes:0"
SAID = {"boxes": "xyxy", "units": "pixels", "first_category": 0}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return the folder with a frozen graph and a SavedModel by a convention, written once."""
    tf = import_tensorflow()
    made = {}

    def get(**convention):
        key = repr(sorted(convention.items()))
        if key not in made:
            made[key] = export_tf1(tf, tmp_path_factory.mktemp("tf1"), **{"shape": BATCHES, **convention})
        return made[key]

    return get


@pytest.mark.parametrize("name", ["frozen_inference_graph.pb", "saved_model"])
@pytest.mark.parametrize(
    ("convention", "said"),
    [
        ({}, {}),
        ({"shape": (1, None, None, 3)}, {}),
        ({"shape": (None,), "dtype": "string", "name": "encoded_image_string_tensor"}, {}),
        ({"shape": (None,), "dtype": "string", "name": "tf_example", "takes": "example"}, {}),
        ({"shape": (None, 64, 96, 3)}, {"resize": "letterbox"}),
    ],
    ids=["any size", "one at a time", "encoded", "example", "fixed"],
)
def test_a_graph_and_a_saved_model_of_the_object_detection_api_need_no_description(written, name, convention, said):
    detector = load_detector(written(**convention) / name, **said)
    check(detector)
    assert (detector.description.boxes, detector.description.first_category) == ("yxyx", 1)


def test_a_graph_can_be_named_by_its_kind(written):
    path = written() / "frozen_inference_graph.pb"
    detector = load_detector(f"frozen_graph:{path}", batch=2)
    assert (detector.name, detector.batch) == (f"frozen_graph:{path}", 2)
    check(detector)


def test_outputs_of_other_names_are_proposed_and_read_by_the_names_of_tensors(written):
    path = written(rename=OTHER, boxes="xyxy", units="pixels", first=0, count=False, filled=True)
    with pytest.raises(
        DetectorError, match="set --cropdet-detector outputs=boxes:head/bboxes,scores:head/scores,classes"
    ):
        load_detector(path / "frozen_inference_graph.pb").load()
    detector = load_detector(path / "frozen_inference_graph.pb", outputs=NAMED, **SAID)
    check(detector)


@pytest.mark.parametrize(
    ("outputs", "sentence"),
    [
        (NAMED.replace("bboxes:0", "bboxes:7"), "there is no output 'head/bboxes:7'; it has .*head/bboxes"),
        (NAMED.replace("bboxes:0", "boxes"), "there is no output 'head/boxes'; it has .*head/bboxes"),
    ],
)
def test_a_tensor_that_is_not_there_is_named_with_those_that_are(written, outputs, sentence):
    path = written(rename=OTHER, boxes="xyxy", units="pixels", first=0, count=False, filled=True)
    with pytest.raises(DetectorError, match=sentence):
        load_detector(path / "frozen_inference_graph.pb", outputs=outputs, **SAID).load()


def test_what_leads_to_no_output_is_no_input(written):
    """Graphs for training had more placeholders, which nothing that is read depends on."""
    check(load_detector(written(unrelated=True) / "frozen_inference_graph.pb"))
    with pytest.raises(DetectorError, match="the graph takes image_tensor, threshold; a detector takes one tensor"):
        load_detector(written(threshold=True) / "frozen_inference_graph.pb").load()


def test_a_graph_with_variables_is_not_frozen(written):
    with pytest.raises(DetectorError, match=r"not frozen: 1 variables such as 'brightness' have no values; freeze it"):
        load_detector(written(variable=True) / "frozen_inference_graph.pb").load()


def test_of_several_graphs_in_a_saved_model_the_one_for_serving_is_taken(written):
    check(load_detector(written(several=True) / "saved_model"))


@pytest.mark.parametrize("kind", ["", "saved_model:", "frozen_graph:", "keras:"])
def test_the_file_in_a_saved_model_is_named_with_its_folder(written, kind):
    path = written() / "saved_model" / "saved_model.pb"
    with pytest.raises(DetectorError, match=f"{path} is a part of a SavedModel; give its folder: {path.parent}$"):
        load_detector(f"{kind}{path}")


@pytest.mark.parametrize("kind", ["keras", "frozen_graph"])
def test_a_folder_in_place_of_a_file_is_named(tmp_path, kind):
    with pytest.raises(DetectorError, match=rf"{tmp_path} is a folder; {kind}:PATH is a \.\w+ .*file"):
        load_detector(f"{kind}:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("map.pbtxt", b"item {}", r"map\.pbtxt is text, and no detector: if it is a label map, set .*labels="),
        ("graph.pb", b"node {\n name: 'a'", r"graph\.pb is text; a frozen graph is binary"),
        ("graph.pb", b"\x08\x01\x12\x00", "the graph of a SavedModel under another name; call it saved_model.pb"),
        ("graph.pb", b"<html>", "is not a frozen graph: it does not begin with a node"),
        ("graph.pb", b"", "is not a frozen graph: it does not begin with a node"),
        ("graph.pb", b"\x0a\x70cut off", r"is not a frozen graph: .*cut off"),
        ("graph.pb", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "is a Git LFS pointer"),
    ],
)
def test_what_is_no_graph_is_named(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DetectorError, match=sentence):
        load_detector(tmp_path / name).load()


def test_a_graph_of_the_exporters_own_name_is_called_as_its_folder_is(written):
    path = written() / "frozen_inference_graph.pb"
    assert named_specs([f"frozen_graph:{path}"], "model")[0].name == path.parent.name


def test_a_tflite_file_refuses_what_other_kinds_use():
    models = Path(__file__).parents[2] / "fixtures" / "models"
    for given in ({"input": "encoded"}, {"signature": "serve"}, {"custom_objects": "a:b"}):
        (name,) = given
        with pytest.raises(DetectorError, match=f"{name}=.* is not used: a TFLite file takes pixels"):
            load_detector(models / "ssd_nms.tflite", range="0..255", **given).load()


@pytest.mark.parametrize("given", [{"signature": "serve"}, {"activation": "sigmoid"}, {"custom_objects": "a:b"}])
def test_an_option_that_a_graph_does_not_use_is_refused_by_name(written, given):
    (name,) = given
    with pytest.raises(DetectorError, match=f"{name}=.* is not used: .*; remove it from --cropdet-detector"):
        load_detector(written() / "frozen_inference_graph.pb", **given).load()


def test_a_graph_finds_what_a_saved_model_of_tensorflow_2_finds(written, tmp_path):
    wanted = load_detector(export(import_tensorflow(), tmp_path / "model", shape=BATCHES))(IMAGES)
    for name in ("frozen_inference_graph.pb", "saved_model"):
        for one, other in zip(wanted, load_detector(written() / name)(IMAGES), strict=True):
            assert one.boxes.tolist() == other.boxes.tolist()
            assert one.scores.tolist() == other.scores.tolist()
