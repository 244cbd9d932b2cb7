"""The chain of renderings as a waterfall: from the AP of the whole image to that of the crop, one step a row."""

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_cropdet.figures.svg.shapes import (
    Axis,
    Svg,
    bounded_text,
    chart,
    dot,
    line,
    number_text,
    rect,
    text,
    whisker,
)
from pytest_cropdet.terms import PHRASES

__all__ = ["waterfall"]

STEP_HEIGHT = 46.0  # px a row: a line of words, and a bar below
BAR_HEIGHT = 14.0


def waterfall(steps: Sequence[Mapping[str, Any]], whole: float | None, crop: float | None, metric: str) -> Svg | None:
    """Return the waterfall of ``steps``, as they stand in the JSON; ``None`` where a number is undefined.

    ``whole`` and ``crop`` are the ends. A bar reaches from the value before its step to the one after; its whisker
    holds where the value after it may lie. A step that is not distinguishable is pale.
    """
    if whole is None or crop is None or any(step["value"] is None for step in steps):
        return None
    before, place = [], whole
    for step in steps:
        before.append(place)
        place -= step["value"]
    ends = [
        start - step[end]
        for start, step in zip(before, steps, strict=True)
        for end in ("low", "high")
        if step[end] is not None
    ]
    scale = Axis.around([whole, crop, *before, *ends], 0.02, margin=3.0)
    shapes = _end(0, "whole image", whole, scale, metric)
    for row, (start, step) in enumerate(zip(before, steps, strict=True), 1):
        shapes += _step(row, start, step, scale)
    shapes += _end(len(steps) + 1, "crop", crop, scale, metric)
    told = "; ".join(f"{PHRASES.get(step['name'], step['name'])} {number_text(step['value'])}" for step in steps)
    title = f"From whole image to crop, {metric} lost by each step"
    description = f"whole image {number_text(whole)}; {told}; crop {number_text(crop)}"
    return chart(title, description, STEP_HEIGHT * (len(steps) + 2) + 4, shapes)


def _end(row: int, name: str, value: float, scale: Axis, metric: str) -> list[str]:
    top = row * STEP_HEIGHT
    return [
        text(0, top + 15, name, bold=True),
        text(100, top + 15, f"{metric} {number_text(value)}", anchor="end", bold=True),
        line(0, top + 29, 100, top + 29, "rule", 1, "2 3"),
        dot(scale.at(value), top + 29, "mark", 5),
        *([] if row else [line(scale.at(value), top + 34, scale.at(value), top + STEP_HEIGHT + 22, "rule")]),
    ]


def _step(row: int, start: float, step: Mapping[str, Any], scale: Axis) -> list[str]:
    top, after = row * STEP_HEIGHT, start - step["value"]
    sure = step["distinguishable"]
    kind = ("loss" if step["value"] > 0 else "gain") if sure else "unsure"
    low, high = step["low"], step["high"]
    shown = bounded_text(step["value"], low, high)
    ends = (None, None) if low is None or high is None else (start - high, start - low)
    return [
        text(0, top + 15, PHRASES.get(step["name"], step["name"])),
        text(100, top + 15, shown, "" if sure else "muted", "end"),
        rect(scale.at(start), scale.at(after), top + 22, BAR_HEIGHT, kind, "" if sure else ' fill-opacity="0.45"'),
        *whisker(scale, ends[0], ends[1], top + 22 + BAR_HEIGHT / 2),
        line(scale.at(after), top + 22 + BAR_HEIGHT, scale.at(after), top + STEP_HEIGHT + 22, "rule"),
    ]
