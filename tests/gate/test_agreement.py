"""Without ground truth the whole image's confident detections stand in for it."""

import cv2
import numpy as np
import pytest

from pytest_cropdet import Detections, GroundTruth, Sample, run
from pytest_cropdet.data.folder import ImageFolder
from pytest_cropdet.data.pseudo_labels import LOW_SHARE, detector_names, stand_in_truth
from pytest_cropdet.errors import DataError
from pytest_cropdet.gate.run_entry import run_record

BOX = (20.0, 10.0, 60.0, 50.0)


class Pictures:
    """Pictures without truth, whose blue channel says which one they are."""

    name = "pictures"
    has_truth = False

    def __init__(self, count):
        self.categories = {}
        self.samples = [
            Sample(f"{number}.png", 80, 60, GroundTruth.empty(), lambda number=number: picture(number))
            for number in range(count)
        ]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]

    def __iter__(self):
        return iter(self.samples)


def picture(number):
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[:, :, 0], pixels[:, :, 1] = np.arange(80), np.arange(60)[:, None]
    pixels[:, :, 2] = number
    return pixels


def detector(score_in_crop=0.9, category_in_crop=1, score_in_whole=0.9, extra=False):
    """Find one object in the whole picture, and in a crop what the arguments say."""

    def find(image):
        left, top = int(image[0, 0, 0]), int(image[0, 0, 1])
        whole = image.shape[:2] == (60, 80)
        score, category = (score_in_whole, 1) if whole else (score_in_crop, category_in_crop)
        box = np.array(BOX) - [left, top, left, top]
        rows = [(box, score, category)] if score else []
        if extra and not whole:
            rows.append((np.array([2.0, 2.0, 12.0, 12.0]), 0.95, 2))
        boxes = np.reshape([row[0] for row in rows], (-1, 4))
        return Detections(boxes, [row[1] for row in rows], [row[2] for row in rows])

    def detect(images):
        return [find(image) for image in images]

    detect.categories = {1: "person", 2: "dog"}
    return detect


def gate(**how):
    return run(detector(**how), Pictures(60), crops="random:keep=0.9,per_image=1", max_drop=0.05)


def test_a_detector_that_sees_the_same_agrees_with_itself():
    result = gate()
    assert result.drop.value == 0
    assert result.scored_objects == 60
    assert result.drop <= 0.05


def test_what_falls_below_the_lower_threshold_is_lost():
    assert gate(score_in_crop=0.29).lost.value == 1
    assert gate(score_in_crop=0.31).lost.value == 0  # between the two thresholds: still found


def test_what_the_whole_image_is_not_sure_of_does_not_count():
    assert gate(score_in_whole=0.49).scored_objects == 0
    assert gate(score_in_whole=0.5).scored_objects == 60


def test_a_changed_label_is_lost_and_flipped():
    result = gate(category_in_crop=2)
    assert (result.lost.value, result.flips.value) == (1, 1)


def test_what_only_the_crop_shows_is_new():
    assert gate(extra=True).hidden.new.value == 1
    assert gate().hidden.new.value == 0


def test_the_verdict_says_that_it_is_agreement():
    result = gate(score_in_crop=0)
    with pytest.raises(AssertionError, match="not accuracy"):
        result.check()
    written = run_record(result)
    assert written["metric"] == "lost"
    assert written["drop"]["value"] == 1
    assert written["verdict"] == "fail"


def test_a_category_can_be_limited_by_itself():
    result = gate(score_in_crop=0)
    with pytest.raises(AssertionError):
        assert result.by_category["person"] <= 0.5
    assert result.by_category["dog"].value is None


def test_stand_in_truth_is_clipped_and_its_doubtful_part_ignored():
    sample = Sample("a", 80, 60, GroundTruth.empty(), lambda: picture(0))
    low = LOW_SHARE * 0.5
    found = Detections([[-5, -5, 10, 10], [0, 0, 9, 9], [1, 1, 9, 9]], [0.9, low, low - 0.01], [1, 1, 1])
    (stood,) = stand_in_truth([sample], {"a": found}, 0.5)
    assert stood.truth.boxes.tolist() == [[0, 0, 10, 10], [0, 0, 9, 9]]
    assert stood.truth.crowd.tolist() == [False, True]


def test_a_detector_without_names_is_named_by_its_ids():
    assert detector_names(None, {"a": Detections([BOX], [0.5], [7])}) == {7: "7"}


def test_a_folder_of_pictures_is_a_data_set_without_truth(tmp_path):
    (tmp_path / "deep").mkdir()
    cv2.imwrite(str(tmp_path / "deep" / "b.png"), picture(1))
    cv2.imwrite(str(tmp_path / "a.png"), picture(0))
    (tmp_path / "notes.txt").write_text("no picture")
    folder = ImageFolder(tmp_path)
    assert [sample.id for sample in folder] == ["a.png", "deep/b.png"]
    assert (folder[0].width, folder[0].height) == (80, 60)
    assert folder[1].image().shape == (60, 80, 3)


def test_a_folder_without_pictures_is_named(tmp_path):
    with pytest.raises(DataError, match="contains no images"):
        ImageFolder(tmp_path)
