"""What all charts are made of: escaped text, shapes placed in per cent of the width, and one frame around them.

A chart is as wide as its place and never scales its letters: x is in per cent, y in pixels. Colours are attributes, so
that a notebook shows them, and classes, by which the page's style sheet replaces them in its light and dark scheme.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from pytest_cropdet.evaluation import bounds_text, digits
from pytest_cropdet.figures.style import CLASS_COLOURS

__all__ = [
    "ROW_HEIGHT",
    "Axis",
    "Svg",
    "bounded_text",
    "chart",
    "filtered",
    "line",
    "number_text",
    "press_area",
    "rect",
    "text",
]

ROW_HEIGHT = 40.0  # px of a row: a line of words, and what is drawn below
LABEL_EDGE = 18.0  # per cent from either side within which a centred label would stick out


class Svg(str):
    """A chart, which is also its text: pages and notebooks show it as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True)
class Axis:
    """From values to per cent of the width, with ``margin`` per cent free on either side."""

    low: float
    high: float
    margin: float = 2.0

    @classmethod
    def around(cls, values: Iterable[float | None], least: float = 0.01, margin: float = 2.0) -> "Axis":
        """Return the scale that holds all defined ``values``, at least ``least`` wide."""
        known = [value for value in values if value is not None and math.isfinite(value)] or [0.0]
        low, high = min(known), max(known)
        if high - low < least:
            low, high = low - least / 2, high + least / 2
        return cls(low, high, margin)

    def at(self, value: float) -> float:
        """Return the place of a value in per cent, never outside of the chart."""
        share = (value - self.low) / (self.high - self.low)
        return self.margin + min(1.0, max(0.0, share)) * (100 - 2 * self.margin)

    def ticks(self, most: int = 5) -> list[float]:
        """Return at most about ``most`` round values within.

        >>> Axis(-0.02, 0.13).ticks()
        [0.0, 0.05, 0.1]
        """
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(place * step, 10) + 0.0 for place in range(first, last + 1)]


def chart(title: str, description: str, height: float, shapes: Iterable[str]) -> Svg:
    """Return shapes in their frame; ``title`` and ``description`` are what a screen reader says."""
    told = f"<title>{escape(title)}</title><desc>{escape(description)}</desc>"
    body = "".join(shapes)
    return Svg(
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" width="100%" height="{height:g}" '
        f'font-family="system-ui, sans-serif" font-size="13">{told}{body}</svg>'
    )


def filtered(shapes: Iterable[str], crops: str, words: str) -> str:
    """Return shapes that stand for crops; ``crops``: a filter of the page's table of crops, which makes them a link."""
    return f'<g data-filter="{escape(crops)}" data-words="{escape(words)}">{"".join(shapes)}</g>'


def press_area(top: float, height: float) -> str:
    """Return an invisible row, so that all of it can be pressed."""
    return f'<rect class="hit" x="0" y="{top:g}" width="100%" height="{height:g}" fill="none"/>'


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start", bold: bool = False) -> str:
    """Return words at ``x`` per cent; with ``anchor="auto"`` centred, or towards the middle near the edges."""
    if anchor == "auto":
        anchor = "start" if x < LABEL_EDGE else "end" if x > 100 - LABEL_EDGE else "middle"
    colour = CLASS_COLOURS.get(kind, "currentColor")
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text class="t-{kind or "plain"}" x="{x:.3f}%" y="{y:g}" text-anchor="{anchor}" fill="{colour}"{weight}>'
        f"{escape(words)}</text>"
    )


def rect(x0: float, x1: float, y: float, height: float, kind: str, more: str = "") -> str:
    """Return a bar between two places in per cent, at least a hair wide."""
    left, wide = min(x0, x1), max(abs(x1 - x0), 0.15)
    return (
        f'<rect class="f-{kind}" x="{left:.3f}%" y="{y:g}" width="{wide:.3f}%" height="{height:g}" '
        f'fill="{CLASS_COLOURS[kind]}"{more}/>'
    )


def line(x0: float, y0: float, x1: float, y1: float, kind: str, width: float = 1.0, dash: str = "") -> str:
    """Return a line; x in per cent, y in pixels."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line class="s-{kind}" x1="{x0:.3f}%" y1="{y0:g}" x2="{x1:.3f}%" y2="{y1:g}" stroke="{CLASS_COLOURS[kind]}" '
        f'stroke-width="{width:g}"{dashed}/>'
    )


def whisker(scale: Axis, low: float | None, high: float | None, y: float) -> list[str]:
    """Return bounds as a line with ends, nothing where they are undefined."""
    if low is None or high is None:
        return []
    x0, x1 = scale.at(low), scale.at(high)
    return [line(x0, y, x1, y, "mark", 1.5), *(line(x, y - 4, x, y + 4, "mark", 1.5) for x in (x0, x1))]


def dot(x: float, y: float, kind: str, radius: float = 5.0) -> str:
    """Return a point at ``x`` per cent."""
    return f'<circle class="f-{kind}" cx="{x:.3f}%" cy="{y:g}" r="{radius:g}" fill="{CLASS_COLOURS[kind]}"/>'


def number_text(value: float | None) -> str:
    """Return a value with three digits.

    >>> number_text(0.1), number_text(None)
    ('0.100', 'undefined')
    """
    return digits(value).replace("-", "−")  # noqa: RUF001  (a minus as wide as a plus)


def bounded_text(value: float | None, low: float | None = None, high: float | None = None) -> str:
    """Return a value and, where they are known, its bounds."""
    return f"{number_text(value)}{bounds_text(low, high)}".replace("-", "−")  # noqa: RUF001
