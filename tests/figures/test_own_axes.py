"""Every figure: drawn in the axes of a figure of one's own, and saved with its text as text."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pytest_cropdet import Crop, RemapError, check_remap, compare
from pytest_cropdet.detectors.anchors import Anchors
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.figures import draw_anchors, draw_benchmark, draw_tiles, draw_trend
from pytest_cropdet.invariants.remap_figure import draw_remap
from tests.figures.test_trend import panel
from tests.painted import find
from tests.report.conftest import benchmarked

pytest.importorskip("matplotlib")
__all__ = ["benchmarked"]

IMAGE = np.zeros((60, 80, 3), np.uint8)
IMAGE[10:30, 10:40, 0] = 200


def mistake():
    with pytest.raises(RemapError) as broken:
        check_remap(lambda image, boxes, labels, crop: (boxes, labels), max_examples=50)
    return broken.value


@pytest.fixture(scope="module")
def figures(run, benchmarked):
    """Each figure as a function of the axes, with a word that is on it."""
    seen = compare(lambda images: [find(each) for each in images], IMAGE, Crop(0, 0, 50, 40))
    square, remap = Anchors(np.array([[0.5, 0.25, 0.5, 0.25], [0.3, 0.3, 0.3, 0.4]])), mistake()
    return {
        "steps": (lambda ax: run.plot.steps(ax=ax), "whole image"),
        "where": (lambda ax: run.plot.where(ax=ax), "Where crops lose objects"),
        "shift": (lambda ax: run.plot.shift(ax=ax), "aspect"),
        "renderings": (lambda ax: run.plot.renderings(3, ax=ax), "found"),
        "benchmark": (lambda ax: draw_benchmark(benchmarked["benchmark"], "name of it", ax=ax), "name of it"),
        "trend": (lambda ax: draw_trend([panel()], ax=ax), "random"),
        "comparison": (lambda ax: seen.plot(ax=ax), "whole image"),
        "tiles": (lambda ax: draw_tiles([("size=320", 4.0, 0.5, True, False)], 0.4, ax=ax), "Sliced inference"),
        "anchors": (
            lambda ax: draw_anchors(IMAGE, Crop(0, 0, 50, 40), [10, 10, 40, 30], square, (80, 60), ax=ax),
            "whole image",
        ),
        "remap": (lambda ax: draw_remap(remap, ax=ax), type(remap).__name__),
    }


NAMES = ["steps", "where", "shift", "renderings", "benchmark", "trend", "comparison", "tiles", "anchors", "remap"]


@pytest.mark.parametrize("name", NAMES)
def test_text_is_text_in_svg_and_pdf(figures, name, tmp_path):
    draw, word = figures[name]
    figure = draw(None)
    figure.savefig(tmp_path / "figure.svg")
    figure.savefig(tmp_path / "figure.pdf")
    svg = (tmp_path / "figure.svg").read_text(encoding="utf-8")
    assert word in "".join(re.findall(r"<text[^>]*>([^<]*(?:<tspan[^>]*>[^<]*</tspan>)*[^<]*)</text>", svg))
    pdf = (tmp_path / "figure.pdf").read_bytes()
    assert b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_takes_the_place_of_axes(figures, name, tmp_path):
    from matplotlib.figure import Figure

    draw, word = figures[name]
    whole = Figure(figsize=(16, 8))
    left, right = whole.subplots(1, 2)
    left.set_title("mine")
    assert draw(right) is whole
    assert left in whole.axes
    assert right not in whole.axes
    (part,) = whole.subfigs
    alone = draw(None)
    assert len(part.axes) == len(alone.axes) > 0
    assert [each.get_title(loc="left") for each in part.axes] == [each.get_title(loc="left") for each in alone.axes]
    assert any(word in text.get_text() for text in part.findobj(lambda each: hasattr(each, "get_text")))
    whole.savefig(tmp_path / "whole.png", dpi=40)
    middle = [(each.get_window_extent().x0 + each.get_window_extent().x1) / 2 for each in part.axes]
    assert min(middle) > left.get_window_extent().x1


def test_axes_without_a_place_in_a_grid_are_refused(figures):
    from matplotlib.figure import Figure

    ax = Figure().add_axes((0, 0, 1, 1))
    with pytest.raises(CropdetError, match=r"ax has no place in a grid: make it by plt.subplots\(...\)"):
        figures["tiles"][0](ax)


def test_plot_says_what_there_is(run):
    lines = repr(run.plot()).splitlines()
    assert [line.partition(": ")[0] for line in lines[:-1]] == [
        "run.plot.steps()",
        "run.plot.where()",
        "run.plot.shift()",
        "run.plot.renderings(crop=0)",
    ]
    assert lines[0] == (
        "run.plot.steps(): the waterfall from the AP of whole images to that of crops, step by step, with bounds"
    )
    public = {name for name in vars(type(run.plot)) if not name.startswith("_")}
    assert {line.partition("(")[0].rpartition(".")[2] for line in lines[:-1]} == public
