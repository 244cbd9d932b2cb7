"""The chain of sliced inference: its steps add up to the gain, and a known fault lands on its own step."""

from dataclasses import replace

import numpy as np
import pytest

from pytest_cropdet import Detections, Regions, Sliced
from pytest_cropdet.comparison import CHAIN_STEPS, compare_sliced, perfect_merge, seam_errors
from pytest_cropdet.data import GroundTruth
from pytest_cropdet.evaluation import Bounded
from pytest_cropdet.inference import Cache
from tests.comparison.test_sliced_gain import NAMES, NeedsSize, made
from tests.detectors.test_sliced import SIDE, Blobs, picture
from tests.support import Data, sample


class NeedsMark(Blobs):
    """A detector that knows what a blob is only where it sees the green mark, too."""

    def find(self, image):
        found = super().find(image)
        marked = ((image[:, :, 1] > 250) & (image[:, :, 0] < 50)).any()
        return found.take(np.arange(len(found)) if marked else np.zeros(0, int))


def marked(data):
    """The same images with a green mark in the upper left corner."""

    def pixels(load):
        image = load().copy()
        image[:4, :4] = (0, 255, 0)
        return image

    kept = [
        type(each)(each.id, each.width, each.height, each.truth, lambda load=each.image: pixels(load)) for each in data
    ]
    return Data(kept, NAMES)


def compared(detector, data, cache=None, **settings):
    return compare_sliced(Sliced(detector, **settings), data, cache=cache, replicates=200)


FAULTS = {
    "scale": lambda: compared(NeedsSize(least=12), made(), size=120, overlap=0.4, merge="seam"),
    "context": lambda: compared(NeedsMark(), marked(made()), size=120, overlap=0.4, merge="seam", whole=False),
    "cut": lambda: compared(Blobs(), made(low=60, high=90), size=120, overlap=0.0, merge="nms", whole=False),
    "merge": lambda: compared(Blobs(), made(), size=120, overlap=0.4, merge="none"),
}


@pytest.mark.parametrize("step", FAULTS)
def test_a_known_fault_lands_on_its_step_and_the_steps_add_up(step):
    found = FAULTS[step]()
    steps = {name: each.value for name, each in found.chain.steps.items()}
    assert list(steps) == list(CHAIN_STEPS)
    assert abs(found.gain.value) > 0.1
    assert sum(steps.values()) == pytest.approx(found.gain.value, abs=1e-12)
    assert steps[step] / found.gain.value >= 0.9
    bounds = found.chain.steps[step]
    assert bounds.low <= bounds.value <= bounds.high
    assert np.sign(bounds.low) == np.sign(bounds.high)


def test_the_step_that_costs_most_has_an_advice_and_a_gain_has_none():
    costly = FAULTS["merge"]()
    assert costly.known_chain is None
    assert not any("why:" in line for line in costly.lines())
    assert costly.chain.advice.startswith("Merging costs most")
    assert costly.to_dict()["chain"]["advice"] == costly.chain.advice
    lines = costly.lines()
    assert [line.split()[1] for line in lines if line.startswith("why:")] == list(CHAIN_STEPS)
    assert f"what to do: {costly.chain.advice}" in lines
    assert FAULTS["scale"]().chain.advice is None


def test_the_advice_fits_the_windows_and_the_merge_that_were_measured():
    data = made(low=60, high=90)
    by_seam = compared(Blobs(), data, size=120, overlap=0.0, merge="seam", whole=False)
    assert replace(by_seam.chain, steps={"merge": Bounded(-0.2, -0.3, -0.1)}).advice == (
        "Merging costs most: compare other merges, iou and metric."
    )
    cut = FAULTS["cut"]().chain.advice
    assert cut == "Objects cut at seams cost most: let tiles overlap by the size of the objects, or use larger tiles."
    regions = compare_sliced(Regions(NeedsMark(), marked(data), margin=0.1), marked(data), replicates=100)
    assert regions.chain.advice == "Missing surroundings cost most: use a larger margin, or train on crops."
    assert any("are in no window as a whole" in line for line in regions.lines())


def test_a_second_look_sends_nothing(tmp_path):
    inner = Blobs(fingerprint="blobs")
    found = compared(inner, made(count=8), Cache(tmp_path), size=120, overlap=0.0)
    whole_and_tiles = len(inner.shapes)
    first = found.chain
    sent = len(inner.shapes)
    assert found.chain is first
    assert len(inner.shapes) == sent > whole_and_tiles


def test_the_perfect_merge_keeps_the_best_box_and_score_of_each_object_and_no_piece_of_it():
    truth = GroundTruth([(0, 0, 100, 100), (200, 0, 260, 60)], [1, 2])
    found = Detections(
        [
            (0, 0, 100, 90),  # of the first object
            (0, 0, 100, 99),  # the best box of it
            (0, 0, 50, 40),  # a piece of it
            (200, 0, 220, 60),  # a piece of the second object, which nothing finds
            (0, 0, 100, 100),  # another category: no object of it here
            (300, 300, 320, 320),  # false
            (300, 300, 320, 321),  # the same once more: NMS drops it
        ],
        [0.9, 0.5, 0.8, 0.7, 0.6, 0.4, 0.3],
        [1, 1, 1, 2, 3, 1, 1],
    )
    merged = perfect_merge(found, truth)
    rows = sorted(zip(merged.boxes.tolist(), merged.scores.tolist(), merged.categories.tolist(), strict=True))
    assert rows == [
        ([0, 0, 100, 99], 0.9, 1),
        ([0, 0, 100, 100], 0.6, 3),
        ([200, 0, 220, 60], 0.7, 2),
        ([300, 300, 320, 320], 0.4, 1),
    ]


