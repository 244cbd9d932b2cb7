"""What can be told of a drop without another call, as it stands on the run, in the JSON and in the figures."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_cropdet.errors import CropdetError, DataError
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.gate.runner import run
from tests.painted import Finder, painted_data

SPEC = "random:keep=0.5,per_image=2"
KEYS = ("errors", "labels", "bias", "where", "shift", "anchors")


def confused(picture, found):
    """In a picture that is smaller than the whole one, what is red is called green."""
    if picture.shape[:2] == (90, 120):
        return found
    categories = np.where(found.categories == 1, 2, found.categories)
    return type(found)(found.boxes, found.scores, categories)


@pytest.fixture(scope="module")
def failed():
    return run(Finder(confused), painted_data(images=60), crops=SPEC, max_drop=0.05)


def test_the_json_of_a_gate_that_failed_holds_every_detail(failed):
    told = run_record(failed)
    assert all(told[key] is not None for key in KEYS)
    json.dumps(told, allow_nan=False)
    assert told["labels"]["flipped"][0]["from"] == "red"
    assert told["labels"]["flipped"][0]["to"] == "green"
    assert told["errors"]["class"]["change"] > 0.1


def test_a_gate_that_passes_is_told_in_short_unless_it_is_asked_for(failed):
    data = painted_data(images=60)
    short = run_record(run(Finder(), data, crops=SPEC, max_drop=0.9))
    assert all(short[key] is None for key in KEYS)
    long = run_record(run(Finder(), data, crops=SPEC, max_drop=0.9, explain="always"))
    assert all(long[key] is not None for key in KEYS)


def test_details_need_no_call_and_get_the_steps_once_they_are_known():
    detector = Finder(confused)
    result = run(detector, painted_data(images=60), crops=SPEC)
    before = detector.shown
    assert result.errors.to_dict()
    assert sum(each.count for each in result.labels.flipped) == int(result.flips.over.sum())
    assert result.where.to_dict()["category"][0]["steps"] == {}
    assert result.bias.text is None
    assert detector.shown == before
    assert [step.name for step in result.steps] == ["context", "cut", "position", "scale"]
    assert detector.shown == before + 4 * result.crops
    assert list(result.where.to_dict()["category"][0]["steps"]) == ["context", "cut", "position", "scale"]


def test_the_text_names_labels_that_changed_and_coordinate_mistakes(failed):
    text = failed.explain(failed.judge()[0])
    assert f"confused: red -> green ({failed.labels.flipped[0].count} objects)" in text

    def shifted(picture, found):
        return type(found)(found.boxes + 2.0, found.scores, found.categories)

    wrong = run(Finder(shifted), painted_data(images=60), crops=SPEC, max_drop=0.0)
    assert wrong.bias.text is not None
    assert wrong.bias.text.splitlines()[0] in wrong.explain(wrong.drop.judge(0.0))


def coco(path, boxes):
    images = [{"id": 1, "file_name": "a.jpg", "width": 120, "height": 90}]
    annotations = [
        {"id": number, "image_id": 1, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for number, box in enumerate(boxes, 1)
    ]
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "red"}]})
    )
    return path


def test_training_annotations_give_the_shift_its_base(tmp_path):
    trained = coco(tmp_path / "train.json", [[5, 5, 20, 20]] * 250)
    result = run(Finder(), painted_data(images=30), crops=SPEC, train_data=str(trained))
    told = result.shift.to_dict()
    assert told["base"] == "training"
    assert set(told["distances"]) == {"crop-whole", "crop-training", "whole-training"}


def test_training_annotations_that_cannot_be_read_stop_the_run_before_a_call(tmp_path):
    broken = tmp_path / "train.json"
    broken.write_text("{")
    detector = Finder()
    with pytest.raises(DataError, match=r"train\.json"):
        run(detector, painted_data(images=30), crops=SPEC, train_data=str(broken))
    assert detector.shown == 0


def test_a_detector_without_anchors_and_one_with_anchors_unknown_are_told_apart():
    result = run(Finder(), painted_data(images=30), crops=SPEC)
    assert "no anchors are known" in str(result.anchors)
    assert result.anchors.to_dict()["anchors"] is None
    result.details.anchors_from = "none"
    del result.details.__dict__["anchors"]
    assert str(result.anchors) == "the detector has no anchors"


def test_every_figure_of_a_run_is_drawn(failed):
    pytest.importorskip("matplotlib")
    steps = failed.plot.steps()
    texts = [each.get_text() for axes in steps.axes for each in axes.texts]
    assert texts[0] == f"{failed.ap['reference']:.3f}"
    assert texts[-1] == f"{failed.ap['crop']:.3f}"
    assert len(texts) == 6
    assert failed.plot.where().axes
    assert failed.plot.shift().axes
    with pytest.raises(CropdetError, match="no crop 120"):
        failed.plot.renderings(120)


def test_the_figure_of_the_renderings_shows_what_was_found_in_each(failed):
    pytest.importorskip("matplotlib")
    lost = np.flatnonzero(failed.causes.found["whole"] & ~failed.causes.found["crop"])
    place = int(failed.objects.truth.image[lost[0]])
    figure = failed.plot.renderings(place)
    rows = (failed.objects.truth.image == place) & failed.objects.scored
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    for name, title in zip(("whole", "context", "cut", "moved", "crop"), titles, strict=True):
        assert title.endswith(f": {int(failed.causes.found[name][rows].sum())} of {int(rows.sum())} found")
    crop = failed.objects.index.crops[place]
    assert figure.axes[4].images[0].get_array().shape[:2] == (crop.height, crop.width)
    drawn = {patch.get_gid() for patch in figure.axes[4].patches}
    assert "not found" in drawn
