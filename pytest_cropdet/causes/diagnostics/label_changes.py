"""Which label became which: objects that one rendering names right and the other wrong, at the operating point.

An object is *flipped* if it is found in the reference (a detection of its category, scored at or above the operating
point, matches it at IoU 0.5) and not in the crop, where a detection of another category that is scored as high covers
it at IoU 0.5. They are those that ``flips`` counts. *Righted* are those of the mirror: wrong in the reference, right
in the crop; a crop can also take away what confused the detector.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_cropdet.evaluation import Detected, Matches, Objects, OperatingPoint, covering_detections
from pytest_cropdet.geometry import Bools, Crop

__all__ = ["LabelChange", "LabelChanges", "LabelExample", "label_changes"]

MOST_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class LabelExample:
    """One object whose label changed, with the scores of the label before (whole image) and after (crop).

    ``box``: its part in the window, ``x0 y0 x1 y1`` pixels of the image. ``annotation``: its id in the data set.
    """

    sample: str
    crop: Crop
    annotation: int
    box: tuple[float, float, float, float]
    before: float
    after: float

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        window = self.crop
        return {
            "sample": self.sample,
            "crop": [window.left, window.top, window.width, window.height],
            "annotation": self.annotation,
            "box": list(self.box),
            "before": self.before,
            "after": self.after,
        }


@dataclass(frozen=True, slots=True)
class LabelChange:
    """How many objects had the label ``before`` in the whole image and ``after`` in the crop, and some of them."""

    before: str
    after: str
    count: int
    examples: tuple[LabelExample, ...]

    def __str__(self) -> str:
        return f"{self.before} -> {self.after} {self.count}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        examples = [each.to_dict() for each in self.examples]
        return {"from": self.before, "to": self.after, "count": self.count, "examples": examples}


@dataclass(frozen=True, slots=True)
class LabelChanges:
    """Labels that were right in the whole image (``flipped``) or are right in the crop (``righted``), most first."""

    flipped: tuple[LabelChange, ...]
    righted: tuple[LabelChange, ...]

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """Return everything as built-in values."""
        return {
            "flipped": [each.to_dict() for each in self.flipped],
            "righted": [each.to_dict() for each in self.righted],
        }


def label_changes(
    objects: Objects,
    detected: Mapping[str, Detected],
    matches: Mapping[str, Matches],
    score: float,
    names: Mapping[int, str],
) -> LabelChanges:
    """Return which label became which at the operating point ``score``, over the categories that were matched.

    ``names``: by category id; a category without a name is called by its id. Examples are the surest mistakes.
    """
    point = OperatingPoint.of(objects, matches, detected, score)

    def changes(right: str, wrong: str, rows: Bools) -> tuple[LabelChange, ...]:
        """Group the rows by label before and after; ``right`` and ``wrong`` name renderings."""
        covering = covering_detections(objects, detected[wrong], rows, score)
        groups: dict[tuple[str, str], list[tuple[float, int]]] = {}
        for row in np.flatnonzero(covering >= 0).tolist():
            own, other = int(objects.truth.category[row]), int(detected[wrong].category[covering[row]])
            pair = (own, other) if right == "reference" else (other, own)
            key = str(names.get(pair[0], pair[0])), str(names.get(pair[1], pair[1]))
            groups.setdefault(key, []).append((-float(detected[wrong].score[covering[row]]), row))
        ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
        return tuple(
            LabelChange(
                *pair, len(some), tuple(example(right, row, -sure) for sure, row in sorted(some)[:MOST_EXAMPLES])
            )
            for pair, some in ordered
        )

    def example(right: str, row: int, sure: float) -> LabelExample:
        index, image = objects.index, objects.truth.image[row]
        crop = index.crops[image]
        x0, y0, x1, y1 = crop.out_of(objects.truth.boxes[[row]])[0].tolist()
        scores = float(point.scores[right][row]), sure
        before, after = scores if right == "reference" else scores[::-1]
        sample = index.samples[index.unit[image]].id
        return LabelExample(sample, crop, int(objects.annotation[row]), (x0, y0, x1, y1), before, after)

    return LabelChanges(
        flipped=changes("reference", "crop", point.lost),
        righted=changes("crop", "reference", point.gained),
    )
