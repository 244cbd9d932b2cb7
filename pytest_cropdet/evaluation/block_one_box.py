"""One right box an object, for files of many images: :func:`one_box`, a block of images at a time.

Which box an object keeps, and which detections move, is found within its image. So the result is that of all images at
once; of the detections only the few that move are remembered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pytest_cropdet.evaluation.block_matching import truth_part
from pytest_cropdet.evaluation.coco.one_box import one_box
from pytest_cropdet.evaluation.coco.tables import Detected, Truth
from pytest_cropdet.evaluation.detected_blocks import Blocks, ChangedBlocks
from pytest_cropdet.geometry import Bools, Boxes, Ints

__all__ = ["OneBoxBlocks", "one_box_blocks"]


@dataclass(frozen=True, eq=False)
class OneBoxBlocks:
    """The tables for an evaluator that knows one box an object.

    ``truth``: without second boxes. ``moved``: rows of the detections that have another box, rising, and ``boxes``, the
    box of each. ``stray``: how many detections are stray; ``apart``: how many come out otherwise than with both boxes.
    """

    truth: Truth
    moved: Ints
    boxes: Boxes
    stray: int
    apart: int

    def where(self, begin: int, table: Detected) -> Bools:
        """Return which rows of a block, which begins with row ``begin``, are moved."""
        return np.isin(np.arange(begin, begin + len(table)), self.moved)

    def change(self, begin: int, table: Detected) -> Detected:
        """Return a block with the boxes that are moved; areas stay as they were."""
        rows = slice(*np.searchsorted(self.moved, [begin, begin + len(table)]).tolist())
        boxes = table.boxes.copy()
        boxes[self.moved[rows] - begin] = self.boxes[rows]
        return replace(table, boxes=boxes)

    def detected(self, given: Blocks) -> Blocks:
        """Return the detections with the boxes that are moved."""
        return ChangedBlocks(given, self.change)


def one_box_blocks(
    truth: Truth, detected: Blocks, *, categories: Sequence[int], max_detections: int = 100
) -> OneBoxBlocks:
    """Return what :func:`one_box` finds in all blocks."""
    bounds = np.searchsorted(truth.image, np.arange(len(detected.index) + 1))
    kept, moved, boxes = [np.zeros((0, 4))], [np.zeros(0, np.int64)], [np.zeros((0, 4))]
    begin = stray = apart = 0
    for first, stop, table in detected.blocks():
        part = truth_part(truth, slice(int(bounds[first]), int(bounds[stop])), first)
        one = one_box(part, table, images=stop - first, categories=categories, max_detections=max_detections)
        rows = np.flatnonzero(one.moved)
        kept.append(one.truth.boxes)
        moved.append(rows + begin)
        boxes.append(one.detected.boxes[rows])
        begin, stray, apart = begin + len(table), stray + int(table.stray.sum()), apart + int(one.apart.sum())
    single = replace(truth, boxes=np.concatenate(kept), tight=None)
    return OneBoxBlocks(single, np.concatenate(moved), np.concatenate(boxes), stray, apart)
