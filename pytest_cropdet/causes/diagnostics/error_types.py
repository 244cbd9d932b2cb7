"""What each kind of mistake costs in AP50, after TIDE (Bolya, Foley, Hays, Hoffman: *TIDE: A General Toolbox for
Identifying Object Detection Errors*, ECCV 2020).

A false positive is of one kind, the first that fits. With the IoUs of its scored objects, of its own category (same)
and of others (other):

- ``localisation``: the largest same is 0.1 to 0.5;
- ``class``: the largest other is 0.5 or more;
- ``duplicate``: an object of its category with 0.5 or more is taken by a stronger detection;
- ``background``: none is above 0.1;
- ``both``: all else; the place is poor and the category wrong.

``missed`` are the objects that no detection matches and that no localisation or class error points at. The cost of a
kind is AP50 with that kind alone mended minus AP50. Mended means: the strongest localisation or class error of an
unmatched object becomes a true positive of the object's category with its own score, any other error is left out, a
missed object is left out. ``false_positive``: all false positives left out; ``false_negative``: all unmatched objects
left out. Mending one kind does not give back what another spoils, so costs do not add up to what is missing to 1.

The numbers are those of the package ``tidecv`` 1.0.1 wherever the rules are the same. Ours differ where they must
be those of the gate: AP is read at pycocotools' recall points and 0 to 1; categories without a scored object take no
part, before and after mending; images without objects count; detections are capped per image *and* category;
regions that do not count, and detections that lie mostly outside the window, make nothing right or wrong, so they
are no errors either and reach no object; IoU is that with the better of the two boxes of a cut object.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_cropdet.evaluation import (
    FOUND_IOU,
    Detected,
    Matches,
    Objects,
    at_half,
    average_precision,
    bounds_of,
    none_for_nan,
    resample,
)
from pytest_cropdet.geometry import Bools, Floats, Ints, iou

__all__ = ["ERROR_KINDS", "ErrorCost", "ErrorTypes", "Errors", "error_types", "find_errors"]

BACKGROUND_IOU = 0.1
FALSE_POSITIVES = ("class", "localisation", "both", "duplicate", "background")
ERROR_KINDS = (*FALSE_POSITIVES, "missed", "false_positive", "false_negative")


@dataclass(frozen=True, slots=True)
class ErrorCost:
    """What one kind of mistake costs in AP50, 0 to 1, ``None`` where undefined; bounds are one-sided, of the change."""

    reference: float | None
    crop: float | None
    low: float | None = None
    high: float | None = None

    @property
    def change(self) -> float | None:
        """How much more it costs in the crops."""
        return None if self.reference is None or self.crop is None else self.crop - self.reference

    def to_dict(self) -> dict[str, float | None]:
        """Return everything as built-in values."""
        return {
            "reference": self.reference,
            "crop": self.crop,
            "change": self.change,
            "low": self.low,
            "high": self.high,
        }


@dataclass(frozen=True)
class ErrorTypes:
    """The cost of each kind of mistake, in the order of ``ERROR_KINDS``."""

    costs: Mapping[str, ErrorCost]

    def __getitem__(self, kind: str) -> ErrorCost:
        return self.costs[kind]

    def to_dict(self) -> dict[str, dict[str, float | None]]:
        """Return everything as built-in values."""
        return {kind: cost.to_dict() for kind, cost in self.costs.items()}


@dataclass(frozen=True, eq=False)
class Errors:
    """The mistakes of one rendering at IoU 0.5, over the categories that were matched.

    D are the detections that count, in the order in which AP reads them, G the objects.
    """

    matches: Matches
    place: Ints
    """(D,) position among the kept detections of ``matches``."""
    category: Ints
    """(D,) index into the categories of ``matches``."""
    score: Floats
    """(D,) confidence."""
    partner: Ints
    """(D,) row in ``Truth`` of the matched object, -1 for a false positive."""
    kind: Ints
    """(D,) index into ``FALSE_POSITIVES``, -1 for a true positive."""
    target: Ints
    """(D,) row in ``Truth`` of the object that the detection takes when its kind is mended, -1 for none."""
    missed: Bools
    """(G,) whether no detection matches a scored object, and no localisation or class error points at it."""

    @property
    def counted(self) -> Bools:
        """(G,) whether an object must be found."""
        return np.asarray(self.matches.scored[self.matches.area_index("all")])

    @property
    def found(self) -> Bools:
        """(G,) whether a detection matches an object."""
        found = np.zeros(len(self.missed), dtype=bool)
        found[self.partner[self.partner >= 0]] = True
        return found

    def mended(self, kind: str | None = None) -> Matches:
        """Return the match table, at IoU 0.5 alone, as it were without mistakes of one kind; of none by default."""
        if kind is not None and kind not in ERROR_KINDS:
            raise ValueError(f"kind must be one of {', '.join(ERROR_KINDS)}, not {kind!r}")
        partner, scored = self.partner, self.counted
        kept = np.ones(len(partner), dtype=bool)
        if kind in FALSE_POSITIVES:
            wrong = self.kind == FALSE_POSITIVES.index(kind)
            partner = np.where(wrong, self.target, partner)
            kept = ~wrong | (self.target >= 0)
        elif kind == "missed":
            scored = scored & ~self.missed
        elif kind == "false_positive":
            kept = partner >= 0
        elif kind == "false_negative":
            scored = scored & self.found
        return self._table(partner, kept, scored)

    def _table(self, partner: Ints, kept: Bools, scored: Bools) -> Matches:
        """Return the match table of the ``kept`` detections, each a true positive if it has a partner."""
        whole = self.matches
        category = np.where(partner >= 0, whole.truth_category[partner], self.category)
        order = np.flatnonzero(kept)
        keys = (whole.rows[self.place[order]], whole.image[self.place[order]], -self.score[order], category[order])
        order = order[np.lexsort(keys)]  # the last key weighs most
        partner, place = partner[order], self.place[order]
        contenders = np.flatnonzero(partner >= 0)
        return Matches(
            images=whole.images,
            categories=whole.categories,
            thresholds=whole.thresholds[[at_half(whole)]],
            areas=("all",),
            max_detections=whole.max_detections,
            rows=whole.rows[place],
            starts=np.searchsorted(category[order], np.arange(len(whole.categories) + 1)),
            image=whole.image[place],
            outside=np.zeros((1, len(order)), dtype=bool),
            contenders=contenders,
            rank=np.zeros(len(contenders), dtype=np.int64),
            matched=partner[contenders].astype(np.int32)[None, None],
            truth_image=whole.truth_image,
            truth_category=whole.truth_category,
            scored=scored[None],
        )


def error_types(
    objects: Objects,
    detected: Mapping[str, Detected],
    matches: Mapping[str, Matches],
    kept: Bools,
    *,
    replicates: int = 0,
    seed: int = 0,
    level: float = 0.95,
) -> ErrorTypes:
    """Return what each kind of mistake costs in AP50 over the categories ``kept``, in the reference and in the crop.

    ``kept``: (K,) mask of the matched categories that take part in the mean. With ``replicates`` the change has
    one-sided bounds at ``level``, from resamples of source images; the resamples of a drop have the same ``seed``.
    """
    errors = {name: find_errors(objects, detected[name], matches[name]) for name in ("reference", "crop")}
    tables = [each.mended(kind) for each in errors.values() for kind in (None, *ERROR_KINDS)]
    ap = np.array([average_precision(table).mean(categories=kept) for table in tables])
    cost = _costs(ap[:, None])[..., 0]
    bounds: list[tuple[float | None, float | None]] = [(None, None)] * len(ERROR_KINDS)
    if replicates and kept.any():
        drawn = resample(
            tables,
            objects.index.unit,
            replicates=replicates,
            seed=seed,
            categories=kept,
            apart=matches["crop"].categories[kept].tolist(),
            metrics=["AP50"],
        )
        drawn_cost = _costs(_mean_of_defined(drawn.singles[0]))
        bounds = [bounds_of(change, level) for change in drawn_cost[1] - drawn_cost[0]]
    values = zip(ERROR_KINDS, cost.T, bounds, strict=True)
    return ErrorTypes(
        {kind: ErrorCost(none_for_nan(pair[0]), none_for_nan(pair[1]), *ends) for kind, pair, ends in values}
    )


def find_errors(objects: Objects, detected: Detected, matches: Matches) -> Errors:
    """Return the mistakes of one rendering, each of one kind, and the objects that are missed; of what AP counts."""
    matches = matches.counted
    half = at_half(matches)
    place = np.flatnonzero(~matches.ignored()[half])
    partner = matches.truth_of()[half][place].astype(np.int64)
    category = np.repeat(np.arange(len(matches.categories)), np.diff(matches.starts))[place]
    rows, image = matches.rows[place], matches.image[place]
    kind, target = np.full(len(place), -1), np.full(len(place), -1)
    counted = matches.scored[matches.area_index("all")]
    errors = Errors(matches, place, category, detected.score[rows], partner, kind, target, counted)
    found = errors.found
    for wrong, near in _by_image(matches.images, (image, partner < 0), (matches.truth_image, counted)):
        overlap = _overlap(detected, objects, rows[wrong], near)
        same = category[wrong][:, None] == matches.truth_category[near]
        kind[wrong], pointed = _tell(overlap, same, found[near])
        aimed = np.append(near, -1)[pointed]  # -1 reads the -1
        target[wrong] = np.where(np.append(found, True)[aimed], -1, aimed)
    reached = counted & False
    reached[target[target >= 0]] = True
    aiming = np.flatnonzero(target >= 0)
    aiming = aiming[np.lexsort((rows[aiming], -errors.score[aiming], target[aiming]))]
    later = np.append(False, target[aiming][1:] == target[aiming][:-1])[: len(aiming)]
    target[aiming[later]] = -1  # an object is given to its strongest
    return Errors(matches, place, category, errors.score, partner, kind, target, counted & ~found & ~reached)


def _tell(overlap: Floats, same: Bools, found: Bools) -> tuple[Ints, Ints]:
    """Return (w,) kind of each false positive of one image, and (w,) column of the object it points at, -1 for none.

    ``overlap``: (w, g) IoU with the scored objects; ``same``: (w, g) of its category; ``found``: (g,) matched.
    """
    if not overlap.shape[1]:
        return np.full(len(overlap), FALSE_POSITIVES.index("background")), np.full(len(overlap), -1)
    own, others = overlap * same, overlap * ~same
    best = own.max(axis=1)
    rules = {
        "localisation": (best >= BACKGROUND_IOU) & (best <= FOUND_IOU),
        "class": others.max(axis=1) >= FOUND_IOU,
        "duplicate": (own * found).max(axis=1) >= FOUND_IOU,
        "background": overlap.max(axis=1) <= BACKGROUND_IOU,
    }
    kind = np.select(
        list(rules.values()), [FALSE_POSITIVES.index(name) for name in rules], FALSE_POSITIVES.index("both")
    )
    column = np.where(kind == FALSE_POSITIVES.index("class"), others.argmax(axis=1), -1)
    column = np.where(kind == FALSE_POSITIVES.index("localisation"), own.argmax(axis=1), column)
    return kind, column


def _overlap(detected: Detected, objects: Objects, rows: Ints, near: Ints) -> Floats:
    """Return (w, g) IoU by the rule of the matching: the larger of those with either box of an object."""
    boxes, truth = detected.boxes[rows], objects.truth
    overlap = iou(boxes, truth.boxes[near])
    return overlap if truth.tight is None else np.maximum(overlap, iou(boxes, truth.tight[near]))


def _by_image(images: int, *tables: tuple[Ints, Bools]) -> Any:
    """Yield, for each image in which the first table has chosen rows, the chosen rows of each table in that image."""
    parts = []
    for image, chosen in tables:
        rows = np.flatnonzero(chosen)
        rows = rows[np.argsort(image[rows], kind="stable")]
        parts.append((rows, np.searchsorted(image[rows], np.arange(images + 1))))
    for place in range(images):
        some = [rows[starts[place] : starts[place + 1]] for rows, starts in parts]
        if len(some[0]):
            yield some


def _costs(ap: Floats) -> Floats:
    """Return (2, kinds, N) from the AP of all tables (tables, N): mended minus as it is."""
    by_rendering = ap.reshape(2, 1 + len(ERROR_KINDS), -1)
    return np.asarray(by_rendering[:, 1:] - by_rendering[:, :1])


def _mean_of_defined(values: Floats) -> Floats:
    """Return the mean over the last axis of what is not NaN, NaN where nothing is."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=-1)
    return np.asarray(np.where(defined, values, 0.0).sum(axis=-1) / np.where(count > 0, count, np.nan))
