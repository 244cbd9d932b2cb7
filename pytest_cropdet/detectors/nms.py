"""Non-maximum suppression for models that leave it to their caller."""

import numpy as np

from pytest_cropdet.geometry import Boxes, Floats, Ints, iou

__all__ = ["suppress"]


def suppress(boxes: Boxes, scores: Floats, categories: Ints, max_iou: float, most: int | None = None) -> Ints:
    """Return the rows that remain, best score first, at most ``most`` of them.

    Greedy, each category by itself: a row goes when a better one of its category overlaps it with an IoU above
    ``max_iou`` (at exactly ``max_iou`` it stays). Of equal scores the earlier row is the better one. ``boxes`` are
    ``x0 y0 x1 y1`` in any frame: IoU does not change when an axis is stretched.

    >>> boxes = np.array([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 9.0], [0.0, 0.0, 10.0, 9.0]])
    >>> suppress(boxes, np.array([0.5, 0.9, 0.7]), np.array([1, 1, 2]), max_iou=0.5)
    array([1, 2])
    """
    order = np.argsort(-scores, kind="stable")
    rivals = {int(category): order[categories[order] == category] for category in np.unique(categories)}
    alive = np.ones(len(scores), dtype=bool)
    kept: list[int] = []
    for row in order:
        if most is not None and len(kept) == most:
            break
        if alive[row]:
            kept.append(int(row))
            category = int(categories[row])
            left = rivals[category][alive[rivals[category]]]
            alive[left[iou(boxes[row : row + 1], boxes[left])[0] > max_iou]] = False
            rivals[category] = left[alive[left]]
    return np.array(kept, dtype=np.int64)
