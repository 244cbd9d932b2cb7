"""What slicing gains, where it is known, and what merging leaves behind."""

import numpy as np
import pytest

from pytest_cropdet import Detections, Sliced
from pytest_cropdet.comparison import detect_whole, measure_gain, seam_counts, search_tiles
from pytest_cropdet.data import GroundTruth
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import whole_image_ap
from pytest_cropdet.inference import Cache
from tests.detectors.test_sliced import SIDE, Blobs, picture
from tests.support import Data, sample

NAMES = {1: "blob"}


class NeedsSize(Blobs):
    """A detector with an input of 120 pixels: it sees nothing that is smaller than ``least`` pixels there."""

    def find(self, image):
        found = super().find(image)
        sides = (found.boxes[:, 2:] - found.boxes[:, :2]).min(axis=1, initial=np.inf) * 120 / image.shape[1]
        return found.take(np.flatnonzero(sides >= self.least))


def made(count=48, low=12, high=24, seed=0):
    """Images with two objects each, apart from one another, of ``low`` to ``high`` pixels."""
    rng = np.random.default_rng(seed)
    samples = []
    for number in range(count):
        boxes = []
        for left in (5, 125):
            w, h = rng.integers(low, high, 2)
            x, y = left + int(rng.integers(0, 110 - w)), 5 + int(rng.integers(0, 220 - h))
            boxes.append((x, y, x + int(w), y + int(h)))
        kept = sample(number, GroundTruth(boxes, [1, 1]), SIDE, SIDE)
        samples.append(type(kept)(kept.id, SIDE, SIDE, kept.truth, lambda boxes=tuple(boxes): picture(*boxes)))
    return Data(samples, NAMES)


def gain_of(detector, data, **settings):
    sliced = Sliced(detector, **settings)
    samples = list(data)
    whole = detect_whole(sliced.inner, data, samples)
    return measure_gain(sliced, detect_whole(sliced, data, samples), whole, replicates=200)


def test_a_detector_that_sees_large_objects_alone_gains_by_tiles_and_on_small_objects():
    found = gain_of(NeedsSize(least=12), made(), size=120, overlap=0.4, merge="seam")
    assert found.ap["all"][0] < 0.1
    assert found.gain["all"].low > 0.6
    assert found.gain["small"].value == pytest.approx(found.gain["all"].value)
    assert found.gain["large"].value is None  # there is none
    assert found.calls == 10


def test_a_detector_that_sees_everything_gains_nothing_and_loses_at_seams_what_is_not_joined():
    data = made(low=60, high=90)
    joined = gain_of(Blobs(), data, size=120, overlap=0.0, merge="seam", whole=False)
    cut = gain_of(Blobs(), data, size=120, overlap=0.0, merge="nms", whole=False)
    assert joined.ap["all"][0] == cut.ap["all"][0] == pytest.approx(1.0)
    assert joined.gain["all"].value > -0.05
    assert cut.gain["all"].high < -0.1
    assert cut.seams.unheld == joined.seams.unheld > 10


def test_the_same_answers_gain_exactly_nothing():
    found = gain_of(Blobs(), made(), size=SIDE, merge="none")
    assert (found.gain["all"].value, found.gain["all"].low, found.gain["all"].high) == (0.0, 0.0, 0.0)


def test_ap_is_that_of_whole_images():
    data = made()
    sliced = Sliced(NeedsSize(least=12), size=120, overlap=0.4)
    found = gain_of(NeedsSize(least=12), data, size=120, overlap=0.4)
    answers = [sliced([each.image()])[0] for each in data]
    assert found.ap["all"][1] == whole_image_ap(list(data), answers, NAMES).mAP


def test_doubles_halves_and_objects_that_no_tile_holds_are_counted():
    sliced = Sliced(Blobs(), size=120, overlap=0.0, whole=False)
    boxes = [(10, 10, 40, 40), (100, 10, 140, 50), (10, 100, 230, 140)]
    shown = sample(0, GroundTruth(boxes, [1, 1, 1]), SIDE, SIDE)
    found = Detections(
        [
            (10, 10, 40, 40),
            (10, 10, 40, 38),
            (10, 10, 41, 40),
            (100, 10, 118, 50),
            (10, 100, 230, 141),
            (10, 11, 40, 40),
        ],
        [0.9, 0.8, 0.2, 0.9, 0.9, 0.5],
        [1, 1, 1, 1, 1, 2],
    )
    counts = seam_counts(sliced, shown, found)
    assert (counts.objects, counts.doubles, counts.halves) == (3, 1, 1)
    assert (counts.unheld, counts.unheld_found) == (2, 1)


def test_a_search_advises_the_tiles_that_gain_and_says_what_is_as_good_for_less(tmp_path):
    data, inner = made(count=60), NeedsSize(least=12, fingerprint="needs size")
    cells = [Sliced(inner, size=size, overlap=0.4, merge="seam") for size in (60, 120, 230)]
    lines = []
    found = search_tiles(cells, data, list(data), Cache(tmp_path), replicates=200, say=lines.append)
    assert [cell.stopped for cell in found.cells] == [False, False, True]
    assert found.cells[-1].sliced.grid.size == (230, 230)
    assert found.cells[-1].gain.images == 25
    assert "1 of them stop here" in lines[0]
    first, *cheaper = found.advised
    assert first.images == 30
    assert {cell.gain.name for cell in found.front} >= {found.cells[0].gain.name}
    assert all(each.calls < first.calls for each in cheaper)
    assert found.advice.startswith(first.name)
    assert found.to_dict()["advice"] == found.advice
    sent = len(inner.shapes)
    again = search_tiles(cells, data, list(data), Cache(tmp_path), replicates=200)
    assert len(inner.shapes) <= sent * 2  # images without a file: only the tiles are known
    assert again.to_dict() == found.to_dict()


def test_the_advice_is_measured_on_images_that_chose_nothing(monkeypatch):
    looked = []

    def noted(detector, dataset, samples, cache=None):
        looked.append({each.id for each in samples})
        return detect_whole(detector, dataset, samples, cache)

    monkeypatch.setattr("pytest_cropdet.comparison.tile_search.detect_whole", noted)
    data = made(count=44)
    search_tiles([Sliced(NeedsSize(least=12), size=120, overlap=0.4)], data, list(data), replicates=100)
    *chose, whole, cut = looked
    assert whole == cut
    assert len(whole) == 22
    assert not whole & set.union(*chose)


def test_where_nothing_gains_the_advice_says_so():
    data = made(count=44)
    found = search_tiles([Sliced(Blobs(), size=120, overlap=0.4, merge="seam")], data, list(data), replicates=200)
    assert found.advice.startswith("No tiling is surely better than one pass over the whole image")


def test_too_few_images_are_refused():
    with pytest.raises(SpecError, match="10 images are too few to choose tiles: at least 40"):
        search_tiles([Sliced(Blobs())], Data([], NAMES), list(made(count=10)))
    with pytest.raises(SpecError, match="no tiles to compare"):
        search_tiles([], Data([], NAMES), [])
