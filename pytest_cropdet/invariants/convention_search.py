"""Which values of its conventions a model file needs: measured on annotated images, open ones and decided ones alike.

The values of one convention are compared while the others keep the best value found so far; order and units of boxes,
which depend on each other, are tried together. Rounds are repeated until nothing changes.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from pytest_cropdet.detectors import OpenConvention, alternatives, load_detector
from pytest_cropdet.evaluation import sign_flip_p
from pytest_cropdet.invariants.candidates import Candidate, CandidateImages

__all__ = ["FEWEST_IMAGES", "IMAGES_SHOWN", "ConventionComparison", "Measured", "measure_conventions"]

IMAGES_SHOWN = 24  # that every candidate is shown
CLEAR_P = 0.005  # of the sign-flip test over images, up to which a difference is clear: never with fewer than 8
FEWEST_IMAGES = 8
CLEAR_GAIN = 0.01  # of score times IoU, in the mean over objects
FINDS = 0.02  # of score times IoU, in the mean over objects: a detector below it finds nothing
FIRST_LOOK = 6  # images on which combinations are tried before the rounds
FOUND_ENOUGH, WORTH_ENOUGH = 0.15, 0.05  # of the objects, and of score times IoU: no other combination is looked for
ROUNDS = 3
GROUPS = (
    ("boxes", "units"),
    ("range",),
    ("first_category",),
    ("channels",),
    ("resize",),
    ("activation",),
    ("nms_iou",),
)
MEASURED_BY: Mapping[tuple[str, ...], str] = {
    ("activation",): "honesty",  # scores that are too high find objects no worse
    ("nms_iou",): "precision",  # and so do duplicates
}
NUMBERS_TRIED: Mapping[str, tuple[str, ...]] = {"nms_iou": ("0.5", "0.45", "0.6", "0.65", "0.7")}  # where it is open
TOO_LATE = "not measured, because the time was over"


def gain_of(better: Candidate, other: Candidate, keys: Sequence[str]) -> tuple[float, float]:
    """Return what one candidate gains over another, in the mean over objects, and how often that comes of chance."""
    kind = MEASURED_BY.get(tuple(keys), "worth")
    gains = getattr(better, kind) - getattr(other, kind)
    return float(gains.sum()) / max(1, better.images.objects), sign_flip_p(gains)


@dataclass(frozen=True)
class ConventionComparison:
    """The values of one convention, or of two that depend on each other, the best first.

    ``is_open``: whether one of them is to be decided; ``declared``: the candidate with the values that are in force, or
    were tried first.
    """

    keys: tuple[str, ...]
    rows: tuple[Candidate, ...]
    declared: Candidate
    is_open: bool
    words: tuple[tuple[str, ...], ...]

    @property
    def best(self) -> Candidate:
        """The candidate that finds objects best."""
        return self.rows[0]

    def is_clear(self, better: Candidate, other: Candidate) -> bool:
        """Whether one candidate is better than another beyond doubt."""
        if other.refused:
            return not better.refused and other.refused != TOO_LATE
        gain, chance = gain_of(better, other, self.keys)
        return gain >= CLEAR_GAIN and chance <= CLEAR_P

    @property
    def rivals(self) -> tuple[Candidate, ...]:
        """The other candidates that are not clearly worse than the best."""
        return tuple(each for each in self.rows[1:] if not self.is_clear(self.best, each))

    @property
    def alike(self) -> bool:
        """Whether the best and its rivals find the same: on these images it makes no difference."""
        same = [gain_of(self.best, each, self.keys) == (0.0, 1.0) for each in self.rivals if not each.refused]
        return bool(same) and all(same)

    @property
    def is_wrong(self) -> bool:
        """Whether what was declared is clearly worse than another value."""
        return not self.is_open and self.best is not self.declared and self.is_clear(self.best, self.declared)

    @property
    def is_doubtful(self) -> bool:
        """Whether another value than the declared one is better, but not clearly."""
        if self.is_open or self.best is self.declared or self.is_wrong or self.declared.refused:
            return False
        return gain_of(self.best, self.declared, self.keys)[0] >= CLEAR_GAIN

    def value_of(self, candidate: Candidate) -> tuple[str, ...]:
        """Return a candidate's values of these conventions."""
        return self.words[self.rows.index(candidate)]


@dataclass(frozen=True)
class Measured:
    """What was measured of a model: the values to read it with, and how sure they are.

    ``values``: to load it with; ``finds``: whether it finds annotated objects at all, else nothing can be told.
    """

    images: CandidateImages
    comparisons: tuple[ConventionComparison, ...]
    best: Candidate
    declared: Candidate
    values: Mapping[str, Any]

    @property
    def finds(self) -> bool:
        """Whether the best candidate finds objects."""
        return not self.best.refused and float(self.best.worth.sum()) / max(1, self.images.objects) >= FINDS

    @property
    def wrong(self) -> tuple[ConventionComparison, ...]:
        """The conventions that were declared wrongly."""
        return tuple(each for each in self.comparisons if each.is_wrong) if self.finds else ()

    @property
    def unclear(self) -> tuple[ConventionComparison, ...]:
        """The open conventions of which no value is clearly the best."""
        return tuple(each for each in self.comparisons if each.is_open and (each.rivals or not self.finds))

    @property
    def is_decided(self) -> bool:
        """Whether every open convention has a clear value and no declared one is wrong."""
        return self.finds and not self.wrong and not self.unclear


