"""Truth that contradicts itself, or is written as strangers write it: read rightly, counted, or refused."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

from pytest_cropdet.data import load_annotations, load_dataset
from pytest_cropdet.data.data_warnings import WARNING_KINDS, DataWarning, DataWarnings
from pytest_cropdet.data.folder import ImageFolder
from pytest_cropdet.errors import DataError, SpecError
from tests.data.pictures import coco, encoded, quadrants, with_exif, write_set


def many(images: int = 12, width: int = 160, height: int = 120):
    """Pictures with three objects each, whose masks are their boxes."""
    rng = np.random.default_rng(0)
    content = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "red"}, {"id": 2, "name": "green"}]}
    for image in range(1, images + 1):
        content["images"].append({"id": image, "file_name": f"{image:03}.png", "width": width, "height": height})
        for place in range(3):
            x, y = 5 + 50 * place, int(rng.integers(5, 60))
            w, h = int(rng.integers(18, 42)), int(rng.integers(18, 48))
            number = len(content["annotations"]) + 1
            entry = {"id": number, "image_id": image, "category_id": 1 + number % 2, "bbox": [x, y, w, h]}
            corners = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            content["annotations"].append({**entry, "area": w * h, "iscrowd": 0, "segmentation": corners})
    return content


def opened(tmp_path, content, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return load_dataset(write_set(tmp_path, content), **options)


def refused(tmp_path, content, **options) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(write_set(tmp_path, content), **options)
    return str(caught.value)


def only_warning(dataset):
    (found,) = dataset.warnings.records()
    return found


def scaled(values, by):
    return [value * by for value in values]


# Clean sets


def crowds_by_design():
    """Each crowd is one annotation of its category in its image, as COCO has them."""
    content = many()
    content["annotations"] = [each for each in content["annotations"] if each["id"] % 3]
    for place, each in enumerate(content["annotations"]):
        each.update(iscrowd=1, category_id=1 + place % 2)
    return content


def tiny_objects():
    content = many()
    for place, each in enumerate(content["annotations"]):
        x, y = 3.4 + place, 7.3 + place
        each.update(bbox=[x, y, 1.3, 1.3], area=1.69, segmentation=[[x, y, x + 1.3, y, x + 1.3, y + 1.3, x, y + 1.3]])
    return content


def smaller_than_a_pixel():
    """No pixel of such a mask is set, so it has no place that could be another one than its box's."""
    content = many()
    for place, each in enumerate(content["annotations"]):
        x, y = 30.1 + place, 40.2 + place
        each.update(bbox=[x, y, 0.4, 0.4], area=0.16, segmentation=[[x, y, x + 0.4, y, x + 0.4, y + 0.4, x, y + 0.4]])
    return content


def at_the_left_edge():
    """Objects in the same place of each image: a camera that looks at one spot."""
    content = many()
    for each in content["images"]:
        each.update(width=640, height=480)
    for each in content["annotations"]:
        each.update(bbox=[60.5, 40, 30, 35], area=1050, segmentation=[])
    return content


def thin_objects():
    content = many()
    for each in content["annotations"]:
        x, y, w, h = each["bbox"]
        each.update(segmentation=[[x, y, x + w, y + h, x + w, y + h - 1]], area=w / 2)
    return content


def parts_of_objects():
    """Masks of what shows of an object, boxes of all of it."""
    content = many()
    for each in content["annotations"]:
        x, y, w, h = each["bbox"]
        each.update(segmentation=[[x, y, x + w / 3, y, x + w / 3, y + h, x, y + h]], area=w * h / 3)
    return content


def boxes_alone():
    content = many()
    for each in content["annotations"]:
        del each["segmentation"], each["area"], each["iscrowd"]
    return content


def one_pixel():
    content = many(1)
    content["annotations"] = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}]
    return content


@pytest.mark.parametrize(
    "made",
    [
        many,
        crowds_by_design,
        tiny_objects,
        smaller_than_a_pixel,
        thin_objects,
        parts_of_objects,
        boxes_alone,
        one_pixel,
    ],
)
def test_a_clean_set_gets_no_warning(tmp_path, made):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = load_dataset(write_set(tmp_path, made()))
        for sample in dataset:
            sample.image()
    assert dataset.warnings.records() == []


