"""Federated COCO JSON as LVIS has it: what is not checked in an image is no false positive there."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_cropdet import Crop, Detections
from pytest_cropdet.crops import Plan
from pytest_cropdet.data import load_dataset
from pytest_cropdet.errors import DataError
from pytest_cropdet.evaluation import CropIndex, average_precision, build_detected, build_objects, match, unchecked
from tests.data.pictures import encoded, quadrants

NAMES = {1: "cat", 2: "dog", 3: "bird"}


def lvis(folder, images=2, **changes):
    """Images of 48 x 32 with a cat each; in the first, dogs are known to be absent, and birds were not looked for."""
    entries = [
        {
            "id": number,
            "coco_url": f"http://images.cocodataset.org/val2017/{number}.png",
            "width": 48,
            "height": 32,
            "neg_category_ids": [2],
            "not_exhaustive_category_ids": [],
            **changes,
        }
        for number in range(1, images + 1)
    ]
    for entry in entries:
        (folder / f"{entry['id']}.png").write_bytes(encoded(quadrants()))
    annotations = [
        {"id": number, "image_id": number, "category_id": 1, "bbox": [4, 4, 20, 20], "area": 400}
        for number in range(1, images + 1)
    ]
    content = {
        "images": entries,
        "annotations": annotations,
        "categories": [{"id": key, "name": name, "frequency": "r"} for key, name in NAMES.items()],
    }
    path = folder / "lvis.json"
    path.write_text(json.dumps(content))
    return path


def test_what_an_image_says_of_its_categories_is_read(tmp_path):
    (sample, _) = load_dataset(lvis(tmp_path))
    assert sample.id == "1.png"
    assert sample.checked == {1, 2}
    (sample, _) = load_dataset(lvis(tmp_path, not_exhaustive_category_ids=[1]))
    assert sample.checked == {2}
    assert load_dataset(lvis(tmp_path, neg_category_ids=None))[0].checked == {1}


@pytest.mark.parametrize("value", [7, ["x"], [1.5], {"a": 1}])
def test_a_list_of_categories_that_is_none_is_refused(tmp_path, value):
    with pytest.raises(DataError, match=r"images\[0\]: neg_category_ids must be a list of whole numbers"):
        load_dataset(lvis(tmp_path, neg_category_ids=value))


def lvis_outcome(detections, truth, negative, partly):
    """Right, wrong or ignored, of detections of one image, by LVIS's rules, written down anew.

    A category is evaluated in an image only where it is positive (has an object there) or negative; of one that is not
    exhaustively annotated, what matches nothing is ignored.
    """
    positive = {kind for kind, _ in truth}
    free, outcome = list(truth), []
    for kind, box in detections:
        if kind not in positive | negative:
            outcome.append("ignored")
            continue
        hit = next((each for each in free if each[0] == kind and each[1] == box), None)
        if hit is not None:
            free.remove(hit)
            outcome.append("right")
        else:
            outcome.append("ignored" if kind in partly else "wrong")
    return outcome


@pytest.mark.parametrize("partly", [[], [1], [1, 2], [3]])
@pytest.mark.parametrize("negative", [[], [2], [2, 3]])
def test_detections_come_out_as_by_the_rules_of_lvis(tmp_path, negative, partly):
    data = load_dataset(lvis(tmp_path, neg_category_ids=negative, not_exhaustive_category_ids=partly))
    whole = Crop(0, 0, 48, 32)
    index = CropIndex.of(list(data), Plan("x", 0, "random", {sample.id: (whole,) for sample in data}))
    hit, miss = [4.0, 4.0, 24.0, 24.0], [30.0, 5.0, 40.0, 15.0]
    rows = [(1, hit), (1, miss), (2, hit), (2, miss), (3, miss)]
    found = Detections([box for _, box in rows], np.linspace(0.9, 0.5, len(rows)), [kind for kind, _ in rows])
    detected = build_detected(index, [found, found], 0.5, whole=True)
    matches = match(build_objects(index, 0.5).truth, detected, images=2, categories=[1, 2, 3])
    kept = matches.rows.tolist()
    got = {
        row: "ignored" if matches.ignored()[0][place] else "right" if matches.truth_of()[0][place] >= 0 else "wrong"
        for place, row in enumerate(kept)
    }
    expected = lvis_outcome(rows, [(1, hit)], {*negative}, {*partly})
    assert [got[row] for row in range(len(rows))] == expected


def test_a_stray_box_of_an_unchecked_category_costs_nothing_and_elsewhere_it_does(tmp_path):
    whole = Crop(0, 0, 48, 32)
    values = []
    for negative in ([], [3]):
        data = load_dataset(lvis(tmp_path, neg_category_ids=negative))
        index = CropIndex.of(list(data), Plan("x", 0, "random", {sample.id: (whole,) for sample in data}))
        objects = build_objects(index, 0.5)
        bird = Detections([[4, 4, 24, 24], [30, 5, 40, 15]], [0.5, 0.9], [1, 3])
        detected = build_detected(index, [bird, bird], 0.5, whole=True)
        assert unchecked(index, detected).tolist() == [False, not negative] * 2
        matches = match(objects.truth, detected, images=2, categories=[1, 3])
        values.append((average_precision(matches).mean(), int((~matches.ignored()[0]).sum())))
    assert values == [(1.0, 2), (1.0, 4)]


def test_sets_that_say_nothing_are_checked_in_every_category(tmp_path):
    path = lvis(tmp_path)
    content = json.loads(path.read_text())
    for entry in content["images"]:
        del entry["neg_category_ids"], entry["not_exhaustive_category_ids"]
    path.write_text(json.dumps(content))
    assert [sample.checked for sample in load_dataset(path)] == [None, None]
