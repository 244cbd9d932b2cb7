"""How fast and how large: the evaluation core against pycocotools, in one run, on made-up detections.

    python benchmarks/evaluation.py            # 500 and 5,000 images, some minutes
    python benchmarks/evaluation.py --quick    # 500 images
    python benchmarks/evaluation.py --full     # and how time and memory grow, up to 20,000 images

Times are processor times, the least of several turns taken in alternation; pycocotools is timed from ``evaluate`` to
``accumulate``, with its index made. Memory is the peak of a process of its own over its bare imports, input included.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from pytest_cropdet.evaluation import (
    ALL_AREAS,
    COCO_AREA_RANGES,
    Detected,
    Matches,
    Truth,
    average_precision,
    coco_summary,
    match,
    resample,
)
from pytest_cropdet.evaluation.coco import bootstrap as resampling

CATEGORIES = 80
WIDTH, HEIGHT = 640.0, 480.0


def synthetic(images: int, seed: int = 0, *, crowds: float = 0.01) -> tuple[Truth, Detected]:
    """Make truth and detections of ``images`` images: 80 categories, about 7 objects and 98 detections an image.

    Categories are as unequal as COCO's; an image shows about three of them. Objects are found with jittered boxes,
    some twice, and the rest of the detections are false, half of them of a category that the image shows.
    """
    rng = np.random.default_rng(seed)
    frequency = 1.0 / np.arange(1, CATEGORIES + 1)
    frequency /= frequency.sum()
    shown = rng.choice(CATEGORIES, p=frequency, size=(images, 3)) + 1

    image = np.repeat(np.arange(images), rng.negative_binomial(2, 2 / 9, size=images))
    category = shown[image, rng.integers(3, size=len(image))]
    size = np.clip(np.exp(rng.normal(4.2, 0.9, (len(image), 2))), 4, 400)
    corner = rng.random((len(image), 2)) * (np.array([WIDTH, HEIGHT]) - size)
    boxes = np.concatenate([corner, corner + size], axis=1)
    truth = Truth(
        image,
        category,
        boxes,
        size.prod(axis=1) * rng.uniform(0.5, 1.0, len(image)),
        rng.random(len(image)) < crowds,
        np.zeros(len(image), dtype=bool),
    )

    skill = rng.uniform(0.3, 0.9, CATEGORIES + 1)
    found = np.repeat(np.arange(len(image)), rng.binomial(2, skill[category]))
    noise = rng.gamma(1.5, 0.05, (len(found), 1))
    near = boxes[found] + rng.normal(0, 1, (len(found), 4)) * noise * np.tile(size[found], 2)
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
    near_score = np.clip(rng.beta(4, 3, len(found)) - noise[:, 0], 0.01, 1)

    missing = np.maximum(98 - np.bincount(image[found], minlength=images), 0)
    elsewhere = np.repeat(np.arange(images), missing)
    false_size = np.clip(np.exp(rng.normal(4.2, 0.9, (len(elsewhere), 2))), 4, 400)
    false_corner = rng.random((len(elsewhere), 2)) * (np.array([WIDTH, HEIGHT]) - false_size)
    false_category = np.where(
        rng.random(len(elsewhere)) < 0.5,
        shown[elsewhere, rng.integers(3, size=len(elsewhere))],
        rng.choice(CATEGORIES, p=frequency, size=len(elsewhere)) + 1,
    )
    all_images = np.concatenate([image[found], elsewhere])
    order = rng.permutation(len(all_images))
    order = order[np.argsort(all_images[order], kind="stable")]
    detected = Detected(
        all_images[order],
        np.concatenate([category[found], false_category])[order],
        np.concatenate([near, np.concatenate([false_corner, false_corner + false_size], axis=1)])[order],
        np.concatenate([near_score, rng.beta(1.2, 6, len(elsewhere))])[order],
    )
    return truth, detected


EIGHTY = list(range(1, CATEGORIES + 1))
AREAS = {"all": ALL_AREAS, "twelve": COCO_AREA_RANGES}
NUMPY_ALONE, NUMBA_ALWAYS = 1 << 60, 0


def worse(detected: Detected) -> Detected:
    """The same detections with boxes a little off: what a crop's may be."""
    shifted = detected.boxes + np.random.default_rng(1).normal(0, 3, detected.boxes.shape)
    return Detected(detected.image, detected.category, shifted, detected.score)


