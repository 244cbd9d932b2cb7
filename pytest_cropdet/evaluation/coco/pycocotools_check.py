"""The same point numbers by pycocotools: a second opinion on our own evaluation (``--cropdet-verify``)."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pytest_cropdet.evaluation.coco.tables import Detected, Truth
from pytest_cropdet.geometry import areas, to_format

__all__ = ["TOLERANCE", "pycocotools_precision"]

TOLERANCE = 1e-9
# An area beyond every range makes pycocotools ignore a detection that matches nothing, and an object without making a
# crowd of it ('ignore' itself it overwrites by 'iscrowd').
BEYOND_EVERY_RANGE = 2e10


class _EitherBox(COCOeval):
    """pycocotools' evaluation with one change: IoU with a scored object is the larger of its two right boxes'."""

    tight: NDArray[np.float64]

    def computeIoU(self, imgId: int, catId: int) -> Any:  # noqa: N803
        """Return (detections, truths) IoU as pycocotools does, over both boxes of each object."""
        ious = super().computeIoU(imgId, catId)
        truth = self._gts[imgId, catId]
        if not len(ious) or not truth:
            return ious
        found = sorted(self._dts[imgId, catId], key=lambda each: -each["score"])[: self.params.maxDets[-1]]
        boxes = [self.tight[each["id"] - 1].tolist() for each in truth]
        crowd = [int(each["iscrowd"]) for each in truth]
        other = coco_mask.iou([each["bbox"] for each in found], boxes, crowd)
        return np.where(np.array(crowd, dtype=bool), ious, np.maximum(ious, other))


def pycocotools_precision(
    truth: Truth, detected: Detected, images: int, categories: Sequence[int], max_detections: int = 100
) -> NDArray[np.float64]:
    """Return (T, K): AP by IoU threshold and category, 0 to 1, NaN where a category has no scored object.

    ``max_detections``: how many of each image and category count.
    """
    boxes = to_format(truth.boxes, "xywh")
    annotations = [
        {
            "id": row + 1,
            "image_id": int(truth.image[row]) + 1,
            "category_id": int(truth.category[row]),
            "bbox": boxes[row].tolist(),
            "area": BEYOND_EVERY_RANGE if truth.ignored[row] else float(truth.area[row]),
            "iscrowd": int(truth.crowd[row]),
        }
        for row in range(len(truth))
    ]
    drawn, sizes = to_format(detected.boxes, "xywh"), areas(detected.boxes)
    results = [
        {
            "id": row + 1,
            "image_id": int(detected.image[row]) + 1,
            "category_id": int(detected.category[row]),
            "bbox": drawn[row].tolist(),
            "score": float(detected.score[row]),
            "area": BEYOND_EVERY_RANGE if detected.stray[row] else float(sizes[row]),
            "iscrowd": 0,
        }
        for row in range(len(detected))
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = _EitherBox(_coco(annotations, images, categories), _coco(results, images, categories), "bbox")
        evaluation.tight = to_format(truth.boxes if truth.tight is None else truth.tight, "xywh")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [max_detections]
        evaluation.params.catIds = sorted(categories)
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 0]
    values = np.where((precision > -1).all(axis=1), precision.mean(axis=1), np.nan)
    order = np.searchsorted(sorted(categories), list(categories))
    return np.asarray(values[:, order], dtype=np.float64)


def _coco(annotations: list[dict[str, Any]], images: int, categories: Sequence[int]) -> Any:
    found = COCO()
    found.dataset = {
        "images": [{"id": number + 1} for number in range(images)],
        "annotations": annotations,
        "categories": [{"id": int(key)} for key in categories],
    }
    found.createIndex()
    return found
