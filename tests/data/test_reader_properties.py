"""Properties of every reader: what is written comes back equal, and what is damaged ends in our error or is read."""

from __future__ import annotations

import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cropdet import GroundTruth, Sample, dataset_from_records, load_dataset
from pytest_cropdet.data import load_annotations
from pytest_cropdet.errors import DataError
from tests.data import writers

NAMES = ["cat", "dog", "no", "7", "traffic light", "Ä 猫", "a;b", "x'y"]
STEMS = ["a", "b c", "00012", "ü", "x.y", "train-1"]
EXACT = ("coco", "voc", "csv tutorial", "csv retinanet")  # quarters of pixels stay what they are
QUICK = settings(max_examples=12, deadline=None, database=None)


@st.composite
def sets(draw) -> tuple[list[Sample], dict[int, str]]:
    """Up to four small images with up to four objects each, on quarters of a pixel; towards few and small ones."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    first = draw(st.integers(0, 3))
    samples = []
    for stem in draw(st.lists(st.sampled_from(STEMS), min_size=1, max_size=4, unique=True)):
        width, height = draw(st.integers(6, 24)), draw(st.integers(6, 24))
        rows = []
        for _ in range(draw(st.integers(0 if samples else 1, 4))):
            x, y = draw(st.integers(0, 4 * width - 8)), draw(st.integers(0, 4 * height - 8))
            w, h = draw(st.integers(5, 4 * width - x)), draw(st.integers(5, 4 * height - y))
            rows.append([x / 4, y / 4, (x + w) / 4, (y + h) / 4])
        kinds = [draw(st.integers(first, first + len(names) - 1)) for _ in rows]
        pixels = np.full((height, width, 3), draw(st.integers(0, 255)), np.uint8)
        truth = GroundTruth(np.array(rows, dtype=float).reshape(-1, 4), kinds)
        samples.append(Sample(f"{stem}.png", width, height, truth, pixels.copy))
    samples.sort(key=lambda sample: sample.id)
    return samples, dict(enumerate(names, first))


def by_value(sample: Sample, names) -> list[tuple]:
    """The objects of a sample in an order that no format changes."""
    kinds = [names[key] for key in sample.truth.categories.tolist()]
    rows = np.round(sample.truth.boxes, 3).tolist()
    return sorted(zip(kinds, map(tuple, rows), strict=True))


@pytest.mark.parametrize("name", writers.FORMATS)
@given(data=st.data())
@QUICK
def test_what_is_written_is_read_back(name, data):
    samples, names = data.draw(sets())
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("error" if name != "yolo" else "ignore")  # two objects alike are one line of YOLO
        path = writers.FORMATS[name](Path(place), samples, names)
        found = load_dataset(path, strict=name != "yolo")
        assert [(each.id, each.width, each.height) for each in found] == [
            (each.id, each.width, each.height) for each in samples
        ]
        for mine, other in zip(samples, found, strict=True):
            expected, read = by_value(mine, names), by_value(other, found.categories)
            assert (sorted(set(read)) == sorted(set(expected))) if name == "yolo" else (read == expected)
            np.testing.assert_array_equal(other.image(), mine.image())
            if name in EXACT:
                np.testing.assert_array_equal(other.truth.boxes, mine.truth.boxes)


@pytest.mark.parametrize("kind", ["xyxy", "yxyx", "xywh", "cxcywh"])
@pytest.mark.parametrize("units", ["pixels", "normalized"])
@given(data=st.data())
@QUICK
def test_records_of_every_convention_are_read_back(kind, units, data):
    samples, names = data.draw(sets())
    records = []
    for sample in samples:
        x0, y0, x1, y1 = sample.truth.boxes.T
        columns = {
            "xyxy": (x0, y0, x1, y1),
            "yxyx": (y0, x0, y1, x1),
            "xywh": (x0, y0, x1 - x0, y1 - y0),
            "cxcywh": ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0),
        }[kind]
        sides = [sample.height, sample.width] * 2 if kind == "yxyx" else [sample.width, sample.height] * 2
        boxes = np.stack(columns, axis=1) / (sides if units == "normalized" else 1)
        labels = sample.truth.categories.tolist()
        records.append({"image": sample.image(), "objects": {"bbox": boxes.tolist(), "label": labels}})
    found = dataset_from_records(records, boxes=kind, units=units, categories=names)
    for mine, other in zip(samples, found, strict=True):
        np.testing.assert_allclose(other.truth.boxes, mine.truth.boxes, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(other.truth.categories, mine.truth.categories)


ODD = [
    b"",
    b"\0",
    b"\xff",
    b"nan",
    b"1e999",
    b"-1",
    b"9" * 25,
    b"{",
    b"]",
    b'"',
    b"<",
    b"&x;",
    b"../",
    b"%2e",
    b",",
    b"\n",
]


@pytest.mark.parametrize("name", writers.FORMATS)
@given(data=st.data())
@QUICK
def test_what_is_damaged_is_read_or_refused_by_our_error(name, data):
    samples, names = data.draw(sets())
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = writers.FORMATS[name](Path(place), samples, names)
        files = sorted(each for each in Path(place).rglob("*") if each.is_file())
        file = data.draw(st.sampled_from(sorted(files, key=lambda each: each.suffix == ".png")))
        content = bytearray(file.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            start = data.draw(st.integers(0, len(content)))
            content[start : start + data.draw(st.integers(0, 6))] = data.draw(st.sampled_from(ODD))
        file.write_bytes(bytes(content))
        for read in (lambda: load_dataset(path), lambda: load_dataset(path, errors="clip")):
            with suppress(DataError):
                for sample in read():
                    assert np.isfinite(sample.truth.boxes).all()
                    assert (sample.truth.boxes[:, 2:] <= [sample.width, sample.height]).all()
                    assert sample.image().shape == (sample.height, sample.width, 3)
        with suppress(DataError):
            assert np.isfinite(load_annotations(path).boxes).all()
