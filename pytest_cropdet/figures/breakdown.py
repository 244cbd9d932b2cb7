"""The figure of where crops cost: the share of objects lost by visible fraction, distance, size, category and place."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_cropdet.figures.canvas import FONT, calm, new_figure, root_figure
from pytest_cropdet.figures.rows import bins_with_objects, loss_shares, most_lost_first
from pytest_cropdet.figures.style import MUTED, QUANTITY_NAMES, STEP_COLOURS, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw_where"]

PANELS = ("visibility", "distance_to_cut", "distance_to_cut_relative", "distance_to_border", "size")
CATEGORY_BARS = 16
LONGEST_BIN = 16  # letters of a category's name
PLAIN = "#9CB8CC"  # the bar where no step is known


def draw_where(where: Mapping[str, Any], ax: "Axes | None" = None) -> "Figure":
    """Return the figure of ``Where.to_dict()``, as it stands in the JSON of a run.

    Bars are shares of the objects of a bin: found in the whole image less found in the crop, split into steps where
    they are known. The point is their sum with its bounds, the diamond the drop in AP.
    """
    figure = new_figure(14.5, 7.6, ax)
    grid = figure.add_gridspec(
        2, 4, left=0.075, right=0.985, top=0.90, bottom=0.13, wspace=0.52, hspace=0.34, width_ratios=(1, 1, 1, 1.05)
    )
    ranked = most_lost_first(where["category"])
    categories, left_out = ranked[:CATEGORY_BARS], max(0, len(ranked) - CATEGORY_BARS)
    shown = {name: bins_with_objects(where[name]) for name in PANELS}
    limits = _limits([each for bins in (*shown.values(), categories) for each in bins])
    for place, name in enumerate(PANELS):
        _draw_bins(figure.add_subplot(grid[divmod(place, 3)]), shown[name], QUANTITY_NAMES[name], limits)
    title = f"category ({left_out} more lose less)" if left_out else "category"
    _draw_bins(figure.add_subplot(grid[:, 3]), categories, title, limits)
    _draw_map(figure.add_subplot(grid[1, 2]), where["map"])
    figure.suptitle("Where crops lose objects", x=0.012, ha="left", fontsize=FONT + 4)
    _add_legend(figure, bool(next((each["steps"] for each in categories), None)))
    return root_figure(figure)


def _limits(bins: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return one range for all panels, so that bars can be compared from panel to panel."""
    ends = [0.0, 0.05]
    for each in bins:
        steps = [step["value"] for step in each["lost_steps"].values() if step["value"] is not None]
        ends += [sum(value for value in steps if value < 0), sum(value for value in steps if value > 0)]
        ends += [value for value in (each["drop"], *each["lost"].values()) if value is not None]
    margin = 0.04 * (max(ends) - min(ends))
    return min(ends) - margin, max(ends) + margin


def _draw_bins(axes: "Axes", bins: Sequence[Mapping[str, Any]], title: str, limits: tuple[float, float]) -> None:
    calm(axes, title)
    axes.set_xlim(*limits)
    axes.set_ylim(max(len(bins), 1) - 0.4, -0.6)
    axes.set_yticks(range(len(bins)), [f"{shorten(each['label'], LONGEST_BIN)}\n" for each in bins])
    axes.tick_params(axis="y", length=0)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.xaxis.grid(visible=True, color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)
    for row, each in enumerate(bins):
        left = axes.get_yaxis_transform()
        size = f"{each['objects']:,} in {each['images']:,}"
        axes.text(-0.03, row + 0.2, size, transform=left, ha="right", va="center", fontsize=FONT - 2, color=MUTED)
        _draw_bin(axes, row, each)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.2g}")


def _draw_bin(axes: "Axes", row: int, each: Mapping[str, Any]) -> None:
    lost = each["lost"]
    if lost["value"] is None:
        axes.text(0, row, " too few", ha="left", va="center", fontsize=FONT - 1, color=MUTED)
        return
    if each["lost_steps"]:
        ends = {True: 0.0, False: 0.0}
        for name, step in each["lost_steps"].items():
            value = step["value"]
            axes.barh(row, value, left=ends[value > 0], height=0.62, color=STEP_COLOURS[name], linewidth=0)
            ends[value > 0] += value
    else:
        axes.barh(row, lost["value"], height=0.62, color=PLAIN, linewidth=0)
    if lost["low"] is not None:
        axes.plot([lost["low"], lost["high"]], [row, row], color="black", linewidth=1.2, solid_capstyle="butt")
    axes.plot(lost["value"], row, "o", color="black", markersize=4)
    if each["drop"] is not None:
        axes.plot(each["drop"], row, "D", markerfacecolor="white", markeredgecolor="black", markersize=4)


def _draw_map(axes: "Axes", cells: Mapping[str, Any]) -> None:
    """Draw the share lost of those found in the whole image; grey where there are too few to say."""
    share = np.array(loss_shares(cells["lost"], cells["found"]), dtype=np.float64)  # ``None`` becomes NaN
    most = max(0.1, float(np.nanmax(share))) if np.isfinite(share).any() else 1.0
    axes.set_facecolor("#EFEFEF")
    axes.imshow(share, cmap="Oranges", vmin=0, vmax=most, aspect="auto", extent=(0, 1, 1, 0))
    rows, columns = share.shape
    for (row, column), value in np.ndenumerate(share):
        if np.isfinite(value):
            x, y = (column + 0.5) / columns, (row + 0.5) / rows
            colour = "white" if value > 0.6 * most else "black"
            axes.text(x, y, f"{100 * value:.0f}", ha="center", va="center", fontsize=FONT - 1.5, color=colour)
    calm(axes, "% lost, by place in the window")
    axes.set_xticks([0.06, 0.94], ["left", "right"])
    axes.set_yticks([0.06, 0.94], ["top", "bottom"])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _add_legend(figure: "Figure | SubFigure", with_steps: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    bars = [Patch(color=colour, label=name) for name, colour in STEP_COLOURS.items()]
    handles = [
        *(bars if with_steps else [Patch(color=PLAIN, label="share of objects lost")]),
        Line2D(
            [],
            [],
            color="black",
            marker="o",
            markersize=4,
            linewidth=1.2,
            label="share lost, net, with bounds",
        ),
        Line2D([], [], color="black", marker="D", markerfacecolor="white", markersize=4, linewidth=0, label="AP lost"),
    ]
    figure.legend(
        handles=handles, loc="lower left", ncols=len(handles), frameon=False, fontsize=FONT, borderaxespad=0.8
    )
    note = "beside the bars: objects in crops, in how many source images"
    figure.text(0.985, 0.02, note, ha="right", fontsize=FONT - 1, color=MUTED)
