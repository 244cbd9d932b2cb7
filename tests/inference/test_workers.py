"""Several calls of a detector at once: the same batches, answers, keys and counts as with one, and the same errors."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from pytest_cropdet import load_dataset, load_detector
from pytest_cropdet.crops.plan import make_plan
from pytest_cropdet.data.samples import Detections, GroundTruth, Sample
from pytest_cropdet.detectors import cores
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import DetectorHandle
from pytest_cropdet.detectors.resize import Frame, PreparedImage
from pytest_cropdet.errors import DataError, DetectorError
from pytest_cropdet.geometry import Crop
from pytest_cropdet.inference import BatchKeys, Cache, Meter
from pytest_cropdet.inference.batches import detect_all
from pytest_cropdet.inference.worker_threads import PER_WORKER

SOON = 20.0  # seconds within which threads that wait for one another have met
ROOT = Path(__file__).parents[2]
MODELS, SCENES = ROOT / "fixtures" / "models", ROOT / "fixtures" / "scenes" / "instances.json"


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine of eight cores, whatever this one has, and no other workers of pytest-xdist."""
    monkeypatch.setattr(cores, "available_cores", lambda: 8)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)


class Numbers:
    """An adapter that finds one thing in every picture, of its number as category; ``before`` is called first."""

    categories = max_detections = None
    fixed_input = False
    description = Description()

    def __init__(self, before=lambda numbers: None, batch=2):
        self.batch, self.before = batch, before
        self.calls, self.reserved, self.threads = [], [], set()

    def input_shape(self, width, height):
        return height, width

    def prepare(self, image):
        height, width = image.shape[:2]
        return PreparedImage(image, Frame(width, height, width, height))

    def reserve(self, calls):
        self.reserved.append(calls)

    def detect(self, inputs):
        numbers = [int(each.pixels[0, 0, 0]) for each in inputs]
        self.threads.add(threading.current_thread().name)
        self.before(numbers)
        self.calls.append(numbers)
        sizes = [each.pixels.shape for each in inputs]
        return [Detections([[0, 0, w, h]], [0.9], [n]) for n, (h, w, _) in zip(numbers, sizes, strict=True)]


def handle_of(adapter, workers):
    handle = DetectorHandle("numbers", lambda: adapter, Description(), "numbers", threads=1)
    handle.workers = workers
    return handle


def numbered(count=12, reads=None, folder=None):
    def of(number):
        def read():
            if reads is not None:
                reads.append(number)
            return np.full((30, 40, 3), number, np.uint8)

        path = None
        if folder is not None:
            path = folder / f"{number}.png"
            path.write_text(str(number))
        return Sample(f"{number}.png", 40, 30, GroundTruth.empty(), read, path)

    return [of(number) for number in range(count)]


def plain(batches):
    return [
        (each.pictures, [(f.boxes.tolist(), f.scores.tolist(), f.categories.tolist()) for f in each.found])
        for each in batches
    ]


def windows_of(samples):
    return make_plan(samples, "random:keep=0.5,per_image=3").windows


@pytest.mark.parametrize("workers", [2, 3, 8])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_batches_their_order_and_their_answers_are_those_of_one_worker(workers, batch):
    samples = numbered()
    wanted = plain(detect_all(handle_of(Numbers(batch=batch), 1), samples, windows_of(samples)))
    slow = Numbers(lambda numbers: time.sleep(0.004 * (numbers[0] % 3 == 0)), batch)
    assert plain(detect_all(handle_of(slow, workers), samples, windows_of(samples))) == wanted
    assert len(slow.threads) <= workers
    assert max(slow.reserved) <= workers


def test_calls_run_at_once_as_many_as_there_are_workers():
    barrier = threading.Barrier(3)
    adapter = Numbers(lambda numbers: barrier.wait(SOON), batch=1)
    samples = numbered(6)
    assert len(list(detect_all(handle_of(adapter, 3), samples, dict.fromkeys((s.id for s in samples), ())))) == 6


def test_one_worker_calls_the_detector_in_the_thread_that_asks():
    adapter = Numbers()
    samples = numbered(4)
    list(detect_all(handle_of(adapter, 1), samples, windows_of(samples)))
    assert adapter.threads == {threading.main_thread().name}
    assert adapter.reserved == []


def test_each_image_is_read_once_and_no_more_of_them_than_the_workers_need():
    reads = []
    samples = numbered(40, reads)
    batches = detect_all(handle_of(Numbers(batch=1), 2), samples, windows_of(samples))
    for done, _ in enumerate(batches):
        time.sleep(0.001)
        assert len(reads) <= done // 4 + 1 + PER_WORKER * 2
    assert sorted(reads) == [*range(40)]


