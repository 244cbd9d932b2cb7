"""COCO data: what is read, when, and how bad input is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_cropdet.data import coco as module
from pytest_cropdet.data import load_dataset
from pytest_cropdet.errors import DataError
from tests.data.pictures import coco, encoded, quadrants, with_exif, write_set
from tests.geometry.invariants import same


def changed(what: str, place: int, **fields):
    """The data set with some fields of one entry changed; ``None`` takes a field out."""
    content = coco()
    entry = {**content[what][place], **fields}
    content[what][place] = {key: value for key, value in entry.items() if value is not None}
    return content


def added(what: str, **fields):
    """The data set with a copy of its first entry that differs in some fields."""
    content = coco()
    content[what].append({**content[what][0], **fields})
    return content


def opened(tmp_path, content):
    return load_dataset(write_set(tmp_path, content))


def test_samples_come_in_the_order_of_the_file_with_objects_in_theirs(tmp_path):
    first, second = opened(tmp_path, coco())
    assert (first.id, first.width, first.height, second.id) == ("a.png", 48, 32, "b.png")
    same(first.truth.boxes, np.array([[1.5, 2, 11.5, 22.25], [40, 20, 48, 32]]))
    same(first.truth.categories, np.array([1, 18]))
    same(first.truth.ids, np.array([30, 10]))
    same(first.truth.crowd, np.array([False, True]))
    same(first.truth.areas, np.array([150.5, 96]))
    same(second.truth.boxes, np.array([[0.0, 0, 48, 32]]))


def test_a_set_is_a_sequence_with_a_name_and_categories_by_id(tmp_path):
    dataset = opened(tmp_path, coco())
    assert dataset.categories == {1: "person", 18: "dog"}
    assert list(dataset.categories) == [1, 18]
    assert len(dataset) == 2
    assert dataset[1] is list(dataset)[1]
    assert dataset.name == str(tmp_path / "instances.json")
    assert repr(dataset) == f"CocoDataset('{dataset.name}', 2 images, 2 categories)"


def test_opening_a_set_reads_no_pixels_and_looking_reads_one_picture(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(module, "read_image", lambda path, *_: read.append(path.name) or quadrants())
    dataset = opened(tmp_path, coco())
    assert [sample.truth.boxes.shape for sample in dataset] == [(2, 4), (1, 4)]
    assert read == []
    dataset[1].image()
    assert read == ["b.png"]


def test_an_image_without_objects_is_a_sample_too(tmp_path):
    sample = opened(tmp_path, coco(annotations=[]))[0]
    assert sample.truth.boxes.shape == (0, 4)
    assert sample.truth.ids.shape == (0,)


def test_ids_of_0_are_ids(tmp_path):
    content = {
        "images": [{"id": 0, "file_name": "a.png", "width": 48, "height": 32}],
        "categories": [{"id": 0, "name": "cell"}],
        "annotations": [{"id": 0, "image_id": 0, "category_id": 0, "bbox": [1, 1, 2, 2]}],
    }
    truth = opened(tmp_path, content)[0].truth
    assert (truth.ids.tolist(), truth.categories.tolist()) == ([0], [0])


def test_masks_are_polygons_runs_or_none(tmp_path):
    content = coco()
    content["annotations"][0]["segmentation"] = [[2, 2, 6, 2, 6, 5, 2, 5]]
    content["annotations"][1]["segmentation"] = {"size": [32, 48], "counts": [32 * 40 + 20, 12, 20, 12, 32 * 6]}
    content["annotations"][2]["segmentation"] = []
    first, second = opened(tmp_path, content)
    polygon, runs = first.truth.masks
    assert (polygon.area, polygon.box.tolist()) == (12, [2, 2, 6, 5])
    assert (runs.area, runs.box.tolist()) == (24, [40, 20, 42, 32])
    assert second.truth.masks == (None,)


def test_a_box_that_rounding_put_over_the_border_is_clipped(tmp_path):
    truth = opened(tmp_path, changed("annotations", 0, bbox=[-0.5, -1, 49, 34]))[0].truth
    assert truth.boxes[0].tolist() == [0, 0, 48, 32]


@pytest.mark.parametrize("bbox", [[5, 5, 0, 9], [5, 5, 9, 0], [48, 3, 0.5, 2]])
def test_a_box_without_area_is_left_out_with_a_warning(tmp_path, bbox):
    path = write_set(tmp_path, changed("annotations", 0, bbox=bbox))
    with pytest.warns(UserWarning, match=r"1 box without area is left out \(image a\.png: annotation 30\)") as caught:
        dataset = load_dataset(path)
    assert dataset[0].truth.ids.tolist() == [10]
    assert caught[0].filename == __file__


# Where pictures are sought


@pytest.mark.parametrize("folder", [".", "images"])
def test_pictures_lie_beside_the_json_or_in_images_beside_it(tmp_path, folder):
    dataset = load_dataset(write_set(tmp_path, images=folder))
    same(dataset[0].image(), quadrants())


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_pictures_lie_where_the_caller_says(tmp_path, kind):
    path = write_set(tmp_path / "set", images="../elsewhere")
    same(load_dataset(kind(path), kind(tmp_path / "elsewhere"))[1].image(), quadrants())


@pytest.mark.parametrize("name", ["train/x/a.png", "a picture.png", "kühe été 牛.png", "a.b.c.png"])
def test_file_names_may_have_folders_spaces_and_any_letters(tmp_path, name):
    dataset = opened(tmp_path, changed("images", 0, file_name=name))
    assert dataset[0].id == name
    same(dataset[0].image(), quadrants())


def test_a_folder_with_one_json_is_a_data_set(tmp_path):
    write_set(tmp_path)
    assert load_dataset(str(tmp_path)).path == tmp_path / "instances.json"


def test_a_byte_order_mark_is_no_part_of_the_json(tmp_path):
    path = write_set(tmp_path)
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert len(load_dataset(path)) == 2


# Bad files


def test_a_folder_with_two_json_files_or_none_is_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"is not recognised as a data set; COCO needs exactly one \.json file in it, found none"
    ):
        load_dataset(tmp_path)
    write_set(tmp_path)
    (tmp_path / "captions.json").write_text("{}")
    with pytest.raises(DataError, match=r"found captions\.json, instances\.json"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is an empty file; a COCO JSON was expected"),
        (" \n", "is an empty file"),
        ("images: []", r"is not JSON: Expecting value: line 1 column 1"),
        ('{"images": [', "is not JSON"),
        ("[]", "is not COCO detection JSON: no list under 'images', 'annotations', 'categories'"),
        ("7", "is not COCO detection JSON"),
        ('{"images": [], "categories": {}}', "no list under 'annotations', 'categories'"),
        ('{"images": [], "annotations": [], "categories": []}', "lists no images"),
        ('{"images": [7], "annotations": [], "categories": []}', r"images\[0\] is not an object but int"),
    ],
)
def test_a_file_that_is_no_coco_json_is_refused(tmp_path, text, sentence):
    path = tmp_path / "set.json"
    path.write_text(text)
    with pytest.raises(DataError, match=sentence) as caught:
        load_dataset(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_picture_given_as_the_data_set_are_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot read the data set .*none\.json"):
        load_dataset(tmp_path / "none.json")
    path = tmp_path / "a.png"
    path.write_bytes(encoded(quadrants()))
    with pytest.raises(DataError, match=r"cannot read the data set .*a\.png"):
        load_dataset(path)


NAN, INFINITE = float("nan"), float("inf")
BAD = {
    "box right of its image": (
        changed("annotations", 0, bbox=[40, 2, 10, 2]),
        r"annotation 30: .*2 px outside .*48 x 32",
    ),
    "box above its image": (changed("annotations", 0, bbox=[0, -3, 10, 9]), r"annotation 30: .*3 px outside"),
    "box as corners": (changed("annotations", 0, bbox=[20, 20, 40, 30]), r"boxes are x y width height, in pixels"),
    "box not a number": (changed("annotations", 0, bbox=[NAN, 2, 10, 2]), r"annotation 30: bbox .* is not finite"),
    "box infinite": (changed("annotations", 0, bbox=[1, 2, INFINITE, 2]), r"annotation 30: bbox .* is not finite"),
    "box of negative size": (changed("annotations", 0, bbox=[9, 9, -3, 5]), r"annotation 30: .* has a negative size"),
    "box of three numbers": (changed("annotations", 0, bbox=[9, 9, 3]), r"annotation 30: bbox must be four numbers"),
    "box of texts": (changed("annotations", 0, bbox=["9", 9, 3, 3]), r"annotation 30: bbox must be four numbers"),
    "no box": (changed("annotations", 0, bbox=None), r"annotation 30: bbox must be four numbers .* is None"),
    "area not a number": (changed("annotations", 0, area=NAN), r"annotation 30: area must be a number"),
    "area negative": (changed("annotations", 0, area=-1), r"annotation 30: area must be a number"),
    "unknown category": (
        changed("annotations", 0, category_id=90),
        r"annotation 30: unknown category 90; the set has 1 person, 18 dog",
    ),
    "no category": (changed("annotations", 0, category_id=None), r"annotation 30: unknown category None"),
    "categories in a list": (changed("annotations", 0, category_id=[1]), r"annotation 30: unknown category \[1\]"),
    "unknown image": (changed("annotations", 0, image_id=8), r"annotation 30: no image has the id 8"),
    "images in a list": (changed("annotations", 0, image_id=[7]), r"annotation 30: no image has the id \[7\]"),
    "mask of another size": (
        changed("annotations", 0, segmentation={"size": [9, 9], "counts": [81]}),
        r"annotation 30: run-length code of size \[9, 9\]",
    ),
    "mask of texts": (changed("annotations", 0, segmentation=[["x"] * 6]), r"annotation 30: .* is no number.*: 'x'"),
    "annotation without id": (changed("annotations", 0, id=None), r"annotations\[0\]: id must be a whole number"),
    "annotation id twice": (added("annotations"), r"annotation 30: the id is given twice"),
    "image id twice": (added("images", file_name="c.png"), r"images\[2\] \(c\.png\): image id 7 is given twice"),
    "file name twice": (added("images", id=9), r"images\[2\]: file_name 'a\.png' is given twice"),
    "image without name": (changed("images", 1, file_name=None), r"images\[1\]: file_name is missing"),
    "image id a text": (changed("images", 0, id="7"), r"images\[0\]: id must be a whole number, is '7'"),
    "image id infinite": (changed("images", 0, id=INFINITE), r"images\[0\]: id must be a whole number, is inf"),
    "width not whole": (changed("images", 0, width=47.5), r"images\[0\]: width must be a whole number, is 47\.5"),
    "height missing": (changed("images", 0, height=None), r"images\[0\]: height must be a whole number, is None"),
    "width of 0": (changed("images", 0, width=0), r"images\[0\] \(a\.png\): a size of 0 x 32 pixels"),
    "category id twice": (added("categories", name="cat"), r"categories\[2\]: category id 18 is given twice"),
    "category name twice": (
        {**coco(), "categories": [{"id": 18, "name": "x"}, {"id": 1, "name": "x"}]},
        r"two categories have the name 'x', and annotations use both \(ids 18 and 1\)",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named(tmp_path, what):
    content, sentence = BAD[what]
    write_set(tmp_path)
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=sentence) as caught:
        load_dataset(path)
    assert str(path) in str(caught.value)


def test_a_missing_picture_is_named_when_the_set_is_opened(tmp_path):
    path = write_set(tmp_path)
    (tmp_path / "b.png").unlink()
    with pytest.raises(DataError, match=rf"missing in {tmp_path}: b\.png \(of 2 images\)"):
        load_dataset(path)
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match=r"no picture found .*sought a\.png\); name the folder: --cropdet-images DIR"):
        load_dataset(path)
    with pytest.raises(DataError, match=rf"missing in {tmp_path / 'nowhere'}: a\.png, b\.png"):
        load_dataset(path, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", r"a\.png is an empty file"),
        (b"<html>", r"cannot decode the image .*a\.png"),
        (encoded(quadrants(), ".jpg")[:-9], r"a\.png is cut off: a JPEG without its end"),
        (encoded(quadrants(40, 32)), r"a\.png is 40 x 32 pixels, its annotation says 48 x 32$"),
        (
            with_exif(encoded(quadrants(), ".jpg"), 6),
            r"a\.png is 32 x 48 pixels, its annotation says 48 x 32 \(its EXIF orientation turns it",
        ),
    ],
)
def test_a_bad_picture_is_named_when_it_is_read(tmp_path, data, sentence):
    dataset = opened(tmp_path, coco())
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError, match=sentence):
        dataset[0].image()
    same(dataset[1].image(), quadrants())


def test_a_turned_photograph_is_annotated_as_it_is_shown(tmp_path):
    dataset = opened(
        tmp_path, coco(images=[{"id": 7, "file_name": "a.png", "width": 32, "height": 48}], annotations=[])
    )
    (tmp_path / "a.png").write_bytes(with_exif(encoded(quadrants(), ".jpg"), 6))
    assert dataset[0].image().shape == (48, 32, 3)


# Real sets


@pytest.mark.parametrize(
    ("name", "images", "boxes", "crowds", "masks", "without", "categories"),
    [("coco-open-dev", 116, 957, 12, 957, 3, 68), ("bccd-dev", 292, 3941, 0, 0, 0, 3)],
)
def test_a_real_set_loads_and_every_picture_reads(assets, name, images, boxes, crowds, masks, without, categories):
    dataset = load_dataset(assets / "data" / name)
    truths = [sample.truth for sample in dataset]
    assert len(dataset) == images
    assert sum(map(len, truths)) == boxes
    assert sum(int(truth.crowd.sum()) for truth in truths) == crowds
    assert sum(mask is not None for truth in truths for mask in truth.masks) == masks
    assert sum(len(truth) == 0 for truth in truths) == without
    assert len({int(key) for truth in truths for key in truth.categories}) == categories
    for sample in dataset:
        pixels = sample.image()
        assert (pixels.shape, pixels.dtype) == ((sample.height, sample.width, 3), np.uint8)
