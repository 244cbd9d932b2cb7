"""What goes into an evaluation and what comes out of the matching, as flat arrays.

Boxes are (n, 4) float64 ``x0 y0 x1 y1`` in pixels, x1 and y1 exclusive, all in the frame of their evaluation image.
An *evaluation image* is whatever is scored as one picture: a whole image, or one crop of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_cropdet.geometry import Bools, Floats, Ints

COCO_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
"""IoU 0.50, 0.55, ... 0.95, to the last bit as pycocotools has them."""
COCO_THRESHOLDS.flags.writeable = False

COCO_AREA_RANGES: Mapping[str, tuple[float, float]] = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
"""COCO's area ranges in square pixels, both ends inclusive."""

COCO_SIZES = ("small", "medium", "large")
"""COCO's size classes, the smallest first."""

ALL_AREAS: Mapping[str, tuple[float, float]] = {"all": COCO_AREA_RANGES["all"]}


def size_classes(area: ArrayLike) -> Ints:
    """Return the place in ``COCO_SIZES`` of each area in square pixels: one class each, a half-open range.

    COCO's ranges share their borders: its evaluator counts an object of 32^2 px as small and as medium. A class takes
    the first range that has the area, so 32^2 is small and 96^2 is medium: above the lower border, up to the upper one.

    >>> size_classes([0.0, 32.0**2, 32.0**2 + 1, 96.0**2, 1e11])
    array([0, 0, 1, 1, 2])
    """
    uppers = [COCO_AREA_RANGES[name][1] for name in COCO_SIZES[:-1]]
    return np.asarray(np.searchsorted(uppers, np.asarray(area, dtype=np.float64), side="left"), dtype=np.int64)


def _settle(table: Any, types: Mapping[str, tuple[type, tuple[int, ...]]], rows: str) -> None:
    """Turn the fields of a frozen table into arrays of one length; ValueError where that cannot be."""
    length: int | None = None
    for name, (kind, tail) in types.items():
        given = getattr(table, name)
        if given is None:
            continue
        array = np.asarray(given)
        if array.size == 0:
            array = array.reshape((0, *tail))
        if array.ndim != 1 + len(tail) or array.shape[1:] != tail:
            wanted = ", ".join([rows, *map(str, tail)])
            raise ValueError(f"{type(table).__name__}.{name} has shape {np.shape(given)}, expected ({wanted})")
        if kind is np.int64 and array.size and array.dtype.kind not in "iu":
            raise ValueError(f"{type(table).__name__}.{name} must contain integers, not {array.dtype}")
        array = array.astype(kind, copy=False)
        if kind is np.float64 and not np.isfinite(array).all():
            raise ValueError(f"{type(table).__name__}.{name} contains a number that is not finite")
        if length is None:
            length = len(array)
        elif len(array) != length:
            first = next(iter(types))
            raise ValueError(f"{type(table).__name__}.{name} has {len(array)} rows, but {first} has {length}")
        object.__setattr__(table, name, array)


@dataclass(frozen=True, eq=False)
class Truth:
    """The annotated objects of all evaluation images, one row each.

    >>> Truth(image=[0], category=[7], boxes=[[0, 0, 10, 10]], area=[100], crowd=[False], ignored=[False])
    Truth(1 objects)
    """

    image: Ints
    """(G,) index of the evaluation image, from 0."""
    category: Ints
    """(G,) category id."""
    boxes: Floats
    """(G, 4) pixels."""
    area: Floats
    """(G,) square pixels; decides the area range (in COCO the area of the mask)."""
    crowd: Bools
    """(G,) a region of uncounted objects: IoU is over the detection's area, any number of matches, never scored."""
    ignored: Bools
    """(G,) never scored, but ordinary IoU and at most one match (VOC's *difficult*)."""
    tight: Floats | None = None
    """(G, 4) a second right box of each object; IoU with an object that is no crowd is the larger of the two."""

    def __post_init__(self) -> None:
        flat: tuple[int, ...] = ()
        _settle(
            self,
            {
                "image": (np.int64, flat),
                "category": (np.int64, flat),
                "boxes": (np.float64, (4,)),
                "area": (np.float64, flat),
                "crowd": (np.bool_, flat),
                "ignored": (np.bool_, flat),
                "tight": (np.float64, (4,)),
            },
            rows="G",
        )

    def __len__(self) -> int:
        return len(self.image)

    def __repr__(self) -> str:
        return f"Truth({len(self)} objects)"


