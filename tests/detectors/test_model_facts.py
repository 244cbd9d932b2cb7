"""What a model file says of its inputs and outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_cropdet.detectors import facts_of
from pytest_cropdet.detectors.adapters.model_facts import TensorFact

MODELS = Path(__file__).parents[2] / "fixtures" / "models"


def test_a_tflite_file_has_the_names_of_its_signature():
    found = facts_of(f"tflite:{MODELS / 'ssd_nms.tflite'}")
    assert found.signature == "serving_default"
    assert found.inputs == (TensorFact("image", "float32", "[1, 240, 320, 3]"),)
    assert TensorFact("detection_boxes", "float32", "[1, 100, 4]") in found.outputs


def test_a_quantised_input_says_so(assets):
    (path,) = (assets / "models" / "ssd_mobilenet_v1_coco").glob("*.tflite")
    (image,) = facts_of(f"tflite:{path}").inputs
    assert (image.dtype, image.shape, image.more) == (
        "uint8",
        "[1, 300, 300, 3]",
        "quantised: (value - 128) * 0.0078125",
    )


@pytest.mark.usefixtures("needs_tensorflow")
def test_a_saved_model_is_read_without_being_loaded(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(tf.saved_model, "load", None)
    found = facts_of(f"saved_model:{MODELS / 'saved_model_float'}")
    assert found.inputs == (TensorFact("input_tensor", "float32", "[N, 240, 320, 3]"),)
    assert TensorFact("detection_boxes", "float32", "[N, 100, 4]") in found.outputs
    assert found.metadata.startswith("written by TensorFlow ")


def test_an_onnx_file_is_read(assets):
    pytest.importorskip("onnxruntime")
    from pytest_cropdet.detectors.adapters.model_facts import read_facts

    found = read_facts("onnx", assets / "models" / "fastestdet_coco" / "fastestdet.onnx")
    assert found.inputs[0].shape == "[1, 3, 352, 352]"


@pytest.mark.usefixtures("needs_tensorflow")
def test_a_keras_file_shows_inputs_and_outputs_by_the_names_that_are_set(tmp_path):
    from pytest_cropdet.detectors.adapters.tensorflow_model import import_tensorflow

    import_tensorflow()
    import keras

    images = keras.Input((64, 96, 3), name="pixels", dtype="float32")
    flat = keras.layers.Reshape((64 * 24, 12))(images)
    outputs = {"bboxes": flat[:, :5, :4], "confidences": flat[:, :5, 4]}
    keras.Model(images, outputs).save(tmp_path / "model.keras")
    found = facts_of(f"keras:{tmp_path / 'model.keras'}")
    assert found.inputs == (TensorFact("pixels", "float32", "[N, 64, 96, 3]"),)
    assert set(found.outputs) == {
        TensorFact("bboxes", "float32", "[N, 5, 4]"),
        TensorFact("confidences", "float32", "[N, 5]"),
    }
    assert found.metadata == f"written by Keras {keras.__version__}"


@pytest.mark.usefixtures("needs_tensorflow")
def test_a_frozen_graph_shows_its_input_and_outputs(tmp_path):
    from pytest_cropdet.detectors.adapters.tensorflow_model import import_tensorflow
    from tests.detectors.saved_models import export_tf1

    export_tf1(import_tensorflow(), tmp_path, shape=(None, 64, 96, 3))
    found = facts_of(f"frozen_graph:{tmp_path / 'frozen_inference_graph.pb'}")
    assert found.inputs == (TensorFact("image_tensor", "uint8", "[N, 64, 96, 3]"),)
    assert "detection_boxes" in {each.name for each in found.outputs}


@pytest.mark.parametrize("kind", ["tfserving", "kserve"])
def test_a_served_model_shows_what_the_server_says(kind):
    pytest.importorskip("httpx")
    pytest.importorskip("stamina")
    from tests.detectors.serving import Served, serve

    with serve(Served()) as served:
        version = {"tfserving": "v1", "kserve": "v2"}[kind]
        found = facts_of(f"{kind}:{served.url}/{version}/models/ssd")
    assert found.inputs == (TensorFact("input_tensor", "uint8", "[N, N, N, 3]"),)
    assert "detection_boxes" in {each.name for each in found.outputs}
    assert found.metadata == f"version {served.versions[-1]} on the server"


def test_what_cannot_be_read_says_nothing(tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"\0\0\0\0TFL3 and no more")
    assert facts_of(f"tflite:{tmp_path / 'a.tflite'}").inputs == ()
    assert facts_of("mine:factory").inputs == ()
