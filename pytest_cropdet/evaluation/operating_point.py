"""The operating point: the score from which on a detection is acted upon, and what is found from there on.

AP weighs every score. A product has one threshold; below it an object is simply not found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data import Detections, Sample
from pytest_cropdet.evaluation.coco.matching import match
from pytest_cropdet.evaluation.coco.tables import Detected, Matches
from pytest_cropdet.evaluation.crop_tables import CropIndex, Objects, build_detected, build_objects
from pytest_cropdet.geometry import Bools, Crop, Ints, iou

__all__ = [
    "FATES",
    "FOUND_IOU",
    "OperatingPoint",
    "at_half",
    "best_f1_score",
    "covering_detections",
    "found_objects",
    "kept_scores",
    "matched_scores",
]

FOUND_IOU = 0.5
WHOLE_IMAGES_AT_ONCE = 256
FATES = ("kept", "lost", "gained", "missed")


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """Which objects are found from one ``score`` on, in the whole image (``reference``) and in the crop.

    ``counted``: (G,) the scored objects of the matched categories; no other is found or lost. ``scores``: by rendering,
    (G,) of the detection that matches each object at IoU 0.5, -1 for none.
    """

    score: float
    counted: Bools
    scores: Mapping[str, NDArray[np.float64]]

    @classmethod
    def of(
        cls, objects: Objects, matches: Mapping[str, Matches], detected: Mapping[str, Detected] | None, score: float
    ) -> "OperatingPoint":
        """Return what is found from ``score`` on, over the categories that were matched.

        ``detected``: ``None`` where the match tables have the scores.
        """
        counted = np.asarray(objects.scored & np.isin(objects.truth.category, matches["crop"].categories))
        ends = ("reference", "crop")
        tables = dict.fromkeys(ends) if detected is None else detected
        scores = {name: matched_scores(matches[name], tables[name], len(objects.truth)) for name in ends}
        return cls(score, counted, scores)

    @property
    def found(self) -> dict[str, Bools]:
        """By rendering, (G,) whether an object is found."""
        return {name: np.asarray(self.counted & (each >= self.score)) for name, each in self.scores.items()}

    def found_in(self, matches: Matches, detected: Detected | None) -> Bools:
        """Return (G,) the objects found in any other rendering."""
        return np.asarray(self.counted & found_objects(matches, detected, self.score, len(self.counted)))

    @property
    def fate(self) -> Ints:
        """(G,) the place in ``FATES`` of each object, -1 for one that does not count."""
        whole, crop = self.found["reference"], self.found["crop"]
        return np.where(self.counted, np.select([whole & crop, whole, crop], [0, 1, 2], 3), -1)

    @property
    def lost(self) -> Bools:
        """(G,) found in the whole image and not in the crop."""
        return np.asarray(self.fate == FATES.index("lost"))

    @property
    def gained(self) -> Bools:
        """(G,) found in the crop and not in the whole image."""
        return np.asarray(self.fate == FATES.index("gained"))

    def losing_crops(self, objects: Objects) -> list[tuple[int, int, int]]:
        """Return the crops that lost an object, the worst first: place in the plan, how many lost, of how many found.

        Most objects lost first, on a tie the larger share, then the plan's order.
        """
        crops = len(objects.index)
        lost = np.bincount(objects.truth.image[self.lost], minlength=crops)
        before = np.bincount(objects.truth.image[self.found["reference"]], minlength=crops)
        share = lost / np.maximum(before, 1)
        order = sorted(np.flatnonzero(lost).tolist(), key=lambda place: (-lost[place], -share[place], place))
        return [(place, int(lost[place]), int(before[place])) for place in order]


def found_objects(matches: Matches, detected: Detected | None, score: float, objects: int) -> Bools:
    """Return (objects,): matched at IoU 0.5 by a detection of their category that scores ``score`` or more."""
    return np.asarray(matched_scores(matches, detected, objects) >= score)


def matched_scores(matches: Matches, detected: Detected | None, objects: int) -> NDArray[np.float64]:
    """Return (objects,): the score of the detection that matches each object at IoU 0.5, -1 for none."""
    rows = matches.matched[matches.area_index("all"), at_half(matches)]
    hit = rows >= 0
    scores = np.full(objects, -1.0)
    np.maximum.at(scores, rows[hit], kept_scores(matches, detected)[matches.contenders[hit]])
    return scores


def kept_scores(matches: Matches, detected: Detected | None) -> NDArray[np.float64]:
    """Return (D,) the score of each kept detection: of the match table, or else of the detections."""
    if matches.score is not None:
        return matches.score
    if detected is None:
        raise ValueError("a match table without scores needs the detections that it is of")
    return np.asarray(detected.score[matches.rows])


def covering_detections(objects: Objects, detected: Detected, rows: Bools, score: float) -> Ints:
    """Return (objects,): the detection of another category, scored ``score`` or more, that covers each at IoU 0.5.

    Of several the one with the highest score, of equal ones the first; -1 for none, and where ``rows`` is false.
    """
    covering = np.full(len(rows), -1)
    confident = np.flatnonzero(detected.score >= score)
    starts = np.searchsorted(detected.image[confident], np.arange(len(objects.index) + 1))
    for row in np.flatnonzero(rows):
        image = objects.truth.image[row]
        near = confident[starts[image] : starts[image + 1]]
        near = near[detected.category[near] != objects.truth.category[row]]
        near = near[iou(objects.truth.boxes[[row]], detected.boxes[near])[0] >= FOUND_IOU]
        if len(near):
            covering[row] = near[np.argmax(detected.score[near])]
    return covering


def best_f1_score(samples: Sequence[Sample], whole: Sequence[Detections], categories: Sequence[int]) -> float:
    """Return the score at which F1 = 2 TP / (2 TP + FP + FN) on the whole images, at IoU 0.5, is largest.

    Of equal ones the highest; 0.5 where nothing can be matched.
    """
    parts = [
        _right_or_wrong(
            samples[start : start + WHOLE_IMAGES_AT_ONCE], whole[start : start + WHOLE_IMAGES_AT_ONCE], categories
        )
        for start in range(0, len(samples), WHOLE_IMAGES_AT_ONCE)
    ]
    scores = np.concatenate([np.zeros(0), *(score for score, _, _ in parts)])
    order = np.argsort(-scores, kind="stable")
    right = np.concatenate([np.zeros(0, dtype=bool), *(some for _, some, _ in parts)])[order]
    ranked = scores[order]
    del scores, order
    positives = sum(count for _, _, count in parts)
    if not right.any():
        return 0.5
    f1 = 2.0 * np.cumsum(right)
    f1 /= np.arange(1, len(right) + 1) + positives
    last_of_score = np.append(ranked[1:] != ranked[:-1], True)
    return float(ranked[int(np.argmax(np.where(last_of_score, f1, -1.0)))])


def _right_or_wrong(
    samples: Sequence[Sample], whole: Sequence[Detections], categories: Sequence[int]
) -> tuple[NDArray[np.float64], Bools, int]:
    """Return the scores of what counts in whole images, whether each is right at IoU 0.5, and the number of objects."""
    frames = tuple(Crop(0, 0, sample.width, sample.height) for sample in samples)
    count = np.arange(len(samples))
    index = CropIndex(tuple(samples), frames, count, np.zeros_like(count))
    objects = build_objects(index, min_visibility=0.0)
    detected = build_detected(index, list(whole), 0.0, whole=True)
    matches = match(objects.truth, detected, images=len(index), categories=list(categories), beyond=True)
    half = at_half(matches)
    rows, counts = matches.truth_of()[half], ~matches.ignored()[half]
    positives = int((objects.scored & np.isin(objects.truth.category, list(categories))).sum())
    return kept_scores(matches, detected)[counts], np.asarray(rows >= 0)[counts], positives


def at_half(matches: Matches) -> int:
    """Return where IoU 0.5 stands among the thresholds."""
    return int(np.argmin(np.abs(matches.thresholds - FOUND_IOU)))
