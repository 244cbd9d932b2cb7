"""``inspect MODEL``: what a model is read as, which values fit, what is declared wrongly, what cannot be told."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest

from tests.painted_model import RIGHT, write_pictures

OTHER = {
    "boxes": "xyxy",
    "units": "input",
    "range": "0..255",
    "first_category": "1",
    "channels": "rgb",
    "resize": "stretch",
}
SET = [f"  --cropdet-detector={key}={value}" for key, value in RIGHT.items()]


def described(**changes):
    return [f"--detector={key}={value}" for key, value in {**RIGHT, **changes}.items()]


def lines_after(out: str, start: str) -> list[str]:
    lines = out.splitlines()
    return lines[lines.index(start) + 1 :]


def test_every_open_convention_is_named_at_once_and_measured(run, model, pictures):
    said = run("inspect", model(), "--data", pictures)
    assert said.code == 1
    assert sorted(lines_after(said.out, "Set:")[:6]) == sorted(SET)
    assert "Cannot decide" not in said.out
    assert "Still to be set" not in said.out


def test_the_lines_to_set_can_be_pasted_to_the_command_and_then_all_is_well(run, model, pictures):
    spec = model()
    lines = lines_after(run("inspect", spec, "--data", pictures).out, "Set:")[:6]
    said = run("inspect", spec, f"--cropdet-data={pictures}", *[line.strip() for line in lines])
    assert said.code == 0
    assert said.out.endswith("All is well: the conventions fit the annotated objects, and nothing is open.\n")


@pytest.mark.parametrize("key", RIGHT)
def test_a_convention_that_is_declared_wrongly_is_said_with_numbers_and_the_line_that_fixes_it(
    run, model, pictures, key
):
    said = run("inspect", model(), "--data", pictures, *described(**{key: OTHER[key]}))
    assert said.code == 1
    (wrong,) = [line for line in said.out.splitlines() if line.startswith("WRONG: ")]
    assert wrong.startswith(f"WRONG: {key}={OTHER[key]} matches ")
    assert f"{key}={RIGHT[key]} matches 72" in wrong
    assert lines_after(said.out, "Set:") == [f"  --cropdet-detector={key}={RIGHT[key]}"]
    assert f" {key} {OTHER[key]} you said (measured to be wrong, see below) " in " ".join(said.out.split())


def test_two_conventions_that_are_declared_wrongly_are_both_said(run, model, pictures):
    said = run("inspect", model(), "--data", pictures, *described(boxes="xywh", units="input", channels="rgb"))
    assert sorted(lines_after(said.out, "Set:")) == sorted(
        [f"  --cropdet-detector={key}={RIGHT[key]}" for key in ("boxes", "units", "channels")]
    )


def test_a_wrong_order_is_said_though_the_range_is_open_too(run, model, pictures):
    given = ["--detector=boxes=xywh", "--detector=units=normalized"]
    said = run("inspect", model(), "--data", pictures, *given)
    assert "WRONG: boxes=xywh matches 0 of 72" in said.out
    assert {"  --cropdet-detector=boxes=yxyx", "  --cropdet-detector=range=0..1"} <= {*lines_after(said.out, "Set:")}


def test_outputs_that_a_model_proposes_are_set_once_they_find_objects(run, model, pictures, monkeypatch):
    from pytest_cropdet.detectors.adapters import painted  # the kind that the test registers
    from pytest_cropdet.errors import DetectorError

    plain = painted.load

    def load(path, description):
        if description.outputs is None:
            raise DetectorError("odd names; if these are a list, set --cropdet-detector outputs=boxes:b,scores:s")
        return plain(path, description)

    monkeypatch.setattr(painted, "load", load)
    said = run("inspect", model(), "--data", pictures, *described())
    assert lines_after(said.out, "Set:") == ["  --cropdet-detector=outputs=boxes:b,scores:s"]
    blind = run("inspect", model(blind=True), "--data", pictures, *described())
    assert "Set:" not in blind.out


def test_data_without_objects_measures_nothing(run, model, tmp_path):
    path = write_pictures(tmp_path / "shapes")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "annotations": []}))
    said = run("inspect", model(), "--data", path, *described())
    assert "The data has no annotated objects, so nothing can be measured" in said.out
    assert said.code == 0
    said = run("inspect", model(), "--data", path)
    assert "  --cropdet-detector=range=0..255|0..1|-1..1   (used here: 0..255, not measured)" in said.out
    assert said.code == 1


def test_of_a_detector_that_finds_nothing_nothing_can_be_told(run, model, pictures):
    said = run("inspect", model(blind=True), "--data", pictures)
    assert said.code == 1
    assert "Cannot decide: whatever the conventions are, the detector does not find the annotated objects" in said.out
    assert "Set:" not in said.out
    assert "<- best" not in said.out
    assert "  --cropdet-detector=range=0..255|0..1|-1..1" in lines_after(said.out, "Still to be set:")


def test_values_that_give_the_same_answers_are_not_chosen_from(run, model, tmp_path):
    square = write_pictures(tmp_path / "square", size=(64, 64))
    open_resize = [each for each in described() if "resize" not in each]
    said = run("inspect", model(resize="stretch"), "--data", square, *open_resize)
    assert said.code == 1
    assert "Cannot decide resize: stretch, letterbox and keep_aspect give the same answers on these images" in said.out
    assert "Set:" not in said.out
    assert lines_after(said.out, "Still to be set:") == ["  --cropdet-detector=resize=stretch|letterbox|keep_aspect"]


def test_few_images_decide_nothing(run, model, tmp_path):
    few = write_pictures(tmp_path / "few", images=5)
    said = run("inspect", model(), "--data", few)
    assert "Cannot decide resize: no value is clearly the best" in said.out
    assert "(8 images are needed)" in said.out
    assert "Set:" not in said.out


def test_what_the_model_is_taken_for_and_where_each_convention_comes_from(run, model):
    said = run("inspect", model(says={"units": "normalized"}), "--detector=resize=letterbox")
    words = " ".join(said.out.split())
    assert "kind: painted (a painted model; as you said)" in words
    assert "units normalized the file says (names or operations of its outputs)" in words
    assert "resize letterbox you said" in words
    assert "range 0..255|0..1|-1..1 open the file does not say range" in words
    assert said.out.endswith("\nTo measure which values are right, add --data=ANNOTATED_DATA\n")
    assert said.code == 1


def test_nothing_open_is_said_without_data(run, model):
    said = run("inspect", model(), *described())
    assert said.code == 0
    assert said.out.endswith("Nothing is open. To check the conventions against annotated objects, add --data=PATH\n")


def test_a_model_that_cannot_be_loaded_is_said_with_its_reason(run, model, pictures):
    said = run("inspect", model(broken=True), "--data", pictures)
    assert said.code == 1
    assert "it is broken" in said.out


def test_ap_of_whole_images_is_that_of_the_best_values_and_of_the_declared_ones(run, model, tmp_path):
    many = write_pictures(tmp_path / "many", images=40)
    said = run("inspect", model(), "--data", many, *described(channels="rgb"))
    found = [float(number) for number in re.findall(r"mAP (0\.\d{3})", said.out)]
    right, declared, every = found
    assert "as it was declared: mAP " in said.out
    assert "on all 40 images: compare it with the number that you know from training" in said.out
    assert declared < 0.5 < 0.85 < min(right, every)


def test_the_picture_shows_four_images_with_objects_and_detections(run, model, pictures, tmp_path):
    said = run("inspect", model(), "--data", pictures, "-o", tmp_path / "out")
    path = tmp_path / "out" / "net-detections.png"
    assert f"Picture: {path}" in said.out
    sheet = cv2.imread(str(path))[:, :, ::-1]
    green = (sheet == (0, 158, 115)).all(axis=2)
    orange = (sheet == (213, 94, 0)).all(axis=2)
    high, wide = sheet.shape[0] // 2, sheet.shape[1] // 2
    for rows in (slice(0, high), slice(high, None)):
        for columns in (slice(0, wide), slice(wide, None)):
            assert green[rows, columns].sum() > 100
            assert orange[rows, columns].sum() > 100


def test_an_image_is_shown_to_the_model_and_drawn(run, model, pictures, tmp_path):
    image = pictures.parent / "images" / "000.png"
    said = run("inspect", model(), "--image", image, *described())
    assert said.code == 0
    assert f"{image}: 3 detections, the strongest first:" in said.out
    assert {line.split()[1] for line in said.out.splitlines() if line.startswith("  0.")} == {"red", "green", "blue"}
    assert (tmp_path / ".cropdet" / "inspect" / "net-000.png").is_file()


def test_an_image_without_conventions_is_said_to_be_read_perhaps_wrongly(run, model, pictures):
    said = run("inspect", model(), "--image", pictures.parent / "images" / "000.png")
    assert said.code == 1
    assert "The image is read with values that are still open" in said.out
    assert "  --cropdet-detector=range=0..255|0..1|-1..1   (used here: 0..255, not measured)" in said.out


def test_no_further_measurement_begins_after_the_time_that_was_given(run, model, pictures):
    said = run("inspect", model(), "--data", pictures, "--seconds", "1e-9")
    assert said.code == 1
    assert "because the time was over" in said.out
    assert "Set:" not in said.out
    known = run("inspect", model(), "--data", pictures, "--seconds", "1e-9", *described())
    assert known.code == 1
    assert re.search(r"^\d+ values were not measured, because the time was over: ", known.out, flags=re.MULTILINE)
    assert "All is well" not in known.out


# Functions


FUNCTIONS = """
import numpy as np
from pytest_cropdet import Detections

