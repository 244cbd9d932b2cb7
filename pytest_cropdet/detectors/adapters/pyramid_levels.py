"""Raw heads that were exported with outputs of their own for each level of a pyramid: recognised, and not read.

Each level is a grid, [N, rows, columns, numbers] or [N, numbers, rows, columns], or a list of its cells, [N, cells,
numbers]. No shape shows in which order a cell's anchors are, which stride a level has, or how a box is encoded.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

__all__ = ["LEVELS_ADVICE", "are_pyramid_levels"]

LEVELS_ADVICE = (
    "These are raw heads with outputs of their own for each level of a pyramid, and no shape shows how they are "
    "decoded. Export the model so that its levels are decoded and joined inside: with its suppression, or, for a YOLO, "
    "as one table [N, rows, columns], and for an SSD or RetinaNet as encodings [N, A, 4] and scores [N, A, C] in the "
    "order of its anchors. Else write a function that decodes them and name it as package.module:factory"
)
SIDES_SHRINK = (1.3, 3.1)  # from level to level a side is halved, and rounded; the last ones are 5, 3 and 1
CELLS_SHRINK = (1.7, 10.0)  # and the number of cells falls to a fourth


def are_pyramid_levels(shapes: Sequence[Sequence[int]]) -> bool:
    """Whether outputs of these shapes are the levels of a pyramid: each about half as wide as the one before.

    >>> are_pyramid_levels([(1, 80, 80, 255), (1, 40, 40, 255), (1, 20, 20, 255)])
    True
    >>> are_pyramid_levels([(1, 1083, 4), (1, 300, 4), (1, 1083, 91), (1, 300, 91)])
    True
    >>> are_pyramid_levels([(1, 300, 4), (1, 300, 91)])
    False
    """
    ranks = {len(shape) for shape in shapes}
    if ranks in ({4}, {5}):
        return _shrink({_grid(shape) for shape in shapes}, SIDES_SHRINK)
    return ranks == {3} and len(shapes) > 2 and _shrink({shape[1] for shape in shapes}, CELLS_SHRINK)


def _grid(shape: Sequence[int]) -> int:
    """Return the smaller side of a grid: of the last three sides, two that are more alike than the other two."""
    first, middle, last = (max(1, side) for side in shape[-3:])
    is_last = max(first / middle, middle / first) <= max(middle / last, last / middle)  # its channels are
    return min(first, middle) if is_last else min(middle, last)


def _shrink(sides: Iterable[int], by: tuple[float, float]) -> bool:
    """Whether there are several numbers, and each is about the same part of the next larger one."""
    pairs = list(pairwise(sorted(sides, reverse=True)))
    return bool(pairs) and all(small and by[0] <= large / small <= by[1] for large, small in pairs)
