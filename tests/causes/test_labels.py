"""Which label became which: two objects a picture, in halves, named as the test says."""

import json

import pytest

from pytest_cropdet.causes.diagnostics.label_changes import label_changes
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.geometry.crop import Crop
from tests.support import NAMES, Data, Fake, detections, objects, opinions, same, sample, shown_in, small_run
from tests.support import made as data_of

CAT, DOG, BIRD = NAMES
A, B = (10, 10, 30, 30), (70, 10, 90, 30)
B_RIGHT = (10, 10, 30, 30)  # in the frame of the right half, which begins at 60
HALVES = "tile:size=60,overlap=0"


def changes_of(run, names=NAMES):
    return label_changes(run.objects, run.detected, run.matches, run.hidden.score, names)


def scripted(answers, images=20):
    """A run in which B is called, in the picture and in its right half, as ``answers`` says by picture."""
    data = Data([sample(number, objects((A, CAT), (B, CAT)), 120, 60) for number in range(images)])
    usual = ([(B, 0.9, CAT)], [(B_RIGHT, 0.9, CAT)])

    def answer(number: int, crop: Crop) -> Detections:
        whole, right = answers.get(number, usual)
        return detections(*{120: [(A, 0.9, CAT), *whole]}.get(crop.width, [(A, 0.9, CAT)] if crop.left == 0 else right))

    return small_run(Fake(answer), data, HALVES, score_threshold=0.5)


def lines(changes):
    return [str(each) for each in changes]


def called(kind, score=0.8):
    return [(B, 0.9, CAT)], [(B_RIGHT, score, kind)]


def test_labels_are_counted_by_what_they_were_and_became_most_first():
    run = scripted({3: called(DOG), 4: called(BIRD), 7: called(BIRD), 8: called(BIRD)})
    changes = changes_of(run)
    assert lines(changes.flipped) == ["cat -> bird 3", "cat -> dog 1"]
    assert changes.righted == ()
    assert sum(each.count for each in changes.flipped) == run.hidden.to_dict()["flips"]["count"] == 4


def test_of_equal_counts_the_names_decide():
    assert lines(changes_of(scripted({3: called(DOG), 7: called(BIRD)})).flipped) == ["cat -> bird 1", "cat -> dog 1"]


def test_what_the_crop_names_right_and_the_image_wrong_is_the_mirror():
    run = scripted({5: ([(B, 0.7, DOG)], [(B_RIGHT, 0.6, CAT)])})
    (righted,) = changes_of(run).righted
    assert str(righted) == "dog -> cat 1"
    assert (righted.examples[0].before, righted.examples[0].after) == (0.7, 0.6)
    assert changes_of(run).flipped == ()


def test_an_example_says_where_it_is():
    (flip,) = changes_of(scripted({5: called(DOG, 0.75)})).flipped
    (example,) = flip.examples
    assert (example.sample, example.crop, example.box) == ("005.png", Crop(60, 0, 60, 60), tuple(map(float, B)))
    assert (example.before, example.after) == (0.9, 0.75)


def test_the_examples_are_the_three_surest_mistakes_and_of_equal_ones_the_first():
    scores = {1: 0.6, 2: 0.95, 4: 0.8, 5: 0.8, 6: 0.8}
    (flip,) = changes_of(scripted({number: called(DOG, score) for number, score in scores.items()})).flipped
    assert flip.count == 5
    assert [each.sample for each in flip.examples] == ["002.png", "004.png", "005.png"]


@pytest.mark.parametrize(
    "right",
    [
        pytest.param([(B_RIGHT, 0.49, DOG)], id="not confident"),
        pytest.param([((10, 10, 19.9, 30), 0.9, DOG)], id="covers less than half"),
        pytest.param([(B_RIGHT, 0.9, DOG), (B_RIGHT, 0.5, CAT)], id="named right as well"),
        pytest.param([], id="not seen at all"),
    ],
)
def test_no_label_changed(right):
    assert changes_of(scripted({5: ([(B, 0.9, CAT)], right)})).flipped == ()


def test_an_object_under_several_labels_became_the_surest():
    assert lines(changes_of(scripted({5: ([(B, 0.9, CAT)], [(B_RIGHT, 0.7, DOG), (B_RIGHT, 0.8, BIRD)])})).flipped) == [
        "cat -> bird 1"
    ]


def test_a_neighbour_of_the_same_category_is_no_other_label():
    """Two cats overlap; one is lost, and the other's detection covers its place."""
    beside = (72, 10, 92, 30)
    data = Data([sample(number, objects((B, CAT), (beside, CAT)), 120, 60) for number in range(20)])

    def answer(number: int, crop: Crop) -> Detections:
        right = [(B_RIGHT, 0.9, CAT)]
        return detections(*{120: [(B, 0.9, CAT), (beside, 0.8, CAT)]}.get(crop.width, right if crop.left else []))

    run = small_run(Fake(answer), data, HALVES, score_threshold=0.5)
    assert run.lost.value == 1 / 2
    assert changes_of(run).flipped == ()


def test_a_category_without_a_name_is_called_by_its_id():
    assert lines(changes_of(scripted({5: called(DOG)}), names={CAT: "cat"}).flipped) == ["cat -> 7 1"]


@pytest.mark.parametrize("seed", range(3))
def test_the_totals_are_those_of_flips_whatever_happens(seed):
    data = data_of(40, seed=seed)
    whole, other = opinions(data, seed=seed), opinions(data, seed=seed + 50, missing=0.1)
    run = small_run(Fake(lambda n, crop: whole[n] if crop.width == 120 else shown_in(other[n], crop)), data)
    changes = changes_of(run)
    count = sum(each.count for each in changes.flipped)
    assert count == run.hidden.to_dict()["flips"]["count"] > 3
    assert sum(each.count for each in changes.righted) > 0


def test_who_answers_alike_changes_no_label():
    data = data_of(20)
    changes = changes_of(small_run(same(opinions(data)), data))
    assert (changes.flipped, changes.righted) == ((), ())


def test_the_dictionary_is_of_built_in_values():
    values = changes_of(scripted({5: called(DOG)})).to_dict()
    assert json.loads(json.dumps(values)) == values
    assert values["flipped"] == [
        {
            "from": "cat",
            "to": "dog",
            "count": 1,
            "examples": [
                {
                    "sample": "005.png",
                    "crop": [60, 0, 60, 60],
                    "annotation": values["flipped"][0]["examples"][0]["annotation"],
                    "box": [70.0, 10.0, 90.0, 30.0],
                    "before": 0.9,
                    "after": 0.8,
                }
            ],
        }
    ]
