"""Numbers at the operating point, counted by hand.

The pictures are 120 x 60 and cut into a left and a right half. A (cat) lies in the left half, B (cat) in the right one,
and a third of C (dog) in the left half, where it is ignored, and two thirds in the right one.
"""

import numpy as np
import pytest

from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.evaluation.object_shares import draw_units, measure_share
from pytest_cropdet.evaluation.operating_point import best_f1_score
from pytest_cropdet.geometry.crop import Crop
from tests.support import Data, Fake, Row, detections, objects, perfect, sample, small_run

CAT, DOG, BIRD = 3, 7, 12
A, B, C = (10, 10, 30, 30), (70, 10, 90, 30), (40, 10, 100, 50)
B_RIGHT, C_RIGHT = (10, 10, 30, 30), (0, 10, 40, 50)  # in the frame of the right half
WHOLE: list[Row] = [(A, 0.9, CAT), (B, 0.9, CAT), (C, 0.9, DOG)]
LEFT: list[Row] = [(A, 0.9, CAT)]
RIGHT: list[Row] = [(B_RIGHT, 0.9, CAT), (C_RIGHT, 0.9, DOG)]
HALVES = "tile:size=60,overlap=0"


def pictures(images: int = 20) -> Data:
    return Data([sample(number, objects((A, CAT), (B, CAT), (C, DOG)), 120, 60) for number in range(images)])


def scripted(whole: list[Row], left: list[Row], right: list[Row], unlike: dict | None = None) -> Fake:
    """A detector with one answer each for a picture and its halves; ``unlike``: other answers for some pictures."""

    def answer(number: int, crop: Crop) -> Detections:
        parts = (unlike or {}).get(number, (whole, left, right))
        return detections(*parts[0 if crop.width == 120 else 1 if crop.left == 0 else 2])

    return Fake(answer)


def hidden_of(whole, left, right, unlike=None, images=20, **options):
    options = {"score_threshold": 0.5, **options}
    return small_run(scripted(whole, left, right, unlike), pictures(images), HALVES, **options)


def values(run) -> dict[str, float | None]:
    return {name: getattr(run.hidden, name).value for name in ("lost", "gained", "flips", "new_at_cut")}


def test_who_answers_alike_loses_gains_and_flips_nothing():
    run = hidden_of(WHOLE, LEFT, RIGHT)
    assert values(run) == {"lost": 0, "gained": 0, "flips": 0, "new_at_cut": 0}
    assert run.hidden.recall == {"reference": 1, "crop": 1}
    assert run.hidden.precision == {"reference": 1, "crop": 1}
    assert run.hidden.confident_ratio == 1
    assert run.hidden.p_lost is None
    assert run.worst is None
    assert run.scored_objects == 60  # the third of C in the left half is no object to find


def test_lost_and_flipped_by_hand():
    """B is missing in the right half; C is seen there as a bird, so it is lost, flipped, and wrong at the cut."""
    run = hidden_of(WHOLE, [(A, 0.6, CAT)], [(C_RIGHT, 0.8, BIRD)], images=60)
    assert values(run) == pytest.approx({"lost": 2 / 3, "gained": 0, "flips": 1 / 3, "new_at_cut": 1 / 2})
    assert run.hidden.recall == pytest.approx({"reference": 1, "crop": 1 / 3})
    assert run.hidden.precision == pytest.approx({"reference": 1, "crop": 1 / 2})
    assert run.hidden.confident_ratio == pytest.approx(2 / 3)
    assert run.hidden.score_change == pytest.approx(-0.3)
    assert run.hidden.score_change_bounds == pytest.approx((-0.3, -0.3))
    assert run.hidden.to_dict()["lost"]["count"] == 120
    assert (run.worst.lost, run.worst.found, run.worst.crop) == (2, 2, Crop(60, 0, 60, 60))
    assert run.recall.value == pytest.approx(1 / 3)
    assert run.precision.value == pytest.approx(1 / 2)
    assert run.recall.judge(0.9).outcome == "fail"
    assert run.recall >= 0.3


def test_gained_is_the_mirror_of_lost():
    run = hidden_of([(A, 0.9, CAT)], LEFT, RIGHT)
    assert values(run) == pytest.approx({"lost": 0, "gained": 2 / 3, "flips": 0, "new_at_cut": 0})
    assert (run.lost - run.gained).value == pytest.approx(-2 / 3)
    assert run.hidden.confident_ratio == pytest.approx(3)


@pytest.mark.parametrize(("score", "lost"), [(0.6, 0.0), (0.61, 1 / 3)])
def test_found_means_at_or_above_the_operating_point(score, lost):
    run = hidden_of(WHOLE, [(A, 0.6, CAT)], RIGHT, score_threshold=score)
    assert run.lost.value == pytest.approx(lost)
    assert run.hidden.score == score


