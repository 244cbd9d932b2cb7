"""The picture of a comparison: the whole image with the window on the left, the crop on the right.

It is drawn with matplotlib's objects alone, without pyplot, so it changes no backend and no open figure.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_cropdet.evaluation import STATES, Pair, State
from pytest_cropdet.figures.canvas import FONT, add_box, new_figure, root_figure, with_outside_dark
from pytest_cropdet.figures.style import STATE_COLOURS, shorten
from pytest_cropdet.geometry import Boxes, Corners, Crop, Floats, Image, areas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["draw_comparison"]

LETTER = 0.57 * FONT / 72  # the mean width of a letter, in inches
LINE = 1.5 * FONT / 72  # the height of a label, in inches
LONGEST_CATEGORY = 24  # letters of a category's name
SMALL_BOX = 6.0  # boxes of less than that many labels are not to be hidden
MOST_HIDDEN = 0.25  # a label that hides more than that, weighed against its own area, is cut short


class _Label(NamedTuple):
    """What is written beside a box; ``rest`` is left out in a crowd."""

    box: Corners
    state: State
    number: str
    rest: str = ""


def draw_comparison(
    image: Image, crop: Crop, pairs: Sequence[Pair], min_visibility: float, ax: "Axes | None" = None
) -> "Figure":
    """Return a figure of ``image`` (RGB uint8), ``crop`` and ``pairs``, each with its number, from 1.

    What was lost and is less visible than ``min_visibility`` is called cut away.
    """
    high, wide = image.shape[:2]
    shapes = [wide / high, crop.width / crop.height]
    height = float(np.clip(12.5 / sum(shapes), 2.5, 6.0))  # of the pictures, in inches
    widths = [float(np.clip(height * shape, 2.5, 12.5)) for shape in shapes]
    size = (sum(widths) + 0.6, height + 0.9)
    figure = new_figure(*size, ax)
    axes = [
        figure.add_axes((left / size[0], 0.5 / size[1], width / size[0], height / size[1]))
        for left, width in ((0.2, widths[0]), (0.4 + widths[0], widths[1]))
    ]
    _show(axes[0], with_outside_dark(image, crop), f"whole image, {wide} x {high}")
    _show(axes[1], crop.of(image), f"crop, {crop.width} x {crop.height} at ({crop.left}, {crop.top})")
    window = (crop.left, crop.top, crop.right, crop.bottom)
    add_box(axes[0], window, "white", "window")
    _draw_whole(axes[0], image, pairs, max(wide / widths[0], high / height))
    _draw_crop(axes[1], crop, pairs, min_visibility, max(crop.width / widths[1], crop.height / height))
    _add_legend(figure, pairs, min_visibility)
    return root_figure(figure)


def _show(axes: "Axes", pixels: Image, title: str) -> None:
    axes.imshow(pixels)
    axes.set_title(title, fontsize=FONT + 1)
    axes.set_axis_off()


def _draw_whole(axes: "Axes", image: Image, pairs: Sequence[Pair], per_inch: float) -> None:
    labels = []
    for number, pair in enumerate(pairs, 1):
        if pair.whole is not None:
            add_box(axes, pair.whole.box, STATE_COLOURS[pair.state][0], pair.state)
            labels.append(_Label(pair.whole.box, pair.state, f"{number}"))
    _add_labels(axes, labels, image.shape[1], image.shape[0], per_inch)


def _draw_crop(axes: "Axes", crop: Crop, pairs: Sequence[Pair], min_visibility: float, per_inch: float) -> None:
    labels = []
    for number, pair in enumerate(pairs, 1):
        seen = pair.sides[-1]
        cut_away = pair.is_cut_away(min_visibility)
        style = "-" if pair.crop is not None else ":" if cut_away else "--"
        add_box(axes, seen.box_in_crop, STATE_COLOURS[pair.state][0], pair.state, style)
        name = shorten(pair.category, LONGEST_CATEGORY)
        end = f"{seen.score:.2f}" if pair.crop is not None else "cut away" if cut_away else "lost"
        labels.append(_Label(seen.box_in_crop, pair.state, f"{number}", f" {name} {end}"))
    _add_labels(axes, labels, crop.width, crop.height, per_inch)


def _add_labels(axes: "Axes", labels: Sequence[_Label], width: int, height: int, per_inch: float) -> None:
    """Write labels beside their boxes, where they hide the least; in a crowd the number alone has to do.

    ``width`` and ``height`` of the picture are in pixels, of which ``per_inch`` are drawn on an inch. The last states
    come first: what is new or lost is what one looks for.
    """
    boxes = np.array([label.box for label in labels]).reshape(-1, 4)
    taken = np.zeros((0, 4))
    for label in sorted(labels, key=lambda label: -STATES.index(label.state)):
        for text in (label.number + label.rest, label.number):
            size = ((len(text) + 0.8) * LETTER * per_inch, LINE * per_inch)
            places = _places(label.box, size, width, height)
            small = boxes[areas(boxes) < SMALL_BOX * size[0] * size[1]]
            # to hide a label is much worse than to hide a box
            hidden = 4.0 * _shared(places, taken) + 0.5 * _shared(places, small)
            rect, least = places[hidden.argmin()], hidden.min()
            if least <= MOST_HIDDEN * size[0] * size[1]:
                break
        taken = np.vstack([taken, rect])
        back, letters = STATE_COLOURS[label.state]
        axes.text(
            (rect[0] + rect[2]) / 2 - 0.5,
            (rect[1] + rect[3]) / 2 - 0.5,
            text,
            fontsize=FONT,
            color=letters,
            ha="center",
            va="center_baseline",
            parse_math=False,
            bbox={"boxstyle": "square,pad=0.15", "facecolor": back, "edgecolor": "none", "alpha": 0.9},
            gid=label.state,
        )


def _places(box: Corners, size: tuple[float, float], width: float, height: float) -> Boxes:
    """Return where a label of ``size`` may stand, the best place first, all inside of the picture."""
    (left, top, right, bottom), (wide, high) = box, size
    rows = [top - high, top, bottom, bottom - high, *np.linspace(top, bottom - high, 9)]
    columns = [left, right - wide, *np.linspace(left, right - wide, 7)[1:-1]]
    y, x = np.meshgrid(rows, columns, indexing="ij")
    x = np.clip(x.ravel(), 0, max(0.0, width - wide))
    y = np.clip(y.ravel(), 0, max(0.0, height - high))
    return np.column_stack([x, y, x + wide, y + high])


def _shared(places: Boxes, others: Boxes) -> Floats:
    """Return the area that each of ``places`` shares with all of ``others``, shape (n,)."""
    low = np.maximum(places[:, None, :2], others[None, :, :2])
    high = np.minimum(places[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.maximum(high - low, 0.0).prod(axis=2).sum(axis=1))


def _add_legend(figure: "Figure | SubFigure", pairs: Sequence[Pair], min_visibility: float) -> None:
    from matplotlib.patches import Patch

    cut_away = sum(pair.is_cut_away(min_visibility) for pair in pairs)
    shown = []
    for state in STATES:
        count = sum(pair.state == state for pair in pairs)
        more = f" ({cut_away} cut away)" if state == "lost" and cut_away else ""
        if count:
            shown.append(Patch(color=STATE_COLOURS[state][0], label=f"{state} {count}{more}"))
    if shown:
        figure.legend(handles=shown, loc="lower center", ncols=len(shown), frameon=False, fontsize=FONT + 1)
