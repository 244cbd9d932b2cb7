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


def test_what_cannot_be_read_says_nothing(tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"\0\0\0\0TFL3 and no more")
    assert facts_of(f"tflite:{tmp_path / 'a.tflite'}").inputs == ()
    assert facts_of("mine:factory").inputs == ()
