"""Charts as inline SVG from the built-in values of a run's JSON: each is text that a page or a notebook shows."""

from pytest_cropdet.figures.svg.bars import Bar, bars, stack
from pytest_cropdet.figures.svg.gaps import Gap, gaps, meter
from pytest_cropdet.figures.svg.grids import heat, histogram
from pytest_cropdet.figures.svg.shapes import Svg
from pytest_cropdet.figures.svg.verdict_axis import verdict_axis
from pytest_cropdet.figures.svg.waterfall import waterfall

__all__ = ["Bar", "Gap", "Svg", "bars", "gaps", "heat", "histogram", "meter", "stack", "verdict_axis", "waterfall"]
