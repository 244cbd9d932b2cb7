"""Which windows: families, plans, and Hypothesis strategies that draw them.

Public modules: `strategies` and `hypothesis_find`, which import Hypothesis.
"""

from pytest_cropdet.crops.drawn_plan import Drawn, draw_plan, plan_name
from pytest_cropdet.crops.families import FAMILIES, side, tile_step
from pytest_cropdet.crops.family import SEVERITIES, CropFamily, Parameter, SeededDraws, draw_number
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
from pytest_cropdet.crops.registry import find_family, is_own, register_family
from pytest_cropdet.crops.window_counts import refuse_many

__all__ = [
    "FAMILIES",
    "SEVERITIES",
    "CropFamily",
    "Drawn",
    "Family",
    "Parameter",
    "Plan",
    "SeededDraws",
    "choose_samples",
    "draw_number",
    "draw_plan",
    "find_family",
    "is_own",
    "make_plan",
    "parse_spec",
    "plan_name",
    "plan_of",
    "read_crops",
    "refuse_many",
    "refuse_without_truth",
    "register_family",
    "shuffled",
    "side",
    "tile_step",
]
