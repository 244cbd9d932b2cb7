"""A measure, a limit, and every way of writing the comparison: none of them turns "undecided" into a pass."""

import math
import operator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cropdet.evaluation.measure import Doubt, GateFailure, Measure, Verdict


def loss(value=0.06, low=0.04, high=0.08, **options) -> Measure:
    return Measure("drop", value, low, high, **options)


def good(value=0.90, low=0.85, high=0.95, **options) -> Measure:
    return Measure("ratio", value, low, high, good=True, phrase="AP(crop) / AP(reference) is", unit="", **options)


STATES = {
    "undecided": loss(),
    "failed": loss(0.2, 0.15, 0.25),
    "doubtful": loss(0.0, 0.0, 0.0, doubts=(Doubt("images", "12 source images, at least 50 are needed"),)),
    "undefined": loss(None, None, None),
    "blind": loss(0.0, 0.0, 0.0, blind=(0.0, 0.05)),
}
PASSED = loss(0.01, 0.0, 0.02)
X = 0.05

ALLOWED = [
    "drop <= x",
    "x >= drop",
    "drop.judge(x)",
    "bool(drop <= x)",
    "not not drop <= x",
    "all([drop <= x])",
    "any([drop <= x])",
    "any([drop <= x, True])",
    "all([True, drop <= x])",
    "drop <= x or True",
    "drop <= x and True",
    "True and drop <= x",
    "False or drop <= x",
    "1 if drop <= x else 0",
    "[1 for _ in [0] if drop <= x]",
    "list(filter(None, [drop <= x])) or True",
    "operator.le(drop, x)",
    "operator.truth(drop <= x)",
    "np.float64(x) >= drop",
    "drop <= np.float64(x)",
    "drop <= np.float32(x)",
    "np.float32(x) >= drop",
    "np.array(x)[()] >= drop",
    "drop <= x <= 1",
    "(drop <= x) == True",
    "(drop <= x) != False",
    "True == (drop <= x)",
    "(drop <= x) != 'fail'",
    "(drop <= x) in [True]",
    "np.all(drop <= x)",
    "np.any([drop <= x, True])",
    "np.array([drop <= x]).astype(bool).all()",
]
REFUSED = [
    "drop < x",
    "drop > x",
    "drop >= x",
    "drop == x",
    "drop != x",
    "x < drop",
    "x > drop",
    "x <= drop",
    "x == drop",
    "x != drop",
    "not drop >= x",
    "not drop > x",
    "not x <= drop",
    "not drop",
    "bool(drop)",
    "drop and True",
    "drop or True",
    "float(drop) <= x",
    "int(drop) <= x",
    "round(drop, 2) <= x",
    "abs(drop) <= x",
    "drop - x < 1",
    "x - drop > -1",
    "-drop <= x",
    "0 <= drop <= x",
    "0 < drop <= x",
    "x >= drop >= 0",
    "max(drop, x) == x",
    "min(drop, x) is drop",
    "min([x, drop]) is drop",
    "sorted([drop, x])[0] is drop",
    "drop in [x]",
    "drop not in [x]",
    "drop in {x}",
    "any(drop <= each for each in [None])",
    "math.isclose(drop, x)",
    "math.isfinite(drop)",
    "np.less_equal(drop, x)",
    "np.minimum(drop, x)",
    "np.float64(x) < drop",
    "np.float64(x) <= drop",
    "np.float64(x) == drop",
    "np.float64(x) != drop",
    "not np.float64(x) < drop",
    "np.array([x]) >= drop",
    "drop <= np.array([x])",
    "np.isfinite(drop)",
    "(drop <= x) >= True",
    "(drop <= x) & True",
    "(drop <= x) | True",
    "(drop <= x) ^ True",
    "(drop <= x) + 1",
    "int(drop <= x)",
    "float(drop <= x)",
    "drop <= drop",
    "drop <= (drop <= x)",
]


def evaluate(spelling: str, drop: Measure) -> bool:
    """What an ``assert`` would make of it."""
    names = {"drop": drop, "x": X, "np": np, "math": math, "operator": operator}
    return bool(eval(spelling, names))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("spelling", ALLOWED)
def test_no_spelling_lets_pass_what_did_not_pass(spelling, state):
    with pytest.raises(GateFailure):
        evaluate(spelling, STATES[state])


@pytest.mark.parametrize("spelling", ALLOWED)
def test_every_allowed_spelling_lets_a_pass_through(spelling):
    assert evaluate(spelling, PASSED)


