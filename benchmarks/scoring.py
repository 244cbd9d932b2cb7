"""What scoring takes beside the detector: milliseconds a crop, step by step, old way and new way in one run.

    python benchmarks/scoring.py                                    # the table of docs/speed.md, in about two minutes
    python benchmarks/scoring.py --crops 2000 --turns 1             # a quick look
    python benchmarks/scoring.py --growth                           # and at half and a quarter of the crops

The *old way* is a loop of ``crop_truth`` and ``crop_detections`` over all crops, one value at a time; the *new way* is
``build_objects`` and ``build_detected``, for all crops at once. Both make the same tables, to the last bit, which is
checked. Times are processor times of this process, the least of several turns, taken in alternation. Images, objects
and detections are made up: four crops an image, about 7 objects an image, 80 categories; as many detections in each
whole image and in each crop as ``--detections`` says.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pytest_cropdet.crops import make_plan
from pytest_cropdet.data import CategoryMap, Detections, GroundTruth, Sample, crop_detections, crop_truth, reconcile
from pytest_cropdet.evaluation import (
    CropIndex,
    Detected,
    Objects,
    Truth,
    average_precision,
    build_detected,
    build_objects,
    match,
    resample,
)
from pytest_cropdet.geometry import Crop, Mask

CATEGORIES = 80
IDS = list(range(1, CATEGORIES + 1))
WIDTH, HEIGHT = 640, 480
CROPS_AN_IMAGE = 4
SPEC = f"random:keep=0.3,per_image={CROPS_AN_IMAGE}"
MIN_VISIBILITY = 0.5
GOAL = 0.15  # ms a crop at 100 detections, tables and matching and AP of both sides


@dataclass(frozen=True)
class Material:
    """Images with their objects, windows, and what a detector found in the whole images and in the crops."""

    index: CropIndex
    whole: list[Detections]
    crops: list[Detections]


def boxes_in(rng: np.random.Generator, count: int, width: float, height: float) -> Any:
    """Boxes of COCO's sizes, cut to a frame."""
    size = np.clip(np.exp(rng.normal(4.2, 0.9, (count, 2))), 4, 400)
    corner = rng.random((count, 2)) * (np.array([width, height]) - 2)
    far = np.minimum(corner + size, [width, height])
    return np.concatenate([corner, far], axis=1)


def detections_in(
    rng: np.random.Generator, near: Any, categories: Any, count: int, frame: tuple[float, float]
) -> Detections:
    """Detections of most objects, with jitter, and others anywhere."""
    found = rng.random(len(near)) < 0.6
    near, named = near[found][:count], categories[found][:count]
    jittered = near + rng.normal(0, 4, near.shape)
    jittered[:, 2:] = np.maximum(jittered[:, 2:], jittered[:, :2] + 1)
    rest = count - len(near)
    boxes = np.concatenate([jittered, boxes_in(rng, rest, *frame)])
    pool = categories if len(categories) else np.array(IDS)
    others = np.where(rng.random(rest) < 0.5, rng.choice(pool, rest), rng.integers(1, CATEGORIES + 1, rest))
    scores = np.concatenate([rng.beta(4, 3, len(near)), rng.beta(1.2, 6, rest)])
    return Detections(boxes, scores, np.concatenate([named, others]))


