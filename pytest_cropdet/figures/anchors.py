"""The picture of an object and its best anchors, in the frame of the whole image and in that of the crop."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from pytest_cropdet.detectors import Anchors, Frame, ResizeRule, frame_of
from pytest_cropdet.figures.canvas import add_box, new_figure, root_figure, with_outside_dark
from pytest_cropdet.figures.style import SKY, YELLOW
from pytest_cropdet.geometry import Boxes, Crop, Floats, Image, has_sides, iou

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw_anchors"]

OBJECT_COLOUR, ANCHOR_COLOUR = YELLOW, SKY
RIM = 0.9  # points by which a line is wider with its dark rim
PICTURE_FONT = 9.0  # points
HEIGHT = 4.0  # of the pictures, in inches


def draw_anchors(
    image: Image,
    crop: Crop,
    box: ArrayLike,
    anchors: Anchors,
    input_size: tuple[int, int],
    resize: str | ResizeRule = "stretch",
    count: int = 3,
    ax: "Axes | None" = None,
) -> "Figure":
    """Return a figure: the whole image with the window on the left, the crop on the right, each in its own pixels.

    ``image``: RGB uint8. ``box``: four numbers ``x0 y0 x1 y1`` in the image, yellow. The ``count`` anchors that overlap
    it most are blue, the best one thick. They are found at the model's input of ``input_size`` (width, height), where
    the crop's are others, and brought back to the frame they are drawn in. A box outside the window is a
    ``ValueError``.
    """
    whole = np.asarray(box, dtype=np.float64).reshape(1, 4)
    inside = crop.into(whole)
    if not has_sides(inside)[0]:
        raise ValueError(f"box {whole[0].tolist()} lies outside {crop}")
    high, wide = image.shape[:2]
    widths = [float(np.clip(HEIGHT * each, 2.5, 8.0)) for each in (wide / high, crop.width / crop.height)]
    size = (sum(widths) + 1.1, HEIGHT + 1.1)
    figure = new_figure(*size, ax)
    axes = [
        figure.add_axes((left / size[0], 0.65 / size[1], width / size[0], HEIGHT / size[1]))
        for left, width in ((0.45, widths[0]), (0.95 + widths[0], widths[1]))
    ]
    shaded = with_outside_dark(image, crop)
    frame = frame_of(wide, high, resize, *input_size)
    _draw_side(axes[0], shaded, "whole image", whole, *_best(whole, anchors, frame, count))
    window = (crop.left, crop.top, crop.right, crop.bottom)
    add_box(axes[0], window, "white", "window", rim=RIM)
    frame = frame_of(crop.width, crop.height, resize, *input_size)
    name = f"crop, {crop.width} x {crop.height} at ({crop.left}, {crop.top})"
    _draw_side(axes[1], crop.of(image), name, inside, *_best(inside, anchors, frame, count))
    _add_legend(figure)
    return root_figure(figure)


def _add_legend(figure: "Figure | SubFigure") -> None:
    from matplotlib.patches import Patch

    shown = {OBJECT_COLOUR: "object", ANCHOR_COLOUR: "its best anchors", "white": "window"}
    handles = [Patch(facecolor=colour, edgecolor="black", label=name) for colour, name in shown.items()]
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=PICTURE_FONT)


def _best(box: Boxes, anchors: Anchors, frame: Frame, count: int) -> tuple[Boxes, Floats]:
    """Return the anchors that overlap a box most, best first, in the frame of the box, and their IoU at the input."""
    placed = anchors.boxes(frame.input_width, frame.input_height)
    overlap = iou(frame.to_input(box), placed)[0]
    rows = np.argsort(-overlap, kind="stable")[:count]
    return frame.to_image(placed[rows]), overlap[rows]


def _draw_side(axes: "Axes", pixels: Image, name: str, box: Boxes, anchors: Boxes, overlap: Floats) -> None:
    axes.imshow(pixels)
    axes.set_title(f"{name}: best anchor IoU {overlap[0]:.2f}", fontsize=PICTURE_FONT)
    for place in reversed(range(len(anchors))):
        style, width = ("--", 1.5) if place else ("-", 2.4)
        add_box(axes, anchors[place], ANCHOR_COLOUR, "anchor", style, width, RIM)
    add_box(axes, box[0], OBJECT_COLOUR, "object", width=2.0, rim=RIM)
    axes.set_xlim(-0.5, pixels.shape[1] - 0.5)  # an anchor may reach over the border
    axes.set_ylim(pixels.shape[0] - 0.5, -0.5)
    axes.tick_params(labelsize=PICTURE_FONT - 2)
