"""What is wrong in a sliced pipeline of the user's own, recognised from its detections alone.

Its boxes are compared with what the tiles of :class:`~pytest_cropdet.Sliced` find, as they are and as a known mistake
would move them. A mistake is named if it explains boxes that the right mapping does not.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_cropdet.comparison.seams import MATCH_IOU, SURE_SCORE
from pytest_cropdet.data import CategoryMap, Detections, Sample
from pytest_cropdet.detectors import Pieces, Windowed
from pytest_cropdet.geometry import Bools, Boxes, Floats, Ints, clip, from_format, iou

__all__ = ["SLICING_FAULTS", "SlicingFault", "find_slicing_faults"]

MOST_SHOWN = 48  # that are looked at
SAME_IOU, SAME_PIXELS = 0.9, 1.0  # from which overlap on, or up to which distance of each side, boxes are the same
LEAST_WRONG = 0.03  # share of boxes that the right mapping does not explain, from which a mistake is sought
LEAST_EXPLAINED = 0.5  # share of these that a mistake explains, from which it is named
LEAST_PAIRS = 0.1  # share of boxes that overlap a better one of their category, from which a missing merge is named
LEAST_BOXES = 5  # that are wrong, from which anything is named

SLICING_FAULTS: Mapping[str, tuple[str, str]] = {  # what is wrong, and how to fix it
    "origin-missing": ("the origin of the tile is not added to its boxes", "add left and top of the tile to x and y"),
    "origin-twice": ("the origin of the tile is added twice", "add it once"),
    "origin-swapped": ("x and y of the tile's origin are swapped", "add left to x and top to y"),
    "axes-swapped": (
        "x and y of the boxes are swapped",
        "return x0, y0, x1, y1; TensorFlow models give y0, x0, y1, x1",
    ),
    "no-overlap": (
        "origins are computed as if tiles did not overlap",
        "take the origin where the tile was cut: column x step, not column x size",
    ),
    "image-scale": (
        "boxes are scaled by the size of the image",
        "multiply normalised boxes by the size of the tile, then add its origin",
    ),
    "clipped": (
        "no box ends beyond the size of a tile: boxes are clipped after they were moved",
        "clip before, or to the image",
    ),
    "doubles": (
        "detections of overlapping tiles are not merged",
        "merge them, for example by NMS, category by category",
    ),
}


@dataclass(frozen=True, slots=True)
class SlicingFault:
    """One mistake: its ``cause`` (a key of ``SLICING_FAULTS``), and the ``share`` of the boxes that it changes."""

    cause: str
    share: float

    def __str__(self) -> str:
        """Return what is wrong and how to mend it."""
        wrong, mend = SLICING_FAULTS[self.cause]
        return f"{wrong} ({self.share:.0%} of the boxes): {mend}"


@dataclass(frozen=True, eq=False)
class _Pieces:
    """What the tiles of an image found: boxes in the image, ids of the data, and of each its tile.

    ``tile``: (n, 4) left, top, width, height. ``cell``: (n, 2) column and row of the tile.
    """

    boxes: Boxes
    categories: Ints
    tile: Floats
    cell: Floats
    size: tuple[int, int]

    @property
    def origin(self) -> Floats:
        return np.concatenate([self.tile[:, :2], self.tile[:, :2]], axis=1)

    @property
    def sides(self) -> Floats:
        return np.concatenate([self.tile[:, 2:], self.tile[:, 2:]], axis=1)


def _scaled(each: _Pieces) -> Boxes:
    return (each.boxes - each.origin) * (np.tile(np.asarray(each.size, np.float64), 2) / each.sides)


def _without_overlap(each: _Pieces) -> Boxes:
    cell = np.concatenate([each.cell, each.cell], axis=1)
    return each.boxes - each.origin + cell * each.sides


# Of each mistake, how it moves boxes; several ways where there are several.
_MOVES: Mapping[str, Sequence[Callable[[_Pieces], Boxes]]] = {
    "origin-missing": [lambda each: each.boxes - each.origin],
    "origin-twice": [lambda each: each.boxes + each.origin],
    "origin-swapped": [lambda each: each.boxes - each.origin + from_format(each.origin, "yxyx")],
    "axes-swapped": [
        lambda each: from_format(each.boxes, "yxyx"),
        lambda each: from_format(each.boxes - each.origin, "yxyx") + each.origin,
    ],
    "no-overlap": [_without_overlap],
    "image-scale": [_scaled, lambda each: _scaled(each) + each.origin],
}


def find_slicing_faults(
    sliced: Windowed, samples: Sequence[Sample], found: Sequence[Detections], mapped: CategoryMap
) -> tuple[SlicingFault, ...]:
    """Return the mistake of sliced inference that explains its answers, if there is one.

    A missing merge is sought only where boxes lie where they should: misplaced ones overlap one another by chance.

    ``sliced``: how the images should be sliced; its tiles are read from the cache, or detected. ``found``: the answers
    of the other implementation, with the data set's ids; ``mapped``: how the ids of ``sliced`` become these. Up to 48
    images with detections are looked at.
    """
    boxes, wrong, pairs, usual = 0, 0, 0, 0
    beyond = np.zeros(3, dtype=np.int64)  # boxes that end beyond the size of a tile: in the answers, in ours, of ours
    explained = dict.fromkeys(_MOVES, 0)
    for sample, answer in _with_answers(samples, found):
        ((pieces, capped),) = sliced.pieces([sample.image()])
        merged = _sure(mapped.translate(sliced.merged(pieces, capped)))
        known = _known_pieces(sliced, sample, mapped, pieces)
        right = _are_among(answer, known.boxes, known.categories)
        right |= _are_among(answer, merged.boxes, merged.categories)
        boxes += len(answer)
        wrong += int((~right).sum())
        pairs += _pairs(answer)
        usual += _pairs(merged)
        largest = _largest_tile(sliced, sample)
        if largest is not None:
            beyond += [_beyond(answer, largest), _beyond(merged, largest), len(merged)]
        for cause, moves in _MOVES.items():
            hit = np.zeros(len(answer), dtype=bool)
            for move in moves:
                hit |= _are_among(answer, clip(move(known), sample.width, sample.height), known.categories)
            explained[cause] += int((hit & ~right).sum())
    faults = []
    best = max(explained, key=lambda cause: explained[cause])
    if wrong >= max(LEAST_BOXES, LEAST_WRONG * boxes) and explained[best] >= LEAST_EXPLAINED * wrong:
        faults.append(SlicingFault(best, explained[best] / boxes))
    elif boxes and beyond[0] == 0 and beyond[1] >= max(LEAST_BOXES, LEAST_WRONG * beyond[2]):
        faults.append(SlicingFault("clipped", float(beyond[1] / beyond[2])))
    if not faults and pairs >= max(LEAST_BOXES, LEAST_PAIRS * boxes) and pairs > 2 * usual:
        faults.append(SlicingFault("doubles", min(1.0, pairs / boxes)))
    return tuple(faults)


def _with_answers(samples: Sequence[Sample], found: Sequence[Detections]) -> Iterator[tuple[Sample, Detections]]:
    """Yield up to 48 images with their detections that score 0.3 or more."""
    shown = 0
    for sample, answer in zip(samples, found, strict=True):
        sure = _sure(answer)
        if len(sure) and shown < MOST_SHOWN:
            shown += 1
            yield sample, sure


def _sure(found: Detections) -> Detections:
    return found.take(np.flatnonzero(found.scores >= SURE_SCORE))


def _known_pieces(sliced: Windowed, sample: Sample, mapped: CategoryMap, pieces: Pieces) -> _Pieces:
    """Return what the tiles of an image found, without the whole image, with the data set's ids."""
    crops = [tile.crop for tile in sliced.sent_of(sample)]
    columns, rows = sorted({crop.left for crop in crops}), sorted({crop.top for crop in crops})
    ids = np.array([mapped.ids.get(each, -1) for each in pieces.categories.tolist()], dtype=np.int64)
    kept = np.flatnonzero((pieces.tiles >= 0) & (ids >= 0))
    of = [crops[tile] for tile in pieces.tiles[kept]]
    return _Pieces(
        pieces.boxes[kept],
        ids[kept],
        np.array([(each.left, each.top, each.width, each.height) for each in of], dtype=np.float64).reshape(-1, 4),
        np.array([(columns.index(each.left), rows.index(each.top)) for each in of], dtype=np.float64).reshape(-1, 2),
        (sample.width, sample.height),
    )


