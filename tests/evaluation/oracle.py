"""pycocotools asked the same question as ours."""

from __future__ import annotations

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pytest_cropdet.evaluation import COCO_AREA_RANGES, Detected, Truth

NAMES = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
NOWHERE = 1e11  # outside of every area range


def coco_of(truth: Truth, images: int, categories: list[int]) -> COCO:
    sides = truth.boxes[:, 2:] - truth.boxes[:, :2]
    boxes = np.concatenate([truth.boxes[:, :2], sides], axis=1)
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i} for i in range(images)],
        "categories": [{"id": int(k), "name": str(k)} for k in categories],
        "annotations": [
            {
                "id": row + 1,  # an id of 0 would read as unmatched
                "image_id": int(truth.image[row]),
                "category_id": int(truth.category[row]),
                "bbox": boxes[row].tolist(),
                "area": NOWHERE if truth.ignored[row] else float(truth.area[row]),
                "iscrowd": int(truth.crowd[row]),
            }
            for row in range(len(truth))
        ],
    }
    coco.createIndex()
    return coco


def results_of(coco: COCO, detected: Detected) -> COCO:
    sides = detected.boxes[:, 2:] - detected.boxes[:, :2]
    boxes = np.concatenate([detected.boxes[:, :2], sides], axis=1)
    results = COCO()
    results.dataset = {
        "images": coco.dataset["images"],
        "categories": coco.dataset["categories"],
        "annotations": [
            {
                "id": row + 1,
                "image_id": int(detected.image[row]),
                "category_id": int(detected.category[row]),
                "bbox": boxes[row].tolist(),
                "area": NOWHERE if detected.stray[row] else float(detected.area[row]),
                "score": float(detected.score[row]),
                "iscrowd": 0,
            }
            for row in range(len(detected))
        ],
    }
    results.createIndex()
    return results


def pycocotools(
    truth: Truth,
    detected: Detected,
    images: int,
    categories: list[int],
    areas: tuple[str, ...] = ("all",),
    caps: tuple[int, ...] = (1, 10, 100),
) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = coco_of(truth, images, categories)
        run = COCOeval(coco, results_of(coco, detected), "bbox")
        run.params.imgIds = list(range(images))
        run.params.catIds = list(categories)
        run.params.areaRng = [list(COCO_AREA_RANGES[area]) for area in areas]
        run.params.areaRngLbl = list(areas)
        run.params.maxDets = list(caps)
        run.evaluate()
        run.accumulate()
    return run


def precision_of(run: COCOeval, area: int = 0) -> np.ndarray:
    """(T, K) AP at the largest cap, NaN where pycocotools says -1."""
    precision = run.eval["precision"][:, :, :, area, -1]
    return np.where(precision[:, 0] < 0, np.nan, precision.mean(axis=1))


def recall_of(run: COCOeval, area: int = 0, cap: int = -1) -> np.ndarray:
    """(T, K) recall at the ``cap``-th cap, NaN where pycocotools says -1."""
    found = run.eval["recall"][:, :, area, cap]
    return np.where(found < 0, np.nan, found)


def table_of(run: COCOeval, detections: int, area: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether each detection is kept (D,), which truth row it matched (T, D), whether it is ignored (T, D)."""
    levels = len(run.params.iouThrs)
    kept = np.zeros(detections, dtype=bool)
    matched = np.full((levels, detections), -1)
    ignored = np.zeros((levels, detections), dtype=bool)
    for entry in run.evalImgs:
        if entry is not None and entry["aRng"] == run.params.areaRng[area]:
            rows = np.array(entry["dtIds"], dtype=int) - 1
            kept[rows] = True
            matched[:, rows] = entry["dtMatches"] - 1
            ignored[:, rows] = entry["dtIgnore"]
    return kept, matched, ignored


def twelve(truth: Truth, detected: Detected, images: int, categories: list[int]) -> dict[str, float]:
    return summary_of(pycocotools(truth, detected, images, categories, tuple(COCO_AREA_RANGES)))


def summary_of(run: COCOeval) -> dict[str, float]:
    with contextlib.redirect_stdout(io.StringIO()):
        run.summarize()
    return {name: float("nan") if x < 0 else float(x) for name, x in zip(NAMES, run.stats, strict=True)}
