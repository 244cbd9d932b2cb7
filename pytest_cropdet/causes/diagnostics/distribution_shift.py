"""The shift itself: how objects in crops differ, at the model's input, from those in whole images and in training.

A crop that is resized as any picture is shows its objects larger than the whole image does, elsewhere, and fewer of
them. Distances are of the data and of the resize alone; detections only tell what is found inside and outside of the
usual sizes and aspects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_cropdet.causes.diagnostics.model_input import AtInput, at_input, input_note, is_known
from pytest_cropdet.causes.diagnostics.subsets import MIN_IMAGES, MIN_OBJECTS, Subset, Subsets
from pytest_cropdet.detectors import ResizeRule
from pytest_cropdet.evaluation import Bounded, Matches, Objects
from pytest_cropdet.geometry import Bools, Floats

if TYPE_CHECKING:
    from pytest_cropdet.data import Annotations

__all__ = ["SHIFT_QUANTITIES", "Group", "Outside", "Shift", "shift", "wasserstein"]

SHIFT_QUANTITIES = ("size", "aspect", "x", "y", "objects")
CENTRAL = (0.01, 0.99)  # quantiles between which a size or an aspect is called usual
MIN_BASE = 200  # objects below which these quantiles are not known: two would lie beyond each
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
MOST_OBJECTS = 30  # a picture, beyond which the histogram counts them together


def wasserstein(first: ArrayLike, second: ArrayLike) -> float:
    """Return the 1-Wasserstein distance of two samples: the area between their distribution functions.

    W1 = integral of ``|F(x) - G(x)|`` dx, which on a line is the least mean way by which one sample becomes the other
    (S. S. Vallender, "Calculation of the Wasserstein distance between probability distributions on the line", 1974).
    On a log2 scale 1 is a factor of two.

    >>> wasserstein([0.0, 1.0], [0.5, 2.5])
    1.0
    """
    one, other = (np.sort(np.asarray(values, dtype=np.float64).reshape(-1)) for values in (first, second))
    if not len(one) or not len(other):
        raise ValueError("the Wasserstein distance of a sample without values is undefined")
    places = np.sort(np.concatenate([one, other]))
    below = [np.searchsorted(values, places[:-1], side="right") / len(values) for values in (one, other)]
    return float((np.abs(below[0] - below[1]) * np.diff(places)).sum())


@dataclass(frozen=True, eq=False)
class Group:
    """Where objects were met: in whole images, in crops or in training. ``objects``: (pictures,) how many in each."""

    name: str
    boxes: AtInput
    objects: Floats
    images: int

    def values(self, quantity: str) -> Floats:
        """Return the values of one of the quantities."""
        return self.objects if quantity == "objects" else np.asarray(getattr(self.boxes, quantity))

    @property
    def is_enough(self) -> bool:
        """Whether there is enough to speak of a distribution."""
        return len(self.boxes.size) >= MIN_OBJECTS and self.images >= MIN_IMAGES

    def to_dict(self) -> dict[str, Any]:
        """Return counts and quantiles as built-in values."""
        quantiles = {
            name: {f"{q:g}": float(np.quantile(self.values(name), q)) for q in QUANTILES} if self.is_enough else None
            for name in SHIFT_QUANTITIES
        }
        return {"pictures": len(self.objects), "objects": len(self.boxes.size), "quantiles": quantiles}


@dataclass(frozen=True, slots=True)
class Outside:
    """What is found in crops of objects inside and outside of the usual sizes or aspects.

    ``low``, ``high``: the usual range, log2 (``None`` for both quantities taken together). Shares of the objects in
    crops: ``share`` outside, with bounds, of which ``below`` and ``above``.
    """

    low: float | None
    high: float | None
    share: Bounded
    below: float | None
    above: float | None
    inside: Subset
    outside: Subset

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        numbers = {"low": self.low, "high": self.high, "below": self.below, "above": self.above}
        parts = {"inside": self.inside.to_dict(), "outside": self.outside.to_dict()}
        return {**numbers, "share": self.share.to_dict(), **parts}


@dataclass(frozen=True, eq=False)
class Shift:
    """The objects that a model meets in whole images, in crops and, where given, in training.

    ``unit``: of sizes, ``input pixels`` or ``picture sides``. ``notes``: what the numbers take for granted.
    ``distances``: ``"crop-whole"``, ``"crop-training"``, ``"whole-training"`` to the Wasserstein distance of each
    quantity: octaves (1 is a factor of two) for size and aspect, shares of the input for x and y, objects for objects;
    ``None`` with fewer than 20 objects or 10 images. ``base``: the group whose central 98 % are called usual.
    ``outside``: by ``size``, ``aspect`` and ``either``; ``None`` where the base has fewer than 200 objects.
    """

    unit: str
    notes: tuple[str, ...]
    groups: Mapping[str, Group]
    distances: Mapping[str, Mapping[str, float | None]]
    base: str
    outside: Mapping[str, Outside | None]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values, with a histogram of each quantity."""
        return {
            "unit": self.unit,
            "notes": list(self.notes),
            "groups": {name: group.to_dict() for name, group in self.groups.items()},
            "distances": {name: dict(each) for name, each in self.distances.items()},
            "base": self.base,
            "outside": {name: None if each is None else each.to_dict() for name, each in self.outside.items()},
            "histograms": {name: _histogram(name, tuple(self.groups.values())) for name in SHIFT_QUANTITIES},
        }