def test_objects_that_lie_in_one_part_of_large_images_are_not_taken_for_percent(tmp_path):
    assert opened(tmp_path, at_the_left_edge()).warnings.records() == []


@pytest.mark.parametrize("name", ["coco-open-dev", "bccd-dev"])
def test_a_real_set_gets_no_warning(assets, name):
    dataset = load_dataset(assets / "data" / name)
    for sample in dataset:
        sample.image()
    assert dataset.warnings.records() == []


# Text in place of numbers


@pytest.mark.parametrize(
    ("value", "crowd"),
    [("0", False), ("1", True), ("true", True), ("False", False), (True, True), (1.0, True), (0, False), (None, False)],
    ids=repr,
)
def test_iscrowd_as_text_means_what_it_says(tmp_path, value, crowd):
    content = coco()
    content["annotations"][0]["iscrowd"] = value
    assert opened(tmp_path, content)[0].truth.crowd.tolist() == [crowd, True]
    assert len(load_annotations(write_set(tmp_path, content))) == (1 if crowd else 2)


@pytest.mark.parametrize("value", ["no", "", 2, -1, 0.5, [], float("nan"), 10**400])
def test_iscrowd_that_is_neither_is_refused(tmp_path, value):
    content = coco()
    content["annotations"][0]["iscrowd"] = value
    assert "image a.png: annotation 30: iscrowd must be 0 or 1, is " in refused(tmp_path, content)


HUGE = 10**400


@pytest.mark.parametrize(
    ("table", "key", "value", "sentence"),
    [
        ("annotations", "id", "30", "id must be a whole number, is '30' (a text: write it without quotes)"),
        ("annotations", "id", HUGE, "id must be a whole number, is 1000"),
        ("annotations", "id", 2**63, "is 9223372036854775808 (more than 64 bits)"),
        ("annotations", "id", True, "id must be a whole number, is True"),
        ("annotations", "image_id", "7", "no image has the id '7' (a text"),
        ("annotations", "image_id", HUGE, "(more than 64 bits)"),
        ("annotations", "category_id", "1", "unknown category '1' (a text"),
        ("annotations", "category_id", True, "unknown category True"),
        ("annotations", "category_id", HUGE, "unknown category 1000"),
        ("annotations", "bbox", "1,2,3,4", "bbox must be four numbers x y width height, is '1,2,3,4'"),
        ("annotations", "bbox", [1, 2, "3", 4], "bbox must be four numbers"),
        ("annotations", "bbox", [1, 2, True, 4], "bbox must be four numbers"),
        ("annotations", "bbox", [1, 2, HUGE, 4], "is not finite"),
        ("annotations", "bbox", [1e308, 2, 1e308, 4], "px outside its image"),
        ("annotations", "area", "150.5", "area must be a number of pixels, is '150.5' (a text"),
        ("annotations", "area", HUGE, "area must be a number of pixels"),
        ("annotations", "area", True, "area must be a number of pixels, is True"),
        ("images", "id", HUGE, "images[0]: id must be a whole number"),
        ("images", "width", "48", "width must be a whole number, is '48' (a text"),
        ("images", "width", HUGE, "width must be a whole number"),
        ("images", "width", 10**9, "images have at most 1,073,741,824 pixels"),
        ("categories", "id", "1", "categories[0]: id must be a whole number, is '1' (a text"),
        ("categories", "id", HUGE, "categories[0]: id must be a whole number"),
    ],
)
def test_numbers_as_text_or_beyond_64_bits_are_named(tmp_path, table, key, value, sentence):
    content = coco()
    content[table][0][key] = value
    path = write_set(tmp_path)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError) as caught:
        load_dataset(path)
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_whole_numbers_written_as_floats_are_whole_numbers(tmp_path):
    content = coco()
    content["images"][0].update(id=7.0, width=48.0, height=32.0)
    content["annotations"][0].update(id=30.0, image_id=7.0, category_id=1.0)
    path = write_set(tmp_path)
    path.write_text(json.dumps(content))
    sample = load_dataset(path)[0]
    assert (sample.width, sample.truth.ids.tolist(), sample.truth.categories.tolist()) == (48, [30, 10], [1, 18])


