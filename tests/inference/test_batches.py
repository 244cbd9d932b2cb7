"""Where the detector runs: which pictures share a batch, what is read, and what an error says."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet.crops.plan import make_plan
from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import DetectorHandle, as_handle
from pytest_cropdet.detectors.resize import fit
from pytest_cropdet.errors import DataError, DetectorError
from pytest_cropdet.geometry.crop import Crop
from pytest_cropdet.inference.batches import Picture, chunks, detect_all
from tests.geometry.invariants import same
from tests.painted import find, sample


class Stretching:
    """An adapter with a fixed input of 32 x 32, or of any size, that finds painted rectangles."""

    categories = max_detections = None
    description = Description()

    def __init__(self, batch: int, fixed: bool) -> None:
        self.batch = batch
        self.fixed_input = fixed
        self.shapes: list[list[tuple[int, ...]]] = []

    def input_shape(self, width, height):
        return (32, 32) if self.fixed_input else (height, width)

    def prepare(self, image):
        height, width = image.shape[:2]
        return fit(image, "stretch", *((32, 32) if self.fixed_input else (width, height)), np.uint8)

    def detect(self, inputs):
        self.shapes.append([prepared.pixels.shape for prepared in inputs])
        return [find(prepared.pixels) for prepared in inputs]


def handle(batch=2, fixed=True):
    adapter = Stretching(batch, fixed)
    return DetectorHandle("painted", lambda: adapter, Description())


SIZES = [(40, 30), (40, 30), (30, 40), (40, 30), (30, 40), (64, 64)]


def pictures(reads=None):
    return [sample(f"{n}.png", w, h, {n % 3 + 1: (3, 4, 20, 25)}, reads) for n, (w, h) in enumerate(SIZES)]


def labels(batches):
    return [[picture.label for picture in batch.pictures] for batch in batches]


@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("batch", [1, 2, 4])
def test_every_picture_of_a_plan_is_detected_in_once(batch, fixed):
    samples = pictures()
    plan = make_plan(samples, "random:per_image=3")
    batches = list(detect_all(handle(batch, fixed), samples, plan.windows))
    seen = [picture for each in batches for picture in each.pictures]
    wanted = {Picture(each.id, -1, None) for each in samples}
    wanted |= {Picture(name, rank, crop) for name, crops in plan.windows.items() for rank, crop in enumerate(crops)}
    assert len(seen) == len(wanted)
    assert set(seen) == wanted
    assert all(len(each.pictures) == len(each.found) <= batch for each in batches)


def test_each_answer_belongs_to_its_picture():
    samples = pictures()
    windows = {each.id: (Crop(2, 3, 20, 20), Crop(0, 0, 10, 12)) for each in samples}
    for batch in detect_all(handle(4, fixed=False), samples, windows):
        for picture, found in zip(batch.pictures, batch.found, strict=True):
            image = next(each for each in samples if each.id == picture.sample).image()
            expected = find(image if picture.crop is None else picture.crop.of(image))
            same(found.boxes, expected.boxes)
            same(found.categories, expected.categories)


def test_a_batch_holds_one_input_shape_and_one_rank():
    detector = handle(3, fixed=False)
    samples = pictures()
    for batch in detect_all(detector, samples, make_plan(samples).windows):
        assert len({picture.rank for picture in batch.pictures}) == 1
    assert all(len(set(shapes)) == 1 for shapes in detector.adapter.shapes)


@pytest.mark.parametrize("fixed", [True, False])
def test_the_composition_of_batches_depends_on_the_plan_only(fixed):
    """More windows an image, or other pixels, leave the batches of the first windows as they were."""
    few = make_plan(pictures(), "random:keep=0.5,per_image=1").windows
    many = make_plan(pictures(), "random:keep=0.5,per_image=3").windows
    black = [Sample(each.id, each.width, each.height, GroundTruth.empty(), each.read) for each in pictures()]
    first = labels(detect_all(handle(fixed=fixed), pictures(), few))
    again = labels(detect_all(handle(fixed=fixed), black, few))
    more = labels(detect_all(handle(fixed=fixed), pictures(), many))
    assert again == first
    assert [each for each in more if each in first] == first


@pytest.mark.parametrize("fixed", [True, False])
def test_windows_that_keep_everything_form_the_batches_of_the_whole_images(fixed):
    samples = pictures()
    plan = make_plan(samples, "random:keep=1.0,per_image=2")
    by_rank = {-1: [], 0: [], 1: []}
    for batch in detect_all(handle(4, fixed), samples, plan.windows):
        by_rank[batch.pictures[0].rank].append([picture.sample for picture in batch.pictures])
    assert by_rank[-1] == by_rank[0] == by_rank[1]


def test_images_are_grouped_by_input_shape_in_the_sets_order():
    def names(detector):
        return [[each.id[0] for each in chunk] for chunk in chunks(detector, pictures())]

    assert names(handle(2, fixed=True)) == [["0", "1"], ["2", "3"], ["4", "5"]]
    assert names(handle(2, fixed=False)) == [["0", "1"], ["2", "4"], ["3"], ["5"]]
    assert names(handle(1, fixed=False)) == [["0"], ["1"], ["2"], ["3"], ["4"], ["5"]]


@pytest.mark.parametrize("batch", [1, 4])
def test_each_image_is_decoded_once_however_many_windows_it_has(batch):
    reads = []
    samples = pictures(reads)
    list(detect_all(handle(batch), samples, make_plan(samples, "random:per_image=5").windows))
    assert sorted(reads) == [each.id for each in samples]


def test_images_are_decoded_one_batch_ahead_and_no_further():
    """A set larger than memory passes through."""
    reads = []
    samples = pictures(reads)
    batches = detect_all(handle(1), samples, {each.id: () for each in samples})
    next(batches)
    batches.close()
    assert len(reads) <= 2


def test_samples_with_different_numbers_of_windows_or_none_are_all_done():
    samples = pictures()[:3]
    windows = {"0.png": (), "1.png": (Crop(0, 0, 9, 9), Crop(1, 1, 9, 9)), "2.png": (Crop(2, 2, 9, 9),)}
    seen = [label for batch in labels(detect_all(handle(3), samples, windows)) for label in batch]
    assert sorted(seen) == sorted(
        ["0.png", "1.png", "2.png", *(f"{crop} of {name}" for name, crops in windows.items() for crop in crops)]
    )


def test_no_samples_are_no_batches():
    assert list(detect_all(handle(), [], {})) == []


def test_an_error_of_the_detector_names_the_picture_and_the_window():
    def broken(images):
        if images[0].shape[0] == 7:
            raise RuntimeError("no anchors")
        return [find(image) for image in images]

    samples = pictures()[:2]
    windows = {each.id: (Crop(1, 2, 9, 7 + place),) for place, each in enumerate(samples[::-1])}
    with pytest.raises(DetectorError) as caught:
        list(detect_all(as_handle(broken), samples, windows))
    crop = Crop(1, 2, 9, 7)
    assert str(caught.value) == f"broken failed on {crop} of 1.png: RuntimeError: no anchors"


def unreadable():
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    ("read", "sentence"),
    [
        (unreadable, r"sample c\.png: OSError: the disk is gone"),
        (lambda: np.zeros((30, 41, 3), np.uint8), r"sample c\.png: .*\(30, 41, 3\).* 40 x 30"),
        (lambda: np.zeros((30, 40), np.uint8), r"sample c\.png: .*\(30, 40\)"),
        (lambda: np.zeros((30, 40, 3), np.float32), r"sample c\.png: .*float32"),
        (lambda: [[0, 0, 0]], r"sample c\.png: .*list"),
    ],
)
def test_an_image_that_a_data_set_cannot_read_or_reads_wrongly_is_named(read, sentence):
    samples = [*pictures()[:1], Sample("c.png", 40, 30, GroundTruth.empty(), read)]
    with pytest.raises(DataError, match=sentence):
        list(detect_all(handle(1), samples, {each.id: () for each in samples}))


def test_what_a_data_set_says_of_its_own_image_is_passed_on_as_it_is():
    def refuse():
        raise DataError("the image c.png is cut off")

    with pytest.raises(DataError, match=r"^the image c\.png is cut off$"):
        list(detect_all(handle(), [Sample("c.png", 4, 4, GroundTruth.empty(), refuse)], {"c.png": ()}))
