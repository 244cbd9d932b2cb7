"""Processes against threads on the cores of one machine, and calls of ONNX Runtime at once against one on all threads.

CROPDET_ASSETS=FOLDER python benchmarks/processes.py              # medians of ratios of pairs, in some minutes
CROPDET_ASSETS=FOLDER python benchmarks/processes.py --pairs 9

Each pair runs two ways after one another on the same prepared images, so that a busy machine is busy for both:

- SavedModel: all calls in one process, which spreads each over the cores, and the calls divided among as many processes
  as there are cores. Below 1 the processes are faster.
- ONNX (fixtures/models/ssd.onnx): one call at a time on all threads, and ``threads=1`` with a call per core at once.
  Below 1 the calls at once are faster.

Where other programs want the cores too, more processes or threads get a larger part of them, so a ratio by the clock
flatters them. The ratio of processor time shows what is spent for the same answers.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
SIDE = 320  # px a side of the images


def images(count: int) -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8) for _ in range(count)]


def open_saved_model() -> Any:
    from pytest_cropdet import load_detector

    folder = Path(os.environ["CROPDET_ASSETS"])
    path = folder / "models" / "centernet_coco" / "saved_model"
    detector = load_detector(f"saved_model:{path}", labels=str(folder / "models" / "coco90_labelmap.txt"))
    detector.load()
    return detector


def serve(orders: Any, results: Any) -> None:
    """Detect in as many images as each order says, in a process of its own, until one says 0."""
    detector = open_saved_model()
    while count := orders.get():
        begun = time.process_time()
        detector(images(count))
        results.put(time.process_time() - begun)


Seconds = tuple[float, float]  # by the clock, and of the processor in all threads


def saved_model(cores: int, count: int, pairs: int) -> list[Seconds]:
    """Return seconds of processes / seconds of one process, for each pair."""
    context = multiprocessing.get_context("spawn")
    orders, results = context.Queue(), context.Queue()
    processes = [context.Process(target=serve, args=(orders, results)) for _ in range(cores)]
    for process in processes:
        process.start()
    detector = open_saved_model()

    def spread(each: int) -> Seconds:
        begun = time.perf_counter()
        for _ in processes:
            orders.put(each)
        busy = sum(results.get() for _ in processes)
        return time.perf_counter() - begun, busy

    def one(each: int) -> Seconds:
        return timed(lambda: detector(images(each)))

    spread(2), spread(2), one(2)  # all are loaded and warm
    ratios = []
    for place in range(pairs):
        if place % 2:
            there, here = spread(count // cores), one(count // cores * cores)
        else:
            here, there = one(count // cores * cores), spread(count // cores)
        ratios.append((there[0] / here[0], there[1] / here[1]))
    for _ in processes:
        orders.put(0)
    for process in processes:
        process.join()
    return ratios


def timed(work: Callable[[], Any]) -> Seconds:
    begun, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - busy


def onnx(cores: int, count: int, pairs: int) -> list[Seconds]:
    """Return seconds of calls at once with one thread each / seconds of one call at a time on all threads."""
    from pytest_cropdet import load_detector

    known = {"resize": "inside", "labels": str(ROOT / "fixtures" / "models" / "labels.txt")}
    path = ROOT / "fixtures" / "models" / "ssd.onnx"
    spread, single = load_detector(path, **known), load_detector(path, threads=1, **known)
    shown = [spread.adapter.prepare(each) for each in images(count)]

    def one_at_a_time() -> Seconds:
        return timed(lambda: [spread.answer([each]) for each in shown])

    def at_once() -> Seconds:
        with ThreadPoolExecutor(cores) as pool:
            return timed(lambda: list(pool.map(lambda each: single.answer([each]), shown)))

    one_at_a_time(), at_once()
    ratios = []
    for place in range(pairs):
        if place % 2:
            many, one = at_once(), one_at_a_time()
        else:
            one, many = one_at_a_time(), at_once()
        ratios.append((many[0] / one[0], many[1] / one[1]))
    return ratios


def main() -> None:
    from pytest_cropdet.detectors.cores import available_cores

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7, help="pairs of runs (7)")
    parser.add_argument(
        "--images", type=int, default=40, help="images in a run of the SavedModel; ONNX: five times (40)"
    )
    given = parser.parse_args()
    if not os.environ.get("CROPDET_ASSETS"):
        sys.exit("CROPDET_ASSETS names no folder of detectors")
    cores = available_cores()
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f}, {given.pairs} pairs\n")
    print("| what | clock, median | smallest | largest | processor time, median |\n|---|---|---|---|---|")
    for name, ratios in (
        (f"ONNX: {cores} calls at once, one thread each / all threads", onnx(cores, 5 * given.images, given.pairs)),
        (f"SavedModel: {cores} processes / one", saved_model(cores, given.images, given.pairs)),
    ):
        clock, busy = zip(*ratios, strict=True)
        print(
            f"| {name} | {statistics.median(clock):.2f} | {min(clock):.2f} | {max(clock):.2f} | "
            f"{statistics.median(busy):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
