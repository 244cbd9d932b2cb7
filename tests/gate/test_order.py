"""Numbers depend on the data alone: not on the order of what a file lists, nor on the process that counts."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_cropdet.benchmark.result import run_benchmark
from pytest_cropdet.crops.plan import choose_samples
from pytest_cropdet.data import load_dataset
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.gate.dry_runs import dry_run
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.gate.runner import run
from pytest_cropdet.settings import RunSettings
from tests.painted import find

pytestmark = pytest.mark.slow

Coco = dict[str, list[dict[str, Any]]]
WINDOWS = "random:keep=0.4-0.8,per_image=2"


def coco(folder: Path, images: int = 60) -> Coco:
    """A folder of pictures with a red, a green and a blue rectangle each, and their truth; some are drawn too large."""
    import cv2

    rng = np.random.default_rng(4)
    (folder / "images").mkdir(parents=True)
    found: Coco = {"images": [], "annotations": [], "categories": []}
    for number in range(images):
        pixels, name = np.zeros((48, 64, 3), np.uint8), f"{number:03}.png"
        for category in (1, 2, 3):
            width, height = int(rng.integers(8, 20)), int(rng.integers(8, 40))
            left, top = 21 * (category - 1), int(rng.integers(0, 48 - height))
            pixels[top : top + height, left : left + width, category - 1] = 255
            box = [left, top, width, max(4, height - int(rng.integers(0, 12)))]
            found["annotations"].append(
                {"id": len(found["annotations"]) + 1, "image_id": number + 1, "category_id": category, "bbox": box}
            )
        cv2.imwrite(str(folder / "images" / name), pixels[:, :, ::-1])
        found["images"].append({"id": number + 1, "file_name": name, "width": 64, "height": 48})
    found["categories"] = [{"id": key, "name": name} for key, name in ((1, "red"), (2, "green"), (3, "blue"))]
    return found


def detector(images: Sequence[np.ndarray]) -> list[Detections]:
    """Finds rectangles, small ones less surely; scores are few, so that many detections of other images tie."""
    found = []
    for image in images:
        seen = find(image)
        area = (seen.boxes[:, 2:] - seen.boxes[:, :2]).prod(axis=1)
        cut = (seen.boxes[:, 2] >= image.shape[1]) & (image.shape[1] < 64)
        found.append(Detections(seen.boxes, np.where(area > 250, 0.9, 0.6) - 0.3 * cut, seen.categories))
    return found


detector.batch = 8  # type: ignore[attr-defined]


def shuffled(name: str) -> Callable[[Coco], Coco]:
    def change(data: Coco) -> Coco:
        rows = list(data[name])
        random.Random(1).shuffle(rows)
        return {**data, name: rows}

    return change


def renumbered_images(data: Coco) -> Coco:
    """Other numbers for the images, in another order."""
    new = {each["id"]: 1000 - 7 * each["id"] for each in data["images"]}
    annotations = [{**each, "image_id": new[each["image_id"]]} for each in data["annotations"]]
    return {**data, "images": [{**each, "id": new[each["id"]]} for each in data["images"]], "annotations": annotations}


def renumbered_annotations(data: Coco) -> Coco:
    return {**data, "annotations": [{**each, "id": 5000 - each["id"]} for each in data["annotations"]]}


CHANGES: dict[str, Callable[[Coco], Coco]] = {
    "order of images": shuffled("images"),
    "order of annotations": shuffled("annotations"),
    "order of categories": shuffled("categories"),
    "ids of images": renumbered_images,
    "ids of annotations": renumbered_annotations,
}
MEASURED: dict[str, dict[str, Any]] = {
    "gate": {"explain": "always", "replicates": 200, "both_orders": True, "max_drop": 0.2},
    "stopping early": {"explain": "off", "looks": "auto", "max_drop": 0.02, "replicates": 200},
    "measures at inference": {"explain": "always", "try_mitigations": True, "replicates": 100, "sample_images": 40},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> tuple[Path, Coco]:
    path = tmp_path_factory.mktemp("order") / "data"
    return path, coco(path)


def measured(path: Path, images: Path, **changes: Any) -> str:
    """All that a gate says, as the text of its JSON, but for times and paths."""
    result = run(detector, load_dataset(path, images), RunSettings(crops=WINDOWS, min_images=10), **changes)
    result.judge()
    told = {key: value for key, value in run_record(result).items() if key not in ("seconds", "dataset")}
    told["frame"] = result.errors.to_dict()
    return json.dumps(told, sort_keys=True)


@pytest.fixture(scope="module", params=MEASURED)
def plain(request, folder) -> tuple[dict[str, Any], str]:
    path, data = folder
    file = path / f"{request.param}.json"
    file.write_text(json.dumps(data))
    return MEASURED[request.param], measured(file, path / "images", **MEASURED[request.param])


@pytest.mark.parametrize("change", CHANGES)
def test_every_number_stays_to_the_last_bit(change, plain, folder):
    settings, told = plain
    path, data = folder
    file = path / "changed.json"
    file.write_text(json.dumps(CHANGES[change](data)))
    assert measured(file, path / "images", **settings) == told


def benchmarked(path: Path, data: Coco) -> tuple[dict[str, Any], list[str]]:
    """All that a benchmark says, and what an estimate of a gate does."""
    file = path / "benchmark.json"
    file.write_text(json.dumps(data))
    dataset = load_dataset(file, path / "images")
    found = run_benchmark(detector, dataset, "quick", sample_images=12, replicates=100).to_dict()
    return found, dry_run(dataset, RunSettings(crops=WINDOWS)).lines()


@pytest.fixture(scope="module")
def plain_benchmark(folder) -> tuple[dict[str, Any], list[str]]:
    return benchmarked(*folder)


@pytest.mark.parametrize("change", CHANGES)
def test_the_benchmark_and_the_estimate_stay(change, plain_benchmark, folder):
    path, data = folder
    told = []
    for found, estimate in (plain_benchmark, benchmarked(path, CHANGES[change](data))):
        same: Any = found
        if "annotations" in change:  # the windows of these follow an annotation by its id
            same = [each for each in found["cells"] if each["family"] not in ("object", "edge")]
        told.append((json.dumps(same, sort_keys=True), estimate))
    assert told[0] == told[1]


def test_samples_come_by_their_ids(folder):
    path, data = folder
    file = path / "backwards.json"
    file.write_text(json.dumps({**data, "images": data["images"][::-1]}))
    dataset = load_dataset(file, path / "images")
    assert [each.id for each in dataset] == [f"{number:03}.png" for number in range(59, -1, -1)]
    names = [each.id for each in choose_samples(dataset, None)]
    assert names == sorted(names)
    some = [each.id for each in choose_samples(dataset, 7, seed=3)]
    assert some == [name for name in names if name in some]
    assert len(some) == 7


ENVIRONMENTS = {
    "hash seed": {"PYTHONHASHSEED": "4242"},
    "locale": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"},
    "threads": {"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "3", "MKL_NUM_THREADS": "3"},
    "directory": {},
}
CODE = """
import sys
from pathlib import Path
from tests.gate.test_order import measured
print(measured(Path(sys.argv[1]), Path(sys.argv[2]), explain="off", replicates=200))
"""


@pytest.fixture(scope="module")
def here(folder) -> tuple[Path, str]:
    """A data set's file, and what this process says of it."""
    path, data = folder
    file = path / "process.json"
    file.write_text(json.dumps(data))
    return file, measured(file, path / "images", explain="off", replicates=200)


@pytest.mark.subprocess
@pytest.mark.parametrize("what", ENVIRONMENTS)
def test_another_process_counts_the_same(what, here, folder, tmp_path):
    (path, _), (file, told) = folder, here
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), **ENVIRONMENTS[what]}
    where = tmp_path if what == "directory" else root
    command = [sys.executable, "-c", CODE, str(file), str(path / "images")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=where, check=True)
    assert done.stdout.strip() == told
