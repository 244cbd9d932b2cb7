"""A user's test file: fixtures, strategies, a remap, an invariant. Checked by mypy and pyright, never run."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import assert_type

from pytest_cropdet import (
    Benchmark,
    CannotTell,
    Crop,
    Dataset,
    Detections,
    LossRules,
    Run,
    check_remap,
    crops_of,
    invariant,
)
from pytest_cropdet.comparison import SlicedComparison
from pytest_cropdet.invariants.detector import judge_detector
from pytest_cropdet.invariants.observations import Evidence
from pytest_cropdet.plugin.fixture import Cropdet
from pytest_cropdet.search.dataset_search import Search
from pytest_cropdet.strategies import boxes, crops, detections

Numbers = npt.NDArray[np.float64]


@pytest.mark.cropdet(max_drop=0.03)
def test_gate(cropdet: Cropdet) -> None:
    found = cropdet.run("random:keep=0.5", max_drop=0.05, undecided="pass", fill=["mean", "blur"])
    assert_type(found, Run)
    assert found.drop <= 0.05
    assert_type(cropdet.gate("tile:size=320", name="tiles", seed=3), Run)
    assert_type(cropdet.benchmark("quick", sample_images=30), Benchmark)
    assert_type(cropdet.dataset, Dataset)
    cropdet.run("random", max_dorp=0.05)  # type: ignore[call-arg]
    cropdet.run("random", max_drop="5 %")  # type: ignore[arg-type]
    cropdet.gate("random", undecided="maybe")  # type: ignore[arg-type]
    cropdet.benchmark("quick", min_objcts=3)  # type: ignore[call-arg]


def test_more(cropdet: Cropdet, cropdet_dataset: Dataset) -> None:
    assert_type(cropdet.search(rules=LossRules(score=0.4), examples=50), Search)
    cropdet.search(example=50)  # type: ignore[call-arg]
    assert_type(cropdet.compare_sliced("size=320", min_gain=0.0, metric="AP50"), SlicedComparison)
    cropdet.compare_sliced("size=320", max_drop=0.1)  # type: ignore[call-arg]
    cropdet.check_crop(cropdet_dataset[0].id, Crop(0, 0, 9, 9))
    cropdet.check_crop(0, Crop(0, 0, 9, 9))  # type: ignore[arg-type]
    cropdet.check_invariant("D6-interior-object-found")
    cropdet.check_invariant(few_boxes)
    cropdet.check_invariant(6)  # type: ignore[arg-type]


@invariant("few-boxes", at_most=20)
def few_boxes(evidence: Evidence) -> float:
    counts = [len(seen.windows(crop)) for seen in evidence.observations for crop in seen.inside()]
    if not counts:
        raise CannotTell("no window")
    return max(counts)


@invariant(at_most=20)  # type: ignore[type-var, arg-type, unused-ignore]
def no_number(evidence: Evidence) -> str:
    return "many"


def test_own_invariant(evidence: Evidence) -> None:
    assert_type(few_boxes(evidence), float)
    assert_type(judge_detector(few_boxes, evidence).value, float | None)
    invariant("few-boxes")  # type: ignore[call-arg]


@given(case=crops_of(), window=crops(640, 480, aspect=1), found=detections(640, 480))
def test_windows(cropdet: Cropdet, case: tuple[str, Crop], window: Crop, found: Detections) -> None:
    cropdet.check_crop(*case)


assert_type(crops_of(), st.SearchStrategy[tuple[str, Crop]])
assert_type(crops(640, 480), st.SearchStrategy[Crop])
assert_type(boxes(640, 480), st.SearchStrategy[Numbers])
assert_type(detections(640, 480), st.SearchStrategy[Detections])
crops(640, "480")  # type: ignore[arg-type]


def remap(image: object, boxes: Numbers, labels: Numbers, crop: Crop) -> tuple[Numbers, Numbers]:
    return crop.into(boxes), labels


check_remap(remap, min_visibility=0.5)
check_remap(remap, min_visibilty=0.5)  # type: ignore[call-arg]
check_remap(3)  # type: ignore[arg-type]
