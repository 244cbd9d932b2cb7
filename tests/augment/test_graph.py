"""The graph's side: bit for bit the NumPy side, ragged as padded, and the Keras layer on top."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from pytest_cropdet.augment import Augmentation, Context, Cut, Matched, Position, Scale
from pytest_cropdet.errors import DataError, SpecError
from tests.augment.made import ALL, RECIPES, crop_truth_in_graph, in_graph, numbers, pictures
from tests.geometry.invariants import EXACT, ODD, same
from tests.strategies import scenes

pytestmark = pytest.mark.usefixtures("needs_tensorflow")
quick = settings(max_examples=40, deadline=None)


@pytest.mark.parametrize("check", EXACT, ids=lambda check: check.__name__)
@settings(max_examples=8, deadline=None)
@given(scene=scenes())
def test_the_gates_geometry(check, scene):
    check(crop_truth_in_graph, scene)


@settings(max_examples=40, deadline=None)
@given(scene=scenes(odd=True))
def test_the_gates_geometry_of_boxes_that_are_not_exact_in_binary(scene):
    for check in ODD:
        check(crop_truth_in_graph, scene)


def agree(augmentation, picture, index, seed=0):
    plain, graph = augmentation(picture.image, picture.truth, index, seed=seed), in_graph(augmentation)
    shown = graph(picture, index, seed)
    assert tuple(int(side) for side in shown.window) == plain.window
    scored, ignored = shown.scored.numpy(), shown.ignored.numpy()
    rows = np.flatnonzero(scored | ignored)
    same(rows, plain.kept)
    same(ignored[rows], plain.ignored)
    same(shown.boxes.numpy()[rows], plain.boxes)
    same(shown.visibility.numpy()[rows], plain.visibility)
    assert not shown.boxes.numpy()[~(scored | ignored)].any()
    return plain, shown


@quick
@given(picture=pictures(masked=True), index=numbers, seed=numbers)
def test_bit_for_bit_the_numpy_side_pixels_too(picture, index, seed):
    plain, shown = agree(ALL, picture, index, seed)
    same(shown.image.numpy(), plain.image)


@quick
@given(picture=pictures(masked=True, odd=True), index=numbers)
def test_bit_for_bit_where_no_box_is_exact_and_the_picture_is_resized(picture, index):
    plain, shown = agree(Augmentation(RECIPES, width=9, height=7), picture, index)
    assert shown.image.shape == (7, 9, 3)
    assert np.abs(shown.image.numpy().astype(int) - plain.image.astype(int)).max() <= 1


def test_of_a_large_picture():
    rng = np.random.default_rng(0)
    from pytest_cropdet.data.samples import GroundTruth
    from tests.augment.made import Picture

    corners = rng.uniform(0, 400, (20, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 200, (20, 2))], axis=1)
    picture = Picture(rng.integers(0, 256, (480, 640, 3), dtype=np.uint8), GroundTruth(boxes, np.ones(20)))
    for index in range(30):
        plain, shown = agree(ALL, picture, index, 2**50 + 3)
        same(shown.image.numpy(), plain.image)


def test_ragged_rows_are_the_padded_ones_in_tf_data_in_any_order_of_work():
    import tensorflow as tf

    from pytest_cropdet.augment import padded_map, ragged_map

    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (40, 30, 50, 3), dtype=np.uint8)
    counts = rng.integers(0, 5, 40)
    corners = rng.uniform(0, 20, (40, 4, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 20, (40, 4, 2))], axis=-1).astype(np.float32)
    there = np.arange(4) < counts[:, None]
    boxes, categories = boxes * there[..., None], np.where(there, 1 + np.arange(4), 0)
    augmentation = Augmentation(RECIPES, width=20, height=10)
    samples = tf.data.Dataset.from_tensor_slices((images, boxes, categories)).enumerate()
    padded = samples.map(lambda index, parts: padded_map(augmentation)(*parts, index), num_parallel_calls=2).batch(40)
    ragged = samples.map(
        lambda index, parts: ragged_map(augmentation)(
            parts[0], *(tf.boolean_mask(part, parts[2] > 0) for part in parts[1:]), index
        ),
        num_parallel_calls=2,
    ).ragged_batch(40)
    (images, boxes, categories, ignored), (same_images, rows, kinds, left_out) = next(iter(padded)), next(iter(ragged))
    same(np.stack(list(same_images.numpy())), images.numpy())
    assert boxes.shape == (40, 4, 4)
    assert boxes.dtype == tf.float32
    assert ignored.numpy().any()
    assert (categories.numpy() > 0).any()
    for number in range(40):
        shows = (categories[number].numpy() > 0) | ignored[number].numpy()
        same(rows[number].numpy(), boxes[number].numpy()[shows])
        same(left_out[number].numpy(), ignored[number].numpy()[shows])
        scored = ~left_out[number].numpy()
        same(kinds[number].numpy()[scored], categories[number].numpy()[shows][scored])


def test_without_objects_there_are_none_afterwards():
    import tensorflow as tf

    from pytest_cropdet.augment import padded_map, ragged_map

    image, none = tf.zeros((6, 5, 3)), (tf.zeros((0, 4)), tf.zeros(0, tf.int32))
    for make in (padded_map, ragged_map):
        _, boxes, categories, ignored = make(ALL)(image, *none, 3)
        assert boxes.shape == (0, 4)
        assert categories.shape == ignored.shape == (0,)


def test_a_graph_that_is_to_refuse_gated_samples_wants_names():
    from pytest_cropdet.augment import padded_map, ragged_map

    augmentation = Augmentation((Matched("random", gated=["a.jpg"]),))
    for make in (padded_map, ragged_map):
        with pytest.raises(DataError, match="a graph sees no names"):
            make(augmentation)
        with pytest.raises(DataError, match=r"first 'a\.jpg'"):
            make(augmentation, ids=["a.jpg", "b.jpg"])
        assert callable(make(augmentation, ids=["b.jpg"]))


# The Keras layer


def batch(boxes=((3, 5, 9, 8), (0, 0, 0, 0)), labels=(0, -1)):
    """Three black pictures, 20 wide and 16 high, with a white box."""
    images = np.zeros((3, 16, 20, 3), np.uint8)
    images[:, 5:8, 3:9] = 255
    rows = np.array([boxes] * 3, np.float32)
    return {"images": images, "bounding_boxes": {"boxes": rows, "labels": np.array([labels] * 3)}}


def layer(*recipes, **settings):
    from pytest_cropdet.augment import CropAugmentation

    options = {"bounding_box_format": settings.pop("bounding_box_format", "xyxy")}
    return CropAugmentation(Augmentation(recipes, width=20, height=16, fill=(0, 0, 0), **settings), **options)


def test_the_layers_boxes_are_where_the_pixels_are():
    crop, seen = layer(Position(shift=4)), 0
    for _ in range(5):
        out = crop(batch(), training=True)
        for image, box, label in zip(
            *(part.numpy() for part in (out["images"], *map(out["bounding_boxes"].get, ("boxes", "labels")))),
            strict=True,
        ):
            y, x = np.nonzero(image[..., 0])
            if label[0] == 0:
                assert box[0].tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
                seen += 1
            assert label[1] == -1
            assert not box[1].any()
    assert seen > 10


def test_the_layer_is_the_numpy_side_counts_on_and_takes_indices():
    from pytest_cropdet.data.samples import GroundTruth

    crop, again = layer(Context(), Scale(), Cut(visible=(0.2, 0.9))), layer(Context(), Scale(), Cut(visible=(0.2, 0.9)))
    first, second = crop(batch()), crop(batch())
    given = again({**batch(), "indices": np.array([3, 4, 5])})
    for key in ("boxes", "labels", "ignored"):
        same(second["bounding_boxes"][key].numpy(), given["bounding_boxes"][key].numpy())
    truth = GroundTruth([[3, 5, 9, 8]], [1])
    for index in range(6):
        found = (first, second)[index // 3]["bounding_boxes"]
        plain = crop.augmentation(batch()["images"][0], truth, index)
        rows = plain.boxes if len(plain.boxes) else np.zeros((1, 4))
        assert rows.astype(np.float32).tolist() == found["boxes"].numpy()[index % 3, :1].tolist()
        assert (found["labels"].numpy()[index % 3, 0] == 0) == (plain.ignored.tolist() == [False])
        assert found["ignored"].numpy()[index % 3].tolist() == [plain.ignored.any(), False]


def test_the_layer_takes_ragged_boxes_one_image_other_formats_and_tf_data():
    import tensorflow as tf

    whole = layer(Position(leave=1.0))
    ragged = {"boxes": tf.ragged.constant([[[3.0, 5, 9, 8]], [], []], ragged_rank=1)}
    ragged["labels"] = tf.ragged.constant([[4], [], []], dtype=tf.int64)
    out = whole({"images": batch()["images"], "bounding_boxes": ragged})["bounding_boxes"]
    assert out["boxes"].numpy().tolist() == [[[3, 5, 9, 8]], [[0] * 4], [[0] * 4]]
    assert out["labels"].numpy().tolist() == [[4], [-1], [-1]]
    first = {"images": batch()["images"][0], "bounding_boxes": {"boxes": [[3.0, 5, 9, 8]], "labels": [4]}}
    first["bounding_boxes"] = {key: np.array(value) for key, value in first["bounding_boxes"].items()}
    assert whole(first)["bounding_boxes"]["boxes"].shape == (1, 4)
    other = layer(Position(shift=3), bounding_box_format="xywh")(batch(boxes=((3, 5, 6, 3), (0, 0, 0, 0))))
    plain = layer(Position(shift=3))(batch())["bounding_boxes"]["boxes"].numpy()[:, 0]
    found = other["bounding_boxes"]["boxes"].numpy()[:, 0]
    np.testing.assert_allclose(np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], 1), plain, atol=1e-5)
    data = tf.data.Dataset.from_tensor_slices(batch()).batch(3).map(whole)
    assert next(iter(data))["bounding_boxes"]["boxes"].numpy()[2, 0].tolist() == [3, 5, 9, 8]


def test_the_layer_leaves_what_it_was_given_and_does_nothing_but_resize_when_not_training():
    crop, given = layer(Cut()), batch()
    before = given["bounding_boxes"]["boxes"].copy()
    out = crop(given, training=False)
    same(given["bounding_boxes"]["boxes"], before)
    assert set(given["bounding_boxes"]) == {"boxes", "labels"}
    same(out["bounding_boxes"]["boxes"].numpy(), before)
    same(out["images"].numpy(), given["images"])


def test_the_layer_can_be_written_down_and_made_again():
    import json

    from pytest_cropdet.augment import CropAugmentation

    made = Augmentation(RECIPES, width=20, height=10, fill=(1, 2, 3), seed=5)
    config = json.loads(json.dumps(CropAugmentation(made, "rel_xyxy").get_config()))
    again = CropAugmentation.from_config(config)
    assert again.augmentation == made
    assert again.bounding_box_format == "rel_xyxy"


def test_the_layer_wants_one_size():
    from pytest_cropdet.augment import CropAugmentation

    with pytest.raises(SpecError, match="give the Augmentation width and height"):
        CropAugmentation(ALL)