@pytest.mark.parametrize("spelling", REFUSED)
def test_every_other_spelling_is_a_type_error_even_where_the_gate_would_pass(spelling):
    with pytest.raises(TypeError):
        evaluate(spelling, PASSED)


@pytest.mark.parametrize("spelling", ["not drop <= x", "(drop <= x) == False", "(drop <= x) is True", "not x >= drop"])
def test_the_opposite_of_a_pass_is_no_pass(spelling):
    assert not evaluate(spelling, PASSED)


@pytest.mark.parametrize("spelling", ["not drop <= x", "(drop <= x) == False", "not x >= drop", "not any([drop <= x])"])
def test_nobody_can_demand_that_a_gate_does_not_pass(spelling):
    with pytest.raises(GateFailure):
        evaluate(spelling, STATES["undecided"])


def test_if_and_while_stop_at_a_verdict_that_is_not_a_pass():
    def asks():
        if STATES["undecided"] <= X:
            return

    def goes_on():
        while STATES["undecided"] <= X:
            return

    for statement in (asks, goes_on):
        with pytest.raises(GateFailure):
            statement()


@pytest.mark.parametrize(
    "compare",
    [operator.lt, operator.gt, operator.ge, operator.eq, operator.ne],
)
def test_a_refused_comparison_of_a_loss_names_the_right_one_and_the_way_to_the_numbers(compare):
    with pytest.raises(TypeError, match=r"`drop <= limit`; for its numbers take \.value, \.low or \.high"):
        compare(loss(), X)


@pytest.mark.parametrize("convert", [bool, float, int])
def test_a_measure_is_not_a_number(convert):
    with pytest.raises(TypeError, match=r"\.value, \.low or \.high"):
        convert(loss())


@pytest.mark.parametrize("compare", [operator.lt, operator.gt, operator.le, operator.eq, operator.ne])
@pytest.mark.parametrize("limit", [0.8, np.float64(0.8)], ids=repr)
def test_a_refused_comparison_of_a_good_names_the_right_one(compare, limit):
    with pytest.raises(TypeError, match=r"a good is gated as `ratio >= limit`"):
        compare(good(), limit)


@pytest.mark.parametrize("limit", [0.8, np.float64(0.8), np.float32(0.8), Fraction(4, 5)], ids=repr)
def test_a_good_passes_above_its_limit_in_both_spellings(limit):
    assert good() >= limit
    assert limit <= good()


def test_a_good_fails_only_when_all_of_its_interval_lies_below():
    assert (good().judge(0.96)).outcome == "fail"
    assert (good().judge(0.9)).outcome == "undecided"
    assert good().judge(0.95).outcome == "undecided"  # high == limit
    assert good().judge(0.85).outcome == "pass"  # low == limit


@pytest.mark.parametrize("limit", [math.nan, math.inf, -math.inf, np.float64("nan"), np.float32("inf")], ids=repr)
def test_a_limit_that_is_not_finite_is_a_value_error(limit):
    with pytest.raises(ValueError, match="must be finite"):
        operator.le(loss(), limit)
    with pytest.raises(ValueError, match="must be finite"):
        operator.ge(limit, loss())


@pytest.mark.parametrize(
    "limit",
    [
        True,
        False,
        np.True_,
        np.False_,
        "0.05",
        "five percent",
        b"0.05",
        None,
        [0.05],
        (0.05,),
        {},
        0.05j,
        pytest.param(object(), id="object"),
    ],
    ids=repr,
)
def test_a_limit_that_is_no_number_is_a_type_error(limit):
    with pytest.raises(TypeError, match="a limit is a number"):
        operator.le(loss(0.0, 0.0, 0.0), limit)


def test_whole_numbers_are_limits():
    assert loss() <= 1
    assert loss() <= np.int64(1)


class TestBorders:
    def test_an_upper_bound_on_the_limit_passes(self):
        assert loss(high=0.08).judge(0.08).outcome == "pass"
        assert loss(high=0.08).judge(np.nextafter(0.08, 0)).outcome == "undecided"

    def test_a_lower_bound_on_the_limit_is_not_yet_a_fail(self):
        assert loss(low=0.04).judge(0.04).outcome == "undecided"
        assert loss(low=0.04).judge(np.nextafter(0.04, 0)).outcome == "fail"

    def test_without_bounds_the_value_decides(self):
        assert loss(low=None, high=None).judge(0.06).outcome == "pass"
        assert loss(low=None, high=None).judge(0.059).outcome == "fail"

    @given(st.lists(st.floats(-1, 1), min_size=3, max_size=3).map(sorted), st.floats(-1, 1))
    def test_the_outcome_is_that_of_the_bounds_and_a_good_is_a_loss_turned_over(self, bounds, limit):
        low, value, high = bounds
        outcome = loss(value, low, high).judge(limit).outcome
        assert outcome == ("pass" if high <= limit else "fail" if low > limit else "undecided")
        assert good(-value, -high, -low).judge(-limit).outcome == outcome


