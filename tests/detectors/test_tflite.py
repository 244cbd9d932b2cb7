"""TFLite files: known boxes are painted and come back, whatever the file's own way of taking and telling them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_cropdet import load_detector
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.detectors.adapters import tflite
from pytest_cropdet.detectors.anchors import read_anchors
from pytest_cropdet.detectors.handle import DetectorHandle
from pytest_cropdet.detectors.label_files import read_labels
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry.boxes import iou
from tests.detectors import tflite_models as models
from tests.detectors import yolo_models

pytestmark = [
    pytest.mark.tensorflow,  # where there is no smaller runtime
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*tf.lite.Interpreter:UserWarning"),
]

SIZES = ((211, 157), (97, 301), (640, 33), (61, 47))  # width, height; the input is 128 x 96
RESIZES = ("stretch", "letterbox", "keep_aspect")
Make = Callable[..., Path]


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Write a tiny model once, under its name."""
    folder = tmp_path_factory.mktemp("tflite")

    def made(name: str, serve: Callable[[Any], Any], **how: Any) -> Path:
        path = folder / f"{name}.tflite"
        return path if path.exists() else models.convert(serve, path, **how)

    return made


@pytest.fixture(scope="session")
def api(make: Make) -> Path:
    """A list under the names of the Object Detection API; float, 0 to 255."""
    return make("api", models.api_list((0.0, 255.0)))


