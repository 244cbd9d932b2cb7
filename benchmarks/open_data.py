"""How long it takes to open a data set of each format, and how much memory: each in a process of its own.

    python benchmarks/open_data.py [--images N] [--objects N] [--format NAME ...]

Writes a set of N images (all of them one small PNG under many names) with N objects each, opens it, and prints seconds
of the processor and peak memory: of opening, above what the imports take, and again with every sample made once, as a
run does. For comparison ``parse`` is the time, and the peak memory, that reading and parsing the same files takes
alone, without any check (JSON, XML, text, CSV; of a TFRecord with its checksums and messages).
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from pytest_cropdet.data import GroundTruth, Sample
from tests.data import writers

NAMES = {1: "cat", 2: "dog", 3: "bird"}
WIDTH, HEIGHT = 64, 48
MOST_LINKS = 50_000  # to one file; file systems have limits
FORMATS = ("coco", "coco polygons", "voc", "yolo", "tfrecord", "csv tutorial", "csv retinanet")


def samples(images: int, objects: int) -> Iterator[Sample]:
    """Images with ``objects`` boxes each."""
    dice = np.random.default_rng(0)
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for number in range(images):
        corner = np.stack([np.arange(objects) % 30, dice.integers(0, 30, objects)], axis=1).astype(float)
        boxes = np.concatenate([corner, corner + dice.integers(5, 18, (objects, 2))], axis=1)
        truth = GroundTruth(boxes, dice.integers(1, 4, objects))
        yield Sample(f"{number:07}.png", WIDTH, HEIGHT, truth, lambda: pixels)


def write(name: str, folder: Path, images: int, objects: int) -> Path:
    """Write the set; most images are links to one file, so that disks stay small."""
    picture = writers.png(np.zeros((HEIGHT, WIDTH, 3), np.uint8))

    def link(place: Path, every: list[Sample]) -> None:
        place.mkdir(parents=True, exist_ok=True)
        for number, sample in enumerate(every):
            if number % MOST_LINKS == 0:
                first = place / sample.id
                first.write_bytes(picture)
            else:
                os.link(first, place / sample.id)

    writers.copy = link
    if name == "coco polygons":
        return with_polygons(writers.FORMATS["coco"](folder, list(samples(images, objects)), NAMES))
    return writers.FORMATS[name](folder, list(samples(images, objects)), NAMES)


def with_polygons(path: Path) -> Path:
    """Give each object of a COCO JSON a polygon of eight points, the corners and middles of its box's sides."""
    content = json.loads(path.read_bytes())
    for entry in content["annotations"]:
        x, y, width, height = entry["bbox"]
        across, down = (x, x + width / 2, x + width), (y, y + height / 2, y + height)
        ring = ((0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (0, 1))
        entry["segmentation"] = [[each for i, j in ring for each in (across[i], down[j])]]
    path.write_text(json.dumps(content))
    return path


def parse(name: str, path: Path) -> None:
    """Read and parse the files, and do nothing with them."""
    if name.startswith("coco"):
        json.loads(path.read_bytes())
    elif name == "voc":
        from defusedxml.ElementTree import fromstring

        for file in sorted((path / "Annotations").iterdir()):
            fromstring(file.read_bytes())
    elif name == "yolo":
        for file in sorted((path.parent / "labels" / "val").iterdir()):
            [[float(word) for word in line.split()] for line in file.read_text().splitlines()]
    elif name == "tfrecord":
        from pytest_cropdet.data.readers.tf_example import parse_example
        from pytest_cropdet.data.readers.tfrecord_file import RecordFile

        for _, content in RecordFile(path):
            parse_example(content, (), "a record")
    else:
        with path.open(newline="") as stream:
            for row in csv.reader(stream):
                row[:1]


def peak() -> float:
    """The most memory this process has had, in MB; Linux writes it down, elsewhere the system's own count is taken."""
    try:
        text = Path("/proc/self/status").read_text()
        return int(text.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, IndexError, ValueError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024) / 1024


def measure(name: str, path: Path) -> dict[str, float]:
    """Open a set in this process."""
    import cv2

    from pytest_cropdet.data import load_dataset

    tiny = Path(tempfile.mkdtemp())
    try:  # whatever a reader imports is imported before memory is measured
        (tiny / "set").mkdir()
        kind = "coco" if name.startswith("coco") else name
        load_dataset(writers.FORMATS[kind](tiny / "set", list(samples(2, 2)), NAMES))
    finally:
        subprocess.run(["rm", "-r", str(tiny)], check=True)
    cv2.imdecode = None  # type: ignore[assignment]  # opening decodes nothing
    before, begun = peak(), time.process_time()
    data = load_dataset(path)
    opened = time.process_time() - begun
    found = {"open": opened, "open_mb": peak() - before}
    begun = time.process_time()
    found["objects"] = sum(len(sample.truth) for sample in data)
    found["samples"], found["samples_mb"] = time.process_time() - begun, peak() - before
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--objects", type=int, default=10, help="of each image")
    parser.add_argument("--format", action="append", choices=FORMATS)
    parser.add_argument("--measure", nargs=2, metavar=("FORMAT", "PATH"), help=argparse.SUPPRESS)
    parser.add_argument("--parse", nargs=2, metavar=("FORMAT", "PATH"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(chosen.measure[0], Path(chosen.measure[1]))))
        return 0
    if chosen.parse:
        before, begun = peak(), time.process_time()
        parse(chosen.parse[0], Path(chosen.parse[1]))
        print(time.process_time() - begun, peak() - before)
        return 0
    print(f"{chosen.images:,} images, {chosen.images * chosen.objects:,} objects")
    print("format          parse   peak MB      open   peak MB   samples   peak MB")
    for name in chosen.format or FORMATS:
        with tempfile.TemporaryDirectory() as place:
            path = write(name, Path(place), chosen.images, chosen.objects)
            child = [sys.executable, __file__]
            alone = subprocess.run([*child, "--parse", name, path], check=True, capture_output=True, text=True).stdout
            done = subprocess.run([*child, "--measure", name, path], check=True, capture_output=True, text=True).stdout
            found, (alone_s, alone_mb) = json.loads(done), map(float, alone.split())
            if found["objects"] != chosen.images * chosen.objects:
                print(f"{name}: {found['objects']:,} objects")
                return 1
            print(
                f"{name:14} {alone_s:6.1f} s  {alone_mb:8.0f}  {found['open']:6.1f} s  {found['open_mb']:8.0f}"
                f"  {found['samples']:6.1f} s  {found['samples_mb']:8.0f}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
