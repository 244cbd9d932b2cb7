"""Every drawing, from plain dicts and boxes.

matplotlib's objects are used without pyplot, so that no backend and no open figure changes; the charts of page and
notebook are SVG.
"""

from pytest_cropdet.figures.anchors import draw_anchors
from pytest_cropdet.figures.badges import badge
from pytest_cropdet.figures.benchmark import draw_benchmark
from pytest_cropdet.figures.box_sheets import MarkedBox, SheetTile, contact_sheet
from pytest_cropdet.figures.breakdown import draw_where
from pytest_cropdet.figures.canvas import new_figure, root_figure
from pytest_cropdet.figures.comparison import draw_comparison
from pytest_cropdet.figures.distribution_shift import draw_shift
from pytest_cropdet.figures.renderings import RenderingPanel, draw_renderings
from pytest_cropdet.figures.rows import bins_with_objects, most_lost_first
from pytest_cropdet.figures.steps import draw_steps
from pytest_cropdet.figures.style import (
    QUANTITY_NAMES,
    SHIFT_NAMES,
    capitalized,
    chain_metric,
    distance_name,
    group_label,
)
from pytest_cropdet.figures.svg.bars import Bar, bar_chart, stacked_bar
from pytest_cropdet.figures.svg.gaps import Gap, gap_chart, limit_meter
from pytest_cropdet.figures.svg.grids import heat_map, histogram, shown_edges
from pytest_cropdet.figures.svg.shapes import Axis, Svg, bounded_text, number_text
from pytest_cropdet.figures.svg.trend import trend_chart, trend_legend
from pytest_cropdet.figures.svg.verdict_axis import verdict_axis
from pytest_cropdet.figures.svg.waterfall import waterfall
from pytest_cropdet.figures.tiles import draw_tiles
from pytest_cropdet.figures.trend import draw_trend
from pytest_cropdet.figures.trend_panel import TrendPanel, TrendPoint

__all__ = [
    "QUANTITY_NAMES",
    "SHIFT_NAMES",
    "Axis",
    "Bar",
    "Gap",
    "MarkedBox",
    "RenderingPanel",
    "SheetTile",
    "Svg",
    "TrendPanel",
    "TrendPoint",
    "badge",
    "bar_chart",
    "bins_with_objects",
    "bounded_text",
    "capitalized",
    "chain_metric",
    "contact_sheet",
    "distance_name",
    "draw_anchors",
    "draw_benchmark",
    "draw_comparison",
    "draw_renderings",
    "draw_shift",
    "draw_steps",
    "draw_tiles",
    "draw_trend",
    "draw_where",
    "gap_chart",
    "group_label",
    "heat_map",
    "histogram",
    "limit_meter",
    "most_lost_first",
    "new_figure",
    "number_text",
    "root_figure",
    "shown_edges",
    "stacked_bar",
    "trend_chart",
    "trend_legend",
    "verdict_axis",
    "waterfall",
]
