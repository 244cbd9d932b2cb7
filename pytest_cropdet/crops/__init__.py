"""Which windows: families, plans, and Hypothesis strategies that draw them.

Public modules: `strategies` and `hypothesis_find`, which import Hypothesis.
"""

from pytest_cropdet.crops.drawn_plan import Drawn, draw_plan, plan_name
from pytest_cropdet.crops.families import FAMILIES, SEVERITIES, draw_number, side, tile_step
from pytest_cropdet.crops.given_windows import plan_of, read_crops
from pytest_cropdet.crops.plan import (
    Family,
    Plan,
    choose_samples,
    make_plan,
    parse_spec,
    refuse_without_truth,
    shuffled,
)
from pytest_cropdet.crops.window_counts import refuse_many

__all__ = [
    "FAMILIES",
    "SEVERITIES",
    "Drawn",
    "Family",
    "Plan",
    "choose_samples",
    "draw_number",
    "draw_plan",
    "make_plan",
    "parse_spec",
    "plan_name",
    "plan_of",
    "read_crops",
    "refuse_many",
    "refuse_without_truth",
    "shuffled",
    "side",
    "tile_step",
]
