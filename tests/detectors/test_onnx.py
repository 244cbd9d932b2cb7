"""ONNX files: known boxes are painted and come back, whatever the file's own way of taking and returning them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_cropdet import load_detector
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.detectors import probe
from pytest_cropdet.detectors.adapters import onnx
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import DetectorHandle
from pytest_cropdet.errors import DetectorError
from tests.detectors import onnx_models as models
from tests.detectors.onnx_models import BLUE, RED, Graph

pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install 'pytest-cropdet[onnx]'")

SIZES = ((211, 157), (97, 301), (640, 33))  # width, height; the input is 128 x 96
LIST = {"boxes": "xyxy", "units": "input", "first_category": 0, "range": "0..1", "resize": "stretch"}
RAW = {"range": "0..1", "resize": "letterbox", "nms_iou": 0.6}
LABELS = "nothing,red,blue"
Save = Callable[..., Path]


@pytest.fixture(autouse=True)
def unprobed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no process for each of these files, which were written just now."""
    monkeypatch.setenv("CROPDET_PROBE", "off")


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def saved(graph: Graph, **more: Any) -> Path:
        return graph.save(tmp_path / "tiny.onnx", **more)

    return saved


def paint(size: tuple[int, int], colour: tuple[int, int, int] = (255, 90, 0)) -> tuple[np.ndarray, np.ndarray]:
    """Return a black image with one rectangle at an uneven place, and its box."""
    width, height = size
    box = np.array([width // 7, height // 5, width - width // 3, height - height // 9])
    image = np.zeros((height, width, 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = colour
    return image, box.astype(float)


def away(found: Detections, box: np.ndarray, size: tuple[int, int], resize: str = "stretch") -> float:
    """Return how far the first box is from the painted one, in pixels of the input or of the image, the larger ones."""
    scales = np.array([models.WIDTH / size[0], models.HEIGHT / size[1]])
    scales = scales if resize == "stretch" else np.full(2, scales.min())
    return float((np.abs(found.boxes[0] - box) * np.minimum(1, np.tile(scales, 2))).max())


def check(detector: DetectorHandle, resize: str = "stretch", sizes: Any = SIZES) -> None:
    """Check that a red and a blue rectangle of each size come back, in one call."""
    for size in sizes:
        image, box = paint(size)
        blue, _ = paint(size, (0, 90, 255))
        red_found, blue_found = detector([image, blue])
        for found in (red_found, blue_found):
            assert away(found, box, size, resize) < 1.5
            assert found.scores[0] == pytest.approx(0.9, abs=1e-3)
        start = 0 if detector.categories is not None else 1
        assert (red_found.categories[0], blue_found.categories[0]) == (RED + start, BLUE + start)


def refusal(path: Path, **given: Any) -> str:
    with pytest.raises(DetectorError) as caught:
        load_detector(path, **given).load()
    return str(caught.value)


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "keep_aspect"])
def test_a_painted_box_comes_back_however_the_image_gets_into_the_input(save: Save, resize: str) -> None:
    check(load_detector(save(models.detections(Graph())), **LIST | {"resize": resize}), resize)


@pytest.mark.parametrize("order", ["xyxy", "yxyx", "xywh", "cxcywh"])
@pytest.mark.parametrize("units", ["input", "normalized"])
def test_boxes_come_in_every_order_and_unit(save: Save, order: str, units: str) -> None:
    path = save(models.detections(Graph(), order, units == "normalized"))
    check(load_detector(path, **LIST | {"boxes": order, "units": units}))


def test_yxyx_that_is_declared_as_xyxy_comes_back_wrong_so_the_order_has_to_be_set(save: Save) -> None:
    path = save(models.detections(Graph(), "yxyx"))
    second = np.array(models.SECOND) * (211 / 128, 157 / 96, 211 / 128, 157 / 96)
    found = load_detector(path, **LIST)([paint((211, 157))[0]])[0]
    assert np.abs(found.boxes[1] - second).max() > 10
    right = load_detector(path, **LIST | {"boxes": "yxyx"})([paint((211, 157))[0]])[0]
    assert right.boxes[1] == pytest.approx(second)
    assert "--cropdet-detector boxes=xyxy|yxyx|xywh|cxcywh" in refusal(path, **LIST | {"boxes": None})


@pytest.mark.parametrize("key", ["boxes", "units", "first_category", "range", "resize"])
def test_what_a_list_does_not_show_is_required_by_name(save: Save, key: str) -> None:
    assert f"set --cropdet-detector {key}=" in refusal(save(models.detections(Graph())), **LIST | {key: None})


MEAN, STD = (0.8, 0.85, 0.9), (0.1, 0.15, 0.05)  # so large that without them everything is bright
NORMALISED = (-np.array(MEAN) / STD, (1 - np.array(MEAN)) / STD)
INPUTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "0..255": ({"ends": (0, 255)}, {"range": "0..255"}),
    "-1..1": ({"ends": (-1, 1)}, {"range": "-1..1"}),
    "mean and std": (
        {"ends": NORMALISED},
        {"range": "0..1", "mean": "0.8,0.85,0.9", "std": "0.1,0.15,0.05"},
    ),
    "float16": ({"dtype": "float16"}, {"range": "0..1"}),
    "uint8": ({"ends": (0, 255), "dtype": "uint8"}, {"range": None}),
    "channels last": ({"shape": ("N", 96, 128, 3), "last": True}, {"range": "0..1"}),
    "channels last, open": ({"shape": ("N", "h", "w", "c"), "last": True}, {"resize": "inside"}),
    "batch of 2": ({"shape": (2, 3, 96, 128)}, {"range": "0..1"}),
    "batch of 3": ({"shape": (3, 3, 96, 128)}, {"range": "0..1"}),
    "batch of 1": ({"shape": (1, 3, 96, 128)}, {"range": "0..1"}),
}


@pytest.mark.parametrize("name", [name for name in INPUTS if "open" not in name])
def test_every_kind_of_input_is_given_what_it_takes(save: Save, name: str) -> None:
    how, said = INPUTS[name]
    graph = Graph(**how)
    detector = load_detector(save(models.detections(graph)), **LIST | said)
    check(detector)
    batch = how.get("shape", ("N",))[0]
    assert detector.batch == (8 if batch == "N" else batch)


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_the_mean_is_that_of_the_channels_in_the_order_of_the_model(save: Save, channels: str) -> None:
    said = LIST | {"mean": "0.8,0.85,0.9", "std": "0.1,0.15,0.05", "channels": channels}
    detector = load_detector(save(models.detections(Graph(ends=NORMALISED))), **said)
    image = np.full((96, 128, 3), (10, 20, 30), np.uint8)
    pixels = detector.adapter.prepare(image).pixels
    assert pixels.shape == (3, 96, 128)
    expected = (np.array([10, 20, 30] if channels == "rgb" else [30, 20, 10]) / 255 - MEAN) / STD
    assert pixels[:, 50, 50] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("kind", ["float32", "int64"])
def test_a_fourth_output_like_the_scores_or_the_classes_leaves_open_which_is_which(save: Save, kind: str) -> None:
    graph = models.detections(Graph(), names=("one", "two", "three"))
    path = save(graph.output("four", graph.fixed([0.0, 1.0, 1.0]), ["N", 3], kind))
    assert "set --cropdet-detector outputs=boxes:NAME,scores:NAME,classes:NAME" in refusal(path, **LIST)
    named = LIST | {"outputs": "boxes:one,scores:two,classes:three"}
    check(load_detector(path, **named))


def test_a_list_for_one_image_is_that_of_a_batch_of_one(save: Save) -> None:
    graph = Graph()
    for name, tensor, shape, kind in (
        ("boxes", graph.boxes(), [3, 4], "float32"),
        ("labels", graph.classes(), [3], "int64"),
        ("scores", graph.fixed([0.9, 0.25, 0.0]), [3], "float32"),
    ):
        graph.output(name, graph("Reshape", tensor, graph.whole(-1, *shape[1:])), ["rows", *shape[1:]], kind)
    detector = load_detector(save(graph), **LIST)
    assert detector.batch == 1
    check(detector)


def test_a_mean_that_is_left_out_moves_the_scores_so_queries_require_it(save: Save) -> None:
    path = save(models.queries(Graph(), [[0, 5, 1, 1]] * 3, ("pred_logits", "pred_boxes")))
    said = {"range": "0..1", "resize": "stretch", "activation": "softmax", "first_category": 0}
    assert "set --cropdet-detector mean=0.485,0.456,0.406|0,0,0" in refusal(path, **said)
    assert "mean=0,0,0 is given" in refusal(path, **said, mean="0,0,0")
    assert "set --cropdet-detector std=" in refusal(path, **said, mean="0,0,0")
    load_detector(path, **said, mean="0,0,0", std="1,1,1").load()


@pytest.mark.parametrize("wrong", [{"mean": "0.5"}, {"mean": "imagenet"}, {"std": "0,1,1"}, {"std": "1,nan,1"}])
def test_a_mean_is_three_numbers(save: Save, wrong: dict[str, str]) -> None:
    key, value = next(iter(wrong.items()))
    with pytest.raises(DetectorError, match=f"{key}={re.escape(value)}: must be three numbers"):
        load_detector(save(models.detections(Graph())), **LIST, **wrong)


def test_a_mean_is_refused_by_whatever_does_not_use_it(save: Save) -> None:
    with pytest.raises(DetectorError, match="mean cannot be set"):
        load_detector(lambda images: [], mean="0,0,0").load()
    path = save(models.detections(Graph(ends=(0, 255), dtype="uint8")))
    assert "is not used: its input is uint8" in refusal(path, **LIST | {"range": None}, mean="0,0,0", std="1,1,1")


# the traps


@pytest.mark.parametrize("batch", [1, 2])
def test_a_fixed_batch_gets_no_more_images_than_it_takes_and_no_fewer(save: Save, batch: int) -> None:
    path = save(models.detections(Graph(shape=(batch, 3, 96, 128))))
    detector = load_detector(path, **LIST)
    image, box = paint((211, 157))
    answers = detector([image] * 5)
    assert [len(found) for found in answers] == [2] * 5
    assert all(away(found, box, (211, 157)) < 1.5 for found in answers)
    assert f"the file takes {batch} images per call" in refusal(path, **LIST, batch=batch + 1)


def test_a_model_that_answers_one_row_for_two_images_is_refused(save: Save) -> None:
    graph = Graph()
    for name, tensor, shape, kind in (
        ("boxes", graph.boxes(), ["N", 3, 4], "float32"),
        ("scores", graph.fixed([0.9, 0.2, 0.0]), ["N", 3], "float32"),
        ("labels", graph.classes(), ["N", 3], "int64"),
    ):
        graph.output(name, graph.part(tensor, 0, 1, axis=0), shape, kind)
    path = save(graph)
    image, _ = paint((211, 157))
    with pytest.raises(DetectorError, match=r"given 2 images and its boxes is .*set --cropdet-detector batch=1"):
        load_detector(path, **LIST)([image, image])
    assert len(load_detector(path, **LIST, batch=1)([image, image])) == 2


@pytest.mark.parametrize("logits", [(2.2, -1.1, -9.0), (0.9, -4.0, -9.0), (-0.5, -4.0, -9.0)])
def test_scores_that_are_logits_are_refused_with_the_line_that_fixes_it(save: Save, logits: Any) -> None:
    path = save(models.detections(Graph(), scores=logits))
    assert "set --cropdet-detector activation=sigmoid" in refusal(path, **LIST)
    found = load_detector(path, **LIST, activation="sigmoid")([paint((211, 157))[0]])[0]
    assert found.scores.tolist() == pytest.approx(1 / (1 + np.exp(-np.array(logits[:2]))), abs=1e-6)


@pytest.mark.parametrize("scores", [(0.9, 0.25, -1.0), (0.9, 0.25, 0.0), (0.9, 0.25, 0.5)])
def test_rows_padded_with_minus_one_are_no_detections(save: Save, scores: Any) -> None:
    found = load_detector(save(models.detections(Graph(), scores=scores)), **LIST)([paint((211, 157))[0]])[0]
    assert found.scores.tolist() == pytest.approx([0.9, 0.25])
    assert not found.capped


@pytest.mark.parametrize("kind", ["float32", "int64", "int32"])
@pytest.mark.parametrize("shape", [["N"], ["N", 1]])
def test_a_count_of_any_type_and_shape_cuts_the_rows(save: Save, kind: str, shape: list[Any]) -> None:
    graph = models.detections(Graph(), scores=(0.9, 0.8, 0.7))
    count = graph.fixed([1.0])
    graph.output("number", count if len(shape) == 2 else graph("Squeeze", count, graph.whole(1)), shape, kind)
    found = load_detector(save(graph), **LIST)([paint((211, 157))[0]] * 2)
    assert [each.scores.tolist() for each in found] == [pytest.approx([0.9])] * 2


def test_the_count_is_that_of_the_image_and_not_of_the_first_one(save: Save) -> None:
    graph = models.detections(Graph(), scores=(0.9, 0.8, 0.7), kinds=("float32", "float32"))
    graph.output("number", graph.category, ["N", 1])  # 1 for red, 2 for blue
    said = LIST | {"outputs": "boxes:boxes,scores:scores,classes:labels,count:number"}
    images = [paint((211, 157), colour)[0] for colour in ((255, 90, 0), (0, 90, 255))]
    assert [len(each) for each in load_detector(save(graph), **said)(images)] == [1, 2]


# heads


@pytest.mark.parametrize("transposed", [True, False])
@pytest.mark.parametrize("objectness", [True, False])
def test_raw_yolo_heads_are_decoded_and_suppressed(save: Save, objectness: bool, transposed: bool) -> None:
    path = save(models.yolo(Graph(), objectness, transposed))
    detector = load_detector(path, **RAW, labels=LABELS)
    check(detector, "letterbox")
    assert detector.description.units == "input"
    assert "categor" in refusal(path, **RAW, labels="one,two,three,four,five,six")
    assert "nms_iou=" in refusal(path, **RAW | {"nms_iou": None}, labels=LABELS)


@pytest.mark.parametrize("transposed", [True, False])
def test_grids_of_yolox_are_decoded_where_the_user_says_so(save: Save, transposed: bool) -> None:
    path = save(models.yolo(Graph(ends=(0, 255)), True, transposed, undecoded=True))
    said = {"range": "0..255", "resize": "keep_aspect", "nms_iou": 0.65, "labels": LABELS}
    check(load_detector(path, **said, head="yolox"), "keep_aspect")
    for head in (None, "yolo_objectness"):
        assert "not decoded; for YOLOX set --cropdet-detector head=yolox" in refusal(path, **said, head=head)
    assert "boxes=xyxy is not used" in refusal(path, **said, head="yolox", boxes="xyxy")
    decoded = save(models.yolo(Graph(ends=(0, 255)), True, transposed))
    assert "boxes are decoded already" in refusal(decoded, **said, head="yolox")


def test_rows_of_six_are_a_list_and_a_table_on_the_grid_is_none(save: Save) -> None:
    path = save(models.rows_of_six(Graph()))
    check(load_detector(path, **LIST))
    assert "--cropdet-detector units=normalized|input" in refusal(path, **LIST | {"units": None})
    said = {"range": "0..1", "resize": "stretch", "head": "yolo_end2end", "units": "input"}
    check(load_detector(path, **said))


def test_rows_of_seven_of_each_image_are_those_of_efficientdet(save: Save) -> None:
    graph = Graph(ends=(0, 255))
    scores = graph("Unsqueeze", graph.fixed([*models.SCORES, 0.0]), graph.whole(2))
    classes = graph("Unsqueeze", graph.classes(first=1, padding=0.0), graph.whole(2))
    table = graph("Concat", scores, graph.boxes("yxyx"), scores, classes, axis=2)
    path = save(graph.output("detections", table, ["N", 3, 7]))
    said = {"range": "0..255", "resize": "keep_aspect"}
    check(load_detector(path, **said, head="efficientdet"), "keep_aspect")
    assert "set --cropdet-detector head=efficientdet" in refusal(path, **said)


def test_rows_of_seven_say_which_image_they_are_of(save: Save) -> None:
    graph = Graph()
    number = graph("NonZero", graph("Cast", graph("Greater", graph.part(graph.box, 0, 1), graph.constant(-1.0)), to=1))
    image = graph("Cast", graph("Transpose", graph.part(number, 0, 1, axis=0), perm=[1, 0]), to=1)
    rows = graph("Concat", image, graph.box, graph.category, graph.fixed([0.9]), axis=1)
    path = save(graph.output("output", rows, ["rows", 7]))
    detector = load_detector(path, **LIST)
    check(detector)
    assert detector.max_detections is None
    assert [len(found) for found in detector([paint((211, 157))[0]] * 3)] == [1, 1, 1]


SOFTMAX = np.log([[1e-6, 0.9, 0.05, 0.05], [1e-6, 0.1, 0.25, 0.65], [1e-6, 1e-6, 1e-6, 1.0]])
DETR = {"range": "0..1", "resize": "stretch", "mean": "0,0,0", "std": "1,1,1"}


@pytest.mark.parametrize("names", [("pred_logits", "pred_boxes"), ("logits", "pred_boxes")])
def test_the_last_column_of_a_detr_is_no_category(save: Save, names: tuple[str, str]) -> None:
    path = save(models.queries(Graph(), SOFTMAX, names))
    detector = load_detector(path, **DETR, activation="softmax", labels=LABELS)
    size = (211, 157)
    image, box = paint(size)
    found = detector([image])[0]
    assert away(found, box, size) < 1.5
    assert found.scores.tolist() == pytest.approx([0.9, 0.25], abs=1e-3)
    assert found.categories.tolist() == [1, 2]
    assert detector.categories == {0: "nothing", 1: "red", 2: "blue"}
    assert "its class scores are logits or probabilities" in refusal(path, **DETR, labels=LABELS)
    with_it = f"{LABELS},no object"
    assert load_detector(path, **DETR, activation="softmax", labels=with_it, first_category=0).categories == {
        0: "nothing",
        1: "red",
        2: "blue",
    }
    assert "has 3 categories" in refusal(path, **DETR, activation="softmax", first_category=0, labels="a,b,c,d,e")


def test_a_detr_whose_column_0_is_no_category_counts_from_1(save: Save) -> None:
    path = save(models.queries(Graph(), SOFTMAX, ("logits", "pred_boxes")))
    said = {**DETR, "activation": "softmax"}
    assert "set --cropdet-detector first_category=0|1" in refusal(path, **said)
    image, _ = paint((211, 157))
    assert load_detector(path, **said, first_category=1)([image])[0].categories.tolist() == [1, 2]
    assert load_detector(path, **said, first_category=0)([image])[0].categories.tolist() == [2, 3]
    assert load_detector(path, **said, labels="red,blue").categories == {1: "red", 2: "blue"}


def test_a_detr_that_takes_pixels_as_they_are_needs_no_mean(save: Save) -> None:
    path = save(models.queries(Graph(ends=(0, 255), dtype="uint8"), SOFTMAX, ("logits", "pred_boxes")))
    detector = load_detector(path, activation="softmax", labels=LABELS, resize="stretch")
    size = (211, 157)
    image, box = paint(size)
    assert away(detector([image])[0], box, size) < 1.5


def test_queries_with_sigmoid_have_no_such_column_and_each_score_counts(save: Save) -> None:
    logits = np.array([[-9.0, 2.0, -9.0], [-9.0, -1.0, 1.0], [-9.0, -9.0, -9.0]])
    path = save(models.queries(Graph(), logits, ("logits", "pred_boxes")))
    detector = load_detector(path, **DETR, activation="sigmoid", labels=LABELS)
    found = detector([paint((211, 157))[0]])[0]
    assert found.categories.tolist() == [1, 2, 1]
    assert found.scores.tolist() == pytest.approx(1 / (1 + np.exp(-np.array([2.0, 1.0, -1.0]))), abs=1e-6)
    assert found.capped
    assert detector.max_detections == 3


def test_an_activation_inside_the_file_is_seen_and_not_done_twice(save: Save) -> None:
    graph = Graph()
    graph.nodes.append(graph.helper.make_node("Softmax", [graph.fixed(SOFTMAX)], ["logits"], axis=-1))
    graph.outputs.append(graph.helper.make_tensor_value_info("logits", 1, ["N", 3, 4]))
    path = save(graph.output("pred_boxes", graph.boxes("cxcywh", True), ["N", 3, 4]))
    found = load_detector(path, **DETR, labels=LABELS)([paint((211, 157))[0]])[0]
    assert found.scores.tolist() == pytest.approx([0.9, 0.25], abs=1e-3)
    assert "a softmax is the last step inside" in refusal(path, **DETR, labels=LABELS, activation="softmax")


@pytest.mark.parametrize("background", ["first", "last"])
def test_a_column_for_the_background_is_found_by_the_number_of_the_first_category(save: Save, background: str) -> None:
    scores = np.array([[0.05, 0.9, 0.05], [0.7, 0.05, 0.25], [1.0, 0.0, 0.0]])  # background, red, blue
    scores = scores if background == "first" else scores[:, [1, 2, 0]]
    graph = Graph()
    graph.output("where", graph.boxes(), ["N", 3, 4])
    path = save(graph.output("how_sure", graph.fixed(scores), ["N", 3, 3]))
    said = {"outputs": "boxes:where,scores:how_sure", "boxes": "xyxy", "units": "input", "range": "0..1"}
    said |= {"resize": "stretch", "nms_iou": 0.5, "activation": "none"}
    assert "3 columns and 2 names are known" in refusal(path, **said, labels="red,blue")
    first = int(background == "first")
    detector = load_detector(path, **said, labels="red,blue", first_category=first)
    found = detector([paint((211, 157))[0]])[0]
    assert found.scores[:2].tolist() == pytest.approx([0.9, 0.25])
    assert [detector.categories[int(each)] for each in found.categories[:2]] == ["red", "blue"]
    assert found.scores.sum() == pytest.approx(0.9 + 0.05 + 0.05 + 0.25)  # nothing of the background
    assert "no names are known" in refusal(path, **said)


def test_the_names_of_the_object_detection_api_decide_everything_but_the_size(save: Save) -> None:
    graph = Graph(ends=(0, 255), shape=(1, "h", "w", 3), dtype="uint8", last=True)
    names = ("detection_boxes", "detection_scores", "detection_classes")
    models.detections(graph, "yxyx", True, scores=(0.9, 0.25, 0.2), kinds=("float32", "float32"), names=names)
    path = save(graph.output("num_detections", graph("Squeeze", graph.fixed([2.0]), graph.whole(1)), ["N"]))
    detector = load_detector(path)
    size = (211, 157)
    image, box = paint(size)
    found = detector([image])[0]
    assert away(found, box, (models.WIDTH, models.HEIGHT)) < 1e-3  # as it is, in its own pixels
    assert found.categories.tolist() == [RED, BLUE]
    assert (detector.description.resize, detector.batch) == ("inside", 1)
    assert "resize=letterbox" in refusal(path, resize="letterbox")


def test_an_image_without_an_axis_of_images_is_that_of_torchvision(save: Save) -> None:
    graph = Graph(shape=(3, "h", "w"))
    for name, tensor, shape, kind in (
        ("2345", graph.boxes(), [3, 4], "float32"),
        ("2346", graph.classes(first=1, padding=0), [3], "int64"),
        ("2347", graph.fixed([0.9, 0.25, 0.2]), [3], "float32"),
    ):
        graph.output(name, graph("Squeeze", tensor, graph.whole(0)), ["rows", *shape[1:]], kind)
    path = save(graph)
    said = {"boxes": "xyxy", "units": "pixels", "first_category": 1, "range": "0..1", "resize": "inside"}
    detector = load_detector(path, **said)
    for size in SIZES:
        images = [paint(size, colour)[0] for colour in ((255, 90, 0), (0, 90, 255))]
        for found, category in zip(detector(images), (RED, BLUE), strict=True):
            assert found.boxes[0] == pytest.approx(paint(size)[1], abs=1e-3)
            assert found.categories.tolist() == [category + 1, BLUE + 1]  # the row of the background is none
    assert detector.batch == 1
    for key in ("boxes", "units", "first_category"):
        assert "those of torchvision are xyxy, in pixels, from 1" in refusal(path, **said | {key: None})


def test_sizes_that_boxes_are_multiplied_with_are_one(save: Save) -> None:
    graph = Graph()
    graph.inputs.append(graph.helper.make_tensor_value_info("orig_target_sizes", 7, ["N", 2]))
    sizes = graph("Cast", "orig_target_sizes", to=1)
    twice = graph("Unsqueeze", graph("Concat", sizes, sizes, axis=1), graph.whole(1))
    graph.output("labels", graph.classes(), ["N", 3], "int64")
    graph.output("boxes", graph("Mul", graph.boxes("xyxy", True), twice), ["N", 3, 4])
    path = save(graph.output("scores", graph.fixed([0.9, 0.25, 0.0]), ["N", 3]))
    check(load_detector(path, boxes="xyxy", first_category=0, range="0..1", resize="letterbox"), "letterbox")


def test_a_mask_of_pixels_is_all_ones_and_borders_are_refused(save: Save) -> None:
    graph = models.detections(Graph())
    graph.inputs.append(graph.helper.make_tensor_value_info("pixel_mask", 7, ["N", 64, 64]))
    path = save(graph)
    check(load_detector(path, **LIST))
    assert "set --cropdet-detector resize=stretch" in refusal(path, **LIST | {"resize": "letterbox"})


def test_categories_and_scores_of_one_type_are_told_apart_by_the_user_alone(save: Save) -> None:
    names = ("bboxes", "confidences", "labels")
    path = save(models.detections(Graph(), kinds=("float32", "float32"), names=names))
    line = "outputs=boxes:bboxes,scores:confidences,classes:labels"
    assert f"set --cropdet-detector {line}" in refusal(path, **LIST)
    check(load_detector(path, **LIST, outputs=line.removeprefix("outputs=")))
    check(load_detector(path, **LIST, outputs="boxes:0,scores:1,classes:2"))
    assert "there is no output 'nope'" in refusal(path, **LIST, outputs="boxes:nope,scores:1,classes:2")
    assert "another output contains the scores" in refusal(path, **LIST, outputs="boxes:0,scores:2,classes:1")


# sizes and metadata


ULTRALYTICS = {
    "author": "Ultralytics",
    "task": "detect",
    "stride": "32",
    "imgsz": "[96, 128]",
    "names": "{0: 'nothing', 1: 'red', 2: 'blue'}",
}


def test_metadata_gives_names_and_size_and_the_conventions_of_its_exporter(save: Save) -> None:
    path = save(models.yolo(Graph(shape=("batch", 3, "height", "width"))), metadata=ULTRALYTICS)
    detector = load_detector(path, resize="letterbox", nms_iou=0.7)
    check(detector, "letterbox")
    assert detector.categories == {0: "nothing", 1: "red", 2: "blue"}
    assert detector.input_shape(500, 500) == (96, 128)
    assert (detector.description.range, detector.description.channels) == ("0..1", "rgb")
    assert "used at 128 x 96 pixels" in refusal(path, nms_iou=0.7)
    end2end = save(models.rows_of_six(Graph()), metadata={**ULTRALYTICS, "args": "{'nms': True}"})
    check(load_detector(end2end, resize="stretch"))


def test_metadata_is_never_run(save: Save, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    code = f"__import__('pathlib').Path({str(trap)!r}).touch()"
    metadata = {"names": f"{{0: {code}}}", "imgsz": code, "args": code, "end2end": "(" * 9000}
    path = save(models.yolo(Graph()), metadata=metadata)
    assert load_detector(path, **RAW, labels=LABELS, units="input").categories is not None
    assert not trap.exists()


def test_a_classifier_is_named_as_what_it_looks_like(save: Save) -> None:
    graph = Graph()
    path = save(graph.output("probabilities", graph("Concat", graph.box, graph.box, axis=1), ["N", 8]))
    said = refusal(path, range="0..1", resize="stretch")
    assert re.search(r"probabilities .*no boxes, as classifiers have; if it is a detector, write a function", said)


def test_a_model_for_another_task_is_refused_by_its_own_words(save: Save) -> None:
    path = save(models.yolo(Graph()), metadata={**ULTRALYTICS, "task": "obb"})
    assert "task='obb', a model without upright boxes" in refusal(path, resize="stretch", nms_iou=0.5)


def test_the_coefficients_of_masks_are_no_scores(save: Save) -> None:
    graph = models.yolo(Graph(), extra=4)
    prototypes = graph.fixed(np.zeros((4, 5, 5)))
    path = save(graph.output("output1", prototypes, ["N", 4, 5, 5]), metadata={**ULTRALYTICS, "task": "segment"})
    check(load_detector(path, resize="letterbox", nms_iou=0.7), "letterbox")


def test_without_a_size_only_a_model_that_resizes_can_be_read(save: Save) -> None:
    path = save(models.detections(Graph(shape=("N", 3, "h", "w"))))
    assert "set --cropdet-detector resize=inside" in refusal(path, **LIST | {"resize": None})
    assert "input_size=WIDTHxHEIGHT for one size" in refusal(path, **LIST | {"resize": "letterbox"})
    assert "(the model itself: inside; else with input_size=)" in refusal(path, **LIST | {"resize": None})
    detector = load_detector(path, **LIST | {"resize": "inside", "units": "pixels"})
    images = [paint(size)[0] for size in SIZES]
    assert [len(found) for found in detector(images)] == [2, 2, 2]
    assert not detector.adapter.fixed_input


def test_the_size_of_an_input_of_any_size_is_set_by_the_user(save: Save) -> None:
    path = save(models.detections(Graph(shape=("N", 3, "h", "w"))))
    detector = load_detector(path, **LIST, input_size="128x96")
    check(detector)
    assert detector.input_shape(999, 999) == (96, 128)
    assert "input_size=64x64 is not used" in refusal(path, **LIST | {"resize": "inside"}, input_size=64)
    fixed = save(models.detections(Graph()))
    assert "input_size=64x64 is not used" in refusal(fixed, **LIST, input_size=64)
    check(load_detector(fixed, **LIST, input_size="128x96"))


@pytest.mark.parametrize("limits", [{"max_side": 128, "pad": "max_side"}, {"max_side": 160, "pad": 32}])
def test_limits_of_the_sides_give_a_model_of_any_size_its_images(save: Save, limits: dict[str, Any]) -> None:
    path = save(models.detections(Graph(shape=("N", 3, "h", "w"))))
    said = LIST | {"resize": "letterbox", "fill": 40, **limits}
    detector = load_detector(path, **said)
    for size in SIZES:
        image, box = paint(size)
        scale = limits["max_side"] / max(size)
        assert np.abs(detector([image])[0].boxes[0] - box).max() * min(1, scale) < 1.5
    assert detector.adapter.fixed_input == (limits["pad"] == "max_side")
    assert "units=pixels: images are resized before" in refusal(path, **said | {"units": "pixels"})


@pytest.mark.parametrize("last", [True, False])
def test_with_every_side_open_the_first_convolution_shows_where_channels_are(save: Save, last: bool) -> None:
    def made(groups: int) -> Path:
        graph = Graph(shape=("a", "b", "c", "d"), last=last)
        models.detections(graph)
        image = graph("Transpose", "images", perm=[0, 3, 1, 2]) if last else "images"
        image = graph("Mul", image, graph.constant(2.0))
        seen = graph("Conv", image, graph.constant(np.zeros((3, 3 // groups, 1, 1))), group=groups)
        ordered = [graph.nodes.pop() for _ in range(3 if last else 2)]
        graph.nodes[:0] = ordered[::-1]
        return save(graph.output("seen", graph("ReduceMax", seen, axes=[1, 2, 3], keepdims=0), ["N"]))

    said = {**LIST, "resize": "inside", "outputs": "boxes:boxes,scores:scores,classes:labels"}
    image, box = paint((211, 157))
    found = load_detector(made(groups=1), **said)([image])[0]
    assert found.boxes[0] == pytest.approx(box)
    if not last:
        assert "which side is that of the 3 channels" in refusal(made(groups=3), **said)


@pytest.mark.parametrize("shape", [("N", 1, 96, 128), ("N", 3, 96, 128, 1), ("N", 96, 4)])
def test_an_input_that_is_no_image_is_shown(save: Save, shape: Any) -> None:
    helper = Graph().helper
    node = helper.make_node("Identity", ["images"], ["boxes"])
    ends = [helper.make_tensor_value_info(name, 1, shape) for name in ("images", "boxes")]
    graph = Graph()
    graph.nodes, graph.constants, graph.inputs, graph.outputs = [node], [], ends[:1], ends[1:]
    message = refusal(save(graph), **LIST)
    assert f"images float32 [{', '.join(map(str, shape))}]" in message
    assert "RGB images" in message


def test_an_option_of_another_kind_is_refused_by_name(save: Save) -> None:
    path = save(models.detections(Graph()))
    assert "an ONNX file has no signatures" in refusal(path, **LIST, signature="serving_default")
    assert "custom_objects=a:b is not used" in refusal(path, **LIST, custom_objects="a:b")
    assert "units=pixels" in refusal(path, **LIST | {"units": "pixels"})
    assert "resize=inside" in refusal(path, **LIST | {"resize": "inside"})
    assert "activation=softmax" in refusal(path, **LIST, activation="softmax")
    assert "head=yolo is not used: it says how one table is read" in refusal(path, **LIST, head="yolo")


class TestProvider:
    """What runs a file is the CPU unless the user names another, which must be there."""

    def test_it_is_the_cpu_if_not_given(self, save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
        assert used_providers(save(models.detections(Graph())), monkeypatch) == [["CPUExecutionProvider"]]

    def test_one_that_is_named_reaches_the_runtime_and_nothing_falls_back(
        self, save: Save, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import onnxruntime

        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["Made", "CPUExecutionProvider"])
        path = save(models.detections(Graph()))
        assert used_providers(path, monkeypatch, provider="Made") == [["Made"]]

    def test_one_that_is_not_installed_is_refused_with_those_that_are(self, save: Save) -> None:
        told = refusal(save(models.detections(Graph())), **LIST, provider="CUDAExecutionProvider")
        assert "provider=CUDAExecutionProvider: ONNX Runtime " in told
        assert "CPUExecutionProvider" in told
        assert "pip install onnxruntime-gpu" in told

    def test_it_is_part_of_the_cache_key_only_if_given(self, save: Save) -> None:
        path = save(models.detections(Graph()))
        plain, named = load_detector(path, **LIST), load_detector(path, **LIST, provider="CPUExecutionProvider")
        assert plain.fingerprint != named.fingerprint
        assert "provider" not in repr(Description(**LIST))

    def test_a_trial_in_a_process_of_its_own_leaves_it_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """GPUs are hidden from that process, so it would refuse what works here."""
        tasks = []

        def run(*_: Any, **how: Any) -> Any:
            tasks.append(json.loads(how["input"]))
            raise OSError

        monkeypatch.setattr(probe.subprocess, "run", run)
        probe._went_well("onnx", Path("a.onnx"), Description(provider="CUDAExecutionProvider", threads=2))
        assert tasks[0]["description"] == {"threads": 2}

    @pytest.mark.parametrize("kind", ["tflite", "keras", "frozen_graph"])
    def test_other_files_refuse_it(self, tmp_path: Path, kind: str) -> None:
        file = tmp_path / "model.any"
        file.write_bytes(b"1234TFL3")
        with pytest.raises(DetectorError, match="provider=X is not used: it chooses what runs an ONNX file"):
            load_detector(f"{kind}:{file}", provider="X")

    def test_the_version_of_a_build_for_gpus_counts_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def version(package: str) -> str:
            if package != "onnxruntime-gpu":
                raise PackageNotFoundError(package)
            return "9.9"

        monkeypatch.setattr(onnx, "version", version)
        assert onnx.runtime_version() == "9.9"


def used_providers(path: Path, monkeypatch: pytest.MonkeyPatch, **given: Any) -> list[list[str]]:
    """Return what sessions were asked to run on; they run on the CPU."""
    import onnxruntime

    real, asked = onnxruntime.InferenceSession, []

    def session(*args: Any, providers: list[str], enable_fallback: int) -> Any:
        asked.append(providers)
        assert enable_fallback == 0
        return real(*args, providers=["CPUExecutionProvider"], enable_fallback=0)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    load_detector(path, **LIST, **given).load()
    return asked
