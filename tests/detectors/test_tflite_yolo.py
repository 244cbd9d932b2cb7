"""The table of a YOLO in a TFLite file: known boxes are painted and come back, in every layout that exporters write."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_cropdet import load_detector
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.errors import DetectorError
from tests.detectors import tflite_models as models
from tests.detectors import yolo_models as yolo

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.usefixtures("needs_tensorflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*tf.lite.Interpreter:UserWarning"),
]

SIZE = (211, 157)
GIVEN = {"range": "0..1", "resize": "letterbox", "nms_iou": 0.7}
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    folder = tmp_path_factory.mktemp("yolo")

    def made(name: str, serve: Callable[[Any], Any], **how: Any) -> Path:
        path = folder / f"{name}.tflite"
        return path if path.exists() else models.convert(serve, path, **how)

    return made


@pytest.fixture(scope="module")
def columns(make: Make) -> Path:
    """[1, 7, 252], normalised: as Ultralytics exports YOLOv8 and later."""
    return make("columns", yolo.table(transposed=True))


def paint(size: tuple[int, int] = SIZE, colour: tuple[int, int, int] = (0, 90, 255)) -> tuple[np.ndarray, np.ndarray]:
    width, height = size
    box = np.array([width // 7, height // 5, width - width // 3, height - height // 9])
    image = np.zeros((height, width, 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = colour
    return image, box.astype(float)


def away(found: Detections, box: np.ndarray) -> float:
    """Return how far the first box is from the painted one, in pixels of the input, which is smaller."""
    return float(np.abs(found.boxes[0] - box).max() * min(128 / SIZE[0], 96 / SIZE[1]))


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("objectness", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_painted_box_comes_back_from_every_layout(
    make: Make, transposed: bool, objectness: bool, normalized: bool
) -> None:
    path = make(f"{transposed}{objectness}{normalized}", yolo.table(transposed, objectness, normalized))
    image, box = paint()
    detector = load_detector(path, labels=models.LABELS, **GIVEN)
    found = detector([image])[0]
    assert away(found, box) < 1.5
    assert found.scores.tolist() == pytest.approx([0.9], abs=1e-3)  # the wider one is a duplicate
    assert found.categories.tolist() == [models.BLUE]
    known = detector.description.known()
    assert known["units"] == ("normalized" if normalized else "input")
    assert known["head"] == ("yolo_objectness" if objectness else "yolo")
    assert known["boxes"] == "cxcywh"
    assert detector.max_detections == 300
    every = load_detector(path, labels=models.LABELS, **{**GIVEN, "nms_iou": 1})([image])[0]
    assert every.scores.tolist() == pytest.approx([0.9, 0.6], abs=1e-3)


def test_boxes_in_cells_are_decoded_where_the_user_says_so_and_never_taken_for_decoded_ones(make: Make) -> None:
    path = make("undecoded", yolo.table(objectness=True, undecoded=True))
    image, box = paint()
    found = load_detector(path, labels=models.LABELS, head="yolox", **GIVEN)([image])[0]
    assert away(found, box) < 1.5
    assert found.categories.tolist() == [models.BLUE]
    for given in ({"labels": models.LABELS}, {"head": "yolo_objectness"}):
        with pytest.raises(DetectorError, match="not decoded; for YOLOX set --cropdet-detector head=yolox"):
            load_detector(path, **GIVEN, **given).load()


@pytest.mark.parametrize("missing", ["range", "resize", "nms_iou"])
def test_what_a_table_does_not_say_is_needed_by_name(columns: Path, missing: str) -> None:
    given = {key: value for key, value in GIVEN.items() if key != missing}
    with pytest.raises(DetectorError, match=f"--cropdet-detector {missing}="):
        load_detector(columns, labels=models.LABELS, **given).load()


def test_without_names_the_kind_of_head_is_needed(columns: Path) -> None:
    with pytest.raises(DetectorError, match=r"3 categories .*objectness and 2 .*head=yolo\|yolo_objectness"):
        load_detector(columns, **GIVEN).load()
    image, box = paint()
    found = load_detector(columns, head="yolo", **GIVEN)([image])[0]
    assert away(found, box) < 1.5
    assert found.categories.tolist() == [models.BLUE + 1]
    with pytest.raises(DetectorError, match=r"2 or 3 categories, and 5 names.*labels=FILE"):
        load_detector(columns, labels="a,b,c,d,e", **GIVEN).load()
    with pytest.raises(DetectorError, match=r"head=yolo_end2end is not used: its output is"):
        load_detector(columns, head="yolo_end2end", **GIVEN).load()
    with pytest.raises(DetectorError, match=r"units=input: its boxes are in 0 to 1; set .*units=normalized"):
        load_detector(columns, labels=models.LABELS, units="input", **GIVEN).load()


def test_logits_are_named_and_read_once_the_user_says_so(make: Make) -> None:
    path = make("logits", yolo.table(objectness=True, logits=True))
    image, box = paint()
    with pytest.raises(DetectorError, match=r"no probabilities; .*activation=sigmoid"):
        load_detector(path, labels=models.LABELS, **GIVEN).load()
    found = load_detector(path, labels=models.LABELS, activation="sigmoid", **GIVEN)([image])[0]
    assert away(found, box) < 1.5
    assert found.scores[0] == pytest.approx(0.9, abs=1e-3)


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_quantised_inputs_and_outputs_are_read_by_their_scales(make: Make, kind: str) -> None:
    path = make(kind, yolo.table(transposed=True), quantise=(kind, (0.0, 1.0)))
    image, box = paint(colour=(255, 90, 0))  # the colour of the calibration
    detector = load_detector(path, labels=models.LABELS, resize="letterbox", nms_iou=0.7)
    found = detector([image])[0]
    assert away(found, box) < 4.5  # the model itself counts in 8 bits
    assert found.scores[0] == pytest.approx(0.9, abs=0.02)
    assert found.categories[0] == models.RED


def test_coefficients_and_prototypes_of_masks_are_passed_over(make: Make) -> None:
    path = make("masks", yolo.table(transposed=True, masks=True))
    image, box = paint()
    found = load_detector(path, labels=models.LABELS, **GIVEN)([image])[0]
    assert away(found, box) < 1.5
    assert found.categories.tolist() == [models.BLUE]


def test_an_input_with_channels_first_gets_them_first(make: Make) -> None:
    path = make("first", yolo.table(transposed=True, channels_first=True), shape=(1, 3, models.HEIGHT, models.WIDTH))
    for colour, category in (((0, 90, 255), models.BLUE), ((255, 90, 0), models.RED)):
        image, box = paint(colour=colour)
        detector = load_detector(path, labels=models.LABELS, **GIVEN)
        found = detector([image])[0]
        assert detector.input_shape(*SIZE) == (models.HEIGHT, models.WIDTH)
        assert away(found, box) < 1.5
        assert found.categories.tolist() == [category]


def test_rows_without_duplicates_are_corners_where_the_user_says_so(make: Make) -> None:
    path = make("rows", models.rows("xyxy", "normalized", (0.0, 1.0)))
    image, box = paint()
    given = {"range": "0..1", "resize": "letterbox", "units": "normalized"}
    found = load_detector(path, head="yolo_end2end", **given)([image])[0]
    assert away(found, box) < 1.5
    assert found.scores.tolist() == pytest.approx([0.9, 0.6])
    with pytest.raises(DetectorError, match="--cropdet-detector boxes="):
        load_detector(path, **given).load()
    with pytest.raises(DetectorError, match=r"--cropdet-detector units=normalized\|input"):
        load_detector(path, head="yolo_end2end", range="0..1", resize="letterbox").load()


def test_rows_of_efficientdet_begin_with_the_number_of_the_image(make: Make) -> None:
    def rows(image: Any) -> dict[str, Any]:
        found = models.rows("yxyx", "input", (0.0, 255.0))(image)["found"]
        tf = models.tensorflow()
        return {"found": tf.concat([0 * found[..., :1], found[..., :5], found[..., 5:] + 1], -1)}

    path = make("efficientdet", rows)
    image, box = paint()
    given = {"range": "0..255", "resize": "keep_aspect"}
    found = load_detector(path, head="efficientdet", labels=models.LABELS, **given)([image])[0]
    assert away(found, box) < 1.5
    assert found.scores.tolist() == pytest.approx([0.9, 0.6])
    assert found.categories.tolist() == [models.BLUE + 1] * 2  # it counts from 1
    for head, said in (
        (None, "--cropdet-detector head=efficientdet"),
        ("yolo_end2end", "head=yolo_end2end is not used"),
    ):
        with pytest.raises(DetectorError, match=said):
            load_detector(path, head=head, **given).load()
    rows_of_six = make("rows", models.rows("xyxy", "normalized", (0.0, 1.0)))
    with pytest.raises(DetectorError, match="head=efficientdet is not used: its output is"):
        load_detector(rows_of_six, head="efficientdet", **given).load()


def exported(path: Path, folder: Path, name: str = "temp_meta.txt", **more: Any) -> Path:
    """Return a copy of a file with what Ultralytics' exporter appends."""
    said = {"description": "a model", "author": "Ultralytics", "stride": 32, "task": "detect", "batch": 1}
    said |= {"names": {0: "nothing", 1: "red", 2: "blue"}, **more}
    copy = folder / f"{name}.{len(list(folder.iterdir()))}.tflite"
    copy.write_bytes(path.read_bytes())
    with zipfile.ZipFile(copy, "a") as archive:
        archive.writestr(name, str(said) if name.endswith(".txt") else json.dumps(said))
    return copy


