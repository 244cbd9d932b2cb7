"""The calm look of matplotlib's figures, few lines and small type, and what several of them draw."""

from typing import TYPE_CHECKING

import numpy as np

from pytest_cropdet.errors import CropdetError
from pytest_cropdet.figures.style import MUTED
from pytest_cropdet.geometry import Corners, Crop, Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FONT", "add_box", "calm", "new_figure", "with_outside_dark"]

FONT = 8.0  # points
OUTSIDE = 0.55  # brightness of what the window leaves out


def calm(axes: "Axes", title: str) -> None:
    """Give axes a title at the left and take away what says nothing."""
    axes.set_title(title, fontsize=FONT + 1, loc="left")
    axes.tick_params(labelsize=FONT, length=2, color=MUTED)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure, in inches; without matplotlib ``CropdetError`` says how to install it."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise CropdetError(f"a plot needs matplotlib ({error}): pip install 'pytest-cropdet[plot]'") from error
    return Figure(figsize=(width, height), dpi=120)


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