class TestPolicies:
    """What ``cropdet_undecided`` does, and where it must not."""

    @pytest.mark.parametrize(
        ("policy", "limit", "passes"),
        [
            ("fail", 0.05, False),
            ("fail", 0.07, False),
            ("pass", 0.05, True),
            ("pass", 0.07, True),
            ("point", 0.05, False),
            ("point", 0.07, True),
            ("point", 0.06, True),
        ],
    )
    def test_a_policy_speaks_where_the_bounds_left_it_open(self, policy, limit, passes):
        verdict = loss(undecided=policy).judge(limit)
        assert verdict.outcome == "undecided"  # in reports it stays what it is
        assert verdict.passes is passes
        assert verdict.reason is None

    @pytest.mark.parametrize(("policy", "passes"), [("fail", False), ("pass", True), ("point", True)])
    def test_a_good_is_judged_by_its_point_from_the_other_side(self, policy, passes):
        assert good(undecided=policy).judge(0.88).passes is passes
        assert not good(undecided="point").judge(0.92).passes

    @pytest.mark.parametrize("policy", ["fail", "pass", "point"])
    def test_a_fail_stays_a_fail(self, policy):
        verdict = loss(undecided=policy).judge(0.01)
        assert (verdict.outcome, verdict.passes) == ("fail", False)

    @pytest.mark.parametrize("policy", ["fail", "pass", "point"])
    @pytest.mark.parametrize("limit", [0.01, 0.05, 0.5])
    @pytest.mark.parametrize(
        ("reason", "options"),
        [
            ("images", {"doubts": (Doubt("images", "too few"),)}),
            ("spread", {"spread": 0.6}),
            ("undefined", {"value": None, "low": None, "high": None}),
        ],
    )
    def test_no_policy_answers_a_doubt(self, policy, limit, reason, options):
        verdict = loss(undecided=policy, **options).judge(limit)
        assert (verdict.outcome, verdict.passes, verdict.reason) == ("undecided", False, reason)
        with pytest.raises(GateFailure, match="UNDECIDED"):
            bool(verdict)

    @pytest.mark.parametrize("policy", ["pass", "point"])
    @pytest.mark.parametrize("limit", [0.07, 0.5])
    def test_no_policy_lets_a_blind_detector_pass(self, policy, limit):
        verdict = loss(undecided=policy, blind=(limit + 0.05, 0.05)).judge(limit)
        assert (verdict.outcome, verdict.passes, verdict.reason) == ("undecided", False, "blind")
        assert loss(undecided=policy, blind=(limit + 0.051, 0.05)).judge(limit).passes

    def test_a_reference_without_a_lower_bound_is_blind(self):
        assert loss(0.0, 0.0, 0.0, blind=(None, 0.05)).judge(0.05).reason == "blind"

    @pytest.mark.parametrize("policy", ["fail", "pass", "point"])
    def test_a_doubt_about_passes_alone_leaves_a_fail_and_an_open_question(self, policy):
        capped = loss(undecided=policy, doubts=(Doubt("cap", "10 boxes", only_pass=True),))
        assert (capped.judge(0.5).outcome, capped.judge(0.5).reason) == ("undecided", "cap")
        assert not capped.judge(0.5).passes
        assert capped.judge(0.01).outcome == "fail"

    def test_a_spread_at_the_limit_is_allowed_and_one_above_is_not(self):
        assert loss(0.0, 0.0, 0.0, spread=0.02).judge(0.02).passes
        assert loss(0.0, 0.0, 0.0, spread=0.0201).judge(0.02).reason == "spread"


