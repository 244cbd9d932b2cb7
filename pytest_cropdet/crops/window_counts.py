"""How many windows a built-in family would have, by arithmetic: nothing is allocated for windows that are too many."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pytest_cropdet.crops.families import FAMILIES, side, tile_step
from pytest_cropdet.data import Sample
from pytest_cropdet.errors import SpecError

__all__ = ["MAX_CROPS", "count_windows", "refuse_many"]

MAX_CROPS = 1_000_000


def count_windows(family: str, parameters: Mapping[str, Any], samples: Sequence[Sample]) -> int:
    """Return the number of windows of a family in ``samples``; where objects decide, the most there can be.

    Of a family that is not built in it is 0: its windows are counted as they are drawn.
    """
    if family not in FAMILIES:
        return 0
    if family == "tile":
        return sum(_tiles(sample, parameters["size"], parameters["overlap"]) for sample in samples)
    per_image = int(parameters["per_image"])
    if family == "random":
        return per_image * len(samples)
    if family == "shift":
        low, high = parameters["px"]
        return sum(
            min(per_image, _shifts(sample.width, low, high) * _shifts(sample.height, low, high)) for sample in samples
        )
    return sum(min(per_image, int(np.count_nonzero(sample.truth.counted))) for sample in samples)


def refuse_many(spec: str, count: int, images: int, max_crops: int) -> None:
    """Raise ``SpecError`` if ``count`` windows are more than ``max_crops``."""
    if count > max_crops:
        number = f"{count:,}" if count < 10**15 else "more than 10^15"
        raise SpecError(
            f"crops {spec!r}: about {number} crops of {images:,} images, and the limit is {max_crops:,}; take larger "
            "or fewer windows (size=, per_image=), fewer images (--cropdet-sample-images), or raise --cropdet-max-crops"
        )


def _tiles(sample: Sample, size: float, overlap: float) -> int:
    count = 1
    for length in (sample.width, sample.height):
        tile = side(size, length) if size < 1 else min(int(size), length)
        if tile < length:
            count *= 1 + -(-(length - tile) // tile_step(tile, overlap))
    return count


def _shifts(length: int, low: int, high: int) -> int:
    return min(high, length - 1) - min(low, length - 1) + 1