def with_pycocotools(truth: Truth, detected: Detected, images: int) -> Callable[[str], None]:
    """Return what evaluates with pycocotools, for the area range ``all`` or for all twelve numbers."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def table(rows: Truth | Detected, names: Sequence[str], *values: Any) -> COCO:
        boxes = np.concatenate([rows.boxes[:, :2], rows.boxes[:, 2:] - rows.boxes[:, :2]], axis=1).tolist()
        columns = zip(rows.image.tolist(), rows.category.tolist(), boxes, rows.area.tolist(), *values, strict=True)
        keys = ["id", "image_id", "category_id", "bbox", "area", *names]
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in range(images)],
            "categories": [{"id": k, "name": str(k)} for k in EIGHTY],
            "annotations": [dict(zip(keys, (row, *column), strict=True)) for row, column in enumerate(columns, 1)],
        }
        with contextlib.redirect_stdout(io.StringIO()):
            coco.createIndex()
        return coco

    objects = table(truth, ["iscrowd"], truth.crowd.astype(int).tolist())
    found = table(detected, ["score", "iscrowd"], detected.score.tolist(), [0] * len(detected))

    def run(areas: str) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(objects, found, "bbox")
            evaluation.params.areaRng = [list(limits) for limits in AREAS[areas].values()]
            evaluation.params.areaRngLbl = list(AREAS[areas])
            evaluation.evaluate()
            evaluation.accumulate()

    return run


def ours(truth: Truth, detected: Detected, images: int, areas: str) -> Matches:
    matches = match(truth, detected, images=images, categories=EIGHTY, area_ranges=AREAS[areas])
    if areas == "all":
        average_precision(matches)
    else:
        coco_summary(matches)
    return matches


def replicate(tables: Sequence[Matches], replicates: int, worth_numba: int) -> None:
    resampling.WORTH_NUMBA = worth_numba
    resample(tables, np.arange(tables[0].images), replicates=replicates, seed=0)


def least(jobs: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Return the least processor seconds of each job, the jobs taking turns."""
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(turns):
        for name, job in jobs.items():
            start = time.process_time()
            job()
            best[name] = min(best[name], time.process_time() - start)
    return best


