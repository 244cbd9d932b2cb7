"""Whatever a detector writes into its pictures, nobody else sees: neither the image, nor its crops."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet import Crop, compare, run_benchmark
from pytest_cropdet.data.samples import Detections, Sample
from pytest_cropdet.detectors import as_handle
from pytest_cropdet.geometry.boxes import clip
from pytest_cropdet.invariants.detector import INVARIANT_CHECKS, judge_detector
from pytest_cropdet.invariants.observations import Evidence
from pytest_cropdet.search.dataset_search import search
from tests.painted import Finder, Painted, find, painted_data
from tests.support import small_run


def shared(data):
    """The same data set, but each image is decoded once, and all who read it get the one array."""

    def one(sample):
        pixels = sample.image()
        return Sample(sample.id, sample.width, sample.height, sample.truth, lambda: pixels)

    return Painted(map(one, data))


def blank(picture):
    """Paint over a picture, and over whatever memory it is a part of."""
    while picture is not None:
        if isinstance(picture, np.ndarray):
            if not picture.flags.writeable:
                picture.setflags(write=True)
            picture[:] = 7
        picture = getattr(picture, "base", None)


class Blanks(Finder):
    """Finds every rectangle and blanks the picture then; what it is shown next has to be as it was."""

    def __call__(self, images):
        found = super().__call__(images)
        for image in images:
            blank(image)
        return found


WAYS = {
    "gate, causes, measures at inference": lambda finder, data: (
        small_run(finder, data, explain="always", try_mitigations=True, replicates=100).drop.value
    ),
    "comparison": lambda finder, data: str(compare(finder, data[0].image(), Crop(5, 5, 80, 70))),
    "search": lambda finder, data: str([*search(finder, data, examples=40)][-1].worst),
    "invariants": lambda finder, data: [
        judge_detector(name, Evidence(finder, data, examples=24)).value for name in INVARIANT_CHECKS
    ],
    "benchmark": lambda finder, data: repr(run_benchmark(finder, data, "quick", replicates=100).mpc),
    "own test": lambda finder, data: repr([as_handle(finder)([each.image() for each in data]) for _ in range(2)]),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_detector_that_writes_into_its_pictures_gets_the_result_of_one_that_does_not(way):
    plain, data = painted_data(12), shared(painted_data(12))
    assert WAYS[way](Blanks(), data) == WAYS[way](Finder(), plain)
    for before, after in zip(plain, data, strict=True):
        np.testing.assert_array_equal(after.image(), before.image())


def test_marks_painted_into_the_whole_image_are_not_found_in_its_crops():
    """Blind in crops, but it paints what it found into the whole image: the drop is everything, not nothing."""

    class Marks(Finder):
        def __call__(self, images):
            answers = super().__call__(images)
            if images[0].shape[:2] == (90, 120):
                for image in images:
                    image[:, :, :] = 200
                return answers
            return [
                found if image.min() == 200 else Detections.empty()
                for image, found in zip(images, answers, strict=True)
            ]

    assert small_run(Marks(), shared(painted_data(60)), explain="off").drop.value > 0.9


def test_a_picture_is_writeable_contiguous_and_its_own():
    seen = []

    def detector(images):
        seen.extend(images)
        return [find(image) for image in images]

    detector.batch = 2
    image = painted_data(1)[0].image()
    image.flags.writeable = False
    as_handle(detector)([Crop(5, 5, 40, 40).of(image)] * 2)
    for picture in seen:
        assert picture.flags.writeable
        assert picture.flags.c_contiguous
        assert picture.flags.owndata
    assert not np.shares_memory(*seen)


def test_what_a_detector_does_to_its_own_boxes_later_changes_no_answer():
    kept = np.zeros((1, 4))

    def detector(images):
        kept[:] = clip(np.array([[3.0, 4.0, 9.0 + len(images[0]), 9.0]]), 20, 20)
        return [Detections(kept, [0.9], [1])]

    first, second = as_handle(detector)([np.zeros((side, 30, 3), np.uint8) for side in (4, 8)])
    assert (first.boxes.tolist(), second.boxes.tolist()) == ([[3, 4, 13, 9]], [[3, 4, 17, 9]])
