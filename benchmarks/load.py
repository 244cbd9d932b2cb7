"""Time and peak memory of runs that are far larger than usual, each in a new process.

    python benchmarks/load.py                          # all cases: the table of docs/speed.md
    python benchmarks/load.py --case categories        # one of them
    python benchmarks/load.py --case images --size 5000     # the same with fewer images

*images*: 50,000 images of 32 x 24 pixels, 200 categories, a crop each, 300 detections in every picture. *categories*:
a COCO JSON of 2,000 images with 10,000 categories, read and run, two crops each, 100 detections in every picture.
*tiles*: one image of 20,000 x 20,000 pixels, cut into tiles of 1,000. The detectors are simulated: they draw their
answers from the number that they read in the pixels, which takes a part of the time that is given in a column of its
own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from memory import peak

import pytest_cropdet as cropdet
from pytest_cropdet.data import Detections, GroundTruth, Sample

SIZES = {"images": 50_000, "categories": 10_000, "tiles": 20_000}  # what is counted, and its number
WIDTH, HEIGHT = 32, 24
TILE = 1000
OBJECTS = 4
SETTINGS: dict[str, Any] = {"explain": "off", "max_crops": 1_000_000}


def objects_of(number: int, categories: int) -> tuple[Any, Any]:
    """Return boxes (n, 4) in pixels and categories (n,) of the objects of an image."""
    rng = np.random.default_rng([number, 1])
    size = rng.integers(6, 16, (OBJECTS, 2))
    corner = (rng.random((OBJECTS, 2)) * (np.array([WIDTH, HEIGHT]) - size)).astype(int)
    kinds = 1 + (OBJECTS * number + np.arange(OBJECTS)) % categories
    return np.concatenate([corner, corner + size], axis=1).astype(float), kinds


def painted(number: int) -> Any:
    """Return pixels in each of which the number of the image can be read."""
    pixels = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:] = [number >> 8 * k & 255 for k in range(3)]
    return pixels


class Simulated:
    """Finds most objects in whole images and in crops, and other things; ``rows`` detections in each picture."""

    batch = 64

    def __init__(self, categories: int, rows: int) -> None:
        self.count, self.rows, self.seconds = categories, rows, 0.0
        self.categories = {key: f"category {key}" for key in range(1, categories + 1)}

    def __call__(self, images: Sequence[Any]) -> list[Detections]:
        begun = time.perf_counter()
        found = [self.found_in(image) for image in images]
        self.seconds += time.perf_counter() - begun
        return found

    def found_in(self, image: Any) -> Detections:
        number = sum(int(image[0, 0, k]) << 8 * k for k in range(3))
        rng = np.random.default_rng([number, *image.shape[:2]])
        boxes, kinds = objects_of(number, self.count)
        seen = rng.random(OBJECTS) < 0.8
        rest = self.rows - int(seen.sum())
        corner = rng.random((rest, 2)) * [image.shape[1], image.shape[0]]
        others = np.concatenate([corner, corner + rng.random((rest, 2)) * 9 + 2], axis=1)
        return Detections(
            np.concatenate([boxes[seen], others]),
            np.concatenate([rng.beta(4, 3, int(seen.sum())), rng.beta(1.2, 12, rest)]),
            np.concatenate([kinds[seen], rng.integers(1, self.count + 1, rest)]),
        )


class Made(list[Sample]):
    """Made-up samples with 200 categories."""

    name = "made up"
    categories = {key: f"category {key}" for key in range(1, 201)}  # noqa: RUF012


def run_images(size: int, folder: Path) -> tuple[str, float]:
    """Run a gate on many tiny images."""
    data = Made(
        Sample(f"{n}.png", WIDTH, HEIGHT, GroundTruth(*objects_of(n, 200)), lambda n=n: painted(n)) for n in range(size)
    )
    detector = Simulated(200, 300)
    run = cropdet.run(detector, data, crops="random:keep=0.8,per_image=1", **SETTINGS)
    return f"{size:,} images, {sum(len(each.rows) for each in run.matches.values()):,} rows in tables", detector.seconds


def run_categories(size: int, folder: Path) -> tuple[str, float]:
    """Read a COCO JSON with many categories, and run a gate on it."""
    images, annotations = [], []
    for number in range(2000):
        cv2.imwrite(str(folder / f"{number}.png"), painted(number)[:, :, ::-1])
        images.append({"id": number, "file_name": f"{number}.png", "width": WIDTH, "height": HEIGHT})
        for box, kind in zip(*objects_of(number, size), strict=True):
            left, top, right, bottom = box.tolist()
            row = {"bbox": [left, top, right - left, bottom - top], "category_id": int(kind), "image_id": number}
            annotations.append({"id": len(annotations) + 1, **row})
    names = [{"id": key, "name": f"category {key}"} for key in range(1, size + 1)]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": names}))
    detector, begun = Simulated(size, 100), time.perf_counter()
    data = cropdet.load_dataset(path)
    read = time.perf_counter() - begun
    run = cropdet.run(detector, data, crops="random:keep=0.8,per_image=2", **SETTINGS)
    return f"{len(run.settings.categories or data.categories):,} categories, read in {read:.1f} s", detector.seconds


def run_tiles(size: int, folder: Path) -> tuple[str, float]:
    """Run a gate on the tiles of one image."""
    rng = np.random.default_rng(0)
    corner = rng.integers(0, size - 200, (2000, 2))
    truth = GroundTruth(np.concatenate([corner, corner + 100], axis=1).astype(float), np.ones(2000, int))

    def read() -> Any:
        return np.zeros((size, size, 3), np.uint8)

    data = Made([Sample("large.tif", size, size, truth, read)])
    data.categories = {1: "category 1"}
    detector = Simulated(1, 100)
    run = cropdet.run(detector, data, crops=f"tile:size={TILE},overlap=0.2", **SETTINGS)
    return f"{size:,} x {size:,} pixels, {len(run.objects.index):,} tiles", detector.seconds


CASES = {"images": run_images, "categories": run_categories, "tiles": run_tiles}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, action="append", help="may be given several times; all if not")
    parser.add_argument("--size", type=int, help="images, categories, or pixels of a side, in the place of the usual")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    cases = given.case or [*CASES]
    if given.one:
        with tempfile.TemporaryDirectory() as folder:
            begun, name = time.perf_counter(), cases[0]
            text, detector = CASES[name](given.size or SIZES[name], Path(folder))
            found = {"text": text, "seconds": time.perf_counter() - begun, "detector": detector, "peak": peak()}
        print(json.dumps(found))
        return
    print("| case | | seconds | of these in the detector | peak |")
    print("|---|---|---|---|---|")
    for name in cases:
        size = ["--size", str(given.size)] if given.size else []
        command = [sys.executable, __file__, "--one", "--case", name, *size]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        cells = f"{found['seconds']:.0f} | {found['detector']:.0f} | {found['peak'] / 1e6:,.0f} MB"
        print(f"| {name} | {found['text']} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
