"""The worst and the best crop of each image, against every choice there is."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cropdet.evaluation import Detected, Truth, average_precision, match
from pytest_cropdet.evaluation.coco import best_worst
from pytest_cropdet.evaluation.coco.best_worst import extreme_ap
from tests.support import loses_cut, opinions, small_run
from tests.support import made as data_of

IMAGES, RANKS = 4, 3
UNIT = np.repeat(np.arange(IMAGES), RANKS)
KEPT = np.array([True, True])


def made(seed, sparse=False):
    """Twelve crops of four images with two categories, found with luck; ``sparse``: some crops have one, or none."""
    draw = np.random.default_rng(seed)
    image, category, boxes, score = [], [], [], []
    truth_image = np.repeat(np.arange(IMAGES * RANKS), 2)
    truth_category = np.tile([1, 2], IMAGES * RANKS)
    truth_boxes = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]] * (IMAGES * RANKS))
    if sparse:
        kept = draw.random(len(truth_image)) < 0.5
        truth_image, truth_category, truth_boxes = truth_image[kept], truth_category[kept], truth_boxes[kept]
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


def by_whole_pool(matches, unit, kept, iou, sign):
    """The search as its definition says it: every change is judged by the AP of all categories anew."""
    groups = [np.flatnonzero(unit == one) for one in np.unique(unit)]
    weights = np.zeros(matches.images)
    chosen = np.array([group[0] for group in groups], dtype=np.int64)
    weights[chosen] = 1.0
    best = average_precision(matches, weights).mean(threshold=iou, categories=kept)
    for _ in range(4):
        moved = False
        for place, group in enumerate(groups):
            for crop in group:
                before = chosen[place]
                if crop == before:
                    continue
                weights[before], weights[crop] = 0.0, 1.0
                tried = average_precision(matches, weights).mean(threshold=iou, categories=kept)
                if not np.isnan(tried) and (np.isnan(best) or sign * tried > sign * best + 1e-12):
                    best, chosen[place], moved = tried, crop, True
                else:
                    weights[crop], weights[before] = 0.0, 1.0
        if not moved:
            break
    return (None if np.isnan(best) else best), chosen.tolist()


SEEDS = st.integers(0, 10_000)


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.sampled_from([None, 0.5]), st.tuples(st.booleans(), st.booleans()), st.booleans(), st.booleans())
def test_values_and_choices_are_those_of_the_whole_pool_to_the_last_bit(seed, iou, kept, best, sparse):
    matches, which = made(seed, sparse), "best" if best else "worst"
    value, chosen = extreme_ap(matches, UNIT, np.array(kept), iou, which)
    assert (value, chosen.tolist()) == by_whole_pool(matches, UNIT, np.array(kept), iou, 1 if best else -1)


def test_a_change_reads_only_the_categories_in_its_crops(monkeypatch):
    count = 40
    each = np.arange(2 * count)
    boxes = np.tile([0.0, 0, 10, 10], (2 * count, 1))
    flags = [False] * (2 * count)
    truth = Truth(each, 1 + each // 2, boxes, [100.0] * (2 * count), flags, flags)
    found = Detected(each, 1 + each // 2, boxes + (each % 2 * 30)[:, None] * [1, 0, 1, 0], 1 - each / 200)
    matches = match(truth, found, images=2 * count, categories=range(1, count + 1))
    read = []
    whole = best_worst.average_precision
    monkeypatch.setattr(
        best_worst, "average_precision", lambda table, *given: read.append(len(table.rows)) or whole(table, *given)
    )
    value, chosen = extreme_ap(matches, each // 2, np.ones(count, dtype=bool), None, "worst")
    assert (value, chosen.tolist()) == (0.0, (2 * np.arange(count) + 1).tolist())
    assert sum(read) <= 2 * count * 4  # by the whole pool it is the square of the number of images