def made_up(crops: int, detections: int, masks: bool, seed: int = 0) -> Material:
    """Make material of so many crops, and so many detections in each."""
    rng = np.random.default_rng(seed)
    common = 1.0 / np.arange(1, CATEGORIES + 1)
    samples = []
    for number in range(-(-crops // CROPS_AN_IMAGE)):
        count = int(rng.negative_binomial(2, 2 / 9))
        boxes = boxes_in(rng, count, WIDTH, HEIGHT)
        shown = rng.choice(CATEGORIES, p=common / common.sum(), size=3) + 1
        truth = GroundTruth(
            boxes,
            rng.choice(shown, count),
            crowd=rng.random(count) < 0.01,
            masks=tuple(map(ellipse, boxes)) if masks else (),
        )
        samples.append(Sample(f"{number}.jpg", WIDTH, HEIGHT, truth, no_pixels))
    plan = make_plan(samples, SPEC, seed=1, max_crops=None)
    index = CropIndex.of(samples, plan)
    whole, seen = [], []
    for sample in samples:
        truth = sample.truth
        whole.append(detections_in(rng, truth.boxes, truth.categories, detections, (WIDTH, HEIGHT)))
    for unit, crop in zip(index.unit, index.crops, strict=True):
        shown = crop_truth(samples[unit].truth, crop, MIN_VISIBILITY, cut_masks=False).truth
        frame = (crop.width, crop.height)
        seen.append(detections_in(rng, shown.boxes, shown.categories, detections, frame))
    return Material(index, whole, seen)


def ellipse(box: Any) -> Mask:
    """The mask of an object that fills its box as an ellipse does."""
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    return Mask.encode(((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2 <= 1)


def no_pixels() -> Any:
    raise RuntimeError("made-up images have no pixels")


def objects_one_by_one(index: CropIndex) -> Objects:
    """What ``build_objects`` returns, by a loop of ``crop_truth``."""
    cropped = [
        crop_truth(index.samples[unit].truth, crop, MIN_VISIBILITY, cut_masks=False)
        for unit, crop in zip(index.unit, index.crops, strict=True)
    ]
    scored = np.concatenate([each.scored for each in cropped])
    ignored = np.concatenate([each.truth.ignored & ~each.truth.crowd for each in cropped])
    truth = Truth(
        image=np.repeat(np.arange(len(cropped)), [len(each) for each in cropped]),
        category=np.concatenate([each.truth.categories for each in cropped]),
        boxes=np.concatenate([each.truth.boxes for each in cropped]),
        area=np.concatenate([each.truth.areas for each in cropped]),
        crowd=~(scored | ignored),
        ignored=ignored,
        tight=np.concatenate([each.tight for each in cropped]),
    )
    annotation = np.concatenate([each.truth.ids for each in cropped])
    return Objects(truth, index, scored, annotation, np.concatenate([each.visibility for each in cropped]))


def detected_one_by_one(index: CropIndex, found: Sequence[Detections], *, whole: bool) -> Detected:
    """What ``build_detected`` returns, by a loop of ``crop_detections``."""
    rows = []
    for place, (unit, crop) in enumerate(zip(index.unit, index.crops, strict=True)):
        window = crop if whole else Crop(0, 0, crop.width, crop.height)
        rows.append(crop_detections(found[unit if whole else place], window))
    return Detected(
        image=np.repeat(np.arange(len(rows)), [len(each.detections) for each in rows]),
        category=np.concatenate([each.detections.categories for each in rows]),
        boxes=np.concatenate([each.detections.boxes for each in rows]),
        score=np.concatenate([each.detections.scores for each in rows]),
        stray=np.concatenate([each.visibility < MIN_VISIBILITY for each in rows]),
    )


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor time of a piece of work in seconds, and what it returns."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def check_same(first: Any, second: Any, names: Sequence[str]) -> None:
    """Raise ``SystemExit`` if two tables differ in a bit."""
    for name in names:
        one, two = getattr(first, name), getattr(second, name)
        if one.dtype != two.dtype or one.shape != two.shape or one.tobytes() != two.tobytes():
            raise SystemExit(f"old and new way differ: {type(first).__name__}.{name}")


def translated(pairing: CategoryMap, rows: Sequence[Detections]) -> list[Detections]:
    return [pairing.translate(each) for each in rows]


def measure(material: Material, turns: int, replicates: int) -> dict[str, tuple[float, float | None]]:
    """Return processor seconds of each step: the new way, and the old way where there is one."""
    index, sides = material.index, (("reference", material.whole, True), ("crop", material.crops, False))
    names = {key: f"category {key}" for key in IDS}
    pairing = reconcile(names, names, IDS)
    best: dict[tuple[str, str], float] = {}

    def keep(step: str, way: str, work: Callable[[], Any]) -> Any:
        seconds, result = timed(work)
        best[step, way] = min(seconds, best.get((step, way), np.inf))
        return result

    def one_turn() -> None:
        old = keep("objects", "old", lambda: objects_one_by_one(index))
        new = keep("objects", "new", lambda: build_objects(index, MIN_VISIBILITY))
        check_same(old, new, ("scored", "annotation", "visibility"))
        check_same(old.truth, new.truth, ("image", "category", "boxes", "area", "crowd", "ignored", "tight"))
        tables: dict[str, Detected] = {}
        for side, rows, whole in sides:
            one_by_one = partial(detected_one_by_one, index, rows, whole=whole)
            was = keep(f"detected, {side}", "old", one_by_one)
            at_once = partial(build_detected, index, rows, MIN_VISIBILITY, whole=whole)
            tables[side] = keep(f"detected, {side}", "new", at_once)
            check_same(was, tables[side], ("image", "category", "boxes", "score", "area", "stray"))
        how = {"images": len(index), "categories": IDS, "max_detections": 100, "beyond": True}
        matches = {
            side: keep(f"match, {side}", "new", partial(match, new.truth, table, **how))
            for side, table in tables.items()
        }
        for side, found in matches.items():
            keep(f"AP, {side}", "new", partial(average_precision, found))
        keep("category ids, both", "new", lambda: [translated(pairing, rows) for _, rows, _ in sides])
        if replicates:
            again = partial(resample, list(matches.values()), index.unit, replicates=replicates, seed=0)
            keep(f"resample, {replicates:,}", "new", again)

    for _ in range(turns):
        one_turn()
    steps = dict.fromkeys(step for step, _ in best)
    return {step: (best[step, "new"], best.get((step, "old"))) for step in steps}


def show(results: dict[str, tuple[float, float | None]], crops: int) -> None:
    print("| step | one by one, ms a crop | all at once, ms a crop | ratio |")
    print("|---|---|---|---|")

    def row(name: str, new: float, old: float | None) -> None:
        before = "" if old is None else f"{1000 * old / crops:.4f}"
        ratio = "" if old is None else f"{old / new:.1f}"
        print(f"| {name} | {before} | {1000 * new / crops:.4f} | {ratio} |")

    for step, (new, old) in results.items():
        row(step, new, old)
    scored = [each for step, each in results.items() if not step.startswith(("resample", "category"))]
    row("**tables, matching, AP**", sum(new for new, _ in scored), sum(old or new for new, old in scored))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, default=8000)
    parser.add_argument("--detections", type=int, default=100, help="in each whole image and in each crop")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--replicates", type=int, default=1000, help="0 leaves resampling out")
    parser.add_argument("--masks", action="store_true", help="every object has a mask")
    parser.add_argument("--growth", action="store_true", help="also at half and a quarter of the crops")
    given = parser.parse_args()
    for crops in [given.crops // 4, given.crops // 2, given.crops] if given.growth else [given.crops]:
        material = made_up(crops, given.detections, given.masks)
        load = ", ".join(f"{each:.1f}" for each in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
        objects = sum(len(sample.truth) for sample in material.index.samples)
        print(
            f"\n{len(material.index):,} crops of {len(material.whole):,} images, {objects:,} objects"
            f"{' with masks' if given.masks else ''}, {given.detections} detections in each; load {load}; "
            f"goal {GOAL} ms a crop\n"
        )
        show(measure(material, given.turns, given.replicates), len(material.index))


if __name__ == "__main__":
    main()
