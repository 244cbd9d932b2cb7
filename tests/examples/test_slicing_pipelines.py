"""Pipelines of SAHI and supervision: the same boxes as ours for the same tiles and merge, compared, mistakes named."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from pytest_cropdet import Detections, Sliced
from pytest_cropdet.comparison import compare_sliced
from tests.comparison.test_sliced_gain import made
from tests.detectors.test_sliced import SIDE, Blobs

SIZE, OVERLAP = 120, 0.25
PLACE = Path(__file__).parents[2] / "examples" / "slicing_pipelines.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("slicing_pipelines", PLACE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Unlike(Blobs):
    """Scores differ from box to box, so that no merge meets a tie."""

    def find(self, image):
        found = super().find(image)
        scores = 0.4 + (found.boxes @ [0.0007, 0.0011, 0.0003, 0.0005]) % 0.5
        return Detections(found.boxes, scores, found.categories)


def rows(found):
    """Boxes, scores and categories in an order of their own, as SAHI keeps them: float32."""
    whole = np.concatenate([found.boxes, found.scores[:, None], found.categories[:, None]], axis=1).astype(np.float32)
    return whole[np.lexsort(whole.T)]


@pytest.fixture(params=["sahi", "supervision"])
def made_by(request, example):
    pytest.importorskip(request.param, reason=f"needs {request.param}: pip install 'pytest-cropdet[slicing]'")
    if request.param == "sahi":
        return lambda detector: example.with_sahi(detector, SIZE, OVERLAP), True
    return lambda detector: example.with_supervision(detector, SIZE, OVERLAP), False


def test_the_same_tiles_and_merge_give_the_same_boxes(made_by):
    make, whole = made_by
    sliced = Sliced(Unlike(), size=SIZE, overlap=OVERLAP, merge="nms", whole=whole)
    images = [each.image() for each in made(count=12, low=16, high=100)]
    found = 0
    for ours, theirs in zip(sliced(images), make(Unlike())(images), strict=True):
        np.testing.assert_allclose(rows(theirs), rows(ours), rtol=1e-6, atol=1e-5)
        found += len(ours)
    assert found > 30


def test_it_is_compared_in_the_same_way_and_has_no_fault(made_by):
    make, whole = made_by
    data = made(count=12, low=16, high=100)
    sliced = Sliced(Unlike(), size=SIZE, overlap=OVERLAP, merge="nms", whole=whole)
    theirs = compare_sliced(sliced, data, pipeline=make(Unlike()), replicates=100)
    ours = compare_sliced(sliced, data, replicates=100)
    assert theirs.gain.value == pytest.approx(ours.gain.value, abs=1e-9)
    assert theirs.faults == ()


def test_a_wrong_callback_is_named(made_by):
    """Its boxes are those of another picture's frame: x and y are swapped, as TensorFlow's models return them."""
    make, whole = made_by

    class Swapped(Unlike):
        def find(self, image):
            found = super().find(image)
            return Detections(found.boxes[:, [1, 0, 3, 2]], found.scores, found.categories)

    data = made(count=24, low=16, high=40)
    tiles = Sliced(Unlike(), size=SIZE, overlap=OVERLAP, merge="nms", whole=whole)
    found = compare_sliced(tiles, data, pipeline=make(Swapped()), replicates=100)
    assert [each.cause for each in found.faults] == ["axes-swapped"]
    assert SIDE > SIZE
