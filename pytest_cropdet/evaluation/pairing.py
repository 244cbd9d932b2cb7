"""Which detection of a whole image and which of its crop are the same thing.

The whole image's detections are clipped into the window and paired with those of the crop by their IoU. Neither side
is taken for the truth: "lost" says that the two answers differ, not which of them is right.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pytest_cropdet.data import Detections, crop_detections
from pytest_cropdet.geometry import Boxes, Corners, Crop, iou

__all__ = ["STATES", "Pair", "PlacedDetection", "State", "make_pairs"]

State = Literal["found", "moved", "relabelled", "lost", "new"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class PlacedDetection:
    """One detection, ``x0 y0 x1 y1`` in pixels: ``box`` in the image's frame, ``box_in_crop`` in the crop's, clipped.

    ``box`` of the whole image's detection is the whole box, that of the crop's detection ends at the window.
    ``category`` is the detector's name for it, or its id as text where the detector knows no name.
    """

    category: str
    category_id: int
    score: float
    box: Corners
    box_in_crop: Corners


@dataclass(frozen=True, slots=True)
class Pair:
    """What the whole image and the crop say about one place.

    ``whole`` is ``None`` for what is new, ``crop`` for what is lost. ``iou`` is that of the two boxes, both clipped to
    the window. ``visibility``: the share of the whole image's box that lies in the window.
    """

    state: State
    whole: PlacedDetection | None
    crop: PlacedDetection | None
    iou: float | None = None
    visibility: float | None = None

    def __post_init__(self) -> None:
        sides = (self.whole is not None, self.crop is not None)
        if sides != (self.state != "new", self.state != "lost"):
            raise ValueError(f"{self}: 'lost' has no crop, 'new' has no whole, any other state has both")

    @property
    def sides(self) -> tuple[PlacedDetection, ...]:
        """The one or two detections, that of the whole image first."""
        return tuple(seen for seen in (self.whole, self.crop) if seen is not None)

    @property
    def category(self) -> str:
        """The name of it; both names, as ``dog -> couch``, if it was relabelled."""
        names = [seen.category for seen in self.sides]
        return " -> ".join(names) if self.state == "relabelled" else names[0]

    def is_cut_away(self, min_visibility: float) -> bool:
        """Whether it is lost and less than ``min_visibility`` of it lies in the window."""
        return self.state == "lost" and self.visibility is not None and self.visibility < min_visibility


def make_pairs(
    whole: Detections, seen: Detections, crop: Crop, found_iou: float, moved_iou: float, names: Mapping[int, str]
) -> tuple[Pair, ...]:
    """Return every detection that shows in ``crop``, alone or with its partner, by state and then by falling score.

    ``whole``: the whole image's, in its frame; ``seen``: the crop's, in its own frame. ``names``: by category id.
    """
    shown = crop_detections(whole, crop)
    inside = crop_detections(seen, Crop(0, 0, crop.width, crop.height)).detections
    left = _list_seen(shown.detections, whole.boxes[shown.kept], names)
    right = _list_seen(inside, crop.out_of(inside.boxes), names)
    partners = _match(shown.detections, inside, moved_iou)
    pairs = []
    for row, side in enumerate(left):
        visibility = float(shown.visibility[row])
        if row not in partners:
            pairs.append(Pair("lost", side, None, None, visibility))
            continue
        column, overlap = partners[row]
        same = side.category_id == right[column].category_id
        state: State = "relabelled" if not same else "found" if overlap >= found_iou else "moved"
        pairs.append(Pair(state, side, right[column], overlap, visibility))
    taken = {column for column, _ in partners.values()}
    pairs += [Pair("new", None, side) for column, side in enumerate(right) if column not in taken]
    return tuple(sorted(pairs, key=lambda pair: (STATES.index(pair.state), -pair.sides[0].score)))


def _list_seen(cropped: Detections, boxes: Boxes, names: Mapping[int, str]) -> list[PlacedDetection]:
    """Return detections of the crop's frame one by one; ``boxes``: the same in the image's frame."""
    ids, scores = cropped.categories.tolist(), cropped.scores.tolist()
    places = zip(boxes.tolist(), cropped.boxes.tolist(), strict=True)
    return [
        PlacedDetection(str(names.get(each, each)), each, score, tuple(box), tuple(inner))
        for each, score, (box, inner) in zip(ids, scores, places, strict=True)
    ]


def _match(whole: Detections, seen: Detections, least: float) -> dict[int, tuple[int, float]]:
    """Return the row of ``seen`` and the IoU for each row of ``whole`` that has a partner, the surest pairs first.

    Pairs of one category come before all others: a box of another category that lies a little closer must not take
    a partner from its own. Then the higher IoU, the higher score in the whole image, in the crop, and the earlier row.
    """
    overlap = iou(whole.boxes, seen.boxes)
    rows, columns = np.nonzero(overlap >= least)
    other = whole.categories[rows] != seen.categories[columns]
    keys = (columns, rows, -seen.scores[columns], -whole.scores[rows], -overlap[rows, columns], other)
    partners: dict[int, tuple[int, float]] = {}
    taken: set[int] = set()
    for place in np.lexsort(keys):  # the last key weighs most
        row, column = int(rows[place]), int(columns[place])
        if row not in partners and column not in taken:
            partners[row] = column, float(overlap[row, column])
            taken.add(column)
    return partners
