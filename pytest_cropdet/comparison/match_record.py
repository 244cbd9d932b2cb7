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
        """Return the record of some of its images, in their order here; what was measured on all of them is gone."""
        wanted = set(images)
        chosen = np.array([each in wanted for each in self.images], dtype=bool)
        crops = chosen[self.unit]
        place = np.cumsum(chosen) - 1
        rows = crops[self.matches["crop"].truth_image]
        picked = [at for at, is_there in enumerate(chosen) if is_there]
        found = replace(
            self,
            images=tuple(self.images[at] for at in picked),
            digests=tuple(self.digests[at] for at in picked),
            unit=place[self.unit[crops]],
            matches={name: subset(table, crops) for name, table in self.matches.items()},
            counted=self.counted[rows],
            found={name: each[rows] for name, each in self.found.items()},
            numbers={},
        )
        enough = [each for each in self.chosen if found.scored.images_of(each) >= MIN_IMAGES_PER_CATEGORY]
        return replace(found, kept=tuple(enough))


def subset(table: Matches, images: Bools) -> Matches:
    """Return a match table of some of its evaluation images, numbered anew; matches stay as they are."""
    place = np.cumsum(images) - 1
    rows, truth = images[table.image], images[table.truth_image]
    before = np.append(0, np.cumsum(rows))
    near = rows[table.contenders]
    truth_place = np.append(np.cumsum(truth) - 1, -1)  # -1 reads the last: no object
    return replace(
        table,
        images=int(images.sum()),
        rows=table.rows[rows],
        starts=before[table.starts],
        image=place[table.image[rows]],
        outside=table.outside[:, rows],
        contenders=before[table.contenders[near]],
        rank=table.rank[near],
        matched=truth_place[table.matched[:, :, near]].astype(np.int32),
        truth_image=place[table.truth_image[truth]],
        truth_category=table.truth_category[truth],
        scored=table.scored[:, truth],
    )
