"""A real ONNX file that no reader knows: it is refused with what it has, and a function of one's own reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pytest_cropdet import load_detector
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.errors import DetectorError

onnxruntime = pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install 'pytest-cropdet[onnx]'")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools, numpy 2

EXAMPLES = Path(__file__).parents[2] / "examples"
PUBLISHED, WITHIN = 0.18, 0.01  # mAP on small samples of val2017, as the README of the file says


@pytest.fixture(scope="module")
def model(assets: Path) -> Path:
    return assets / "models" / "fastestdet_coco" / "fastestdet.onnx"


def test_it_is_refused_with_the_name_and_shape_of_its_output_and_what_to_write(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROPDET_PROBE", "off")
    with pytest.raises(DetectorError) as caught:
        load_detector(model, range="0..1", channels="bgr", resize="stretch").load()
    message = str(caught.value)
    assert "its outputs are 758 float32 [1, 85, 22, 22], which no reader knows" in message
    assert "write a function that runs it in ONNX Runtime and returns Detections" in message
    assert "package.module:factory" in message
    assert "outputs=" not in message  # there is nothing that could be named


@pytest.fixture
def function(assets: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setenv("FASTESTDET", str(model))
    monkeypatch.setenv("FASTESTDET_NAMES", str(assets / "models" / "coco80.names"))
    return load_detector("fastestdet:factory")


def test_the_example_finds_what_the_file_is_published_to_find(function: Any, assets: Path, model: Path) -> None:
    folder = assets / "data" / "coco-open-dev"
    data = json.loads((folder / "annotations.json").read_text())
    images = [each for each in data["images"] if each["coco_split"] == "val2017"]
    pictures = [cv2.imread(str(folder / "images" / each["file_name"]))[:, :, ::-1] for each in images]
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    numbers = {each["name"]: each["id"] for each in data["categories"]}
    ids = {number: numbers[name] for number, name in function.categories.items() if name in numbers}
    ap = [
        mean_ap(folder / "annotations.json", images, found, ids)
        for found in (function(pictures), [decode(session, picture) for picture in pictures])
    ]
    assert len(images) == 44
    assert ap[0] == pytest.approx(PUBLISHED, abs=WITHIN)
    assert ap[1] == pytest.approx(ap[0], abs=WITHIN)


def decode(session: Any, picture: np.ndarray) -> Detections:
    """Return what the file's README says, cell by cell, with a suppression of its own."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (352, 352))
    output = session.run(None, {"input.1": np.moveaxis(small[..., ::-1], 2, 0)[None].astype(np.float32) / 255})[0][0]
    found = []
    for row in range(22):
        for column in range(22):
            cell = [float(each) for each in output[:, row, column]]
            category = max(range(80), key=lambda each: cell[5 + each])
            score = cell[0] ** 0.6 * cell[5 + category] ** 0.4
            x, y = (column + np.tanh(cell[1])) / 22 * width, (row + np.tanh(cell[2])) / 22 * height
            wide, high = width / (1 + np.exp(-cell[3])), height / (1 + np.exp(-cell[4]))
            found.append((score, category + 1, (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)))
    kept: list[tuple[float, int, tuple[float, ...]]] = []
    for score, category, box in sorted(found, reverse=True):
        if score >= 0.01 and len(kept) < 100 and all(c != category or iou(b, box) <= 0.45 for _, c, b in kept):
            kept.append((score, category, box))
    return Detections([box for *_, box in kept], [each[0] for each in kept], [each[1] for each in kept])


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0.0, wide) * max(0.0, high)
    return both / sum((each[2] - each[0]) * (each[3] - each[1]) for each in (a, b) if both) if both else 0.0


def mean_ap(truth: Path, images: list[dict[str, Any]], answers: list[Detections], ids: dict[int, int]) -> float:
    """Return mAP by pycocotools."""
    rows = []
    for image, answer in zip(images, answers, strict=True):
        for (x0, y0, x1, y1), score, number in zip(
            answer.boxes.tolist(), answer.scores.tolist(), answer.categories.tolist(), strict=True
        ):
            if number in ids:
                box = [x0, y0, x1 - x0, y1 - y0]
                rows.append({"image_id": image["id"], "category_id": ids[number], "bbox": box, "score": score})
    coco = COCO(str(truth))
    run = COCOeval(coco, coco.loadRes(rows), "bbox")
    run.params.imgIds = [each["id"] for each in images]
    run.evaluate()
    run.accumulate()
    run.summarize()
    return float(run.stats[0])
