"""The chain of renderings as a waterfall: from the AP of the whole image to that of the crop, one step a row."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from pytest_cropdet.figures.rows import StepRow, step_rows
from pytest_cropdet.figures.style import STEP_COLOURS
from pytest_cropdet.figures.svg.shapes import (
    Axis,
    Svg,
    bounded_text,
    chart,
    dot,
    filtered,
    line,
    number_text,
    press_area,
    rect,
    text,
    whisker,
)

__all__ = ["waterfall"]

STEP_HEIGHT = 46.0  # px a row: a line of words, and a bar below
BAR_HEIGHT = 14.0
AXIS_HEIGHT = 40.0  # px below the rows: a line with ticks, their values, and what they are of


def waterfall(steps: Sequence[Mapping[str, Any]], whole: float | None, crop: float | None, metric: str) -> Svg | None:
    """Return the waterfall of ``steps``, as they stand in the JSON; ``None`` where a number is undefined.

    ``whole`` and ``crop`` are the ends. A bar reaches from the value before its step to the one after; its whisker
    holds where the value after it may lie. A step that is not distinguishable is pale.
    """
    rows = step_rows(steps, whole, crop)
    if rows is None or whole is None or crop is None:
        return None
    ends = [end for row in rows for end in (row.before, *(row.after_bounds or ()))]
    scale = Axis.around([whole, crop, *ends], 0.02, margin=3.0)
    shapes = _end(0, "whole image", whole, scale, metric)
    for place, row in enumerate(rows, 1):
        shapes += _step(place, row, scale)
    shapes += _end(len(rows) + 1, "crop", crop, scale, metric)
    shapes += _axis(scale, STEP_HEIGHT * (len(rows) + 2) - 4, metric)
    told = "; ".join(f"{row.phrase} {number_text(row.lost)}" for row in rows)
    title = f"From whole image to crop, {metric} lost by each step"
    description = f"whole image {number_text(whole)}; {told}; crop {number_text(crop)}"
    return chart(title, description, STEP_HEIGHT * (len(rows) + 2) + AXIS_HEIGHT, shapes)


def _axis(scale: Axis, top: float, metric: str) -> list[str]:
    """Return an axis with ticks, their values and its title."""
    shapes = [line(0, top, 100, top, "rule")]
    for tick in scale.ticks():
        place = scale.at(tick)
        shapes += [line(place, top - 3, place, top + 3, "rule"), text(place, top + 18, f"{tick:g}", "muted", "auto")]
    return [*shapes, text(100, top + 36, f"{metric}, 0 to 1", "muted", "end")]


def _end(row: int, name: str, value: float, scale: Axis, metric: str) -> list[str]:
    top = row * STEP_HEIGHT
    return [
        text(0, top + 15, name, bold=True),
        text(100, top + 15, f"{metric} {number_text(value)}", anchor="end", bold=True),
        line(0, top + 29, 100, top + 29, "rule", 1, "2 3"),
        dot(scale.at(value), top + 29, "mark", 5),
        *([] if row else [line(scale.at(value), top + 34, scale.at(value), top + STEP_HEIGHT + 22, "rule")]),
    ]


def _step(place: int, row: StepRow, scale: Axis) -> list[str]:
    top, sure = place * STEP_HEIGHT, row.distinguishable
    kind = (row.name if row.name in STEP_COLOURS else "loss") if sure else "unsure"
    shown = bounded_text(row.lost, row.low, row.high)
    low, high = row.after_bounds or (None, None)
    drawn = [
        press_area(top, STEP_HEIGHT),
        text(0, top + 15, row.phrase),
        text(100, top + 15, shown, "" if sure else "muted", "end"),
        rect(
            scale.at(row.before),
            scale.at(row.after),
            top + 22,
            BAR_HEIGHT,
            kind,
            "" if sure else ' fill-opacity="0.45"',
        ),
        *whisker(scale, low, high, top + 22 + BAR_HEIGHT / 2),
        line(scale.at(row.after), top + 22 + BAR_HEIGHT, scale.at(row.after), top + STEP_HEIGHT + 22, "rule"),
    ]
    return [filtered(drawn, urlencode({"cause": row.name}), row.phrase)]
