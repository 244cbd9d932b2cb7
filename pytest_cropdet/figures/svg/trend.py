"""The drop of a gate over time as SVG: points with bounds by verdict, limits, and where it became larger."""

from collections.abc import Iterator
from html import escape

from pytest_cropdet.figures.style import CLASS_COLOURS, shorten
from pytest_cropdet.figures.svg.shapes import Axis, Svg, bounded_text, chart, line, rect, text
from pytest_cropdet.figures.trend_panel import FEW_POINTS, TrendPanel, TrendPoint, named_places

__all__ = ["trend_chart", "trend_legend"]

_TOP, _HEIGHT = 26.0, 190.0  # px of the plot
_LABELS, _LONGEST_LABEL = 6, 12
_KINDS = {"pass": "gain", "fail": "loss", "error": "loss", "undecided": "unsure", "none": "muted"}
_LEGEND = {
    "pass": ("gain", "circle: pass"),
    "fail": ("loss", "square: fail"),
    "error": ("loss", "square: test failed"),
    "undecided": ("unsure", "diamond: undecided"),
    "none": ("muted", "small circle: not judged"),
}


def trend_chart(panel: TrendPanel) -> Svg:
    """Return the chart, the oldest measurement at the left; each point says its commit, numbers and verdict."""
    across = Axis(-0.5, max(0.5, len(panel.points) - 0.5), margin=4.5)
    up = Axis.around(panel.values, 0.02, margin=4.0)

    def y(value: float) -> float:
        return _TOP + _HEIGHT * (1 - up.at(value) / 100)

    shapes, few = list[str](), len(panel.points) <= FEW_POINTS
    last = len(panel.points)
    for first, until in panel.larger:
        start, end = across.at(first - 0.5), across.at((last if until is None else until) - 0.5)
        shapes.append(rect(start, end, _TOP, _HEIGHT, "loss", ' fill-opacity="0.12"'))
        shapes.append(line(start, _TOP - 4, start, _TOP + _HEIGHT, "limit", 1.5))
    for tick in up.ticks():
        shapes.append(line(0, y(tick), 100, y(tick), "rule", 1, "" if tick == 0 else "1 3"))
        shapes.append(text(0, y(tick) - 3, f"{tick:g}", "muted"))
    for place, why in panel.breaks.items():
        x = across.at(place - 0.5)
        shapes += [line(x, _TOP - 4, x, _TOP + _HEIGHT, "muted", 1.2, "5 4"), text(x, _TOP - 8, why, "muted", "auto")]
    for place, point in enumerate(panel.points):
        if point.limit is not None:
            at = y(point.limit)
            shapes.append(line(across.at(place - 0.5), at, across.at(place + 0.5), at, "limit", 1.6, "2 2"))
    for place, (point, after) in enumerate(zip(panel.points, panel.points[1:], strict=False)):
        if place + 1 not in panel.breaks and point.value is not None and after.value is not None:
            shapes.append(line(across.at(place), y(point.value), across.at(place + 1), y(after.value), "muted", 1.2))
    for place, point in enumerate(panel.points):
        if point.low is not None and point.high is not None:
            x = across.at(place)
            shapes.append(line(x, y(point.low), x, y(point.high), "mark", 1.4 if few else 0.5))
        if point.value is not None:
            shapes.append(_mark(across.at(place), y(point.value), point, 1.0 if few else 0.45))
    shapes += _names(panel, across)
    told = "; ".join(map(_words, panel.points))
    return chart(f"The drop of {panel.metric} of {panel.title} over time", told, _TOP + _HEIGHT + 42, shapes)


def trend_legend(panel: TrendPanel) -> tuple[tuple[str, str], ...]:
    """Return what the signs in a chart are, those that it has: ``(class, words)``."""
    there = {point.verdict for point in panel.points}
    found = [each for verdict, each in _LEGEND.items() if verdict in there]
    if any(point.limit is not None for point in panel.points):
        found.append(("limit", "dotted line: limit"))
    return (*found, *((("crop", "shaded: larger than before"),) if panel.larger else ()))


def _names(panel: TrendPanel, across: Axis) -> Iterator[str]:
    first = {each for each, _ in panel.larger}
    for place in named_places(panel, _LABELS):
        point, x, foot = panel.points[place], across.at(place), _TOP + _HEIGHT
        is_first = place in first
        yield line(x, foot, x, foot + 5, "limit" if is_first else "rule", 1.5)
        label = shorten(point.label, _LONGEST_LABEL)
        yield text(x, foot + 20, label, "limit" if is_first else "", "auto", bold=is_first)
        if label != point.day:
            yield text(x, foot + 36, point.day, "muted", "auto")


def _mark(x: float, y: float, point: TrendPoint, scale: float) -> str:
    """Return the sign of a verdict at ``x`` per cent, ``y`` pixels."""
    kind = _KINDS.get(point.verdict, "muted")
    shape = {
        "fail": '<rect x="-5" y="-5" width="10" height="10"/>',
        "error": '<rect x="-5" y="-5" width="10" height="10"/>',
        "undecided": '<path d="M0 -7L7 0L0 7L-7 0Z"/>',
    }.get(point.verdict, '<circle r="4"/>' if kind == "muted" else '<circle r="5.5"/>')
    sized = shape if scale == 1 else f'<g transform="scale({scale:g})">{shape}</g>'
    return (
        f'<svg class="f-{kind}" x="{x:.3f}%" y="{y:g}" overflow="visible" fill="{CLASS_COLOURS[kind]}">'
        f"<title>{escape(_words(point))}</title>{sized}</svg>"
    )


def _words(point: TrendPoint) -> str:
    when = point.label if point.label == point.day else f"{point.label}, {point.day}"
    limit = "" if point.limit is None else f", limit {point.limit:.3f}"
    return f"{when}: {bounded_text(point.value, point.low, point.high)}{limit}, {point.verdict}"
