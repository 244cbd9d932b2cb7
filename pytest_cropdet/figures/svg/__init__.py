"""Charts as inline SVG from the built-in values of a run's JSON: each is text that a page or a notebook shows."""

from pytest_cropdet.figures.svg.bars import Bar, bar_chart, stacked_bar
from pytest_cropdet.figures.svg.gaps import Gap, gap_chart, limit_meter
from pytest_cropdet.figures.svg.grids import heat_map, histogram
from pytest_cropdet.figures.svg.shapes import Svg
from pytest_cropdet.figures.svg.verdict_axis import verdict_axis
from pytest_cropdet.figures.svg.waterfall import waterfall

__all__ = [
    "Bar",
    "Gap",
    "Svg",
    "bar_chart",
    "gap_chart",
    "heat_map",
    "histogram",
    "limit_meter",
    "stacked_bar",
    "verdict_axis",
    "waterfall",
]