def test_images_that_are_no_files_are_read_one_at_a_time():
    reading = []

    def read():
        reading.append(1)
        assert len(reading) == 1
        time.sleep(0.005)
        reading.pop()
        return np.zeros((30, 40, 3), np.uint8)

    samples = [Sample(f"{n}", 40, 30, GroundTruth.empty(), read) for n in range(12)]
    assert len(list(detect_all(handle_of(Numbers(batch=1), 4), samples, {s.id: () for s in samples}))) == 12


def test_files_are_read_at_once(tmp_path):
    """All but the first, whose batches say how many images the workers need; two at a time meet at a barrier."""
    barrier = threading.Barrier(2)

    def read():
        barrier.wait(SOON)
        return np.zeros((30, 40, 3), np.uint8)

    samples = [*numbered(1), *(Sample(f"{n}", 40, 30, GroundTruth.empty(), read, tmp_path) for n in range(8))]
    found = list(detect_all(handle_of(Numbers(batch=1), 4), samples, {s.id: () for s in samples}))
    assert len(found) == 9


def test_an_error_names_its_picture_and_the_batches_before_it_are_counted_and_kept(tmp_path):
    def before(numbers):
        if 5 in numbers:
            raise RuntimeError("no anchors")

    samples = numbered(12, folder=tmp_path)
    cache = Cache(tmp_path / "kept")
    handle = handle_of(Numbers(before, batch=1), 3)
    keys = BatchKeys.of(cache, handle)
    meter = Meter(handle, keys, "run", 12)
    with pytest.raises(DetectorError) as caught:
        list(meter.detect(samples, {each.id: () for each in samples}))
    assert str(caught.value) == "numbers failed on 5.png: RuntimeError: no anchors"
    assert (meter.done, meter.spent.model_calls, len(meter.found)) == (5, 5, 5)
    again = Numbers(before, batch=1)
    with pytest.raises(DetectorError):
        list(detect_all(handle_of(again, 1), samples, {each.id: () for each in samples}, keys))
    assert not {0, 1, 2, 3, 4} & {number for call in again.calls for number in call}
    cache.close()


def test_an_image_that_cannot_be_read_is_named_after_the_batches_before_it():
    def broken():
        raise OSError("the disk is gone")

    samples = [*numbered(3), Sample("c.png", 40, 30, GroundTruth.empty(), broken)]
    batches = detect_all(handle_of(Numbers(batch=1), 2), samples, {each.id: () for each in samples})
    seen = []
    with pytest.raises(DataError, match=r"sample c\.png: OSError: the disk is gone"):
        seen.extend(batch.pictures[0].sample for batch in batches)
    assert seen == ["0.png", "1.png", "2.png"]


def test_the_cache_is_written_by_the_thread_that_asks_and_knows_what_one_worker_left(tmp_path, monkeypatch):
    samples = numbered(6, folder=tmp_path)
    windows = windows_of(samples)
    cache = Cache(tmp_path / "kept")
    writers = []
    for name in ("put", "claim", "release"):
        real = getattr(Cache, name)
        noted = lambda *said, real=real: writers.append(threading.current_thread().name) or real(*said)  # noqa: E731
        monkeypatch.setattr(Cache, name, noted)
    first = handle_of(Numbers(batch=1), 3)
    found = plain(detect_all(first, samples[:3], windows, BatchKeys.of(cache, first)))
    alone, many = handle_of(Numbers(batch=1), 1), handle_of(Numbers(batch=1), 4)
    assert plain(detect_all(alone, samples, windows, BatchKeys.of(cache, alone)))[:12] == found
    assert len(alone.adapter.calls) == 12
    assert len(list(detect_all(many, samples, windows, BatchKeys.of(cache, many)))) == 24
    assert many.images_sent == 0
    assert set(writers) == {threading.main_thread().name}
    cache.close()


def test_a_cached_run_loads_nothing(tmp_path):
    samples = numbered(4, folder=tmp_path)
    cache = Cache(tmp_path / "kept")
    first = handle_of(Numbers(), 2)
    keys = BatchKeys.of(cache, first)
    list(detect_all(first, samples, windows_of(samples), keys))

    def load():
        raise AssertionError("loaded")

    second = DetectorHandle("numbers", load, Description(), "numbers", threads=1)
    second.recall(first.profile)
    assert len(list(detect_all(second, samples, windows_of(samples), BatchKeys.of(cache, second)))) > 0
    cache.close()


