"""Names of images in archives follow the rules of folders: spellings, other case or ending, names that lead out."""

from __future__ import annotations

import csv
import json
import warnings

import numpy as np
import pytest

from pytest_cropdet.data import load_dataset
from pytest_cropdet.data.data_warnings import DataWarning
from pytest_cropdet.errors import DataError
from tests.data import writers
from tests.data.pictures import coco, encoded, quadrants, write_set
from tests.data.test_archives import KNOWN, pack, zip_of
from tests.data.test_data_quirks import boxes_alone


def renamed(folder, there, said):
    """A COCO JSON that calls its first image ``said``, while its file is ``there``."""
    content = coco()
    path = write_set(folder, content)
    (folder / there).parent.mkdir(parents=True, exist_ok=True)
    (folder / "a.png").rename(folder / there)
    content["images"][0]["file_name"] = said
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize(
    ("there", "said"), [("a b.png", "a%20b.png"), ("train/a.png", "train\\a.png"), ("x/a b.png", "x\\a%20b.png")]
)
def test_spellings_of_exporters_are_found(tmp_path, kind, there, said):
    renamed(tmp_path / "set", there, said)
    data = load_dataset(pack(tmp_path / "set", tmp_path / f"set.{kind}"))
    np.testing.assert_array_equal(data[0].image(), quadrants())
    assert not len(data.warnings)


@pytest.mark.parametrize(
    ("there", "said"),
    [("A.PNG", "a.png"), ("Train/a.png", "train/a.png"), ("a.png", "a.jpg"), ("X/Y/a.png", "x/y/A.jpg")],
)
def test_the_one_image_that_is_alike_is_used_with_a_warning_that_strict_refuses(tmp_path, there, said):
    renamed(tmp_path / "set", there, said)
    archive = pack(tmp_path / "set", tmp_path / "set.zip")
    with pytest.warns(DataWarning, match="1 image has another name than its annotation says") as caught:
        data = load_dataset(archive)
    assert str(caught[0].message).startswith(f"{archive}/instances.json: ")
    np.testing.assert_array_equal(data[0].image(), quadrants())
    with pytest.raises(DataError, match=r"set\.zip: a data warning is an error with --cropdet-strict-data"):
        load_dataset(archive, strict=True)


def test_of_several_images_that_are_alike_none_is_used(tmp_path):
    renamed(tmp_path / "set", "A.PNG", "a.png")
    (tmp_path / "set" / "A.png").write_bytes(b"2")
    with pytest.raises(DataError, match=r"missing in \S*set\.zip: a\.png \(of 2 images\)"):
        load_dataset(pack(tmp_path / "set", tmp_path / "set.zip"))


def test_two_names_of_one_file_are_refused(tmp_path):
    content = coco()
    write_set(tmp_path / "set", content)
    content["images"][0]["file_name"], content["images"][1]["file_name"] = "x/b.png", "x\\b.png"
    (tmp_path / "set" / "instances.json").write_text(json.dumps(content))
    (tmp_path / "set" / "x").mkdir()
    (tmp_path / "set" / "b.png").rename(tmp_path / "set" / "x" / "b.png")
    with pytest.raises(DataError, match="are the same file"):
        load_dataset(pack(tmp_path / "set", tmp_path / "set.zip"))


def test_a_name_that_goes_up_inside_of_the_set_is_found(tmp_path):
    path = renamed(tmp_path / "set", "images/a.png", "../images/a.png")
    content = json.loads(path.read_text())
    content["images"][1]["file_name"] = "../b.png"
    (tmp_path / "set" / "annotations").mkdir()
    path.unlink()
    (tmp_path / "set" / "annotations" / "instances.json").write_text(json.dumps(content))
    archive = pack(tmp_path / "set", tmp_path / "set.zip")
    data = load_dataset(f"{archive}/annotations/instances.json")
    np.testing.assert_array_equal(data[0].image(), quadrants())


@pytest.mark.parametrize("said", ["/home/me/set/val/a.png", "C:\\set\\val\\a.png", "../../set/val/a.png"])
def test_the_end_of_a_path_from_elsewhere_is_found_in_an_archive_that_is_named(tmp_path, said):
    content = coco()
    content["images"][0]["file_name"] = said
    (tmp_path / "instances.json").write_text(json.dumps(content))
    images = zip_of(
        tmp_path / "pictures.zip", **{"val/a.png": encoded(quadrants()), "val/b.png": encoded(quadrants(30, 40))}
    )
    data = load_dataset(tmp_path / "instances.json", images)
    np.testing.assert_array_equal(data[0].image(), quadrants())
    with pytest.raises(DataError, match="images are named outside of the data set"):
        load_dataset(tmp_path / "instances.json")


