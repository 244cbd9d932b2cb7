"""YOLO: where its parts are, what a line is, and what is refused."""

from __future__ import annotations

import os
import re
import time

import numpy as np
import pytest

from pytest_cropdet.data import load_dataset
from pytest_cropdet.data.data_warnings import DataWarning
from pytest_cropdet.errors import DataError
from tests.data.pictures import encoded, quadrants

HALF = "0.5 0.5 0.5 0.25"  # of 48 x 32: x 12 to 36, y 12 to 20


def write(folder, labels, yaml="names: [cat, dog]\nval: images/val\n", split="val", beside=False):
    """Images of 48 x 32 with their label files; a text of ``None`` is no file."""
    images, texts = folder / "images" / split, folder / "labels" / split
    images, texts = (folder, folder) if beside else (images, texts)
    for place in (images, texts):
        place.mkdir(parents=True, exist_ok=True)
    for stem, text in labels.items():
        (images / f"{stem}.png").write_bytes(encoded(quadrants()))
        if text is not None:
            (texts / f"{stem}.txt").write_text(text)
    if yaml is not None:
        (folder / "data.yaml").write_text(yaml)
    return folder


def only(folder):
    (sample,) = load_dataset(folder)
    return sample.truth


def test_a_box_is_centre_and_size_in_sides_of_the_image(tmp_path):
    data = load_dataset(write(tmp_path, {"a": f"1 {HALF}\n\n0 0.25 0.25 0.5 0.5\n", "b": None, "c": ""}))
    assert data[0].truth.boxes.tolist() == [[12, 12, 36, 20], [0, 0, 24, 16]]
    assert data[0].truth.categories.tolist() == [1, 0]
    assert [len(sample.truth) for sample in data] == [2, 0, 0]
    assert dict(data.categories) == {0: "cat", 1: "dog"}
    assert data.layout == "YOLO, data.yaml, val"
    np.testing.assert_array_equal(data[0].image(), quadrants())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("names: {0: cat, 3: dog}", {0: "cat", 3: "dog"}),
        ("names:\n- cat\n- no\n- 7\n- yes", {0: "cat", 1: "no", 2: "7", 3: "yes"}),
        ("nc: 2\nnames: ['cat', \"big dog\"]", {0: "cat", 1: "big dog"}),
    ],
)
def test_names_are_a_list_or_a_mapping_and_stay_as_they_are_written(tmp_path, names, expected):
    data = load_dataset(write(tmp_path, {"a": f"0 {HALF}"}, f"{names}\nval: images/val\n"))
    assert dict(data.categories) == expected


@pytest.mark.parametrize(
    ("splits", "chosen"),
    [
        ("train: images/train\nval: images/val\ntest: images/test", "val"),
        ("train: images/train\ntest: images/test", "test"),
        ("train: images/train\ntest:\nval: ''", "train"),
        ("train: images/train\nvalid: images/val", "val"),
        ("train: images/train\nval: [images/val, images/test]", "val"),
    ],
)
def test_the_split_is_val_else_test_else_train_and_is_named(tmp_path, splits, chosen):
    for split in ("train", "val", "test"):
        write(tmp_path, {split: f"0 {HALF}"}, f"names: [a]\n{splits}\n", split)
    data = load_dataset(tmp_path / "data.yaml")
    assert data.layout == f"YOLO, data.yaml, {chosen}"
    assert len(data) == (2 if "[" in splits else 1)
    assert data[0].path.parent.name in (chosen, "test")


@pytest.mark.parametrize(
    "yaml", ["val: ../valid/images", "val: valid/images", "path: valid\nval: images", "path: .\nval: ./valid/images"]
)
def test_paths_are_found_as_they_are_meant(tmp_path, yaml):
    write(tmp_path / "valid", {"a": f"0 {HALF}"}, None, ".")
    (tmp_path / "data.yaml").write_text(f"names: [a]\n{yaml}\n")
    assert len(load_dataset(tmp_path)[0].truth) == 1


def test_a_list_of_images_may_stand_for_a_folder(tmp_path):
    write(tmp_path, {"a": f"0 {HALF}", "b": f"1 {HALF}"}, "names: [a, b]\nval: val.txt\n")
    (tmp_path / "val.txt").write_text("./images/val/b.png\n\n")
    assert [sample.id for sample in load_dataset(tmp_path)] == ["b.png"]
    (tmp_path / "val.txt").write_text(f"{tmp_path}/images/val/a.png")
    assert load_dataset(tmp_path / "val.txt")[0].truth.categories.tolist() == [0]


def test_folders_without_a_yaml_take_their_names_from_classes(tmp_path):
    write(tmp_path, {"a": f"1 {HALF}"}, None, ".")
    assert dict(load_dataset(tmp_path).categories) == {1: "1"}
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert dict(load_dataset(tmp_path).categories) == {0: "cat", 1: "dog"}


def test_labels_may_be_beside_the_images(tmp_path):
    write(tmp_path, {"a": f"1 {HALF}"}, None, beside=True)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert load_dataset(tmp_path)[0].truth.categories.tolist() == [1]


