"""The shift: objects at the model's input, distances, what is outside of the usual, and training annotations."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cropdet.causes.diagnostics.distribution_shift import MIN_BASE, shift, wasserstein
from pytest_cropdet.causes.diagnostics.model_input import at_input
from pytest_cropdet.data import load_annotations
from pytest_cropdet.detectors.resize import fit
from pytest_cropdet.errors import DataError
from tests.causes.test_where import tables
from tests.data.pictures import coco
from tests.support import NAMES, Fake, made, opinions, perfect, same, shown_in, small_run

BOX = np.array([[20.0, 10.0, 60.0, 30.0]])  # 40 x 20 in a picture of 200 x 100
numbers = st.lists(st.integers(-40, 40).map(lambda value: value / 4), min_size=1, max_size=30)


# At the model's input


@pytest.mark.parametrize(
    ("resize", "size", "aspect", "place"),
    [
        ("stretch", 64 * 64, 1, (64 / 320, 64 / 320)),  # 1.6 across, 3.2 down
        ("letterbox", 64 * 32, 2, (64 / 320, (80 + 32) / 320)),
        ("keep_aspect", 64 * 32, 2, (64 / 320, 32 / 320)),
    ],
)
def test_a_box_lies_in_a_fixed_input_as_its_resize_says(resize, size, aspect, place):
    seen = at_input(BOX, [[200, 100]], (320, 320), resize)
    assert 4 ** seen.size[0] == pytest.approx(size)
    assert 2 ** seen.aspect[0] == pytest.approx(aspect)
    assert (seen.x[0], seen.y[0]) == pytest.approx(place)


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "keep_aspect"])
def test_it_lies_where_the_pixels_really_go(resize):
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[10:30, 20:60] = 255
    pixels = fit(picture, resize, 320, 320, np.uint8).pixels
    rows, columns = np.nonzero(pixels[:, :, 0] > 127)
    seen = at_input(BOX, [[200, 100]], (320, 320), resize)
    assert seen.x[0] * 320 == pytest.approx((columns.min() + columns.max() + 1) / 2, abs=0.6)
    assert seen.y[0] * 320 == pytest.approx((rows.min() + rows.max() + 1) / 2, abs=0.6)
    assert 4 ** seen.size[0] == pytest.approx(len(rows), rel=0.05)


@pytest.mark.parametrize(
    ("size", "resize"), [((0, 0), "inside"), ((0, 0), None), ((320, 320), None), ((0, 320), "stretch")]
)
def test_an_input_that_is_not_known_is_measured_in_sides_of_the_picture(size, resize):
    seen = at_input(BOX, [[200, 100]], size, resize)
    assert 2 ** seen.size[0] == pytest.approx(0.2)
    assert (seen.aspect[0], seen.x[0], seen.y[0]) == pytest.approx((0, 0.2, 0.2))


def test_no_box_is_no_error():
    for resize in ("letterbox", "inside"):
        assert len(at_input(np.zeros((0, 4)), np.zeros((0, 2)), (320, 320), resize).size) == 0


# The distance


@settings(deadline=None)  # the first call imports scipy
@given(one=numbers, other=numbers)
def test_the_distance_is_scipys(one, other):
    stats = pytest.importorskip("scipy.stats")
    assert wasserstein(one, other) == pytest.approx(stats.wasserstein_distance(one, other), abs=1e-12)


@given(values=numbers, by=st.integers(-8, 8))
def test_who_moves_all_values_moves_the_distance_as_far(values, by):
    assert wasserstein(values, np.array(values) + by) == pytest.approx(abs(by))


def test_two_samples_of_one_size_are_as_far_apart_as_their_sorted_values():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=50), rng.normal(1, 2, size=50)
    assert wasserstein(one, other) == pytest.approx(np.abs(np.sort(one) - np.sort(other)).mean())
    with pytest.raises(ValueError, match="without values"):
        wasserstein([], one)


# The shift of a run


@pytest.fixture(scope="module")
def halved():
    """Windows of half of each side, shown to a detector that stretches them to one input."""
    data = made(images=80, per_image=5)
    return small_run(same(opinions(data, seed=1)), data, "random:keep=0.5,per_image=4")


def shift_of(run, input_size=(90, 120), resize="stretch", training=None):
    return shift(*tables(run), NAMES, input_size, resize, training)


def test_half_of_each_side_shows_objects_twice_as_large_but_for_what_is_cut(halved):
    result = shift_of(halved)
    assert result.unit == "input pixels"
    assert "120 x 90" in result.notes[0]
    quantiles = {name: group.to_dict()["quantiles"]["size"]["0.75"] for name, group in result.groups.items()}
    assert 0.7 < quantiles["crop"] - quantiles["whole"] < 1.0
    assert 0.7 < result.distances["crop-whole"]["size"] < 1.0
    assert result.distances["crop-whole"]["aspect"] < 0.15


def test_whole_images_as_crops_shift_nothing():
    data = made(images=60, per_image=5)
    result = shift_of(small_run(perfect(data), data, "random:keep=1,per_image=1"))
    assert result.distances["crop-whole"] == dict.fromkeys(("size", "aspect", "x", "y", "objects"), 0)
    assert result.outside["size"].share.value < 0.021


def test_a_detector_that_knows_small_objects_only_loses_what_is_outside():
    data = made(images=80, per_image=5)
    whole = opinions(data, seed=1, missing=0.05)
    sides = np.concatenate([each.truth.boxes[:, 2:] - each.truth.boxes[:, :2] for each in data])
    largest = np.quantile(np.sqrt(sides.prod(axis=1)), 0.99)

    def answer(number, crop):
        found = shown_in(whole[number], crop)
        size = np.sqrt((found.boxes[:, 2:] - found.boxes[:, :2]).prod(axis=1)) * 120 / crop.width
        return found.take(np.flatnonzero(size <= largest))

    part = shift_of(small_run(Fake(answer), data, "random:keep=0.5,per_image=4")).outside["size"]
    assert part.share.low < part.share.value < part.share.high
    assert part.below + part.above == pytest.approx(part.share.value)
    assert 2**part.high == pytest.approx(largest, rel=1e-4)
    assert part.outside.found["crop"] < 0.05 < 0.8 < part.outside.found["whole"]
    assert part.inside.found["crop"] > 0.8
    assert part.inside.objects + part.outside.objects == round(part.outside.objects / part.share.value)


def test_few_objects_say_nothing():
    data = made(images=9, per_image=5)
    result = shift_of(small_run(perfect(data), data))
    assert set(result.distances["crop-whole"].values()) == {None}
    assert result.groups["whole"].to_dict()["quantiles"]["size"] is None
    assert set(result.outside.values()) == {None}
    data = made(images=(MIN_BASE - 1) // 5, per_image=5)
    result = shift_of(small_run(perfect(data), data))
    assert result.distances["crop-whole"]["size"] is not None
    assert set(result.outside.values()) == {None}


def test_without_an_input_it_says_so(halved):
    result = shift_of(halved, (0, 0), "inside")
    assert result.unit == "picture sides"
    assert "not known" in result.notes[0]
    assert 0.7 < result.distances["crop-whole"]["size"] < 1.0


# Training annotations


def written(tmp_path, content):
    path = tmp_path / "train.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def training(tmp_path, names=NAMES, images=60, size=12):
    """Training annotations: five squares of ``size`` pixels in each picture of 120 x 90."""
    boxes = [(number, [20 * place, 7 * place, size, size]) for number in range(images) for place in range(5)]
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 120, "height": 90} for n in range(images)],
        "categories": [{"id": place + 1, "name": name} for place, name in enumerate(names.values())],
        "annotations": [
            {"id": n, "image_id": image, "category_id": n % len(names) + 1, "bbox": box}
            for n, (image, box) in enumerate(boxes)
        ],
    }
    return load_annotations(written(tmp_path, content))


def test_training_annotations_need_no_picture(tmp_path):
    found = load_annotations(written(tmp_path, coco()))
    assert found.sizes.tolist() == [[48, 32], [48, 32]]
    assert len(found) == len(found.names) == len(found.image) > 0
    assert set(found.names) <= {"dog", "person"}
    assert load_annotations(tmp_path).boxes.tolist() == found.boxes.tolist()


def test_crowds_and_boxes_without_area_are_left_out_and_those_that_stick_out_clipped(tmp_path):
    content = coco()
    first = {**content["annotations"][0], "segmentation": None}
    content["annotations"] = [
        {**first, "id": 1, "bbox": [-9, 4, 19, 10]},
        {**first, "id": 2, "bbox": [4, 4, 0, 10]},
        {**first, "id": 3, "bbox": [4, 4, 10, 10], "iscrowd": 1},
        {**first, "id": 4, "bbox": [400, 4, 10, 10]},
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_annotations(written(tmp_path, content)).boxes.tolist() == [[0, 4, 10, 14]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no json", "is not JSON"),
        ('{"images": []}', "not COCO detection JSON"),
        ({**coco(), "annotations": []}, "has no boxes"),
    ],
)
def test_what_is_no_training_set_is_named(tmp_path, content, message):
    path = written(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        load_annotations(path)
    assert str(path) in str(caught.value)
    with pytest.raises(DataError, match=r"absent\.json"):
        load_annotations(tmp_path / "absent.json")


def test_with_training_the_usual_is_that_of_training(halved, tmp_path):
    result = shift_of(halved, training=training(tmp_path))
    assert list(result.distances) == ["crop-whole", "crop-training", "whole-training"]
    assert result.base == "training"
    assert result.outside["size"].low == result.outside["size"].high == pytest.approx(np.log2(12))
    assert result.outside["size"].share.value > 0.9
    assert result.groups["training"].to_dict()["objects"] == 300
    assert len(result.notes) == 1


def test_categories_that_training_lacks_are_named(halved, tmp_path):
    some = shift_of(halved, training=training(tmp_path, {1: "cat", 2: "horse"}))
    assert some.groups["training"].to_dict()["objects"] == 150
    assert some.notes[1] == "the training annotations have no bird, dog"
    none = shift_of(halved, training=training(tmp_path, {1: "horse"}))
    assert none.groups["training"].to_dict()["objects"] == 300
    assert "all boxes are used" in none.notes[1]


def test_what_goes_to_json_is_built_in(halved, tmp_path):
    content = shift_of(halved, training=training(tmp_path)).to_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    for name, table in content["histograms"].items():
        for group, numbers_of in content["groups"].items():
            assert len(table["edges"]) == len(table[group]) + 1
            assert sum(table[group]) == numbers_of["pictures" if name == "objects" else "objects"]
