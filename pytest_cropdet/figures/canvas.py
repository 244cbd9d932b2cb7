"""The calm look of the figures: colours that the colour-blind can tell apart (Okabe and Ito), few lines, small type."""

from typing import TYPE_CHECKING

from pytest_cropdet.errors import CropdetError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FONT", "GROUP_COLOURS", "MUTED", "STEP_COLOURS", "calm", "new_figure"]

FONT = 8.0  # points
MUTED = "#767676"
STEP_COLOURS = {"context": "#56B4E9", "cut": "#E69F00", "position": "#CC79A7", "scale": "#009E73"}
GROUP_COLOURS = {"whole": "#0072B2", "crop": "#D55E00", "training": "#333333"}


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