def measure_conventions(
    spec: str,
    given: Mapping[str, Any],
    opened: Sequence[OpenConvention],
    complete: Mapping[str, Any] | None,
    images: CandidateImages,
    seconds: float,
) -> Measured:
    """Return which values of its conventions a model file finds annotated objects with.

    ``given``: what was said of it; ``opened``: what is open, and ``complete``: values of all of it, to begin with.
    ``seconds``: after which no further candidate is begun.
    """
    return _Search(spec, given, opened, complete, images, time.monotonic() + seconds).run()


class _Search:
    def __init__(
        self,
        spec: str,
        given: Mapping[str, Any],
        opened: Sequence[OpenConvention],
        complete: Mapping[str, Any] | None,
        images: CandidateImages,
        end: float,
    ) -> None:
        self._spec, self._images, self._end = spec, images, end
        self._base = {**given, **(complete or {})}
        self._open = {each.key: NUMBERS_TRIED.get(each.key, each.values) for each in opened if each.key not in given}
        handle = load_detector(spec, **self._base)
        handle.load()
        said = handle.description.known()
        self._start = {key: said[key] for group in GROUPS for key in group if key in said}
        self._now = dict(self._start)
        self._known: dict[tuple[int, tuple[Any, ...]], Candidate] = {}

    def run(self) -> Measured:
        self._try(self._start)  # at least this, however short the time is
        self._look_first()
        open_first = sorted(GROUPS, key=lambda group: not any(key in self._open for key in group))
        for _ in range(ROUNDS):
            before = dict(self._now)
            for group in open_first:
                found = self._compare(group)
                if found is not None and (found.is_open or found.is_wrong):
                    self._now |= dict(zip(found.keys, self._typed(found), strict=True))
                elif found is not None:
                    self._now |= {key: self._start[key] for key in found.keys}
            if self._now == before:
                break
        made = [found for group in GROUPS if (found := self._compare(group)) is not None]
        return Measured(
            self._images, tuple(made), self._try(self._now), self._try(self._start), self._values(self._now)
        )

    def _typed(self, found: ConventionComparison) -> list[Any]:
        words = found.value_of(found.best)
        return [type(self._start[key])(word) for key, word in zip(found.keys, words, strict=True)]

    def _values(self, assignment: Mapping[str, Any]) -> dict[str, Any]:
        changed = {key: value for key, value in assignment.items() if value != self._start[key]}
        return {**self._base, **changed}

    def _try(self, assignment: Mapping[str, Any], images: CandidateImages | None = None) -> Candidate:
        shown = images or self._images
        key = (len(shown), tuple(assignment.items()))
        if key not in self._known:
            if time.monotonic() > self._end and self._known:
                return Candidate(self._values(assignment), shown, refused=TOO_LATE)
            self._known[key] = Candidate.of(self._spec, self._values(assignment), shown)
        return self._known[key]

    def _look_first(self) -> None:
        """Find values to begin the rounds with: with a wrong range no order of boxes finds anything.

        First what is open is combined; if nothing is found so, what is decided may be wrong too.
        """
        keys = [key for key in ("range", "boxes", "units") if key in self._start]
        few = self._images.first(FIRST_LOOK)
        best = self._try(self._now, few)
        for tried in ([key for key in keys if key in self._open], keys):
            for values in product(*map(self._choices, tried)):
                if _finds_enough(best):
                    return
                assignment: dict[str, Any] = self._now | dict[str, Any](zip(tried, values, strict=True))
                found = self._try(assignment, few)
                if float(found.worth.sum()) > float(best.worth.sum()):
                    best, self._now = found, assignment

    def _compare(self, group: tuple[str, ...]) -> ConventionComparison | None:
        keys = tuple(key for key in group if key in self._start and len(self._choices(key)) > 1)
        if not keys:
            return None
        assignments = list(self._assignments(keys))
        tried = [(self._try(each), tuple(str(each[key]) for key in keys)) for each in assignments]
        kind = MEASURED_BY.get(keys, "worth")
        is_open = any(key in self._open for key in keys)
        start = tuple(str(self._start[key]) for key in keys)
        declared = next((each for each, words in tried if words == start), tried[0][0])
        tried.sort(key=lambda one: (bool(one[0].refused), -float(getattr(one[0], kind).sum()), one[0] is not declared))
        rows, words = zip(*tried, strict=True)
        return ConventionComparison(keys, rows, declared, is_open, words)

    def _assignments(self, keys: tuple[str, ...]) -> Iterator[dict[str, Any]]:
        """Yield the values to compare: of open conventions all together, of decided ones each alone."""
        seen = []
        free = [key for key in keys if key in self._open]
        found = [dict(zip(free, values, strict=True)) for values in product(*map(self._choices, free))]
        found += [{key: value} for key in keys if key not in self._open for value in self._choices(key)]
        found.insert(0, {key: self._start[key] for key in keys})
        for changed in found:
            assignment = {**self._now, **changed}
            if assignment not in seen:
                seen.append(assignment)
                yield assignment
        if len(keys) > 1 and not free:  # two that are declared wrongly hide each other
            best = max(float(self._try(each).worth.sum()) for each in seen)
            if best < FINDS * self._images.objects:
                for values in product(*map(self._choices, keys)):
                    assignment = {**self._now, **dict(zip(keys, values, strict=True))}
                    if assignment not in seen:
                        seen.append(assignment)
                        yield assignment

    def _choices(self, key: str) -> list[Any]:
        now, kind = self._now[key], type(self._start[key])
        if key in self._open:
            return [kind(each) for each in self._open[key]]
        if key in NUMBERS_TRIED:
            return [self._start[key]]
        return list(dict.fromkeys([self._start[key], now, *alternatives(key, self._start[key])]))


def _finds_enough(found: Candidate) -> bool:
    objects = found.images.objects
    return found.covered >= FOUND_ENOUGH * objects and float(found.worth.sum()) >= WORTH_ENOUGH * objects
