"""What SVG and matplotlib draw of the same dict: the same rows, in the same order, with the same ends."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from pytest_cropdet.figures.breakdown import draw_where
from pytest_cropdet.figures.rows import bins_with_objects, loss_shares, most_lost_first, step_rows
from pytest_cropdet.figures.steps import draw_steps
from pytest_cropdet.figures.svg import waterfall
from pytest_cropdet.report.charts import figures
from pytest_cropdet.terms import PHRASES


def step(name, value, low=None, high=None):
    return {"name": name, "value": value, "low": low, "high": high, "distinguishable": low is not None and low > 0}


STEPS = [step("context", 0.05, 0.02, 0.08), step("cut", 0.2, 0.15, 0.26), step("position", -0.01), step("scale", 0.0)]


def labelled(label, lost, objects=9):
    return {"label": label, "objects": objects, "lost": {"value": lost}}


def test_each_step_begins_where_the_one_before_ends_and_its_bounds_hold_its_end():
    rows = step_rows(STEPS, 0.7, 0.46)
    assert rows is not None
    assert [row.phrase for row in rows] == list(PHRASES.values())
    assert rows[0].before == 0.7
    assert all(one.after == other.before for one, other in pairwise(rows))
    assert rows[-1].after == pytest.approx(0.46)
    assert rows[1].after_bounds == pytest.approx((0.65 - 0.26, 0.65 - 0.15))
    assert rows[2].after_bounds is None
    assert [row.distinguishable for row in rows] == [True, True, False, False]


@pytest.mark.parametrize("ends", [(None, 0.4), (0.7, None)])
def test_an_undefined_end_or_step_gives_no_rows(ends):
    assert step_rows(STEPS, *ends) is None
    assert step_rows([*STEPS[:3], step("scale", None)], 0.7, 0.46) is None


def test_bins_without_an_object_are_left_out_and_those_with_too_few_come_last():
    bins = [labelled("b", 0.1), labelled("few", None), labelled("none", 0.9, 0), labelled("c", 0.3), labelled("a", 0.1)]
    assert [each["label"] for each in bins_with_objects(bins)] == ["b", "few", "c", "a"]
    assert [each["label"] for each in most_lost_first(bins)] == ["c", "a", "b", "few"]


def test_a_cell_of_the_map_needs_five_objects():
    assert loss_shares([[1, 2], [5, 0]], [[4, 5], [5, 0]]) == [[None, 0.4], [1.0, None]]


def test_matplotlib_and_svg_show_the_same_steps_and_the_same_categories(gate):
    pytest.importorskip("matplotlib")
    record = gate[0]
    ap = record["controls"]["chain"]["ap"]
    svg = waterfall(record["steps"], ap["whole"], ap["crop"], "mAP")
    names = [tick.get_text() for tick in draw_steps(record["steps"], ap, "mAP").axes[0].get_yticklabels()]
    assert names == re.findall(r'<text class="t-plain" x="0[^>]*>([^<]*)', str(svg))
    svg = figures(record)["where: category"]
    ticks = draw_where(record["where"]).axes[5].get_yticklabels()
    assert [tick.get_text().strip() for tick in ticks] == re.findall(
        r'<text class="t-plain" x="0[^>]*>([^<]*)', str(svg)
    )


def test_the_caption_of_the_steps_fits_the_figure(gate):
    pytest.importorskip("matplotlib")
    record = gate[0]
    figure = draw_steps(record["steps"], record["controls"]["chain"]["ap"], "mAP", {"value": 0.008})
    figure.canvas.draw()
    for caption in figure.texts:
        box = caption.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y0 >= 0
        assert box.y1 < figure.axes[0].get_tightbbox().y0
