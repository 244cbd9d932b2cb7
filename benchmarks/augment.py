"""Images a second of crop augmentation, side by side in one run, as a Markdown table.

python benchmarks/augment.py                # the table of docs/augment.md, about two minutes
python benchmarks/augment.py --seconds 1    # quicker and noisier

The work is the same for all: a picture of 640x480 with eight boxes, a random window of 0.3 to 0.9 of both sides, boxes
clipped, those of which nothing (torchvision) or less than half shows sorted out, window resized to 320x240 (bilinear).
Each has a process of its own, which waits while the others have their turn; what counts is the ratio. Every library may
use one thread, tf.data two in its last row. Libraries that are not installed are skipped (``pip install torchvision
albumentations``).
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

WIDTH, HEIGHT, OBJECTS, PICTURES = 640, 480, 8, 32
TO_WIDTH, TO_HEIGHT, LOW, HIGH = 320, 240, 0.3, 0.9
Work = Callable[[int], None]  # augments so many pictures


def made() -> tuple[Any, Any, Any]:
    """Return pictures, boxes and categories."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (PICTURES, HEIGHT, WIDTH, 3), dtype=np.uint8)
    corners = rng.uniform(0, (WIDTH - 200, HEIGHT - 200), (PICTURES, OBJECTS, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(20, 200, corners.shape)], axis=-1)
    return images, boxes, np.ones((PICTURES, OBJECTS), np.int64)


def augmentation() -> Any:
    from pytest_cropdet.augment import Augmentation, Matched

    return Augmentation((Matched(f"random:keep={LOW}-{HIGH}"),), width=TO_WIDTH, height=TO_HEIGHT)


def ours_numpy() -> Work:
    from pytest_cropdet import GroundTruth

    images, boxes, categories = made()
    truths = [GroundTruth(*each) for each in zip(boxes, categories, strict=True)]
    crop = augmentation()

    def work(count: int) -> None:
        for index in range(count):
            crop(images[index % PICTURES], truths[index % PICTURES], index)

    return work


def ours_graph(threads: int) -> Work:
    import tensorflow as tf

    from pytest_cropdet.augment import padded_map

    images, boxes, categories = (tf.constant(part) for part in made())
    crop = padded_map(augmentation())
    indices = tf.data.Dataset.range(10**9)

    def sample(index: Any) -> Any:
        place = index % PICTURES
        return crop(images[place], boxes[place], categories[place], index)

    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    batches = indices.map(sample, num_parallel_calls=threads).batch(16).with_options(options)
    endless = iter(batches)

    def work(count: int) -> None:
        for _ in range(count // 16):
            next(endless)

    return work


def theirs_torchvision() -> Work:
    import torch
    from torchvision import tv_tensors
    from torchvision.transforms import v2

    torch.set_num_threads(1)
    images, boxes, categories = made()
    samples = [
        (
            tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1).contiguous()),
            {
                "boxes": tv_tensors.BoundingBoxes(
                    torch.from_numpy(box), format=tv_tensors.BoundingBoxFormat.XYXY, canvas_size=(HEIGHT, WIDTH)
                ),
                "labels": torch.from_numpy(labels),
            },
        )
        for image, box, labels in zip(images, boxes, categories, strict=True)
    ]
    crop = v2.Compose(
        [
            v2.RandomResizedCrop(
                (TO_HEIGHT, TO_WIDTH),
                scale=(LOW**2, HIGH**2),
                ratio=(WIDTH / HEIGHT, WIDTH / HEIGHT),
                antialias=False,
            ),
            v2.SanitizeBoundingBoxes(),
        ]
    )

    def work(count: int) -> None:
        for index in range(count):
            crop(*samples[index % PICTURES])

    return work


def theirs_albumentations() -> Work:
    import albumentations

    images, boxes, categories = made()
    crop = albumentations.Compose(
        [
            albumentations.RandomResizedCrop(
                size=(TO_HEIGHT, TO_WIDTH), scale=(LOW**2, HIGH**2), ratio=(WIDTH / HEIGHT, WIDTH / HEIGHT)
            )
        ],
        bbox_params=albumentations.BboxParams("pascal_voc", min_visibility=0.5, label_fields=["labels"]),
    )

    def work(count: int) -> None:
        for index in range(count):
            place = index % PICTURES
            crop(image=images[place], bboxes=boxes[place], labels=categories[place])

    return work


COMPETITORS: dict[str, tuple[str, Callable[[], Work]]] = {
    "pytest-cropdet, NumPy": ("pytest_cropdet", ours_numpy),
    "pytest-cropdet, tf.data, 1 thread": ("tensorflow", lambda: ours_graph(1)),
    "pytest-cropdet, tf.data, 2 threads": ("tensorflow", lambda: ours_graph(2)),
    "albumentations": ("albumentations", theirs_albumentations),
    "torchvision v2": ("torchvision", theirs_torchvision),
}


def serve(name: str, pipe: Any) -> None:
    """Measure for so many seconds whenever the pipe says so; 0 ends it."""
    import cv2

    cv2.setNumThreads(1)
    work = COMPETITORS[name][1]()
    work(64)
    pipe.send("ready")
    while seconds := pipe.recv():
        pipe.send(rate(work, seconds))


def rate(work: Work, seconds: float) -> float:
    """Return the pictures a second, over at least so many seconds."""
    done, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds:
        work(64)
        done += 64
    return done / passed


def main() -> None:
    parser = argparse.ArgumentParser(description="Images a second of crop augmentation.")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    pipes = {}
    spawn = multiprocessing.get_context("spawn")
    for name, (module, _) in COMPETITORS.items():
        if importlib.util.find_spec(module) is None:
            print(f"{name}: skipped, {module} is not installed")
            continue
        pipes[name], theirs = spawn.Pipe()
        spawn.Process(target=serve, args=(name, theirs), daemon=True).start()
        pipes[name].recv()
    rates: dict[str, list[float]] = {name: [] for name in pipes}
    for _ in range(given.turns):
        for name, pipe in pipes.items():
            pipe.send(given.seconds)
            rates[name].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(0)
    first = next(iter(rates))
    print("| | images a second | times the first row (turn by turn: median, least to most) |")
    print("|---|---|---|")
    for name, each in rates.items():
        ratios = [one / other for one, other in zip(each, rates[first], strict=True)]
        print(
            f"| {name} | {statistics.median(each):,.0f} | {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f}) |"
        )


if __name__ == "__main__":
    main()