def test_a_number_of_thousands_of_digits_and_nesting_without_end_are_no_crash(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"images": [' + "9" * 5000 + "]}")
    with pytest.raises(DataError, match=r"a\.json is not JSON: .*digits"):
        load_dataset(path)
    path.write_text("[" * 200_000)
    with pytest.raises(DataError, match="nested too deeply"):
        load_dataset(path)


# Scales


@pytest.mark.parametrize("scale", [0.5, 2.0, 0.8, 1.5])
def test_masks_in_another_scale_than_boxes_are_left_out_and_counted(tmp_path, scale):
    content = many()
    for each in content["annotations"]:
        each["segmentation"] = [scaled(each["segmentation"][0], scale)]
    dataset = opened(tmp_path, content)
    found = only_warning(dataset)
    assert found["kind"] == "mask_scale_all"
    assert found["count"] > 3
    assert found["example"].startswith("image 001.png: annotation ")
    assert "masks do not fit their boxes (first: image 001.png" in found["text"]
    assert all(mask is None for sample in dataset for mask in sample.truth.masks)
    assert len(dataset[0].truth) == 3


def test_one_mask_that_lies_elsewhere_is_left_out_alone(tmp_path):
    content = many()
    content["annotations"][1]["segmentation"] = [[150, 110, 159, 110, 159, 119]]
    dataset = opened(tmp_path, content)
    assert (only_warning(dataset)["kind"], only_warning(dataset)["count"]) == ("mask_scale", 1)
    assert [mask is None for mask in dataset[0].truth.masks] == [False, True, False]
    assert all(mask is not None for mask in dataset[1].truth.masks)


def test_areas_in_another_scale_are_those_of_the_boxes_and_counted(tmp_path):
    content = many()
    for each in content["annotations"]:
        each["area"] *= 4
    dataset = opened(tmp_path, content)
    assert (only_warning(dataset)["kind"], only_warning(dataset)["count"]) == ("area", 36)
    w, h = content["annotations"][0]["bbox"][2:]
    assert dataset[0].truth.areas[0] == w * h


def test_boxes_in_0_to_1_are_refused(tmp_path):
    content = boxes_alone()
    for each in content["annotations"]:
        each["bbox"] = (np.array(each["bbox"]) / [160, 120, 160, 120]).tolist()
    assert "all 36 boxes lie between 0 and 1, so they look normalised (0..1)" in refused(tmp_path, content)
    assert "normalised" in refused(tmp_path, content, errors="clip")
    with pytest.raises(DataError, match="normalised"):
        load_annotations(write_set(tmp_path, content))


def test_some_boxes_in_0_to_1_are_counted(tmp_path):
    content = boxes_alone()
    for each in content["annotations"][3:9]:
        each["bbox"] = (np.array(each["bbox"]) / [160, 120, 160, 120]).tolist()
    found = only_warning(opened(tmp_path, content))
    assert (found["kind"], found["count"], found["example"]) == ("normalised_box", 6, "image 002.png: annotation 4")


def test_boxes_in_percent_are_counted(tmp_path):
    content = boxes_alone()
    for each in content["images"]:
        each.update(width=640, height=480)
    for each in content["annotations"]:
        each["bbox"] = (np.array(each["bbox"]) / [1.6, 1.2, 1.6, 1.2]).tolist()
    found = only_warning(opened(tmp_path, content))
    assert (found["kind"], found["count"]) == ("percent_boxes", 36)


def test_single_objects_that_are_marked_as_crowds_are_counted(tmp_path):
    content = many()
    for each in content["annotations"]:
        each.update(iscrowd=1, category_id=1)
    found = only_warning(opened(tmp_path, content))
    assert (found["kind"], found["count"]) == ("crowds", 36)
    assert "nearly all there are, are crowds" in found["text"]
    for each in content["annotations"][::4]:
        each["iscrowd"] = 0
    assert opened(tmp_path, content).warnings.records() == []


# Masks that are none


@pytest.mark.parametrize(
    ("segmentation", "left"),
    [
        ([[]], False),
        ([[5, 5, 20, 30]], False),
        ([5, 5, 20, 5, 20, 30], False),
        ([[7, 7]], False),
        ([[5, 5, 20, 5, 20, 30, 1]], False),
        ("polygon", False),
        (7, False),
        (["polygon"], False),
        ([[5, 5, 45, 5, 45, 50, 5, 50], [7, 7]], True),
        ([[], [5, 5, 45, 5, 45, 50, 5, 50]], True),
    ],
)
def test_a_segmentation_that_is_none_is_left_out_and_counted(tmp_path, segmentation, left):
    content = boxes_alone()
    content["annotations"][0].update(bbox=[5, 5, 40, 45], segmentation=segmentation)
    dataset = opened(tmp_path, content)
    found = only_warning(dataset)
    assert (found["kind"], found["count"]) == ("mask_shape", 1)
    assert "1 mask is malformed and left out (image 001.png: annotation 1: " in found["text"]
    assert (dataset[0].truth.masks[0] is not None) is left


HOSTILE = {
    "far right": [[5, 5, 1e8, 5, 20, 30]],
    "far left": [[5, 5, -1e9, 5, 20, 30]],
    "far below": [[5, 5, 20, 1e300, 20, 30]],
    "infinite": [[5, 5, 20, float("inf"), 20, 30]],
    "hundreds of digits": [[5, 5, 20, HUGE, 20, 30]],
    "text": [[5, 5, 20, "30", 20, 30]],
    "nested": [[[5, 5], [20, 5], [20, 30], [9, 40], [7, 30], [6, 20]]],
    "objects": [[{}, {}, {}, {}, {}, {}]],
    "without end": [[0, 0, 1600, 1200] * 20_000],
    "runs beyond the image": {"size": [120, 160], "counts": [0, 2**40]},
    "runs that wrap round": {"size": [120, 160], "counts": [0, 2**32 + 19200]},
    "runs that wrap round 64 bits": {"size": [120, 160], "counts": [2**62] * 4 + [19200]},
    "negative runs": {"size": [120, 160], "counts": [-5, 19205]},
    "runs of text": {"size": [120, 160], "counts": ["19200"]},
    "runs of fractions": {"size": [120, 160], "counts": [0.5, 19199.5]},
    "runs of hundreds of digits": {"size": [120, 160], "counts": [HUGE]},
    "no runs": {"size": [120, 160], "counts": []},
    "runs of nothing": {"size": [120, 160], "counts": None},
    "compressed runs beyond the image": {"size": [120, 160], "counts": "oooo0"},
    "letters": {"size": [120, 160], "counts": "é"},
    "size of another image": {"size": [10**9, 10**9], "counts": [10**18]},
    "size as number": {"size": 7, "counts": [19200]},
    "size as text": {"size": "12", "counts": [19200]},
}

IN_A_CHILD = """
import json, sys
from pathlib import Path
from pytest_cropdet.data import load_dataset
from pytest_cropdet.errors import DataError
path = Path(sys.argv[1])
content = json.loads(path.read_text())
for name, segmentation in json.loads(Path(sys.argv[2]).read_text()).items():
    content["annotations"][0]["segmentation"] = segmentation
    path.write_text(json.dumps(content))
    try:
        load_dataset(path)
    except DataError as error:
        text = str(error)
    else:
        text = "accepted"
    sys.stdout.write(f"{name}: {text.rpartition('/')[2]}\\n")
    sys.stdout.flush()
"""


@pytest.mark.subprocess
def test_segmentations_that_would_crash_or_fill_memory_are_refused_before_native_code_sees_them(tmp_path):
    path = write_set(tmp_path, many(2))
    (tmp_path / "hostile.txt").write_text(json.dumps(HOSTILE))
    command = [sys.executable, "-c", IN_A_CHILD, str(path), str(tmp_path / "hostile.txt")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert (done.returncode, list(said)) == (0, list(HOSTILE)), done.stderr[-2000:]
    wrong = {name: text for name, text in said.items() if "image 001.png: annotation 1: " not in text}
    assert not wrong
    assert "lies 9.99998e+07 px outside its image of 160 x 120" in said["far right"]


# Faults, several at a time


def test_up_to_five_faults_are_listed_and_all_are_counted(tmp_path):
    content = many()
    for each in content["annotations"][::4]:
        each["bbox"] = [each["bbox"][0], each["bbox"][1], 300, 20]
    text = refused(tmp_path, content)
    assert "instances.json: 9 annotations are wrong:" in text
    assert text.count(" px outside its image of 160 x 120") == 5
    assert "and 4 more" in text
    assert "to clip boxes that stick out: --cropdet-data-errors clip" in text


def test_faults_of_different_kinds_are_listed_together(tmp_path):
    content = many()
    content["annotations"][0]["category_id"] = 9
    content["annotations"][1]["bbox"] = [1, 2, 3]
    content["annotations"][2]["area"] = "x"
    text = refused(tmp_path, content)
    assert "3 annotations are wrong:" in text
    for sentence in ("annotation 1: unknown category 9", "annotation 2: bbox must be", "annotation 3: area must be"):
        assert sentence in text
    assert "more" not in text
    assert "clip" not in text


def test_boxes_that_stick_out_are_clipped_where_the_user_says_so(tmp_path):
    content = boxes_alone()
    content["annotations"][0]["bbox"] = [150, 100, 300, 200]
    content["annotations"][4]["bbox"] = [-30, -20, 40, 50]
    content["annotations"][5]["bbox"] = [500, 500, 9, 9]
    dataset = opened(tmp_path, content, errors="clip")
    records = {each["kind"]: each for each in dataset.warnings.records()}
    assert (records["clipped_box"]["count"], records["flat_box"]["count"]) == (3, 1)
    assert records["clipped_box"]["text"] == (
        "3 boxes stick out of their image and are clipped (first: image 001.png: annotation 1)"
    )
    assert dataset[0].truth.boxes[0].tolist() == [150, 100, 160, 120]
    assert dataset[1].truth.boxes[1].tolist() == [0, 0, 10, 30]
    with pytest.raises(SpecError, match="cropdet_data_errors must be one of fail, clip, not 'drop'"):
        load_dataset(tmp_path, errors="drop")


# Categories


def test_of_two_categories_of_one_name_the_one_that_no_annotation_uses_is_left_out(tmp_path):
    content = many()
    content["categories"] = [{"id": 0, "name": "people"}, {"id": 1, "name": "people"}, {"id": 2, "name": "dog"}]
    assert opened(tmp_path, content).categories == {1: "people", 2: "dog"}
    content["categories"][2]["name"] = "people"
    assert "two categories have the name 'people', and annotations use both (ids 1 and 2)" in refused(tmp_path, content)
    content.update(annotations=[])
    assert opened(tmp_path, content).categories == {0: "people"}


# Files


def test_backslashes_in_file_names_are_separators_where_no_file_has_that_name(tmp_path):
    content = coco()
    path = write_set(tmp_path, content, images="images")
    for each in content["images"]:
        each["file_name"] = f"images\\{each['file_name']}"
    path.write_text(json.dumps(content))
    dataset = load_dataset(path)
    assert dataset[0].id == "images\\a.png"
    assert dataset[0].image().shape == (32, 48, 3)


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b.png", "\ud800.png"])
def test_a_name_that_no_file_can_have_is_missing(tmp_path, name):
    content = coco()
    path = write_set(tmp_path, content)
    content["images"][0]["file_name"] = name
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="missing in"):
        load_dataset(path)


def test_a_folder_whose_only_file_ends_in_capitals_is_a_data_set(tmp_path):
    path = write_set(tmp_path)
    path.rename(tmp_path / "A.JSON")
    assert len(load_dataset(tmp_path)) == 2


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"images": [], "annotations": [{"segments_info": []}], "categories": []}, "is a COCO panoptic JSON"),
        ({"images": [], "annotations": [{"caption": "a dog"}]}, "is a COCO caption JSON: .* boxes are in instances_"),
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}], "is a COCO results file"),
    ],
)
def test_other_files_of_coco_are_named(tmp_path, content, sentence):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=sentence):
        load_dataset(path)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 6000000\n"


