"""Merging: one answer for an image from the answers to its tiles. docs/sliced.md has each rule as a formula.

Every rule works on each category by itself, on detections in the image's frame, best score first; of equal scores the
earlier one is the better.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pytest_cropdet.data import Detections
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry import Bools, Boxes, Floats, Ints, areas, iou

__all__ = ["MERGES", "OVERLAP_METRICS", "Pieces", "Rule", "merge_pieces", "overlaps_of"]

OVERLAP_METRICS = ("iou", "ios")
SOFT_SIGMA = 0.5  # of soft-NMS's Gaussian
SOFT_LEAST = 0.001  # the score below which soft-NMS forgets a box
OPEN_TRUST = 0.5  # what a box that ends at a seam keeps of its score, where nothing completes it


@dataclass(frozen=True, eq=False, slots=True)
class Pieces:
    """What was found in all tiles of an image, in the image's frame.

    ``boxes``: (n, 4) float64 ``x0 y0 x1 y1`` in pixels. ``scores``: (n,) 0 to 1. ``categories``: (n,) ids. ``tiles``:
    (n,) the tile of each, -1 for the whole image. ``open_sides``: (n, 4) whether its left, top, right, bottom ends at a
    border of its tile that is none of the image.
    """

    boxes: Boxes
    scores: Floats
    categories: Ints
    tiles: Ints
    open_sides: Bools

    def take(self, rows: Ints) -> "Pieces":
        """Return some of them, in that order."""
        return Pieces(*(getattr(self, name)[rows] for name in ("boxes", "scores", "categories", "tiles", "open_sides")))


@dataclass(frozen=True, slots=True)
class Rule:
    """How answers are merged: the name of a rule, the overlap from which on boxes are one object, and its measure."""

    name: str
    threshold: float
    metric: str

    def __post_init__(self) -> None:
        if self.name not in MERGES:
            raise SpecError(f"unknown merge {self.name!r}; choose from {', '.join(MERGES)}")
        if self.metric not in OVERLAP_METRICS:
            raise SpecError(f"metric must be iou or ios, not {self.metric!r}")
        if not 0 < self.threshold <= 1:
            raise SpecError(f"iou must be above 0 and at most 1, not {self.threshold!r}")


NMS_ROWS, NMS_PAIRS = 128, 8_000  # boxes, and pairs, whose overlaps are computed at once

Merged = tuple[Boxes, Floats]


def overlaps_of(first: Boxes, second: Boxes, metric: str) -> Floats:
    """Return the overlap of each pair, (n, m): IoU, or intersection over the smaller of both areas (IoS)."""
    if metric == "iou":
        return iou(first, second)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    smaller = np.minimum(areas(first)[:, None], areas(second)[None, :])
    found: Floats = np.divide(shared, smaller, out=np.zeros_like(shared), where=smaller > 0)
    return found


def merge_pieces(pieces: Pieces, rule: Rule, capped: bool = False) -> Detections:
    """Return the detections of an image, best score first."""
    merge = MERGES[rule.name]
    boxes, scores, categories = [np.zeros((0, 4))], [np.zeros(0)], [np.zeros(0, np.int64)]
    for category in np.unique(pieces.categories):
        rows = np.flatnonzero(pieces.categories == category)
        rows = rows[np.argsort(-pieces.scores[rows], kind="stable")]
        found, worth = merge(pieces.take(rows), rule)
        boxes.append(found)
        scores.append(worth)
        categories.append(np.full(len(found), category, dtype=np.int64))
    score = np.concatenate(scores)
    order = np.argsort(-score, kind="stable")
    return Detections(np.concatenate(boxes)[order], score[order], np.concatenate(categories)[order], capped)


def _none(pieces: Pieces, rule: Rule) -> Merged:
    return pieces.boxes, pieces.scores


def _nms(pieces: Pieces, rule: Rule) -> Merged:
    kept = [row for row, _ in _greedy_groups(pieces, rule)]
    return pieces.boxes[kept], pieces.scores[kept]


def _soft_nms(pieces: Pieces, rule: Rule) -> Merged:
    boxes, scores = pieces.boxes.copy(), pieces.scores.copy()
    order, left = [], np.arange(len(scores))
    while len(left):
        best = int(left[np.argmax(scores[left])])
        order.append(best)
        left = left[left != best]
        overlap = overlaps_of(boxes[best : best + 1], boxes[left], rule.metric)[0]
        scores[left] *= np.exp(-(overlap**2) / SOFT_SIGMA)
        left = left[scores[left] >= SOFT_LEAST]
    return boxes[order], scores[order]


def _greedy_groups(pieces: Pieces, rule: Rule) -> list[tuple[int, Ints]]:
    """Return each box that remains, with those that it takes: not taken before, and overlapping by the threshold."""
    groups, left = [], np.arange(len(pieces.scores))
    while len(left):
        rows = left[: max(1, min(NMS_ROWS, NMS_PAIRS // len(left)))]
        over = overlaps_of(pieces.boxes[rows], pieces.boxes[left], rule.metric) >= rule.threshold
        alive = np.ones(len(left), dtype=bool)
        for place, row in enumerate(rows.tolist()):  # the rows are the first of what is left
            if alive[place]:
                alive[place] = False
                taken = np.flatnonzero(over[place] & alive)
                alive[taken] = False
                groups.append((row, left[taken]))
        left = left[alive]
    return groups


def _greedy_nmm(pieces: Pieces, rule: Rule) -> Merged:
    return _united(pieces, rule, _greedy_groups(pieces, rule))


def _nmm(pieces: Pieces, rule: Rule) -> Merged:
    overlap = overlaps_of(pieces.boxes, pieces.boxes, rule.metric)
    owner = np.full(len(pieces.scores), -1)
    groups: dict[int, list[int]] = {}
    for row in range(len(owner)):
        if owner[row] < 0:
            groups[row] = []
        keeper = row if owner[row] < 0 else int(owner[row])
        later = np.arange(len(owner)) > row
        for other in np.flatnonzero(later & (owner < 0) & (overlap[row] >= rule.threshold)):
            owner[other] = keeper
            groups[keeper].append(int(other))
    return _united(pieces, rule, [(row, np.array(taken, dtype=np.int64)) for row, taken in groups.items()])


def _united(pieces: Pieces, rule: Rule, groups: list[tuple[int, Ints]]) -> Merged:
    """Return the box around each group, with its best score.

    Boxes join one by one; one that no longer overlaps what has grown by the threshold does not.
    """
    boxes = np.empty((len(groups), 4))
    for place, (row, taken) in enumerate(groups):
        grown = pieces.boxes[row]
        for other in pieces.boxes[taken]:
            if overlaps_of(grown[None], other[None], rule.metric)[0, 0] >= rule.threshold:
                grown = np.concatenate([np.minimum(grown[:2], other[:2]), np.maximum(grown[2:], other[2:])])
        boxes[place] = grown
    return boxes, pieces.scores[[row for row, _ in groups]]


def _wbf(pieces: Pieces, rule: Rule) -> Merged:
    fused, members = np.zeros((0, 4)), list[list[int]]()
    for row in range(len(pieces.scores)):
        overlap = overlaps_of(pieces.boxes[row : row + 1], fused, rule.metric)[0]
        best = int(np.argmax(overlap)) if len(overlap) else -1
        if best < 0 or overlap[best] <= rule.threshold:
            members.append([row])
            fused = np.concatenate([fused, pieces.boxes[row : row + 1]])
        else:
            members[best].append(row)
            weight = pieces.scores[members[best]]
            if weight.sum() > 0:
                fused[best] = (weight[:, None] * pieces.boxes[members[best]]).sum(axis=0) / weight.sum()
    return fused, np.array([pieces.scores[group].max() for group in members])


def _seam(pieces: Pieces, rule: Rule) -> Merged:
    """Complete boxes first; pieces of one object are joined across a seam; what stays open loses trust."""
    is_open = pieces.open_sides.any(axis=1)
    whole = pieces.take(np.flatnonzero(~is_open))
    kept = [row for row, _ in _greedy_groups(whole, Rule("nms", rule.threshold, "iou"))]
    boxes, scores = whole.boxes[kept], whole.scores[kept]
    parts = pieces.take(np.flatnonzero(is_open))
    covered = overlaps_of(parts.boxes, boxes, "ios") if len(boxes) else np.zeros((len(parts.scores), 0))
    inside = _is_inside(parts.boxes, boxes, covered, rule.threshold)
    joined = _joined(parts.take(np.flatnonzero(~inside)), rule)
    worth = np.where(joined.open_sides.any(axis=1), OPEN_TRUST, 1.0) * joined.scores
    boxes, scores = np.concatenate([boxes, joined.boxes]), np.concatenate([scores, worth])
    order = np.argsort(-scores, kind="stable")
    rest = Pieces(boxes[order], scores[order], order, order, np.zeros((len(order), 4), dtype=bool))
    return _nms(rest, Rule("nms", rule.threshold, "iou"))


def _is_inside(parts: Boxes, boxes: Boxes, covered: Floats, threshold: float) -> Bools:
    """Return which pieces lie in a complete box that is at least as large."""
    larger = areas(boxes)[None, :] >= areas(parts)[:, None]
    return np.asarray((larger & (covered >= threshold)).any(axis=1), dtype=bool)


def _joined(parts: Pieces, rule: Rule) -> Pieces:
    """Return pieces, those that face each other across a seam joined: best score first, until nothing joins."""
    boxes, scores = parts.boxes.copy(), parts.scores.copy()
    ends: Bools = parts.open_sides.copy()
    alive = np.ones(len(scores), dtype=bool)
    for row in range(len(scores)):
        while alive[row]:
            others = np.flatnonzero(alive & (np.arange(len(scores)) != row))
            fits = [int(each) for each in others if _faces(boxes, ends, row, int(each), rule.threshold)]
            if not fits:
                break
            other = fits[0]
            united = np.concatenate(
                [np.minimum(boxes[row], boxes[other])[:2], np.maximum(boxes[row], boxes[other])[2:]]
            )
            both: Bools = ends[[row, other]] & (
                np.abs(boxes[[row, other]] - united) <= 2.0
            )  # sides that are still outermost
            boxes[row], scores[row] = united, max(scores[row], scores[other])
            ends[row, :] = both.any(axis=0)
            alive[other] = False
            rest = np.flatnonzero(alive & (np.arange(len(scores)) != row))
            covered = overlaps_of(boxes[rest], boxes[row : row + 1], "ios")
            alive[rest[_is_inside(boxes[rest], boxes[row : row + 1], covered, rule.threshold)]] = False
    rows = np.flatnonzero(alive)
    return Pieces(boxes[rows], scores[rows], parts.categories[rows], parts.tiles[rows], ends[rows])


def _faces(boxes: Boxes, ends: Bools, row: int, other: int, threshold: float) -> bool:
    """Return whether two pieces end at seams towards each other, meet, and agree across the seam.

    They meet if at most 2 pixels lie between them; they agree if the spans along the seam have an IoU of the threshold.
    """
    for axis in (0, 1):
        for first, second in ((row, other), (other, row)):
            if not (ends[first, 2 + axis] and ends[second, axis]):
                continue
            if boxes[second, axis] - boxes[first, 2 + axis] > 2.0 or boxes[second, axis] < boxes[first, axis]:
                continue
            along = 1 - axis
            low = max(boxes[first, along], boxes[second, along])
            high = min(boxes[first, 2 + along], boxes[second, 2 + along])
            least = min(boxes[first, along], boxes[second, along])
            most = max(boxes[first, 2 + along], boxes[second, 2 + along])
            if most > least and (high - low) / (most - least) >= threshold:
                return True
    return False


MERGES: Mapping[str, Callable[[Pieces, Rule], Merged]] = {
    "none": _none,
    "nms": _nms,
    "soft-nms": _soft_nms,
    "nmm": _nmm,
    "greedy-nmm": _greedy_nmm,
    "wbf": _wbf,
    "seam": _seam,
}
