"""Categories of a detector and of a data set, brought together by name or, where there are no names, by id."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytest_cropdet.data.category_mismatch import mismatch
from pytest_cropdet.data.category_names import close_names, is_spelt_like, names_of, pair_names, plain
from pytest_cropdet.data.named_categories import refuse_pairing_by_id
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.errors import DetectorError, SpecError
from pytest_cropdet.geometry import Ints, iou

__all__ = ["CategoryMap", "Pairing", "reconcile", "select_categories"]

MANY_ROWS = 1000  # from which on categories are looked up once each, not once a row
FEW_IDS = 5  # that are named in a sentence
ONE_OBJECT = 0.5  # IoU from which on detections of two names of one category are of one object, as in AP50


@dataclass(frozen=True, slots=True)
class Pairing:
    """How a detector's categories were paired with the data set's, and what was left out for it.

    ``by``: ``name`` or ``id``. ``detections``: of whole images. ``left_out``: those of them whose category the data set
    lacks; ``lacking``: the detector's ids of these, the most frequent first. ``folded``: names of the detector and of
    the data set that were paired though their spelling differs. ``merged``: the detector's names that mean one category
    of the data set by alias or group, by its name. ``groups``: the data set's names that are counted as one.
    """

    by: str
    detections: int
    left_out: int
    lacking: tuple[int, ...]
    folded: tuple[tuple[str, str], ...] = ()
    merged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> "Pairing":
        """Return the pairing that :meth:`to_dict` wrote."""
        return cls(
            told["by"],
            told["detections"],
            told["left_out"],
            tuple(told["lacking"]),
            tuple((one, other) for one, other in told.get("folded", ())),
            {name: tuple(each) for name, each in told.get("merged", {}).items()},
            {name: tuple(each) for name, each in told.get("groups", {}).items()},
        )

    @property
    def text(self) -> str:
        """The pairing in one sentence."""
        if self.by == "name":
            return "; ".join(["categories are paired by name", *self.notes])
        return "; ".join(
            [f"categories are paired by id, because the detector gives no names; {self.lack}", *self.notes]
        )

    @property
    def notes(self) -> list[str]:
        """What was paired by more than the name itself, and what is counted as one."""
        found = []
        if self.folded:
            found.append(f"though spelt differently: {_joined(f'{one!r} = {other!r}' for one, other in self.folded)}")
        found += [f"the detector's {_joined(map(repr, each))} mean {name!r}" for name, each in self.merged.items()]
        found += [f"{_joined(map(repr, each))} are counted as {name!r}" for name, each in self.groups.items()]
        return found

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
        return {
            "by": self.by,
            "detections": self.detections,
            "left_out": self.left_out,
            "lacking": [*self.lacking],
            "folded": [[*each] for each in self.folded],
            "merged": {name: [*each] for name, each in self.merged.items()},
            "groups": {name: [*each] for name, each in self.groups.items()},
        }


@dataclass(frozen=True)
class CategoryMap:
    """From a detector's category ids to the data set's; ``by`` says how they were matched, ``name`` or ``id``.

    ``detector``: its names, where it has any; ``folded``: pairs of names whose spelling differs. ``merged``: ids of the
    data set that stand for several names, as alias or group.
    """

    by: str
    ids: Mapping[int, int]
    dataset: Mapping[int, str]
    detector: Mapping[int, str] | None = None
    folded: tuple[tuple[str, str], ...] = ()
    merged: frozenset[int] = frozenset()

    def translate(self, detections: Detections) -> Detections:
        """Return detections with the data set's ids; those of categories it does not have are left out.

        Of detections that are one object under several names of one category the strongest is kept.
        """
        targets = self._targets(detections.categories)
        targets[self._repeated(detections, targets)] = -1
        kept = np.flatnonzero(targets >= 0)
        return Detections(detections.boxes[kept], detections.scores[kept], targets[kept], detections.capped)

    def _targets(self, categories: Ints) -> Ints:
        """Return the data set's id of each of the detector's, -1 where it has none."""
        place: Ints | slice = slice(None)
        if len(categories) > MANY_ROWS:
            categories, place = np.unique(categories, return_inverse=True)
        return np.array([self.ids.get(category, -1) for category in categories.tolist()], dtype=np.int64)[place]

    def _repeated(self, detections: Detections, targets: Ints) -> list[int]:
        """Return the rows that are, under another name of their category, the object of a stronger row."""
        found: list[int] = []
        if not self.merged:
            return found
        for target in self.merged & {*targets.tolist()}:
            rows = np.flatnonzero(targets == target)
            rows = rows[np.argsort(-detections.scores[rows], kind="stable")]
            names = detections.categories[rows]
            if len(np.unique(names)) < 2:
                continue
            boxes = detections.boxes[rows]
            same = (iou(boxes, boxes) >= ONE_OBJECT) & (names[:, None] != names[None, :])
            kept = np.ones(len(rows), dtype=bool)
            for place in range(1, len(rows)):
                kept[place] = not (same[place, :place] & kept[:place]).any()
            found += rows[~kept].tolist()
        return found

    def pairing(self, detections: Iterable[Detections]) -> Pairing:
        """Return what this map makes of a detector's answers to whole images, with the detector's own ids."""
        counts = Counter[int]()
        for each in detections:
            counts.update(each.categories.tolist())
        lacking = sorted((key for key in counts if key not in self.ids), key=lambda key: (-counts[key], key))
        left_out = sum(counts[key] for key in lacking)
        groups = names_of(self.dataset).groups
        return Pairing(self.by, counts.total(), left_out, tuple(lacking), self.folded, self._merged_names(), groups)

    def _merged_names(self) -> dict[str, tuple[str, ...]]:
        """Return the detector's names that mean a category by alias or group, if by any but its own name."""
        known = self.detector or {}
        found = {}
        for target in sorted(self.merged):
            named = tuple(
                dict.fromkeys(known[key] for key, each in self.ids.items() if each == target and key in known)
            )
            if any(not is_spelt_like(each, self.dataset[target]) for each in named):
                found[self.dataset[target]] = named
        return found

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
    """Return how a detector's categories map to a data set's, which may have aliases and groups.

    With names on the detector's side, each category in ``needed`` (ids of the data set that have objects) must be
    among them; ``DetectorError`` shows both lists. Without names, ids are taken as they are.
    """
    names = names_of(dataset)
    if detector is None:
        if any(names.ids[key] == key and key not in names.grouped for key in names.also):
            raise DetectorError(
                "cropdet_alias says which names mean the same, and the detector gives none; name its categories "
                "(--cropdet-detector labels=FILE), or remove --cropdet-alias"
            )
        refuse_pairing_by_id(dataset)
        return CategoryMap("id", dict(names.ids), dataset, merged=names.merged)
    ids, folded = pair_names(detector, names)
    names.refuse_mistyped(detector.values())
    paired = set(ids.values())
    unknown = [key for key in needed if key not in paired]
    if unknown:
        raise DetectorError(mismatch(detector, names, ids, unknown))
    return CategoryMap("name", ids, dataset, detector, tuple(folded), names.merged)


