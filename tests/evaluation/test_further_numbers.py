"""AP by size and AR against pycocotools; F1, LRP and calibration against plain loops; each at any weights of images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_cropdet.crops.plan import make_plan
from pytest_cropdet.data.samples import Detections, GroundTruth, Sample
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import (
    FURTHER_NUMBERS,
    CropIndex,
    DetectedBlocks,
    MeasureTables,
    build_objects,
    drawn_weights,
    further_number,
    match_blocks,
    sides_and_draws,
)
from pytest_cropdet.geometry import iou, paired_iou
from tests.evaluation.oracle import pycocotools, summary_of

WIDTH, HEIGHT = 500, 400
CATEGORIES = [3, 7, 12]
SCORE = 0.5
SIDES = ("reference", "crop")
OF_COCO = ("APs", "APm", "APl", "AR1", "AR10", "AR100")
OF_LOOPS = ("F1", "LRP", "oLRP", "ECE", "calibration")


def boxes_of(rng, count):
    """Boxes of all of COCO's sizes."""
    size = np.exp(rng.uniform(np.log(12), np.log(300), (count, 2)))
    corner = rng.random((count, 2)) * np.maximum(np.array([WIDTH, HEIGHT]) - size, 1)
    return np.concatenate([corner, np.minimum(corner + size, [WIDTH, HEIGHT])], axis=1)


def answer(rng, truth, missing, decimals):
    """Most objects, not quite where they are, some of another category, and things that are not."""
    found = rng.random(len(truth)) > missing
    boxes = truth.boxes[found]
    moved = boxes + rng.normal(0, 0.06, boxes.shape) * np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    false = boxes_of(rng, 4)
    kinds = np.where(rng.random(found.sum()) < 0.15, rng.choice(CATEGORIES, found.sum()), truth.categories[found])
    scores = np.concatenate([rng.uniform(0.2, 1, found.sum()), rng.uniform(0, 0.8, 4)]).round(decimals)
    return Detections(np.concatenate([moved, false]), scores, np.concatenate([kinds, rng.choice(CATEGORIES, 4)]))


def tables_of(seed, images=12, in_mean=(True, True, True), max_detections=100, decimals=1, tight=False):
    rng = np.random.default_rng(seed)
    samples = []
    for number in range(images):
        boxes = boxes_of(rng, 6)
        truth = GroundTruth(boxes, rng.choice(CATEGORIES, 6), crowd=rng.random(6) < 0.1)
        samples.append(Sample(f"{number}.jpg", WIDTH, HEIGHT, truth, read=lambda: None))
    index = CropIndex.of(samples, make_plan(samples, "random:keep=0.5-0.9,per_image=2", seed))
    objects = build_objects(index, 0.5)
    if tight:
        objects = replace(objects, truth=replace(objects.truth, tight=objects.truth.boxes * 0.9))
    whole = [answer(rng, sample.truth, 0.1, decimals) for sample in samples]
    crops = []
    for unit, window in zip(index.unit, index.crops, strict=True):
        some = answer(rng, samples[unit].truth, 0.3, decimals)
        crops.append(Detections(window.into(some.boxes), some.scores, some.categories))
    blocks = {
        "reference": DetectedBlocks(index, whole, 0.5, whole=True),
        "crop": DetectedBlocks(index, crops, 0.5),
    }
    return MeasureTables(
        matches={
            side: match_blocks(objects.truth, each, categories=CATEGORIES, max_detections=max_detections)
            for side, each in blocks.items()
        },
        detected={side: each.table() for side, each in blocks.items()},
        objects=objects,
        counted=np.asarray(objects.scored),
        in_mean=np.array(in_mean),
        score=SCORE,
    )


@pytest.fixture(scope="module", params=[0, 1, 2])
def tables(request):
    return tables_of(request.param)


# The second writing: plain loops


def overlap(box, other, crowd):
    width = max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
    height = max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
    both, area = width * height, (box[2] - box[0]) * (box[3] - box[1])
    return both / area if crowd else both / (area + (other[2] - other[0]) * (other[3] - other[1]) - both)


def overlap_of(truth, g, box):
    """The larger IoU of the object's two right boxes."""
    return max(overlap(box, boxes[g], False) for boxes in (truth.boxes, truth.tight) if boxes is not None)


