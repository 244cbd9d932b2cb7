"""A sliced pipeline of somebody's own: compared like ours, and its mistakes named from its answers alone."""

import numpy as np
import pytest

from pytest_cropdet import Detections, Sliced
from pytest_cropdet.comparison import SLICING_FAULTS, compare_sliced, find_slicing_faults
from pytest_cropdet.data import CategoryMap, GroundTruth
from pytest_cropdet.detectors import suppress
from tests.comparison.test_sliced_gain import NAMES, made
from tests.detectors.test_sliced import SIDE, Blobs, picture
from tests.support import Data, sample

TILE, STEP = 120, 40
STARTS = range(0, SIDE - TILE + 1, STEP)
TILES = {"size": TILE, "overlap": 2 / 3, "whole": False}


def at(x, y):
    return np.array([x, y, x, y])


def pipeline(move=lambda boxes, x, y, column, row: boxes + at(x, y), merge=True, detector=None):
    """Slice, detect, move boxes into the image, merge: as people write it, by a loop."""
    detect = detector or Blobs()

    def run(images):
        return [one(image) for image in images]

    def one(image):
        boxes, scores, categories = [np.zeros((0, 4))], [np.zeros(0)], [np.zeros(0, int)]
        for row, y in enumerate(STARTS):
            for column, x in enumerate(STARTS):
                (found,) = detect([image[y : y + TILE, x : x + TILE]])
                boxes.append(np.asarray(move(found.boxes, x, y, column, row), dtype=np.float64))
                scores.append(found.scores)
                categories.append(found.categories)
        moved = np.clip(np.concatenate(boxes), 0, SIDE)
        kept = np.flatnonzero(((moved[:, 2:] - moved[:, :2]) > 0).all(axis=1))
        all_of = Detections(moved[kept], np.concatenate(scores)[kept], np.concatenate(categories)[kept])
        return all_of.take(suppress(all_of.boxes, all_of.scores, all_of.categories, 0.5)) if merge else all_of

    return run


WRONG = {
    "origin-missing": lambda boxes, x, y, column, row: boxes,
    "origin-twice": lambda boxes, x, y, column, row: boxes + at(2 * x, 2 * y),
    "origin-swapped": lambda boxes, x, y, column, row: boxes + at(y, x),
    "axes-swapped": lambda boxes, x, y, column, row: boxes[:, [1, 0, 3, 2]] + at(x, y),
    "no-overlap": lambda boxes, x, y, column, row: boxes + at(column, row) * TILE,
    "image-scale": lambda boxes, x, y, column, row: boxes * (SIDE / TILE) + at(x, y),
    "clipped": lambda boxes, x, y, column, row: np.clip(boxes + at(x, y), 0, TILE),
}


def compared(own, data=None, **settings):
    return compare_sliced(
        Sliced(Blobs(), **{**TILES, **settings}), data or made(count=24), pipeline=own, replicates=100
    )


@pytest.mark.parametrize("cause", WRONG)
def test_a_wrong_remap_is_named_by_its_cause_alone(cause):
    data = made(count=24, low=20, high=70)  # also large ones, which tiles cut
    found = compared(pipeline(WRONG[cause]), data)
    assert [each.cause for each in found.faults] == [cause]
    (line,) = [line for line in found.lines() if line.startswith(f"wrong in the pipeline: {SLICING_FAULTS[cause][0]}")]
    assert SLICING_FAULTS[cause][1] in line
    assert found.gain.value < -0.1
    assert {each["cause"] for each in found.to_dict()["faults"]} >= {cause}


def test_axes_that_are_swapped_after_the_move_are_named_too():
    found = compared(pipeline(lambda boxes, x, y, column, row: (boxes + at(x, y))[:, [1, 0, 3, 2]]))
    assert [each.cause for each in found.faults] == ["axes-swapped"]


def test_a_missing_merge_is_named():
    found = compared(pipeline(merge=False))
    assert [each.cause for each in found.faults] == ["doubles"]
    assert found.faults[0].share > 0.2


def test_a_right_pipeline_has_no_fault_and_gains_what_ours_does():
    data = made(count=24, low=20, high=70)
    own, ours = compared(pipeline(), data), compare_sliced(Sliced(Blobs(), **TILES), data, replicates=100)
    assert own.faults == ()
    assert own.gain.value == pytest.approx(ours.gain.value, abs=0.02)  # ties in NMS
    assert ours.faults == ()
    assert sum(step.value for step in own.chain.steps.values()) == pytest.approx(own.gain.value, abs=1e-12)


def test_boxes_that_are_rounded_or_merged_otherwise_are_no_fault():
    rounded = pipeline(lambda boxes, x, y, column, row: np.round(boxes + at(x, y) + 0.4))
    assert compared(rounded).faults == ()
    assert compared(Sliced(Blobs(), **{**TILES, "merge": "wbf"})).faults == ()


def test_errors_without_a_known_cause_are_not_named():
    shifted = pipeline(lambda boxes, x, y, column, row: boxes + at(x + 9, y + 13))
    found = compared(shifted)
    assert found.faults == ()
    assert found.gain.value < -0.1


def test_a_detector_that_finds_nothing_has_no_fault():
    assert compared(lambda images: [Detections.empty() for _ in images]).faults == ()
    mapped = CategoryMap("id", {1: 1}, NAMES)
    assert find_slicing_faults(Sliced(Blobs()), [], [], mapped) == ()


def test_clipped_boxes_are_named_beside_images_no_larger_than_a_tile():
    data = made(count=24, low=20, high=70)
    small = sample(99, GroundTruth([(10, 10, 40, 40)], [1]), TILE, TILE)
    small = type(small)("99", TILE, TILE, small.truth, lambda: picture((10, 10, 40, 40))[:TILE, :TILE])
    own = pipeline(WRONG["clipped"])

    def run_it(images):
        return [Blobs().find(each) if each.shape[0] == TILE else own([each])[0] for each in images]

    found = compared(run_it, Data([*data, small], NAMES))
    assert [each.cause for each in found.faults] == ["clipped"]
