"""The figure of the shift: what sizes, aspects and places a model meets in whole images, in crops and in training."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_cropdet.figures.canvas import FONT, calm, new_figure, root_figure
from pytest_cropdet.figures.style import GROUP_COLOURS, GROUP_NAMES, MUTED, SHIFT_NAMES, distance_name, group_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw_shift"]

DISTANCE_UNITS = {"size": "octaves", "aspect": "octaves", "objects": "objects", "x": "widths", "y": "heights"}


def draw_shift(shift: Mapping[str, Any], ax: "Axes | None" = None) -> "Figure":
    """Return the figure of ``Shift.to_dict()``, as it stands in the JSON of a run.

    Histograms are shares of the objects (of the pictures, for objects a picture); what lies outside of the usual range
    is shaded, and the last panel says what is found there.
    """
    figure = new_figure(13.0, 7.2, ax)
    grid = figure.add_gridspec(2, 3, left=0.05, right=0.985, top=0.86, bottom=0.15, wspace=0.2, hspace=0.42)
    places = {"size": (0, 0), "aspect": (0, 1), "objects": (0, 2), "x": (1, 0), "y": (1, 1)}
    for name, place in places.items():
        _draw_histogram(figure.add_subplot(grid[place]), shift, name)
    _draw_outside(figure.add_subplot(grid[1, 2]), shift)
    figure.suptitle(
        f"Objects at the model input: {', '.join(GROUP_NAMES[name] for name in shift['groups'])}",
        x=0.012,
        ha="left",
        fontsize=FONT + 4,
    )
    _add_legend(figure, shift)
    return root_figure(figure)


def _draw_histogram(axes: "Axes", shift: Mapping[str, Any], name: str) -> None:
    table = shift["histograms"][name]
    edges = np.array(table["edges"])
    for group in shift["groups"]:
        count = np.array(table[group], dtype=float)
        if count.sum():
            style: dict[str, Any] = {
                "color": GROUP_COLOURS[group],
                "linewidth": 1.6,
                "linestyle": "--" if group == "training" else "-",
            }
            axes.stairs(count / count.sum(), edges, fill=False, **style)
            if group == "crop":
                axes.stairs(count / count.sum(), edges, fill=True, color=GROUP_COLOURS[group], alpha=0.15, linewidth=0)
    split = shift["outside"].get(name)
    low, high = _shown_range(table, shift["groups"])
    axes.set_xlim(low, high)
    if split is not None:
        for ends in ((low, split["low"]), (split["high"], high)):
            if ends[0] < ends[1]:
                axes.axvspan(*ends, color="#BBBBBB", alpha=0.35, linewidth=0)
    distances = [
        f"{distance_name(pair)} {values[name]:.2f}"
        for pair, values in shift["distances"].items()
        if values[name] is not None
    ]
    unit = f" ({'input px' if shift['unit'] == 'input pixels' else 'image sides'})" if name == "size" else ""
    calm(axes, SHIFT_NAMES[name] + unit)
    far = "too few objects for a distance"
    if distances:
        far = f"Wasserstein distance, {DISTANCE_UNITS[name]}\n{',  '.join(distances)}"
    axes.text(0, -0.13, far, transform=axes.transAxes, fontsize=FONT - 1, color=MUTED, va="top", linespacing=1.4)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    if name in ("size", "aspect"):
        _name_octaves(axes, low, high)


def _shown_range(table: Mapping[str, Any], groups: Mapping[str, Any]) -> tuple[float, float]:
    """Return the range that holds all but the rarest thousandth of each group, in whole bins."""
    edges = table["edges"]
    used = []
    for group in groups:
        count = np.array(table[group], dtype=float)
        if count.sum():
            below = np.cumsum(count) / count.sum()
            used += [int(np.searchsorted(below, 0.001)), int(np.searchsorted(below, 0.999))]
    return (edges[min(used)], edges[max(used) + 1]) if used else (edges[0], edges[-1])


def _name_octaves(axes: "Axes", low: float, high: float) -> None:
    """Write powers of two at the whole numbers of a log2 axis."""
    step = max(1, int(np.ceil((high - low) / 8)))
    ticks = [tick for tick in range(int(np.ceil(low)), int(np.floor(high)) + 1) if tick % step == 0]
    axes.set_xticks(ticks, [f"{2**tick}" if tick >= 0 else f"1/{2**-tick}" for tick in ticks])


def _draw_outside(axes: "Axes", shift: Mapping[str, Any]) -> None:
    """Draw the share found in whole images and crops, inside and outside of the usual sizes and aspects."""
    base = GROUP_NAMES[shift["base"]]
    calm(axes, f"found, inside and outside of 98 % of {base}")
    split = {name: each for name, each in shift["outside"].items() if each is not None}
    axes.set_ylim(0, 1.12)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}" if value <= 1 else "")
    if not split:
        text = f"too few objects of {base} to say what is usual"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", fontsize=FONT, color=MUTED)
        axes.set_xticks([])
        return
    labels = []
    rows = [("inside", split["either"]["inside"], None)]
    rows += [(f"{name}\noutside", each["outside"], each["share"]["value"]) for name, each in split.items()]
    for place, (label, part, share) in enumerate(rows):
        ends = [("whole", next(iter(part["found"]))), ("crop", list(part["found"])[-1])]
        for offset, (group, rendering) in zip((-0.19, 0.19), ends, strict=True):
            value, ap = part["found"][rendering], part["ap"][rendering]
            if value is None:
                continue
            axes.bar(place + offset, value, width=0.36, color=GROUP_COLOURS[group], alpha=0.85)
            text = "" if ap is None else f"AP\n{ap:.2f}"
            axes.text(place + offset, 0.02, text, ha="center", va="bottom", fontsize=FONT - 1.5, color="white")
        if part["found"][ends[0][1]] is None:
            axes.text(place, 0.03, "too few", ha="center", fontsize=FONT - 1, color=MUTED)
        labels.append(label if share is None else f"{label} ({share:.0%})")
        axes.text(place, 1.03, f"{part['objects']:,} objects", ha="center", fontsize=FONT - 1, color=MUTED)
    axes.set_xticks(range(len(rows)), labels)


def _add_legend(figure: "Figure | SubFigure", shift: Mapping[str, Any]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D(
            [],
            [],
            color=GROUP_COLOURS[name],
            linewidth=2,
            linestyle="--" if name == "training" else "-",
            label=group_label(name, group),
        )
        for name, group in shift["groups"].items()
    ]
    handles.append(
        Patch(color="#BBBBBB", alpha=0.35, label=f"outside of the central 98 % of {GROUP_NAMES[shift['base']]}")
    )
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.006, 0.955), ncols=4, frameon=False, fontsize=FONT
    )
    figure.text(0.012, 0.025, "\n".join(shift["notes"]), fontsize=FONT - 1, color=MUTED, va="bottom")
