"""Figures from the plain values of the JSON: what is on them, and what they leave alone."""

from __future__ import annotations

import json
import sys

import pytest

from pytest_cropdet.causes.diagnostics.breakdown import where
from pytest_cropdet.causes.diagnostics.distribution_shift import shift
from pytest_cropdet.data.samples import GroundTruth
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.figures.breakdown import draw_where
from pytest_cropdet.figures.distribution_shift import draw_shift
from tests.causes.test_where import CHAIN, tables
from tests.support import NAMES, Data, blind, fair_run, loses_cut, made, opinions, sample, small_run

pytest.importorskip("matplotlib")


def values(run, chain=("whole", "crop"), names=NAMES):
    given = tables(run, chain)
    parts = where(*given, names).to_dict(), shift(*given, names, (90, 120), "letterbox").to_dict()
    return [json.loads(json.dumps(part)) for part in parts]


@pytest.fixture(scope="module")
def run():
    return fair_run()


def texts(figure) -> str:
    """All that is written on a figure; ticks and legends have their texts once they have their places."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    return "\n".join(each.get_text() for each in figure.findobj(Text))


@pytest.mark.parametrize("chain", [("whole", "crop"), CHAIN])
def test_where_shows_every_bin_that_holds_objects(run, chain):
    content, _ = values(run, chain)
    written = texts(draw_where(content))
    for name in ("visibility", "distance_to_cut", "distance_to_border", "size", "category"):
        for each in content[name]:
            if each["objects"]:
                assert each["label"] in written
                assert f"{each['objects']:,} in {each['images']}" in written
    assert ("position" in written) == (chain == CHAIN)
    assert "no cut" not in written


def test_steps_stand_end_to_end_gains_to_the_left_and_the_point_at_their_sum(run):
    content, _ = values(run, CHAIN)
    bins = [each for each in content["visibility"] if each["objects"]]
    for step, value in zip(bins[0]["lost_steps"].values(), (0.2, 0.1, -0.05, -0.03), strict=True):
        step["value"] = value
    bins[0]["lost"]["value"] = 0.22
    axes = next(each for each in draw_where(content).axes if "visible" in each.get_title(loc="left"))
    points = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert points == [each["lost"]["value"] for each in bins if each["lost"]["value"] is not None]
    ends = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches[:4]]
    assert ends == [pytest.approx(end) for end in ((0, 0.2), (0.2, 0.3), (0, -0.05), (-0.05, -0.08))]


def test_few_objects_are_named_so_and_many_categories_cut_short():
    few = values(small_run(loses_cut(opinions(data := made(images=8))), data))
    assert "too few" in texts(draw_where(few[0]))
    written = texts(draw_shift(few[1]))
    assert "too few objects for a distance" in written
    assert "to say what is usual" in written
    many = few[0]
    many["category"] = [{**many["category"][0], "label": f"category number {n:03}"} for n in range(80)]
    written = texts(draw_where(many))
    assert "category (64 more lose less)" in written
    assert "category numb..." in written


def test_nothing_at_all_can_be_drawn():
    data = Data([sample(number, GroundTruth.empty()) for number in range(12)])
    one, other = values(small_run(blind(), data))
    assert sum(map(sum, one["map"]["objects"])) == 0
    assert "Where crops lose objects" in texts(draw_where(one))
    assert "too few" in texts(draw_shift(other))


def test_the_shift_names_groups_units_and_distances(run):
    _, content = values(run)
    written = texts(draw_shift(content))
    assert f"whole images: {content['groups']['whole']['objects']:,} objects in 60 images" in written
    assert "training" not in written
    assert f"crop to whole {content['distances']['crop-whole']['size']:.2f}" in written
    assert "object size (input px)" in written
    assert "120 x 90 pixels (resize=letterbox)" in written


def test_a_figure_touches_no_global_state(run):
    loaded = "matplotlib.pyplot" in sys.modules
    for draw, content in zip((draw_where, draw_shift), values(run), strict=True):
        draw(content)
    assert ("matplotlib.pyplot" in sys.modules) == loaded


@pytest.mark.parametrize("place", [0, 1])
def test_without_matplotlib_the_error_names_the_extra(run, monkeypatch, place):
    content = values(run)[place]
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(CropdetError, match=r"pip install 'pytest-cropdet\[plot\]'"):
        (draw_where, draw_shift)[place](content)