def test_a_git_lfs_pointer_in_place_of_the_json_or_a_picture_is_named(tmp_path):
    path = write_set(tmp_path)
    (tmp_path / "a.png").write_text(POINTER)
    with pytest.raises(DataError, match=r"the image .*a\.png is a Git LFS pointer.*`git lfs pull`"):
        load_dataset(path)[0].image()
    with pytest.raises(DataError, match="Git LFS pointer"):
        ImageFolder(tmp_path)
    path.write_text(POINTER)
    with pytest.raises(DataError, match=r"the data set .*instances\.json is a Git LFS pointer"):
        load_dataset(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_in_place_of_the_json_a_picture_or_in_a_folder_are_refused(tmp_path):
    path = write_set(tmp_path)
    (tmp_path / "a.png").unlink()
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"the image .*a\.png: it is a named pipe"):
        load_dataset(path)
    with pytest.raises(DataError, match=r"the image .*a\.png: it is a named pipe"):
        ImageFolder(tmp_path)
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(DataError, match=r"the data set .*pipe\.json: it is a named pipe"):
        load_dataset(tmp_path / "pipe.json")
    path.unlink()
    with pytest.raises(DataError, match=r"the data set .*pipe\.json: it is a named pipe"):
        load_dataset(tmp_path)


# The warnings themselves