@pytest.mark.parametrize(("right_edge", "lost"), [(20.0, 0.0), (19.9, 1 / 3)])
def test_found_means_an_iou_of_a_half(right_edge, lost):
    run = hidden_of(WHOLE, [((10, 10, right_edge, 30), 0.9, CAT)], RIGHT)
    assert run.lost.value == pytest.approx(lost)


def test_an_object_that_is_seen_right_as_well_is_not_flipped():
    run = hidden_of(WHOLE, LEFT, [*RIGHT, (C_RIGHT, 0.8, BIRD)])
    assert values(run) == pytest.approx({"lost": 0, "gained": 0, "flips": 0, "new_at_cut": 1 / 2})


def test_a_weak_second_label_is_no_flip():
    run = hidden_of(WHOLE, LEFT, [(B_RIGHT, 0.9, CAT), (C_RIGHT, 0.4, BIRD)])
    assert values(run) == pytest.approx({"lost": 1 / 3, "gained": 0, "flips": 0, "new_at_cut": 0})


@pytest.mark.parametrize(
    ("half", "box", "at_cut"),
    [
        ("left", (40, 35, 60, 55), True),  # the left half ends here, the picture does not
        ("left", (38, 35, 58, 55), True),
        ("left", (37, 35, 57.9, 55), False),
        ("left", (0, 35, 20, 55), False),  # the picture's own edge
        ("left", (20, 40, 40, 60), False),
        ("right", (0, 35, 20, 55), True),
        ("right", (2, 35, 20, 55), True),
        ("right", (2.1, 35, 20, 55), False),
        ("right", (40, 35, 60, 55), False),
    ],
)
def test_wrong_detections_at_the_cut_are_those_at_an_edge_that_is_not_the_pictures(half, box, at_cut):
    wrong = [(box, 0.9, BIRD)]
    run = hidden_of(WHOLE, LEFT + wrong * (half == "left"), RIGHT + wrong * (half == "right"))
    assert run.hidden.new_at_cut.value == pytest.approx(1 / 2 if at_cut else 0)
    assert run.hidden.precision["crop"] == pytest.approx(3 / 4)


def test_a_detection_of_an_ignored_object_is_neither_right_nor_wrong():
    """A third of C shows in the left half: seeing it there costs nothing, and nothing is new."""
    run = hidden_of(WHOLE, [*LEFT, ((40, 10, 60, 50), 0.9, DOG)], RIGHT)
    assert values(run) == {"lost": 0, "gained": 0, "flips": 0, "new_at_cut": 0}
    assert run.hidden.precision == {"reference": 1, "crop": 1}
    assert run.hidden.confident_ratio == 1
    assert run.drop.value == 0


class TestBounds:
    def test_every_picture_alike_leaves_no_doubt(self):
        run = hidden_of(WHOLE, LEFT, [(B_RIGHT, 0.9, CAT)])
        assert (run.lost.low, run.lost.value, run.lost.high) == pytest.approx((1 / 3, 1 / 3, 1 / 3))

    def test_bounds_are_those_of_whole_pictures(self):
        """In 10 of 40 pictures all three objects are lost: sd sqrt(p (1 - p) / 40), not that of 120 objects."""
        nothing = {number: (WHOLE, [], []) for number in range(10)}
        run = hidden_of(WHOLE, LEFT, RIGHT, nothing, images=40, replicates=4000)
        spread = 1.645 * np.sqrt(0.25 * 0.75 / 40)
        assert run.lost.value == pytest.approx(0.25)
        assert run.lost.high - 0.25 == pytest.approx(spread, rel=0.2)
        assert 0.25 - run.lost.low == pytest.approx(spread, rel=0.2)

    def test_the_difference_has_bounds_of_its_own_from_the_same_draws(self):
        """Where a picture loses as much as it gains, the difference is 0 in every draw."""
        even = {number: ([(A, 0.9, CAT)], [], [(B_RIGHT, 0.9, CAT)]) for number in range(0, 20, 2)}
        run = hidden_of(WHOLE, LEFT, RIGHT, even)
        assert run.lost.value == run.gained.value == pytest.approx(1 / 6)
        assert run.lost.low < run.lost.value < run.lost.high
        net = run.lost - run.gained
        assert (net.low, net.value, net.high) == (0, 0, 0)
        assert net.name == "lost - gained"

    def test_shares_of_different_things_cannot_be_subtracted(self):
        run = hidden_of(WHOLE, LEFT, RIGHT)
        with pytest.raises(TypeError, match="share of the same objects"):
            run.lost - run.hidden.new_at_cut
        with pytest.raises(TypeError, match="share of the same objects"):
            run.lost - 0.1

    def test_a_share_of_nothing_is_undefined(self):
        draws = draw_units(4, 100, 0)
        empty = measure_share("lost", np.zeros(4), np.zeros(4), draws, level=0.95)
        assert (empty.value, empty.low, empty.high) == (None, None, None)
        assert empty.judge(0.1).reason == "undefined"

    def test_units_are_drawn_with_replacement_and_never_deduplicated(self):
        draws = draw_units(30, 500, 1)
        assert (draws.sum(axis=1) == 30).all()
        assert draws.max() >= 4
        assert draws.mean(axis=0) == pytest.approx(np.ones(30), abs=0.2)
        assert (draw_units(30, 500, 1) == draws).all()
        assert (draw_units(30, 500, 2) != draws).any()


