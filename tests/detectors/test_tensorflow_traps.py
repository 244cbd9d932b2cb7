"""What exports do that raises no error: each is read right or refused, and never read wrongly in silence."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet.detectors import load_detector
from pytest_cropdet.detectors.adapters.tensorflow_model import import_tensorflow
from pytest_cropdet.errors import DetectorError
from tests.detectors.saved_models import ROWS, export
from tests.detectors.test_saved_model import BATCHES, IMAGES, check
from tests.painted import paint

pytestmark = pytest.mark.usefixtures("needs_tensorflow")

OTHER = (("detection_boxes", "bboxes"), ("detection_scores", "scores"), ("detection_classes", "labels"))
NAMED = {"outputs": "boxes:bboxes,scores:scores,classes:labels,count:num_detections"}
SAID = {**NAMED, "boxes": "yxyx", "units": "normalized", "first_category": 1}
BOTH = pytest.mark.parametrize(
    ("convention", "said"), [({}, {}), ({"rename": OTHER}, SAID)], ids=["Object Detection API", "other names"]
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    tf = import_tensorflow()

    def get(**convention):
        return export(tf, tmp_path_factory.mktemp("traps") / "model", **{"shape": BATCHES, **convention})

    return get


def changed(name, change):
    """An output as ``change`` of TensorFlow makes it."""
    return lambda tf, outputs: {**outputs, name: change(tf, outputs[name])}


@BOTH
def test_a_signature_of_one_image_is_given_one(exported, convention, said):
    """Given two it may answer for the first alone: the score says how many images came in one call."""
    detector = load_detector(exported(shape=(1, None, None, 3), **convention), **said)
    found = detector([IMAGES[0]] * 2)
    assert [each.scores.tolist() for each in found] == [[1.0] * 3] * 2


@BOTH
def test_a_model_that_answers_for_the_first_image_only_is_named(exported, convention, said):
    name = dict(convention.get("rename", ())).get("detection_boxes", "detection_boxes")
    with pytest.raises(DetectorError, match=f"given 2 images and its {name} has 1 rows"):
        load_detector(exported(one=True, **convention), batch=2, **said)([IMAGES[0], IMAGES[2]])


@BOTH
def test_one_count_for_all_images_is_named(exported, convention, said):
    path = exported(answers=changed("num_detections", lambda tf, count: count[:1]), **convention)
    with pytest.raises(DetectorError, match="given 2 images and its num_detections has 1 numbers, not one per image"):
        load_detector(path, batch=2, **said)([IMAGES[0], IMAGES[2]])


@BOTH
def test_rows_beyond_the_count_are_none(exported, convention, said):
    detector = load_detector(exported(**convention), **said)
    assert [len(each) for each in detector(IMAGES)] == [3, 1, 2, 0, 2]


@BOTH
@pytest.mark.parametrize(
    "change",
    [
        lambda tf, count: count - 1e-4,
        lambda tf, count: tf.cast(count, tf.int64),
        lambda tf, count: tf.cast(count, tf.float16)[:, None],
    ],
    ids=["just below", "whole", "in a column"],
)
def test_a_count_may_be_a_float_that_is_not_quite_whole(exported, convention, said, change):
    """Cut down to whole numbers, 2.9999 would lose a row of every image."""
    detector = load_detector(exported(answers=changed("num_detections", change), **convention), **said)
    assert [len(each) for each in detector(IMAGES)] == [3, 1, 2, 0, 2]


@BOTH
@pytest.mark.parametrize(
    ("change", "value"),
    [
        (lambda tf, count: count - 1, "-1"),
        (lambda tf, count: count * 0 + 0.9 * count, "0.9|1.8|2.7"),
        (lambda tf, count: count * float("nan"), "nan"),
    ],
    ids=["below 0", "scores", "no number"],
)
def test_what_cannot_be_a_count_is_refused(exported, convention, said, change, value):
    """Below 0 it would cut rows off the end of the list."""
    detector = load_detector(exported(answers=changed("num_detections", change), **convention), **said)
    with pytest.raises(DetectorError, match=f"its num_detections is ({value}), .* is another output the count"):
        detector(IMAGES)


def test_a_count_beyond_the_rows_is_all_of_them(exported):
    detector = load_detector(exported(answers=changed("num_detections", lambda tf, count: count + 100)))
    assert [len(each) for each in detector(IMAGES[:1])] == [ROWS]


@BOTH
def test_scores_that_are_logits_are_refused(exported, convention, said):
    """Cut to 0 to 1, most of them would be 1, and their order would be lost."""
    path = exported(answers=changed("detection_scores", lambda tf, scores: scores * 8 - 3), **convention)
    with pytest.raises(DetectorError, match=r"its scores go from .* to 5, not 0 to 1"):
        load_detector(path, **said)(IMAGES)


@BOTH
def test_categories_that_are_no_whole_numbers_are_refused(exported, convention, said):
    path = exported(answers=changed("detection_classes", lambda tf, classes: classes - 0.5), **convention)
    with pytest.raises(DetectorError, match="its categories are no whole numbers"):
        load_detector(path, **said)(IMAGES)


@BOTH
def test_categories_as_floats_that_are_not_quite_whole_are_rounded(exported, convention, said):
    path = exported(answers=changed("detection_classes", lambda tf, classes: classes - 1e-4), **convention)
    check(load_detector(path, **said))


def test_a_model_with_the_apis_names_that_counts_from_0_is_named(exported):
    """Its first category would be 0, which no data set has, and every other one that of its neighbour."""
    with pytest.raises(DetectorError, match=r"category number 0 with a score of 0\.50, .*first_category=0"):
        load_detector(exported(first=0))(IMAGES)
    check(load_detector(exported(first=0), first_category=0))


def test_a_column_for_the_background_is_not_counted_as_a_category(exported):
    named = load_detector(exported(raw=4), labels="red,green,blue")
    assert named.categories == {1: "red", 2: "green", 3: "blue"}
    with pytest.raises(DetectorError, match="it has 4 names, and the model has 3 categories"):
        load_detector(exported(raw=4), labels="other,red,green,blue").load()


def test_rows_of_the_background_below_the_first_category_are_no_detections(exported):
    """In a list, the background may come as rows of its own, whose category is below the first."""
    path = exported(rename=OTHER, filled=True, answers=changed("num_detections", lambda tf, count: count * 0 + ROWS))
    detector = load_detector(path, **SAID)
    assert [len(each) for each in detector(IMAGES)] == [3, 1, 2, 0, 2]


def test_boxes_of_y_before_x_are_not_taken_for_those_of_x_before_y(exported):
    said = {key: value for key, value in SAID.items() if key != "boxes"}
    path = exported(rename=OTHER)
    with pytest.raises(DetectorError, match=r"in which order .*--cropdet-detector boxes=xyxy\|yxyx\|xywh\|cxcywh"):
        load_detector(path, **said).load()
    (found,) = load_detector(path, boxes="yxyx", **said)([paint(80, 40, {1: (10, 5, 70, 20)})])
    assert np.abs(found.boxes - [[10, 5, 70, 20]]).max() < 0.01
