"""Detect, then refine: windows round proposals of a first detector or of a data set, merged in the image's frame."""

import numpy as np
import pytest

from pytest_cropdet import Detections, Regions
from pytest_cropdet.comparison import compare_sliced, search_tiles
from pytest_cropdet.data import GroundTruth
from pytest_cropdet.errors import DetectorError, SpecError
from pytest_cropdet.gate import run
from pytest_cropdet.inference import Cache
from tests.comparison.test_sliced_gain import NAMES, NeedsSize, made
from tests.detectors.test_sliced import BOXES, SIDE, Blobs, picture
from tests.support import Data, sample


def crops(tiles):
    return [(each.crop.left, each.crop.top, each.crop.right, each.crop.bottom) for each in tiles]


def data_of(*boxes, crowd=None):
    shown = sample(0, GroundTruth(boxes, [1] * len(boxes), **({} if crowd is None else {"crowd": crowd})), SIDE, SIDE)
    return Data([type(shown)(shown.id, SIDE, SIDE, shown.truth, lambda: picture(*boxes))], NAMES)


class Context(Blobs):
    """Finds a blob only where at least ``margin`` of its size shows on each side of it."""

    def find(self, image):
        found = super().find(image)
        sides = found.boxes[:, 2:] - found.boxes[:, :2]
        gap = np.concatenate([found.boxes[:, :2], [image.shape[1], image.shape[0]] - found.boxes[:, 2:]], axis=1)
        return found.take(np.flatnonzero((gap >= 0.5 * np.tile(sides, 2)).all(axis=1)))


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_objects_are_found_in_the_frame_of_the_image(margin):
    (found,) = Regions(Blobs(), Blobs(), margin=margin)([picture(*BOXES)])
    assert sorted(map(tuple, found.boxes.astype(int).tolist())) == sorted(BOXES)


def test_a_window_is_the_box_with_its_margin_rounded_outwards_and_ends_at_the_image():
    data = data_of((10, 20, 40, 60), (0, 0, 33, 15), (200, 210, 240, 240))
    windows = crops(Regions(Blobs(), data, margin=0.1).windows_of(data[0]))
    assert windows == [(7, 16, 43, 64), (0, 0, 37, 17), (196, 207, 240, 240)]
    assert crops(Regions(Blobs(), data, margin=0.1).windows_in(data[0].image())) == windows


def test_the_same_window_is_sent_once_and_the_whole_image_first_if_it_is_sent():
    data = data_of((10, 20, 40, 60), (10, 20, 40, 60))
    inner = Blobs()
    Regions(inner, data, margin=0, whole=True)([data[0].image()])
    assert inner.shapes == [(SIDE, SIDE), (40, 30)]


def test_proposals_that_score_too_little_and_crowds_are_none():
    def first(images):
        return [Detections([(10, 10, 20, 20), (30, 30, 40, 40)], [0.29, 0.3], [1, 1]) for _ in images]

    regions = Regions(Blobs(), first, margin=0)
    assert crops(regions.windows_in(picture())) == [(30, 30, 40, 40)]
    data = data_of((10, 20, 40, 60), (50, 50, 60, 60), crowd=[True, False])
    assert crops(Regions(Blobs(), data, margin=0).windows_of(data[0])) == [(50, 50, 60, 60)]


def test_without_proposals_nothing_is_found_unless_the_whole_image_is_sent():
    nothing = Regions(Blobs(), lambda images: [Detections.empty() for _ in images])
    assert len(nothing([picture(*BOXES)])[0]) == 0
    whole = Regions(Blobs(), lambda images: [Detections.empty() for _ in images], whole=True)
    assert len(whole([picture(*BOXES)])[0]) == len(BOXES)


