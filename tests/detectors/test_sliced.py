"""Sliced inference is a detector: it sees tiles, answers in the image's frame, and keeps what tiles have shown."""

import cv2
import numpy as np
import pytest

from pytest_cropdet import Detections, Sliced, load_dataset, load_detector
from pytest_cropdet.data import GroundTruth
from pytest_cropdet.detectors import read_sliced_spec
from pytest_cropdet.errors import DetectorError, SpecError
from pytest_cropdet.gate import run
from pytest_cropdet.inference import Cache
from tests.support import Data, sample

SIDE = 240


class Blobs:
    """A detector that finds white rectangles exactly, and sees only those of at least ``least`` pixels on each side."""

    batch = 4

    def __init__(self, least=1, fingerprint=None):
        self.categories = {1: "blob"}
        self.least, self.fingerprint, self.calls, self.shapes = least, fingerprint, 0, []

    def __call__(self, images):
        self.calls += 1
        self.shapes += [image.shape[:2] for image in images]
        return [self.find(image) for image in images]

    def find(self, image):
        count, _, stats, _ = cv2.connectedComponentsWithStats((image[:, :, 0] > 250).astype(np.uint8))
        boxes = [
            [left, top, left + width, top + height]
            for left, top, width, height, _ in stats[1:count]
            if min(width, height) >= self.least
        ]
        area = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes]
        scores = [0.5 + 0.4 * each / (SIDE * SIDE) for each in area]
        return Detections(np.reshape(boxes, (-1, 4)), scores, [1] * len(boxes))


def picture(*boxes):
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1] = 255
    return image


BOXES = [(10, 10, 40, 50), (90, 100, 150, 140), (200, 200, 230, 230)]


@pytest.mark.parametrize("size", [100, 0.5, (120, 80)])
@pytest.mark.parametrize("edge", ["inside", "pad"])
def test_objects_are_found_in_the_frame_of_the_image(size, edge):
    sliced = Sliced(Blobs(), size=size, overlap=0.6, whole=False, merge="seam", edge=edge)
    (found,) = sliced([picture(*BOXES)])
    assert sorted(map(tuple, found.boxes.astype(int).tolist())) == sorted(BOXES)


def test_a_cut_object_is_two_pieces_where_nothing_joins_them():
    cut = (90, 100, 150, 140)  # the seam is at 120
    sliced = {merge: Sliced(Blobs(), size=120, overlap=0.0, whole=False, merge=merge) for merge in ("nms", "seam")}
    assert len(sliced["nms"]([picture(cut)])[0]) > 1
    assert sliced["seam"]([picture(cut)])[0].boxes.tolist() == [list(cut)]


def test_the_whole_image_is_sent_once_and_repairs_cut_objects():
    inner = Blobs()
    sliced = Sliced(inner, size=120, overlap=0.0, metric="ios")
    (found,) = sliced([picture((90, 90, 150, 150))])
    assert inner.shapes == [(SIDE, SIDE), *[(120, 120)] * 4]
    assert found.boxes.tolist() == [[90, 90, 150, 150]]
    inner.shapes.clear()
    Sliced(inner, size=SIDE)([picture()])
    assert inner.shapes == [(SIDE, SIDE)]  # a tile that is the image is not sent twice


def test_tiles_of_several_images_share_batches():
    inner = Blobs()
    sliced = Sliced(inner, size=120, overlap=0.0, whole=False)
    found = sliced([picture(*BOXES), picture(), picture(*BOXES)])
    assert len(inner.shapes) == 12
    assert inner.calls == 3
    assert [len(each) > 0 for each in found] == [True, False, True]


def test_tiles_are_detected_once_for_several_merges(tmp_path):
    data = Data([sample_of(number) for number in range(6)], {1: "blob"})
    inner = Blobs(fingerprint="blobs")
    cache = Cache(tmp_path)
    numbers, sent = {}, 0
    for merge in ("nms", "seam", "wbf"):
        sliced = Sliced(inner, size=120, overlap=0.2, merge=merge)
        sliced.memory = cache
        numbers[merge] = [sliced([each.image()])[0].boxes.tolist() for each in data]
        sent = sent or len(inner.shapes)
        assert len(inner.shapes) == sent  # nothing is sent for another merge
    assert 0 < sent <= 6 * 10  # 3 x 3 tiles and the image; batches of the same pixels are sent once
    fresh = [Sliced(Blobs(), size=120, overlap=0.2, merge="seam")([each.image()])[0].boxes.tolist() for each in data]
    assert numbers["seam"] == fresh


def sample_of(number):
    rng = np.random.default_rng(number)
    x, y, w, h = (int(each) for each in (*rng.integers(0, 150, 2), *rng.integers(20, 80, 2)))
    box = (x, y, x + w, y + h)
    made = sample(number, GroundTruth([box], [1]), SIDE, SIDE)
    return type(made)(made.id, SIDE, SIDE, made.truth, lambda: picture(box))


def test_a_gate_runs_on_a_sliced_detector():
    data = Data([sample_of(number) for number in range(60)], {1: "blob"})
    sliced = Sliced(Blobs(), size=120, overlap=0.4, merge="seam")
    found = run(sliced, data, crops="random:keep=0.8,per_image=1", replicates=100)
    assert found.detector["name"].startswith("sliced:size=120,overlap=0.4,merge=seam,iou=0.5:")
    assert found.ap["reference"] > 0.9


