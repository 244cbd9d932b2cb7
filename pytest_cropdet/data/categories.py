"""Categories of a detector and of a data set, brought together by name or, where there are no names, by id."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_cropdet.data.named_categories import refuse_pairing_by_id
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.errors import DetectorError, SpecError

__all__ = ["CategoryMap", "Pairing", "reconcile", "select_categories"]

FEW_IDS = 5  # that are named in a sentence


@dataclass(frozen=True, slots=True)
class Pairing:
    """How a detector's categories were paired with the data set's, and what was left out for it.

    ``by``: ``name`` or ``id``. ``detections``: of whole images. ``left_out``: those of them whose category the data set
    lacks; ``lacking``: the detector's ids of these, the most frequent first.
    """

    by: str
    detections: int
    left_out: int
    lacking: tuple[int, ...]

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> "Pairing":
        """Return the pairing that :meth:`to_dict` wrote."""
        return cls(told["by"], told["detections"], told["left_out"], tuple(told["lacking"]))

    @property
    def text(self) -> str:
        """The pairing in one sentence."""
        if self.by == "name":
            return "categories are paired by name"
        return f"categories are paired by id, because the detector gives no names; {self.lack}"

    @property
    def lack(self) -> str:
        """How many detections have an id that the data set lacks."""
        if not self.left_out:
            return f"the data set has the ids of all {self.detections:,} detections on whole images"
        more = ", ..." if len(self.lacking) > FEW_IDS else ""
        ids = ", ".join(map(str, sorted(self.lacking[:FEW_IDS])))
        return (
            f"{self.left_out:,} of {self.detections:,} detections on whole images have ids that the data set lacks "
            f"({ids}{more})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        lacking = [*self.lacking]
        return {"by": self.by, "detections": self.detections, "left_out": self.left_out, "lacking": lacking}


@dataclass(frozen=True)
class CategoryMap:
    """From a detector's category ids to the data set's; ``by`` says how they were matched, ``name`` or ``id``."""

    by: str
    ids: Mapping[int, int]
    dataset: Mapping[int, str]

    def translate(self, detections: Detections) -> Detections:
        """Return detections with the data set's ids; those of categories it does not have are left out."""
        targets = np.array([self.ids.get(int(category), -1) for category in detections.categories], dtype=np.int64)
        kept = np.flatnonzero(targets >= 0)
        shown = detections.take(kept)
        return Detections(shown.boxes, shown.scores, targets[kept], shown.capped)

    def pairing(self, detections: Iterable[Detections]) -> Pairing:
        """Return what this map makes of a detector's answers to whole images, with the detector's own ids."""
        counts = Counter[int]()
        for each in detections:
            counts.update(each.categories.tolist())
        lacking = sorted((key for key in counts if key not in self.ids), key=lambda key: (-counts[key], key))
        return Pairing(self.by, counts.total(), sum(counts[key] for key in lacking), tuple(lacking))

    def check_ids(self, detections: Iterable[Detections]) -> None:
        """Raise ``DetectorError`` if, matched by id, not one detection has a category of the data set."""
        found = {int(category) for each in detections for category in each.categories}
        if self.by == "id" and found and not found & set(self.ids):
            raise DetectorError(
                f"no detection has a category of the data set.\n  the detector's ids: {_ids(found)}\n"
                f"  the data set's: {_listed(self.dataset)}\nname the detector's categories "
                "(--cropdet-detector labels=FILE) or say where they start (--cropdet-detector first_category=0|1)"
            )


def reconcile(detector: Mapping[int, str] | None, dataset: Mapping[int, str], needed: Iterable[int]) -> CategoryMap:
    """Return how a detector's categories map to a data set's.

    With names on the detector's side, each category in ``needed`` (ids of the data set that have objects) must be
    among them; ``DetectorError`` shows both lists. Without names, ids are taken as they are.
    """
    if detector is None:
        refuse_pairing_by_id(dataset)
        return CategoryMap("id", {key: key for key in dataset}, dataset)
    by_name = {_plain(name): key for key, name in dataset.items()}
    ids = {key: by_name[_plain(name)] for key, name in detector.items() if _plain(name) in by_name}
    unknown = [dataset[key] for key in needed if key not in set(ids.values())]
    if unknown:
        raise DetectorError(
            f"the detector does not know {', '.join(map(repr, unknown))} of the data set.\n"
            f"  the detector's categories: {_listed(detector)}\n  the data set's: {_listed(dataset)}\n"
            "mend the labels (--cropdet-detector labels=FILE), or gate only shared categories (--cropdet-categories)"
        )
    return CategoryMap("name", ids, dataset)


def select_categories(names: Iterable[str], dataset: Mapping[int, str]) -> list[int]:
    """Return the ids of categories given by name; ``SpecError`` names one that the data set does not have."""
    by_name = {_plain(name): key for key, name in dataset.items()}
    chosen = []
    for name in names:
        if _plain(name) not in by_name:
            raise SpecError(f"the data set has no category {name!r}; it has {', '.join(dataset.values())}")
        chosen.append(by_name[_plain(name)])
    return sorted(set(chosen))


def _plain(name: str) -> str:
    return name.strip().casefold()


def _listed(names: Mapping[int, str]) -> str:
    return ", ".join(f"{key} {name}" for key, name in sorted(names.items())) or "none"


def _ids(ids: Iterable[int]) -> str:
    ordered = sorted(ids)
    more = f" and {len(ordered) - 20} more" if len(ordered) > 20 else ""
    return ", ".join(map(str, ordered[:20])) + more