def _are_among(found: Detections, boxes: Boxes, categories: Ints) -> Bools:
    """Return which detections are one of these boxes, of the same category."""
    if not len(found) or not len(boxes):
        return np.zeros(len(found), dtype=bool)
    same = found.categories[:, None] == categories[None, :]
    close = np.abs(found.boxes[:, None] - boxes[None]).max(axis=2) <= SAME_PIXELS
    return np.asarray((same & (close | (iou(found.boxes, boxes) >= SAME_IOU))).any(axis=1))


def _largest_tile(sliced: Windowed, sample: Sample) -> Floats | None:
    """Return the largest width and height of an image's windows, ``None`` where it has none."""
    sizes = np.array([(each.crop.width, each.crop.height) for each in sliced.windows_of(sample)], dtype=np.float64)
    return sizes.max(axis=0) if len(sizes) else None


def _beyond(found: Detections, largest: Floats) -> int:
    """Return how many boxes end beyond the size of every tile."""
    return int((found.boxes[:, 2:] > largest + SAME_PIXELS).any(axis=1).sum())


def _pairs(found: Detections) -> int:
    """Return how many detections overlap a better one of their category by IoU 0.5."""
    order = np.argsort(-found.scores, kind="stable")
    boxes, categories = found.boxes[order], found.categories[order]
    overlap = (iou(boxes, boxes) >= MATCH_IOU) & (categories[:, None] == categories[None, :])
    return int(np.tril(overlap, -1).any(axis=1).sum())
