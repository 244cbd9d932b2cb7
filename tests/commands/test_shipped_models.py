"""``inspect`` on the shipped detectors, and on real ones where there are any: the right line, and every mistake."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("needs_tensorflow")

FIXTURES = Path(__file__).parents[2] / "fixtures"
MODELS, SCENES = FIXTURES / "models", FIXTURES / "scenes"
SAME = "stretch, letterbox and keep_aspect give the same answers on these images"  # which all have the input's size


def some_of(data: Path, images: Path, folder: Path, count: int) -> list[str]:
    """The options for the first ``count`` annotated images of a COCO JSON."""
    content = json.loads(data.read_text())
    annotated = {each["image_id"] for each in content["annotations"]}
    content["images"] = [each for each in content["images"] if each["id"] in annotated][:count]
    kept = {each["id"] for each in content["images"]}
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] in kept]
    (folder / "some.json").write_text(json.dumps(content))
    return [f"--data={folder / 'some.json'}", f"--images={images}"]


@pytest.fixture(scope="module")
def some_scenes(tmp_path_factory):
    return some_of(SCENES / "instances.json", SCENES / "images", tmp_path_factory.mktemp("scenes"), 10)


def to_set(out: str) -> list[str]:
    lines = out.splitlines()
    if "Set:" not in lines:
        return []
    after = lines[lines.index("Set:") + 1 :]
    return [line.strip().removeprefix("--cropdet-detector=") for line in after if line.startswith("  --cropdet-")]


def whole_image_map(out: str) -> float:
    return float(out.partition(" on all 240 images")[0].rpartition("mAP ")[2].partition(",")[0])


def test_the_file_with_suppression_inside_lacks_the_range_alone(run):
    said = run("inspect", MODELS / "ssd_nms.tflite", "--data", SCENES)
    assert to_set(said.out) == ["range=0..255"]
    assert "Cannot decide" not in said.out
    assert whole_image_map(said.out) == pytest.approx(0.642, abs=0.001)  # fixtures/README.md
    assert "input: image  float32 [1, 240, 320, 3]" in said.out
    assert "output: detection_boxes  float32 [1, 100, 4]" in said.out


def test_the_raw_file_with_its_anchors_gets_range_and_the_names_of_the_data(run, some_scenes):
    anchors = f"--detector=anchors={MODELS / 'ssd_anchors.npy'}"
    said = run("inspect", MODELS / "ssd_raw.tflite", *some_scenes, anchors)
    names = "balloon,parasail,beehive,crate,house,tree,car,sailboat"
    assert to_set(said.out)[:2] == [f"labels={names}", "range=0..255"]
    assert f"Cannot decide resize: {SAME}" in said.out
    rows = re.findall(r"^    (0\.\d+) +\d+ of \d+ objects matched, mean score .*, precision (0\.\d+)", said.out, re.M)
    values = {float(value): float(precision) for value, precision in rows}
    assert set(values) == {0.45, 0.5, 0.6, 0.65, 0.7}
    assert values[0.5] > values[0.7] > 0.5  # more duplicates


def test_the_raw_file_without_anchors_names_the_line(run):
    said = run("inspect", MODELS / "ssd_raw.tflite")
    assert said.code == 1
    assert said.out.endswith("Still to be set:\n  --cropdet-detector=anchors=FILE\n")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("range=0..1", "range=0..255"),
        ("channels=bgr", "channels=rgb"),
        ("boxes=xyxy", "boxes=yxyx"),
        ("units=input", "units=normalized"),
        ("first_category=1", "first_category=0"),
    ],
)
def test_each_mistake_is_said_of_the_shipped_file(run, some_scenes, wrong, right):
    given = ["--detector=range=0..255", f"--detector={wrong}"]
    said = run("inspect", MODELS / "ssd_nms.tflite", *some_scenes, *given)
    assert f"WRONG: {wrong} matches " in said.out
    assert to_set(said.out) == [right]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("saved_model", 0), ("saved_model_float", 1)])
def test_the_saved_models_lack_the_resize_where_they_do_not_do_it(run, some_scenes, name, code):
    said = run("inspect", MODELS / name, *some_scenes)
    assert said.code == code
    assert (f"Cannot decide resize: {SAME}" in said.out) == (name == "saved_model_float")
    assert "Set:" not in said.out


def shown_on_the_page(command: str) -> str:
    """What a page's block shows below a command."""
    page = (FIXTURES.parent / "docs" / "inspect.md").read_text(encoding="utf-8")
    return page.partition(f"$ pytest-cropdet {command}\n")[2].partition("\n```")[0]


@pytest.mark.parametrize(
    "command",
    [
        "inspect fixtures/models/ssd_nms.tflite --data fixtures/scenes --detector boxes=xyxy",
        "inspect --data fixtures/scenes",
    ],
)
def test_the_page_shows_what_the_command_prints(run, tmp_path, command):
    (tmp_path / "fixtures").symlink_to(FIXTURES)
    assert run(*command.split()).out.rstrip() == shown_on_the_page(command)


# Real detectors and photographs


CENTERNET = ["boxes=xyxy", "units=input", "range=0..255"]


@pytest.mark.slow
def test_of_a_real_raw_file_order_units_and_range_are_found_and_the_resize_is_too_close(run, assets, tmp_path):
    names = [line for line in (assets / "models" / "coco80.names").read_text().splitlines() if line]
    model = assets / "models" / "centernet_coco" / "centernet_float32.tflite"
    folder = assets / "data" / "coco-open-dev"
    some = some_of(folder / "annotations.json", folder / "images", tmp_path, 12)
    said = run("inspect", model, *some, f"--detector=labels={','.join(names)}")
    assert [each for each in to_set(said.out) if not each.startswith("resize")] == CENTERNET
    assert "Cannot decide resize: no value is clearly the best" in said.out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("said_of_it", "line"),
    [([], None), (["resize=letterbox"], "resize=stretch")],
)
def test_a_real_file_of_the_api_is_read_rightly_and_a_mistake_is_said(run, assets, said_of_it, line):
    (model,) = (assets / "models" / "ssd_mobilenet_v1_coco").glob("*.tflite")
    given = [f"--detector={each}" for each in said_of_it]
    said = run("inspect", model, "--data", assets / "data" / "coco-open-dev", *given)
    assert to_set(said.out) == ([] if line is None else [line])
    assert said.code == (0 if line is None else 1)


@pytest.mark.slow
def test_a_real_saved_model_of_the_api_is_read_rightly(run, assets, tmp_path):
    folder = assets / "data" / "coco-open-dev"
    some = some_of(folder / "annotations.json", folder / "images", tmp_path, 12)
    said = run("inspect", assets / "models" / "centernet_coco" / "saved_model", *some)
    assert said.code == 0
    assert "All is well" in said.out