def test_rows_of_a_csv_follow_the_same_rules(tmp_path):
    (tmp_path / "set").mkdir()
    path = writers.FORMATS["csv tutorial"](tmp_path / "set", list(KNOWN), KNOWN.categories)
    plain = load_dataset(path)
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row["filename"] = row["filename"].upper()
    with path.open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    with pytest.warns(DataWarning, match="another case or ending"):
        data = load_dataset(pack(tmp_path / "set", tmp_path / "set.zip"))
    for sample, twin in zip(data, plain, strict=True):
        np.testing.assert_array_equal(sample.image(), twin.image())


@pytest.mark.parametrize("name", ["csv tutorial", "coco"])
def test_no_absolute_path_in_an_archive_leads_to_a_file_of_this_disk(tmp_path, name):
    (tmp_path / "set").mkdir()
    path = writers.FORMATS[name](tmp_path / "set", list(KNOWN), KNOWN.categories)
    inside = next(each for each in (tmp_path / "set").rglob("*.png"))
    outside = tmp_path / "outside.png"
    inside.rename(outside)
    path.write_text(path.read_text().replace(inside.name, str(outside)))
    with pytest.raises(DataError, match=r"named outside of the data set \S*set\.zip: \S*outside\.png"):
        load_dataset(pack(tmp_path / "set", tmp_path / "set.zip"))


@pytest.mark.parametrize("odd", [{}, {"iscrowd": "0"}, {"id": 1.0}, {"area": None}])
def test_boxes_that_are_corners_are_refused_where_every_value_is_clean_and_where_one_is_not(tmp_path, odd):
    content = boxes_alone()
    for each in content["annotations"]:
        x, y, width, height = each["bbox"]
        each["bbox"] = [x, y, x + width, y + height]
    content["annotations"][0].update(odd)
    with pytest.raises(DataError, match="look like corners"):
        load_dataset(write_set(tmp_path, content))


def test_an_image_that_is_annotated_as_very_large_is_compared_with_the_archive(tmp_path):
    content = coco()
    content["images"][0].update(width=10_000, height=8_000)
    write_set(tmp_path / "set", coco())
    (tmp_path / "set" / "instances.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"set\.zip/a\.png is 48 x 32 pixels, its annotation says 10000 x 8000"):
        load_dataset(pack(tmp_path / "set", tmp_path / "set.zip"))


SPELLINGS = [("a b.png", "a b.png"), ("a b.png", "a%20b.png"), ("x/a.png", "x\\a.png"), ("A.PNG", "a.png")]


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize(
    ("there", "said"), [*SPELLINGS, ("a.png", "a.jpg"), ("a b.png", "a%20b.jpg"), ("A b.PNG", "a%20b.jpg")]
)
def test_an_xml_names_its_image_by_the_same_rules(tmp_path, packed, there, said):
    place = tmp_path / "set" / "JPEGImages" / there
    place.parent.mkdir(parents=True)
    place.write_bytes(encoded(quadrants()))
    (tmp_path / "set" / "Annotations").mkdir()
    (tmp_path / "set" / "Annotations" / "1.xml").write_text(
        f"<annotation><filename>{said}</filename><object><name>cat</name><bndbox><xmin>2</xmin><ymin>2</ymin>"
        "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
    )
    path = pack(tmp_path / "set", tmp_path / "set.zip") if packed else tmp_path / "set"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = load_dataset(path)
    np.testing.assert_array_equal(data[0].image(), quadrants())
    assert data[0].truth.boxes.tolist() == [[1, 1, 9, 9]]
    odd = ["another name than its annotation says: another case" in str(each.message) for each in caught]
    assert odd == [True] * (there.lower() != there)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("there", ["a b.png", "a%20b.png", "x/ä.png", "A.PNG"])
def test_label_files_of_yolo_are_found_under_odd_names(tmp_path, packed, there):
    place, label = (tmp_path / "set" / part / there for part in ("images", "labels"))
    for each in (place, label):
        each.parent.mkdir(parents=True)
    place.write_bytes(encoded(quadrants()))
    label.with_suffix(".txt").write_text("0 0.5 0.5 0.5 0.5\n")
    data = load_dataset(pack(tmp_path / "set", tmp_path / "set.zip") if packed else tmp_path / "set")
    np.testing.assert_array_equal(data[0].image(), quadrants())
    assert (data[0].id, len(data[0].truth), len(data.warnings)) == (place.name, 1, 0)


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_a_label_file_in_another_case_is_used_with_a_warning(tmp_path, packed):
    for part in ("images", "labels"):
        (tmp_path / "set" / part).mkdir(parents=True)
    (tmp_path / "set" / "images" / "a.png").write_bytes(encoded(quadrants()))
    (tmp_path / "set" / "labels" / "A.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    with pytest.warns(DataWarning, match="1 image has another name than its annotation says"):
        data = load_dataset(pack(tmp_path / "set", tmp_path / "set.zip") if packed else tmp_path / "set")
    assert len(data[0].truth) == 1
