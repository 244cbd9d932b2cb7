"""The calm look of matplotlib's figures, few lines and small type, and what several of them draw."""

from typing import TYPE_CHECKING

import numpy as np

from pytest_cropdet.errors import CropdetError
from pytest_cropdet.figures.style import MUTED
from pytest_cropdet.geometry import Corners, Crop, Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["FONT", "add_box", "calm", "new_figure", "root_figure", "with_outside_dark"]

FONT = 8.0  # points
OUTSIDE = 0.55  # brightness of what the window leaves out


def calm(axes: "Axes", title: str) -> None:
    """Give axes a title at the left and take away what says nothing."""
    axes.set_title(title, fontsize=FONT + 1, loc="left")
    axes.tick_params(labelsize=FONT, length=2, color=MUTED)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)


def new_figure(width: float, height: float, ax: "Axes | None" = None) -> "Figure | SubFigure":
    """Return an empty figure, in inches, or one in the place of ``ax``, which it takes.

    Without matplotlib, and for axes without a place in a grid, ``CropdetError`` says what to do.
    """
    try:
        import matplotlib.figure  # noqa: F401  (the next line imports it once a process)

        from pytest_cropdet.figures.text_figure import TextFigure
    except ImportError as error:
        raise CropdetError(f"a plot needs matplotlib ({error}): pip install 'pytest-cropdet[plot]'") from error
    if ax is None:
        return TextFigure(figsize=(width, height), dpi=120)
    place, figure = ax.get_subplotspec(), ax.figure
    if place is None or figure is None:
        raise CropdetError("ax has no place in a grid: make it by plt.subplots(...) or figure.add_subplot(...)")
    ax.remove()
    return figure.add_subfigure(place)


def root_figure(figure: "Figure | SubFigure") -> "Figure":
    """Return the figure that is written to files: itself, or the one of which it is a part."""
    return figure.figure


def with_outside_dark(image: Image, crop: Crop) -> Image:
    """Return a copy of ``image`` (RGB uint8), darker where the window leaves it out."""
    shaded = (np.arange(256) * OUTSIDE).astype(np.uint8)[image]
    crop.of(shaded)[:] = crop.of(image)
    return shaded


def add_box(
    axes: "Axes", box: Corners, colour: str, name: str, style: str = "-", width: float = 1.8, rim: float = 1.4
) -> None:
    """Draw a box, ``x0 y0 x1 y1`` in pixels, with a dark rim; ``name`` is its id in the picture."""
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    # pixel 0 is drawn from -0.5 to 0.5, boxes are measured from the pixels' edges
    corner, across, down = (box[0] - 0.5, box[1] - 0.5), box[2] - box[0], box[3] - box[1]
    patch = Rectangle(corner, across, down, fill=False, edgecolor=colour, linewidth=width, linestyle=style, gid=name)
    patch.set_path_effects([withStroke(linewidth=width + rim, foreground="black")])
    axes.add_patch(patch)