def paint(size: tuple[int, int], colour: tuple[int, int, int] = (255, 90, 0)) -> tuple[np.ndarray, np.ndarray]:
    """Return a black picture with one rectangle at an uneven place, and its box."""
    width, height = size
    box = np.array([width // 7, height // 5, width - width // 3, height - height // 9])
    image = np.zeros((height, width, 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = colour
    return image, box.astype(float)


def open_api(path: Path, **more: Any) -> DetectorHandle:
    """Return a list under the API's names, whose names leave open what is said here."""
    return load_detector(path, **{"range": "0..255", "resize": "stretch", "first_category": 0, **more})


def away(found: Detections, box: np.ndarray, size: tuple[int, int], resize: str) -> float:
    """Return how far the first box is from the painted one, in pixels of the input or of the image, the larger ones."""
    scales = np.array([128 / size[0], 96 / size[1]])
    scales = scales if resize == "stretch" else np.full(2, scales.min())
    return float((np.abs(found.boxes[0] - box) * np.minimum(1, np.tile(scales, 2))).max())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("resize", RESIZES)
def test_a_painted_box_comes_back_however_the_image_gets_into_the_input(
    api: Path, size: tuple[int, int], resize: str
) -> None:
    image, box = paint(size)
    found = open_api(api, resize=resize)([image])[0]
    assert away(found, box, size, resize) < 1.5


def test_a_list_under_the_names_of_the_api_has_its_order_and_its_units(api: Path) -> None:
    detector = open_api(api, labels=models.LABELS)
    image, box = paint((211, 157))
    found = detector([image])[0]
    assert away(found, box, (211, 157), "stretch") < 1.5
    assert detector.categories == {0: "nothing", 1: "red", 2: "blue"}
    assert found.categories.tolist() == [models.RED, models.BLUE]
    assert found.scores.tolist() == pytest.approx([0.9, 0.25])
    for missing in ("range", "resize", "first_category"):
        with pytest.raises(DetectorError, match=f"--cropdet-detector {missing}="):
            open_api(api, **{missing: None}).load()


def test_where_the_background_is_counted_the_first_category_is_1(api: Path) -> None:
    image, _ = paint((64, 64))
    found = open_api(api, first_category=1)([image])[0]
    assert found.categories.tolist() == [models.RED, models.BLUE]
    assert open_api(api, first_category=1, labels="red,blue").categories == {1: "red", 2: "blue"}


def test_without_names_categories_count_from_1_as_those_of_a_data_set(api: Path) -> None:
    found = open_api(api)([paint((64, 64))[0]])[0]
    assert found.categories.tolist() == [models.RED + 1, models.BLUE + 1]


def test_rows_beyond_the_count_are_cut_and_boxes_outside_stay_outside(api: Path) -> None:
    detector = open_api(api)
    found = detector([paint((200, 100))[0]])[0]
    assert len(found) == 2
    assert not found.capped
    assert detector.max_detections == 4
    assert found.boxes[1] == pytest.approx([-0.05 * 200, -0.09 * 100, 1.2 * 200, 0.5 * 100], abs=1e-4)


QUANTISED = [(kind, name) for kind in ("uint8", "int8") for name in models.ENDS]


@pytest.mark.parametrize(("kind", "name"), QUANTISED)
def test_a_quantised_file_says_its_range_itself(make: Make, kind: str, name: str) -> None:
    serve = models.api_list(models.ENDS[name])
    path = make(f"{kind}_{name}", serve, quantise=(kind, models.ENDS[name]))
    image, box = paint((211, 157))
    detector = open_api(path, range=None)
    found = detector([image])[0]
    assert away(found, box, (211, 157), "stretch") < 1.5
    assert found.categories.tolist() == [models.RED + 1, models.BLUE + 1]
    assert found.scores.tolist() == pytest.approx([0.9, 0.25], abs=0.01)
    assert detector.description.range == ("0..255" if kind == "uint8" else name)


@pytest.mark.parametrize("name", models.ENDS)
def test_a_float_file_is_given_the_range_that_the_user_names(make: Make, name: str) -> None:
    path = make(f"float_{name}", models.api_list(models.ENDS[name]))
    image, box = paint((97, 301), (140, 140, 140))  # half as bright as any pixel: a wrong range loses it
    found = open_api(path, range=name)([image])[0]
    assert away(found, box, (97, 301), "stretch") < 1.5
    with pytest.raises(DetectorError, match=r"float32.*--cropdet-detector range=0\.\.255"):
        open_api(path, range=None).load()


def test_a_uint8_input_without_quantisation_takes_pixels(make: Make) -> None:
    path = make("plain_uint8", models.api_list((0.0, 255.0)), dtype="uint8")
    image, box = paint((211, 157))
    assert away(open_api(path, range=None)([image])[0], box, (211, 157), "stretch") < 1.5
    with pytest.raises(DetectorError, match="range="):
        open_api(path, range="-1..1").load()


def test_channels_are_turned_round_for_a_model_that_wants_bgr(api: Path) -> None:
    for colour, rgb, bgr in (((255, 90, 0), models.RED, models.BLUE), ((0, 90, 255), models.BLUE, models.RED)):
        image, _ = paint((64, 64), colour)
        for channels, wanted in (("rgb", rgb), ("bgr", bgr)):
            found = open_api(api, labels=models.LABELS, channels=channels)([image])[0]
            assert found.categories[0] == wanted


def test_outputs_under_other_names_are_asked_for_and_found_in_any_order(make: Make) -> None:
    path = make("shuffled", models.shuffled_list((0.0, 255.0)))
    given = {"range": "0..255", "resize": "stretch", "boxes": "yxyx", "units": "normalized"}
    with pytest.raises(DetectorError, match=r"alpha \[1, 4\].*outputs=boxes:NAME.*package\.module:factory"):
        load_detector(path, **given).load()
    named = "boxes:delta,classes:gamma,scores:alpha,count:beta"
    image, box = paint((211, 157))
    found = load_detector(path, outputs=named, **given)([image])[0]
    assert away(found, box, (211, 157), "stretch") < 1.5
    assert found.scores.tolist() == pytest.approx([0.9, 0.25])
    without_count = load_detector(path, outputs="boxes:delta,classes:gamma,scores:alpha", **given)
    assert len(without_count([image])[0]) == 4
    with pytest.raises(DetectorError, match=r"outputs=: .*'omega'.*alpha"):
        load_detector(path, outputs="boxes:omega", **given).load()
    with pytest.raises(DetectorError, match="boxes=xyxy"):
        load_detector(path, outputs=named, range="0..255", resize="stretch").load()
    swapped = load_detector(path, outputs="boxes:delta,classes:alpha,scores:gamma,count:beta", **given)
    with pytest.raises(DetectorError, match="outputs="):
        swapped([paint((211, 157), (0, 0, 255))[0]])


def test_the_operation_tells_its_outputs_apart_whatever_they_are_called(make: Make) -> None:
    path = make("postprocessed", models.postprocessed)
    image = np.zeros((50, 200, 3), np.uint8)
    image[:, 150:] = 255
    detector = load_detector(path, range="0..255", labels="left,right")
    assert detector.adapter.description.known() == {
        "boxes": "yxyx",
        "units": "normalized",
        "first_category": 0,
        "labels": "left,right",
        "channels": "rgb",
        "range": "0..255",
        "resize": "stretch",
        "batch": 1,
        "anchors": str(path),
    }
    right = detector([image])[0]
    assert right.boxes[0] == pytest.approx([125, 12.5, 175, 37.5], abs=0.01)
    assert right.categories.tolist() == [1]
    assert right.scores.tolist() == pytest.approx([0.8], abs=0.01)
    image[:, :50] = 255
    both = detector([image])[0]
    assert both.categories.tolist() == [0, 1]
    assert both.boxes[0] == pytest.approx([-20, -5, 100, 55], abs=0.01)  # over the border, as the file wrote it
    assert detector.max_detections == 10


@pytest.mark.parametrize("units", ["input", "normalized"])
@pytest.mark.parametrize("order", ["xyxy", "yxyx", "xywh", "cxcywh"])
def test_rows_of_decoded_boxes_are_read_in_every_order_and_unit(make: Make, order: str, units: str) -> None:
    path = make(f"rows_{order}_{units}", models.rows(order, units, (0.0, 255.0)))
    image, box = paint((211, 157), (0, 90, 255))
    given = {"range": "0..255", "resize": "letterbox", "boxes": order, "units": units}
    found = load_detector(path, **given)([image])[0]
    assert len(found) == 2  # the row that scores 0 is filling
    assert away(found, box, (211, 157), "letterbox") < 1.5
    assert found.scores.tolist() == pytest.approx([0.9, 0.6])
    assert len(load_detector(path, nms_iou=0.5, **given)([image])[0]) == 1


@pytest.mark.parametrize("missing", ["range", "resize", "boxes", "units"])
def test_what_rows_do_not_say_is_asked_by_name(make: Make, missing: str) -> None:
    path = make("rows_xyxy_input", models.rows("xyxy", "input", (0.0, 255.0)))
    given = {"range": "0..255", "resize": "stretch", "boxes": "xyxy", "units": "input"}
    del given[missing]
    with pytest.raises(DetectorError, match=f"--cropdet-detector {missing}="):
        load_detector(path, **given).load()


def test_pixels_that_are_taken_for_normalised_boxes_are_noticed(make: Make) -> None:
    path = make("rows_xyxy_input", models.rows("xyxy", "input", (0.0, 255.0)))
    detector = load_detector(path, range="0..255", resize="stretch", boxes="xyxy", units="normalized")
    with pytest.raises(DetectorError, match="units=input"):
        detector([paint((64, 64))[0]])


@pytest.fixture
def anchors(tmp_path: Path) -> str:
    path = tmp_path / "anchors.npy"
    np.save(path, models.ANCHORS)
    return str(path)


@pytest.mark.parametrize(
    ("columns", "ending", "more"),
    [
        (4, "softmax", {}),
        (3, "sigmoid", {}),
        (4, "sigmoid", {}),
        (3, "logits", {"activation": "sigmoid"}),
        (4, "softmax_logits", {"activation": "softmax"}),
    ],
)
def test_raw_heads_are_decoded_against_their_anchors_and_suppressed(
    make: Make, anchors: str, columns: int, ending: str, more: dict[str, str]
) -> None:
    path = make(f"raw_{columns}_{ending}", models.raw(columns, ending))
    given = {"range": "0..255", "resize": "keep_aspect", "anchors": anchors, "labels": models.LABELS, **more}
    if columns == 4:  # both heads are [1, 4, 4] then
        given["outputs"] = "boxes:encodings,scores:predictions"
    image, box = paint((211, 157), (0, 90, 255))
    detector = load_detector(path, nms_iou=0.5, **given)
    found = detector([image])[0]
    assert len(found) == 1
    assert away(found, box, (211, 157), "keep_aspect") < 1.5
    assert found.scores.tolist() == pytest.approx([0.9], abs=0.01)
    assert found.categories.tolist() == [models.BLUE]
    assert not found.capped
    assert detector.max_detections == 100
    pixels = Path(anchors)
    np.save(pixels, models.ANCHORS * [models.HEIGHT, models.WIDTH, models.HEIGHT, models.WIDTH])
    in_pixels = load_detector(path, nms_iou=0.5, units="input", **given)([image])[0]
    assert in_pixels.boxes == pytest.approx(found.boxes, abs=1e-3)
    np.save(pixels, models.ANCHORS)
    every = load_detector(path, nms_iou=1, **given)([image])[0]
    assert every.scores.tolist() == pytest.approx(sorted(models.SCORES, reverse=True), abs=0.01)


def test_what_raw_heads_do_not_say_is_asked_by_name(make: Make, anchors: str) -> None:
    path = make("raw_3_logits", models.raw(3, "logits"))
    given = {"range": "0..255", "resize": "stretch", "anchors": anchors, "labels": models.LABELS}
    given |= {"nms_iou": "0.5", "activation": "sigmoid"}
    for missing in ("resize", "anchors", "labels", "nms_iou", "activation"):
        rest = {key: value for key, value in given.items() if key != missing}
        with pytest.raises(DetectorError, match=f"--cropdet-detector {missing}="):
            load_detector(path, **rest).load()
    with pytest.raises(DetectorError, match=r"3 columns and 4 names.*labels="):
        load_detector(path, **{**given, "labels": "a,b,c,d"}).load()
    with pytest.raises(DetectorError, match=r"boxes=xyxy.*leave boxes= away"):
        load_detector(path, boxes="xyxy", **given).load()
    with pytest.raises(DetectorError, match=r"no probabilities.*activation=sigmoid"):
        load_detector(path, **{**given, "activation": "none"})([paint((64, 64))[0]])


def test_two_heads_of_one_shape_are_told_apart_by_the_user_alone(make: Make, anchors: str) -> None:
    path = make("raw_4_softmax", models.raw(4, "softmax"))
    given = {"range": "0..255", "resize": "stretch", "anchors": anchors, "labels": models.LABELS, "nms_iou": 0.5}
    with pytest.raises(DetectorError, match=r"either may be the boxes.*outputs=boxes:NAME,scores:NAME"):
        load_detector(path, **given).load()


@pytest.mark.parametrize("batch", [3, None])
def test_a_fixed_batch_is_filled_up_and_an_open_one_is_one_or_as_the_user_says(make: Make, batch: int | None) -> None:
    path = make(f"batch_{batch}", models.api_list((0.0, 255.0)), batch=batch)
    detector = open_api(path)
    pictures = [paint(size) for size in SIZES]
    assert detector.batch == (batch or 1)
    for (_, box), size, found in zip(pictures, SIZES, detector([image for image, _ in pictures]), strict=True):
        assert away(found, box, size, "stretch") < 1.5
        assert len(found) == 2
    if batch is not None:
        with pytest.raises(DetectorError, match="batch=4: the file takes 3 images per call"):
            open_api(path, batch=4).load()
        return
    four = open_api(path, batch=4)
    assert four.batch == 4
    for (_, box), size, found in zip(pictures[:3], SIZES, four([image for image, _ in pictures[:3]]), strict=False):
        assert away(found, box, size, "stretch") < 1.5


@pytest.mark.parametrize("batch", [1, 3])
def test_an_input_of_any_size_takes_images_as_they_are_or_in_the_size_that_the_user_gives(
    make: Make, batch: int
) -> None:
    path = make("any_size", yolo_models.of_any_size, shape=(None, None, None, 3))
    given = {"boxes": "xyxy", "units": "input", "range": "0..255", "batch": batch}
    with pytest.raises(DetectorError, match=r"any size: resize=inside .*--cropdet-detector input_size=WIDTHxHEIGHT"):
        load_detector(path, **given).load()
    with pytest.raises(DetectorError, match=r"any size: .*input_size=WIDTHxHEIGHT"):
        load_detector(path, resize="letterbox", **given).load()
    as_it_is = load_detector(path, resize="inside", **given)
    assert as_it_is.input_shape(211, 157) == (157, 211)
    assert load_detector(path, resize="inside", **{**given, "units": "pixels"}).input_shape(9, 8) == (8, 9)
    small = load_detector(path, resize="letterbox", input_size="128x96", **given)
    assert small.input_shape(211, 157) == (96, 128)
    pictures = [paint(size) for size in (*SIZES, SIZES[0])]
    for detector, resize in ((as_it_is, ""), (small, "letterbox")):
        answers = detector([image for image, _ in pictures])
        for (_, box), size, found in zip(pictures, (*SIZES, SIZES[0]), answers, strict=True):
            assert np.abs(found.boxes[0] - box).max() == 0 if not resize else away(found, box, size, resize) < 1.5


@pytest.mark.parametrize("text", ["nothing\nred\nblue\n", "???\nnothing\nred\nblue"])
def test_labels_travel_in_the_file_with_or_without_a_line_for_the_background(
    api: Path, tmp_path: Path, text: str
) -> None:
    path = with_files(api, tmp_path / "labelled.tflite", {"labelmap.txt": text, "notes.md": "no labels"})
    assert open_api(path).categories == {0: "nothing", 1: "red", 2: "blue"}
    given = open_api(path, labels="a,b,c")
    assert given.categories == {0: "a", 1: "b", 2: "c"}


def test_a_label_map_of_the_object_detection_api_counts_the_background(api: Path, tmp_path: Path) -> None:
    path = tmp_path / "map.pbtxt"
    path.write_text("item { id: 1 name: 'nothing' }\nitem { id: 2 name: 'red' }\nitem { id: 3 name: 'blue' }\n")
    detector = open_api(api, labels=str(path))
    assert detector.categories == {0: "nothing", 1: "red", 2: "blue"}


def test_of_several_texts_in_a_file_none_is_guessed(api: Path, tmp_path: Path) -> None:
    path = with_files(api, tmp_path / "many.tflite", {"labels_en.txt": "a", "labels_de.txt": "b"})
    with pytest.raises(DetectorError, match=r"labels_en\.txt, labels_de\.txt; set --cropdet-detector labels=FILE"):
        load_detector(path, range="0..255").load()
    assert open_api(path, labels="a,b,c").categories == {0: "a", 1: "b", 2: "c"}


@pytest.mark.parametrize(
    "text", ["left\nright\n", "background\nleft\nright", "???\nleft\nright\n\n", "\nleft\nright", "0  left\n1  right"]
)
def test_num_classes_of_the_operation_says_that_a_first_line_for_no_object_is_none(
    make: Make, tmp_path: Path, text: str
) -> None:
    path = make("postprocessed", models.postprocessed)
    inside = with_files(path, tmp_path / "labelled.tflite", {"labelmap.txt": text})
    given = tmp_path / "labels.txt"
    given.write_text(text, encoding="utf-8")
    for detector in (load_detector(inside, range="0..255"), load_detector(path, range="0..255", labels=str(given))):
        assert detector.categories == {0: "left", 1: "right"}


def test_a_first_line_that_the_operation_counts_is_counted(make: Make) -> None:
    path = make("postprocessed", models.postprocessed)
    assert load_detector(path, range="0..255", labels="background,cat").categories == {0: "background", 1: "cat"}
    assert load_detector(path, range="0..255", labels="???,cat").categories == {1: "cat"}
    assert load_detector(path, range="0..255", labels="cat,no object").categories == {0: "cat", 1: "no object"}
    assert load_detector(path, range="0..255", labels="cat", first_category=1).categories == {1: "cat"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"labels": "left"}, "it has 1 names, and the model has 2 categories"),
        ({"labels": "a,b,c"}, "it has 3 names, and the model has 2 categories"),
        ({"labels": "background,a,b,c"}, "it has 4 names, the first is 'background', and the model has 2 categories"),
        ({"labels": "a,b,c", "first_category": 1}, "it has 3 names, and the model has 1 categories"),
    ],
)
def test_names_that_do_not_fit_num_classes_are_refused_with_both_numbers(
    make: Make, more: dict[str, Any], said: str
) -> None:
    with pytest.raises(DetectorError, match=f"{said} .num_classes=2 of its TFLite_Detection_PostProcess"):
        load_detector(make("postprocessed", models.postprocessed), range="0..255", **more).load()


def test_a_label_map_with_numbers_beyond_num_classes_is_refused(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "map.pbtxt"
    path.write_text("item { id: 1 name: 'left' } item { id: 3 name: 'right' }", encoding="utf-8")
    with pytest.raises(DetectorError, match="numbers up to 3, and the model has 2 categories"):
        load_detector(make("postprocessed", models.postprocessed), range="0..255", labels=str(path)).load()


def test_without_a_proof_a_sure_detection_beyond_the_names_is_refused(api: Path) -> None:
    image = paint((64, 64), (0, 0, 255))[0]
    with pytest.raises(
        DetectorError, match=r"found category number 2 with a score of 0.90, and the names are of .*0 to 1"
    ):
        open_api(api, labels="nothing,red")([image])
    assert open_api(api, labels="nothing,red,???")([image])[0].categories[0] == models.BLUE


def test_metadata_beside_the_labels_is_not_taken_for_them(api: Path, tmp_path: Path) -> None:
    names = "{'task': 'detect', 'names': {0: 'nothing', 1: 'red', 2: 'blue'}}"
    beside = with_files(api, tmp_path / "a.tflite", {"labels.txt": "a\nb\nc", "labels_metadata.txt": "{'x': 1}"})
    assert open_api(beside).categories == {0: "a", 1: "b", 2: "c"}
    twice = with_files(api, tmp_path / "b.tflite", {"labels.txt": "a\nb\nc", "labels_copy.txt": "a\nb\nc"})
    assert open_api(twice).categories == {0: "a", 1: "b", 2: "c"}
    named = with_files(api, tmp_path / "c.tflite", {"temp_meta.txt": names})
    assert open_api(named).categories == {0: "nothing", 1: "red", 2: "blue"}
    nameless = with_files(api, tmp_path / "d.tflite", {"temp_meta.txt": "{'stride': 32}"})
    assert open_api(nameless).categories is None


def test_anchors_among_the_outputs_are_not_asked_of_the_user(make: Make, anchors: str) -> None:
    def with_anchors(picture: Any) -> dict[str, Any]:
        constant = models.tensorflow().constant(models.ANCHORS, "float32")
        return {**models.raw(3, "sigmoid")(picture), "anchors": constant}

    path = make("raw_with_anchors", with_anchors)
    given = {"range": "0..255", "resize": "stretch", "labels": models.LABELS, "nms_iou": 0.5}
    image, box = paint((211, 157))
    inside = load_detector(path, **given)([image])[0]
    assert away(inside, box, (211, 157), "stretch") < 1.5
    beside = load_detector(path, anchors=anchors, **given)([image])[0]
    assert inside.boxes == pytest.approx(beside.boxes, abs=1e-4)


def test_no_anchors_are_offered_to_a_model_that_needs_them_and_none_is_refused(make: Make, anchors: str) -> None:
    path = make("raw_3_sigmoid", models.raw(3, "sigmoid"))
    given = {"range": "0..255", "resize": "stretch", "labels": models.LABELS, "nms_iou": 0.5}
    with pytest.raises(DetectorError, match=r"which need their anchors; set --cropdet-detector anchors=FILE$"):
        load_detector(path, **given).load()
    with pytest.raises(DetectorError, match=r"anchors=none: .*raw heads.*set --cropdet-detector anchors=FILE$"):
        load_detector(path, anchors="none", **given).load()


def test_an_option_that_a_file_does_not_use_is_refused_by_name(make: Make, api: Path, anchors: str) -> None:
    with pytest.raises(DetectorError, match="activation=sigmoid is not used: its scores are those of a list"):
        open_api(api, activation="sigmoid").load()
    rows = make("rows_xyxy_normalized", models.rows("xyxy", "normalized", (0.0, 255.0)))
    given = {"range": "0..255", "resize": "stretch"}
    with pytest.raises(DetectorError, match="activation=softmax is not used: its output is rows"):
        load_detector(rows, boxes="xyxy", units="normalized", activation="softmax", **given).load()
    raw = make("raw_3_sigmoid", models.raw(3, "sigmoid"))
    given |= {"anchors": anchors, "labels": models.LABELS, "nms_iou": "0.5"}
    with pytest.raises(DetectorError, match="activation=sigmoid: a sigmoid is the last step inside the file"):
        load_detector(raw, activation="sigmoid", **given).load()
    with pytest.raises(DetectorError, match=r"its outputs are .*Known are"):
        load_detector(raw, outputs="count:predictions", **given).load()


def test_threads_reach_the_runtime(api: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    runtime = tflite._runtimes()[0]()

    def interpreter(**how: Any) -> Any:
        given.append(how.get("num_threads"))
        return runtime(**how)

    monkeypatch.setattr(tflite, "_runtimes", lambda: [lambda: interpreter])
    open_api(api, threads=2).load()
    open_api(api).load()
    assert given == [2, None]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_a_pointer_in_place_of_a_file_is_named(api: Path, tmp_path: Path) -> None:
    pipe, pointer = tmp_path / "pipe.tflite", tmp_path / "pointer.tflite"
    os.mkfifo(pipe)
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", encoding="utf-8")
    with pytest.raises(DetectorError, match=r"cannot read the model .*pipe\.tflite: it is a named pipe"):
        load_detector(pipe)
    with pytest.raises(DetectorError, match=r"pointer\.tflite is a Git LFS pointer.*git lfs pull"):
        load_detector(pointer)
    for name, read in (("labels.txt", lambda path: read_labels(path, 1)), ("anchors.npy", read_anchors)):
        path = tmp_path / name
        path.write_bytes(pointer.read_bytes())
        with pytest.raises(DetectorError, match=rf"{name} is a Git LFS pointer.*git lfs pull"):
            read(str(path))
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(DetectorError, match=rf"{name}: it is a named pipe"):
            read(str(path))


def with_files(model: Path, path: Path, texts: dict[str, str]) -> Path:
    path.write_bytes(model.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return path


def test_preparing_leaves_the_interpreter_alone_and_threads_do_not_disturb_one_another(api: Path) -> None:
    detector = open_api(api, resize="letterbox")
    adapter: Any = detector.adapter
    images = [paint((40 + 7 * k, 90 - 3 * k))[0] for k in range(24)]
    wanted = [adapter.prepare(image) for image in images]
    idle, adapter._idle = adapter._idle, None
    with ThreadPoolExecutor(8) as pool:
        prepared = list(pool.map(adapter.prepare, images))
    for one, other in zip(wanted, prepared, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert one.frame == other.frame
    adapter._idle = idle
    assert len(detector([images[0]])[0]) == 2


def test_what_contradicts_an_input_of_one_size_is_refused_by_name(api: Path) -> None:
    for option, value in (("resize", "inside"), ("units", "pixels"), ("batch", 2)):
        with pytest.raises(DetectorError, match=f"{option}={value}"):
            open_api(api, **{option: value}).load()


def test_a_file_that_is_no_tflite_file_is_refused_before_anything_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"not a model")
    with pytest.raises(DetectorError, match="not a TFLite file"):
        load_detector(path)
    with pytest.raises(DetectorError, match="not a TFLite file"):
        load_detector(f"tflite:{tmp_path}")


def test_a_file_with_an_operation_that_no_runtime_has_is_refused_with_its_name(make: Make) -> None:
    path = make("custom", models.with_unknown_operation)
    with pytest.raises(DetectorError, match=r"cannot be loaded: .*Betainc"):
        load_detector(path, range="0..255").load()


@pytest.mark.subprocess
def test_naming_a_file_imports_no_framework(api: Path) -> None:
    program = (
        "import sys; from pytest_cropdet import load_detector; "
        f"load_detector({str(api)!r}); "
        "sys.exit(bool({'tensorflow', 'ai_edge_litert'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_without_a_runtime_the_line_that_installs_one_is_named(api: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DetectorError, match=r"pip install 'pytest-cropdet\[tflite\]'"):
        open_api(api).load()


def test_a_file_that_the_first_runtime_cannot_load_is_given_to_the_next(
    api: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_another() -> Any:
        raise RuntimeError("Regular TensorFlow ops are not supported")

    (*_, last) = tflite._runtimes()
    monkeypatch.setattr(tflite, "_runtimes", lambda: [of_another, last])
    assert len(open_api(api)([paint((64, 64))[0]])[0]) == 2
    monkeypatch.setattr(tflite, "_runtimes", lambda: [of_another])
    with pytest.raises(DetectorError, match="cannot be loaded: Regular TensorFlow ops"):
        open_api(api).load()


def test_other_anchors_are_another_detector(api: Path, anchors: str) -> None:
    before = load_detector(api, anchors=anchors).fingerprint
    assert load_detector(api, anchors=anchors).fingerprint == before
    np.save(anchors, models.ANCHORS + 0.01)
    assert load_detector(api, anchors=anchors).fingerprint != before


CENTERNET: dict[str, Any] = {
    "boxes": "xyxy",
    "units": "input",
    "first_category": 0,
    "range": "0..255",
    "resize": "stretch",
    "nms_iou": 0.5,
}


def test_a_quantised_ssd_with_labels_inside_runs_on_photographs(assets: Path) -> None:
    from pytest_cropdet import load_dataset
    from pytest_cropdet.data.categories import reconcile
    from pytest_cropdet.data.cropping import crop_detections
    from pytest_cropdet.geometry.crop import Crop

    dataset = load_dataset(assets / "data" / "coco-open-dev")
    (path,) = (assets / "models" / "ssd_mobilenet_v1_coco").glob("*.tflite")
    detector = load_detector(path)
    samples = list(dataset)[:12]
    found = [detector([sample.image()])[0] for sample in samples]
    assert {each.capped for each in found} == {True}
    assert {len(each) for each in found} == {10}
    mapped = reconcile(detector.categories, dataset.categories, dataset.categories)
    assert mapped.by == "name"
    best = [mapped.translate(each) for each in found]
    right = [
        set(sample.truth.categories) & set(each.categories[:3]) for sample, each in zip(samples, best, strict=True)
    ]
    assert sum(map(bool, right)) >= 8
    outside = 0
    for sample, each in zip(samples, found, strict=True):
        size = np.array([sample.width, sample.height] * 2)
        outside += int(((each.boxes < 0) | (each.boxes > size)).any(axis=1).sum())
        clipped = crop_detections(each, Crop(0, 0, sample.width, sample.height)).detections.boxes
        assert (clipped >= 0).all()
        assert (clipped <= size).all()
    assert outside > 0


@pytest.mark.usefixtures("needs_tensorflow")
def test_one_network_answers_the_same_as_a_saved_model_and_as_rows_in_tflite(assets: Path) -> None:
    from pytest_cropdet import load_dataset

    names = [name for name in (assets / "models" / "coco90_labelmap.txt").read_text().split("\n") if name]
    folder = assets / "models" / "centernet_coco"
    rows = load_detector(
        folder / "centernet_float32.tflite", labels=",".join(name for name in names if name != "???"), **CENTERNET
    )
    whole = load_detector(folder / "saved_model", labels=str(assets / "models" / "coco90_labelmap.txt"))
    checked = 0
    for sample in list(load_dataset(assets / "data" / "coco-open-dev"))[:10]:
        one, other = whole([sample.image()])[0], rows([sample.image()])[0]
        for box, score, category in zip(one.boxes, one.scores, one.categories, strict=True):
            if score > 0.3:
                assert whole.categories is not None
                assert rows.categories is not None
                same = [rows.categories[int(key)] == whole.categories[int(category)] for key in other.categories]
                overlap = iou(box[None], other.boxes)[0] * same
                assert overlap.max() > 0.9
                assert abs(other.scores[overlap.argmax()] - score) < 0.15
                checked += 1
    assert checked >= 10