class TestGates:
    def test_losses_are_gated_like_a_drop(self):
        some = {number: (WHOLE, LEFT, [(C_RIGHT, 0.9, DOG)]) for number in range(6)}
        run = hidden_of(WHOLE, LEFT, RIGHT, some, images=60)
        assert run.lost.value == pytest.approx(6 / 180)
        assert run.lost <= 0.10
        assert run.lost - run.gained <= 0.10
        assert run.flips <= 0.01
        assert run.lost.judge(0.001).outcome == "fail"
        assert run.lost.judge(6 / 180).outcome == "undecided"
        assert len(run.verdicts) == 5

    def test_a_good_share_cannot_be_gated_as_a_loss(self):
        run = hidden_of(WHOLE, LEFT, RIGHT, images=60)
        assert run.recall >= 0.9
        assert run.precision >= 0.9
        with pytest.raises(TypeError, match="recall >= limit"):
            assert run.recall <= 0.9


class TestSignFlips:
    def test_one_picture_says_nothing(self):
        run = hidden_of(WHOLE, LEFT, RIGHT, {0: (WHOLE, LEFT, [])})
        assert run.hidden.p_lost == pytest.approx(0.5, abs=0.05)

    def test_five_pictures_that_all_lose_are_one_in_thirty_two(self):
        run = hidden_of(WHOLE, LEFT, RIGHT, {number: (WHOLE, LEFT, []) for number in range(5)}, replicates=4000)
        assert run.hidden.p_lost == pytest.approx(1 / 32, abs=0.01)

    def test_crops_of_one_picture_are_no_independent_witnesses(self):
        """Six objects are lost, but in two pictures: p is that of two coins, 1/4, not that of six."""
        run = hidden_of(WHOLE, LEFT, RIGHT, {number: (WHOLE, [], []) for number in range(2)}, replicates=4000)
        assert run.hidden.lost.over.sum() == 6
        assert run.hidden.p_lost == pytest.approx(1 / 4, abs=0.03)

    def test_gains_make_it_large(self):
        run = hidden_of([(A, 0.9, CAT)], LEFT, RIGHT)
        assert run.hidden.p_lost > 0.99


class TestOperatingPoint:
    """The best F1 on whole pictures, by hand: four cats in a row."""

    BOXES = tuple((10.0 + 25 * place, 10.0, 30.0 + 25 * place, 30.0) for place in range(4))
    ELSEWHERE = (10.0, 40.0, 30.0, 58.0)

    def best(self, *found: tuple[float, bool], crowd: bool = False, category: int = CAT) -> float:
        """The operating point for detections with a score, right or wrong."""
        right = iter(self.BOXES)
        rows = [(next(right) if is_right else self.ELSEWHERE, score, category) for score, is_right in found]
        truth = GroundTruth(self.BOXES, [CAT] * 4, crowd=[crowd] * 4)
        return best_f1_score([sample(0, truth, 120, 60)], [detections(*rows)], [CAT])

    def test_by_hand(self):
        # F1: 2/5, 2/6, 4/7, 6/8, 6/9, 6/10
        found = [(0.9, True), (0.8, False), (0.7, True), (0.6, True), (0.5, False), (0.4, False)]
        assert self.best(*found) == 0.6

    def test_detections_of_one_score_come_and_go_together(self):
        # the three right ones alone would have 6/7; with the wrong ones of 0.9 it is 6/12, and at 0.5 it is 8/13
        assert self.best(*[(0.9, True)] * 3, *[(0.9, False)] * 5, (0.5, True)) == 0.5

    def test_of_equal_ones_the_highest(self):
        # 4/6 at 0.8, then 4/7, 4/8, then 6/9 = 4/6 at 0.5
        assert self.best((0.9, True), (0.8, True), (0.7, False), (0.6, False), (0.5, True)) == 0.8

    def test_nothing_to_match_leaves_a_half(self):
        assert self.best() == 0.5
        assert self.best((0.9, False)) == 0.5
        assert self.best((0.9, True), crowd=True) == 0.5

    def test_other_categories_have_no_say(self):
        assert self.best((0.9, True), category=DOG) == 0.5

    def test_a_run_takes_it_where_none_is_given(self):
        data = pictures()
        assert small_run(perfect(data), data, HALVES).hidden.score == 0.9
        weak = [(A, 0.3, CAT), (B, 0.3, CAT), (C, 0.3, DOG), ((5, 35, 20, 55), 0.2, CAT)]
        run = hidden_of(weak, LEFT, RIGHT, score_threshold=None)
        assert run.hidden.score == 0.3
