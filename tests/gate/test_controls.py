"""The drop under changed rules, and the rule that either box of a cut object counts."""

import numpy as np
import pytest

from pytest_cropdet.data.coco import CocoDataset
from pytest_cropdet.data.cropping import crop_truth
from pytest_cropdet.data.samples import Detections, GroundTruth, Sample
from pytest_cropdet.gate.controls import cap_of
from pytest_cropdet.geometry.boxes import areas
from pytest_cropdet.geometry.crop import Crop
from pytest_cropdet.geometry.masks import Mask
from tests.support import Data, Fake, detections, made, objects, opinions, same, sample, small_run

CAT, DOG, BIRD = 3, 7, 12
HALVES = "tile:size=60,overlap=0"


@pytest.fixture(scope="module")
def found():
    """A wrong detection lies to a fifth in the left half, in which the object is, and to four fifths in the right."""
    thing, wrong, wrong_right = (10, 10, 30, 30), (50, 10, 100, 50), (0, 10, 40, 50)
    data = Data([sample(number, objects((thing, CAT)), 120, 60) for number in range(60)])

    def answer(number: int, crop: Crop) -> Detections:
        if crop.width == 120:
            return detections((thing, 0.5, CAT), (wrong, 0.9, CAT))
        return detections((thing, 0.5, CAT) if crop.left == 0 else (wrong_right, 0.9, CAT))

    return small_run(Fake(answer), data, HALVES)


class TestStray:
    def test_what_lies_mostly_elsewhere_is_ignored_in_the_reference(self, found):
        assert found.ap == pytest.approx({"reference": 1 / 2, "crop": 1 / 2})
        assert found.drop.value == pytest.approx(0)

    def test_the_control_counts_it_as_wrong(self, found):
        assert found.controls["without_stray"] == pytest.approx(1 / 3 - 1 / 2)

    def test_ignored_detections_are_counted_for_each_rendering(self, found):
        assert found.controls["ignored"] == {
            "reference": {"absorbed": 0, "stray": 60},
            "crop": {"absorbed": 0, "stray": 0},
        }

    def test_a_sliver_that_matches_a_scored_object_is_right(self):
        """Half of the object shows and scores; its detection reaches so far that less than half of it shows."""
        data = Data([sample(number, objects(((40, 10, 80, 50), CAT)), 120, 60) for number in range(60)])
        wide = ((36, 10, 90, 50), 0.9, CAT)  # 24 of 54 px in the left half, where IoU is 20/24
        found = small_run(Fake(lambda number, crop: detections(wide)), data, HALVES)
        assert found.scored_objects == 120
        assert found.ap50["reference"] == pytest.approx(1.0)
        assert found.controls["ignored"]["reference"] == {"absorbed": 0, "stray": 0}


class TestAbsorbed:
    def test_a_sliver_on_an_ignored_object_is_absorbed_in_both_renderings(self):
        cut = (40, 10, 100, 50)  # a third of it in the left half
        data = Data([sample(number, objects((cut, CAT)), 120, 60) for number in range(60)])

        def answer(number: int, crop: Crop) -> Detections:
            boxes = {120: cut}.get(crop.width, (40, 10, 60, 50) if crop.left == 0 else (0, 10, 40, 50))
            return detections((boxes, 0.9, CAT))

        found = small_run(Fake(answer), data, HALVES)
        assert found.ap == pytest.approx({"reference": 1, "crop": 1})
        assert {name: each["absorbed"] for name, each in found.controls["ignored"].items()} == {
            "reference": 60,
            "crop": 60,
        }


class TestGeometricFloor:
    """An L of 70 x 40 px, cut in the middle: half of its pixels in each window.

    Left, a foot 20 px high is what shows: its tight box has IoU 0.5 with the clipped one. Right, both boxes are one.
    """

    BOX = (20, 10, 90, 50)

    @classmethod
    def data(cls, masked: bool = True) -> Data:
        pixels = np.zeros((60, 120), bool)
        pixels[30:50, 20:90] = True
        pixels[10:30, 80:90] = True
        masks = (Mask.encode(pixels),) if masked else ()
        truth = GroundTruth([cls.BOX], [CAT], masks=masks, areas=[1600.0])
        return Data([sample(number, truth, 120, 60) for number in range(60)])

    @staticmethod
    def drawing(left: tuple[float, float, float, float]) -> Fake:
        def answer(number: int, crop: Crop) -> Detections:
            box = TestGeometricFloor.BOX if crop.width == 120 else left if crop.left == 0 else (0, 10, 30, 50)
            return detections((box, 0.9, CAT))

        return Fake(answer)

    CLIPPED, TIGHT, BETWEEN = (20, 10, 60, 50), (20, 30, 60, 50), (20, 20, 60, 50)

    @pytest.mark.parametrize("left", [CLIPPED, TIGHT], ids=["clipped", "tight"])
    def test_either_box_is_right_where_there_is_a_mask(self, left):
        found = small_run(self.drawing(left), self.data(), HALVES)
        assert found.scored_objects == 120
        assert found.ap == pytest.approx({"reference": 1, "crop": 1})
        assert found.drop.value == pytest.approx(0)

    def test_a_box_between_the_two_is_right_as_far_as_it_fits_one_of_them(self):
        """IoU 0.75 with the clipped box, 2/3 with the tight one."""
        found = small_run(self.drawing(self.BETWEEN), self.data(), HALVES)
        assert found.ap75["crop"] == pytest.approx(1)
        assert found.ap["crop"] < 1

    def test_without_masks_the_tight_box_is_wrong_and_the_message_says_so(self):
        found = small_run(self.drawing(self.TIGHT), self.data(masked=False), HALVES)
        assert found.ap["crop"] < 0.5
        assert found.controls["geometric_floor"] is None
        assert "no masks: a detector that draws tighter boxes" in found.explain(found.drop.judge(0.0))

    def test_the_floor_is_what_a_perfect_detector_with_tight_boxes_would_lose_under_clipped_truth(self):
        """Right at IoU 0.5; above it, half of the detections are wrong: precision 1/2 at 51 of 101 recall points."""
        found = small_run(self.drawing(self.CLIPPED), self.data(), HALVES)
        assert found.controls["geometric_floor"] == pytest.approx(1 - (1 + 9 * 0.5 * 51 / 101) / 10)
        assert "no masks" not in found.explain(found.drop.judge(0.0))

    def test_the_floor_is_that_of_the_metric(self):
        found = small_run(self.drawing(self.CLIPPED), self.data(), HALVES, metric="AP50")
        assert found.controls["geometric_floor"] == pytest.approx(0)
        found = small_run(self.drawing(self.CLIPPED), self.data(), HALVES, metric="AP75")
        assert found.controls["geometric_floor"] == pytest.approx(1 - 0.5 * 51 / 101)