def test_settings_change_the_fingerprint_and_a_function_needs_its_own():
    def keep_all(pieces):
        return Detections(pieces.boxes, pieces.scores, pieces.categories)

    inner = Blobs(fingerprint="blobs")
    several = [{}, {"size": 100}, {"overlap": 0.1}, {"merge": "wbf"}, {"iou": 0.6}, {"whole": False}, {"most": 9}]
    several += [{"edge": "pad"}, {"metric": "ios"}]
    prints = [Sliced(inner, **each).fingerprint for each in several]
    assert None not in prints
    assert len({*prints}) == len(prints)
    own = Sliced(inner, size=120, overlap=0.0, merge=keep_all)
    assert own.fingerprint is None
    assert len(own([picture((90, 90, 150, 150))])[0]) == 5  # four pieces and the whole
    keep_all.fingerprint = "keep all"
    assert own.fingerprint is not None
    assert Sliced(Blobs(), size=100).fingerprint is None


def test_the_most_detections_are_the_best_and_that_is_said():
    (found,) = Sliced(Blobs(), size=SIDE, most=2)([picture(*BOXES)])
    assert found.capped
    assert sorted(map(tuple, found.boxes.astype(int).tolist())) == sorted(BOXES[:2])


def test_a_merge_that_returns_something_else_is_refused():
    with pytest.raises(DetectorError, match="must return Detections, not list"):
        Sliced(Blobs(), size=120, merge=lambda pieces: [])([picture()])


def test_a_tile_on_which_the_detector_fails_is_named():
    def broken(images):
        raise RuntimeError("no memory")

    with pytest.raises(DetectorError, match=r"Crop\(left=0, top=0, width=120, height=120\).*no memory"):
        Sliced(broken, size=120, whole=False)([picture()])


def test_a_spec_names_settings_and_model(tmp_path, monkeypatch):
    (tmp_path / "blobs_module.py").write_text(
        "from tests.detectors.test_sliced import Blobs\ndef make():\n    return Blobs()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    sliced = load_detector("sliced:size=120x100,overlap=0.1,merge=greedy-nmm,metric=ios,whole=no:blobs_module:make")
    assert isinstance(sliced, Sliced)
    assert (sliced.grid.size, sliced.grid.overlap, sliced.whole) == ((120, 100), 0.1, False)
    assert (
        sliced.name == "sliced:size=120x100,overlap=0.1,merge=greedy-nmm,iou=0.5,metric=ios,whole=no:blobs_module:make"
    )
    assert load_detector("sliced:blobs_module:make").grid.size == (320, 320)
    assert dict(sliced.categories) == {1: "blob"}


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("size=320:", "names no model"),
        ("", "needs a model"),
        ("width=320:m", "unknown setting 'width=320'"),
        ("size=320,overlap:m", "unknown setting 'overlap'"),
        ("overlap=much:m", "overlap cannot be 'much'"),
        ("whole=1:m", "whole must be yes or no"),
    ],
)
def test_what_is_no_spec_is_refused(rest, words):
    with pytest.raises(SpecError, match=words):
        read_sliced_spec(rest)


def test_another_version_of_a_runtime_sends_the_tiles_again(tmp_path, monkeypatch):
    inner, sent = Blobs(fingerprint="blobs"), []
    for versions in ((("tensorflow", "2.20"),), (("tensorflow", "2.20"),), (("tensorflow", "2.21"),)):
        monkeypatch.setattr("pytest_cropdet.detectors.windowed.answer_versions", lambda versions=versions: versions)
        sliced = Sliced(inner, size=120)
        sliced.memory = Cache(tmp_path)
        sliced([picture(*BOXES)])
        sent.append(len(inner.shapes))
    assert sent[0] == sent[1]
    assert sent[2] == 2 * sent[0]


@pytest.mark.usefixtures("needs_tensorflow")
def test_several_calls_at_once_change_nothing(pytestconfig, monkeypatch):
    monkeypatch.setattr("pytest_cropdet.detectors.cores.available_cores", lambda: 2)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    fixtures = pytestconfig.rootpath / "fixtures"
    data = load_dataset(fixtures / "scenes")
    runs = []
    for workers in (1, 2):
        model = f"sliced:size=200,merge=seam:{fixtures / 'models' / 'ssd_nms.tflite'}"
        sliced = load_detector(model, range="0..255", labels=fixtures / "models" / "labels.txt")
        sliced.workers = workers
        assert sliced.calls_at_once() == workers
        found = run(sliced, data, crops="random:keep=0.8,per_image=1", sample_images=24, replicates=100, explain="off")
        runs.append((found.ap, found.drop.value, found.drop.low))
    assert runs[0] == runs[1]


def test_the_same_tiles_without_a_merge_are_loaded_elsewhere_without_one_too():
    merged = Sliced(Blobs(), size=100, overlap=0.3, merge="seam", whole=False)
    merged.source, merged.workers, merged.cluster = ("sliced:size=100,merge=seam:net.tflite", "described"), 3, "cluster"
    plain = merged.unmerged()
    assert plain.source == ("sliced:size=100,overlap=0.3,merge=none,whole=no:net.tflite", "described")
    assert (plain.workers, plain.cluster) == (3, "cluster")
    assert Sliced(Blobs()).unmerged().source is None