def test_the_perfect_merge_of_nothing_is_nothing_and_without_objects_it_is_nms():
    nothing = Detections(np.zeros((0, 4)), [], [])
    assert len(perfect_merge(nothing, GroundTruth([(0, 0, 9, 9)], [1]))) == 0
    twice = Detections([(0, 0, 10, 10), (0, 0, 10, 10)], [0.5, 0.6], [1, 1])
    assert perfect_merge(twice, GroundTruth(np.zeros((0, 4)), [])).scores.tolist() == [0.6]


def errors_of(found, plain=None, truth=None, size=120, overlap=0.0):
    shown = sample(0, truth or GroundTruth(np.zeros((0, 4)), []), SIDE, SIDE)
    plain = plain or Detections(np.zeros((0, 4)), [], [])
    return seam_errors(Sliced(Blobs(), size=size, overlap=overlap), [shown], [found], [plain])


def test_new_false_positives_are_counted_by_distance_to_the_nearest_seam():
    sides = [120, 119, 115, 100, 60]  # of the left part of a seam at 120: 0, 1, 5, 20 and 60 px
    boxes = [(right - 20, 20 + 40 * place, right, 50 + 40 * place) for place, right in enumerate(sides)]
    found = errors_of(Detections(boxes, [0.9] * 5, [1] * 5))
    # the third box has its lower side at 130 and upper at 100: still farther from the seam at 120 than 5 px
    assert found.new == (2, 1, 1, 1)
    assert found.right == (0, 0, 0, 0)


def test_what_one_pass_finds_too_or_lies_in_a_crowd_or_scores_little_is_no_new_false_positive():
    box, other = (10, 10, 40, 40), (60, 60, 90, 90)
    both = Detections([box, other], [0.9, 0.9], [1, 1])
    assert sum(errors_of(both).new) == 2
    assert sum(errors_of(both, plain=Detections([box], [0.3], [1])).new) == 1
    assert sum(errors_of(both, plain=Detections([box], [0.29], [1])).new) == 2
    assert sum(errors_of(both, plain=Detections([box], [0.9], [2])).new) == 2
    crowd = GroundTruth([(0, 0, 100, 100)], [1], crowd=[True])
    assert sum(errors_of(both, truth=crowd).new) == 0
    assert sum(errors_of(Detections([box], [0.29], [1])).new) == 0
    right = errors_of(both, truth=GroundTruth([box], [1]))
    assert (sum(right.new), sum(right.right)) == (1, 1)


def test_a_category_that_nobody_looked_for_in_an_image_is_no_false_positive_there():
    shown = replace(sample(0, GroundTruth(np.zeros((0, 4)), []), SIDE, SIDE), checked=frozenset({2}))
    found = Detections([(10, 10, 40, 40), (60, 60, 90, 90)], [0.9, 0.9], [1, 2])
    nothing = Detections(np.zeros((0, 4)), [], [])
    assert sum(seam_errors(Sliced(Blobs(), size=120), [shown], [found], [nothing]).new) == 1


def test_the_map_shows_the_place_of_a_box_in_its_tile():
    found = errors_of(Detections([(0, 0, 10, 10), (230, 110, 240, 120)], [0.9, 0.9], [1, 1]))
    cells = np.array(found.new_cells)
    assert cells[0, 0] == 1  # the first tile's upper left corner
    assert cells[7, 7] == 1  # the second tile's lower right corner
    assert cells.sum() == 2


def test_the_tiles_hold_objects_up_to_their_overlap_and_the_smallest_lost_one_is_named():
    truth = GroundTruth([(100, 10, 140, 30), (110, 100, 128, 118), (10, 10, 30, 30)], [1, 1, 1])
    found = errors_of(Detections([(10, 10, 30, 30)], [0.9], [1]), truth=truth, size=144, overlap=0.0)
    assert found.holds == (48, 48)  # tiles of 144 px in 240: they overlap by 48
    assert found.lost_from is None
    apart = errors_of(Detections([(10, 10, 30, 30)], [0.9], [1]), truth=truth)
    assert apart.holds == (0, 0)
    assert apart.lost_from == 18
    assert apart.to_dict()["holds"] == [0, 0]


def test_a_blob_between_two_tiles_is_lost_from_its_size_on():
    box = (110, 110, 130, 130)  # each of the four tiles has a quarter of it
    shown = sample(0, GroundTruth([box], [1]), SIDE, SIDE)
    kept = type(shown)(shown.id, SIDE, SIDE, shown.truth, lambda: picture(box))
    found = compare_sliced(Sliced(Blobs(), size=120, overlap=0.0, whole=False), Data([kept], NAMES), replicates=100)
    assert found.errors.lost_from == 20
    assert any(
        "the smallest lost object that no tile contains as a whole is 20 px long" in line for line in found.lines()
    )
