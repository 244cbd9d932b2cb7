"""Every drawing, from plain dicts and boxes.

matplotlib's objects are used without pyplot, so that no backend and no open figure changes; the charts of page and
notebook are SVG.
"""

from pytest_cropdet.figures.anchors import draw_anchors
from pytest_cropdet.figures.benchmark import draw_benchmark
from pytest_cropdet.figures.breakdown import draw_where
from pytest_cropdet.figures.comparison import draw
from pytest_cropdet.figures.distribution_shift import draw_shift
from pytest_cropdet.figures.renderings import Seen, draw_renderings
from pytest_cropdet.figures.steps import draw_steps
from pytest_cropdet.figures.svg.bars import Bar, bars, stack
from pytest_cropdet.figures.svg.gaps import Gap, gaps, meter
from pytest_cropdet.figures.svg.grids import heat, histogram, used
from pytest_cropdet.figures.svg.shapes import Scale, Svg, number, signed
from pytest_cropdet.figures.svg.verdict_axis import verdict_axis
from pytest_cropdet.figures.svg.waterfall import waterfall

__all__ = [
    "Bar",
    "Gap",
    "Scale",
    "Seen",
    "Svg",
    "bars",
    "draw",
    "draw_anchors",
    "draw_benchmark",
    "draw_renderings",
    "draw_shift",
    "draw_steps",
    "draw_where",
    "gaps",
    "heat",
    "histogram",
    "meter",
    "number",
    "signed",
    "stack",
    "used",
    "verdict_axis",
    "waterfall",
]