def select_categories(names: Iterable[str], dataset: Mapping[int, str]) -> list[int]:
    """Return the ids of categories given by name; ``SpecError`` names one that the data set does not have."""
    known, chosen = names_of(dataset), []
    by_name = {plain(name): key for key, name in dataset.items()}
    for name in names:
        if plain(name) in by_name:
            chosen.append(by_name[plain(name)])
            continue
        ids, _ = pair_names({0: name}, known)
        if ids and dataset[ids[0]] in known.groups and not is_spelt_like(dataset[ids[0]], name):
            group = dataset[ids[0]]
            raise SpecError(f"{name!r} is counted in the group {group!r} (--cropdet-group); write {group!r}")
        if not ids:
            close = close_names(name, dataset.values())
            near = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
            raise SpecError(f"the data set has no category {name!r}; it has {', '.join(dataset.values())}{near}")
        chosen.append(ids[0])
    return sorted(set(chosen))


def _listed(names: Mapping[int, str]) -> str:
    return ", ".join(f"{key} {name}" for key, name in sorted(names.items())) or "none"


def _joined(words: Iterable[str]) -> str:
    several = [*words]
    return ", ".join(several[:FEW_IDS]) + (f" and {len(several) - FEW_IDS} more" if len(several) > FEW_IDS else "")


def _ids(ids: Iterable[int]) -> str:
    ordered = sorted(ids)
    more = f" and {len(ordered) - 20} more" if len(ordered) > 20 else ""
    return ", ".join(map(str, ordered[:20])) + more