class TestText:
    @pytest.mark.parametrize(
        ("measure", "limit", "start"),
        [
            (loss(), 0.05, "UNDECIDED drop 0.060 [0.040, 0.080], limit 0.050: crops lose 0.060 mAP"),
            (loss(), 0.01, "FAIL drop 0.060 > 0.010: crops lose 0.060 mAP (95% sure: at least 0.040)"),
            (loss(), 0.10, "PASS drop 0.060 <= 0.100: "),
            (good(), 0.88, "UNDECIDED ratio 0.900 ["),
            (good(), 0.97, "FAIL ratio 0.900 < 0.970: "),
            (good(), 0.80, "PASS ratio 0.900 >= 0.800: "),
            (loss(0.05, 0.04, 0.05), 0.05, "PASS drop 0.050 <= 0.050: crops lose 0.050 mAP (95% sure: at most 0.050)"),
            (
                good(0.90, 0.90, 0.95),
                0.90,
                "PASS ratio 0.900 >= 0.900: AP(crop) / AP(reference) is 0.900 (95% sure: at least 0.900)",
            ),
            (loss(None, None, None), 0.05, "UNDECIDED drop undefined, limit 0.050 (undefined)"),
            (
                loss(-0.0003, -0.01, 0.01),
                0.05,
                "PASS drop 0.000 <= 0.050: crops lose 0.000 mAP (95% sure: at most 0.010)",
            ),
        ],
    )
    def test_the_headline_starts_with_verdict_value_and_limit(self, measure, limit, start):
        assert measure.judge(limit).headline.startswith(start)

    def test_the_headline_ends_with_the_limit(self):
        assert loss().judge(0.01).headline.endswith("; the limit is 0.010")
        assert good().judge(0.97).headline.endswith("; at least 0.970 is required")

    def test_a_failure_starts_with_the_headline(self):
        with pytest.raises(GateFailure) as caught:
            assert loss() <= 0.01
        assert str(caught.value).startswith("FAIL drop 0.060 > 0.010: crops lose 0.060 mAP")

    def test_a_measure_shows_its_bounds(self):
        assert str(loss()) == "0.060 [0.040, 0.080]"
        assert str(loss(None, None, None)) == "undefined"


class TestImagesToDecide:
    def test_half_the_distance_needs_four_times_the_images(self):
        # to pass 0.07 the upper reach of 0.02 must shrink to 0.01; to fail 0.05 the lower reach likewise
        assert loss().images_to_decide(0.07, 100) == pytest.approx(400, abs=1)
        assert loss().images_to_decide(0.05, 100) == pytest.approx(400, abs=1)
        assert loss().images_to_decide(0.065, 100) == pytest.approx(1600, abs=1)

    def test_the_reach_is_that_towards_the_limit(self):
        lopsided = loss(0.06, 0.05, 0.09)
        assert lopsided.images_to_decide(0.07, 100) == pytest.approx(900, abs=1)
        assert lopsided.images_to_decide(0.055, 100) == pytest.approx(400, abs=1)

    def test_a_value_on_the_limit_cannot_be_decided_by_any_number(self):
        assert loss().images_to_decide(0.06, 100) is None
        assert loss(None, None, None).images_to_decide(0.06, 100) is None
        assert loss(low=None, high=None).images_to_decide(0.05, 100) is None


def test_every_verdict_is_noted_once():
    noted: list[Verdict] = []
    measure = loss().with_story(lambda verdict: "a story", noted.append)
    with pytest.raises(GateFailure, match="a story"):
        assert measure <= 0.05
    assert operator.ge(0.5, measure)
    assert [(each.limit, each.outcome) for each in noted] == [(0.05, "undecided"), (0.5, "pass")]


def test_a_measure_is_no_key():
    with pytest.raises(TypeError, match="unhashable"):
        hash(loss())


def test_a_verdict_equals_itself_and_is_a_key():
    verdict, other = PASSED.judge(0.05), PASSED.judge(0.05)
    assert verdict == verdict
    assert verdict != other
    assert len({verdict, other}) == 2


@pytest.mark.parametrize(
    ("measure", "limit"),
    [
        (loss(0.641, 0.613, 0.629), 0.635),  # the value is over the limit, its bounds below it
        (loss(0.5, 0.52, 0.6), 0.51),
        (good(0.70, 0.72, 0.80), 0.71),
        (good(0.90, 0.80, 0.88), 0.89),
    ],
)
def test_bounds_that_leave_out_their_value_do_not_decide_against_it(measure, limit):
    """Ties of scores: resamples have copies of an image side by side among equal scores."""
    assert measure.judge(limit).outcome == "undecided"
    assert measure.judge(limit + 0.2).outcome == ("fail" if measure.good else "pass")
    assert measure.judge(limit - 0.2).outcome == ("pass" if measure.good else "fail")