def shift(
    objects: Objects,
    matches: Mapping[str, Matches],
    found: Mapping[str, Bools],
    kept: Bools,
    iou: float | None,
    draws: NDArray[Any],
    names: Mapping[int, str],
    input_size: tuple[int, int],
    resize: str | ResizeRule | None,
    training: "Annotations | None" = None,
    level: float = 0.95,
) -> Shift:
    """Return how far the objects in crops are from those in whole images and in training.

    The first arguments are those of :class:`~pytest_cropdet.causes.diagnostics.subsets.Subsets`, the next those of
    :func:`at_input`.
    Objects are those of the matched categories, ``names`` by id; in crops the scored ones, as much of their box as
    shows. ``training``: boxes of the same categories, by name. ``level``: of the bounds.
    """
    subsets = Subsets(objects, matches, found, kept, iou, draws, level)
    index = objects.index
    sides = np.array([(crop.width, crop.height) for crop in index.crops]).reshape(-1, 2)
    seen = at_input(objects.truth.boxes, sides[objects.truth.image], input_size, resize)
    counted = subsets.counted
    met = AtInput(*(getattr(seen, name)[counted] for name in ("size", "aspect", "x", "y")))
    per_crop = np.bincount(objects.truth.image[counted], minlength=len(index)).astype(np.float64)
    groups = {
        "whole": _whole_group(objects, subsets, input_size, resize),
        "crop": Group("crop", met, per_crop, len(index.samples)),
    }
    notes = [input_note(input_size, resize)]
    if training is not None:
        wanted = [names[int(key)] for key in subsets.categories]
        groups["training"], more = _training_group(training, wanted, input_size, resize)
        notes += more
    base = groups["training" if training is not None else "whole"]
    distances = {f"{one}-{other}": _distances(groups[one], groups[other]) for one, other in _pairs(groups)}
    unit = "input pixels" if is_known(input_size, resize) else "picture sides"
    return Shift(unit, tuple(notes), groups, distances, base.name, _outside(subsets, seen, base))


def _pairs(groups: Mapping[str, Group]) -> list[tuple[str, str]]:
    order = [name for name in ("crop", "whole", "training") if name in groups]
    return list(combinations(order, 2))


def _distances(one: Group, other: Group) -> dict[str, float | None]:
    enough = one.is_enough and other.is_enough
    return {name: wasserstein(one.values(name), other.values(name)) if enough else None for name in SHIFT_QUANTITIES}


