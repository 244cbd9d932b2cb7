"""Holds the merges of sliced inference against SAHI and ensemble-boxes on random boxes, and counts the differences.

    pip install sahi ensemble-boxes
    python benchmarks/merges.py [--images 400]
    python benchmarks/merges.py --speed    # our NMS in blocks beside the same NMS box by box; needs neither

docs/sliced.md has what it prints.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from typing import Any
from unittest import mock

import numpy as np

from pytest_cropdet.detectors import merges
from pytest_cropdet.detectors.merges import Pieces, Rule, merge_pieces

THRESHOLD = 0.4


def drawn(seed: int) -> Pieces:
    """Return up to 29 boxes of two categories, in whole pixels, as from several tiles."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 30))
    corner, sides = rng.integers(0, 200, (count, 2)), rng.integers(5, 90, (count, 2))
    boxes = np.concatenate([corner, corner + sides], axis=1).astype(np.float64)
    scores, categories = np.round(rng.random(count) * 0.99 + 0.005, 4), rng.integers(1, 3, count)
    return Pieces(boxes, scores, categories, np.zeros(count, np.int64), np.zeros((count, 4), dtype=bool))


def of_sahi(pieces: Pieces, name: str, metric: str) -> list[tuple[float, ...]]:
    """Return SAHI's boxes, scores and categories, sorted."""
    from sahi.postprocess.combine import GreedyNMMPostprocess, NMMPostprocess, NMSPostprocess
    from sahi.prediction import ObjectPrediction

    merge = {"nms": NMSPostprocess, "nmm": NMMPostprocess, "greedy-nmm": GreedyNMMPostprocess}[name]
    given = [
        ObjectPrediction(
            bbox=box, score=score, category_id=category, category_name=str(category), full_shape=[400, 400]
        )
        for box, score, category in zip(
            pieces.boxes.tolist(), pieces.scores.tolist(), pieces.categories.tolist(), strict=True
        )
    ]
    found = merge(match_threshold=THRESHOLD, match_metric=metric.upper(), class_agnostic=False)(given)
    return sorted((*each.bbox.to_xyxy(), float(each.score.value), each.category.id) for each in found)


def of_ensemble_boxes(pieces: Pieces) -> list[tuple[float, ...]]:
    """Return the boxes, scores and categories of weighted boxes fusion, sorted."""
    from ensemble_boxes import weighted_boxes_fusion

    boxes, scores, categories = weighted_boxes_fusion(
        [(pieces.boxes / 400).tolist()],
        [pieces.scores.tolist()],
        [pieces.categories.tolist()],
        iou_thr=THRESHOLD,
        conf_type="max",
    )
    rows = zip((boxes * 400).tolist(), scores.tolist(), categories.tolist(), strict=True)
    return sorted((*box, score, int(category)) for box, score, category in rows)


def ours(pieces: Pieces, name: str, metric: str) -> list[tuple[float, ...]]:
    """Return our boxes, scores and categories, sorted."""
    found = merge_pieces(pieces, Rule(name, THRESHOLD, metric))
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.categories.tolist(), strict=True)
    return sorted((*box, score, category) for box, score, category in rows)


def agree(first: Any, second: Any) -> bool:
    """Return whether two answers are the same to float32."""
    return len(first) == len(second) and bool(np.allclose(first, second, atol=1e-3))


def speed(rounds: int = 9) -> None:
    """Print the time of NMS of one image's boxes, in blocks and with one box a block, in turn, and the ratio."""
    print("| boxes | box by box, ms | in blocks, ms | ratio |\n|---|---|---|---|")
    for count in (30, 285, 2000):
        rng = np.random.default_rng(count)
        corner = rng.random((count, 2)) * 620
        boxes = np.concatenate([corner, corner + 20], axis=1)
        ones = np.ones(count, np.int64)
        pieces = Pieces(boxes, rng.random(count), ones, ones, np.zeros((count, 4), dtype=bool))
        times: dict[int, list[float]] = {1: [], merges.NMS_ROWS: []}
        for _ in range(rounds):
            for rows, taken in times.items():
                with mock.patch.object(merges, "NMS_ROWS", rows):
                    begun = time.perf_counter()
                    merge_pieces(pieces, Rule("nms", 0.5, "iou"))
                    taken.append(1000 * (time.perf_counter() - begun))
        single, blocks = (statistics.median(taken) for taken in times.values())
        print(f"| {count:,} | {single:.2f} | {blocks:.2f} | {single / blocks:.1f} |")


def main() -> None:
    """Count on how many images each rule agrees with its namesake."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--speed", action="store_true", help="the speed of NMS in blocks, and nothing else")
    given = parser.parse_args()
    if given.speed:
        speed()
        return
    images = given.images
    same = Counter[tuple[str, str]]()
    for seed in range(images):
        pieces = drawn(seed)
        for name in ("nms", "nmm", "greedy-nmm"):
            for metric in ("iou", "ios"):
                same[name, metric] += agree(ours(pieces, name, metric), of_sahi(pieces, name, metric))
        same["wbf", "iou"] += agree(ours(pieces, "wbf", "iou"), of_ensemble_boxes(pieces))
    print("| merge | metric | equal |\n|---|---|---|")
    for (name, metric), count in same.items():
        print(f"| `{name}` | {metric} | {count} of {images} |")


if __name__ == "__main__":
    main()