def speed(images: int) -> list[tuple[str, str, str]]:
    """Return rows of the table: what, measured, wanted."""
    truth, detected = synthetic(images)
    theirs = with_pycocotools(truth, detected, images)
    tables = [ours(truth, detected, images, "all"), ours(truth, worse(detected), images, "all")]
    jobs: dict[str, Callable[[], object]] = {
        "pycocotools": lambda: theirs("all"),
        "ours": lambda: ours(truth, detected, images, "all"),
        "numpy": lambda: replicate(tables, 1000, NUMPY_ALONE),
    }
    if find_spec("numba"):
        replicate(tables, 2, NUMBA_ALWAYS)  # compiles
        jobs["numba"] = lambda: replicate(tables, 1000, NUMBA_ALWAYS)
    turns = 8 if images < 2000 else 3
    one = least(jobs, turns)
    twelve = least(
        {
            "pycocotools": lambda: theirs("twelve"),
            "ours": lambda: ours(truth, detected, images, "twelve"),
        },
        max(turns // 4, 1),
    )
    return [
        ("one evaluation, area = all", f"{one['pycocotools'] / one['ours']:.0f} times faster", ">= 60"),
        ("all twelve numbers", f"{twelve['pycocotools'] / twelve['ours']:.0f} times faster", ">= 20"),
        ("1000 paired replicates, NumPy", f"{one['numpy'] / one['pycocotools']:.3f} of one evaluation", "<= 0.25"),
        (
            "1000 paired replicates, numba",
            f"{one['numba'] / one['pycocotools']:.3f} of one evaluation" if "numba" in one else "not installed",
            "<= 0.06",
        ),
        ("  (pycocotools, one evaluation)", f"{one['pycocotools']:.2f} s", ""),
    ]


def peak(job: str, images: int, replicates: int = 1000) -> float:
    """Return the MB that a job needs, its input included, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        truth, detected = synthetic(images)
        np.savez(Path(folder) / "truth.npz", **{k: v for k, v in vars(truth).items() if v is not None})
        np.savez(Path(folder) / "detected.npz", **vars(detected))
        command = [sys.executable, __file__, "--child", job, str(images), str(replicates), folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout))


def child(job: str, images: int, replicates: int, folder: str) -> None:
    """Do one job and print how much memory it took."""
    importlib.import_module("pycocotools.cocoeval")  # imports do not count, neither ours nor theirs
    before = resident("VmHWM")
    with np.load(Path(folder) / "truth.npz") as file:
        truth = Truth(**{name: file[name] for name in file.files})
    with np.load(Path(folder) / "detected.npz") as file:
        detected = Detected(**{name: file[name] for name in file.files})
    if job.startswith("pycocotools"):
        with_pycocotools(truth, detected, images)(job.split()[1])
    elif job == "replicates":
        tables = [ours(truth, detected, images, "all"), ours(truth, worse(detected), images, "all")]
        replicate(tables, replicates, NUMPY_ALONE)
    else:
        ours(truth, detected, images, job)
    print(json.dumps((resident("VmHWM") - before) / 1024))


def resident(field: str) -> int:
    """Return a line of this process's status in KB; Linux only (``ru_maxrss`` starts with the parent's peak)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def memory(images: int) -> list[tuple[str, str, str]]:
    """Return rows of the table: what, measured, wanted."""
    theirs = {areas: peak(f"pycocotools {areas}", images) for areas in AREAS}
    rows = []
    for what, job, areas in (
        ("peak memory, one evaluation", "all", "all"),
        ("peak memory, all twelve numbers", "twelve", "twelve"),
        ("peak memory, 1000 paired replicates", "replicates", "all"),
    ):
        mine = peak(job, images)
        rows.append((what, f"{mine / theirs[areas]:.2f} of pycocotools' ({mine:.0f} MB)", "<= 0.25"))
    return rows


def growth() -> None:
    """Print how time and memory grow with the images, and memory with the replicates."""
    print(f"\n{'images':>8} {'evaluation':>14} {'1000 replicates':>18} {'peak, replicates':>20}")
    for images in (1250, 2500, 5000, 10000, 20000):
        truth, detected = synthetic(images)
        tables = [ours(truth, detected, images, "all"), ours(truth, worse(detected), images, "all")]
        took = least(
            {
                "one": lambda t=truth, d=detected, n=images: ours(t, d, n, "all"),  # type: ignore[misc]
                "replicates": lambda tables=tables: replicate(tables, 1000, NUMPY_ALONE),  # type: ignore[misc]
            },
            3,
        )
        each = 1e6 / images
        print(
            f"{images:>8} {took['one'] * each:>7.0f} us/image {took['replicates'] * each:>11.0f} us/image"
            f" {peak('replicates', images) * 1024 / images:>11.1f} KB/image"
        )
    print("\npeak memory of n paired replicates of 5,000 images:", end=" ")
    print(", ".join(f"{n}: {peak('replicates', 5000, n):.0f} MB" for n in (250, 1000, 4000)))


def main() -> None:
    # A script's own folder comes first on the path, and numba would take its neighbour coverage.py for the library.
    here = Path(__file__).resolve().parent
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != here]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="500 images only")
    parser.add_argument("--full", action="store_true", help="growth with images and replicates as well")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        job, images, replicates, folder = options.child
        child(job, int(images), int(replicates), folder)
        return
    for images in (500,) if options.quick else (500, 5000):
        print(f"\n{images:,} images, 80 categories, about 7 objects and 98 detections an image", flush=True)
        for rows in (speed, memory):
            for what, measured, wanted in rows(images):
                print(f"  {what:<38} {measured:<38} {wanted}", flush=True)
    if options.full:
        growth()


if __name__ == "__main__":
    main()
