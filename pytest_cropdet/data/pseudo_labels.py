"""Without ground truth: whether the crop says what the whole image says.

The whole image's confident detections stand in for truth. To count, one must score at least ``high``; to be found, the
crop needs it only at ``low`` (hysteresis, so that a score which wavers round one threshold is no loss); what the whole
image shows between the two is neither right nor wrong. This measures agreement, not accuracy: a detector that is wrong
in the same way on both sides agrees with itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pytest_cropdet.data.samples import Detections, GroundTruth, Sample

__all__ = ["HIGH_SCORE", "LOW_SHARE", "detector_names", "stand_in_truth"]

HIGH_SCORE = 0.5
LOW_SHARE = 0.6  # the lower threshold as a share of the upper one


def stand_in_truth(samples: Sequence[Sample], whole: Mapping[str, Detections], high: float) -> list[Sample]:
    """Return ``samples`` with the confident detections of the whole images as their ground truth.

    Boxes are clipped to the image. Detections from ``LOW_SHARE * high`` to below ``high`` become ignored regions.
    """
    return [replace(sample, truth=_truth(sample, whole[sample.id], high)) for sample in samples]


def _truth(sample: Sample, found: Detections, high: float) -> GroundTruth:
    frame = np.array([sample.width, sample.height, sample.width, sample.height], dtype=np.float64)
    boxes = np.clip(found.boxes, 0.0, frame)
    counted = (found.scores >= LOW_SHARE * high) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    rows = np.flatnonzero(counted)
    return GroundTruth(boxes[rows], found.categories[rows], crowd=found.scores[rows] < high)


def detector_names(categories: Mapping[int, str] | None, found: Mapping[str, Detections]) -> dict[int, str]:
    """Return the names of the detector's categories; of one that names none, the ids that were seen, as text."""
    if categories is not None:
        return dict(sorted(categories.items()))
    seen = {int(key) for each in found.values() for key in each.categories}
    return {key: str(key) for key in sorted(seen)}
