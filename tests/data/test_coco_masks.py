"""Masks that are encoded thousands at a time are those of one by one, with the same errors and warnings."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from pytest_cropdet.data import coco_masks
from pytest_cropdet.data.coco_json import read_tables
from pytest_cropdet.data.coco_truth import read_objects
from pytest_cropdet.data.data_warnings import DataWarnings
from pytest_cropdet.errors import DataError
from pytest_cropdet.geometry import Mask
from pytest_cropdet.geometry.polygons import encode_polygons, outlines_in_reach

SIZES = {1: (40, 30), 2: (30, 40), 3: (40, 30)}
NUMBERS = st.integers(0, 40) | st.floats(-2, 42, allow_nan=False)
ODD = st.sampled_from(
    [float("nan"), float("inf"), True, None, "7", 10**400, 10**19, -500, 100_000, [1], 2**63, -(10**30)]
)


def polygons(numbers: SearchStrategy[object]) -> SearchStrategy[list[object]]:
    points = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=4)
    return points.map(lambda pairs: [each for pair in pairs for each in pair])


FINE = st.lists(polygons(NUMBERS), min_size=1, max_size=2)
WRONG = st.one_of(
    st.lists(polygons(NUMBERS | ODD), min_size=1, max_size=2),
    st.sampled_from([[], [[]], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5, 6, 7]], [1, 2, 3, 4, 5, 6], "text", 5, [None]]),
    st.sampled_from([{"size": [30, 40], "counts": [600, 20, 580]}, {"size": [3, 4], "counts": "00"}, {}]),
    st.tuples(FINE, st.sampled_from([[], [1, 2], None])).map(lambda both: [*both[0], both[1]]),
)


def outcome(path: Path) -> tuple[object, ...]:
    """Return all that opening a set shows: its masks and the rest of its objects, or its error; and its warnings."""
    found = DataWarnings()
    try:
        objects = read_objects(read_tables(path), found)
    except DataError as error:
        return str(error), found.records()
    masks = objects.masks.masks(range(len(objects)))
    return masks, objects.boxes.tolist(), objects.areas.tolist(), objects.row.tolist(), found.records()


def write(path: Path, segmentations: list[object]) -> None:
    annotations = [
        {"id": row, "image_id": 1 + row % 3, "category_id": 1, "bbox": [2, 3, 25, 20], "segmentation": each}
        for row, each in enumerate(segmentations)
    ]
    images = [{"id": key, "file_name": f"{key}.png", "width": w, "height": h} for key, (w, h) in SIZES.items()]
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "a"}]}),
        encoding="utf-8",
    )


@pytest.mark.parametrize("segmentations", [FINE, FINE | WRONG], ids=["fine", "some wrong"])
def test_masks_errors_and_warnings_are_those_of_one_by_one(
    segmentations: SearchStrategy[object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("set") / "a.json"

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(segmentations, max_size=5), st.integers(1, 3))
    def check(chosen: list[object], at_once: int) -> None:
        write(path, chosen)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(coco_masks, "_AT_ONCE", at_once)
            bulk = outcome(path)
            patch.setattr(coco_masks, "_encode", lambda *_: None)
            assert bulk == outcome(path)

    check()


def test_polygons_without_a_fault_are_never_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.json", [[[2, 3, 27, 3, 27, 23, 2, 23]], [[2, 3, 27, 3, 27.5, 23], [4, 4, 9, 4, 9, 9]]])
    monkeypatch.setattr(Mask, "lenient", None)
    monkeypatch.setattr(coco_masks, "boxes_of", None)
    masks = outcome(tmp_path / "a.json")[0]
    assert isinstance(masks, tuple)
    assert [mask.width for mask in masks] == [40, 30]


def test_codes_and_boxes_of_polygons_are_those_of_masks() -> None:
    one, two = [1.0, 1, 8, 1, 8, 9], [20.0, 5, 25, 5, 25, 9, 20, 9]
    codes, boxes = encode_polygons([np.array(each) for each in (one, two, one)], np.array([0, 2]), 30, 40)
    masks = [Mask.from_segmentation([one, two], 30, 40), Mask.from_segmentation([one], 30, 40)]
    assert codes == [mask.counts for mask in masks]
    np.testing.assert_array_equal(boxes, [mask.box for mask in masks])


@pytest.mark.parametrize("x", [float("nan"), float("inf"), -401.0, 441.0])
def test_an_outline_far_outside_is_out_of_reach(x: float) -> None:
    points = np.array([[0.0, 0], [9, 0], [9, 9], [0, 0], [x, 0], [9, 9]])
    assert outlines_in_reach(points, np.array([0, 3]), np.array([0, 1]), 30, 40).tolist() == [True, False]


def test_an_outline_that_is_too_long_is_out_of_reach() -> None:
    points = np.tile([[0.0, 0], [400, 0]], (3000, 1))
    starts = np.array([0, 3000])
    assert outlines_in_reach(points, starts, np.array([0, 1]), 30, 40).tolist() == [True, True]
    assert outlines_in_reach(points, starts, np.array([0]), 30, 40).tolist() == [False]
