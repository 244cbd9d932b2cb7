"""The fate of each object along the chain: found in the whole image, lost from some rendering on; and the mirror.

An object counts once for each crop that shows it. Found means at the operating point: a detection of its category,
scored at or above it, matches the object at IoU 0.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.evaluation import COCO_SIZES, Objects, Share, measure_share, size_classes
from pytest_cropdet.geometry import Bools
from pytest_cropdet.terms import CHAIN, STEPS

__all__ = ["NEVER", "SIZES", "Fates", "fates", "original_area", "sizes_of"]

NEVER = -1
SIZES = COCO_SIZES  # of the whole annotation


@dataclass(frozen=True, eq=False)
class Fates:
    """What became of the scored objects.

    ``lost_at``: (G,) the step (0 to 3, as in ``STEPS``) from which on an object found in ``whole`` stays lost up to
    ``crop``; ``gained_at``: (G,) the mirror; -1 for neither. ``lost``, ``gained``: by step, as shares of all scored
    objects with image-level bounds. ``by_category``, ``by_size``: counts of the lost and the gained by step.
    """

    lost_at: NDArray[np.int64]
    gained_at: NDArray[np.int64]
    lost: Mapping[str, Share]
    gained: Mapping[str, Share]
    by_category: Mapping[str, Mapping[str, Mapping[str, int]]]
    by_size: Mapping[str, Mapping[str, Mapping[str, int]]]

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the rows as built-in values."""
        told = {"lost": self.lost, "gained": self.gained}
        return {
            **{
                fate: {name: {"count": int(each.over.sum()), **each.bounds()} for name, each in shares.items()}
                for fate, shares in told.items()
            },
            "net": {
                name: {
                    "count": int(lost.over.sum() - self.gained[name].over.sum()),
                    **(lost - self.gained[name]).bounds(),
                }
                for name, lost in self.lost.items()
            },
            "by_category": {
                name: {fate: dict(counts) for fate, counts in each.items()} for name, each in self.by_category.items()
            },
            "by_size": {
                name: {fate: dict(counts) for fate, counts in each.items()} for name, each in self.by_size.items()
            },
        }


def fates(
    objects: Objects,
    found: Mapping[str, Bools],
    counted: Bools,
    draws: NDArray[Any],
    names: Mapping[int, str],
    level: float = 0.95,
) -> Fates:
    """Return the fates of the ``counted`` (G,) objects; ``found``: (G,) for every rendering of the chain.

    ``draws``: (N, units) how often each source image is drawn, ``names``: categories by id. ``level``: of the bounds.
    """
    seen = np.stack([found[name] & counted for name in CHAIN])
    lost_at = _stays(~seen)
    gained_at = _stays(seen)
    lost_at[~(seen[0] & ~seen[-1])] = NEVER
    gained_at[~(~seen[0] & seen[-1])] = NEVER
    units = len(objects.index.samples)
    total = np.bincount(objects.unit[counted], minlength=units).astype(np.float64)

    def shares(fate: str, at: NDArray[np.int64]) -> dict[str, Share]:
        return {
            name: measure_share(
                f"{fate} at {name}",
                np.bincount(objects.unit[at == step], minlength=units).astype(np.float64),
                total,
                draws,
                level=level,
            )
            for step, name in enumerate(STEPS)
        }

    sizes = sizes_of(objects)
    categories = {
        names.get(int(key), str(key)): objects.truth.category == key
        for key in np.unique(objects.truth.category[counted])
    }

    def counts(rows: Bools) -> dict[str, dict[str, int]]:
        return {
            fate: {name: int((at[rows] == step).sum()) for step, name in enumerate(STEPS)}
            for fate, at in (("lost", lost_at), ("gained", gained_at))
        }

    return Fates(
        lost_at,
        gained_at,
        shares("lost", lost_at),
        shares("gained", gained_at),
        {name: counts(rows) for name, rows in categories.items()},
        {name: counts(sizes == place) for place, name in enumerate(SIZES)},
    )


def _stays(flags: Bools) -> NDArray[np.int64]:
    """Return (G,): the step after which ``flags`` (renderings, G) stay true up to the last rendering.

    >>> _stays(np.array([[False], [True], [False], [True], [True]]))
    array([2])
    """
    until_end = np.logical_and.accumulate(flags[::-1])[::-1]
    return np.asarray(np.argmax(until_end, axis=0) - 1, dtype=np.int64)


def original_area(objects: Objects) -> NDArray[np.float64]:
    """Return (G,) the area in square pixels of each row's whole annotation, of its mask where it has one."""
    areas = [
        dict(zip(sample.truth.ids.tolist(), sample.truth.areas.tolist(), strict=True))
        for sample in objects.index.samples
    ]
    pairs = zip(objects.unit.tolist(), objects.annotation.tolist(), strict=True)
    return np.array([areas[unit][annotation] for unit, annotation in pairs], dtype=np.float64)


def sizes_of(objects: Objects) -> NDArray[np.int64]:
    """Return (G,) the place in ``SIZES`` of each row's whole annotation."""
    return size_classes(original_area(objects))
