"""The loop that runs a detector for a task: what it keeps, what it counts, and what it reports."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet import Crop, Detections, DetectorError, GroundTruth, Sample
from pytest_cropdet.detectors.handle import as_handle
from pytest_cropdet.inference import Meter, Picture, Spent, Started, estimate_seconds
from pytest_cropdet.inference.progress import Advanced

WINDOW = Crop(0, 0, 20, 10)
NAMES = [f"{number}.png" for number in range(5)]
SAMPLES = [
    Sample(name, 40, 30, GroundTruth.empty(), lambda number=number: np.full((30, 40, 3), number, np.uint8))
    for number, name in enumerate(NAMES)
]
WINDOWS = dict.fromkeys(NAMES, (WINDOW,))


class Numbers:
    """Finds in every picture one thing, whose category is the picture's number; fails from call ``fails`` on."""

    batch = 2

    def __init__(self, fails=100):
        self.calls, self.fails = 0, fails

    def __call__(self, images):
        self.calls += 1
        if self.calls >= self.fails:
            raise ValueError("no more")
        return [Detections([[0, 0, 5, 5]], [0.9], [int(image[0, 0, 0])]) for image in images]


def test_it_keeps_what_is_found_by_picture_and_reports_every_batch():
    meter = Meter(as_handle(Numbers()), None, "explain", 10)
    assert meter.start(5, 5, paired_by="id") == Started(5, 5, 10, "explain")
    seen = list(meter.detect(SAMPLES, WINDOWS))
    assert [(each.done, each.calls, each.task) for each in seen] == [
        (done, 10, "explain") for done in (2, 4, 6, 8, 9, 10)
    ]
    assert {name: each.categories.tolist() for name, each in meter.whole_images().items()} == {
        name: [number] for number, name in enumerate(NAMES)
    }
    assert meter.found[Picture("3.png", 0, WINDOW)].categories.tolist() == [3]
    assert len(meter.found) == meter.done == 10


def test_it_adds_to_what_the_run_cost_before_and_counts_its_own_seconds():
    handle = as_handle(Numbers())
    spent = Spent(7, 100.0, spared=3)
    meter = Meter(handle, None, "try", 10, spent)
    for part in (SAMPLES[:2], SAMPLES[2:]):
        *_, last = meter.detect(part, WINDOWS)
    assert (spent.model_calls, spent.spared) == (17, 3)
    assert last.model_seconds == meter.seconds == pytest.approx(handle.seconds)
    assert spent.model_seconds == pytest.approx(100 + handle.seconds)


def test_what_the_detector_is_shown_between_two_batches_is_not_counted():
    handle = as_handle(Numbers())
    meter = Meter(handle, None, "run", 10)
    for _ in meter.detect(SAMPLES, WINDOWS):
        handle([np.zeros((8, 8, 3), np.uint8)])
    assert (meter.spent.model_calls, handle.images_sent) == (10, 16)
    assert meter.seconds < handle.seconds


def test_where_the_detector_fails_the_batches_before_are_counted_and_kept():
    meter = Meter(as_handle(Numbers(fails=3)), None, "run", 10)
    with pytest.raises(DetectorError, match="no more"):
        list(meter.detect(SAMPLES, WINDOWS))
    assert (meter.done, meter.spent.model_calls, len(meter.found)) == (4, 4, 4)


def test_the_seconds_left_follow_from_those_of_the_pictures_so_far():
    assert estimate_seconds(Advanced(20, 100, 5.0)) == 20.0
    assert estimate_seconds(Advanced(0, 100, 0.0)) == 0.0
