"""Steps: they add up to the drop, their bounds are those of the run, and what noise can do is not called a step."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet.causes.chain import Chain, Scores, Step, agreeing, build_chain, conclusion, step_lines, steps_grown
from pytest_cropdet.terms import CHAIN, STEPS


def scores(values, spread=0.0, names=CHAIN, seed=0):
    rng = np.random.default_rng(seed)
    return Scores(
        dict(zip(names, values, strict=True)),
        {name: value + spread * rng.standard_normal(400) for name, value in zip(names, values, strict=True)},
    )


def test_steps_are_what_each_change_costs_and_add_up_to_the_drop():
    chain = build_chain(scores([0.71, 0.53, 0.51, 0.55, 0.3]), "mean", 0.95)
    assert [step.name for step in chain.steps] == list(STEPS)
    assert [step.value for step in chain.steps] == pytest.approx([0.18, 0.02, -0.04, 0.25])
    assert sum(step.value for step in chain.steps) == pytest.approx(0.71 - 0.3, abs=1e-12)


def test_bounds_are_percentiles_of_the_paired_resamples():
    rng = np.random.default_rng(1)
    common, own = rng.standard_normal(1001), rng.standard_normal(1001)
    values = dict.fromkeys(CHAIN, 0.5)
    replicates = dict.fromkeys(CHAIN, 0.5 + common)
    replicates["crop"] = 0.5 + common - 0.1 - 0.01 * own
    step = build_chain(Scores({**values, "crop": 0.4}, replicates), "mean", 0.9)["scale"]
    low, high = np.quantile(0.1 + 0.01 * own, [0.1, 0.9])
    assert (step.low, step.high) == pytest.approx((low, high))
    assert step.distinguishable


def test_a_step_whose_bounds_hold_nothing_is_not_distinguishable():
    chain = build_chain(scores([0.5, 0.49, 0.3, 0.3, 0.3], spread=0.02), "mean", 0.95)
    assert [step.distinguishable for step in chain.steps] == [False, True, False, False]


def test_a_step_within_what_the_fill_itself_does_is_not_distinguishable():
    names = (*CHAIN, "placebo")
    alone = build_chain(scores([0.5, 0.47, 0.3, 0.3, 0.3], 0.002), "mean", 0.95)
    assert alone["context"].distinguishable
    chain = build_chain(scores([0.5, 0.47, 0.3, 0.3, 0.3, 0.47], 0.002, names), "mean", 0.95)
    assert chain.placebo.value == pytest.approx(0.03)
    assert [step.distinguishable for step in chain.steps] == [False, True, False, False]


@pytest.mark.parametrize(("placebo", "told"), [(0.5, True), (0.48, True), (0.46, False), (0.54, False)])
def test_what_is_gained_counts_too_unless_the_fill_does_as_much_in_either_direction(placebo, told):
    chain = build_chain(scores([0.5, 0.5, 0.5, 0.5, 0.53, placebo], 0.002, (*CHAIN, "placebo")), "mean", 0.95)
    assert chain["scale"].value == pytest.approx(-0.03)
    assert chain["scale"].distinguishable is told


def exact(low, high, placebo=None):
    """A chain whose first step is 0.03, with exactly these bounds; ``placebo``: the bounds of what the fill does."""
    replicates = {name: np.full(101, 0.5) for name in CHAIN}
    values = {"whole": 0.53, "context": 0.5, "cut": 0.5, "moved": 0.5, "crop": 0.5}
    replicates["whole"] = 0.5 + np.repeat([low, high], [50, 51])
    if placebo is not None:
        values["placebo"] = 0.53
        replicates["placebo"] = replicates["whole"] - np.repeat(placebo, [50, 51])
    return build_chain(Scores(values, replicates), "mean", 0.95)


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [(0.25, 0.5, True), (0.0, 0.5, False), (-0.25, 0.5, False), (-0.5, -0.25, True), (-0.5, 0.0, False)],
)
def test_a_bound_of_exactly_0_holds_it(low, high, told):
    step = exact(low, high)["context"]
    assert (step.low, step.high) == (low, high)
    assert step.distinguishable is told
    old = exact(0.0, 0.0)
    (grown, *_) = steps_grown(exact(low, high), old, 0.95)
    assert (grown.low, grown.high) == (low, high)
    assert grown.distinguishable is told


@pytest.mark.parametrize(
    ("placebo", "told"),
    [
        ([0.015625, 0.0234375], True),
        ([-0.0234375, 0.015625], True),
        ([0.015625, 0.0390625], False),  # more than 0.03 with its sign
        ([-0.0390625, 0.015625], False),  # and with the other one, in its lower bound
        ([-0.0390625, -0.015625], False),
        ([-0.015625, 0.0390625], False),
    ],
)
def test_a_step_is_larger_than_both_bounds_of_what_the_fill_does(placebo, told):
    chain = exact(0.25, 0.5, placebo)
    assert [chain.placebo.low, chain.placebo.high] == placebo
    assert chain["context"].distinguishable is told


@pytest.mark.parametrize(("value", "told"), [(0.5, True), (0.25, False)])
def test_a_step_as_large_as_what_the_fill_does_is_within_it(value, told):
    replicates = {name: np.full(101, 0.25) for name in CHAIN} | {"whole": np.full(101, 0.75)}
    values = dict.fromkeys(CHAIN, 0.25) | {"whole": 0.25 + value, "placebo": 0.25 + value}
    replicates["placebo"] = np.full(101, 0.5)
    chain = build_chain(Scores(values, replicates), "mean", 0.95)
    assert (chain.placebo.low, chain.placebo.high) == (0.25, 0.25)
    assert chain["context"].distinguishable is told


def test_where_nothing_happens_one_step_in_ten_is_distinguishable_by_chance_as_its_bounds_say():
    rng = np.random.default_rng(7)

    def noise():
        drawn = dict(zip(CHAIN, rng.standard_normal(5), strict=True))
        spread = {name: value + rng.standard_normal(200) for name, value in drawn.items()}
        return build_chain(Scores(drawn, spread), "mean", 0.95)

    told = np.mean([[step.distinguishable for step in noise().steps] for _ in range(500)])
    assert 0.07 < told < 0.13


def test_with_hollow_context_and_cut_are_the_means_of_both_orders():
    chain = build_chain(scores([0.7, 0.6, 0.3, 0.3, 0.2, 0.5], names=(*CHAIN, "hollow")), "mean", 0.95)
    first, other = chain.orders["context first"], chain.orders["cut first"]
    assert [step.value for step in first] == pytest.approx([0.1, 0.3])
    assert [step.value for step in other] == pytest.approx([0.2, 0.2])
    assert [step.value for step in chain.steps] == pytest.approx([0.15, 0.25, 0.0, 0.1])
    assert sum(step.value for step in chain.steps) == pytest.approx(0.5, abs=1e-12)


def test_an_undefined_rendering_leaves_its_steps_undefined_and_no_other():
    chain = build_chain(scores([0.5, 0.4, None or np.nan, 0.3, 0.2]), "mean", 0.95)
    broken = Scores({**chain.ap, "cut": None}, scores([0.5, 0.4, np.nan, 0.3, 0.2]).replicates)
    steps = build_chain(broken, "mean", 0.95).steps
    assert [step.value is None for step in steps] == [False, True, True, False]
    assert [step.low is None for step in steps] == [False, True, True, False]
    assert not steps[1].distinguishable


def chain_of(fill, *steps):
    return Chain(
        fill,
        tuple(Step(name, value, value, value, sure) for name, (value, sure) in zip(STEPS, steps, strict=True)),
        {},
        None,
        {},
    )


MEAN = chain_of("mean", (0.2, True), (0.1, True), (0.01, False), (-0.05, True))


def test_the_conclusion_is_the_steps_that_count_with_their_signs_the_costliest_first():
    assert conclusion(MEAN) == (("context", 1), ("cut", 1), ("scale", -1))
    assert MEAN.largest.name == "context"
    assert chain_of("mean", (0.2, False), (0.1, False), (0.0, False), (-0.1, True)).largest is None


def test_another_fill_says_the_same_or_it_is_said_how_it_differs():
    same = chain_of("blur", (0.19, True), (0.12, True), (0.03, False), (-0.04, True))
    order = chain_of("blur", (0.11, True), (0.12, True), (0.03, False), (-0.04, True))
    other = chain_of("gray", (0.02, False), (0.12, True), (0.03, False), (-0.04, True))
    assert agreeing([MEAN, same, order, other]) == [
        "with blur fill: the same conclusion",
        "with blur fill: the same steps, the costliest is objects cut",
        "with gray fill the conclusion differs: context lost 0.020 (no clear effect), with mean 0.200",
    ]
    assert agreeing([MEAN]) == []


def test_the_smallest_bar_is_one_sign_long():
    few = (Step("context", 0.5, 0.4, 0.6, True), Step("cut", 0.001, 0.0005, 0.002, True))
    assert [line.split()[-1] for line in step_lines(Chain("mean", few, {}, None, {}))] == ["#" * 15, "#"]


def test_lines_show_value_and_bar_and_say_what_is_not_distinguishable():
    assert step_lines(MEAN) == [
        "context lost           0.200  ###############",
        "objects cut            0.100  ########",
        "position               0.010  no clear effect",
        "scale, aspect, frame  -0.050  ####",
    ]
