"""``inspect --data`` without a model: numbers, what is odd, what a gate could tell, and a sheet of images."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

SCENES = Path(__file__).parents[2] / "fixtures" / "scenes"


def words(out: str) -> str:
    return " ".join(out.split())


def test_the_numbers_are_those_of_the_file(run, tmp_path):
    said = run("inspect", f"--data={SCENES}", "-o", tmp_path)
    content = json.loads((SCENES / "instances.json").read_text())
    text = words(said.out)
    assert said.code == 0
    assert f"images: {len(content['images'])}" in text
    assert f"objects: {len(content['annotations']):,}, " in text
    areas = [each["area"] for each in content["annotations"]]
    small = sum(area <= 32**2 for area in areas)
    assert f"small (up to 32^2 px) {small:,} = {small / len(areas):.0%}" in text
    for category in content["categories"]:
        rows = [each for each in content["annotations"] if each["category_id"] == category["id"]]
        images = len({each["image_id"] for each in rows})
        assert f" {category['id']} {category['name']} {len(rows)} {images}" in text
    assert "Nothing odd was found." in said.out
    assert "bounds to expect: drop +- " in said.out
    sheet = cv2.imread(str(tmp_path / "scenes-instances-data.png"))
    assert sheet.shape[1] > 4 * 400


def write(folder: Path, annotations: list[dict], categories: int = 3, images: int = 2) -> Path:
    for number in range(images):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((100, 100, 3), 90, np.uint8))
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 100, "height": 100} for n in range(images)],
        "categories": [{"id": n, "name": f"kind {n}"} for n in range(1, categories + 1)],
        "annotations": [{"id": place + 1, **each} for place, each in enumerate(annotations)],
    }
    path = folder / "data.json"
    path.write_text(json.dumps(content))
    return path


def test_rare_and_empty_categories_crowds_and_images_without_objects_are_counted(run, tmp_path):
    rows = [
        {"image_id": 0, "category_id": 1, "bbox": [10, 10, 20, 20]},
        {"image_id": 0, "category_id": 1, "bbox": [40, 40, 50, 50], "iscrowd": 1, "segmentation": []},
    ]
    rows[1]["segmentation"] = {"size": [100, 100], "counts": [0, 2500, 7500]}
    said = run("inspect", f"--data={write(tmp_path, rows)}")
    text = words(said.out)
    assert "images: 2, 1 of them without objects" in text
    assert "objects: 1, 0.5 an image; beside them 1 crowds, which are never scored" in text
    assert "1 kind 1 1 1 in fewer than 5 images: not part of the mean" in text
    assert "without objects: kind 2, kind 3" in text
    assert "undecided for sure" in text


def test_what_is_odd_is_listed_and_ends_with_1(run, tmp_path):
    rows = [
        {"image_id": 0, "category_id": 1, "bbox": [10, 10, 20, 20]},
        {"image_id": 0, "category_id": 2, "bbox": [10, 10, 0, 20]},
    ]
    said = run("inspect", f"--data={write(tmp_path, rows)}")
    assert said.code == 1
    assert "What is odd:" in said.out
    assert "box without area is left out" in said.out


def test_an_image_that_cannot_be_read_is_said_and_the_numbers_stay(run, tmp_path):
    path = write(tmp_path, [{"image_id": 0, "category_id": 1, "bbox": [10, 10, 20, 20]}])
    (tmp_path / "0.png").write_bytes(b"no picture")
    said = run("inspect", f"--data={path}")
    assert said.code == 1
    assert "an image cannot be read: " in said.out
    assert "objects: 1, " in said.out