def test_warnings_are_issued_once_a_kind_when_a_set_is_opened(tmp_path):
    content = boxes_alone()
    for each in content["annotations"][:7]:
        each["segmentation"] = [[]]
    content["annotations"][8]["bbox"] = [5, 5, 0, 9]
    with pytest.warns(DataWarning) as caught:
        load_dataset(write_set(tmp_path, content))
    assert [str(each.message).partition("instances.json: ")[2].split(" (")[0] for each in caught] == [
        "1 box without area is left out",
        "7 masks are malformed and left out",
    ]
    assert {each.filename for each in caught} == {__file__}


def test_what_is_odd_about_images_is_counted_once_each_in_whatever_order_they_are_decoded(tmp_path):
    content = coco(images=[{"id": n, "file_name": f"{n}.png", "width": 32, "height": 32} for n in (7, 3)])
    content["annotations"][2]["bbox"] = [0, 0, 9, 9]
    content["annotations"][1]["bbox"] = [20, 20, 8, 12]
    dataset = opened(tmp_path, content)
    for sample in dataset:
        sample.path.write_bytes(with_exif(encoded(quadrants(32, 32), ".jpg"), 3))
    with pytest.warns(DataWarning, match="EXIF orientation") as caught:
        [dataset[place].image() for place in (1, 0, 1)]
    assert len(caught) == 1
    found = only_warning(dataset)
    assert (found["kind"], found["count"], found["example"]) == ("exif", 2, "image 7.png: orientation 3")
    assert pickle.loads(pickle.dumps(dataset.warnings)).records() == dataset.warnings.records()


