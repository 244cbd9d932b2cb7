"""The figure of the benchmark: AP of crops and of their references by severity, a panel a family."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_cropdet.errors import CropdetError
from pytest_cropdet.evaluation import bounds_text, digits
from pytest_cropdet.figures.canvas import FONT, calm, new_figure, root_figure
from pytest_cropdet.figures.style import GROUP_COLOURS, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw_benchmark"]

STRESS = {
    "random": "all at once",
    "tile": "cuts, scale",
    "object": "context",
    "edge": "truncation",
    "shift": "position",
}


def draw_benchmark(benchmark: Mapping[str, Any], title: str = "", ax: "Axes | None" = None) -> "Figure":
    """Return the figure of a benchmark; the argument is ``benchmark`` of its record in the JSON.

    Lines are AP of crops with one-sided bounds, and of the whole image on the same objects; the bar beside ``shift``
    reaches from the worst to the best shift of each image. ``CropdetError`` where no family has been measured.
    """
    families = benchmark["families"]
    if not families:
        raise CropdetError("the benchmark has no family to draw: no window was cut")
    width = 2.3 * len(families) + 0.7
    figure = new_figure(width, 3.4, ax)
    panels = figure.subplots(1, len(families), sharey=True, squeeze=False)[0]
    figure.subplots_adjust(left=0.65 / width, right=0.985, top=0.76, bottom=0.2, wspace=0.1)
    for axes, family in zip(panels, families, strict=True):
        name = family["family"]
        _draw_family(axes, [cell for cell in benchmark["cells"] if cell["family"] == name])
        calm(axes, f"{name}: {STRESS[name]}" if name in STRESS else name)
        ratio = family["ratio"]["value"]
        if ratio is not None:
            place = {"transform": axes.transAxes, "ha": "right", "va": "bottom", "fontsize": FONT, "color": MUTED}
            axes.text(0.98, 0.02, f"{ratio:.0%} of the reference", **place)
        if name == "shift" and benchmark["shifts"] is not None:
            _draw_shifts(axes, benchmark["shifts"])
    most = max([0.05, *_values(benchmark)])
    panels[0].set_ylim(0, 1.12 * most)
    panels[0].set_ylabel(benchmark["metric"], fontsize=FONT)
    jitter = benchmark["jitter"]["detections"]["value"]
    whole = benchmark["whole"]["value"]
    if whole is not None and jitter is not None:
        for axes in panels:
            axes.axhspan(whole - jitter, whole, color="#EEEEEE", zorder=0, linewidth=0)
    figure.suptitle(_headline(benchmark, title), x=0.012, ha="left", fontsize=FONT + 2)
    _add_legend(figure)
    return root_figure(figure)


def _headline(benchmark: Mapping[str, Any], title: str) -> str:
    numbers = [f"{name} {_bounded(benchmark[key])}" for name, key in (("mPC", "mpc"), ("rPC", "rpc"))]
    about = f"{benchmark['definition']} {benchmark['mode']}, {benchmark['images']} images"
    return "   ".join(filter(None, [title, *numbers, about]))


def _bounded(number: Mapping[str, float | None]) -> str:
    return f"{digits(number['value'])}{bounds_text(number['low'], number['high'])}"


def _values(benchmark: Mapping[str, Any]) -> list[float]:
    numbers = [cell[side][end] for cell in benchmark["cells"] for side in ("reference", "crop") for end in cell[side]]
    numbers += [benchmark["whole"]["value"], *((benchmark["shifts"] or {}).get(end) for end in ("worst", "best"))]
    return [value for value in numbers if value is not None]


def _draw_family(axes: "Axes", cells: Sequence[Mapping[str, Any]]) -> None:
    axes.set_xlim(0.5, 5.9)
    axes.set_xticks(range(1, 6))
    axes.set_xlabel("severity", fontsize=FONT)
    axes.yaxis.grid(visible=True, color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)
    shown = [cell for cell in cells if cell["crop"]["value"] is not None]
    severities = [cell["severity"] for cell in shown]
    for side, colour in (("reference", GROUP_COLOURS["whole"]), ("crop", GROUP_COLOURS["crop"])):
        values = [cell[side]["value"] for cell in shown]
        axes.plot(severities, values, "o-", color=colour, markersize=4, linewidth=1.4)
    for cell in shown:
        if cell["crop"]["low"] is not None:
            ends = [cell["crop"]["low"], cell["crop"]["high"]]
            axes.plot([cell["severity"]] * 2, ends, color=GROUP_COLOURS["crop"], linewidth=1.0)


def _draw_shifts(axes: "Axes", shifts: Mapping[str, Any]) -> None:
    if shifts["worst"] is not None and shifts["best"] is not None:
        axes.plot([5.55, 5.55], [shifts["worst"], shifts["best"]], color="black", linewidth=3, solid_capstyle="butt")


def _add_legend(figure: "Figure | SubFigure") -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=GROUP_COLOURS["crop"], marker="o", markersize=4, label="crops, with one-sided bounds"),
        Line2D([], [], color=GROUP_COLOURS["whole"], marker="o", markersize=4, label="whole image, same objects"),
        Line2D([], [], color="black", linewidth=3, label="worst to best shift of each image"),
        Patch(color="#EEEEEE", label="whole images, down to a 1 px error of boxes"),
    ]
    figure.legend(handles=handles, loc="lower left", ncols=4, frameon=False, fontsize=FONT, borderaxespad=0.4)
