"""A verdict on one axis: the value, its bounds, and what is allowed."""

from collections.abc import Mapping
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

__all__ = ["verdict_axis"]

AXIS = 52.0  # y of the axis


def verdict_axis(gate: Mapping[str, Any]) -> Svg:
    """Return the axis of a gate: ``drop`` with its bounds, ``limit`` (``None`` draws none), ``verdict``.

    What is allowed is the shaded part on the left.
    """
    drop, limit = gate["drop"], gate["limit"]
    value, low, high = drop["value"], drop["low"], drop["high"]
    scale = Axis.around([0.0, value, low, high, limit, None if limit is None else limit * 1.15], 0.02)
    told = f"drop {bounded_text(value, low, high)}" + ("" if limit is None else f", allowed {number_text(limit)}")
    shapes = []
    if limit is not None:
        shapes += [
            rect(0, scale.at(limit), AXIS - 16, 32, "allowed", ' fill-opacity="0.14"'),
            line(scale.at(limit), AXIS - 22, scale.at(limit), AXIS + 20, "limit", 2),
            text(scale.at(limit), AXIS - 28, f"allowed {number_text(limit)}", "limit", "auto"),
        ]
    shapes.append(line(0, AXIS, 100, AXIS, "rule"))
    for tick in scale.ticks():
        shapes += [
            line(scale.at(tick), AXIS - 3, scale.at(tick), AXIS + 3, "rule"),
            text(scale.at(tick), AXIS + 36, f"{tick:g}", "muted", "auto"),
        ]
    if value is not None:
        kind = {"pass": "gain", "fail": "loss"}.get(str(gate["verdict"]), "unsure")
        shapes += [*whisker(scale, low, high, AXIS), dot(scale.at(value), AXIS, kind, 6.5)]
    return chart("The drop on an axis with its bounds and what is allowed", told, AXIS + 42, shapes)