def test_a_folder_without_truth_has_warnings_too(tmp_path):
    (tmp_path / "a.jpg").write_bytes(with_exif(encoded(quadrants(32, 32), ".jpg"), 3))
    (tmp_path / "folder.png").mkdir()
    folder = ImageFolder(tmp_path)
    with pytest.warns(DataWarning, match="EXIF orientation"):
        folder[0].image()
    assert (len(folder), only_warning(folder)["kind"]) == (1, "exif")


def test_a_folder_without_truth_is_opened_without_decoding_a_pixel(tmp_path, monkeypatch):
    import cv2

    (tmp_path / "a.jpg").write_bytes(with_exif(encoded(quadrants(48, 32), ".jpg"), 6))
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    folder = ImageFolder(tmp_path)
    assert (folder[0].width, folder[0].height) == (32, 48)


@pytest.mark.parametrize("kind", WARNING_KINDS)
def test_every_kind_has_a_sentence_for_one_and_for_several(kind):
    found = DataWarnings()
    found.add(kind, "image a.png", 3)
    (one,) = found.records()
    assert one["text"].startswith("1 ")
    assert "(image a.png)" in one["text"]
    for place in range(1200):
        found.add(kind, f"image {place}", 4)
    found.add(kind, "image b.png", 1)
    (several,) = found.records()
    assert (several["count"], several["example"]) == (1202, "image b.png")
    assert several["text"].startswith("1,202 ")
    assert "(first: image b.png)" in several["text"]