@pytest.mark.parametrize("name", ["temp_meta.txt", "metadata.json"])
def test_what_the_exporter_wrote_decides_names_and_range(columns: Path, tmp_path: Path, name: str) -> None:
    path = exported(columns, tmp_path, name)
    image, box = paint()
    detector = load_detector(path, resize="letterbox", nms_iou=0.7)
    assert away(detector([image])[0], box) < 1.5
    assert detector.categories == {0: "nothing", 1: "red", 2: "blue"}
    assert detector.description.range == "0..1"
    with pytest.raises(DetectorError, match=r"range=0\.\.255: the metadata .*mean 0 and std 255.*makes 0\.\.1; remove"):
        load_detector(path, **{**GIVEN, "range": "0..255"}).load()


def test_an_export_for_another_task_is_refused_and_one_with_suppression_inside_is_read_as_rows(
    make: Make, columns: Path, tmp_path: Path
) -> None:
    with pytest.raises(DetectorError, match="task=pose; only models for detect and segment are read"):
        load_detector(exported(columns, tmp_path, task="pose"), **GIVEN).load()
    rows = make("rows", models.rows("xyxy", "normalized", (0.0, 1.0)))
    image, box = paint()
    for more in ({"end2end": True}, {"args": {"nms": True}}):
        detector = load_detector(exported(rows, tmp_path, **more), resize="letterbox", units="normalized")
        found = detector([image])[0]
        assert away(found, box) < 1.5
        assert found.categories.tolist() == [models.BLUE] * 2
