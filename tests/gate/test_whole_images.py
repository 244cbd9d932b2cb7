"""AP of the whole images of a run: that of pycocotools on the uncut truth, from detections that the run has already."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest

from pytest_cropdet import run as run_gate
from pytest_cropdet.geometry import Crop
from tests.support import HEIGHT, WIDTH, loses_cut, made, opinions, small_run

METRICS = ("mAP", "AP50", "AP75")


def by_pycocotools(samples, found, ids):
    """mAP, AP50 and AP75 as pycocotools gives them, of the categories with these ids."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": place} for place in range(len(samples))],
            "categories": [{"id": key} for key in ids],
            "annotations": [
                {
                    "id": 1000 * place + row + 1,
                    "image_id": place,
                    "category_id": int(sample.truth.categories[row]),
                    "bbox": [*box[:2], *(box[2:] - box[:2])],
                    "area": float(np.prod(box[2:] - box[:2])),
                    "iscrowd": 0,
                }
                for place, sample in enumerate(samples)
                for row, box in enumerate(sample.truth.boxes)
            ],
        }
        coco.createIndex()
        rows = [
            [place, *box[:2], *(box[2:] - box[:2]), score, category]
            for place, each in enumerate(found)
            for box, score, category in zip(each.boxes, each.scores, each.categories, strict=True)
        ]
        evaluator = COCOeval(coco, coco.loadRes(np.array(rows)), "bbox")
        evaluator.params.catIds = list(ids)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats[:3]


@pytest.fixture(scope="module")
def data():
    return made(images=24, per_image=4)


@pytest.mark.parametrize("categories", [(), ("dog",)])
def test_it_is_that_of_pycocotools_and_costs_no_call_of_the_detector(data, categories):
    frame = Crop(0, 0, WIDTH, HEIGHT)
    given = [replace(each, boxes=frame.clip(each.boxes)) for each in opinions(data, loose=0.15)]
    detector = loses_cut(given)
    found = small_run(detector, data, replicates=100, explain="off", categories=categories)
    shown = len(detector.shown)
    numbers = found.whole_images
    assert len(detector.shown) == shown
    names = dict(data.categories)
    ids = [key for key, name in names.items() if not categories or name in categories]
    assert [numbers[name] for name in METRICS] == pytest.approx(by_pycocotools(list(data), given, ids), abs=1e-12)
    assert numbers["images"] == len(data)
    of_them = [key for sample in data for key in sample.truth.categories.tolist() if key in ids]
    assert (numbers["objects"], numbers["categories"]) == (len(of_them), len(set(of_them)))


def test_it_is_of_uncut_objects_and_so_not_the_reference(data):
    found = small_run(loses_cut(opinions(data, loose=0.15)), data, replicates=100, explain="off")
    assert found.whole_images["mAP"] != pytest.approx(found.ap["reference"], abs=1e-6)


def test_without_ground_truth_there_is_none(data):
    bare = made(images=24, per_image=4)
    bare.has_truth = False
    found = run_gate(loses_cut(opinions(data)), bare, crops="random:keep=0.5-0.9,per_image=2", replicates=100)
    assert found.agreement
    assert found.whole_images is None
