"""Reference and crop as two points a row, and what lies between them."""

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_cropdet.figures.svg.shapes import ROW_HEIGHT, Axis, Svg, chart, dot, line, number_text, rect, text, whisker

__all__ = ["Gap", "gap_chart", "limit_meter"]

PLACE = 27.0  # y of the points in their row
METER = 1.5  # times what is allowed, the whole width of a meter


@dataclass(frozen=True, slots=True)
class Gap:
    """One row: its label, the two values (``None`` where undefined), and the bounds of the second."""

    label: str
    reference: float | None
    crop: float | None
    low: float | None = None
    high: float | None = None


def gap_chart(title: str, rows: Sequence[Gap], scale: Axis) -> Svg:
    """Return the rows below one another, on the axis of ``scale``, which holds 0."""
    shapes, told = [], []
    for place, row in enumerate(rows):
        top = place * ROW_HEIGHT
        words = f"{number_text(row.reference)} → {number_text(row.crop)}"
        told.append(f"{row.label}: {words}")
        shapes += [text(0, top + 14, row.label), text(100, top + 14, words, anchor="end")]
        shapes.append(line(0, top + PLACE, 100, top + PLACE, "rule", 1, "2 3"))
        if row.reference is None or row.crop is None:
            continue
        kind = "gain" if row.crop > row.reference else "loss"
        before, after = scale.at(row.reference), scale.at(row.crop)
        shapes += [
            rect(before, after, top + PLACE - 2, 4, kind, ' fill-opacity="0.5"'),
            *whisker(scale, row.low, row.high, top + PLACE),
            dot(before, top + PLACE, "whole", 5.5),
            dot(after, top + PLACE, "crop", 5.5),
        ]
    foot = ROW_HEIGHT * len(rows)
    for tick in scale.ticks():
        shapes += [
            line(scale.at(tick), foot - 2, scale.at(tick), foot + 2, "rule"),
            text(scale.at(tick), foot + 16, f"{tick:g}", "muted", "auto"),
        ]
    return chart(title, "; ".join(told), foot + 20, shapes)


def limit_meter(value: float, allowed: float) -> Svg:
    """Return a bar of ``value`` with a mark at what is ``allowed``, above 0; it ends where the value goes on."""
    scale = Axis(0.0, METER * allowed, margin=1.0)
    kind = "loss" if value > allowed else "kept"
    shapes = [
        line(scale.at(0), 9, scale.at(scale.high), 9, "rule"),
        rect(scale.at(0), scale.at(max(0.0, value)), 4, 10, kind),
        line(scale.at(allowed), 0, scale.at(allowed), 18, "limit", 2),
    ]
    return chart(f"{value:.3g} of {allowed:.3g} allowed", "", 18, shapes)
