"""One data set in every format: the same samples, array by array, and the same drop to the last digit."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pytest_cropdet import Detections, GroundTruth, Mask, Sample, load_dataset, run
from pytest_cropdet.data import Dataset
from pytest_cropdet.errors import DataError, DetectorError
from tests.data import writers
from tests.support import loses_cut, made, opinions, small_run

SCENES = Path(__file__).parents[2] / "fixtures" / "scenes"
EXACT = ("voc", "csv tutorial", "csv retinanet")  # the others scale boxes by the size of the image
BOXES_ONLY = (*EXACT, "yolo")


@cache
def scenes() -> tuple[list[Sample], dict[int, str]]:
    """Sixty scenes, of which one has no object, one a crowd."""
    data = load_dataset(SCENES)
    return [data[row] for row in range(60)], dict(data.categories)


def boxes_alone(sample: Sample) -> Sample:
    """A sample without what few formats carry: masks, their areas, crowds."""
    return Sample(
        sample.id,
        sample.width,
        sample.height,
        GroundTruth(sample.truth.boxes, sample.truth.categories),
        sample.read,
        sample.path,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of each format, written once."""
    samples, names = scenes()
    found = {}
    for name, write in writers.FORMATS.items():
        folder = tmp_path_factory.mktemp(name.replace(" ", "_"))
        plain = [boxes_alone(sample) for sample in samples] if name in BOXES_ONLY else samples
        found[name] = write(folder, plain, names), plain
    return found


def by_name(dataset: Dataset, sample: Sample) -> list[str]:
    return [dataset.categories[key] for key in sample.truth.categories.tolist()]


@pytest.mark.parametrize("name", writers.FORMATS)
def test_every_format_gives_the_same_samples(written, name):
    path, expected = written[name]
    names = scenes()[1]
    data = load_dataset(path)
    assert [sample.id for sample in data] == [sample.id for sample in expected]
    for mine, other in zip(expected, data, strict=True):
        assert (other.width, other.height) == (mine.width, mine.height)
        assert by_name(data, other) == [names[key] for key in mine.truth.categories.tolist()]
        np.testing.assert_allclose(other.truth.boxes, mine.truth.boxes, rtol=0, atol=0 if name in EXACT else 1e-4)
        np.testing.assert_allclose(other.truth.areas, mine.truth.areas, rtol=1e-6 if name == "yolo" else 0, atol=0)
        np.testing.assert_array_equal(other.truth.crowd, mine.truth.crowd)
        assert other.truth.masks == mine.truth.masks
    for row in (0, 7, 59, 3):
        np.testing.assert_array_equal(data[row].image(), expected[row].image())


@pytest.mark.parametrize("name", ["yolo", "tfrecord", "csv tutorial", "csv retinanet"])
def test_formats_with_ids_keep_them(written, name):
    assert dict(load_dataset(written[name][0]).categories) == scenes()[1]


KNOWN = made(40)
WHOLE = opinions(KNOWN, loose=0.1)


def drop_of(data: Dataset) -> tuple[float | None, ...]:
    """What crops cost a detector that loses what is cut."""
    result = small_run(loses_cut(WHOLE), data)
    assert result.drop.value is not None
    assert result.drop.value > 0.05
    return result.drop.value, result.drop.low, result.drop.high, *result.ap.values()


@pytest.mark.parametrize("name", writers.FORMATS)
def test_every_format_gives_the_same_drop_to_the_last_digit(tmp_path, name):
    path = writers.FORMATS[name](tmp_path, list(KNOWN), KNOWN.categories)
    labels = writers.label_map(tmp_path / "ids.pbtxt", KNOWN.categories) if name == "voc" else None
    assert drop_of(load_dataset(path, labels=labels)) == drop_of(KNOWN)


def test_masks_crowds_and_difficult_objects_travel_where_the_format_has_them(tmp_path):
    pixels = np.zeros((40, 60), np.uint8)
    pixels[5:20, 10:30] = 1
    truth = GroundTruth(
        [[10.0, 5.0, 30.0, 20.0], [0.0, 0.0, 60.0, 40.0], [40.0, 20.0, 50.0, 36.0]],
        [1, 2, 1],
        crowd=[False, True, False],
        areas=[300.0, 2400.0, 160.0],
        masks=(Mask.encode(pixels), Mask.encode(pixels), Mask.encode(pixels)),
        ignored=[False, False, True],
    )
    sample = Sample("a.png", 60, 40, truth, lambda: np.dstack([pixels * 200] * 3))
    names = {1: "cat", 2: "dog"}
    record = load_dataset(writers.tfrecord(tmp_path / "record", [sample], names))[0].truth
    assert record.crowd.tolist() == truth.crowd.tolist()
    assert record.ignored.tolist() == truth.ignored.tolist()
    assert record.areas.tolist() == truth.areas.tolist()
    assert record.masks == truth.masks
    voc = load_dataset(writers.voc(tmp_path / "voc", [sample], names))[0].truth
    assert voc.ignored.tolist() == [False, False, True]
    assert voc.boxes.tolist() == truth.boxes.tolist()


def test_names_of_voc_have_no_ids_so_a_detector_without_names_is_refused(written):
    path, _ = written["voc"]

    nameless = lambda images: [Detections([[0, 0, 9, 9]], [0.5], [1]) for _ in images]  # noqa: E731
    with pytest.raises(
        DetectorError, match=r"gives no ids, so they cannot be paired.*\n.*\n.*--cropdet-data-labels FILE"
    ):
        run(nameless, load_dataset(path), crops="random:keep=0.5,per_image=1")
    listed = path / "map.pbtxt"
    writers.label_map(listed, scenes()[1])
    assert dict(load_dataset(path, labels=listed).categories) == scenes()[1]
    run(nameless, load_dataset(path, labels=listed), crops="random:keep=0.5,per_image=1", sample_images=6)


def test_a_coco_json_takes_no_label_file(written, tmp_path):
    labels = writers.label_map(tmp_path / "map.pbtxt", {1: "a"})
    with pytest.raises(DataError, match="leave out --cropdet-data-labels"):
        load_dataset(written["coco"][0], labels=labels)
