"""Which reader a path gets, and what is said where none fits."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest

from pytest_cropdet.data import load_annotations, load_dataset, name_layout
from pytest_cropdet.errors import DataError
from tests.data import writers
from tests.data.pictures import coco, encoded, quadrants, write_set
from tests.support import made

KNOWN = made(4)
LAYOUTS = {
    "coco": "COCO JSON, instances.json",
    "voc": "Pascal VOC, every XML",
    "yolo": "YOLO, data.yaml, val",
    "tfrecord": "TFRecord, val.tfrecord with label_map.pbtxt",
    "csv tutorial": "CSV, labels.csv with classes.csv",
    "csv retinanet": "CSV, annotations.csv with classes.csv",
}


@pytest.mark.parametrize("name", writers.FORMATS)
def test_a_folder_and_its_file_are_recognised(tmp_path, name):
    path = writers.FORMATS[name](tmp_path, list(KNOWN), KNOWN.categories)
    assert name_layout(path) == name_layout(tmp_path) == LAYOUTS[name]
    assert [each.id for each in load_dataset(tmp_path)] == [each.id for each in KNOWN]


@pytest.mark.parametrize("name", writers.FORMATS)
def test_training_data_may_be_of_every_format(tmp_path, name):
    path = writers.FORMATS[name](tmp_path, list(KNOWN), KNOWN.categories)
    found = load_annotations(path)
    assert found.sizes.tolist() == [[each.width, each.height] for each in KNOWN]
    assert found.image.tolist() == [row for row, each in enumerate(KNOWN) for _ in each.truth.boxes]
    np.testing.assert_allclose(found.boxes, np.concatenate([each.truth.boxes for each in KNOWN]), atol=1e-4)
    assert list(found.names) == [KNOWN.categories[key] for each in KNOWN for key in each.truth.categories.tolist()]


def test_a_folder_that_is_nothing_shows_what_is_in_it_and_what_is_recognised(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "a.jpg").write_bytes(encoded(quadrants(), ".jpg"))
    with pytest.raises(DataError) as caught:
        load_dataset(tmp_path)
    text = str(caught.value)
    for part in ("COCO JSON", "Pascal VOC", "YOLO", "TFRecord", "CSV", "supervision or globox", "a.jpg, photos/"):
        assert part in text
    assert "Images alone, without annotations: --cropdet-images DIR" in text
    assert name_layout(tmp_path) is None


def test_json_files_one_folder_down_are_named(tmp_path):
    write_set(tmp_path / "valid").rename(tmp_path / "valid" / "_annotations.coco.json")
    with pytest.raises(DataError, match=r"in its folders: valid/_annotations\.coco\.json"):
        load_dataset(tmp_path)


def test_a_folder_of_two_formats_must_be_named_by_a_file(tmp_path):
    writers.voc(tmp_path, list(KNOWN), KNOWN.categories)
    yolo = writers.yolo(tmp_path, list(KNOWN), KNOWN.categories)
    with pytest.raises(DataError, match=r"may be several data sets: Pascal VOC, every XML; YOLO, data\.yaml, val"):
        load_dataset(tmp_path)
    assert load_dataset(yolo).layout == "YOLO, data.yaml, val"
    writers.coco(tmp_path, list(KNOWN), KNOWN.categories)
    assert load_dataset(tmp_path).layout == "COCO JSON"


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.xyz", b"\xd3\x00\x01"), ("a.xml", b"<annotation/>"), ("a.txt", b"hello"), ("a.pbtxt", b"item {}")],
)
def test_a_file_of_no_format_is_refused_with_the_list_of_formats(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"its format is not recognised\. Recognised are:\n  a COCO JSON"):
        load_dataset(tmp_path / name)


def test_a_pattern_that_fits_nothing_is_refused(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        load_dataset(tmp_path / "val-*")


# Where exports of COCO JSON have their images


@pytest.mark.parametrize(
    ("path", "images"),
    [
        ("annotations/instances_val2017.json", "val2017"),  # COCO
        ("annotations/instances_default.json", "images"),  # CVAT
        ("annotations/instances_val.json", "images/val"),  # Datumaro
        ("labels.json", "data"),  # FiftyOne
        ("result.json", "images"),  # Label Studio
        ("_annotations.coco.json", "."),  # Roboflow
    ],
)
def test_the_images_of_an_export_are_found(tmp_path, path, images):
    made_up = write_set(tmp_path / "made", images="x")
    shutil.move(tmp_path / "made" / "x", tmp_path / "set" / "moved")
    target = tmp_path / "set" / images
    if images == ".":
        for each in (tmp_path / "set" / "moved").iterdir():
            shutil.move(each, target / each.name)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(tmp_path / "set" / "moved", target)
    (tmp_path / "set" / path).parent.mkdir(exist_ok=True)
    shutil.move(made_up, tmp_path / "set" / path)
    data = load_dataset(tmp_path / "set" / path)
    assert data[0].path.parent == (target if images != "." else tmp_path / "set")


def test_the_quirks_of_exports_are_read(tmp_path):
    """Ids from 0, a supercategory as category 0, fields of their own, and what Label Studio and Roboflow leave out."""
    content = coco(
        categories=[
            {"id": 0, "name": "animals", "supercategory": "none"},
            {"id": 1, "name": "dog", "supercategory": "animals"},
        ],
        images=[
            {"id": 0, "license": 1, "file_name": "images\\a.png", "height": 32, "width": 48, "extra": {"name": "x"}}
        ],
        annotations=[
            {
                "id": 0,
                "image_id": 0,
                "category_id": 1,
                "bbox": [1, 2, 3, 4],
                "segmentation": [],
                "ignore": 0,
                "score": 1.0,
            },
            {"id": 1, "image_id": 0, "category_id": 1, "bbox": [5, 6, 7, 8], "attributes": {"occluded": False}},
        ],
    )
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(encoded(quadrants()))
    path = tmp_path / "result.json"
    path.write_text(json.dumps(content))
    (sample,) = load_dataset(path)
    assert sample.truth.ids.tolist() == [0, 1]
    assert sample.truth.counted.tolist() == [True, True]


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [
        ("voc", "defusedxml.ElementTree", "defusedxml"),
        ("yolo", "yaml", "PyYAML"),
        ("tfrecord", "google_crc32c", "google-crc32c"),
        ("tfrecord", "google.protobuf.descriptor_pb2", "protobuf"),
    ],
)
def test_a_package_that_is_missing_is_named_with_the_line_that_installs_it(
    tmp_path, monkeypatch, name, module, package
):
    from pytest_cropdet.data.readers import tf_example

    (tmp_path / "set").mkdir()
    path = writers.FORMATS[name](tmp_path / "set", list(KNOWN), KNOWN.categories)
    tf_example._example.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataError, match=rf"needs {package}: pip install 'pytest-cropdet\[data\]'"):
        load_dataset(path)
    assert load_dataset(writers.coco(tmp_path, list(KNOWN), KNOWN.categories)).layout == "COCO JSON"