def _whole_group(
    objects: Objects, subsets: Subsets, input_size: tuple[int, int], resize: str | ResizeRule | None
) -> Group:
    samples = objects.index.samples
    chosen = [
        each.truth.counted
        & np.isin(each.truth.categories, subsets.categories)
        & (each.truth.boxes[:, 2:] > each.truth.boxes[:, :2]).all(axis=1)
        for each in samples
    ]
    boxes = np.concatenate([each.truth.boxes[rows] for each, rows in zip(samples, chosen, strict=True)])
    count = np.array([rows.sum() for rows in chosen])
    sides = np.repeat([(each.width, each.height) for each in samples], count, axis=0)
    return Group("whole", at_input(boxes, sides, input_size, resize), count.astype(np.float64), len(samples))


def _training_group(
    training: "Annotations", wanted: Sequence[str], input_size: tuple[int, int], resize: str | ResizeRule | None
) -> tuple[Group, list[str]]:
    """Return the training boxes of the wanted categories, all if it has none of them, and what to say about it."""
    same = np.isin(np.array(training.names), list(wanted))
    notes = []
    missing = sorted(set(wanted) - set(training.names))
    if not same.any():
        same[:] = True
        notes.append(f"the training annotations have none of the categories ({', '.join(missing)}): all boxes are used")
    elif missing:
        notes.append(f"the training annotations have no {', '.join(missing)}")
    image = training.image[same]
    boxes = at_input(training.boxes[same], training.sizes[image], input_size, resize)
    pictures = len(training.sizes)
    return Group("training", boxes, np.bincount(image, minlength=pictures).astype(np.float64), pictures), notes


def _outside(subsets: Subsets, seen: AtInput, base: Group) -> dict[str, Outside | None]:
    """Return what is found inside and outside of the central 98 % of ``base``; ``seen`` holds all (G,) objects."""
    if len(base.boxes.size) < MIN_BASE or not base.is_enough:
        return dict.fromkeys(("size", "aspect", "either"))
    parts: dict[str, Outside | None] = {}
    either = np.zeros(len(seen.size), dtype=bool)
    for name in ("size", "aspect"):
        values = getattr(seen, name)
        low, high = (float(edge) for edge in np.quantile(base.values(name), CENTRAL))
        parts[name] = _split(subsets, values < low, values > high, low, high)
        either |= (values < low) | (values > high)
    parts["either"] = _split(subsets, either)
    return parts


def _split(
    subsets: Subsets, below: Bools, above: Bools | None = None, low: float | None = None, high: float | None = None
) -> Outside:
    counted = subsets.counted
    rows = below if above is None else below | above
    inside, outside = subsets.measure(~rows), subsets.measure(rows)
    enough = counted.sum() >= MIN_OBJECTS
    return Outside(
        low,
        high,
        subsets.share_of(rows.astype(float), counted) if enough else Bounded(),
        float(below[counted].mean()) if enough and above is not None else None,
        float(above[counted].mean()) if enough and above is not None else None,
        inside,
        outside,
    )


def _histogram(quantity: str, groups: Sequence[Group]) -> dict[str, Any]:
    """Return ``edges`` and the counts of each group between them: quarters of an octave, twentieths, whole objects."""
    values = {group.name: group.values(quantity) for group in groups}
    if quantity in ("x", "y"):
        edges = np.linspace(0, 1, 21)
    elif quantity == "objects":
        most = max((each.max(initial=0) for each in values.values()), default=0)
        edges = np.arange(min(most, MOST_OBJECTS) + 2) - 0.5
    else:
        together = np.concatenate(list(values.values()))
        low, high = (together.min(), together.max()) if len(together) else (0, 0)
        edges = np.arange(np.floor(low * 4), np.floor(high * 4) + 2) / 4
    within = {name: np.clip(each, edges[0], edges[-1]) for name, each in values.items()}
    counts = {name: np.histogram(each, edges)[0].tolist() for name, each in within.items()}
    return {"edges": edges.tolist(), **counts}
