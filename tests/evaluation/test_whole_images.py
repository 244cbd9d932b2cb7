"""AP of whole images: number by number that of pycocotools."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pytest_cropdet.data import Detections, GroundTruth, Sample
from pytest_cropdet.evaluation import whole_image_ap
from pytest_cropdet.geometry import Crop
from tests.support import HEIGHT, NAMES, WIDTH, made, opinions


def by_pycocotools(samples, found):
    coco = COCO()
    annotations = []
    for number, each in enumerate(samples):
        for box, category, area, crowd in zip(
            each.truth.boxes, each.truth.categories, each.truth.areas, each.truth.crowd, strict=True
        ):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(category),
                    "bbox": [*box[:2], *(box[2:] - box[:2])],
                    "area": float(area),
                    "iscrowd": int(crowd),
                }
            )
    coco.dataset = {
        "images": [{"id": number} for number in range(len(samples))],
        "categories": [{"id": key, "name": name} for key, name in NAMES.items()],
        "annotations": annotations,
    }
    rows = [
        [number, *box[:2], *(box[2:] - box[:2]), score, category]
        for number, each in enumerate(found)
        for box, score, category in zip(each.boxes, each.scores, each.categories, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes(np.array(rows)), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats[:2]


def test_map_and_ap50_are_those_of_pycocotools():
    data = made(images=20, per_image=4)
    samples = list(data)
    truth = samples[0].truth
    crowd = GroundTruth(truth.boxes, truth.categories, crowd=[True, False, False, False])
    samples[0] = Sample("crowd", WIDTH, HEIGHT, crowd, samples[0].read)
    frame = Crop(0, 0, WIDTH, HEIGHT)
    found = [replace(each, boxes=frame.clip(each.boxes)) for each in opinions(data, loose=0.15)]
    ours = whole_image_ap(samples, found, NAMES)
    assert [ours.mAP, ours.AP50] == pytest.approx(by_pycocotools(samples, found), abs=1e-12)
    assert 0.1 < ours.mAP < ours.AP50 < 0.9


def test_what_lies_outside_of_the_image_is_cut_off():
    truth = GroundTruth([[60, 0, WIDTH, 40]], [3])
    sample = Sample("a", WIDTH, HEIGHT, truth, lambda: np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    found = Detections([[60, 0, WIDTH + 60, 40]], [0.9], [3])
    assert whole_image_ap([sample], [found], NAMES).mAP == pytest.approx(1.0)


def test_without_objects_it_is_undefined():
    sample = Sample("a", WIDTH, HEIGHT, GroundTruth.empty(), lambda: np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    assert np.isnan(whole_image_ap([sample], [Detections.empty()], NAMES).mAP)
