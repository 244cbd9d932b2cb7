"""The tiles of sliced inference: AP against detector calls per image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytest_cropdet.figures.canvas import FONT, calm, new_figure, root_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_tiles"]


def draw_tiles(
    rows: Sequence[tuple[str, float, float, bool, bool]], whole_ap: float, ax: "Axes | None" = None
) -> "Figure":
    """Return a figure of ways to slice: mAP against images sent to the detector per image.

    ``rows``: name, calls, AP from 0 to 1, whether it stopped early, whether it is on the Pareto front. ``whole_ap``: AP
    of one pass over the whole image.
    """
    figure = new_figure(7.2, 4.4, ax)
    axes = figure.subplots()
    front = sorted((calls, ap, name) for name, calls, ap, _, best in rows if best)
    others = [(calls, ap) for _, calls, ap, stopped, best in rows if not best and not stopped]
    gone = [(calls, ap) for _, calls, ap, stopped, _ in rows if stopped]
    axes.axhline(whole_ap, color="0.4", linestyle="--", linewidth=1, label="one pass over the whole image")
    for points, colour, marker, label in (
        (others, "#4477aa", "o", "other tiles"),
        (gone, "0.7", "x", "stopped early (fewer images)"),
    ):
        if points:
            axes.scatter(*zip(*points, strict=True), color=colour, marker=marker, label=label)
    if front:
        calls_of, ap_of = [calls for calls, _, _ in front], [ap for _, ap, _ in front]
        axes.plot(calls_of, ap_of, color="#bb5566", marker="o", label="no other has more mAP for as few calls")
    at_point: dict[tuple[float, float], list[str]] = {}
    for calls, ap, name in front:
        parts = [part for part in name.split(",") if part.startswith(("size", "overlap", "merge"))]
        at_point.setdefault((calls, ap), []).append(",".join(parts))
    for point, (first, *others_there) in at_point.items():
        text = f"{first} (and {len(others_there)} more)" if others_there else first
        axes.annotate(text, point, textcoords="offset points", xytext=(6, 5), fontsize=7)
    axes.set_xlabel("images sent to the detector per image", fontsize=FONT)
    axes.set_ylabel("mAP (IoU 0.50:0.95), uncut objects", fontsize=FONT)
    calm(axes, "Sliced inference: accuracy against cost")
    axes.margins(x=0.18, y=0.12)
    axes.legend(fontsize=7, loc="best")
    return root_figure(figure)
