"""What pairing needs of a run: which detection matched which object, by image, and the rules it was matched by.

It is the same whether the run has just ended or was read from a file, so that both are compared alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from pytest_cropdet.evaluation import MIN_IMAGES_PER_CATEGORY, Matches, ScoredRows
from pytest_cropdet.geometry import Bools, Ints

__all__ = ["MatchRecord", "subset"]


@dataclass(frozen=True, eq=False, kw_only=True)
class MatchRecord:
    """The match tables of a run and what they were made by. G is the number of objects, one row for each in each crop.

    ``detector``: its name and conventions. ``rules``: what decides which detection matches which object. ``plan``: the
    spec of the windows, and ``seed``. ``images``: sample ids in the order of the plan; ``digests``: of each a hash of
    its truth and windows, and one of its file ("" where that was not read). ``unit``: (crops,) the place in ``images``
    of each crop. ``names``: of the matched categories, by id; ``chosen``: those that are scored; ``kept``: those of
    them that are in the mean. ``matches``: by rendering (``reference``, ``crop``), as AP reads them. ``counted``: (G,)
    whether an object counts at the operating point; ``found``: by rendering, (G,) whether it is found there, from
    ``score`` on. ``capped``: why a limit on the number of boxes hinders a pass, by measure (``drop``, ``AP(crop)``).
    ``spread``: by how much two passes of the detector differ. ``numbers``: what the run measured, for people.
    """

    detector: Mapping[str, Any]
    dataset: str
    rules: Mapping[str, Any]
    plan: str
    seed: int
    images: tuple[str, ...]
    digests: tuple[tuple[str, str], ...]
    unit: Ints
    names: Mapping[int, str]
    chosen: tuple[int, ...]
    kept: tuple[int, ...]
    matches: Mapping[str, Matches]
    counted: Bools
    found: Mapping[str, Bools]
    score: float
    capped: Mapping[str, str | None]
    spread: float | None
    numbers: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The detector's name."""
        return str(self.detector["name"])

    @cached_property
    def scored(self) -> ScoredRows:
        """The scored objects, each once for each crop that shows it."""
        table = self.matches["crop"]
        rows = table.scored[table.area_index("all")] & (table.truth_category >= 0)
        return ScoredRows(table.categories[table.truth_category[rows]], self.object_unit[rows])

    @property
    def object_unit(self) -> Ints:
        """(G,) the place in ``images`` of each object."""
        return np.asarray(self.unit[self.matches["crop"].truth_image])

    def of_images(self, images: tuple[str, ...]) -> "MatchRecord":
        """Return the record of these of its images, in this order; what was measured on all of them is gone."""
        at = {name: place for place, name in enumerate(self.images)}
        picked = [at[name] for name in images]
        place = np.full(len(self.images), -1)
        place[picked] = np.arange(len(picked))
        order = np.argsort(place[self.unit], kind="stable")
        order = order[place[self.unit[order]] >= 0]
        crops = np.full(len(self.unit), -1)
        crops[order] = np.arange(len(order))
        rows = crops[self.matches["crop"].truth_image]
        truth = np.argsort(rows, kind="stable")
        truth = truth[rows[truth] >= 0]
        found = replace(
            self,
            images=images,
            digests=tuple(self.digests[each] for each in picked),
            unit=place[self.unit[order]],
            matches={name: subset(table, crops, truth) for name, table in self.matches.items()},
            counted=self.counted[truth],
            found={name: each[truth] for name, each in self.found.items()},
            numbers={},
        )
        if len(images) == len(self.images):
            return replace(found, numbers=self.numbers)
        enough = [each for each in self.chosen if found.scored.images_of(each) >= MIN_IMAGES_PER_CATEGORY]
        return replace(found, kept=tuple(enough))


def subset(table: Matches, crops: Ints, truth: Ints) -> Matches:
    """Return a match table of some of its evaluation images, numbered anew; matches stay as they are.

    ``crops``: (images,) the new place of each, -1 for one that is left out. ``truth``: rows of the objects, in the new
    order.
    """
    rows = crops[table.image] >= 0
    before = np.append(0, np.cumsum(rows))
    near = rows[table.contenders]
    truth_place = np.full(len(table.truth_image) + 1, -1)  # -1 reads the last: no object
    truth_place[truth] = np.arange(len(truth))
    return replace(
        table,
        images=int((crops >= 0).sum()),
        rows=table.rows[rows],
        starts=before[table.starts],
        image=crops[table.image[rows]],
        outside=table.outside[:, rows],
        score=None if table.score is None else table.score[rows],
        far=None if table.far is None else table.far[:, rows],
        contenders=before[table.contenders[near]],
        rank=table.rank[near],
        matched=truth_place[table.matched[:, :, near]].astype(np.int32),
        truth_image=crops[table.truth_image[truth]],
        truth_category=table.truth_category[truth],
        scored=table.scored[:, truth],
    )
