"""The shipped SSD's weights in every format: one detector, with one mAP and one verdict.

A row of ``FORMATS`` makes a model in a folder (or names a shipped one, or returns a model object), and says how it is
read. What must be equal is measured on a part of ``fixtures/scenes``, whole images and crops. TFLite files, the ONNX
file and the model behind HTTP have tests of their own: ``test_tflite_weights.py``, ``test_onnx_weights.py`` and
``test_served_weights.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_cropdet import load_dataset, load_detector, run
from pytest_cropdet.geometry.boxes import clip

pytestmark = [
    pytest.mark.usefixtures("needs_tensorflow"),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]

FIXTURES = Path(__file__).parents[2] / "fixtures"
MODELS = FIXTURES / "models"
SCENES = 30
WITHIN = 0.005  # mAP


@dataclass(frozen=True)
class Format:
    """One format: ``make`` is given a folder that does not exist and the module ``export_kinds``."""

    make: Callable[[Path, Any], Any]
    said: Mapping[str, Any] = field(default_factory=dict)


def shipped(name: str) -> Callable[[Path, Any], str]:
    return lambda folder, kinds: str(MODELS / name)


KERAS = {
    "outputs": "boxes:bboxes,scores:confidences,classes:labels",
    "boxes": "xyxy",
    "units": "normalized",
    "first_category": 0,
    "range": "0..255",
    "resize": "stretch",
}
FORMATS = {
    "SavedModel, float": Format(shipped("saved_model_float"), {"resize": "stretch"}),
    "SavedModel, encoded": Format(lambda folder, kinds: kinds.encoded_images(folder)),
    "SavedModel, examples": Format(lambda folder, kinds: kinds.serialised_examples(folder)),
    "TF-Vision": Format(lambda folder, kinds: kinds.tf_vision(folder), {"units": "input"}),
    "TensorFlow 1": Format(lambda folder, kinds: kinds.tensorflow_1(folder) / "saved_model"),
    "frozen graph": Format(lambda folder, kinds: kinds.tensorflow_1(folder) / "frozen_inference_graph.pb"),
    ".keras": Format(
        lambda folder, kinds: kinds.keras_file(folder.with_suffix(".keras")),
        {**KERAS, "custom_objects": "export_kinds:OBJECTS"},
    ),
    "Keras export": Format(lambda folder, kinds: kinds.keras_export(folder), KERAS),
    "Keras object": Format(lambda folder, kinds: kinds.keras_model(), KERAS),
    "Keras task": Format(lambda folder, kinds: kinds.keras_task(), {"first_category": 0, "range": "0..255"}),
    "tf.Module": Format(lambda folder, kinds: kinds.module(), {"signature": "image_tensor"}),
}


@dataclass(frozen=True)
class Measured:
    """mAP of whole scenes by pycocotools, and what crops of them cost."""

    whole: float
    reference: float
    crop: float
    drop: float
    verdict: str


def opened(spec: Any, **said: Any) -> Any:
    return load_detector(spec, labels=str(MODELS / "labels.txt"), **said)


def whole_scenes(detector: Any) -> float:
    """Return mAP of whole scenes by pycocotools."""
    from measure_ssd import measure_whole, scenes

    first = min(detector.categories)
    found = iter(detector([image for image, _ in scenes(SCENES)[1]]))

    def detect(image):
        one = next(found)
        return clip(one.boxes, image.shape[1], image.shape[0]), one.scores, one.categories - first + 1

    return measure_whole(detect, SCENES)["mAP"]


def measured(spec: Any, **said: Any) -> Measured:
    """Return what a detector finds; the limit is one that it fails for sure."""
    detector = opened(spec, **said)
    gate = run(
        detector,
        load_dataset(FIXTURES / "scenes"),
        crops="random:keep=0.3-0.9,per_image=1",
        sample_images=SCENES,
        replicates=100,
        max_drop=0.02,
        min_images=SCENES // 2,
        explain="off",
    )
    (verdict,) = gate.judge()
    ap = {name: value or 0.0 for name, value in gate.ap.items()}
    whole = whole_scenes(detector)
    return Measured(whole, ap["reference"], ap["crop"], gate.drop.value or 0.0, verdict.outcome)


@pytest.fixture(scope="module", autouse=True)
def _unprobed() -> Iterator[None]:
    """Start no process for each of these files, which were written just now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROPDET_PROBE", "off")
        yield


@pytest.fixture(scope="module")
def kinds() -> Any:
    sys.path.insert(0, str(FIXTURES))
    import export_kinds

    yield export_kinds
    sys.path.remove(str(FIXTURES))


@pytest.fixture(scope="module")
def wanted(kinds) -> Measured:
    return measured(MODELS / "saved_model")


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_changes_no_number_and_no_verdict(name, wanted, kinds, tmp_path):
    form = FORMATS[name]
    found = measured(form.make(tmp_path / "model", kinds), **form.said)
    assert min(wanted.whole, wanted.reference) > 0.5  # it says something
    for shown in ("whole", "reference", "crop"):
        assert getattr(found, shown) == pytest.approx(getattr(wanted, shown), abs=WITHIN), shown
    assert found.drop == pytest.approx(wanted.drop, abs=2 * WITHIN)
    assert found.verdict == wanted.verdict == "fail"


def test_a_convention_that_is_declared_wrongly_changes_the_numbers(wanted, kinds):
    found = whole_scenes(opened(kinds.keras_model(), **{**KERAS, "boxes": "yxyx"}))
    assert found < wanted.whole - 0.1