def test_notes_beside_a_yolo_set_are_no_coco_json(tmp_path):
    write(tmp_path, {"a": f"1 {HALF}"}, None, ".")
    (tmp_path / "notes.json").write_text('{"categories": [], "info": {}}')
    assert load_dataset(tmp_path).layout == "YOLO, images and labels"


def test_a_polygon_is_a_mask_and_its_box_the_extent(tmp_path):
    truth = only(write(tmp_path, {"a": f"0 0.25 0.25 0.75 0.25 0.5 0.75\n1 {HALF}"}))
    assert truth.boxes.tolist() == [[12, 8, 36, 24], [12, 12, 36, 20]]
    assert truth.masks[1] is None
    assert truth.masks[0].area == truth.areas[0] < 24 * 16 * 0.6
    assert truth.areas[1] == 24 * 8


TURNED = "0 0.5 0.2 0.8 0.5 0.5 0.8 0.2 0.5"
UPRIGHT = "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75"


def test_a_set_of_oriented_boxes_is_refused_by_name(tmp_path):
    path = write(tmp_path, {"a": f"{TURNED}\n{UPRIGHT}\n"})
    with pytest.raises(DataError, match=r"oriented boxes are not read.*\n?.*add the line `task: segment`"):
        load_dataset(path)
    with pytest.raises(DataError, match="oriented boxes are not read"):
        load_dataset(write(tmp_path, {"a": UPRIGHT}, "names: [a]\nval: images/val\ntask: obb\n"))


@pytest.mark.parametrize(
    ("text", "yaml"),
    [
        (f"{TURNED}\n0 0.1 0.1 0.2 0.1 0.2 0.2\n", "names: [a]\nval: images/val\n"),
        (f"{TURNED}\n", "names: [a]\nval: images/val\ntask: segment\n"),
        (f"{UPRIGHT}\n", "names: [a]\nval: images/val\n"),
    ],
)
def test_polygons_of_four_points_are_read_where_they_can_be_nothing_else(tmp_path, text, yaml):
    assert only(write(tmp_path, {"a": text}, yaml)).masks[0] is not None


def test_a_pose_set_has_boxes_and_its_keypoints_are_passed_over(tmp_path):
    yaml = "names: [a]\nval: images/val\nkpt_shape: [2, 2]\n"
    truth = only(write(tmp_path, {"a": f"0 {HALF} 0.1 0.2 0.3 0.4\n"}, yaml))
    assert (truth.boxes.tolist(), truth.masks) == ([[12, 12, 36, 20]], (None,))
    with pytest.raises(DataError, match=r"line 1: 7 values; a line of this pose set has 5 and 4 of its keypoints"):
        load_dataset(write(tmp_path, {"a": f"0 {HALF} 0.1 0.2\n"}, yaml))


def test_a_line_that_is_given_twice_counts_once(tmp_path):
    with pytest.warns(DataWarning, match="1 line repeats the line of another object"):
        assert len(only(write(tmp_path, {"a": f"0 {HALF}\n0  {HALF}\n1 {HALF}\n"}))) == 2


@pytest.mark.parametrize("label", ["A.txt", "a.TXT"])
def test_a_label_file_in_another_case_is_read_and_counted_where_it_is_the_only_one(tmp_path, label):
    labels = write(tmp_path, {"a": None, "b": f"0 {HALF}"}) / "labels" / "val"
    (labels / label).write_text(f"1 {HALF}\n")
    with pytest.warns(DataWarning, match=rf"another case or ending \(image a\.png: {label}\)"):
        data = load_dataset(tmp_path)
    assert [sample.truth.categories.tolist() for sample in data] == [[1], [0]]
    assert len(data.warnings) == 1
    (labels / "A.TXT").write_text(f"1 {HALF}\n")
    with pytest.warns(DataWarning, match="2 label files have no image"):
        data = load_dataset(tmp_path)
    assert [len(sample.truth) for sample in data] == [0, 1]


def test_label_files_without_an_image_are_counted(tmp_path):
    write(tmp_path, {"a": f"0 {HALF}"})
    (tmp_path / "labels" / "val" / "z.txt").write_text("")
    with pytest.warns(DataWarning, match=r"1 label file has no image \(.*z\.txt\)"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("0 0.5 0.5 0.5", "4 values; a box has 5"),
        (f"0 {HALF} 0.9", "six values: with a score these are detections"),
        (f"0 {HALF} 0.1 0.2 0.3", "8 values"),
        (f"2 {HALF}", "unknown category 2; the set has 0 to 1"),
        (f"-1 {HALF}", "the category must be a whole number from 0, is -1"),
        (f"0.5 {HALF}", "the category must be a whole number"),
        (f"cat {HALF}", "'cat' is no number"),
        ("0 nan 0.5 0.5 0.5", "nan is not finite"),
        ("0 1e400 0.5 0.5 0.5", "1e400 is not finite"),
        ("0 120 80 30 30", "the coordinate 120 is outside of 0 to 1; is it in pixels?"),
        ("0 0.9 0.5 0.5 0.5", r"is 7.2 px outside its image of 48 x 32"),
        ("0 0.5 0.5 -0.005 0.5", "a box of negative size"),
        ("0 0.1 0.1 0.2 0.2 0.3 5", "the coordinate 5 is outside"),
    ],
)
def test_a_line_that_cannot_be_an_object_is_refused_with_its_place(tmp_path, line, sentence):
    with pytest.raises(DataError, match=sentence.replace("?", r"\?")) as caught:
        load_dataset(write(tmp_path, {"a": f"1 {HALF}\n{line}\n"}))
    assert "image a.png: line 2: " in str(caught.value)


