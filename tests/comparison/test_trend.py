"""From which commit on a drop is clearly larger."""

import pytest

from pytest_cropdet.comparison.trend import LargerDrop, find_trends
from tests.comparison.histories import content, line


def trend(*values, **changes):
    (found,) = find_trends([line(number, value, **changes) for number, value in enumerate(values)])
    return found


@pytest.mark.parametrize(
    ("values", "larger"),
    [
        ([0.03], []),
        ([0.03, 0.03, 0.05], []),  # bounds that touch: 0.04 is not above 0.04
        ([0.03, 0.03, 0.0501, 0.06], [LargerDrop(2, 0)]),
        ([0.03, 0.04, 0.05, 0.06], [LargerDrop(3, 0)]),  # little by little: against the smallest, not the one before
        ([0.08, 0.03, 0.06, 0.055], [LargerDrop(2, 1)]),  # after a better one
        ([0.03, 0.06, 0.03], [LargerDrop(1, 0, 2)]),
        ([0.03, 0.06, 0.03, 0.07, 0.08], [LargerDrop(1, 0, 2), LargerDrop(3, 0)]),
        ([0.03, 0.06, None, 0.06], [LargerDrop(1, 0)]),  # an undefined drop says nothing
        ([None, 0.03, None, 0.06, 0.02], [LargerDrop(3, 1, 4)]),
        ([None, None], []),
        ([0.09, 0.06, 0.03], []),
    ],
)
def test_a_drop_is_larger_where_its_bounds_lie_above_earlier_ones(values, larger):
    found = trend(*values)
    assert list(found.larger) == larger
    assert found.is_larger_now == bool(larger and larger[-1].until is None)


def test_the_first_commit_is_named():
    text = trend(0.03, 0.03, 0.07, 0.08).text
    assert text == (
        "the drop is clearly larger from cc3cc3cc (2026-01-03) on: 0.070 [0.060, 0.080], up from 0.030 [0.020, "
        "0.040] at cc1cc1cc (2026-01-01); the newest is 0.080 [0.070, 0.090] at cc4cc4cc (2026-01-04)"
    )
    assert trend(0.03, 0.07, 0.03).text.endswith("; no longer from cc3cc3cc (2026-01-03) on")
    assert trend(0.03).text.endswith("; there is nothing before it to compare it with")
    assert trend(0.03, 0.031).text.endswith("no drop is clearly larger than one before it in 2 measurements")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"plan": "tile"}, "other windows"),
        ({"seed": 1}, "other seed"),
        ({"metric": "AP50"}, "other metric"),
        ({"data": {"digest": "e"}}, "other data"),
        ({"rules": {"min_visibility": 0.7}}, "other rules or categories"),
    ],
)
def test_what_was_measured_otherwise_is_not_compared(change, words):
    lines = [line(0, 0.03), line(1, 0.06), line(2, 0.09, **change), line(3, 0.09, **change)]
    (found,) = find_trends(lines)
    assert found.breaks == {2: words}
    assert list(found.larger) == [LargerDrop(1, 0, 2)]
    assert found.text.endswith(f"; not compared from cc3cc3cc (2026-01-03) on: {words}")
    assert not found.is_larger_now


def test_another_model_limit_or_name_of_the_data_is_compared():
    lines = [line(0, 0.03), line(1, 0.09, limit=0.2, detector={"name": "b"}, data={"name": "moved", "digest": "d"})]
    assert find_trends(lines)[0].is_larger_now


def test_lines_are_in_the_order_of_time_whatever_the_zone():
    early = line(0, 0.03, time="2026-01-01T01:00:00+02:00")  # 23:00 of the day before in UTC
    late = line(1, 0.09, time="2026-01-01T00:00:00+00:00")
    assert [each.drop["value"] for each in find_trends([late, early])[0].lines] == [0.03, 0.09]


def test_the_last_line_of_a_commit_counts():
    again = content(1, 0.05)
    lines = [line(0), line(1, 0.09), line(1, 0.05), line(1, 0.06, detector={"name": "other", "fingerprint": "g"})]
    (found,) = find_trends(lines)
    assert [each.drop["value"] for each in found.lines] == [0.03, again["drop"]["value"], 0.06]
    assert found.repeats == 1


def test_each_gate_has_a_trend_of_its_own():
    found = find_trends([line(0, gate="b"), line(0, gate="a"), line(1, 0.09, gate="b")])
    assert [(each.gate, len(each.lines), each.is_larger_now) for each in found] == [("b", 2, True), ("a", 1, False)]
