"""The values that travel between modules: ground truth, detections, and a sample that holds both ends of an image.

They are frozen, checked once when they are made, and one index vector filters all their arrays together
(:meth:`GroundTruth.take`, :meth:`Detections.take`), so labels can never slip against boxes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_cropdet.data.columns import as_column, as_scores
from pytest_cropdet.data.corners import ordered_corners
from pytest_cropdet.geometry import Bools, Boxes, Floats, Image, Ints, Mask, areas, as_boxes

__all__ = ["Detections", "GroundTruth", "Sample"]


_NO_IDS: Ints = np.zeros(0, np.int64)  # stand for "not given" in a ground truth
_NO_CROWD: Bools = np.zeros(0, np.bool_)
_NONE_IGNORED: Bools = np.zeros(0, np.bool_)
_NO_AREAS: Floats = np.zeros(0)


def _column(name: str, values: ArrayLike, dtype: Any, length: int) -> NDArray[Any]:
    column = as_column(name, values, dtype, length)
    column.flags.writeable = False
    return column


def _checked_boxes(boxes: ArrayLike) -> Boxes:
    checked: Boxes = as_boxes(boxes).copy()
    if not np.isfinite(checked).all():
        row = int(np.flatnonzero(~np.isfinite(checked).all(axis=1))[0])
        raise ValueError(f"boxes: row {row} is not finite: {checked[row].tolist()}")
    checked = ordered_corners(checked)
    checked.flags.writeable = False
    return checked


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The annotated objects of one image or of one crop; row i of every array is object i.

    ``boxes``: (n, 4) float64 ``x0 y0 x1 y1`` in pixels of the frame, half-open. ``categories``: (n,) ids of the data
    set. ``ids``: (n,) annotation ids, from 1. ``crowd``: (n,) regions in which detections are neither right nor wrong.
    ``areas``: (n,) square pixels, of the mask where there is one. ``masks``: one :class:`Mask` or ``None`` an object.
    ``ignored``: (n,) single objects that need not be found (Pascal VOC's *difficult*): one detection of each is neither
    right nor wrong, by the ordinary IoU.
    """

    boxes: Boxes
    categories: Ints
    ids: Ints = field(default_factory=lambda: _NO_IDS)
    crowd: Bools = field(default_factory=lambda: _NO_CROWD)
    areas: Floats = field(default_factory=lambda: _NO_AREAS)
    masks: tuple[Mask | None, ...] = ()
    ignored: Bools = field(default_factory=lambda: _NONE_IGNORED)

    if TYPE_CHECKING:  # what is taken is wider than what is there afterwards

        def __init__(
            self,
            boxes: ArrayLike,
            categories: ArrayLike,
            ids: ArrayLike = ...,
            crowd: ArrayLike = ...,
            areas: ArrayLike = ...,
            masks: Sequence[Mask | None] = (),
            ignored: ArrayLike = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        boxes = _checked_boxes(self.boxes)
        count = len(boxes)
        put = object.__setattr__
        put(self, "boxes", boxes)
        put(self, "categories", _column("categories", self.categories, np.int64, count))
        ids = np.arange(1, count + 1) if self.ids is _NO_IDS else self.ids
        put(self, "ids", _column("ids", ids, np.int64, count))
        crowd = np.zeros(count) if self.crowd is _NO_CROWD else self.crowd
        put(self, "crowd", _column("crowd", crowd, np.bool_, count))
        put(self, "areas", _column("areas", areas(boxes) if self.areas is _NO_AREAS else self.areas, np.float64, count))
        masks = tuple(self.masks) or (None,) * count
        if len(masks) != count:
            raise ValueError(f"masks: expected {count} to go with the boxes, got {len(masks)}")
        put(self, "masks", masks)
        ignored = np.zeros(count) if self.ignored is _NONE_IGNORED else self.ignored
        put(self, "ignored", _column("ignored", ignored, np.bool_, count))

    @property
    def counted(self) -> Bools:
        """(n,) the objects that must be found: no crowds, and not ignored."""
        return np.asarray(~(self.crowd | self.ignored))

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, rows: Ints) -> "GroundTruth":
        """Return the objects of ``rows``, in that order, with everything that belongs to them."""
        return GroundTruth(
            boxes=self.boxes[rows],
            categories=self.categories[rows],
            ids=self.ids[rows],
            crowd=self.crowd[rows],
            areas=self.areas[rows],
            masks=tuple(self.masks[row] for row in rows),
            ignored=self.ignored[rows],
        )

    @classmethod
    def empty(cls) -> "GroundTruth":
        """Ground truth of an image without objects."""
        return cls(boxes=np.zeros((0, 4)), categories=np.zeros(0, np.int64))

    def __repr__(self) -> str:
        told = {"boxes": self.boxes.tolist(), "categories": self.categories.tolist()}
        if self.ids.tolist() != list(range(1, len(self) + 1)):
            told["ids"] = self.ids.tolist()
        if self.crowd.any():
            told["crowd"] = self.crowd.tolist()
        if not np.array_equal(self.areas, areas(self.boxes)):
            told["areas"] = self.areas.tolist()
        if any(mask is not None for mask in self.masks):
            told["masks"] = self.masks
        if self.ignored.any():
            told["ignored"] = self.ignored.tolist()
        return f"GroundTruth({', '.join(f'{name}={value!r}' for name, value in told.items())})"


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in one picture; row i of every array is detection i.

    ``boxes``: (n, 4) float64 ``x0 y0 x1 y1`` in pixels of the picture, half-open; they may reach over its border, and
    have no width or height, but ``x1 < x0`` or ``y1 < y0`` is a ``ValueError`` that names the likely format.
    ``scores``: (n,) float64 in 0 to 1. ``categories``: (n,) ids. ``capped``: the detector returned as many rows as it
    can, so there may have been more.
    """

    boxes: Boxes
    scores: Floats
    categories: Ints
    capped: bool = False

    if TYPE_CHECKING:

        def __init__(
            self, boxes: ArrayLike, scores: ArrayLike, categories: ArrayLike, capped: bool = False
        ) -> None: ...

    def __post_init__(self) -> None:
        boxes = _checked_boxes(self.boxes)
        put = object.__setattr__
        put(self, "boxes", boxes)
        put(self, "scores", as_scores(_column("scores", self.scores, np.float64, len(boxes))))
        put(self, "categories", _column("categories", self.categories, np.int64, len(boxes)))

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, rows: Ints) -> "Detections":
        """Return the detections of ``rows``, in that order."""
        return Detections(self.boxes[rows], self.scores[rows], self.categories[rows], self.capped)

    @classmethod
    def empty(cls) -> "Detections":
        """A detector's answer when it found nothing."""
        return cls(boxes=np.zeros((0, 4)), scores=np.zeros(0), categories=np.zeros(0, np.int64))

    def __repr__(self) -> str:
        return (
            f"Detections(boxes={self.boxes.tolist()}, scores={self.scores.tolist()}, "
            f"categories={self.categories.tolist()})"
        )


