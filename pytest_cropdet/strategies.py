"""The public path of the Hypothesis strategies in ``crops``."""

from pytest_cropdet.crops.strategies import (
    boxes,
    crops,
    crops_of,
    detections,
    ground_truths,
    samples,
)

__all__ = [
    "boxes",
    "crops",
    "crops_of",
    "detections",
    "ground_truths",
    "samples",
]
