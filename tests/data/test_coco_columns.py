"""COCO annotations as columns: read at once or one by one, the samples are the same; no object is kept for each."""

from __future__ import annotations

import copy
import gc
import json
import tracemalloc

import numpy as np
import pytest

from pytest_cropdet.data import load_dataset
from pytest_cropdet.data.coco_columns import PackedMasks, area_column, box_column, flag_column, whole_columns
from pytest_cropdet.errors import DataError
from pytest_cropdet.geometry import Mask
from tests.data import writers
from tests.support import made

KNOWN = made(6)
ODD = {  # values that are read as those of the set are, but not at once
    "id": float,
    "image_id": float,
    "category_id": float,
    "iscrowd": str,
}


def shown(dataset):
    return [(each.id, each.width, each.height, repr(each.truth)) for each in dataset]


@pytest.mark.parametrize("key", [*ODD, "none"])
def test_one_odd_value_changes_how_a_set_is_read_and_nothing_else(tmp_path, key):
    path = writers.coco(tmp_path, list(KNOWN), KNOWN.categories)
    content = json.loads(path.read_text())
    known = shown(load_dataset(path))
    assert sum(len(each.truth) for each in KNOWN) > 3
    odd = copy.deepcopy(content)
    if key in ODD:
        odd["annotations"][-1][key] = ODD[key](odd["annotations"][-1][key])
    if key == "none":
        for each in odd["annotations"]:
            each.update(area=None, iscrowd=None)
        whole = json.loads(path.read_text())
        for each in whole["annotations"]:
            del each["area"], each["iscrowd"]
        path.write_text(json.dumps(whole))
        known = shown(load_dataset(path))
    path.write_text(json.dumps(odd))
    assert shown(load_dataset(path)) == known


@pytest.mark.parametrize(
    ("read", "entries"),
    [
        (box_column, [{"bbox": [0, 0, 1, 1]}, {"bbox": [0, 0, "1", 1]}]),
        (box_column, [{"bbox": [0, 0, 1]}]),
        (box_column, [{"bbox": [0, 0, 1, -1]}]),
        (box_column, [{"bbox": [0, 0, 1, float("nan")]}]),
        (box_column, [{"bbox": [0, 0, 1, 10**400]}]),
        (box_column, [{"bbox": [True, 0, 1, 1]}]),
        (box_column, [{}]),
        (area_column, [{"area": -1}]),
        (area_column, [{"area": float("nan")}]),
        (area_column, [{"area": "1"}]),
        (area_column, [{"area": True}]),
        (lambda entries: flag_column(entries, "iscrowd"), [{"iscrowd": 2}]),
        (lambda entries: flag_column(entries, "iscrowd"), [{"iscrowd": "0"}]),
        (lambda entries: whole_columns(entries, ["id"]), [{"id": 1.0}]),
        (lambda entries: whole_columns(entries, ["id"]), [{"id": True}]),
        (lambda entries: whole_columns(entries, ["id"]), [{"id": 1 << 63}]),
        (lambda entries: whole_columns(entries, ["id"]), [{}]),
    ],
)
def test_no_column_is_made_of_what_must_be_looked_at(read, entries):
    assert read(entries) is None


def test_columns_are_the_values():
    entries = [{"bbox": [0, 1.5, 2, 3], "area": 4, "iscrowd": 1, "id": 7}, {"bbox": [1, 1, 1, 1], "id": -3}]
    assert box_column(entries).tolist() == [[0, 1.5, 2, 3], [1, 1, 1, 1]]
    np.testing.assert_array_equal(area_column(entries), [4, np.nan])
    assert flag_column(entries, "iscrowd").tolist() == [True, False]
    assert whole_columns(entries, ["id"])[0].tolist() == [7, -3]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"id": 1}, "annotation 1: the id is given twice"),
        ({"image_id": 99}, "no image has the id 99"),
        ({"category_id": 99}, "unknown category 99"),
    ],
)
def test_a_table_of_whole_numbers_is_still_checked(tmp_path, change, text):
    path = writers.coco(tmp_path, list(KNOWN), KNOWN.categories)
    content = json.loads(path.read_text())
    content["annotations"][-1].update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=text):
        load_dataset(path)


def test_packed_masks_are_the_masks():
    dice = np.random.default_rng(0)
    known = [Mask.encode(dice.random((5, 7 + row)) > 0.5) if row % 3 else None for row in range(9)]
    frames = np.array([[7.0 + row, 5.0] for row in range(9)])
    packed = PackedMasks(frames)
    for row, mask in enumerate(known):
        packed.put(row, mask)
    assert packed.masks(range(9)) == tuple(known)
    order = np.array([8, 3, 1, 2])
    assert packed.take(order).masks(range(4)) == tuple(known[row] for row in order)
    packed.drop(np.array([1]))
    assert packed.rows.tolist() == [2, 4, 5, 7, 8]


@pytest.mark.parametrize("with_masks", [False, True])
def test_no_object_is_kept_for_each_annotation(tmp_path, with_masks):
    path = writers.coco(tmp_path, list(KNOWN), KNOWN.categories)
    content = json.loads(path.read_text())
    entry = content["images"][0]
    mask = Mask.encode(np.pad(np.ones((4, 4)), ((2, entry["height"] - 6), (3, entry["width"] - 7))))
    first = {
        "image_id": entry["id"],
        "category_id": content["categories"][0]["id"],
        "bbox": [3, 2, 4, 4],
        "area": 16,
        "iscrowd": 0,
        "segmentation": {**mask.rle, "counts": mask.counts.decode()} if with_masks else [],
    }
    number = 5000
    content["annotations"] = [{**first, "id": row} for row in range(1, number + 1)]
    path.write_text(json.dumps(content))
    load_dataset(path)  # what is imported, is imported now
    gc.collect()
    tracemalloc.start()
    try:
        found = load_dataset(path)
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found[0].truth) == number
    assert kept < number * 160
    assert found[0].truth.masks[-1] == (mask if with_masks else None)


def test_a_sample_in_use_is_not_made_again_and_the_collector_runs_again(tmp_path):
    data = load_dataset(writers.coco(tmp_path, list(KNOWN), KNOWN.categories))
    assert gc.isenabled()
    first = data[0]
    assert data[0] is first
    assert data[-len(data)] is first
    with pytest.raises(IndexError):
        data[len(data)]
