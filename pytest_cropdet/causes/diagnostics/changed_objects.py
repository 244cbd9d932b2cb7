"""The objects that crops lost and gained, a row for each: what charts and tables split them by, and their scores."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pytest_cropdet.causes.attribution import Causes, ScoredRun
from pytest_cropdet.causes.diagnostics.breakdown import bins_of_objects
from pytest_cropdet.causes.fates import NEVER
from pytest_cropdet.evaluation import covering_detections, matched_scores
from pytest_cropdet.geometry import Bools, Ints
from pytest_cropdet.terms import CHAIN

__all__ = ["ChangedObjects", "changed_objects", "scores_by_rendering"]


@dataclass(frozen=True, eq=False)
class ChangedObjects:
    """The objects that are found in only one of whole image and crop, in the order of the run's objects.

    ``rows``: (K,) their places among the run's objects. ``lost``: (K,) found in the whole image only; the others are
    found in the crop only. ``step``: (K,) from which step of the chain on, -1 where the chain is not known.
    ``label``: (K,) id of the category that the other side calls them, -1 where it has no confident box there.
    ``bins``: by quantity, the labels of its bins and (K,) the place of each object's bin, -1 for none.
    """

    rows: Ints
    lost: Bools
    step: Ints
    label: Ints
    bins: Mapping[str, tuple[tuple[str, ...], Ints]]

    def __len__(self) -> int:
        return len(self.rows)


def changed_objects(run: ScoredRun, causes: Causes | None = None) -> ChangedObjects:
    """Return what changed at the operating point; ``causes`` where the chain is known."""
    point, objects = run.point, run.objects
    rows = np.flatnonzero(point.lost | point.gained)
    now = covering_detections(objects, run.detected["crop"], point.lost, point.score)
    before = covering_detections(objects, run.detected["reference"], point.gained, point.score)
    label = np.full(len(point.lost), -1)
    for table, covering in ((run.detected["crop"], now), (run.detected["reference"], before)):
        label[covering >= 0] = table.category[covering[covering >= 0]]
    step = np.full(len(label), NEVER)
    if causes is not None:
        step = np.maximum(causes.fates.lost_at, causes.fates.gained_at)
    bins = {name: (labels, places[rows]) for name, (labels, places) in bins_of_objects(objects, run.counted).items()}
    return ChangedObjects(rows, point.lost[rows], step[rows], label[rows], bins)


def scores_by_rendering(run: ScoredRun, causes: Causes | None = None) -> dict[str, np.ndarray]:
    """Return (G,) by rendering the score of the detection that matches each object at IoU 0.5, -1 for none.

    In the order of the chain; without ``causes`` of ``whole`` and ``crop`` alone.
    """
    found = {"whole": run.point.scores["reference"], "crop": run.point.scores["crop"]}
    if causes is not None:
        for name in CHAIN[1:-1]:
            found[name] = matched_scores(causes.matches[name], causes.detected[name], len(run.counted))
    return {name: found[name] for name in CHAIN if name in found}
