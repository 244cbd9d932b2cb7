"""Sliced inference against one pass: what is judged, what is named beside it, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from pytest_cropdet import Detections, Sliced
from pytest_cropdet.comparison import compare_sliced, detect_whole, measure_gain
from pytest_cropdet.data import GroundTruth
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import GateFailure
from pytest_cropdet.figures.box_sheets import BOX_COLOURS, _colour
from tests.comparison.test_sliced_gain import NeedsSize, made
from tests.detectors.test_sliced import SIDE, Blobs, picture
from tests.support import Data, sample

TILES = {"size": 120, "overlap": 0.4, "merge": "seam"}


def test_the_gain_is_the_one_of_measure_gain_with_its_bounds():
    data, sliced = made(count=56), Sliced(NeedsSize(least=12), **TILES)
    found = compare_sliced(sliced, data, min_gain=0.5, replicates=200)
    whole = detect_whole(sliced.inner, data, list(data))
    plain = measure_gain(sliced, detect_whole(sliced, data, list(data)), whole, replicates=200)
    bounds = plain.gain["all"]
    assert (found.gain.value, found.gain.low, found.gain.high) == (bounds.value, bounds.low, bounds.high)
    assert found.verdict == "pass"
    found.check()
    assert found.objects == 112
    assert found.to_dict()["ap"]["all"]["whole"] == plain.ap["all"][0]


def test_a_gain_that_is_too_small_raises_with_the_numbers_and_no_limit_judges_nothing():
    sliced = Sliced(Blobs(), size=120, overlap=0.0, merge="none")
    found = compare_sliced(sliced, made(count=56, low=60, high=90), min_gain=0.0, replicates=200)
    with pytest.raises(GateFailure, match=r"FAIL gain -0\.\d+ < 0\.000.*\n(.*\n)*.*left by the merge: \d+ doubles"):
        found.check()
    compare_sliced(sliced, made(count=56, low=60, high=90), replicates=200).check()


def test_an_uncertain_gain_is_undecided_and_says_how_many_images_would_be_enough():
    data = made(count=56, low=16, high=32)  # one pass sees those of 24 pixels or more
    exact = compare_sliced(Sliced(NeedsSize(least=12), **TILES), data, replicates=200)
    found = compare_sliced(
        Sliced(NeedsSize(least=12), **TILES), data, min_gain=exact.gain.value - 0.01, replicates=200, min_objects=1
    )
    assert found.gain.low < found.limit < found.gain.high
    assert found.verdict == "undecided"
    needed = found.to_dict()["images_to_decide"]
    assert needed > 56
    with pytest.raises(GateFailure, match=f"about {needed:,} images"):
        found.check()


def test_categories_that_are_named_count_alone():
    shown = [
        type(each)(each.id, SIDE, SIDE, GroundTruth(each.truth.boxes, [1, 2]), each.image) for each in made(count=8)
    ]
    data, detector = Data(shown, {1: "blob", 2: "other"}), Blobs()
    detector.categories = data.categories
    assert compare_sliced(Sliced(detector, **TILES), data, replicates=100).objects == 16
    found = compare_sliced(Sliced(detector, **TILES), data, categories=("blob",), replicates=100)
    assert found.objects == 8


def test_detections_of_categories_that_do_not_count_are_no_false_positives():
    class Two(Blobs):
        """Beside the blobs it finds something else wherever a picture is small."""

        def find(self, image):
            each = super().find(image)
            if image.shape[0] == SIDE:
                return each
            boxes = np.concatenate([each.boxes, [(0, 0, 9, 9)]])
            return Detections(boxes, [*each.scores, 0.9], [*each.categories, 2])

    data, detector = made(count=8), Two()
    detector.categories = data.categories = {1: "blob", 2: "other"}
    tiles = {"size": 120, "overlap": 0.0, "merge": "seam"}
    assert sum(compare_sliced(Sliced(detector, **tiles), data, replicates=100).errors.new) == 32
    found = compare_sliced(Sliced(detector, **tiles), data, categories=("blob",), replicates=100)
    assert sum(found.errors.new) == 0


def test_images_without_objects_are_undecided_for_that_reason_alone_and_no_images_are_refused():
    empty = sample(0, GroundTruth(np.zeros((0, 4)), []), SIDE, SIDE)
    data = Data([type(empty)("0", SIDE, SIDE, empty.truth, picture)], {1: "blob"})
    found = compare_sliced(Sliced(Blobs(), **TILES), data, min_gain=0.0, replicates=100)
    assert found.judged.doubt == "gain is undefined: no annotated object to measure it on"
    with pytest.raises(SpecError, match="has no images to slice"):
        compare_sliced(Sliced(Blobs()), Data([], {1: "blob"}))


def test_a_detector_at_its_maximum_of_detections_is_named():
    class Capped(Blobs):
        def find(self, image):
            each = super().find(image)
            return Detections(each.boxes, each.scores, each.categories, capped=True)

    found = compare_sliced(Sliced(Capped(), **TILES), made(count=4), replicates=100)
    assert found.capped == 1
    assert any("on 100% of the whole images the detector returned its maximum" in line for line in found.lines())


@pytest.mark.parametrize("limit", [-1.01, 1.5, 5])
def test_a_limit_out_of_range_is_refused(limit):
    with pytest.raises(SpecError, match=f"cropdet_min_gain must lie between -1 and 1, not {limit:g}"):
        compare_sliced(Sliced(Blobs()), made(count=2), min_gain=limit)


def test_data_without_truth_is_refused():
    data = SimpleNamespace(name="photos", has_truth=False, categories={1: "blob"})
    with pytest.raises(SpecError, match="needs annotations, and the data set photos has none"):
        compare_sliced(Sliced(Blobs()), data)


def test_an_image_without_objects_and_one_without_detections_are_compared_too():
    empty = sample(0, GroundTruth(np.zeros((0, 4)), []), SIDE, SIDE)
    dark = sample(1, GroundTruth([(10, 10, 30, 30)], [1]), SIDE, SIDE)
    shown = [type(each)(each.id, SIDE, SIDE, each.truth, picture) for each in (empty, dark)]
    found = compare_sliced(Sliced(Blobs(), **TILES), Data(shown, {1: "blob"}), replicates=100)
    assert found.verdict == "none"
    assert (found.gain.value, found.objects) == (0.0, 1)
    assert sum(step.value for step in found.chain.steps.values()) == 0


def test_the_picture_is_of_the_image_that_slicing_changes_most_and_shows_truth_tiles_and_both_answers():
    box = (70, 70, 170, 170)  # each of the four tiles has a quarter of it
    changed = sample(9, GroundTruth([box], [1]), SIDE, SIDE)
    changed = type(changed)("9", SIDE, SIDE, changed.truth, lambda: picture(box))
    shown = [*made(count=3), changed]
    found = compare_sliced(
        Sliced(Blobs(), size=120, overlap=0.0, whole=False), Data(shown, {1: "blob"}), replicates=100
    )
    drawn, name = found.picture()
    assert name == "9"
    assert drawn.dtype == np.uint8
    for meaning in ("tile", "truth", "missed", "found"):
        assert (drawn == _colour(BOX_COLOURS[meaning])).all(axis=2).any(), meaning
