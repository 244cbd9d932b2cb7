"""Candidates and their comparison: which images, what counts, when a difference is clear."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet import load_dataset
from pytest_cropdet.data import Detections
from pytest_cropdet.invariants import choose_spread
from pytest_cropdet.invariants.candidates import Candidate, CandidateImages
from pytest_cropdet.invariants.convention_search import (
    CLEAR_P,
    ConventionComparison,
    gain_of,
    measure_conventions,
)
from pytest_cropdet.invariants.examination import examine
from tests import painted_model
from tests.painted_model import RIGHT
from tests.support import NAMES, Data, made, objects, sample


@pytest.fixture
def model(tmp_path, monkeypatch):
    painted_model.register(monkeypatch)
    return lambda **secret: painted_model.write_model(tmp_path / "net.json", **secret)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return load_dataset(painted_model.write_pictures(tmp_path_factory.mktemp("pictures") / "shapes"))


def test_images_are_spread_and_those_with_most_objects_of_their_stretch():
    counts = [1, 5, 2, 0, 3, 3, 9, 1]
    boxes = [tuple(((0, 0, 10, 10), 3) for _ in range(count)) for count in counts]
    data = Data([sample(number, objects(*rows)) for number, rows in enumerate(boxes)])
    chosen = choose_spread(data, 3)
    # of the seven with objects, in stretches of 2, 2 and 3
    assert [each.id for each in chosen] == ["001.png", "004.png", "006.png"]
    again = choose_spread(Data(list(reversed(data.samples))), 3)
    assert [each.id for each in again] == [each.id for each in chosen]
    assert len(choose_spread(data, 99)) == 7


def shown(answers, data):
    images = CandidateImages(list(data), NAMES)
    return Candidate({}, images, answers, answers)


def test_worth_counts_score_times_iou_with_the_category_and_half_without():
    data = Data([sample(0, objects(((0, 0, 10, 10), 3)))])
    right = shown([Detections([[0, 0, 10, 8]], [0.5], [3])], data)
    other = shown([Detections([[0, 0, 10, 8]], [0.5], [7])], data)
    assert right.worth.tolist() == pytest.approx([0.4])
    assert other.worth.tolist() == pytest.approx([0.2])
    assert (right.matched, right.covered, right.mean_score) == (1, 1, 0.5)
    assert (other.matched, other.covered, other.mean_score) == (0, 1, None)


def test_duplicates_and_lost_objects_cost_precision():
    data = Data([sample(0, objects(((0, 0, 10, 10), 3), ((20, 0, 30, 10), 3)))])
    boxes = {"one": [0, 0, 10, 10], "again": [0, 0, 10, 9], "two": [20, 0, 30, 10]}

    def precision(*names):
        scores = [0.9 - 0.1 * rank for rank in range(len(names))]
        return shown([Detections([boxes[name] for name in names], scores, [3] * len(names))], data).precision.tolist()

    assert precision("one", "two") == pytest.approx([2.0])
    assert precision("one", "again", "two") == pytest.approx([1 + 2 / 3])  # a duplicate is a mistake
    assert precision("one", "two", "again") == pytest.approx([2.0])  # that costs nothing below all objects
    assert precision("one") == pytest.approx([1.0])


def test_scores_that_are_too_high_everywhere_are_no_better():
    data = made(images=10, per_image=2)
    exact = [Detections(each.truth.boxes, [0.8, 0.8], each.truth.categories) for each in data]
    # the same, and forty boxes elsewhere that score high
    noise = np.tile([[0.0, 0.0, 4.0, 4.0]], (40, 1))
    loud = [
        Detections(np.concatenate([each.boxes, noise]), [0.9] * 2 + [0.5] * 40, [*each.categories, *[3] * 40])
        for each in exact
    ]
    calm, noisy = shown(exact, data), shown(loud, data)
    assert noisy.worth.sum() > calm.worth.sum()
    assert noisy.honesty.sum() < calm.honesty.sum()
    for keys, best in ((("range",), noisy), (("activation",), calm)):
        rest = calm if best is noisy else noisy
        found = ConventionComparison(keys, (best, rest), rest, True, (("a",), ("b",)))
        assert found.is_clear(best, rest)


@pytest.mark.parametrize(("higher", "clear"), [(0.005, False), (0.02, True)])
def test_a_gain_that_is_sure_but_too_small_to_matter_is_not_clear(higher, clear):
    data = made(images=20, per_image=2)

    def found(score):
        return shown([Detections(each.truth.boxes, [score] * 2, each.truth.categories) for each in data], data)

    better, other = found(0.8 + higher), found(0.8)
    compared = ConventionComparison(("range",), (better, other), other, False, (("a",), ("b",)))
    gain, chance = gain_of(better, other, ("range",))
    assert gain == pytest.approx(higher)
    assert chance <= CLEAR_P
    assert compared.is_clear(better, other) == clear
    assert compared.is_wrong == clear


def test_the_six_are_found_together_where_all_are_open(model, pictures):
    found = examine(model(), {}, pictures, 100)
    assert found.decided == {key: str(value) for key, value in RIGHT.items()}
    assert found.measured.is_decided
    assert found.undecided == ()


def test_what_the_file_says_is_measured_too(model, pictures):
    found = examine(model(says={**RIGHT, "channels": "rgb"}), {}, pictures, 100)
    assert found.decided == {"channels": "bgr"}
    assert [each.keys for each in found.measured.wrong] == [("channels",)]


def test_names_of_the_data_are_tried_where_names_alone_are_missing(model, pictures, monkeypatch):
    from pytest_cropdet.detectors.adapters import painted  # the kind that the test registers

    plain = painted.load

    def load(path, description):
        description.require("labels", "the model has no names")
        return plain(path, description)

    monkeypatch.setattr(painted, "load", load)
    found = examine(model(), {}, pictures, 100)
    assert found.labels == "red,green,blue"
    assert found.decided["labels"] == "red,green,blue"
    assert found.undecided == ()


def test_the_pixels_are_decoded_once_for_all_candidates(model, pictures):
    reads = []

    class Counting:
        name, categories, has_truth = "counted", pictures.categories, True

        def __iter__(self):
            from dataclasses import replace

            for each in pictures:
                yield replace(each, read=lambda each=each: reads.append(each.id) or each.image())

        def __len__(self):
            return len(pictures)

    examine(model(), {}, Counting(), 100)
    assert len(reads) == len(set(reads)) == 24


def test_after_the_time_nothing_is_clear(model, pictures):
    images = CandidateImages(list(pictures), pictures.categories)
    said = {key: value for key, value in RIGHT.items() if key != "range"}
    known = examine(model(), said, None, 1)
    found = measure_conventions(model(), said, known.opened, known.values, images, 0.0)
    assert not found.is_decided
    assert any("the time was over" in row.refused for each in found.comparisons for row in each.rows)
