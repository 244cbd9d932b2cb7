"""The worst and the best crop of each image, against every choice there is."""

from itertools import product

import numpy as np
import pytest

from pytest_cropdet.evaluation import Detected, Truth, average_precision, match
from pytest_cropdet.evaluation.coco.best_worst import extreme_ap
from tests.support import loses_cut, opinions, small_run
from tests.support import made as data_of

IMAGES, RANKS = 4, 3
UNIT = np.repeat(np.arange(IMAGES), RANKS)
KEPT = np.array([True, True])


def made(seed):
    """Twelve crops of four images with two categories, found with luck."""
    draw = np.random.default_rng(seed)
    image, category, boxes, score = [], [], [], []
    truth_image = np.repeat(np.arange(IMAGES * RANKS), 2)
    truth_category = np.tile([1, 2], IMAGES * RANKS)
    truth_boxes = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]] * (IMAGES * RANKS))
    for row in range(len(truth_image)):
        for offset in (draw.integers(0, 5), 50):
            if draw.random() < 0.7:
                image.append(truth_image[row])
                category.append(truth_category[row])
                boxes.append(truth_boxes[row] + [offset, 0, offset, 0])
                score.append(round(float(draw.random()), 3))
    count = len(truth_image)
    truth = Truth(truth_image, truth_category, truth_boxes, [100.0] * count, [False] * count, [False] * count)
    found = Detected(image, category, np.reshape(boxes, (-1, 4)), score)
    return match(truth, found, images=IMAGES * RANKS, categories=[1, 2])


def every_choice(matches, iou):
    values = []
    for ranks in product(range(RANKS), repeat=IMAGES):
        weights = np.zeros(IMAGES * RANKS)
        weights[np.arange(IMAGES) * RANKS + ranks] = 1
        values.append(average_precision(matches, weights).mean(threshold=iou, categories=KEPT))
    return values


@pytest.mark.parametrize("iou", [None, 0.5])
@pytest.mark.parametrize("seed", range(6))
def test_it_is_a_choice_of_one_crop_an_image_close_to_the_true_bound_and_never_beyond(seed, iou):
    matches = made(seed)
    values = every_choice(matches, iou)
    for which, bound, sign in (("worst", min(values), -1), ("best", max(values), 1)):
        value, chosen = extreme_ap(matches, UNIT, KEPT, iou, which)
        weights = np.zeros(IMAGES * RANKS)
        weights[chosen] = 1
        assert UNIT[chosen].tolist() == list(range(IMAGES))
        assert value == pytest.approx(average_precision(matches, weights).mean(threshold=iou, categories=KEPT))
        assert sign * value <= sign * bound + 1e-12
        assert abs(value - bound) < 0.05


def test_no_single_change_would_help():
    matches = made(1)
    value, chosen = extreme_ap(matches, UNIT, KEPT, None, "worst")
    for place in range(IMAGES):
        for crop in range(place * RANKS, place * RANKS + RANKS):
            weights = np.zeros(IMAGES * RANKS)
            weights[np.where(np.arange(IMAGES) == place, crop, chosen)] = 1
            assert average_precision(matches, weights).mean(categories=KEPT) >= value - 1e-12


def test_without_scored_objects_it_is_undefined():
    nothing = Truth([], [], [], [], [], [])
    matches = match(nothing, Detected([], [], [], []), images=IMAGES * RANKS, categories=[1, 2])
    assert extreme_ap(matches, UNIT, KEPT, None, "worst")[0] is None


def test_a_run_gives_both_as_goods():
    data = data_of(60)
    result = small_run(loses_cut(opinions(data)), data, crops="random:keep=0.5,per_image=3")
    assert result.worst_case.value < result.best_case.value
    assert result.worst_case.value < result.ap["crop"] < result.best_case.value
    with pytest.raises(TypeError, match="worst_case >= limit"):
        assert result.worst_case <= 0.5
