"""One set of weights in every kind of TFLite file: one mAP and one verdict; published models as decoded by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_cropdet import load_dataset, load_detector, run
from pytest_cropdet.data.categories import reconcile
from pytest_cropdet.geometry.boxes import clip

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.usefixtures("needs_tensorflow"),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),
]

FIXTURES = Path(__file__).parents[2] / "fixtures"
MODELS = FIXTURES / "models"
SCENES = 30
WITHIN, WITHIN_8_BITS = 0.005, 0.02  # mAP
RAW = {"anchors": str(MODELS / "ssd_anchors.npy"), "nms_iou": 0.6, "resize": "stretch"}
Found = tuple[np.ndarray, np.ndarray, np.ndarray]  # boxes, scores, categories


@dataclass(frozen=True)
class Kind:
    """A file of the shipped weights, how it is to be read, and how far its mAP may be off."""

    file: str
    said: Mapping[str, Any] = field(default_factory=dict)
    within: float = WITHIN


KINDS = {
    "float": Kind("ssd_nms.tflite", {"range": "0..255"}),
    "raw": Kind("ssd_raw.tflite", {"range": "0..255", **RAW}),
    "uint8 in, float out": Kind("ssd_int8_nms.tflite", within=WITHIN_8_BITS),
    "int8, raw": Kind("ssd_int8_raw.tflite", RAW, within=WITHIN_8_BITS),
}


@dataclass(frozen=True)
class Measured:
    """mAP of whole scenes by pycocotools, and what crops of them cost."""

    whole: float
    drop: float
    verdict: str


def measured(path: Path, **said: Any) -> Measured:
    """Return what a detector finds; the limit is one that it fails for sure."""
    from measure_ssd import measure_whole

    detector = load_detector(path, labels=str(MODELS / "labels.txt"), **said)
    first = min(detector.categories)

    def found(image: np.ndarray) -> Found:
        (one,) = detector([image])
        boxes = clip(one.boxes, image.shape[1], image.shape[0])  # as a run does
        return boxes, one.scores, one.categories - first + 1

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
    return Measured(measure_whole(found, SCENES)["mAP"], gate.drop.value or 0.0, verdict.outcome)


@pytest.fixture(scope="module", autouse=True)
def _unprobed() -> Iterator[None]:
    """Start no process for each of these files, which are known to be whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROPDET_PROBE", "off")
        yield


@pytest.fixture(scope="module")
def _scripts() -> Iterator[None]:
    sys.path.insert(0, str(FIXTURES))
    yield
    sys.path.remove(str(FIXTURES))


@pytest.fixture(scope="module")
def wanted(_scripts: None) -> Measured:
    return measured(MODELS / "saved_model")


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_tflite_file_changes_no_number_and_no_verdict(name: str, wanted: Measured) -> None:
    kind = KINDS[name]
    found = measured(MODELS / kind.file, **kind.said)
    assert wanted.whole > 0.5  # it says something
    assert found.whole == pytest.approx(wanted.whole, abs=kind.within)
    assert found.drop == pytest.approx(wanted.drop, abs=2 * kind.within)
    assert found.verdict == wanted.verdict == "fail"


def whole_images(assets: Path, find: Callable[[Any], Found], images: int) -> float:
    """Return the mAP of photographs by pycocotools; ``find`` answers with the categories of the data set."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    folder = assets / "data" / "coco-open-dev"
    samples = list(load_dataset(folder))[:images]
    with redirect_stdout(StringIO()):
        truth = COCO(next(folder.glob("*.json")))
        numbers = {str(image["file_name"]): number for number, image in truth.imgs.items()}
        rows = []
        for sample in samples:
            for box, score, category in zip(*find(sample), strict=True):
                corner = [*box[:2], *(box[2:] - box[:2])]
                rows.append([numbers[Path(sample.id).name], *corner, score, category])
        evaluation = COCOeval(truth, truth.loadRes(np.array(rows)), "bbox")
        evaluation.params.imgIds = [numbers[Path(sample.id).name] for sample in samples]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def by_the_plugin(detector: Any, names: Mapping[int, str]) -> Callable[[Any], Found]:
    mapped = reconcile(detector.categories, names, names)

    def find(sample: Any) -> Found:
        found = mapped.translate(detector([sample.image()])[0])
        return found.boxes, found.scores, found.categories

    return find


IMAGES = 24


def test_centernet_has_the_same_map_raw_and_as_a_saved_model_once_the_resize_is_given(assets: Path) -> None:
    folder, labels = assets / "models" / "centernet_coco", assets / "models" / "coco90_labelmap.txt"
    names = [name for name in labels.read_text(encoding="utf-8").split("\n") if name not in ("", "???")]
    raw = load_detector(
        folder / "centernet_float32.tflite",
        labels=",".join(names),
        boxes="xyxy",
        units="input",
        range="0..255",
        resize="stretch",
        nms_iou=0.5,
    )
    served = load_detector(folder / "saved_model", labels=str(labels))
    known = load_dataset(assets / "data" / "coco-open-dev").categories
    one, other = (whole_images(assets, by_the_plugin(each, known), IMAGES) for each in (raw, served))
    assert min(one, other) > 0.25
    assert one == pytest.approx(other, abs=WITHIN)


def test_a_published_ssd_has_the_map_of_an_independent_decoding(assets: Path) -> None:
    import cv2
    import tensorflow as tf

    (path,) = (assets / "models" / "ssd_mobilenet_v1_coco").glob("*.tflite")
    categories = json.loads(next((assets / "data" / "coco-open-dev").glob("*.json")).read_text())["categories"]
    ids = {each["name"]: each["id"] for each in categories}
    lines = (path.parent / "labelmap.txt").read_text(encoding="utf-8").splitlines()
    interpreter = tf.lite.Interpreter(str(path))
    interpreter.allocate_tensors()
    tensors = {each["name"]: each["index"] for each in interpreter.get_output_details()}
    name = "TFLite_Detection_PostProcess"

    def by_hand(sample: Any) -> Found:
        image = cv2.resize(sample.image(), (300, 300), interpolation=cv2.INTER_LINEAR)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        boxes, numbers, scores, count = (
            interpreter.get_tensor(tensors[name + suffix])[0] for suffix in ("", ":1", ":2", ":3")
        )
        rows = [row for row in range(int(count)) if lines[int(numbers[row])] in ids]
        corners = boxes[rows][:, [1, 0, 3, 2]] * ([sample.width, sample.height] * 2)
        return corners, scores[rows], np.array([ids[lines[int(numbers[row])]] for row in rows])

    known = load_dataset(assets / "data" / "coco-open-dev").categories
    read = whole_images(assets, by_the_plugin(load_detector(path), known), IMAGES)
    wanted = whole_images(assets, by_hand, IMAGES)
    assert wanted > 0.1
    assert read == pytest.approx(wanted, abs=0.01)
