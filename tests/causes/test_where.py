"""Where crops cost: bins by hand, on pictures of 120 x 60 cut into a left and a right half.

A lies far inside of the left half, B far inside of the right one; two thirds of C show in the right half, where it
touches the cut, and one third in the left one, where it does not count.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_cropdet.causes.diagnostics.breakdown import Originals, distance_to_border, distance_to_cut, where
from pytest_cropdet.causes.diagnostics.subsets import MIN_IMAGES, MIN_OBJECTS, STEPS, Subsets
from pytest_cropdet.data.samples import GroundTruth
from pytest_cropdet.evaluation import average_precision, match
from pytest_cropdet.evaluation.crop_tables import CropIndex, build_detected, build_objects
from pytest_cropdet.evaluation.object_shares import draw_units
from pytest_cropdet.evaluation.operating_point import found_objects
from pytest_cropdet.geometry.crop import Crop
from tests.support import NAMES, Data, Fake, detections, fair_run, loses_cut, made, objects, opinions, sample, small_run

CAT, DOG, BIRD = 3, 7, 12
A, B, C = (10, 10, 30, 30), (80, 10, 100, 30), (40, 10, 100, 50)
CHAIN = ("whole", "context", "cut", "moved", "crop")
HALVES = "tile:size=60,overlap=0"


def pictures(images: int = 30, *rows) -> Data:
    rows = rows or ((A, CAT), (B, CAT), (C, DOG))
    return Data([sample(number, objects(*rows), 120, 60) for number in range(images)])


def misses_at_the_cut(number: int, crop: Crop):
    """Finds all but what is cut by the window."""
    if crop.width == 120:
        return detections((A, 0.9, CAT), (B, 0.9, CAT), (C, 0.9, DOG))
    return detections((A, 0.9, CAT)) if crop.left == 0 else detections(((20, 10, 40, 30), 0.9, CAT))


def tables(run, chain=("whole", "crop")):
    """What ``where`` takes of a run; the middle of a longer chain sees what the whole image sees."""
    names = {"whole": "reference", "crop": "crop"}
    matches = {name: run.matches[names.get(name, "reference")] for name in chain}
    score = run.hidden.score
    found = {
        name: found_objects(table, run.detected[names.get(name, "reference")], score, len(run.objects.truth))
        for name, table in matches.items()
    }
    kept = np.array([each.in_mean for each in run.categories])
    draws = draw_units(run.images, 200, 0)
    return run.objects, matches, found, kept, None, draws


def where_of(run, chain=("whole", "crop")):
    return where(*tables(run, chain), NAMES)


def shown(bins) -> dict[str, int]:
    return {each.label: each.cost.objects for each in bins if each.cost.objects}


@pytest.fixture(scope="module")
def cut_blind():
    return small_run(Fake(misses_at_the_cut), pictures(), HALVES, score_threshold=0.5)


def test_objects_stand_in_the_bins_where_a_ruler_puts_them(cut_blind):
    by = where_of(cut_blind).by
    assert shown(by["visibility"]) == {"0.6-0.7": 30, "exactly 1": 60}
    assert shown(by["distance_to_cut"]) == {"touching": 30, "8-32 px": 60}  # A: 30 px left, B: 20 px
    assert shown(by["distance_to_cut_relative"]) == {"touching": 30, ">= 1 sizes": 60}
    assert shown(by["distance_to_border"]) == {"8-32 px": 90}
    assert shown(by["size"]) == {"small": 60, "medium": 30}  # C: 60 x 40, of which 40 x 40 are left
    assert shown(by["category"]) == {"cat": 60, "dog": 30}


def test_what_is_lost_at_the_cut_is_lost_there_and_nowhere_else(cut_blind):
    result = where_of(cut_blind)
    costs = {each.label: each.cost for each in result.by["distance_to_cut"]}
    touching, inside = costs["touching"], costs["8-32 px"]
    assert (touching.found, touching.lost.value, touching.drop) == ({"whole": 1, "crop": 0}, 1, 1)
    assert (inside.found, inside.lost.value, inside.drop) == ({"whole": 1, "crop": 1}, 0, 0)
    assert (touching.distinct, touching.images, inside.distinct) == (30, 30, 60)
    assert result.map["lost"].sum() == 30
    assert result.map["gained"].sum() == 0


def test_the_map_counts_centres_of_visible_boxes_top_left_first(cut_blind):
    cells = where_of(cut_blind).map
    expected = np.zeros((8, 8), int)
    expected[2, 2] = 30  # A in the left half: 20/60, 20/60
    expected[2, 4] = 30  # B in the right half: 30/60, 20/60
    expected[4, 2] = 30  # C there: 20/60, 30/60
    assert cells["objects"].tolist() == expected.tolist()
    assert cells["found"].tolist() == expected.tolist()
    expected[2] = 0
    assert cells["lost"].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("crop", "distance"),
    [
        (Crop(0, 0, 120, 60), np.inf),  # nothing is cut
        (Crop(50, 0, 70, 60), 0.0),  # through the object
        (Crop(40, 0, 80, 60), 0.0),  # along its left side
        (Crop(39, 0, 81, 60), 1.0),
        (Crop(0, 0, 101, 60), 1.0),
        (Crop(10, 5, 95, 55), 5.0),  # the bottom, 10 px away, is the image's
        (Crop(0, 3, 120, 57), 7.0),
        (Crop(0, 0, 120, 52), 2.0),
    ],
)
def test_the_distance_to_the_cut_forgets_the_edges_of_the_image(crop, distance):
    index = CropIndex((sample(0, objects((C, DOG)), 120, 60),), (crop,), np.array([0]), np.array([0]))
    assert distance_to_cut(build_objects(index, 0.5)).tolist() == [distance]


def test_originals_are_those_of_the_annotation_not_of_the_crop():
    truth = GroundTruth([A, C], [CAT, DOG], ids=[41, 17], areas=[100.0, 2000.0])
    other = GroundTruth([B], [CAT], ids=[17], areas=[7.0])
    samples = (sample(0, truth, 120, 60), sample(1, other, 120, 60))
    windows = (Crop(60, 0, 60, 60), Crop(0, 0, 60, 60), Crop(60, 0, 60, 60))
    originals = Originals.of(build_objects(CropIndex(samples, windows, np.array([0, 0, 1]), np.array([0, 1, 0])), 0.1))
    assert originals.area.tolist() == [2000, 100, 2000, 7]
    assert originals.boxes.tolist() == [list(map(float, box)) for box in (C, A, C, B)]
    assert distance_to_border(originals).tolist() == [10, 10, 10, 10]


def test_too_few_objects_or_images_give_none_not_zero():
    boxes = [((2 * place, 5, 2 * place + 20, 25), CAT) for place in range(10)]
    for images, rows in ((MIN_IMAGES - 1, boxes), (MIN_OBJECTS - 1, [(A, CAT)])):
        few = where_of(small_run(Fake(misses_at_the_cut), pictures(images, *rows), HALVES, score_threshold=0.5))
        bins = [each for bins in few.by.values() for each in bins]
        assert max(each.cost.objects for each in bins) == images * len(rows)
        for each in bins:
            assert (each.cost.drop, each.cost.lost.value, each.cost.lost.low) == (None, None, None)
            assert set(each.cost.found.values()) == {None}
    enough = where_of(small_run(Fake(misses_at_the_cut), pictures(MIN_OBJECTS), HALVES, score_threshold=0.5))
    costs = {each.label: each.cost for each in enough.by["distance_to_cut"]}
    assert costs["touching"].objects == MIN_OBJECTS
    assert costs["touching"].lost.value == 1
    assert costs[">= 128 px"].lost.value is None


def test_steps_add_up_to_drop_and_loss_in_every_bin():
    data = made(images=60, per_image=6)
    whole = opinions(data, seed=3)
    run = small_run(loses_cut(whole, least=0.9), data, "random:keep=0.6,per_image=3")
    objects_, matches, found, *rest = tables(run, CHAIN)
    rng = np.random.default_rng(0)
    found = {name: rows & (rng.random(len(rows)) < 0.9) for name, rows in found.items()}
    result = where(objects_, matches, found, *rest, NAMES)
    costs = [each.cost for bins in result.by.values() for each in bins if each.cost.drop is not None]
    assert len(costs) > 10
    for cost in costs:
        assert tuple(cost.steps) == tuple(cost.lost_steps) == STEPS
        assert sum(cost.steps.values()) == pytest.approx(cost.drop, abs=1e-12)
        assert sum(step.value for step in cost.lost_steps.values()) == pytest.approx(cost.lost.value, abs=1e-12)
        assert (cost.steps["context"], cost.steps["cut"]) == (0, 0)


@pytest.fixture(scope="module")
def fair():
    return fair_run()


def test_all_objects_together_cost_what_the_run_says(fair):
    subsets = Subsets(*tables(fair))
    cost = subsets.measure(np.ones(len(fair.objects.truth), dtype=bool))
    assert cost.drop == pytest.approx(fair.drop.value, abs=1e-12)
    net = fair.lost - fair.gained
    assert cost.lost.value == pytest.approx(net.value, abs=1e-12)
    assert (cost.objects, cost.distinct) == (fair.scored_objects, fair.distinct_objects)
    by_name = {each.name: each.drop for each in fair.categories}
    alone = {
        NAMES[int(key)]: each.drop for key, each in zip(subsets.categories, subsets.measure_categories(), strict=True)
    }
    assert alone == pytest.approx(by_name, abs=1e-12)


def test_bounds_are_those_of_the_run_for_the_same_draws(fair):
    cost = Subsets(*tables(fair)).measure(np.ones(len(fair.objects.truth), dtype=bool))
    net = fair.lost - fair.gained
    assert (cost.lost.low, cost.lost.high) == pytest.approx((net.low, net.high), abs=1e-12)


def test_ap_of_a_part_is_that_of_a_set_whose_objects_are_all_like_that_part():
    """Half of the objects are A. Where each B is a copy of its A, and what is wrong stays, plain AP is that of A."""
    rng = np.random.default_rng(5)
    images, wrong = 40, (50, 35, 70, 55)
    samples = tuple(sample(number, objects((A, CAT), (B, CAT)), 120, 60) for number in range(images))
    windows = (Crop(0, 0, 120, 60),) * images
    index = CropIndex(samples, windows, np.arange(images), np.zeros(images, np.int64))
    table = build_objects(index, 0.5)
    rows = [[(box, rng.random(), CAT) for box in (A, B, wrong) if rng.random() < 0.7] for _ in range(images)]
    copied = [[row for row in each if row[0] != B] + [(B, *row[1:]) for row in each if row[0] == A] for each in rows]

    def matched(answers):
        detected = build_detected(index, [detections(*each) for each in answers], 0.5, whole=True)
        return match(table.truth, detected, images=images, categories=[CAT])

    found = np.ones(len(table.truth), bool)
    both = dict.fromkeys(("whole", "crop"), matched(rows))
    subsets = Subsets(table, both, dict.fromkeys(both, found), np.ones(1, bool), None, draw_units(images, 50, 0))
    of_a = subsets.measure(np.tile([True, False], images)).ap["whole"]
    assert of_a == pytest.approx(average_precision(matched(copied)).mAP, abs=1e-9)
    assert of_a != pytest.approx(average_precision(matched(rows)).mAP, abs=1e-3)


def test_renderings_that_are_no_chain_are_refused(fair):
    objects_, matches, found, *rest = tables(fair)
    with pytest.raises(ValueError, match="in the same order"):
        where(objects_, matches, {name: found[name] for name in ("crop", "whole")}, *rest, NAMES)
    with pytest.raises(ValueError, match="five renderings"):
        where(objects_, {**matches, "more": matches["crop"]}, {**found, "more": found["crop"]}, *rest, NAMES)


def test_what_goes_to_json_is_built_in(fair):
    content = where_of(fair).to_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert set(content) == {
        "visibility",
        "distance_to_cut",
        "distance_to_cut_relative",
        "distance_to_border",
        "size",
        "category",
        "map",
    }
    assert sum(each["objects"] for each in content["visibility"]) == fair.scored_objects
    for name in ("distance_to_cut", "distance_to_cut_relative", "distance_to_border", "size", "category"):
        assert sum(each["objects"] for each in content[name]) == fair.scored_objects
    assert sum(map(sum, content["map"]["objects"])) == fair.scored_objects


def test_bins_below_one_half_appear_where_such_objects_count():
    run = small_run(Fake(misses_at_the_cut), pictures(), HALVES, score_threshold=0.5, min_visibility=0.2)
    labels = [each.label for each in where_of(run).by["visibility"]]
    assert labels == ["0.3-0.4", "0.4-0.5", "0.5-0.6", "0.6-0.7", "0.7-0.8", "0.8-0.9", "0.9-1", "exactly 1"]
