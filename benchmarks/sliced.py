"""Whether slicing helps real detectors, and sliced inference beside SAHI's: Markdown tables, side by side in one run.

    CROPDET_ASSETS=FOLDER python benchmarks/sliced.py                  # both tables of docs/sliced.md, some minutes
    python benchmarks/sliced.py --part gains --images 20               # fewer images; without CROPDET_ASSETS fewer rows

- gains: CenterNet on COCO photographs, the shipped detectors on scenes of 320 x 240, and on mosaics of 16 scenes
  (1280 x 960), where each object has a sixteenth of its share of the image: AP of one pass and of tiles, the gain
  with 95% bounds, and the four steps it is made of.
- SAHI (``pip install 'pytest-cropdet[slicing]'``): the same tiles, the same merge, the same detector: whether the boxes
  are the same, and images per second of both, in turn.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pytest_cropdet import Sliced, load_dataset, load_detector
from pytest_cropdet.comparison import compare_sliced
from pytest_cropdet.data import GroundTruth, Sample
from pytest_cropdet.data.plugins import Samples

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "fixtures"
SIDE = 4  # scenes a side of a mosaic
ROUNDS = 3


def mosaics(scenes: Sequence[Sample], side: int = SIDE) -> list[Sample]:
    """Return images of ``side`` x ``side`` scenes each, with all their objects; scenes that fill none are left out."""
    each = side * side
    return [_mosaic(scenes[start : start + each], side) for start in range(0, len(scenes) - each + 1, each)]


def _mosaic(scenes: Sequence[Sample], side: int) -> Sample:
    width, height = scenes[0].width, scenes[0].height
    boxes, categories = [np.zeros((0, 4))], [np.zeros(0, np.int64)]
    for place, scene in enumerate(scenes):
        corner = np.array([place % side * width, place // side * height] * 2, dtype=np.float64)
        boxes.append(scene.truth.boxes + corner)
        categories.append(scene.truth.categories)

    def pixels() -> Any:
        rows = [
            np.concatenate([scene.image() for scene in scenes[start : start + side]], axis=1)
            for start in range(0, side * side, side)
        ]
        return np.concatenate(rows)

    truth = GroundTruth(np.concatenate(boxes), np.concatenate(categories))
    return Sample(f"mosaic of {scenes[0].id}", side * width, side * height, truth, pixels)


def cases(images: int | None) -> Iterator[tuple[str, Any, Any, tuple[str, ...]]]:
    """Yield what is compared: words, detector, data set, settings of the tiles."""
    assets = Path(os.environ.get("CROPDET_ASSETS", ""))
    if assets.name and assets.is_dir():
        model = assets / "models" / "centernet_coco" / "saved_model"
        detector = load_detector(f"saved_model:{model}", labels=str(assets / "models" / "coco90_labelmap.txt"))
        data = load_dataset(assets / "data" / "coco-open-dev")
        yield "CenterNet, COCO photographs", detector, data, ("size=320,overlap=0.2", "size=320,overlap=0.2,merge=seam")
    labels = str(FIXTURES / "models" / "labels.txt")
    scenes = load_dataset(FIXTURES / "test_scenes")
    large = Samples("mosaics", mosaics(list(scenes)), scenes.categories)
    for name, file in (("shipped, plain", "ssd_nms.tflite"), ("shipped, trained with crops", "ssd_crops_nms.tflite")):
        detector = load_detector(FIXTURES / "models" / file, labels=labels, range="0..255")
        yield f"{name}, scenes", detector, scenes, ("size=160,overlap=0.2", "size=160,overlap=0.2,merge=seam")
        yield f"{name}, mosaics", detector, large, ("size=320x240,overlap=0.2", "size=320x240,overlap=0.2,merge=seam")


def gains(images: int | None) -> None:
    """Print the first table."""
    print("| detector, data | tiles | images | per image | one pass | sliced | gain | scale | context | cut | merge |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name, detector, data, tiles in cases(images):
        for settings in tiles:
            found = compare_sliced(_sliced(detector, settings), data, sample_images=images)
            steps = [f"{each.value:+.3f}" for each in found.chain.steps.values()]
            before, after = found.numbers.ap["all"]
            row = [name, settings, f"{found.numbers.images}", f"{found.numbers.calls:.1f}", f"{before:.3f}"]
            print("|", " | ".join([*row, f"{after:.3f}", str(found.gain), *steps]), "|", flush=True)


def _sliced(detector: Any, settings: str) -> Sliced:
    from pytest_cropdet.detectors import read_sliced_spec

    return Sliced(detector, **read_sliced_spec(f"{settings}:model")[0])


def beside_sahi(images: int | None) -> None:
    """Print the second table."""
    if importlib.util.find_spec("sahi") is None:
        print("SAHI is not installed: pip install 'pytest-cropdet[slicing]'")
        return
    spec = importlib.util.spec_from_file_location("slicing_pipelines", ROOT / "examples" / "slicing_pipelines.py")
    assert spec is not None
    assert spec.loader is not None
    pipelines = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pipelines)
    print("| detector, data | images | same boxes | images/s, SAHI | images/s, Sliced | ratio |")
    print("|---|---|---|---|---|---|")
    for name, detector, data, _ in cases(images):
        samples = list(data)[: images or 24]
        pictures = [each.image() for each in samples]
        size = max(1, min(pictures[0].shape[:2]) * 2 // 3)
        ours = Sliced(detector, size=size, overlap=0.25, merge="nms")
        theirs = pipelines.with_sahi(detector, size, 0.25, least=0.05)
        ours([pictures[0]]), theirs([pictures[0]])
        times: dict[str, list[float]] = {"ours": [], "theirs": []}
        answers: dict[str, list[Any]] = {}
        for _ in range(ROUNDS):
            for who, run in (("theirs", theirs), ("ours", ours)):
                begun = time.perf_counter()
                answers[who] = run(pictures)
                times[who].append(time.perf_counter() - begun)
        same = [_same(mine, other) for mine, other in zip(answers["ours"], answers["theirs"], strict=True)]
        speed = {who: len(pictures) / statistics.median(each) for who, each in times.items()}
        row = [name, f"{len(pictures)}", f"{np.mean(same):.1%}", f"{speed['theirs']:.2f}", f"{speed['ours']:.2f}"]
        print("|", " | ".join([*row, f"{speed['ours'] / speed['theirs']:.2f}"]), "|", flush=True)


def _same(ours: Any, theirs: Any) -> float:
    """Return the share of detections of 0.05 or more that both have, to float32."""
    lists = []
    for each in (ours, theirs):
        kept = each.take(np.flatnonzero(each.scores >= 0.05))
        whole = np.column_stack([kept.boxes, kept.scores, kept.categories]).astype(np.float32)
        lists.append({tuple(np.round(row, 3)) for row in whole.tolist()})
    most = max(map(len, lists))
    return 1.0 if not most else len(lists[0] & lists[1]) / most


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--part", choices=("gains", "sahi"), help="one of the tables; both if not given")
    asked.add_argument("--images", type=int, help="images of each data set; all if not given, 24 beside SAHI")
    given = asked.parse_args()
    if given.part != "sahi":
        gains(given.images)
    if given.part is None:
        print()
    if given.part != "gains":
        beside_sahi(given.images)
