"""Why an invariant could not be judged, in words that the evidence proves."""

import numpy as np

from pytest_cropdet.geometry import has_sides
from pytest_cropdet.invariants.observations import Evidence

__all__ = ["few", "nothing", "nothing_found"]

SMALLEST_FRAME = 1.5  # px


def nothing(evidence: Evidence) -> str:
    """Return what is said where there is no object to judge by."""
    images = "1 image" if len(evidence.observations) == 1 else f"{len(evidence.observations)} images"
    return f"cannot be judged: no confident detection in {images}{nothing_found(evidence)}"


def few(evidence: Evidence, count: int, least: int) -> str:
    """Return what is said where there are fewer objects than ``least``."""
    said = f"only {count} confident objects, {least} are needed"
    why = nothing_found(evidence)
    return f"{said}{why}" if why else f"{said}: --cropdet-examples takes in more images"


def nothing_found(evidence: Evidence) -> str:
    """Return why nothing of what was found is an object to judge by: no score, or no box of any size.

    Empty where nothing was found at all, and where there are objects.
    """
    confident = evidence.rules.confident
    answers = [seen.windows() for seen in evidence.observations]
    scores = np.concatenate([each.scores for each in answers])
    if not len(scores):
        return ""
    if scores.max() < confident:
        highest = f"the highest of {len(scores)} scores is {scores.max():.3g}"
        return f"; {highest}, {confident:.3g} is needed (--cropdet-score-threshold lowers it)"
    boxes = np.concatenate([each.boxes[each.scores >= confident] for each in answers])
    without = ~has_sides(boxes)
    if without.all():
        text = f"; {len(boxes)} detections score {confident:.3g} or more, but their boxes have no width or no height"
        if np.isin(boxes, (0, 1)).all():
            text += ": all coordinates are 0 or 1, as of boxes in 0 to 1 that were rounded to whole numbers"
        return text
    if boxes.max() <= SMALLEST_FRAME:
        return (
            f"; the boxes of all {len(boxes)} detections that score {confident:.3g} or more lie within "
            f"{SMALLEST_FRAME:g} px of the left top corner, as of boxes in 0 to 1: multiply x by the picture's width "
            "and y by its height"
        )
    if any(len(seen.held) for seen in evidence.observations):
        return ""
    return f"; {len(boxes)} detections score {confident:.3g} or more, but their boxes lie outside of the picture"
