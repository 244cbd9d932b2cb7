"""Charts: what they draw is what the numbers say, and what a screen reader says holds the numbers."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cropdet.figures.svg import (
    Bar,
    Gap,
    bar_chart,
    gap_chart,
    heat_map,
    histogram,
    limit_meter,
    stacked_bar,
    verdict_axis,
    waterfall,
)
from pytest_cropdet.figures.svg.shapes import Axis, number_text

SVG = "{http://www.w3.org/2000/svg}"
STEPS = [
    {"name": "context", "value": 0.1, "low": 0.05, "high": 0.15, "distinguishable": True},
    {"name": "cut", "value": 0.02, "low": -0.01, "high": 0.04, "distinguishable": False},
    {"name": "position", "value": -0.04, "low": -0.06, "high": -0.02, "distinguishable": True},
    {"name": "scale", "value": 0.06, "low": 0.03, "high": 0.09, "distinguishable": True},
]


def read(chart):
    return ElementTree.fromstring(str(chart))


def rects(chart, kind):
    return [each for each in read(chart).iter(f"{SVG}rect") if each.get("class") == f"f-{kind}"]


def per_cent(each, name):
    return float(each.get(name).removesuffix("%"))


def test_the_bars_of_a_waterfall_follow_one_another_and_end_at_the_crop():
    chart = waterfall(STEPS, 0.6, 0.46, "mAP")
    scale_of = [
        (per_cent(each, "x"), per_cent(each, "width"))
        for kind in ("context", "scale", "position")
        for each in rects(chart, kind)
    ]
    (context, scale), (position,) = scale_of[:2], scale_of[2:]
    (cut,) = [(per_cent(each, "x"), per_cent(each, "width")) for each in rects(chart, "unsure")]
    assert context[1] / scale[1] == pytest.approx(0.1 / 0.06, rel=0.01)
    assert cut[0] + cut[1] == pytest.approx(context[0], abs=0.01)
    assert position[0] == pytest.approx(cut[0], abs=0.01)  # a gain goes back to the right
    dots = [float(each.get("cx").removesuffix("%")) for each in read(chart).iter(f"{SVG}circle")]
    assert dots[0] == pytest.approx(context[0] + context[1], abs=0.01)
    assert dots[1] == pytest.approx(scale[0], abs=0.01)
    told = read(chart).find(f"{SVG}desc").text
    assert "context lost 0.100" in told
    assert "crop 0.460" in told


def test_a_waterfall_with_an_undefined_number_is_none():
    broken = [*STEPS[:3], {**STEPS[3], "value": None}]
    assert waterfall(broken, 0.6, 0.4, "mAP") is None
    assert waterfall(STEPS, None, 0.4, "mAP") is None


@given(
    st.lists(st.floats(-1, 1), min_size=3, max_size=3).map(sorted),
    st.none() | st.floats(0, 1),
    st.sampled_from(["pass", "fail", "undecided"]),
)
def test_the_axis_keeps_the_order_of_value_bounds_and_limit(ends, limit, verdict):
    low, value, high = ends
    gate = {"drop": {"value": value, "low": low, "high": high}, "limit": limit, "verdict": verdict}
    root = read(verdict_axis(gate))
    dot = float(root.find(f"{SVG}circle").get("cx").removesuffix("%"))
    marks = [each for each in root.iter(f"{SVG}line") if each.get("class") == "s-mark"]
    x0, x1 = (float(marks[0].get(name).removesuffix("%")) for name in ("x1", "x2"))
    assert 0 <= x0 <= dot + 1e-3
    assert dot <= x1 + 1e-3 <= 100.01
    if limit is not None:
        (line,) = [each for each in root.iter(f"{SVG}line") if each.get("class") == "s-limit"]
        place = float(line.get("x1").removesuffix("%"))
        assert (place - dot) * (limit - value) >= -1e-2


@given(st.floats(-1, 1), st.floats(0.001, 1))
def test_ticks_are_round_and_within(low, wide):
    scale = Axis(low, low + wide)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 11
    assert all(low - 1e-9 <= tick <= low + wide + 1e-9 for tick in ticks)
    steps = {round(b - a, 9) for a, b in pairwise(ticks)}
    assert len(steps) <= 1
    if steps:
        assert re.fullmatch(r"0*[125]0*", f"{steps.pop():.9f}".replace(".", ""))


def test_bars_are_in_proportion_and_say_what_is_too_few():
    chart = bar_chart("t", [Bar("a", 0.4, 0.3, 0.5), Bar("b", 0.2), Bar("c", None, note="3 objects"), Bar("<d>", -0.1)])
    wide = [per_cent(each, "width") for each in rects(chart, "loss")]
    assert wide[0] / wide[1] == pytest.approx(2, rel=0.01)
    assert len(rects(chart, "gain")) == 1
    words = [each.text for each in read(chart).iter(f"{SVG}text")]
    assert "too few to say; 3 objects" in words
    assert "<d>" in words


def test_a_stack_fills_its_width():
    chart = stacked_bar("t", [("a", 3, "kept"), ("b", 0, "loss"), ("c", 1, "gain")])
    wide = [per_cent(each, "width") for each in read(chart).iter(f"{SVG}rect")]
    assert wide == pytest.approx([75, 25])


def test_a_map_says_nothing_of_cells_with_fewer_than_five():
    chart = heat_map("t", [[1, 4], [0, 5]], [[4, 5], [10, 5]])
    assert [each.text for each in read(chart).iter(f"{SVG}text")] == ["80", "n=5", "0", "n=10", "100", "n=5"]
    assert read(chart).find(f"{SVG}desc").text == "row 1: - 80; row 2: 0 100"


def test_a_histogram_leaves_out_empty_ends():
    chart = histogram("t", [0, 1, 2, 3, 4], {"whole": [0, 2, 2, 0], "crop": [0, 0, 4, 0]})
    lines = [each.get("points").split() for each in read(chart).iter(f"{SVG}polyline")]
    assert [len(points) for points in lines] == [6, 6]
    assert read(chart).find(f"{SVG}desc").text == "from 1 to 3: whole, crop"
    read(histogram("nothing", [], {}))


def centres(chart):
    """Class and place in per cent of each point."""
    return [(each.get("class"), float(each.get("cx")[:-1])) for each in read(chart).iter(f"{SVG}circle")]


def test_a_gap_stands_where_its_values_are_and_an_undefined_one_is_said():
    rows = [Gap("a", 0.5, 0.25, 0.2, 0.3), Gap("b", 0.25, 0.5), Gap("<c>", None, None)]
    chart = gap_chart("t", rows, Axis(0.0, 1.0, margin=0.0))
    assert centres(chart) == [("f-whole", 50), ("f-crop", 25), ("f-whole", 25), ("f-crop", 50)]
    assert [each.get("class") for each in read(chart).iter(f"{SVG}rect")] == ["f-loss", "f-gain"]
    words = [each.text for each in read(chart).iter(f"{SVG}text")]
    assert words[:6] == ["a", "0.500 → 0.250", "b", "0.250 → 0.500", "<c>", "undefined → undefined"]
    assert words[6:] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]


def test_a_meter_marks_what_is_allowed_and_ends_where_the_value_goes_on():
    def bar(value):
        (found,) = read(limit_meter(value, 0.2)).iter(f"{SVG}rect")
        return found.get("class"), float(found.get("width")[:-1])

    mark = next(each for each in read(limit_meter(0.1, 0.2)).iter(f"{SVG}line") if each.get("class") == "s-limit")
    assert bar(0.2) == ("f-kept", pytest.approx(float(mark.get("x1")[:-1]) - 1, abs=0.01))
    assert bar(0.1)[1] == pytest.approx(bar(0.2)[1] / 2, abs=0.01)
    assert bar(0.21)[0] == "f-loss"
    assert bar(5.0)[1] == bar(0.31)[1] == 98
    assert bar(-1.0)[1] == bar(0.0)[1] == 0.15  # a hair


@given(st.floats(-1, 1))
def test_a_number_has_three_digits_and_no_negative_zero(value):
    shown = number_text(value)
    assert float(shown.replace("\u2212", "-")) == pytest.approx(value, abs=5.1e-4)
    assert shown != "\u22120.000"
