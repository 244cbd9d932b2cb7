"""The operating point: the score from which on a detection is acted upon, and what is found from there on.

AP weighs every score. A product has one threshold; below it an object is simply not found.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.boxes import iou
from pytest_cropdet.crops import Crop
from pytest_cropdet.evaluation import Detected, Matches, match
from pytest_cropdet.samples import Bools, Detections, Ints, Sample
from pytest_cropdet.scoring import CropIndex, Objects, build_detected, build_objects

__all__ = ["FOUND_IOU", "at_half", "best_f1_score", "covering_detections", "found_objects", "matched_scores"]

FOUND_IOU = 0.5


def found_objects(matches: Matches, detected: Detected, score: float, objects: int) -> Bools:
    """Return (objects,): matched at IoU 0.5 by a detection of their category that scores ``score`` or more."""
    rows = matches.truth_of()[at_half(matches)]
    strong = (rows >= 0) & (detected.score[matches.rows] >= score)
    found = np.zeros(objects, dtype=bool)
    found[rows[strong]] = True
    return found


def matched_scores(matches: Matches, detected: Detected, objects: int) -> NDArray[np.float64]:
    """Return (objects,): the score of the detection that matches each object at IoU 0.5, -1 for none."""
    rows = matches.truth_of()[at_half(matches)]
    hit = rows >= 0
    scores = np.full(objects, -1.0)
    np.maximum.at(scores, rows[hit], detected.score[matches.rows[hit]])
    return scores


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
    frames = tuple(Crop(0, 0, sample.width, sample.height) for sample in samples)
    count = np.arange(len(samples))
    index = CropIndex(tuple(samples), frames, count, np.zeros_like(count))
    objects = build_objects(index, min_visibility=0.0)
    detected = build_detected(index, whole, 0.0, whole=True)
    matches = match(objects.truth, detected, images=len(index), categories=list(categories), beyond=True)
    half = at_half(matches)
    rows, ignored = matches.truth_of()[half], matches.ignored()[half]
    scores = detected.score[matches.rows]
    order = np.argsort(-scores[~ignored], kind="stable")
    right = (rows >= 0)[~ignored][order]
    ranked = scores[~ignored][order]
    positives = int((objects.scored & np.isin(objects.truth.category, list(categories))).sum())
    if not right.any():
        return 0.5
    true = np.cumsum(right)
    f1 = 2 * true / (np.arange(1, len(true) + 1) + positives)
    last_of_score = np.append(ranked[1:] != ranked[:-1], True)
    return float(ranked[int(np.argmax(np.where(last_of_score, f1, -1.0)))])


def at_half(matches: Matches) -> int:
    """Return where IoU 0.5 stands among the thresholds."""
    return int(np.argmin(np.abs(matches.thresholds - FOUND_IOU)))