def found_in(tables, side, category, most):
    """(score, image, IoU with the object that it finds or None) of each detection that counts; each object's image."""
    truth, detected = tables.objects.truth, tables.detected[side]
    found, objects = [], []
    for image in range(tables.images):
        rows = [g for g in range(len(truth)) if truth.image[g] == image and truth.category[g] == category]
        objects += [image for g in rows if tables.counted[g]]
        mine = [d for d in range(len(detected)) if detected.image[d] == image and detected.category[d] == category]
        taken = set()
        for d in sorted(mine, key=lambda d: -detected.score[d])[:most]:
            best, best_iou = None, 0.5
            for g in rows:
                value = overlap_of(truth, g, detected.boxes[d])
                if tables.counted[g] and g not in taken and value >= best_iou:
                    best, best_iou = g, value
            if best is not None:
                taken.add(best)
                found.append((detected.score[d], image, best_iou))
            elif not detected.stray[d] and not any(
                overlap(detected.boxes[d], truth.boxes[g], True) >= 0.5 for g in rows if not tables.counted[g]
            ):
                found.append((detected.score[d], image, None))
    return found, objects


def repeated(rows, times, image_of=lambda row: row[1]):
    """Every row as often as its image counts."""
    return [row for row in rows for _ in range(times[image_of(row)])]


def lrp_of(found, objects, threshold):
    right = [each for each in found if each[0] >= threshold and each[2] is not None]
    wrong = [each for each in found if each[0] >= threshold and each[2] is None]
    missed = len(objects) - len(right)
    errors = sum((1 - each[2]) / 0.5 for each in right)
    return (errors + len(wrong) + missed) / (len(right) + len(wrong) + missed)


def bins_of(found):
    bins = [[] for _ in range(10)]
    for score, _, value in found:
        bins[min(int(score * 10), 9)].append((score, value is not None))
    return bins


def by_loops(name, tables, side, times):
    most = None if name in ("F1", "LRP") else tables.matches[side].max_detections  # at a score all are acted upon

    def all_of(side):
        return {key: found_in(tables, side, key, most) for key in CATEGORIES}

    parts = {
        key: (repeated(found, times), repeated(objects, times, lambda image: image))
        for key, (found, objects) in all_of(side).items()
    }
    if name == "F1":
        right = sum(score >= SCORE and value is not None for found, _ in parts.values() for score, _, value in found)
        wrong = sum(score >= SCORE and value is None for found, _ in parts.values() for score, _, value in found)
        missed = sum(len(objects) for _, objects in parts.values()) - right
        return 2 * right / (2 * right + wrong + missed)
    if name in ("LRP", "oLRP"):
        values = []
        for place, (found, objects) in enumerate(parts.values()):
            if tables.in_mean[place] and objects:
                thresholds = [SCORE] if name == "LRP" else [*{each[0] for each in found}, 9.0]
                values.append(min(lrp_of(found, objects, each) for each in thresholds))
        return np.mean(values)
    bins = bins_of([each for found, _ in parts.values() for each in found])
    count = sum(map(len, bins))
    if name == "ECE":
        return sum(abs(sum(right for _, right in some) - sum(score for score, _ in some)) for some in bins) / count
    before = bins_of([each for found, _ in all_of("reference").values() for each in repeated(found, times)])
    both = [(some, other) for some, other in zip(bins, before, strict=True) if some and other]
    apart = [
        abs(np.mean([right for _, right in some]) - np.mean([right for _, right in other])) * len(some)
        for some, other in both
    ]
    return sum(apart) / sum(len(some) for some, _ in both)


# The tests


@pytest.mark.parametrize("name", OF_COCO)
def test_ap_by_size_and_ar_are_those_of_pycocotools(tables, name):
    values, _ = sides_and_draws(further_number(name), tables, replicates=100, seed=0)
    for side, value in zip(SIDES, values, strict=True):
        areas = ("all", "small", "medium", "large")
        theirs = summary_of(pycocotools(tables.objects.truth, tables.detected[side], tables.images, CATEGORIES, areas))
        assert 0.05 < theirs[name] < 0.95  # there is something to compare
        assert value == pytest.approx(theirs[name], abs=1e-12)


@pytest.mark.parametrize("name", OF_LOOPS)
def test_f1_lrp_and_calibration_are_those_of_plain_loops(tables, name):
    values, _ = sides_and_draws(further_number(name), tables, replicates=100, seed=0)
    ones = np.ones(tables.images, dtype=int)
    sides = SIDES if len(values) == 2 else ("crop",)
    for side, value in zip(sides, values, strict=True):
        theirs = by_loops(name, tables, side, ones)
        assert 0.01 < theirs < 0.99
        assert value == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("changes", [{"tight": True}, {"max_detections": 1}], ids=["tight boxes", "one detection"])
@pytest.mark.parametrize("name", OF_LOOPS)
def test_they_are_with_a_second_right_box_and_with_few_detections_that_count(name, changes):
    changed = tables_of(5, **changes)
    values, _ = sides_and_draws(further_number(name), changed, replicates=100, seed=0)
    sides = SIDES if len(values) == 2 else ("crop",)
    ones = np.ones(changed.images, dtype=int)
    assert values == pytest.approx([by_loops(name, changed, side, ones) for side in sides], abs=1e-12)
    plain, _ = sides_and_draws(further_number(name), tables_of(5), replicates=100, seed=0)
    assert (values != plain).any() == (name in (("LRP", "oLRP") if "tight" in changes else OF_LOOPS[2:]))