@dataclass(frozen=True, eq=False)
class Detected:
    """The detections of all evaluation images, one row each. On equal scores the earlier row comes first.

    >>> Detected(image=[0], category=[7], boxes=[[0, 0, 10, 10]], score=[0.5]).area
    array([100.])
    """

    image: Ints
    """(D,) index of the evaluation image, from 0."""
    category: Ints
    """(D,) category id."""
    boxes: Floats
    """(D, 4) pixels."""
    score: Floats
    """(D,) confidence."""
    area: Floats = None  # type: ignore[assignment]
    """(D,) square pixels; decides the area range of an unmatched detection; the area of the box if not given."""
    stray: Bools = None  # type: ignore[assignment]
    """(D,) ignored, not a false positive, where it matches no scored object; none if not given."""

    def __post_init__(self) -> None:
        flat: tuple[int, ...] = ()
        _settle(
            self,
            {
                "image": (np.int64, flat),
                "category": (np.int64, flat),
                "boxes": (np.float64, (4,)),
                "score": (np.float64, flat),
                "area": (np.float64, flat),
                "stray": (np.bool_, flat),
            },
            rows="D",
        )
        if self.area is None:
            sides = self.boxes[:, 2:] - self.boxes[:, :2]
            object.__setattr__(self, "area", sides[:, 0] * sides[:, 1])
        if self.stray is None:
            object.__setattr__(self, "stray", np.zeros(len(self.image), dtype=bool))

    def __len__(self) -> int:
        return len(self.image)

    def chosen(self, pick: Callable[[Detected], Bools]) -> Detected:
        """Return the rows for which ``pick`` says so."""
        return self.take(np.flatnonzero(pick(self)))

    def take(self, rows: Ints) -> Detected:
        """Return some rows, in that order."""
        return Detected(**{each: getattr(self, each)[rows] for each in self.__dataclass_fields__})

    def __repr__(self) -> str:
        return f"Detected({len(self)} detections)"