def test_a_crop_of_an_image_is_none_of_the_data_sets():
    data = data_of(*BOXES)
    with pytest.raises(
        DetectorError, match=r"an image of 100 x 80 is none of its images; crops of images need proposals"
    ):
        Regions(Blobs(), data)([data[0].image()[:80, :100]])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"margin": -0.1}, "margin must be 0 or more"),
        ({"margin": float("nan")}, "margin must be 0 or more"),
        ({"score": 2}, "score must lie between 0 and 1"),
        ({"merge": "glue"}, "glue"),
        ({"most": 0}, "most must be 1 or more"),
    ],
)
def test_wrong_settings_are_named(settings, words):
    with pytest.raises(SpecError, match=words):
        Regions(Blobs(), Blobs(), **settings)


def test_what_is_no_proposal_is_named():
    with pytest.raises(SpecError, match=r"proposals must be a detector .* or a data set .*, not 'truth'"):
        Regions(Blobs(), "truth")


def test_the_fingerprint_depends_on_both_detectors_the_boxes_and_the_margin():
    def one(**changes):
        given = {"detector": Blobs(fingerprint="a"), "proposals": Blobs(fingerprint="b"), "margin": 0.3, **changes}
        return Regions(given.pop("detector"), given.pop("proposals"), **given).fingerprint

    known = {
        one(),
        one(margin=0.2),
        one(detector=Blobs(fingerprint="c")),
        one(proposals=Blobs(fingerprint="c")),
        one(proposals=data_of(*BOXES)),
        one(proposals=data_of(*BOXES[:2])),
        one(whole=True),
        one(score=0.5),
    }
    assert len(known) == 8
    assert None not in known
    assert one(proposals=Blobs()) is None


def test_a_gate_on_crops_works_with_proposals_of_a_detector():
    found = run(Regions(Blobs(), Blobs()), made(count=6), crops="tile:size=0.7", replicates=100)
    assert found.whole_images["mAP"] == pytest.approx(1.0)


def test_small_objects_gain_by_windows_and_the_gain_is_one_of_scale():
    data = made(count=24)
    found = compare_sliced(Regions(NeedsSize(least=12), data, margin=0.5), data, replicates=100)
    assert found.gain.value > 0.6
    steps = {name: each.value for name, each in found.chain.steps.items()}
    assert sum(steps.values()) == pytest.approx(found.gain.value)
    assert steps["scale"] / found.gain.value >= 0.9
    assert found.errors.holds is None
    assert "margin=0.5,proposals=" in found.lines()[-1]


def test_how_much_margin_is_enough(tmp_path):
    """The detector needs half the object's size on each side: 0.3 is too little, 0.5 enough, more is no better."""
    data, inner = made(count=60, low=12, high=24), Context(fingerprint="context")
    cells = [Regions(inner, data, margin=margin) for margin in (0.0, 0.3, 0.5, 1.0)]
    found = search_tiles(cells, data, list(data), Cache(tmp_path), replicates=100)
    ap = {cell.sliced.margin: cell.ap for cell in found.cells}
    assert ap[0.0] == ap[0.3] == 0
    assert ap[0.5] > 0.9


def test_an_image_without_proposals_is_compared_too():
    data = made(count=4)
    empty = sample(9, GroundTruth(np.zeros((0, 4)), []), SIDE, SIDE)
    data = Data([*data, type(empty)("9", SIDE, SIDE, empty.truth, picture)], NAMES)
    found = compare_sliced(Regions(Blobs(), data), data, replicates=100)
    assert found.gain.value == pytest.approx(0.0)
    assert found.numbers.calls == pytest.approx(8 / 5)


def test_a_data_set_that_moved_keeps_the_fingerprint():
    here, there = data_of(*BOXES), data_of(*BOXES)
    there.name = "/elsewhere/instances.json"
    regions = Regions(Blobs(fingerprint="a"), here)
    assert regions.settings != Regions(Blobs(fingerprint="a"), there).settings
    assert regions.fingerprint == Regions(Blobs(fingerprint="a"), there).fingerprint
