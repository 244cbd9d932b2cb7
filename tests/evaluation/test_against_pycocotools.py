"""Every number equals pycocotools' number."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cropdet.evaluation import COCO_AREA_RANGES, Detected, Truth, average_precision, coco_summary, match, recall
from tests.evaluation import made, oracle

pytestmark = pytest.mark.slow

AREAS = tuple(COCO_AREA_RANGES)
equal = {"rtol": 0, "atol": 1e-12, "equal_nan": True}


def assert_same_twelve(ours: dict[str, float], theirs: dict[str, float]) -> None:
    assert list(ours) == list(theirs)
    np.testing.assert_allclose(list(ours.values()), list(theirs.values()), **equal)


@pytest.fixture(scope="session")
def published() -> tuple[Truth, Detected, int, list[int], dict]:
    """The sample that COCO ships for checking evaluators, with the numbers published with it."""
    assets = os.environ.get("CROPDET_ASSETS")
    if not assets:
        pytest.skip("CROPDET_ASSETS is not set: no published sample to compare with")
    folder = Path(assets) / "data" / "ref-cocoapi-val2014-100"
    data = json.loads((folder / "annotations.json").read_text())
    found = json.loads((folder / "detections_bbox.json").read_text())
    number = {id_: i for i, id_ in enumerate(sorted(image["id"] for image in data["images"]))}

    def edges(rows: list[dict]) -> np.ndarray:
        xywh = np.array([row["bbox"] for row in rows], dtype=float)
        return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)

    rows = data["annotations"]
    truth = Truth(
        [number[row["image_id"]] for row in rows],
        [row["category_id"] for row in rows],
        edges(rows),
        [row["area"] for row in rows],
        [bool(row["iscrowd"]) for row in rows],
        [False] * len(rows),
    )
    detected = Detected(
        [number[row["image_id"]] for row in found],
        [row["category_id"] for row in found],
        edges(found),
        [row["score"] for row in found],
        [row["bbox"][2] * row["bbox"][3] for row in found],
    )
    categories = sorted(category["id"] for category in data["categories"])
    return truth, detected, len(number), categories, json.loads((folder / "expected.json").read_text())


def test_the_published_sample_gives_the_published_numbers(published):
    truth, detected, images, categories, expected = published
    ours = coco_summary(match(truth, detected, images=images, categories=categories, area_ranges=COCO_AREA_RANGES))
    for source, digits in (("published_by_cocoapi_3_decimals", 5.1e-4), ("pycocotools_here", 1e-12)):
        np.testing.assert_allclose(list(ours.values()), list(expected[source]["bbox"].values()), rtol=0, atol=digits)


def test_the_published_sample_gives_pycocotools_numbers(published):
    truth, detected, images, categories, _ = published
    ours = coco_summary(match(truth, detected, images=images, categories=categories, area_ranges=COCO_AREA_RANGES))
    assert_same_twelve(ours, oracle.twelve(truth, detected, images, categories))


@settings(max_examples=200, deadline=None)
@given(made.sets(), st.sampled_from([(1, 10, 100), (1, 2, 3)]))
def test_any_set_gives_pycocotools_matches_precision_and_recall(given_set, caps):
    truth, detected = given_set
    run = oracle.pycocotools(truth, detected, made.IMAGES, made.CATEGORIES, AREAS, caps)
    matches = match(
        truth,
        detected,
        images=made.IMAGES,
        categories=made.CATEGORIES,
        area_ranges=COCO_AREA_RANGES,
        max_detections=caps[-1],
    )
    for index, area in enumerate(AREAS):
        kept, matched, ignored = oracle.table_of(run, len(detected), index)
        assert sorted(matches.rows) == list(np.flatnonzero(kept))
        np.testing.assert_array_equal(matches.truth_of(area), matched[:, matches.rows])
        np.testing.assert_array_equal(matches.ignored(area), ignored[:, matches.rows])
        np.testing.assert_allclose(
            average_precision(matches, area=area).values, oracle.precision_of(run, index), **equal
        )
        for position, cap in enumerate(caps):
            np.testing.assert_allclose(
                recall(matches, area=area, max_detections=cap), oracle.recall_of(run, index, position), **equal
            )
    if caps[-1] == 100:
        assert_same_twelve(coco_summary(matches), oracle.summary_of(run))


def test_500_realistic_images_give_pycocotools_numbers():
    truth, detected = made.benchmark().synthetic(500, seed=3, crowds=0.05)
    categories = list(range(1, 81))
    run = oracle.pycocotools(truth, detected, 500, categories, AREAS)
    matches = match(truth, detected, images=500, categories=categories, area_ranges=COCO_AREA_RANGES)
    for index, area in enumerate(AREAS):
        ours = average_precision(matches, area=area)
        np.testing.assert_allclose(ours.values, oracle.precision_of(run, index), **equal)
    assert_same_twelve(coco_summary(matches), oracle.summary_of(run))


@settings(max_examples=100, deadline=None)
@given(made.sets(ties=False), st.lists(st.integers(0, 3), min_size=made.IMAGES, max_size=made.IMAGES))
def test_weights_give_the_numbers_of_the_duplicated_set(given_set, weights):
    truth, detected = given_set
    weights = np.array(weights)
    matches = match(truth, detected, images=made.IMAGES, categories=made.CATEGORIES, area_ranges=COCO_AREA_RANGES)
    ours = coco_summary(matches, weights)
    if weights.any():
        longer_truth, longer_detected, images = made.duplicated(truth, detected, weights)
        assert_same_twelve(ours, oracle.twelve(longer_truth, longer_detected, images, made.CATEGORIES))
    else:
        assert np.isnan(list(ours.values())).all()