@dataclass(frozen=True, eq=False)
class Matches:
    """Which detection matched which object, per area range and IoU threshold: the per-image match table.

    Kept detections (rows beyond the cap and of other categories are gone) stand in the order in which AP reads
    them: by category, then by falling score, then by image. Only *contenders*, which overlap an object of their
    category by the lowest threshold at least, can match, so only they have a column in ``matched``.

    A is the number of area ranges, T of thresholds, K of categories, G of objects, D of kept detections, C of
    contenders.
    """

    images: int
    """How many evaluation images there are, with and without objects."""
    categories: Ints
    """(K,) category ids."""
    thresholds: Floats
    """(T,) IoU thresholds."""
    areas: tuple[str, ...]
    """(A,) names of the area ranges."""
    max_detections: int
    """The cap per image and category."""
    rows: Ints
    """(D,) row in ``Detected``."""
    starts: Ints
    """(K + 1,) detections of category k are ``starts[k]:starts[k + 1]``."""
    image: Ints
    """(D,) evaluation image of each kept detection."""
    outside: Bools
    """(A, D) ignored while unmatched: outside the area range, or stray."""
    contenders: Ints
    """(C,) positions among the kept detections, rising."""
    rank: Ints
    """(C,) how many detections of its image and category stand before it."""
    matched: NDArray[np.int32]
    """(A, T, C) row in ``Truth`` of the matched object, -1 for none."""
    truth_image: Ints
    """(G,) evaluation image of each object."""
    truth_category: Ints
    """(G,) index into ``categories``, -1 for an object of another category."""
    scored: Bools
    """(A, G) whether the object counts."""
    score: Floats | None = None
    """(D,) confidence of each kept detection, where it is known."""
    far: Bools | None = None
    """(A, D) outside the area range, stray or not, where it is known."""
    beyond: bool = False
    """Whether rows beyond the cap are in the table, for numbers at an operating point; AP leaves them out."""

    @cached_property
    def counted(self) -> Matches:
        """The table as AP reads it: without the rows beyond the cap."""
        return self.first(self.max_detections) if self.beyond else self

    @cached_property
    def rank_of_row(self) -> Ints:
        """(D,) how many detections of its image and category stand before each kept detection."""
        rank: NDArray[Any] = np.empty(len(self.rows), dtype=np.int32)
        for start, stop in pairwise(self.starts.tolist()):  # a category at a time bounds the memory
            order = np.argsort(self.image[start:stop], kind="stable")
            image = self.image[start:stop][order]
            first = np.flatnonzero(np.append(True, image[1:] != image[:-1])[: len(image)])
            count = np.diff(np.append(first, len(image)))
            rank[start:stop][order] = np.arange(len(image)) - np.repeat(first, count)
        return rank

    def first(self, max_detections: int) -> Matches:
        """Return the table of the first ``max_detections`` of each image and category: matches stay as they are."""
        if max_detections < 1 or (max_detections > self.max_detections and not self.beyond):
            raise ValueError(f"max_detections must lie between 1 and {self.max_detections}, not {max_detections}")
        kept = self.rank_of_row < max_detections
        table = self if kept.all() else self.only(kept)
        return replace(table, max_detections=max_detections, beyond=False)

    def only(self, kept: Bools) -> Matches:
        """Return the table of the ``kept`` (D,) detections, of which each image and category must have its first ones.

        What stands later takes no object from what stands before it, so nothing has to be matched again.
        """
        before: NDArray[Any] = np.zeros(len(kept) + 1, dtype=np.int32 if len(kept) < 1 << 31 else np.int64)
        np.cumsum(kept, out=before[1:])
        near = kept[self.contenders]
        return replace(
            self,
            rows=self.rows[kept],
            starts=before[self.starts].astype(np.int64),
            image=self.image[kept],
            outside=self.outside[:, kept],
            score=None if self.score is None else self.score[kept],
            far=None if self.far is None else self.far[:, kept],
            contenders=before[self.contenders[near]],
            rank=self.rank[near],
            matched=self.matched[:, :, near],
        )

    def area_index(self, area: str) -> int:
        """Return the row of an area range, by its name."""
        if area not in self.areas:
            raise ValueError(f"no area range {area!r} was matched, only {', '.join(self.areas)}")
        return self.areas.index(area)

    def truth_of(self, area: str = "all") -> NDArray[np.int32]:
        """Return (T, D): for each kept detection the row in ``Truth`` of the object it matched, -1 for none."""
        whole = np.full((len(self.thresholds), len(self.rows)), -1, dtype=np.int32)
        whole[:, self.contenders] = self.matched[self.area_index(area)]
        return whole

    def ignored(self, area: str = "all") -> Bools:
        """Return (T, D): whether a kept detection counts neither as true nor as false positive."""
        index = self.area_index(area)
        flags = np.repeat(self.outside[index][None], len(self.thresholds), axis=0)
        matched = self.matched[index]
        hit = matched >= 0
        where = flags[:, self.contenders]
        where[hit] = ~self.scored[index][matched[hit]]
        flags[:, self.contenders] = where
        return flags

    def true_positives(self, area: str = "all") -> Bools:
        """Return (T, C): whether a contender matched a scored object."""
        index = self.area_index(area)
        hit: Bools = np.append(self.scored[index], False)[self.matched[index]]  # -1 reads the False
        return hit

    def __repr__(self) -> str:
        return f"Matches({len(self.rows)} detections, {len(self.scored.T)} objects, {self.images} images)"


__all__ = [
    "ALL_AREAS",
    "COCO_AREA_RANGES",
    "COCO_SIZES",
    "COCO_THRESHOLDS",
    "Detected",
    "Matches",
    "Truth",
    "size_classes",
]