@pytest.mark.parametrize("name", OF_LOOPS)
def test_a_resample_is_the_number_of_the_images_as_often_as_they_were_drawn(tables, name):
    _, drawn = sides_and_draws(further_number(name), tables, replicates=100, seed=5)
    assert drawn.shape == (1 if name == "calibration" else 2, 100)
    weights = np.concatenate(list(drawn_weights(tables.objects.index.unit, replicates=100, seed=5)), axis=1)
    for which in (0, 99):
        sides = SIDES if len(drawn) == 2 else ("crop",)
        theirs = [by_loops(name, tables, side, weights[:, which]) for side in sides]
        assert drawn[:, which] == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("name", ["AR10", "APm"])
def test_a_resample_of_ap_and_ar_is_that_of_pycocotools(name):
    tables = tables_of(4, decimals=12)  # of equal scores in one image, copies of the image have another order
    _, drawn = sides_and_draws(further_number(name), tables, replicates=100, seed=5)
    weights = np.concatenate(list(drawn_weights(tables.objects.index.unit, replicates=100, seed=5)), axis=1)[:, 7]
    numbers = np.repeat(np.arange(tables.images), weights)  # the evaluation images, those drawn twice are there twice

    def again(table):
        rows = [np.flatnonzero(table.image == image) for image in numbers]
        image = np.repeat(np.arange(len(numbers)), [len(some) for some in rows])
        taken = {key: getattr(table, key) for key in table.__dataclass_fields__ if getattr(table, key) is not None}
        return type(table)(**{key: each[np.concatenate(rows)] for key, each in taken.items()} | {"image": image})

    areas = ("all", "small", "medium", "large")
    for place, side in enumerate(SIDES):
        truth, detected = again(tables.objects.truth), again(tables.detected[side])
        theirs = summary_of(pycocotools(truth, detected, len(numbers), CATEGORIES, areas))
        assert drawn[place, 7] == pytest.approx(theirs[name], abs=1e-12)


@pytest.mark.parametrize("name", ["APs", "AR10", "LRP", "oLRP"])
def test_means_are_over_the_categories_of_the_mean(name):
    one = tables_of(3, in_mean=(False, True, False))
    values, _ = sides_and_draws(further_number(name), one, replicates=100, seed=0)
    if name in OF_LOOPS:
        theirs = [by_loops(name, one, side, np.ones(one.images, dtype=int)) for side in SIDES]
    else:
        theirs = [
            summary_of(
                pycocotools(one.objects.truth, one.detected[side], one.images, [7], ("all", "small", "medium", "large"))
            )[name]
            for side in SIDES
        ]
    assert values == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("name", FURTHER_NUMBERS)
def test_what_is_not_there_is_undefined(name):
    empty = tables_of(0, in_mean=(False, False, False))
    averaged = further_number(name).averaged
    values, drawn = sides_and_draws(further_number(name), empty, replicates=100, seed=0)
    assert np.isnan(values).all() == averaged
    assert np.isnan(drawn).all() == averaged


def test_calibration_is_0_where_a_score_is_worth_the_same_and_grows_with_the_shift():
    same = tables_of(0)
    crop = {name: dict.fromkeys(SIDES, getattr(same, name)["crop"]) for name in ("matches", "detected")}
    same = replace(same, **crop)
    values, drawn = sides_and_draws(further_number("calibration"), same, replicates=100, seed=0)
    assert values.tolist() == [0.0]
    assert not drawn.any()


def test_ar_with_more_detections_than_the_run_counts_is_refused():
    few = tables_of(0, max_detections=10)
    assert not np.isnan(sides_and_draws(further_number("AR10"), few, replicates=100, seed=0)[0]).any()
    with pytest.raises(SpecError, match=r"AR100 needs 100 .* counts 10; set --cropdet-max-detections=100 or more"):
        sides_and_draws(further_number("AR100"), few, replicates=100, seed=0)


def test_an_unknown_number_is_named():
    with pytest.raises(SpecError, match=r"no measure is called 'APx'; there are APs, .*calibration"):
        further_number("APx")


def test_paired_iou_is_the_diagonal_of_iou():
    rng = np.random.default_rng(0)
    first, second = boxes_of(rng, 30), boxes_of(rng, 30)
    assert paired_iou(first, second).tolist() == np.diagonal(iou(first, second)).tolist()
    assert set(paired_iou(first, first)) == {1.0}
