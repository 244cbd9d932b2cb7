"""What a worker of a cluster does with a batch, in this process: no scheduler is needed for it."""

from __future__ import annotations

import pickle
import time

import numpy as np
import pytest

from pytest_cropdet.data.samples import Detections
from pytest_cropdet.inference.batches import Picture
from pytest_cropdet.inference.cluster_tasks import (
    BatchOrder,
    DetectorRecipe,
    WorkerFound,
    WorkerRefused,
    own_versions,
    run_order,
)

IMAGE = np.zeros((9, 9, 3), np.uint8)


def dawdles(images):
    """A function that takes half a second."""
    time.sleep(0.5)
    return [Detections.empty() for _ in images]


@pytest.mark.parametrize("timeout", [0.1, 60.0, None])
def test_the_limit_on_the_seconds_of_a_call_travels_with_the_batch(timeout):
    recipe = DetectorRecipe("dawdles", pickle.dumps((dawdles, {})), None)
    order = BatchOrder(recipe, own_versions(), (Picture("a.png", -1, None),), ("a.png",), timeout)
    answer = run_order(order, IMAGE)
    if timeout == 0.1:
        assert isinstance(answer, WorkerRefused)
        assert answer.kind == "DetectorTimeoutError"
        assert answer.text.startswith("dawdles, a.png: no answer within 0.1 s (--cropdet-timeout)")
    else:
        assert isinstance(answer, WorkerFound)
