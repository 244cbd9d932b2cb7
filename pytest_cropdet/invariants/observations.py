"""What the invariants of a detector are judged by: its answers to whole images and windows, each asked for once.

The objects are what is found with confidence in the whole image; no ground truth is needed. So an invariant says that
a crop and its image agree, not that either is right.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pytest_cropdet.crops import draw_number, make_plan, shuffled
from pytest_cropdet.data import Detections, Sample
from pytest_cropdet.detectors import Detector, DetectorHandle, as_handle
from pytest_cropdet.errors import DataError
from pytest_cropdet.geometry import Crop, Image, iou
from pytest_cropdet.inference import Cache, Windows
from pytest_cropdet.search import HeldObjects, LossRules, held_objects

__all__ = ["CALLS_PER_IMAGE", "Evidence", "ImageObservation", "WindowAnswer", "difference"]

CALLS_PER_IMAGE = 6
INSIDE = "random:keep=0.5-0.9,per_image=2"
CUT = {"less": "edge:visible=0.85,per_image=1,min_side=8", "more": "edge:visible=0.6,per_image=1,min_side=8"}
SAME_PLACE = 0.01  # px
SMALL_SHIFT = 7  # pixels, below the stride of any detector


@dataclass(frozen=True, slots=True)
class WindowAnswer:
    """What a window says of an object of the whole image.

    ``clear``: it lies inside, at least a tenth of the window's shorter side away from the cut. ``overlaps``,
    ``scores``, ``same``: of each detection of the window, its IoU with what shows of the object, its score, whether
    its category is the object's. ``first``: in the whole image no other category scores as much on its place.
    """

    place: str
    row: int
    score: float
    visibility: float
    clear: bool
    overlaps: np.ndarray
    scores: np.ndarray
    same: np.ndarray
    first: bool = True

    def best(self, least: float, same: bool = True) -> float:
        """Return the highest score at IoU ``least``, 0 for none; ``same=False``: of any category."""
        rows = (self.overlaps >= least) & (self.same if same else True)
        return float(self.scores[rows].max(initial=0.0))


class ImageObservation:
    """One image: its windows, and what is found in them."""

    def __init__(
        self, detector: DetectorHandle, sample: Sample, rules: LossRules, seed: int, cache: Cache | None
    ) -> None:
        self.windows = Windows(detector, sample, cache)
        self.sample, self.rules, self._seed = sample, rules, seed
        self.frame = self.windows.frame

    @cached_property
    def held(self) -> HeldObjects:
        """The objects: what is found with confidence in the whole image."""
        return held_objects(None, self.windows(), self.rules, self.frame)

    def inside(self) -> tuple[Crop, ...]:
        """Return windows of half to nine tenths of each side."""
        return make_plan([self.windows.sample], INSIDE, self._seed).windows[self.sample.id]

    def shifted(self) -> Crop:
        """Return the image less 1 to 7 px at the left and top."""
        less = [1 + draw_number("small shift", self._seed, self.sample.id, axis) % SMALL_SHIFT for axis in "xy"]
        less = [min(less[0], self.sample.width - 1), min(less[1], self.sample.height - 1)]
        return Crop(less[0], less[1], self.sample.width - less[0], self.sample.height - less[1])

    def cut(self, share: str) -> tuple[Crop, ...]:
        """Return a window that cuts an object, if there is one: ``less`` of it, or ``more``."""
        objects = Sample(self.sample.id, self.sample.width, self.sample.height, self.held.truth, _unread)
        return make_plan([objects], CUT[share], self._seed).windows[self.sample.id]

    def answers(self, crop: Crop) -> Iterator[WindowAnswer]:
        """Yield what ``crop`` says of every object of which half or more shows."""
        found = self.windows(crop)
        seen = Crop(0, 0, crop.width, crop.height).clip(found.boxes)
        near = 0.1 * min(crop.width, crop.height)
        for row, box in enumerate(self.held.truth.boxes):
            inside = crop.into(box[None])
            area = float(np.prod(inside[0, 2:] - inside[0, :2]))
            visibility = area / float(np.prod(box[2:] - box[:2]))
            if visibility >= 0.5:
                yield WindowAnswer(
                    f"{crop!r} of {self.sample.id}",
                    row,
                    float(self.held.scores[row]),
                    visibility,
                    visibility == 1 and self.away(box, crop, near),
                    iou(inside, seen)[0],
                    found.scores,
                    found.categories == self.held.truth.categories[row],
                    self._first[row],
                )

    @cached_property
    def _first(self) -> list[bool]:
        """Whether each object's category scores highest on its place in the whole image."""
        whole = self.windows()
        boxes, categories = self.held.truth.boxes, self.held.truth.categories
        other = categories[:, None] != whole.categories[None, :]
        there = (iou(boxes, self.frame.clip(whole.boxes)) >= 0.7) & other
        best = np.where(there, whole.scores[None, :], 0.0).max(axis=1, initial=0.0)
        return [bool(each) for each in best < self.held.scores]

    def away(self, box: np.ndarray, crop: Crop, near: float) -> bool:
        """Whether a box, in the image's frame, keeps ``near`` pixels from every cut; the image's border is none."""
        gaps = (
            crop.left == 0 or box[0] >= crop.left + near,
            crop.top == 0 or box[1] >= crop.top + near,
            crop.right == self.sample.width or box[2] <= crop.right - near,
            crop.bottom == self.sample.height or box[3] <= crop.bottom - near,
        )
        return all(gaps)


