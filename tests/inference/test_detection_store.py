"""Detections outside of memory: what is read is what was written, to the last bit."""

import gc
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cropdet.data import Detections
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.inference import DetectionStore, detection_store

ODD = [0.1, 1 / 3, np.nextafter(0.5, 1), 5e-324, 1.0]


def answer(seed, rows):
    rng = np.random.default_rng(seed)
    boxes = rng.random((rows, 4)) * 1000
    boxes[:, 2:] += boxes[:, :2]
    return Detections(boxes, rng.choice(ODD, rows), rng.integers(0, 1 << 40, rows), bool(seed % 2))


def bits(found):
    return found.boxes.tobytes(), found.scores.tobytes(), found.categories.tobytes(), found.capped


@given(st.lists(st.integers(0, 5), max_size=20))
def test_every_bit_comes_back_in_memory_and_on_disk(rows):
    answers = {f"{place}.jpg": answer(place, count) for place, count in enumerate(rows)}
    for size in (1, detection_store.IN_MEMORY):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(detection_store, "IN_MEMORY", size)
            store = DetectionStore()
            store.update(answers)
            assert {name: bits(each) for name, each in store.items()} == {
                name: bits(each) for name, each in answers.items()
            }


def test_other_names_and_lists_share_what_was_written():
    store = DetectionStore()
    store.update({1: answer(1, 2), 2: answer(2, 3), 3: answer(3, 0)})
    named = store.renamed(lambda key: f"n{key}" if key != 2 else None)
    assert [*named] == ["n1", "n3"]
    assert bits(named["n1"]) == bits(answer(1, 2))
    listed = store.listed([3, 2, 1], lambda found: found.take(np.arange(min(1, len(found)))))
    assert [len(each) for each in listed] == [0, 1, 1]
    assert [len(each) for each in listed[1:]] == [1, 1]
    del store[1]
    assert 1 not in store
    assert len(store) == 2
    with pytest.raises(KeyError):
        store[1]


def test_the_file_is_closed_with_what_reads_it():
    store = DetectionStore()
    store["a"] = answer(1, 2)
    listed, stream = store.listed(["a"]), store._file._stream
    del store
    gc.collect()
    assert len(listed[0]) == 2
    del listed
    gc.collect()
    assert stream.closed


def test_a_full_disk_is_reported_with_what_to_do(monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    store = DetectionStore()
    monkeypatch.setattr(store._file._stream, "write", full, raising=False)
    with pytest.raises(CropdetError, match=r"temporary file in .*No space left .*set TMPDIR") as told:
        store["a"] = answer(1, 2)
    assert tempfile.gettempdir() in str(told.value)
