"""The figure of a chain: three images in a row, and labels that stay inside their image."""

from __future__ import annotations

import numpy as np

from pytest_cropdet.figures.renderings import RenderingPanel, draw_renderings
from pytest_cropdet.geometry import Crop

CROP = Crop(0, 0, 200, 150)
AT_RIGHT = (185.0, 60.0, 199.0, 140.0)
AT_LEFT = (1.0, 60.0, 80.0, 140.0)


def panel() -> RenderingPanel:
    """A crop in which two boxes with long labels are wrong, one at either side."""
    pixels = np.zeros((150, 200, 3), np.uint8)
    boxes = np.array([(140.0, 60.0, 199.0, 140.0), AT_LEFT])
    return RenderingPanel(
        pixels, (0, 0), np.array([False]), boxes, np.array([0.9, 0.8]), np.array([False] * 2), ("parasail sail",) * 2
    )


def test_five_renderings_are_three_in_a_row_and_labels_are_not_cut():
    names = ("whole", "context", "cut", "moved", "crop")
    figure = draw_renderings(CROP, np.array([AT_RIGHT]), {name: panel() for name in names}, "a crop")
    places = [axes.get_position() for axes in figure.axes]
    assert [round(each.y0, 6) == round(places[0].y0, 6) for each in places] == [True] * 3 + [False] * 2
    assert places[3].y1 < places[0].y0
    assert all(0 <= each.x0 < each.x1 <= 1 for each in places)
    figure.canvas.draw()
    for axes in figure.axes:
        frame = axes.get_window_extent()
        shown = [each.get_window_extent() for each in axes.texts if each.get_text().startswith("parasail")]
        assert len(shown) == 2
        assert all(frame.x0 - 1 <= each.x0 and each.x1 <= frame.x1 + 1 for each in shown)


def test_one_rendering_leaves_room_for_title_and_legend():
    figure = draw_renderings(CROP, np.array([AT_RIGHT]), {"crop": panel()}, "a crop")
    figure.canvas.draw()
    legend = figure.legends[0].get_window_extent()
    assert legend.x0 >= 0
    assert legend.x1 <= figure.bbox.width
