"""The two drawings of a gate over time: which signs they have, and where."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from pytest_cropdet.figures import TrendPanel, TrendPoint, draw_trend, trend_chart, trend_legend
from pytest_cropdet.figures.trend_panel import named_places

HOSTILE = "<b>$\\frac{$ & \"'</b>"


def panel(verdicts=("pass", "undecided", "fail", "none"), **changes):
    points = [
        TrendPoint(f"c{place}", f"2026-01-{place % 28 + 1:02}", 0.01 * place, 0.0, 0.02 * place, 0.05, verdict)
        for place, verdict in enumerate(verdicts)
    ]
    return TrendPanel(**{"title": "random", "metric": "mAP", "points": points, **changes})


def gids(figure):
    return [artist.get_gid() for artist in figure.axes[0].get_children() if artist.get_gid()]


def test_each_point_has_the_sign_of_its_verdict_and_its_words():
    root = ElementTree.fromstring(trend_chart(panel()))
    space = "{http://www.w3.org/2000/svg}"
    marks = root.findall(f"{space}svg")
    assert [mark[1].tag.removeprefix(space) for mark in marks] == ["circle", "path", "rect", "circle"]
    assert marks[2][0].text == "c2, 2026-01-03: 0.020 [0.000, 0.040], limit 0.050, fail"
    assert [kind for kind, _ in trend_legend(panel())] == ["gain", "loss", "unsure", "muted", "limit"]
    assert trend_legend(panel(("pass",))) == (("gain", "circle: pass"), ("limit", "dotted line: limit"))


def test_the_picture_has_the_same(tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    figure = draw_trend([panel(breaks={2: "other data"}, larger=[(1, 2), (3, None)])])
    found = gids(figure)
    assert [found.count(name) for name in ("pass", "undecided", "fail", "none")] == [1, 1, 1, 1]
    assert [found.count(name) for name in ("bounds", "larger", "first-larger", "break")] == [4, 2, 2, 1]
    assert "other data" in trend_chart(panel(breaks={2: "other data"}))


def test_points_on_both_sides_of_a_break_or_a_gap_are_not_joined():
    whole, broken = (
        len(re.findall("<line class=.s-muted", trend_chart(panel(breaks=each)))) for each in ({}, {2: "x"})
    )
    assert (whole, broken) == (3, 3)  # one join less, and the dashed line
    gap = panel()
    points = [*gap.points[:1], TrendPoint("u", "2026-01-09", None, None, None, None, "undecided"), *gap.points[2:]]
    assert len(re.findall("<line class=.s-muted", trend_chart(panel(points=points)))) == 1


@pytest.mark.parametrize("count", [1, 2, 300])
def test_any_number_of_points_and_any_name_can_be_drawn(count, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    drawn = panel(["pass"] * count, title=HOSTILE, breaks={0: HOSTILE})
    ElementTree.fromstring(trend_chart(drawn))
    draw_trend([drawn]).savefig(tmp_path / "trend.png")


def test_a_gate_without_any_number_can_be_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    nothing = panel(points=[TrendPoint("u", "2026-01-09", None, None, None, None, "undecided")])
    ElementTree.fromstring(trend_chart(nothing))
    draw_trend([nothing, panel()]).savefig(tmp_path / "trend.png")


def test_the_commit_that_made_it_larger_is_always_named():
    for place in range(1, 300):
        names = named_places(panel(["pass"] * 300, larger=[(1, 2), (place, None)]), 6)
        assert place in names
        assert min(after - before for before, after in pairwise(names)) > 35  # of 300: no two on top of one another
    assert named_places(panel(["pass"]), 6) == [0]
