"""When an object is lost in a window: it was found with confidence in the whole image, shows, and is not found."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pytest_cropdet.data import Detections, GroundTruth, crop_truth
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry import Boxes, Crop, Floats, Ints, has_sides, iou

__all__ = ["HeldObjects", "LossRules", "VisibleObject", "held_objects"]


@dataclass(frozen=True, slots=True)
class LossRules:
    """When an object counts as lost; all of it 0 to 1.

    ``score``: the operating point, below which nothing is found. ``margin``: how far above it an object must score in
    the whole image to be found with confidence, so that a score which wavers round the operating point loses nothing.
    ``min_visibility``: the share of it that must show in the window; 1 for objects that lie inside it. Found is a
    detection of its category at ``found_iou`` or more with what shows of it.
    """

    score: float = 0.3
    margin: float = 0.2
    min_visibility: float = 0.75
    found_iou: float = 0.5

    def __post_init__(self) -> None:
        for name in ("score", "margin", "min_visibility", "found_iou"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise SpecError(f"{name} must lie between 0 and 1, not {value:g}")

    @property
    def confident(self) -> float:
        """The score from which an object is found with confidence."""
        return self.score + self.margin

    def __str__(self) -> str:
        return (
            f"lost: {self.confident:g} or more in the whole image, below {self.score:g} in the crop "
            f"at IoU {self.found_iou:g}, with {self.min_visibility:.0%} of it or more visible"
        )


@dataclass(frozen=True, slots=True)
class VisibleObject:
    """An object that shows in a window: its row among those held, and its scores in the whole image and the crop.

    ``score_crop`` is 0 where no detection of its category covers it. ``visibility``: the share of it that shows.
    """

    row: int
    score_whole: float
    score_crop: float
    visibility: float


@dataclass(frozen=True, eq=False)
class HeldObjects:
    """The objects of an image that a detector finds with confidence there: their truth, and (k,) scores."""

    truth: GroundTruth
    scores: Floats
    rules: LossRules

    def __len__(self) -> int:
        return len(self.truth)

    def visible(self, crop: Crop) -> list[int]:
        """Return the rows of which enough shows in ``crop``; for the others nobody need ask the detector."""
        shown = crop_truth(self.truth, crop, self.rules.min_visibility, cut_masks=False)
        return [int(row) for row in shown.kept[shown.scored]]

    def shown(self, crop: Crop, found: Detections) -> list[VisibleObject]:
        """Return every object of which enough shows in ``crop``, given what was found there, in the crop's frame."""
        cropped = crop_truth(self.truth, crop, self.rules.min_visibility, cut_masks=False)
        seen = Crop(0, 0, crop.width, crop.height).clip(found.boxes)
        score = best_scores(cropped.truth, found, seen, self.rules.found_iou, cropped.tight)
        return [
            VisibleObject(int(row), float(self.scores[row]), float(score[place]), float(cropped.visibility[place]))
            for place, row in enumerate(cropped.kept)
            if cropped.scored[place]
        ]

    def cores(self) -> Iterator[tuple[float, float, float, float]]:
        """Yield, for each object, its box and what stays of it when as much as may be is cut off one side.

        A window that holds one of them shows enough of the object.
        """
        gone = 1 - self.rules.min_visibility
        for x0, y0, x1, y1 in self.truth.boxes.tolist():
            across, down = gone * (x1 - x0), gone * (y1 - y0)
            yield x0, y0, x1, y1
            if gone > 0:
                yield from ((x0 + across, y0, x1, y1), (x0, y0 + down, x1, y1))
                yield from ((x0, y0, x1 - across, y1), (x0, y0, x1, y1 - down))


def held_objects(truth: GroundTruth | None, whole: Detections, rules: LossRules, frame: Crop) -> HeldObjects:
    """Return the objects of an image that are found with confidence in all of it.

    ``truth``: what there is; without it the confident detections stand for it. An object that reaches so far beyond
    the image that no window shows enough of it is left out. ``frame``: the whole image.
    """
    seen = frame.clip(whole.boxes)
    if truth is None:
        rows = np.flatnonzero(has_sides(seen) & (whole.scores >= rules.confident))
        return HeldObjects(GroundTruth(seen[rows], whole.categories[rows]), whole.scores[rows], rules)
    scores = best_scores(truth, whole, seen, rules.found_iou, truth.boxes)
    shown = crop_truth(truth, frame, rules.min_visibility, cut_masks=False)
    rows = shown.kept[shown.scored]
    held: Ints = rows[scores[rows] >= rules.confident]
    return HeldObjects(truth.take(held), scores[held], rules)


def best_scores(truth: GroundTruth, found: Detections, seen: Boxes, least: float, tight: Boxes) -> Floats:
    """Return (objects,): the highest score of a detection of its category that covers each object, 0 for none.

    ``seen``: the detections' boxes clipped to the frame. ``tight``: other boxes of the objects that will do as well.
    """
    overlap = np.maximum(iou(truth.boxes, seen), iou(tight, seen))
    covers = (overlap >= least) & (truth.categories[:, None] == found.categories[None, :])
    return np.asarray(np.where(covers, found.scores[None, :], 0.0).max(axis=1, initial=0.0))
