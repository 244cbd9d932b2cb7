"""A baseline in a file: equal to the run it was made of, small, readable at its head, and refused where damaged."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pytest_cropdet.comparison.array_text import array_from_text, array_to_text
from pytest_cropdet.comparison.baseline_file import baseline_entry, read_baseline, record_of_entry, write_baseline
from pytest_cropdet.comparison.paired_measures import compare_runs
from pytest_cropdet.errors import SpecError
from pytest_cropdet.gate.match_records import match_record
from tests.support import loses_cut, made, opinions, same, small_run

DATA = made()
OPINIONS = opinions(DATA, false=20, loose=0.1)


@pytest.fixture(scope="module")
def runs():
    """A new and an old run."""
    return small_run(loses_cut(OPINIONS), DATA), small_run(same(OPINIONS), DATA)


@pytest.fixture
def file(runs, tmp_path):
    """The baseline of the old run."""
    path = tmp_path / "baseline.json"
    write_baseline(path, {"random": baseline_entry(match_record(runs[1]))})
    return path


def test_what_is_read_gives_the_same_comparison_to_the_last_digit(runs, file):
    new, old = runs
    record = record_of_entry(file, "random", read_baseline(file)["random"])
    stored = compare_runs(match_record(new), record, new.settings, "old").to_dict()
    assert stored == compare_runs(match_record(new), match_record(old), new.settings, "old").to_dict()
    assert stored["worse"]["value"] > 0
    for side in ("reference", "crop"):
        for name in ("rank", "contenders", "matched", "outside", "image", "starts"):
            assert np.array_equal(getattr(record.matches[side], name), getattr(old.matches[side].counted, name))


def test_the_head_is_for_people(runs, file):
    lines = file.read_text(encoding="utf-8").splitlines()
    head = json.loads(file.read_text(encoding="utf-8"))["gates"]["random"]
    assert "baseline of pytest-cropdet" in lines[1]
    assert head["numbers"]["crop"] == runs[1].ap["crop"]
    assert head["numbers"]["drop"] == runs[1].drop.bounds()
    assert any(f'"crop": {runs[1].ap["crop"]}' in line for line in lines[:30])


def test_a_detection_takes_at_most_60_bytes(runs, file):
    detections = sum(len(table.counted.rows) for table in runs[1].matches.values())
    tables = json.loads(file.read_text(encoding="utf-8"))["records"]["random"]["tables"]
    assert detections > 2000
    assert len(json.dumps(tables)) / detections < 60


def test_no_folder_of_the_machine_is_in_it(tmp_path):
    run = small_run(same(OPINIONS), DATA)
    detector = {**run.detector, "name": "/home/somebody/nets/ssd/model.tflite", "labels": "/home/somebody/labels.txt"}
    entry = baseline_entry(_replaced(match_record(run), detector=detector, dataset="/home/somebody/val/instances.json"))
    assert "somebody" not in json.dumps(entry)
    assert entry["detector"]["name"] == "ssd/model.tflite"
    assert entry["dataset"] == "val/instances.json"


def _replaced(record, **changes):
    from dataclasses import replace

    return replace(record, **changes)


@given(
    st.one_of(
        arrays(bool, array_shapes(max_dims=2, min_side=0)),
        arrays(np.int64, array_shapes(max_dims=2, min_side=0), elements=st.integers(0, 70_000)),
        arrays(np.int64, array_shapes(max_dims=2, min_side=0), elements=st.integers(-9, 9)),
    )
)
def test_arrays_come_back_as_they_were(array):
    back = array_from_text(json.loads(json.dumps(array_to_text(array))))
    assert back.shape == array.shape
    assert np.array_equal(back, array)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "|O"}, "the type '|O'"),
        ({"shape": [1 << 40]}, "numbers"),
        ({"shape": [2]}, "bytes"),
        ({"shape": [4]}, "bytes"),
        ({"shape": [-3]}, "shape"),
        ({"zlib": "!!!"}, "cannot be unpacked"),
        ({"zlib": "AAAA"}, "cannot be unpacked"),
        ({"zlib": 5}, "cannot be unpacked"),
    ],
)
def test_a_damaged_array_is_a_value_error(change, said):
    with pytest.raises(ValueError, match="array") as error:
        array_from_text({**array_to_text(np.arange(3)), **change})
    assert said in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[1]",
        b"null",
        b'{"schema": 9, "gates": {}, "records": {}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a": NaN}',
    ],
)
def test_a_file_that_is_no_baseline_is_named(tmp_path, content):
    path = tmp_path / "b.json"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"b\.json cannot be read as a baseline.*--cropdet-update-baseline"):
        read_baseline(path)


def test_500_damaged_files_end_in_a_sentence_or_are_read_whole(runs, file):
    generator = np.random.default_rng(0)
    good, ends = file.read_bytes(), {"refused": 0, "read": 0}
    for _ in range(500):
        damaged = bytearray(good)
        for _ in range(int(generator.integers(1, 4))):
            place, kind = int(generator.integers(len(damaged))), int(generator.integers(4))
            if kind == 0:
                damaged[place] = int(generator.integers(256))
            elif kind == 1:
                del damaged[place : place + int(generator.integers(1, 200))]
            elif kind == 2:
                damaged[place:place] = damaged[place : place + int(generator.integers(1, 50))]
            else:
                del damaged[place:]
        file.write_bytes(damaged)
        try:
            for gate, entry in read_baseline(file).items():
                compare_runs(match_record(runs[0]), record_of_entry(file, gate, entry), runs[0].settings)
            ends["read"] += 1
        except SpecError:
            ends["refused"] += 1
    assert ends["refused"] > 400


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        (("unit",), np.arange(120) + 500, "not below"),
        (("crop", "matched"), np.full((1, 10), 1), "shape"),
        (("crop", "contenders"), None, "not in order"),
        (("crop", "starts"), np.array([0, 5, 2, 9]), "not in order"),
        (("crop", "found"), np.arange(3), "flags"),
    ],
)
def test_numbers_that_cannot_be_are_named(runs, where, value, said):
    entry = baseline_entry(match_record(runs[1]))
    place = entry["tables"]
    for name in where[:-1]:
        place = place[name]
    given_array = array_from_text(place[where[-1]])[::-1] if value is None else value
    place[where[-1]] = array_to_text(given_array)
    with pytest.raises(SpecError, match=r"gate random: ") as error:
        record_of_entry("b.json", "random", entry)
    assert said in str(error.value)


def test_a_match_of_another_crop_is_no_match(runs):
    entry = baseline_entry(match_record(runs[1]))
    table = entry["tables"]["crop"]
    matched = array_from_text(table["matched"]).copy()
    hit = np.flatnonzero(matched[:, 0])[0]
    matched[hit] = matched[matched[:, 0] > 0][-1]
    table["matched"] = array_to_text(matched)
    with pytest.raises(SpecError, match="another crop or category"):
        record_of_entry("b.json", "random", entry)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("capped", "drop", "its capped is 'drop', not texts by measure"),
        ("capped", {"drop": 3}, "its capped is {'drop': 3}, not texts by measure"),
        ("numbers", [], "its rules or numbers are no object"),
        ("rules", "mAP", "its rules or numbers are no object"),
    ],
)
def test_a_value_of_another_kind_is_named_when_it_is_read(runs, key, value, said):
    entry = {**baseline_entry(match_record(runs[1])), key: value}
    with pytest.raises(SpecError, match=r"b\.json cannot be read as a baseline.*gate random: ") as error:
        record_of_entry("b.json", "random", entry)
    assert said in str(error.value)
