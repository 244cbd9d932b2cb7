"""The figure of the chain: a waterfall from the AP of whole images to that of crops, step by step, with bounds."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_cropdet.errors import CropdetError
from pytest_cropdet.figures.canvas import FONT, calm, new_figure, root_figure
from pytest_cropdet.figures.rows import step_rows
from pytest_cropdet.figures.style import GROUP_COLOURS, MUTED, STEP_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_steps"]

UNSURE = "#BBBBBB"


def draw_steps(
    steps: Sequence[Mapping[str, Any]],
    ap: Mapping[str, float | None],
    metric: str,
    placebo: Mapping[str, Any] | None = None,
    ax: "Axes | None" = None,
) -> "Figure":
    """Return the waterfall; the arguments are ``steps`` of a run's JSON, and ``ap`` and ``placebo`` of its chain.

    A step that is not distinguishable is gray. ``CropdetError`` where a step is undefined.
    """
    whole, crop = ap["whole"], ap["crop"]
    rows = step_rows(steps, whole, crop)
    if rows is None or whole is None or crop is None:
        raise CropdetError("the steps are undefined: no category has scored objects in enough images")
    figure = new_figure(8.0, 3.3, ax)
    axes = figure.add_axes((0.2, 0.2, 0.77, 0.69))
    names = ["whole image", *(row.phrase for row in rows), "crop"]
    _add_bar(axes, 0, 0.0, whole, GROUP_COLOURS["whole"], f"{whole:.3f}")
    for place, row in enumerate(rows, 1):
        colour = STEP_COLOURS[row.name] if row.distinguishable else UNSURE
        note = "" if row.distinguishable else "  no clear effect"
        _add_bar(axes, place, row.before, row.after, colour, f"{row.lost:.3f}{note}")
        if row.after_bounds is not None:
            axes.plot(row.after_bounds, [place, place], color="black", linewidth=1.0)
            for bound in reversed(row.after_bounds):
                axes.plot([bound] * 2, [place - 0.12, place + 0.12], color="black", linewidth=1.0)
        axes.plot([row.after, row.after], [place - 0.4, place + 1.4], color=MUTED, linewidth=0.6, linestyle=":")
    _add_bar(axes, len(steps) + 1, 0.0, crop, GROUP_COLOURS["crop"], f"{crop:.3f}")
    axes.set_yticks(range(len(names)), names, fontsize=FONT + 1)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.25 * max(value for value in ap.values() if value is not None))
    calm(axes, f"{metric} lost by each step (negative: gained)")
    axes.tick_params(axis="y", length=0, labelsize=FONT + 1)
    bounds = "lines: one-sided 95 % bounds from the same resamples of the source images"
    if placebo is not None and placebo["value"] is not None:
        bounds += f"\neffect of the fill alone: {placebo['value']:.3f} (background only, no object near)"
    figure.text(0.2, 0.015, bounds, fontsize=FONT - 1, color=MUTED)
    return root_figure(figure)


def _add_bar(axes: "Axes", row: int, start: float, end: float, colour: str, text: str) -> None:
    axes.barh(row, end - start, left=start, height=0.6, color=colour)
    axes.annotate(
        text,
        (max(start, end), row),
        xytext=(34, 0),
        textcoords="offset points",
        va="center",
        fontsize=FONT,
        color="#333333",
    )
