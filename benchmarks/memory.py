"""How memory grows with the number of source images: a gate with a simulated detector, each size in a new process.

    python benchmarks/memory.py                             # 500, 5,000 and 20,000 images: the table of docs/speed.md
    python benchmarks/memory.py --images 500 2000           # other sizes
    python benchmarks/memory.py --detections-too            # and the file of --cropdet-detections
    python benchmarks/memory.py --record out.json --images 300    # the record of one gate, to compare two versions

Four crops an image, 100 detections in each picture, about 7 objects an image, 80 categories. The detector draws its
answers from the number that it reads in the pixels, so it takes next to no time, and no memory. *Peak* is the most that
the process held; *bytes per detection* are those of a match table's columns, of the side that has more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import pytest_cropdet as cropdet
from pytest_cropdet.data import Detections, GroundTruth, Sample
from pytest_cropdet.evaluation import Matches
from pytest_cropdet.gate import Run
from pytest_cropdet.settings import RunSettings

CATEGORIES = 80
WIDTH, HEIGHT = 320, 240
DETECTIONS = 100
FIXED, PER_IMAGE, PER_DETECTION = 300e6, 25e3, 40  # bytes: the bounds
NAMES = {key: f"category {key}" for key in range(1, CATEGORIES + 1)}


def objects_of(number: int) -> tuple[Any, Any]:
    """Return the boxes and the categories of an image's objects."""
    rng = np.random.default_rng([number, 1])
    count = int(rng.integers(3, 12))
    size = rng.integers(12, 120, (count, 2))
    corner = (rng.random((count, 2)) * (np.array([WIDTH, HEIGHT]) - size)).astype(int)
    shown = 1 + (CATEGORIES * rng.random(3) ** 3).astype(int)
    return np.concatenate([corner, corner + size], axis=1).astype(float), rng.choice(shown, count)


@dataclass(frozen=True)
class Painted:
    """Pixels from which the number of the image, and the place of a crop in it, can be read."""

    number: int

    def __call__(self) -> Any:
        pixels = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        across = np.arange(WIDTH) // 2
        pixels[:, :, 0] = across
        pixels[:, :, 1] = np.arange(HEIGHT)[:, None]
        pixels[:, :, 2] = np.array([self.number >> 8 * k & 255 for k in range(3)])[across % 3]
        return pixels


class Simulated:
    """Finds most objects, with jitter, more of them where more of them shows, and others anywhere."""

    categories = NAMES
    batch = 8

    def __call__(self, images: Sequence[Any]) -> list[Detections]:
        return [self.found_in(image) for image in images]

    def found_in(self, image: Any) -> Detections:
        row, (height, width) = image[0], image.shape[:2]
        across = row[:, 0].astype(int)
        left, top = 2 * across[0] + (across[0] != across[1]), int(row[0, 1])
        number = sum(int(row[np.argmax(across % 3 == k), 2]) << 8 * k for k in range(3))
        rng = np.random.default_rng([number, left, top, width])
        boxes, categories = objects_of(number)
        boxes = np.clip(boxes - [left, top, left, top], 0, [width, height, width, height])
        seen = ((boxes[:, 2:] - boxes[:, :2]) > 2).all(axis=1) & (
            rng.random(len(boxes)) < (0.85 if left + top else 0.9)
        )
        near, named = boxes[seen] + rng.normal(0, 2, (int(seen.sum()), 4)), categories[seen]
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        rest = DETECTIONS - len(near)
        corner = rng.random((rest, 2)) * [width, height]
        others = np.concatenate([corner, corner + rng.random((rest, 2)) * 60 + 2], axis=1)
        kinds = np.where(rng.random(rest) < 0.5, rng.choice(categories, rest), rng.integers(1, CATEGORIES + 1, rest))
        scores = np.concatenate([rng.beta(4, 3, len(near)), rng.beta(1.2, 12, rest)])
        return Detections(np.concatenate([near, others]), scores, np.concatenate([named, kinds]))


class Images(Sequence[Sample]):
    """Made-up samples."""

    name, categories = "simulated", NAMES

    def __init__(self, count: int) -> None:
        self._samples = [
            Sample(f"{number}.png", WIDTH, HEIGHT, GroundTruth(*objects_of(number)), Painted(number))
            for number in range(count)
        ]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, place: Any) -> Any:
        return self._samples[place]


def gate(images: int, replicates: int = 1000) -> Run:
    """Run a gate, four crops an image."""
    settings = RunSettings(crops="random:keep=0.3,per_image=4", max_crops=None, replicates=replicates, explain="off")
    return cropdet.run(Simulated(), Images(images), settings)


def bytes_of(table: Matches) -> int:
    """Return the bytes of a match table's columns of detections; those of objects are left out."""
    own = ("rows", "image", "outside", "contenders", "rank", "matched", "score", "far")
    columns = [getattr(table, name, None) for name in own]
    return sum(each.nbytes for each in columns if each is not None)


def peak() -> float:
    """Return the most that this process held so far, in bytes."""
    import resource  # not on Windows

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most if sys.platform == "darwin" else most * 1024)


def measure(images: int, detections_too: bool) -> dict[str, float]:
    """Run one size in this process."""
    begun = time.perf_counter()
    run = gate(images)
    found = {
        "images": images,
        "peak": peak(),
        "bytes": max(bytes_of(each) / len(each.rows) for each in run.matches.values()),
    }
    found["detections"] = sum(len(table.rows) for table in run.matches.values())
    found["seconds"] = time.perf_counter() - begun
    if detections_too:
        from pytest_cropdet.report import write_detections

        with tempfile.TemporaryDirectory() as folder:
            write_detections(Path(folder), run)
        found["written_peak"], found["written_seconds"] = peak(), time.perf_counter() - begun
    return found


def in_process_of_its_own(images: int, *more: str) -> dict[str, float]:
    """Return what :func:`measure` found in a fresh process."""
    command = [sys.executable, __file__, "--one", "--images", str(images), *more]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[500, 5000, 20000])
    parser.add_argument("--detections-too", action="store_true", help="write the file of --cropdet-detections as well")
    parser.add_argument("--record", type=Path, help="write the record of a gate of the first size into this file")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.images[0], given.detections_too)))
        return
    if given.record:
        from pytest_cropdet.report.records import run_record

        record = run_record(gate(given.images[0]))
        given.record.write_text(json.dumps(record, indent=1, default=str))
        return
    more = ["--detections-too"] if given.detections_too else []
    written = " with its detections file | seconds |" if more else ""
    print(f"| images | detections in the tables | peak | bound | bytes per detection | seconds |{written}")
    print(f"|---|---|---|---|---|---|{'---|---|' if more else ''}")
    for images in given.images:
        found = in_process_of_its_own(images, *more)
        bound = FIXED + PER_IMAGE * images
        cells = f"| {images:,} | {found['detections']:,.0f} | {found['peak'] / 1e6:,.0f} MB | {bound / 1e6:,.0f} MB "
        cells += f"| {found['bytes']:.1f} (at most {PER_DETECTION}) | {found['seconds']:.0f} |"
        if more:
            cells += f" {found['written_peak'] / 1e6:,.0f} MB | {found['written_seconds']:.0f} |"
        print(cells, flush=True)


if __name__ == "__main__":
    main()