@dataclass(frozen=True, eq=False)
class Sample:
    """One image of a data set with its ground truth; pixels are read only when :meth:`image` is called.

    ``id`` is the image's ``file_name`` as the data set writes it; ``width`` and ``height`` are in pixels as decoded.
    ``path``: the file that ``read`` decodes, if it is one; what was detected in it can be kept from run to run.
    ``checked``: the categories of which every object in the image is annotated; a detection of another one that
    matches nothing is no mistake. ``None``: all categories, as everywhere but in federated sets such as LVIS.
    ``content``: SHA-256 of the encoded image where it has no file of its own, as in a TFRecord, or a function that
    finds it; it takes the place of ``path`` for what is kept from run to run.
    """

    id: str
    width: int
    height: int
    truth: GroundTruth
    read: Callable[[], Image]
    path: Path | None = None
    checked: frozenset[int] | None = None
    content: str | Callable[[], str] | None = None

    def image(self) -> Image:
        """Return the pixels: RGB uint8 of shape (height, width, 3)."""
        return self.read()

    def content_hash(self) -> str | None:
        """Return ``content``, found if it is a function that finds it."""
        return self.content() if callable(self.content) else self.content

    def __repr__(self) -> str:
        return f"Sample({self.id!r}, {self.width}x{self.height}, {len(self.truth)} objects)"
