"""Where crops cost: the drop by what is visible of an object, its distance to the cut, its size, its place.

The bins are fixed, so that two runs can be laid side by side:

- ``visibility``: visible area over original area, tenths from 0.5 on (lower ones where the run counts such objects),
  and exactly 1.
- ``distance_to_cut``: pixels from the object's visible box to the nearest edge of the window that is not an edge of the
  image: 0 (it touches), then up to 8, 32, 128, and more; ``no cut``: no edge of the window cuts the image.
- ``distance_to_cut_relative``: the same in units of the object's size, the root of its original box's area.
- ``distance_to_border``: pixels from the object's original box to the nearest edge of the image.
- ``size``: the area of the original annotation (of the mask where there is one),
  in COCO's classes (32^2 px is small, 96^2 px medium).
- ``category``: each category that was matched.
- ``map``: 8 x 8 cells of the window, its upper left first, by the centre of the visible box.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.causes.diagnostics.subsets import Subset, Subsets
from pytest_cropdet.evaluation import COCO_AREA_RANGES, COCO_SIZES, Matches, Objects, size_classes
from pytest_cropdet.geometry import Bools, Boxes, Floats, Ints

__all__ = [
    "MAP_CELLS",
    "Bin",
    "Originals",
    "Where",
    "bins_of_objects",
    "distance_to_border",
    "distance_to_cut",
    "where",
]

MAP_CELLS = 8  # of the map, along each side
PIXELS = (0.0, 8.0, 32.0, 128.0)  # a bin each: touching, up to 8, up to 32, up to 128, and more
RELATIVE = (0.0, 0.25, 0.5, 1.0)  # the same in sizes of the object
NEARLY_ONE = 1 - 1e-9
_Range = tuple[str, float | None, float | None, Bools]  # label, low, high, rows


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin: from ``low`` to below ``high`` (``None``: no bound, or no number), and what crops cost in it.

    A size is above ``low`` and up to ``high``, as COCO counts it.
    """

    label: str
    low: float | None
    high: float | None
    cost: Subset

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        return {"label": self.label, "low": self.low, "high": self.high, **self.cost.to_dict()}


@dataclass(frozen=True, eq=False)
class Where:
    """The costs of crops by the bins of each quantity, and the map of misses over the place in the window.

    ``by``: bins by the names at the head of this module. ``map``: (8, 8) numbers of ``objects``, of those ``found`` in
    the whole image, ``lost`` and ``gained``.
    """

    by: Mapping[str, tuple[Bin, ...]]
    map: Mapping[str, Ints]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        bins = {name: [each.to_dict() for each in bins] for name, bins in self.by.items()}
        return {**bins, "map": {name: cells.tolist() for name, cells in self.map.items()}}


@dataclass(frozen=True, eq=False)
class Originals:
    """The annotations behind the objects of a run, row for row, in the frames of their source images.

    ``boxes``: (G, 4) pixels. ``area``: (G,) square pixels as annotated. ``sides``: (G, 2) width and height of
    the image.
    """

    boxes: Boxes
    area: Floats
    sides: Floats

    @classmethod
    def of(cls, objects: Objects) -> "Originals":
        """Return the original of each object, found by its source image and annotation."""
        samples = objects.index.samples
        rows = [{int(key): row for row, key in enumerate(sample.truth.ids)} for sample in samples]
        places = [(unit, rows[unit][int(key)]) for unit, key in zip(objects.unit, objects.annotation, strict=True)]
        return cls(
            np.array([samples[unit].truth.boxes[row] for unit, row in places]).reshape(-1, 4),
            np.array([samples[unit].truth.areas[row] for unit, row in places], dtype=np.float64),
            np.array([(samples[unit].width, samples[unit].height) for unit, _ in places], np.float64).reshape(-1, 2),
        )

    @property
    def size(self) -> Floats:
        """(G,) the root of each box's area, in pixels."""
        return np.asarray(np.sqrt((self.boxes[:, 2:] - self.boxes[:, :2]).prod(axis=1)))


def distance_to_cut(objects: Objects) -> Floats:
    """Return (G,) pixels from each visible box to the nearest edge of its window that cuts the image; inf for none."""
    index, image = objects.index, objects.truth.image
    sides = np.array([(crop.width, crop.height) for crop in index.crops], dtype=np.float64).reshape(-1, 2)
    cuts = np.array(
        [
            (crop.left > 0, crop.top > 0, crop.right < sample.width, crop.bottom < sample.height)
            for crop, sample in (
                (crop, index.samples[unit]) for crop, unit in zip(index.crops, index.unit, strict=True)
            )
        ],
        dtype=bool,
    ).reshape(-1, 4)
    gaps = _gaps(objects.truth.boxes, sides[image])
    return np.asarray(np.where(cuts[image], gaps, np.inf).min(axis=1, initial=np.inf))


def distance_to_border(originals: Originals) -> Floats:
    """Return (G,) pixels from each original box to the nearest edge of its image."""
    return np.asarray(_gaps(originals.boxes, originals.sides).min(axis=1, initial=np.inf))