def answer(images, order, swap=False):
    found = []
    for image in images:
        image = image[:, :, ::-1] if swap else image
        boxes, kinds = [], []
        for channel in range(3):
            others = [each for each in range(3) if each != channel]
            y, x = np.nonzero((image[:, :, channel] > 150) & (image[:, :, others] < 120).all(axis=2))
            if x.size:
                boxes.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
                kinds.append(channel + 1)
        boxes = np.array(boxes, float).reshape(-1, 4)[:, order]
        low, high = boxes[:, :2], boxes[:, 2:]
        boxes = np.hstack([np.minimum(low, high), np.maximum(low, high)])
        found.append(Detections(boxes, np.linspace(0.9, 0.8, len(boxes)), kinds))
    return found

def good():
    return lambda images: answer(images, [0, 1, 2, 3])

def swapped_axes():
    return lambda images: answer(images, [1, 0, 3, 2])

def expects_bgr():
    return lambda images: answer(images, [0, 1, 2, 3], swap=True)
"""


@pytest.fixture
def functions(tmp_path, monkeypatch):
    (tmp_path / "painted_functions.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "painted_functions"


def test_a_function_that_answers_rightly_is_well(run, functions, pictures):
    said = run("inspect", f"{functions}:good", "--data", pictures)
    assert "kind: a function of your own" in said.out
    assert "as it answers           72 of 72 objects matched" in said.out
    assert said.code == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("swapped_axes", "x0 y0 x1 y1 was expected, but y0 x0 y1 x1 is returned"),
        ("expects_bgr", "the function is given RGB and expects BGR; use image[:, :, ::-1] in it"),
    ],
)
def test_what_a_function_does_wrongly_is_said(run, functions, pictures, name, text):
    said = run("inspect", f"{functions}:{name}", "--data", pictures)
    assert said.code == 1
    assert text in said.out


def test_a_served_model_is_no_function_whether_its_server_answers_or_not(run):
    said = run("inspect", "kserve:http://127.0.0.1:9/v2/models/x", "--detector", "timeout=2")
    assert "kind: kserve (the URL of a model in KServe's v2, the Open Inference Protocol)" in said.out
    assert said.code == 1


def test_the_sheet_names_what_was_not_found():
    from pytest_cropdet.commands.pictures import found_tile
    from pytest_cropdet.data import Detections, GroundTruth, Sample

    truth = GroundTruth([[0, 0, 20, 20], [40, 0, 60, 20]], [1, 2])
    sample = Sample("a.png", 80, 40, truth, lambda: np.zeros((40, 80, 3), np.uint8))
    found = Detections([[0, 0, 20, 19], [41, 0, 60, 20]], [0.9, 0.2], [1, 2])
    tile = found_tile(sample.image(), sample, found, {1: "cat", 2: "dog"}, 0.5, "a.png")
    assert [(mark.meaning, mark.label) for mark in tile.boxes] == [
        ("found", "cat 0.90"),
        ("truth", ""),
        ("missed", "dog"),
    ]
    assert tile.caption == "a.png: 1 detection, 1 of 2 objects found"


def test_a_served_model_shows_its_protocol_inputs_outputs_and_version(run):
    pytest.importorskip("httpx")
    pytest.importorskip("stamina")
    from tests.detectors.serving import Served, serve

    with serve(Served()) as served:
        said = run("inspect", f"tfserving:{served.url}/v1/models/ssd")
    assert said.code == 0
    assert "  kind: tfserving (the URL of a model behind TensorFlow Serving)\n" in said.out
    assert "  input: input_tensor  uint8 [N, N, N, 3]\n" in said.out
    assert "  output: detection_boxes  float32 [N, " in said.out
    assert f"  metadata: version {served.versions[-1]} on the server\n" in said.out
    assert " boxes           yxyx " in said.out