def test_an_interrupt_ends_at_once_keeps_what_is_done_and_gives_up_its_claims(tmp_path):
    columns = np.zeros((30, 40, 3), np.uint8) + np.arange(40, dtype=np.uint8)[None, :, None]
    path = tmp_path / "columns"
    path.write_text("columns")
    samples = [Sample("columns", 40, 30, GroundTruth.empty(), lambda: columns, path)]
    windows = {"columns": tuple(Crop(left, 0, 1, 1) for left in range(1, 40))}  # the number of each is its left
    cache = Cache(tmp_path / "kept")
    release, both = threading.Event(), threading.Barrier(3)

    def before(numbers):
        if numbers[0] in (5, 6):
            both.wait(SOON)
            assert release.wait(SOON)

    handle = handle_of(Numbers(before, batch=1), 2)
    keys = BatchKeys.of(cache, handle)
    batches = detect_all(handle, samples, windows, keys)
    for _ in range(5):
        next(batches)
    both.wait(SOON)
    threading.Timer(0.1, release.set).start()
    with pytest.raises(KeyboardInterrupt):
        batches.throw(KeyboardInterrupt)
    assert sorted(handle.adapter.calls) == [[number] for number in range(7)]  # two calls were in hand
    assert handle.images_sent == 7
    assert not [each for each in threading.enumerate() if each.name.startswith("cropdet-worker")]
    claims = cache._database.read("SELECT COUNT(*) FROM claims")
    assert claims == (0,)
    rest = handle_of(Numbers(batch=1), 2)
    assert len(list(detect_all(rest, samples, windows, keys))) == 40
    assert len(rest.adapter.calls) == 40 - 7
    cache.close()


def test_seconds_are_those_in_which_any_call_ran():
    handle = handle_of(Numbers(), 2)
    for begun, ended in [(10.0, 11.0), (10.5, 11.5), (10.6, 10.9), (13.0, 14.0)]:
        handle.count(begun, ended, 2)
    assert (handle.seconds, handle.images_sent) == (2.5, 8)


def real_detectors():
    labels = str(MODELS / "labels.txt")
    raw = {"anchors": str(MODELS / "ssd_anchors.npy"), "nms_iou": 0.6, "resize": "stretch", "activation": "none"}
    return {
        "ssd_nms.tflite": {"labels": labels, "range": "0..255"},
        "ssd_raw.tflite": {"labels": labels, "range": "0..255", **raw},
        "ssd.onnx": {"labels": labels, "threads": 1},
    }


def check_real(path, description, samples):
    """Check that answers are equal to the last bit with one worker and with three."""
    windows = make_plan(samples, "random:keep=0.4,per_image=2").windows
    found = []
    for workers in (1, 3):
        detector = load_detector(path, **description)
        detector.workers = workers
        found.append([each for batch in detect_all(detector, samples, windows) for each in batch.found])
        assert detector.calls_at_once() == workers
    assert sum(map(len, found[0])) > 0
    for one, many in zip(*found, strict=True):
        for column in ("boxes", "scores", "categories"):
            assert getattr(one, column).tobytes() == getattr(many, column).tobytes()


@pytest.mark.parametrize(
    "name",
    [*(pytest.param(each, marks=pytest.mark.tensorflow) for each in ("ssd_nms.tflite", "ssd_raw.tflite")), "ssd.onnx"],
)
def test_real_files_answer_the_same_to_the_last_bit(name, request):
    if name.endswith("onnx"):
        pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install 'pytest-cropdet[onnx]'")
    else:
        request.getfixturevalue("needs_tensorflow")
    check_real(MODELS / name, real_detectors()[name], list(load_dataset(SCENES))[:6])


@pytest.mark.slow
@pytest.mark.usefixtures("needs_tensorflow")
def test_a_large_tflite_file_answers_the_same_to_the_last_bit(assets):
    path = assets / "models" / "centernet_coco" / "centernet_float32.tflite"
    lines = (assets / "models" / "coco80.names").read_text().splitlines()
    said = {"boxes": "xyxy", "units": "input", "range": "0..255", "resize": "stretch", "nms_iou": 0.5}
    samples = list(load_dataset(assets / "data" / "coco-open-dev" / "annotations.json"))[:4]
    check_real(path, {"labels": ",".join(lines), "first_category": 0, **said}, samples)