def where(
    objects: Objects,
    matches: Mapping[str, Matches],
    found: Mapping[str, Bools],
    kept: Bools,
    iou: float | None,
    draws: NDArray[Any],
    names: Mapping[int, str],
    level: float = 0.95,
) -> Where:
    """Return where crops cost; the arguments are those of :class:`~pytest_cropdet.causes.diagnostics.subsets.Subsets`.

    ``names``: of the categories, by id. ``level``: of the bounds.
    """
    subsets = Subsets(objects, matches, found, kept, iou, draws, level)
    by = {
        name: tuple(Bin(label, low, high, subsets.measure(rows)) for label, low, high, rows in bins)
        for name, bins in _quantities(objects, subsets.counted).items()
    }
    single = zip(subsets.categories, subsets.measure_categories(), strict=True)
    by["category"] = tuple(Bin(names[int(key)], None, None, cost) for key, cost in single)
    whole, crop = (subsets.found[name] for name in subsets.ends)
    shown = {"objects": subsets.counted, "found": whole, "lost": whole & ~crop, "gained": crop & ~whole}
    return Where(by, {name: _cells(objects, rows) for name, rows in shown.items()})


def bins_of_objects(objects: Objects, counted: Bools) -> dict[str, tuple[tuple[str, ...], Ints]]:
    """Return, by quantity, the labels of its bins and (G,) the place of each object's bin, -1 for none.

    The bins are those of :func:`where`; ``cell`` is the place in the map, row by row. ``counted``: (G,) what is scored.
    """
    placed = dict[str, tuple[tuple[str, ...], Ints]]()
    for name, bins in _quantities(objects, counted).items():
        flags = np.stack([rows for _, _, _, rows in bins])
        places = np.where(flags.any(axis=0), flags.argmax(axis=0), -1)
        placed[name] = tuple(label for label, _, _, _ in bins), np.asarray(places, dtype=np.int64)
    placed["cell"] = tuple(map(str, range(MAP_CELLS**2))), _cell_of(objects, np.ones(len(counted), dtype=bool))
    return placed


def _quantities(objects: Objects, counted: Bools) -> dict[str, list[_Range]]:
    """Return the bins of every quantity, each with the objects in it."""
    originals = Originals.of(objects)
    to_cut, to_border = distance_to_cut(objects), distance_to_border(originals)
    return {
        "visibility": _visibility_bins(objects.visibility, counted),
        "distance_to_cut": _distance_bins(to_cut, PIXELS, "px"),
        "distance_to_cut_relative": _distance_bins(to_cut / originals.size, RELATIVE, "sizes"),
        "distance_to_border": _distance_bins(to_border, PIXELS, "px")[:-1],
        "size": _size_bins(originals.area),
    }


def _visibility_bins(visibility: Floats, counted: Bools) -> list[_Range]:
    """Return tenths from 0.5 on, lower ones where an object counts there, and exactly 1."""
    tenth = np.floor(visibility * 10 + 1e-9)
    whole = visibility >= NEARLY_ONE
    first = int(min(5, tenth[counted].min(initial=5)))
    parts: list[_Range] = [
        (f"{k / 10:g}-{(k + 1) / 10:g}", k / 10, (k + 1) / 10, (tenth == k) & ~whole) for k in range(first, 10)
    ]
    parts[-1] = (parts[-1][0], 0.9, 1.0, (tenth >= 9) & ~whole)  # 1 less a rounding error is not below 1
    return [*parts, ("exactly 1", 1.0, None, whole)]


def _distance_bins(distance: Floats, edges: Sequence[float], unit: str) -> list[_Range]:
    """Return touching (0), above 0 and below each further edge, from the last one on, and infinite."""
    bins: list[_Range] = [("touching", 0.0, 0.0, distance <= 0)]
    for low, high in pairwise(edges):
        label = f"< {high:g} {unit}" if low == 0 else f"{low:g}-{high:g} {unit}"
        bins.append((label, low, high, (distance > 0) & _within(distance, low, high)))
    far = np.isfinite(distance) & (distance >= edges[-1])
    return [*bins, (f">= {edges[-1]:g} {unit}", edges[-1], None, far), ("no cut", None, None, np.isinf(distance))]


def _size_bins(area: Floats) -> list[_Range]:
    """Return COCO's size classes; the last one has no upper bound."""
    classes, last = size_classes(area), COCO_SIZES[-1]
    ends = {name: COCO_AREA_RANGES[name] for name in COCO_SIZES}
    return [
        (name, ends[name][0], None if name == last else ends[name][1], classes == place)
        for place, name in enumerate(COCO_SIZES)
    ]


def _within(values: Floats, low: float, high: float | None) -> Bools:
    return np.asarray((values >= low) & (values < (np.inf if high is None else high)))


def _gaps(boxes: Boxes, sides: Floats) -> Floats:
    """Return (n, 4) pixels from boxes to the left, top, right and bottom of frames of ``sides``, never negative."""
    return np.asarray(np.maximum(np.concatenate([boxes[:, :2], sides - boxes[:, 2:]], axis=1), 0.0))


def _cells(objects: Objects, rows: Bools) -> Ints:
    """Return (8, 8) how many of ``rows`` have the centre of their visible box in each cell of their window."""
    return np.bincount(_cell_of(objects, rows), minlength=MAP_CELLS**2).reshape(MAP_CELLS, MAP_CELLS)


def _cell_of(objects: Objects, rows: Bools) -> Ints:
    """Return the cell of each of ``rows``, counted row by row from the upper left."""
    crops = [objects.index.crops[place] for place in objects.truth.image[rows]]
    sides = np.array([(crop.width, crop.height) for crop in crops], dtype=np.float64).reshape(-1, 2)
    boxes = objects.truth.boxes[rows]
    place = np.clip((boxes[:, :2] + boxes[:, 2:]) / 2 / sides * MAP_CELLS, 0, MAP_CELLS - 1).astype(np.int64)
    return np.asarray(place[:, 1] * MAP_CELLS + place[:, 0])