class Evidence:
    """A detector's answers to some images of a data set, chosen by the seed, as many as ``examples`` calls allow.

    ``names``: of the annotated categories, by which alone conventions are recognised. ``hints``: what an invariant
    noticed that breaks nothing, by its name. ``noted``: what else may break an invariant, found once.
    """

    def __init__(
        self,
        detector: Detector,
        samples: Sequence[Sample],
        *,
        examples: int = 100,
        seed: int = 0,
        cache: Cache | None = None,
        rules: LossRules | None = None,
        names: Mapping[int, str] | None = None,
    ) -> None:
        self.detector = as_handle(detector)
        self.rules = rules or LossRules()
        count = max(2, examples // CALLS_PER_IMAGE)
        pool = shuffled(list(samples), seed)
        if not pool:
            raise DataError("the data set has no images, so that no invariant can be judged")
        chosen = pool[:count]
        self.samples, self.names = pool[:examples], names
        self.observations = [ImageObservation(self.detector, sample, self.rules, seed, cache) for sample in chosen]
        self.hints: dict[str, str] = {}
        self.noted: dict[str, str | None] = {}

    def everything(self) -> Iterator[tuple[str, Detections, tuple[int, int]]]:
        """Yield the answers to whole images and windows, with the (width, height) that was shown."""
        for seen in self.observations:
            for crop in (seen.frame, *seen.inside()):
                yield f"{crop!r} of {seen.sample.id}", seen.windows(crop), (crop.width, crop.height)

    def ask(self, *images: Image) -> list[Detections]:
        """Return the answers to pictures of any kind, in one batch."""
        adapter = self.detector.adapter
        return self.detector.detect([adapter.prepare(np.ascontiguousarray(image)) for image in images])


def difference(one: Detections, other: Detections, least: float) -> float:
    """Return the largest change of a score between two answers to one picture, from ``least`` on.

    Detections of one category belong together at IoU 0.7, or on the same place, where a box has no area; what has no
    partner changes by its whole score.
    """
    changes = [0.0]
    for left, right in ((one, other), (other, one)):
        rows = np.flatnonzero(left.scores >= least)
        there = iou(left.boxes[rows], right.boxes) >= 0.7
        there |= (np.abs(left.boxes[rows][:, None] - right.boxes[None]) <= SAME_PLACE).all(axis=2)
        same = there & (left.categories[rows][:, None] == right.categories[None, :])
        change = np.abs(left.scores[rows][:, None] - right.scores[None, :])
        nearest = np.where(same, change, np.inf).min(axis=1, initial=np.inf)
        changes += np.where(np.isinf(nearest), left.scores[rows], nearest).tolist()
    return float(max(changes))


def _unread() -> Image:
    raise RuntimeError("a sample that stands for its objects has no pixels")
