"""The picture of a remap's mistake: the image with the window, and the window with expected and returned boxes.

It is drawn with matplotlib's objects alone, without pyplot, so it changes no backend and no open figure.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_cropdet.figures import new_figure, root_figure
from pytest_cropdet.geometry import has_sides
from pytest_cropdet.invariants.remap_errors import RemapError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_remap"]

EXPECTED, GOT = "#009E73", "#D55E00"  # the colour-blind can tell them apart (Okabe and Ito)


def draw_remap(error: RemapError, ax: "Axes | None" = None) -> "Figure":
    """Return a figure of the smallest case of ``error``: ``draw_remap(error).savefig("mistake.png")``.

    Left the image with its boxes and the window, right the window: what is expected, and dashed what was returned.
    """
    case, figure = error.case, new_figure(8, 4, ax)
    if ax is None:
        root_figure(figure).set_layout_engine("constrained")
    whole, window = figure.subplots(1, 2)
    crop = case.crop
    _show(whole, case.image, f"image, {case.width} x {case.height}")
    _add(whole, case.rows, "white", "object", "-")
    _add(whole, [(crop.left, crop.top, crop.right, crop.bottom)], "yellow", "window", "-")
    _show(window, crop.of(case.image), f"{crop!r}")
    _add(window, case.expected[has_sides(case.expected)], EXPECTED, "expected", "-")
    if error.answer is not None:
        _add(window, error.answer.boxes, GOT, "got", "--")
    figure.suptitle(f"{type(error).__name__}: {error.summary}", fontsize=10)
    figure.legend(
        loc="outside lower center" if ax is None else "lower center",
        ncols=4,
        frameon=False,
        fontsize=9,
        labelcolor="black",
    )
    return root_figure(figure)


def _show(axes: "Axes", pixels: Any, title: str) -> None:
    height, width = pixels.shape[:2]
    axes.imshow(np.asarray(pixels) // 2 + 40, extent=(0, width, height, 0))
    axes.set_title(title, fontsize=9)


def _add(axes: "Axes", boxes: Iterable[Any], colour: str, name: str, style: str) -> None:
    from matplotlib.patches import Rectangle

    for place, (x0, y0, x1, y1) in enumerate(boxes):
        axes.add_patch(
            Rectangle(
                (x0, y0),
                x1 - x0,
                y1 - y0,
                fill=False,
                edgecolor=colour,
                linewidth=2,
                linestyle=style,
                clip_on=False,
                label=name if place == 0 else None,
            )
        )
