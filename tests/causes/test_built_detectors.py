"""The chain where the truth is known: detectors built with one weakness, or two, and what it says about them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from pytest_cropdet.causes.attribution import _count_new
from pytest_cropdet.causes.explainer import _rendered
from pytest_cropdet.causes.renderings import Rendering, cut_objects
from pytest_cropdet.data.samples import GroundTruth
from pytest_cropdet.evaluation import Detected
from pytest_cropdet.gate.runner import Run, run
from pytest_cropdet.geometry.crop import Crop
from pytest_cropdet.terms import STEPS
from tests.causes.built import SIDES, Built, scenes

pytestmark = pytest.mark.slow

WEAKNESSES = {  # step: the same weakness, weak and strong
    "context": ("context", Built(rings=("left",)), Built(rings=SIDES)),
    "cut": ("cut", Built(fall=2.0), Built(fall=6.0)),
    "cut, told wrongly": ("cut", Built(fall=2.0, mistakes=True), Built(fall=6.0, mistakes=True)),
    "position": ("position", Built(phase=6), Built(phase=3)),
    "scale": ("scale", Built(largest=60), Built(largest=40)),
}
PAIRS = {  # the steps of two weaknesses in one detector, the strong one first
    "context, cut": (("context", "cut"), Built(rings=SIDES, fall=2.0)),
    "cut, context": (("cut", "context"), Built(rings=("left",), fall=6.0, mistakes=True)),
    "position, scale": (("position", "scale"), Built(phase=3, largest=60)),
    "scale, position": (("scale", "position"), Built(phase=7, largest=40)),
}


@cache
def pictures(empty: int = 0):
    return scenes(60, empty=empty)


@cache
def explained(detector: Built, empty: int = 0, **changes: object) -> Run:
    """A run with its steps, which add up to the drop whatever else is tested."""
    result = run(
        detector, pictures(empty), crops="random:keep=0.4-0.8,per_image=2", replicates=200, explain="always", **changes
    )
    assert sum(step.value for step in result.steps) == pytest.approx(result.drop.value, abs=1e-12)
    return result


def values(result: Run) -> dict[str, float]:
    return {step.name: step.value for step in result.steps}


@pytest.mark.parametrize("weakness", WEAKNESSES)
def test_nine_tenths_of_the_drop_and_more_stand_on_the_step_of_the_weakness(weakness):
    name, weak, strong = WEAKNESSES[weakness]
    for detector in (weak, strong):
        result = explained(detector)
        assert result.metric_values["reference"] == pytest.approx(1.0)
        assert result.drop.value > 0.1
        assert values(result)[name] >= 0.9 * result.drop.value
        assert max(abs(value) for step, value in values(result).items() if step != name) <= 0.1 * result.drop.value
        assert [step.name for step in result.steps if step.distinguishable] == [name]
        assert result.causes.chain.largest.name == name
    assert values(explained(strong))[name] > 1.2 * values(explained(weak))[name]


@pytest.mark.parametrize("weakness", ["cut", "position", "scale"])
def test_a_step_that_is_the_whole_drop_has_the_bounds_of_the_drop(weakness):
    result = explained(WEAKNESSES[weakness][2])
    step = result.causes.chain[weakness]
    assert (step.low, step.high) == pytest.approx((result.drop.low, result.drop.high), abs=1e-12)


@pytest.mark.parametrize("weakness", WEAKNESSES)
def test_objects_are_lost_at_the_step_of_the_weakness(weakness):
    name, *detectors = WEAKNESSES[weakness]
    for detector in detectors:
        fates = explained(detector).causes.fates
        counts = np.bincount(fates.lost_at[fates.lost_at >= 0], minlength=len(STEPS))
        assert counts.sum() >= 10
        assert counts[STEPS.index(name)] >= 0.9 * counts.sum()
        assert (fates.gained_at < 0).all()


def test_a_detector_without_a_weakness_loses_nothing_at_any_step():
    for detector in (Built(), Built(largest=1000)):
        result = explained(detector)
        assert result.drop.value == 0.0
        assert [(step.value, step.distinguishable) for step in result.steps] == [(0.0, False)] * 4
        assert (result.causes.fates.lost_at < 0).all()


def test_what_is_missed_by_chance_is_not_distinguishable():
    result = explained(Built(noise=0.15))
    assert all(step.value != 0.0 for step in result.steps)
    assert not any(step.distinguishable for step in result.steps)


def test_a_weakness_is_found_under_what_is_missed_by_chance():
    result = explained(Built(noise=0.15, phase=6))
    assert [step.name for step in result.steps if step.distinguishable] == ["position"]


def test_what_is_wrong_in_the_whole_image_already_is_no_lost_context():
    result = explained(Built(doubles=True))  # what is left of an object that is cut has two labels, and one is wrong
    assert result.metric_values["reference"] < 0.9
    assert values(result)["context"] == 0.0
    assert values(result)["cut"] == pytest.approx(result.drop.value) != 0.0


@pytest.mark.parametrize("pair", PAIRS)
def test_two_weaknesses_in_one_detector_are_ranked(pair):
    (larger, smaller), detector = PAIRS[pair]
    result = explained(detector, both_orders="cut" in pair)
    ranked = sorted(result.steps, key=lambda step: -step.value)
    assert [step.name for step in ranked[:2]] == [larger, smaller]
    assert {step.name for step in result.steps if step.distinguishable} == {larger, smaller}
    assert values(result)[larger] > 1.5 * values(result)[smaller]


def test_the_number_of_pictures_in_a_call_changes_nothing():
    detector = Built(rings=("left",), fall=6.0, mistakes=True)
    alone = explained(Built(rings=("left",), fall=6.0, mistakes=True, batch=1))
    assert alone.steps == explained(detector).steps
    assert np.array_equal(alone.causes.fates.lost_at, explained(detector).causes.fates.lost_at)


@pytest.mark.parametrize("pair", ["context, cut", "cut, context"])
def test_context_and_cut_keep_their_ranking_in_either_order(pair):
    (larger, smaller), detector = PAIRS[pair]
    for steps in explained(detector, both_orders=True).causes.chain.orders.values():
        told = {step.name: step.value for step in steps}
        assert told[larger] > told[smaller]


def test_where_both_meet_in_the_same_objects_the_first_order_alone_hides_the_second():
    detector = PAIRS["context, cut"][1]  # an object that is cut is not told from its twin already
    first = dict(explained(detector, both_orders=True).causes.chain.orders)["context first"]
    assert [step.distinguishable for step in first] == [True, False]
    assert values(explained(detector, both_orders=True))["cut"] > 0.05


@pytest.mark.parametrize("weakness", ["context", "cut, told wrongly"])
def test_the_order_does_not_matter_to_one_weakness_alone(weakness):
    name, _, strong = WEAKNESSES[weakness]
    result = explained(strong, both_orders=True)
    for steps in result.causes.chain.orders.values():
        assert {step.name: step.value for step in steps}[name] >= 0.9 * result.drop.value


def test_every_fill_leads_to_the_same_conclusion():
    result = explained(Built(rings=SIDES, fall=2.0), fill=("mean", "gray", "blur"))
    assert result.causes.notes == ("with gray fill: the same conclusion", "with blur fill: the same conclusion")


def test_a_fill_that_fools_the_detector_is_not_taken_for_a_weakness():
    result = explained(Built(fooled=128), empty=128, fill=("gray", "mean"))
    fooled, other = result.causes.chains
    assert result.drop.value == 0.0
    assert fooled.placebo.value > 0.3
    assert [step.value for step in fooled.steps] == pytest.approx([0.5, 0.0, 0.0, -0.5])
    assert not any(step.distinguishable for step in fooled.steps)
    assert [step.value for step in other.steps] == [0.0] * 4


def test_a_weakness_larger_than_what_the_fill_does_is_still_found():
    chain = explained(Built(fooled=128, rings=SIDES), empty=128, fill="gray").causes.chain
    assert [step.name for step in chain.steps if step.distinguishable] == ["context"]


def test_context_leaves_whole_what_the_window_cuts_but_not_what_is_larger_than_the_window():
    boxes = [[0, 0, 30, 30], [45, 10, 60, 30], [35, 0, 200, 150], [55, 20, 75, 30], [90, 90, 95, 95]]
    crowd = [False, False, False, True, False]
    truth = GroundTruth(boxes, [1] * 5, ids=[11, 12, 13, 14, 15], crowd=crowd)
    shown, counted = np.array([11, 12, 13, 14]), np.array([True, False, False, False])
    assert cut_objects(truth, Crop(0, 0, 60, 40), shown, counted).tolist() == [True, True, False, False, False]
    everything = np.array([True, False, True, False])
    assert cut_objects(truth, Crop(0, 0, 60, 40), shown, everything).tolist() == [True, True, True, False, False]


def test_the_placebo_spares_every_annotated_object_and_not_only_those_that_show():
    run_of = explained(Built()).scored
    index = run_of.objects.index
    for (name, rank), (placebo,) in _rendered(run_of, ["placebo"], ["mean"]).items():
        sample = next(each for each in index.samples if each.id == name)
        crops = [crop for unit, crop in zip(index.unit, index.crops, strict=True) if index.samples[unit] is sample]
        assert placebo == Rendering.of("placebo", "mean", crops[rank], sample.truth.boxes)


def test_in_context_a_detection_that_lies_mostly_outside_is_ignored_only_if_the_whole_image_has_it():
    def table(rows):
        image, category, boxes, stray = zip(*rows, strict=True)
        each = len(rows)
        return Detected(
            image=np.array(image),
            category=np.array(category),
            boxes=np.array(boxes, float),
            score=np.full(each, 0.5),
            stray=np.array(stray),
        )

    here, near, elsewhere = (0, 0, 10, 10), (0, 0, 10, 9), (50, 50, 60, 60)
    whole = table([(0, 1, here, True), (1, 2, here, False)])
    context = table(
        [
            (0, 1, near, True),  # in the whole image too
            (0, 2, near, True),  # under another label
            (0, 1, elsewhere, True),  # at another place
            (1, 2, near, True),  # there it lies inside
            (1, 1, near, True),  # only in another image
            (2, 1, here, True),
            (0, 1, elsewhere, False),
        ]
    )
    assert _count_new(context, whole, np.zeros(len(context), bool)).stray.tolist() == [
        True,
        False,
        False,
        True,
        False,
        False,
        False,
    ]
