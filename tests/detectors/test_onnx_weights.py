"""The shipped detector's weights as ONNX: the same detector, in every batch and in every verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pytest_cropdet import Crop, load_dataset, load_detector, run
from tests.detectors.test_fastestdet import mean_ap

pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install 'pytest-cropdet[onnx]'")

FIXTURES = Path(__file__).parents[2] / "fixtures"
MODELS, SCENES = FIXTURES / "models", FIXTURES / "scenes"
LABELS = str(MODELS / "labels.txt")
PUBLISHED, WITHIN = 0.642, 0.005  # mAP on whole scenes, as the README of the fixtures says of each of the other files


@pytest.fixture(autouse=True)
def _unprobed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no process for each of these files, which are known to be whole."""
    monkeypatch.setenv("CROPDET_PROBE", "off")


def test_the_file_is_small() -> None:
    assert (MODELS / "ssd.onnx").stat().st_size < 3 << 20


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools, numpy 2
def test_whole_scenes_have_the_published_map() -> None:
    detector = load_detector(MODELS / "ssd.onnx", labels=LABELS)
    images = json.loads((SCENES / "instances.json").read_text())["images"]
    answers = detector([cv2.imread(str(SCENES / "images" / each["file_name"]))[:, :, ::-1] for each in images])
    ap = mean_ap(SCENES / "instances.json", images, answers, {number: number for number in detector.categories})
    assert len(images) == 240
    assert ap == pytest.approx(PUBLISHED, abs=WITHIN)


@pytest.mark.slow
@pytest.mark.usefixtures("needs_tensorflow")
@pytest.mark.filterwarnings("ignore")
def test_it_finds_what_the_saved_model_finds_and_the_gate_judges_it_alike() -> None:
    one, other = (load_detector(MODELS / name, labels=LABELS) for name in ("ssd.onnx", "saved_model"))
    assert one.categories == other.categories
    image = cv2.imread(str(sorted((SCENES / "images").iterdir())[0]))[:, :, ::-1]
    for crop in (Crop(0, 0, 320, 240), Crop(11, 7, 133, 201), Crop(40, 20, 250, 31)):
        window = np.ascontiguousarray(pixels(image, crop))
        mine, theirs = one([window])[0], other([window])[0]
        assert len(mine) == len(theirs) > 0
        assert mine.categories.tolist() == theirs.categories.tolist()
        np.testing.assert_allclose(mine.scores, theirs.scores, atol=2e-4)
        np.testing.assert_allclose(mine.boxes, theirs.boxes, atol=0.05)
    gates = [gated(each) for each in (one, other)]
    for key in ("reference", "crop"):
        assert gates[0].ap[key] == pytest.approx(gates[1].ap[key], abs=WITHIN)
        assert gates[0].ap[key] > 0.3
    outcomes = [gate.judge()[0].outcome for gate in gates]
    assert outcomes == ["fail", "fail"]


def pixels(image: np.ndarray, crop: Crop) -> np.ndarray:
    return image[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]


def gated(detector: Any) -> Any:
    return run(
        detector,
        load_dataset(SCENES),
        crops="random:keep=0.3-0.5,per_image=1",
        sample_images=60,
        min_images=20,
        replicates=100,
        max_drop=0.05,
        explain="off",
    )
