"""Every crop that lost or gained an object, as columns that are short as JSON: what the page's table is made from."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_cropdet.causes import ChangedObjects, changed_objects
from pytest_cropdet.gate import Run
from pytest_cropdet.geometry import Ints
from pytest_cropdet.terms import STEPS

__all__ = ["MOST_ROWS", "PLACE_LETTERS", "CropOrder", "crop_order", "crop_rows"]

MOST_ROWS = 20_000  # crops of a gate that the table lists, those that lost most
# place k of a column with few values is its k-th letter, so that a value is one byte; the last one is none
PLACE_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*+-"
NONE = PLACE_LETTERS[-1]


class CropOrder:
    """The crops that lost or gained something, the worst first, and how many objects each lost, gained and had found.

    Most objects lost first, on a tie the larger share of those found in the whole image, then the plan's order; crops
    that only gained come last, most gained first. ``places``: places in the plan.
    """

    def __init__(self, run: Run, changed: ChangedObjects) -> None:
        image, crops = run.objects.truth.image, len(run.objects.index)
        self.lost = np.bincount(image[changed.rows[changed.lost]], minlength=crops)
        self.gained = np.bincount(image[changed.rows[~changed.lost]], minlength=crops)
        self.found = np.bincount(image[run.scored.point.found["reference"]], minlength=crops)
        share = self.lost / np.maximum(self.found, 1)
        some = np.flatnonzero(self.lost + self.gained)
        self.places: Ints = some[np.lexsort((some, -self.gained[some], -share[some], -self.lost[some]))]

    @property
    def losing(self) -> int:
        """How many crops lost an object."""
        return int((self.lost > 0).sum())


def crop_order(run: Run) -> tuple[CropOrder, ChangedObjects]:
    """Return the crops in order, and the objects by which they are in it."""
    changed = changed_objects(run.scored, run.explanation.causes)
    return CropOrder(run, changed), changed


def crop_rows(run: Run, order: CropOrder, changed: ChangedObjects) -> dict[str, Any]:
    """Return the table as built-in values, at most ``MOST_ROWS`` crops.

    Of each crop: ``place`` in the plan, ``file`` (a place in ``files``), ``window`` (left, top, width, height, one
    after the other), ``lost``, ``gained``, ``found`` and ``objects``, how many rows it has in the second part. Of each
    object that it lost or gained: ``category`` and ``label`` (places in ``categories``; the label of the other side,
    -1 for none), ``annotation`` (its id), ``box`` (four whole pixels of the crop each), ``whole`` and ``crop`` (scores
    in per cent, -1 for none); as letters ``fate`` (L, G), ``step`` (a place in ``STEPS``) and ``bins``.
    """
    index, objects, places = run.objects.index, run.objects, order.places[:MOST_ROWS]
    rank = np.full(len(index), -1)
    rank[places] = np.arange(len(places))
    of_row = rank[objects.truth.image[changed.rows]]
    shown = np.flatnonzero(of_row >= 0)
    shown = shown[np.lexsort((shown, ~changed.lost[shown], of_row[shown]))]
    rows, units = changed.rows[shown], index.unit[places]
    files, file = np.unique(units, return_inverse=True)
    categories = _Names(run)
    samples = [index.samples[unit] for unit in files.tolist()]
    windows = [index.crops[place] for place in places.tolist()]
    point = run.scored.point
    return {
        "total": len(order.places),
        "files": [sample.id for sample in samples],
        "sides": [side for sample in samples for side in (sample.width, sample.height)],
        "place": places.tolist(),
        "file": file.reshape(-1).tolist(),
        "window": [edge for each in windows for edge in (each.left, each.top, each.width, each.height)],
        "lost": order.lost[places].tolist(),
        "gained": order.gained[places].tolist(),
        "found": order.found[places].tolist(),
        "objects": np.bincount(of_row[shown], minlength=len(places)).tolist(),
        "category": [categories.place(key) for key in objects.truth.category[rows].tolist()],
        "label": [categories.place(key) for key in changed.label[shown].tolist()],
        "annotation": objects.annotation[rows].tolist(),
        "box": np.rint(objects.truth.boxes[rows]).astype(int).reshape(-1).tolist(),
        "whole": _per_cent(point.scores["reference"][rows]),
        "crop": _per_cent(point.scores["crop"][rows]),
        "fate": "".join("L" if lost else "G" for lost in changed.lost[shown].tolist()),
        "step": _letters(changed.step[shown]),
        "bins": {name: _letters(own[shown]) for name, (_, own) in changed.bins.items()},
        "labels": {name: list(labels) for name, (labels, _) in changed.bins.items()},
        "steps": list(STEPS) if run.explanation.causes is not None else [],
        "categories": categories.names,
    }


class _Names:
    """Names of categories, each in the place in which it was first wanted."""

    def __init__(self, run: Run) -> None:
        self._known: Mapping[int, str] = run.scored.names
        self._places: dict[int, int] = {}

    def place(self, key: int) -> int:
        """Return the place of a category's name by its id, -1 for none."""
        return -1 if key < 0 else self._places.setdefault(key, len(self._places))

    @property
    def names(self) -> list[str]:
        return [str(self._known.get(key, key)) for key in self._places]


def _letters(places: Ints) -> str:
    return "".join(PLACE_LETTERS[place] if place >= 0 else NONE for place in places.tolist())


def _per_cent(scores: Any) -> list[int]:
    return [round(100 * score) if score >= 0 else -1 for score in scores.tolist()]
