"""Data warnings as errors: all kinds at once when a set is opened, and what an image shows when it is decoded."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

from pytest_cropdet import dataset_from_records
from pytest_cropdet.data import load_dataset, refuse_warnings
from pytest_cropdet.errors import DataError
from tests.data import writers
from tests.data.pictures import coco, encoded, quadrants, with_exif, write_set
from tests.data.test_data_quirks import boxes_alone, many


def odd():
    """Seven masks that are none, and one box without area."""
    content = boxes_alone()
    for each in content["annotations"][:7]:
        each["segmentation"] = [[]]
    content["annotations"][8]["bbox"] = [5, 5, 0, 9]
    return content


def test_all_kinds_are_listed_with_their_counts_and_first_examples(tmp_path):
    path = write_set(tmp_path, odd())
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is warned of beside the error
        with pytest.raises(DataError) as caught:
            load_dataset(path, strict=True)
    assert str(caught.value) == (
        f"{path}: 2 kinds of data warnings are errors with --cropdet-strict-data:\n"
        "  1 box without area is left out (image 003.png: annotation 9)\n"
        "  7 masks are malformed and left out (first: image 001.png: annotation 1: a polygon is a flat list x y x y "
        "... of at least three points, not []): a gate on boxes needs no masks"
    )


def test_a_set_without_warnings_opens_as_ever(tmp_path):
    path = write_set(tmp_path, many())
    strict, plain = load_dataset(path, strict=True), load_dataset(path)
    assert [sample.id for sample in strict] == [sample.id for sample in plain]
    np.testing.assert_array_equal(strict[0].image(), plain[0].image())


def test_what_an_image_shows_is_an_error_when_it_is_decoded_also_in_another_process(tmp_path):
    content = coco(images=[{"id": 7, "file_name": "a.png", "width": 32, "height": 32}], annotations=[])
    data = load_dataset(write_set(tmp_path, content), strict=True)
    (tmp_path / "a.png").write_bytes(with_exif(encoded(quadrants(32, 32), ".jpg"), 3))
    sentence = r"a data warning is an error with --cropdet-strict-data:\n  1 image has an EXIF .*image a\.png"
    for _ in range(2):
        with pytest.raises(DataError, match=sentence):
            data[0].image()
    with pytest.raises(DataError, match=sentence):
        pickle.loads(pickle.dumps(data.warnings)).note(0, "image a.png", "exif", "orientation 3")


@pytest.mark.parametrize("name", ["voc", "yolo", "tfrecord", "csv tutorial"])
def test_every_reader_has_it(tmp_path, name):
    from pytest_cropdet import GroundTruth, Sample

    truth = GroundTruth([[2.0, 2.0, 20.0, 20.0], [5.0, 5.0, 5.0, 9.0]], [1, 1])
    samples = [Sample("a.png", 48, 32, truth, quadrants)]
    path = writers.FORMATS[name](tmp_path, samples, {1: "cat"})
    if name == "voc":  # whose boxes include their last pixel: a flat one cannot be written
        (tmp_path / "JPEGImages" / "b.png").write_bytes(encoded(quadrants()))
        xml = tmp_path / "Annotations" / "a.xml"
        xml.write_text(xml.read_text().replace("<xmin>6</xmin>", "<xmin>3</xmin>"))
    with pytest.raises(DataError, match=r"with --cropdet-strict-data:\n  1 (box|image)"):
        load_dataset(path, strict=True)


def test_records_of_python_are_refused_when_they_are_read():
    record = {"image": quadrants(), "objects": {"bbox": [[1, 2, 0, 4]], "label": [0]}}
    data = dataset_from_records([record], boxes="xywh", units="pixels", categories=["a"], name="mine")
    refuse_warnings(data)
    with pytest.raises(DataError, match=r"mine: a data warning is an error .*\n  1 box without area"):
        data[0]
    refuse_warnings([1, 2])  # what keeps no warnings has none
