"""Bars with bounds on one axis, a row each; and one bar in parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_cropdet.figures.style import shorten
from pytest_cropdet.figures.svg.shapes import (
    ROW_HEIGHT,
    Axis,
    Svg,
    bounded_text,
    chart,
    filtered,
    line,
    press_area,
    rect,
    text,
    whisker,
)

__all__ = ["Bar", "bar_chart", "stacked_bar"]

LONGEST_LABEL = 40  # letters of a label


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: its label, what it rests on, its value with bounds (``None`` where undefined), its colour's class.

    ``kind`` is that of a positive value; of ``loss`` and ``gain`` a negative value has the other one's.
    ``filter``: of the page's table of crops, which the row leads to.
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    kind: str = "loss"
    filter: str = ""


def bar_chart(title: str, rows: Sequence[Bar], scale: Axis | None = None) -> Svg:
    """Return the rows below one another, on one axis that holds 0; ``scale`` where several charts share one."""
    shared = scale or Axis.around([0.0, *(end for row in rows for end in (row.value, row.low, row.high))], 0.02)
    shapes = []
    for place, row in enumerate(rows):
        drawn = _row(row, place * ROW_HEIGHT, shared)
        hit = press_area(place * ROW_HEIGHT, ROW_HEIGHT - 2)
        shapes += [filtered([hit, *drawn], row.filter, row.label)] if row.filter else drawn
    told = "; ".join(f"{row.label}: {bounded_text(row.value, row.low, row.high)} ({row.note})" for row in rows)
    return chart(title, told, ROW_HEIGHT * len(rows) + 2, shapes)


def _row(row: Bar, top: float, shared: Axis) -> list[str]:
    shapes = [
        text(0, top + 14, shorten(row.label, LONGEST_LABEL, "…")),
        text(100, top + 14, bounded_text(row.value, row.low, row.high), anchor="end"),
    ]
    if row.value is None:
        return [*shapes, text(0, top + 31, f"too few to say; {row.note}", "muted")]
    kind = {"loss": "gain", "gain": "loss"}.get(row.kind, row.kind) if row.value < 0 else row.kind
    return [
        *shapes,
        line(shared.at(0), top + 18, shared.at(0), top + 36, "rule"),
        rect(shared.at(0), shared.at(row.value), top + 20, 12, kind),
        *whisker(shared, row.low, row.high, top + 26),
    ]


def stacked_bar(title: str, parts: Sequence[tuple[str, int, str]], filters: Mapping[str, str] | None = None) -> Svg:
    """Return one bar whose parts are ``(name, count, class)``, in proportion.

    ``filters``: by class, of the page's table of crops.
    """
    total, place, shapes = max(1, sum(count for _, count, _ in parts)), 0.0, []
    for name, count, kind in parts:
        if count:
            wide = 100 * count / total
            drawn, crops = rect(place, place + wide, 2, 26, kind), (filters or {}).get(kind)
            shapes.append(filtered([drawn], crops, name) if crops else drawn)
            place += wide
    return chart(title, "; ".join(f"{name}: {count}" for name, count, _ in parts), 30, shapes)
