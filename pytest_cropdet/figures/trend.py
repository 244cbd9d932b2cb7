"""The picture of a history: the drop of each gate over time, with bounds, limits and verdicts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_cropdet.figures.canvas import FONT, calm, new_figure, root_figure
from pytest_cropdet.figures.style import GREEN, MUTED, ORANGE, VERMILION, shorten
from pytest_cropdet.figures.trend_panel import FEW_POINTS, TrendPanel, named_places

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw_trend"]

_WIDTH, _PANEL, _HEAD, _FOOT = 9.0, 2.3, 0.15, 0.45  # inches
_LABELS = 7  # commits that are named below a panel
_LONGEST_LABEL, _LONGEST_TITLE = 14, 100  # letters
_MARKS = {  # of verdicts: shape, colour, filled
    "pass": ("o", GREEN, True),
    "fail": ("s", VERMILION, True),
    "undecided": ("D", ORANGE, False),
    "error": ("X", "#333333", True),
    "none": ("o", MUTED, False),
}
_NAMES = {"none": "not judged", "error": "test failed"}


def draw_trend(panels: Sequence[TrendPanel], ax: "Axes | None" = None) -> "Figure":
    """Return a figure with a panel for each gate, the oldest measurement at the left."""
    count = max(1, len(panels))
    height = count * (_PANEL + 0.75) + _HEAD + _FOOT
    figure = new_figure(_WIDTH, height, ax)
    for place, panel in enumerate(panels):
        bottom = height - _HEAD - (place + 1) * (_PANEL + 0.75) + 0.45
        axes = figure.add_axes((0.75 / _WIDTH, bottom / height, (_WIDTH - 1.2) / _WIDTH, _PANEL / height))
        _draw_panel(axes, panel)
    _add_legend(figure, panels)
    return root_figure(figure)


def _draw_panel(axes: "Axes", panel: TrendPanel) -> None:
    calm(axes, "")
    axes.set_title(shorten(panel.title, _LONGEST_TITLE), fontsize=FONT + 1, loc="left", parse_math=False)
    axes.set_ylabel(f"drop of {panel.metric}", fontsize=FONT)
    last = len(panel.points) - 1
    axes.set_xlim(-0.5, last + 0.5)
    low, high = min(panel.values), max(panel.values)
    room = max(high - low, 0.02)
    axes.set_ylim(low - 0.06 * room, high + 0.14 * room)
    axes.grid(axis="y", color=MUTED, alpha=0.2, linewidth=0.6)
    axes.axhline(0.0, color=MUTED, linewidth=0.6)
    for first, until in panel.larger:
        end = last + 0.5 if until is None else until - 0.5
        axes.axvspan(first - 0.5, end, color=VERMILION, alpha=0.10, linewidth=0, gid="larger")
        axes.axvline(first - 0.5, color=VERMILION, linewidth=1.0, gid="first-larger")
    for place, why in panel.breaks.items():
        axes.axvline(place - 0.5, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), gid="break")
        axes.text(
            place - 0.45, 0.98, why, fontsize=FONT - 1, color=MUTED, va="top", transform=axes.get_xaxis_transform(),
            parse_math=False,
        )  # fmt: skip
    _draw_limits(axes, panel)
    _draw_points(axes, panel)
    _name_commits(axes, panel)


def _draw_limits(axes: "Axes", panel: TrendPanel) -> None:
    for place, point in enumerate(panel.points):
        if point.limit is not None:
            axes.plot(
                [place - 0.5, place + 0.5], [point.limit] * 2, color="#333333", linewidth=1.2, linestyle=(0, (1, 1))
            )


def _draw_points(axes: "Axes", panel: TrendPanel) -> None:
    few = len(panel.points) <= FEW_POINTS
    for place, (point, after) in enumerate(zip(panel.points, [*panel.points[1:], None], strict=True)):
        if after is not None and place + 1 not in panel.breaks and point.value is not None and after.value is not None:
            axes.plot([place, place + 1], [point.value, after.value], color=MUTED, linewidth=0.9, zorder=2)
        if point.low is not None and point.high is not None:
            axes.plot(
                [place] * 2, [point.low, point.high], color=MUTED, linewidth=1.4 if few else 0.5, zorder=2, gid="bounds"
            )
        if point.value is None:
            axes.text(place, 0.02, "undefined", fontsize=FONT - 1, color=MUTED, rotation=90, ha="center", va="bottom",
                      transform=axes.get_xaxis_transform())  # fmt: skip
            continue
        shape, colour, filled = _MARKS.get(point.verdict, _MARKS["none"])
        size = 6.0 if few else 2.5
        axes.plot(
            [place], [point.value], marker=shape, markersize=size, markeredgecolor=colour, markeredgewidth=1.4,
            markerfacecolor=colour if filled else "white", linestyle="none", zorder=3, gid=point.verdict,
        )  # fmt: skip


def _name_commits(axes: "Axes", panel: TrendPanel) -> None:
    places = named_places(panel, _LABELS)
    axes.set_xticks(places)
    first = {each for each, _ in panel.larger}
    for place, label in zip(places, axes.set_xticklabels([_label(panel, each) for each in places]), strict=True):
        label.set_parse_math(False)
        if place in first:
            label.set_color(VERMILION)
            label.set_fontweight("bold")


def _label(panel: TrendPanel, place: int) -> str:
    point = panel.points[place]
    label = shorten(point.label, _LONGEST_LABEL)
    return label if label == point.day else f"{label}\n{point.day}"


def _add_legend(figure: "Figure | SubFigure", panels: Sequence[TrendPanel]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    there = {point.verdict for panel in panels for point in panel.points}
    handles: list[Line2D | Patch] = []
    for verdict, (shape, colour, filled) in _MARKS.items():
        if verdict in there:
            face = colour if filled else "white"
            handles.append(
                Line2D([], [], marker=shape, color=colour, markerfacecolor=face, linestyle="none", markersize=6,
                       label=_NAMES.get(verdict, verdict))
            )  # fmt: skip
    handles.append(Line2D([], [], color=MUTED, linewidth=1.4, label="bounds"))
    if any(point.limit is not None for panel in panels for point in panel.points):
        handles.append(Line2D([], [], color="#333333", linestyle=(0, (1, 1)), label="limit"))
    if any(panel.larger for panel in panels):
        handles.append(Patch(color=VERMILION, alpha=0.2, label="clearly larger than before"))
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=FONT)