BOMB = "a: &a [x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("yaml", "sentence"),
    [
        (f"{BOMB}names: [a]\nval: images/val", "line 2: an alias (*), which no data set needs: refused"),
        (f"{MERGES}names: [a]\nval: images/val", "an alias (*)"),
        ("names: !!python/object/apply:os.system ['touch ran']\nval: images/val", "cannot be read as YAML"),
        ("names: !!python/name:os.system\nval: images/val", "cannot be read as YAML"),
        ("names: [a]\nval: !x images/val", "cannot be read as YAML"),
        ("[" * 5000, "nested too deeply"),
        ("names: [a\nval: x", "cannot be read as YAML"),
        ("- a", "is no YOLO data set: it has no names"),
        ("names: 7\nval: x", "names must be a list or a mapping"),
        ("names: {a: b}\nval: x", "names has the key 'a'"),
        ("names: [a, [b]]\nval: x", "category 1 has no name"),
        ("names: [a, a]\nval: x", "two categories have the name 'a' (0 and 1)"),
        ("names: []\nval: x", "names is empty"),
        ("names: [a]\nnc: 3\nval: x", "nc is 3, but names has 1 categories"),
        ("names: [a]", "names no images: it has none of val, test, train; add one, as in `val: images/val`"),
        ("names: [a]\nval: {a: b}", "val must be a path or a list of paths"),
        ("names: [a]\nval: nowhere", "val is 'nowhere', which does not exist; sought "),
        ("names: [a]\nval: images/val\nkpt_shape: 17", "kpt_shape must be two numbers"),
        ("names: [a]\nval: images/val\ntask: classify", "task 'classify' in its YAML"),
        ('names: [a]\nval: "a\\0b"', "val is 'a"),
        ("\x00names: [a]", "cannot be read as YAML"),
        ("names: [" + "a, " * 300_000, "more than"),
    ],
)
def test_a_bad_yaml_is_one_error_with_its_name_and_runs_nothing(tmp_path, monkeypatch, yaml, sentence):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, {"a": f"0 {HALF}"}, yaml) / "data.yaml"
    begun = time.perf_counter()
    with pytest.raises(DataError, match=re.escape(sentence)) as caught:
        load_dataset(path)
    assert "data.yaml" in str(caught.value)
    assert time.perf_counter() - begun < 5
    assert not (tmp_path / "ran").exists()


def test_a_list_that_leads_out_of_its_folder_or_names_no_image_is_refused(tmp_path):
    write(tmp_path, {"a": f"0 {HALF}"}, "names: [a]\nval: val.txt\n")
    for line, sentence in (("../x.png", "leads out of the folder"), ("notes.doc", "is no image")):
        (tmp_path / "val.txt").write_text(f"images/val/a.png\n{line}\n")
        with pytest.raises(DataError, match=f"line 2: .*{sentence}"):
            load_dataset(tmp_path)


def test_a_set_without_any_label_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no label file for any of 1 images; sought .*labels/val/a\.txt for"):
        load_dataset(write(tmp_path, {"a": None}))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is an empty file"),
        (b"\0" * 500, "cannot read the size"),
        (encoded(quadrants())[:20], "cannot read the size"),
    ],
)
def test_an_image_without_a_size_is_named(tmp_path, content, sentence):
    path = write(tmp_path, {"a": f"0 {HALF}"})
    (path / "images" / "val" / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=rf"{sentence}|a\.png"):
        load_dataset(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["data.yaml", "labels/val/a.txt", "images/val/a.png"])
def test_pipes_are_refused(tmp_path, name):
    path = write(tmp_path, {"a": f"0 {HALF}"})
    (path / name).unlink()
    os.mkfifo(path / name)
    with pytest.raises(DataError, match="it is a named pipe"):
        load_dataset(path / "data.yaml" if name == "data.yaml" else path)


def test_opening_decodes_no_image(tmp_path, monkeypatch):
    import cv2

    path = write(tmp_path, {"a": f"0 {HALF}"})
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    load_dataset(path)


def test_a_split_that_is_not_there_shows_where_it_was_sought_and_how_to_name_it(tmp_path):
    path = write(tmp_path, {"a": f"0 {HALF}"}, "names: [a]\nval: nowhere")
    with pytest.raises(
        DataError, match=r"sought .*nowhere; correct it in the YAML, or name the folder: --cropdet-images"
    ):
        load_dataset(path)
    assert len(load_dataset(path, tmp_path / "images")) == 1
