"""The figure of one crop's chain: what the detector sees in each rendering, and what it finds there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_cropdet.figures.canvas import FONT, add_box, new_figure, root_figure
from pytest_cropdet.figures.style import GREEN, VERMILION, YELLOW
from pytest_cropdet.geometry import Bools, Boxes, Crop, Floats, Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["RenderingPanel", "draw_renderings"]

FOUND, LOST, OTHER = GREEN, VERMILION, YELLOW
RENDERING_TITLES = {
    "whole": "whole image",
    "context": "context taken away",
    "cut": "objects cut",
    "moved": "moved to the corner",
    "crop": "crop",
}
PICTURE_HEIGHT = 2.3  # inches of an image
PANEL_ROW_HEIGHT = PICTURE_HEIGHT + 0.31  # with its title
IN_A_ROW, PANEL_GAP, LEAST_PANEL_WIDTH = 3, 0.15, 5.0  # images; inches between them; inches that title and legend need


@dataclass(frozen=True, eq=False)
class RenderingPanel:
    """One rendering of a crop: its pixels, where the window lies in them, and what was found in the window.

    ``found``: (k,) of the scored objects. ``boxes``: (d, 4) confident detections in the window's frame, ``scores`` and
    ``right`` (d,): whether each matches a scored object.
    """

    pixels: Image
    window: tuple[int, int]
    found: Bools
    boxes: Boxes
    scores: Floats
    right: Bools
    labels: tuple[str, ...]


def draw_renderings(
    crop: Crop, objects: Boxes, seen: Mapping[str, RenderingPanel], title: str, ax: "Axes | None" = None
) -> "Figure":
    """Return the images of ``seen``, three in a row; ``objects``: (k, 4) the scored objects in the window's frame.

    Solid boxes are detections, right or wrong; a dashed box is an object that was not found.
    """
    from matplotlib.lines import Line2D

    names = list(seen)
    lines = [names[start : start + IN_A_ROW] for start in range(0, len(names), IN_A_ROW)]
    widths = {name: PICTURE_HEIGHT * each.pixels.shape[1] / each.pixels.shape[0] for name, each in seen.items()}
    widest = max(sum(widths[name] + PANEL_GAP for name in line) for line in lines)
    wide, high = max(widest + PANEL_GAP, LEAST_PANEL_WIDTH), PANEL_ROW_HEIGHT * len(lines) + 0.64
    figure = new_figure(wide, high, ax)
    for place, line in enumerate(lines):
        left, bottom = PANEL_GAP, 0.36 + PANEL_ROW_HEIGHT * (len(lines) - 1 - place)
        for name in line:
            axes = figure.add_axes((left / wide, bottom / high, widths[name] / wide, PICTURE_HEIGHT / high))
            left += widths[name] + PANEL_GAP
            _show(axes, seen[name], crop, objects, RENDERING_TITLES.get(name, name))
    figure.suptitle(title, fontsize=FONT + 2, x=PANEL_GAP / wide, ha="left")
    keys: dict[str, tuple[str, Any]] = {
        "found": (FOUND, "-"),
        "not found": (LOST, "--"),
        "another label, or nothing there": (OTHER, "-"),
    }
    figure.legend(
        handles=[Line2D([], [], color=colour, linestyle=line, label=text) for text, (colour, line) in keys.items()],
        loc="lower center",
        ncols=len(keys),
        frameon=False,
        fontsize=FONT,
    )
    return root_figure(figure)


def _show(axes: "Axes", seen: RenderingPanel, crop: Crop, objects: Boxes, title: str) -> None:
    axes.imshow(seen.pixels)
    axes.set_axis_off()
    axes.set_title(f"{title}: {int(seen.found.sum())} of {len(objects)} found", fontsize=FONT + 1, loc="left")
    dx, dy = seen.window
    if seen.pixels.shape[:2] != (crop.height, crop.width):
        add_box(axes, (dx, dy, dx + crop.width, dy + crop.height), "white", "window", width=0.8)
    scale = seen.pixels.shape[0] / PICTURE_HEIGHT  # px an inch
    for box in objects[~seen.found]:
        add_box(axes, _moved(box, dx, dy), LOST, "not found", "--", 1.2)
    for box, score, right, label in zip(seen.boxes, seen.scores, seen.right, seen.labels, strict=True):
        colour = FOUND if right else OTHER
        place = _moved(box, dx, dy)
        add_box(axes, place, colour, "found" if right else "wrong", width=1.2)
        if not right and place[2] - place[0] > 0.25 * scale:
            text = f"{label} {score:.2f}"
            at_right = place[0] > 0.6 * seen.pixels.shape[1]  # there the text ends with the box, or it would be cut
            axes.text(
                min(place[2], seen.pixels.shape[1]) if at_right else place[0],
                place[1] - 0.02 * scale,
                text,
                fontsize=FONT - 2,
                color="black",
                va="bottom",
                ha="right" if at_right else "left",
                clip_on=True,
                parse_math=False,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": colour, "edgecolor": "none", "alpha": 0.9},
            )


def _moved(box: Floats, dx: int, dy: int) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box.tolist()
    return x0 + dx, y0 + dy, x1 + dx, y1 + dy