def test_controls_of_a_detector_that_sees_the_same_differ_only_by_their_rule():
    data = made()
    found = small_run(same(opinions(data)), data)
    assert found.controls["equal_boxes"] == pytest.approx(0, abs=1e-12)
    assert found.controls["without_stray"] < -0.001  # slivers of the whole image's detections count there


def test_crops_are_cut_to_the_number_of_their_reference_boxes():
    """The crop has a second, stronger and wrong box: alone in first place, it costs half; with one box, everything."""
    data = Data([sample(number, objects(((10, 10, 30, 30), CAT)), 120, 60) for number in range(60)])

    def answer(number: int, crop: Crop) -> Detections:
        right, wrong = ((10, 10, 30, 30), 0.5, CAT), ((35, 35, 55, 55), 0.9, CAT)
        if crop.width == 120:
            return detections(right)
        return detections(right, wrong) if crop.left == 0 else Detections.empty()

    found = small_run(Fake(answer), data, HALVES)
    assert found.drop.value == pytest.approx(1 / 2)
    assert found.controls["equal_boxes"] == pytest.approx(1)


def test_the_cap_shows_the_largest_full_answer_where_the_detector_names_no_maximum():
    assert cap_of([True, False, True], [7, 90, 8], None).rows == 8
    assert cap_of([True, False, True], [7, 90, 8], 10).rows == 10
    assert cap_of([], [], None).share == 0
    assert "its maximum of 10 boxes on 67%" in cap_of([True, False, True], [7, 90, 8], 10).text


class Marked:
    """A real data set whose pictures are blank but for marks that say which one it is and where a window lies.

    Pixels in even columns hold their place, those in odd ones the picture's number.
    """

    def __init__(self, dataset: CocoDataset) -> None:
        self.name, self.categories = "marked", dataset.categories
        self.samples = [
            Sample(each.id, each.width, each.height, each.truth, lambda n=number, s=each: self.paint(n, s))
            for number, each in enumerate(dataset)
        ]

    def paint(self, number: int, each: Sample) -> np.ndarray:
        pixels = np.zeros((each.height, each.width, 3), np.uint8)
        column, row = np.arange(each.width)[None], np.arange(each.height)[:, None]
        pixels[:, :, 0], pixels[:, :, 1], pixels[:, :, 2] = column % 256, row % 256, column // 256 + 8 * (row // 256)
        pixels[:, 1::2] = (number % 256, number // 256, 255)
        return pixels

    def read(self, pixels: np.ndarray) -> tuple[Sample, Crop]:
        here, beside = pixels[0, 0].astype(int), pixels[0, 1].astype(int)
        place, mark, before = (beside, here, 1) if here[2] == 255 else (here, beside, 0)
        left = place[0] + 256 * (place[2] % 8) - before
        top = place[1] + 256 * (place[2] // 8)
        return self.samples[mark[0] + 256 * mark[1]], Crop(left, top, pixels.shape[1], pixels.shape[0])

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def __iter__(self):
        return iter(self.samples)


@pytest.fixture(scope="module")
def real(assets) -> Marked:
    return Marked(CocoDataset.open(assets / "data" / "coco-open-dev" / "annotations.json"))


@pytest.mark.parametrize("drawn", ["clipped", "tight"])
def test_two_perfect_detectors_on_real_masks_are_both_perfect(real, drawn):
    def answer(pixels: np.ndarray) -> Detections:
        each, crop = real.read(pixels)
        seen = crop_truth(each.truth, crop, 0.0, cut_masks=False)
        boxes = seen.tight if drawn == "tight" else seen.truth.boxes
        rows = np.flatnonzero((areas(boxes) > 0) & ~seen.truth.crowd)
        return Detections(boxes[rows], np.clip(0.2 + 0.8 * seen.visibility[rows], 0, 1), seen.truth.categories[rows])

    found = small_run(lambda images: [answer(image) for image in images], real, "random:keep=0.3,per_image=1")
    assert found.ap["reference"] >= 0.99
    assert found.ap["crop"] >= 0.99
    assert abs(found.drop.value) <= 0.01
    assert 0.02 <= found.controls["geometric_floor"] <= 0.12
