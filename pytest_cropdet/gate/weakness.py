"""What a weak detector's answers would be worth if they were read in another way; the detector is not called for it.

How well each annotated object is found, score times IoU of the best detection of its category, is summed over an image,
as answered and as read in another way (:mod:`pytest_cropdet.detectors.answer_readings`), in pairs. A reading is likely
right if it gains surely and much. Which category each of the detector's ids lies on is learnt on one half of the images
and judged on the other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter

import numpy as np

from pytest_cropdet.data import CategoryMap, Detections, Pairing, Sample
from pytest_cropdet.detectors import Declared, DetectorHandle, overlaps, possible_readings, worth
from pytest_cropdet.evaluation import z_score
from pytest_cropdet.geometry import Floats
from pytest_cropdet.terms import DETECTOR_KINDS, SERVED_KINDS

__all__ = ["CONVENTIONS_CHECK", "Answers", "Suspicion", "answers_of"]

CONVENTIONS_CHECK = "--cropdet-checks=invariants -k D15-conventions"
OPTION = "--cropdet-detector"
MOST_IMAGES = 100
Z, GAIN, TIMES = 4.0, 0.05, 1.5  # standard errors, and by how much and how many times the mean must be larger
SIMPLER = 1.25  # how many times more must other categories altogether explain than a simple reading
FITS = 0.5  # IoU from which a box lies on an object
FIXES = {
    "axes": "x and y of the boxes seem to be swapped",
    "xyxy": "the boxes seem to be x0 y0 x1 y1, not what was declared",
    "yxyx": "the boxes seem to be y0 x0 y1 x1, not what was declared",
    "xywh": "the boxes seem to be x y width height, not x0 y0 x1 y1",
    "cxcywh": "the boxes seem to be the middle, width and height, not x0 y0 x1 y1",
    "normalized": "the boxes seem to be 0 to 1 of the image, not pixels",
    "yxyx normalized": "the boxes seem to be y0 x0 y1 x1, 0 to 1 of the image, not x0 y0 x1 y1 in pixels",
    "input": "the boxes seem to be pixels of the model's resized input, not of the image",
    "pixels": "the boxes seem to be pixels of the image, not of the model's resized input",
}
UNIT_KINDS = ("normalized", "input", "pixels")


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Answers read in another way: the mean of score times IoU over objects, before and after, and the gain's z.

    ``kind``: a key of ``FIXES``, ``ids+1`` or ``ids-1`` (categories off by one), or ``categories`` (others altogether).
    ``pairs``: for ``categories``, the detector's id and the category that it lies on, the most important first.
    """

    kind: str
    before: float
    after: float
    z: float
    pairs: tuple[tuple[int, str], ...] = ()

    @property
    def is_likely(self) -> bool:
        """Whether the answers are surely and much better when they are read like this."""
        return self.z >= Z and self.after - self.before >= GAIN and self.after >= TIMES * self.before


@dataclass(frozen=True, eq=False)
class Answers:
    """A detector's answers to whole images: boxes in pixels of the image, categories with the detector's own ids.

    ``categories``: how the ids were paired. ``said``: the detector's conventions; ``is_file``: options can change them.
    ``input_size``: (height, width) in pixels of its input, 0 where it takes any.
    """

    samples: Sequence[Sample]
    whole: Sequence[Detections]
    categories: CategoryMap
    said: Mapping[str, object]
    is_file: bool
    input_size: tuple[int, int]

    @cached_property
    def pairing(self) -> Pairing:
        """How the categories were paired, and how many detections that left out."""
        return self.categories.pairing(self.whole)

    @cached_property
    def likely(self) -> Suspicion | None:
        """The likely reading that gains most, a simple one before other categories unless these explain far more.

        ``None`` where none is likely. Two categories that are swapped look half right when they are moved by one.
        """
        found = [reading for reading in self.suspicions() if reading.is_likely]
        return max(found, key=lambda each: each.after * (1.0 if each.kind == "categories" else SIMPLER), default=None)

    def explain(self, weakness: str) -> str:
        """Return a sentence about a weak reference with what has likely made it weak before it, or how to find out."""
        causes = self._causes()
        what = "the detector's settings" if self.is_file else "how its boxes and ids are read"
        check = f"; {CONVENTIONS_CHECK} checks {what}" if self.likely is None else ""
        return f"{'; '.join([*causes, weakness])}{check}"

    def _causes(self) -> list[str]:
        pairing, likely = self.pairing, self.likely
        if not pairing.detections:
            return [f"the detector returned no box at all on {len(self.whole)} whole images"]
        of_names = likely is not None and likely.kind not in FIXES
        found = [] if likely is None else [f"{self._said(likely)} (fix: {self._fix(likely)})"]
        if pairing.by == "id" and (pairing.left_out or of_names):
            fix = "" if likely is not None and self._fix(likely) == self._names else f" (fix: {self._names})"
            found.insert(0, f"names are missing: {pairing.text}{fix}")
        return found

    def suspicions(self) -> Iterator[Suspicion]:
        """Yield every other reading of the answers."""
        rows = [row for row, sample in enumerate(self.samples) if sample.truth.counted.any()][:MOST_IMAGES]
        known = [(self.samples[row], self.whole[row]) for row in rows]
        if len(known) < 2:
            return
        samples, whole = [sample for sample, _ in known], [found for _, found in known]
        before, was = self._worth(samples, whole, self.categories), self._declared
        for reading in possible_readings(samples, was, sides=()):
            kind = reading.order if reading.key == "boxes" else reading.units
            if reading.order != was.order and reading.units != was.units:
                kind = f"{reading.order} {reading.units}"
            elif reading.key == "first_category":
                kind = f"ids{reading.ids:+d}"
            elif {reading.order, was.order} == {"xyxy", "yxyx"}:
                kind = "axes"
            # a pixel makes no reference weak; two changes at a time are tried only where functions often need them
            if reading.key == "edges" or (" " in kind and (self.is_file or kind not in FIXES)):
                continue
            read = [reading.of(found, sample.width, sample.height) for sample, found in known]
            yield _suspicion(kind, samples, before, self._worth(samples, read, self.categories))
        yield from self._others(known)

    @property
    def _declared(self) -> Declared:
        """How the boxes were read: as the file was declared, or as a function's."""
        return Declared.of(self.said, self.input_size)

    @staticmethod
    def _worth(samples: Sequence[Sample], found: Sequence[Detections], categories: CategoryMap) -> Floats:
        return worth([categories.translate(each) for each in found], samples, FITS)

    def _others(self, known: Sequence[tuple[Sample, Detections]]) -> Iterator[Suspicion]:
        """Yield what it gains on one half of the images to take each id for the category it lies on in the other."""
        learnt, samples, judged = known[::2], [sample for sample, _ in known[1::2]], [found for _, found in known[1::2]]
        lies_on: dict[int, dict[int, float]] = {}
        for sample, found in learnt:
            truth = sample.truth.take(np.flatnonzero(sample.truth.counted))
            overlap = overlaps(found, sample, within_categories=False)
            fits = np.where(overlap >= FITS, overlap, 0.0) * found.scores[None, :]
            for key in np.unique(found.categories).tolist():
                lies = fits[:, found.categories == key].max(axis=1)
                for category, fit in zip(truth.categories.tolist(), lies.tolist(), strict=True):
                    table = lies_on.setdefault(key, {})
                    table[category] = table.get(category, 0.0) + fit
        best = {key: max(table.items(), key=itemgetter(1)) for key, table in lies_on.items()}
        pairs = {key: category for key, (category, fit) in best.items() if fit > 0}
        changed = [key for key in pairs if self.categories.ids.get(key) != pairs[key]]
        if not changed:
            return
        other = replace(self.categories, by="id", ids={**self.categories.ids, **pairs})
        before, after = (self._worth(samples, judged, each) for each in (self.categories, other))
        changed.sort(key=lambda key: -best[key][1])
        names = tuple((key, self.categories.dataset[pairs[key]]) for key in changed)
        yield _suspicion("categories", samples, before, after, names)

    def _said(self, reading: Suspicion) -> str:
        gain = f"score times IoU of annotated objects is then {reading.after:.3f} instead of {reading.before:.3f}"
        if reading.kind == "categories":
            lies = ", ".join(f"id {key} on {name!r}" for key, name in reading.pairs[:3])
            return f"the boxes fit objects of other categories ({lies}): {gain}"
        if reading.kind in FIXES:
            return f"{FIXES[reading.kind]}: {gain}"
        return f"the categories seem to be off by one (the detector's ids {reading.kind[3:]}): {gain}"

    def _fix(self, reading: Suspicion) -> str:
        if reading.kind == "categories":
            return self._names
        if reading.kind.startswith("ids"):
            first = self.said.get("first_category")
            right = first - int(reading.kind[3:]) if isinstance(first, int) else -1
            return f"{OPTION} first_category={right} instead of {first}" if right >= 0 and self.is_file else self._names
        if not self.is_file:
            return "return x0 y0 x1 y1 in pixels of the image that the function is given"
        if reading.kind in UNIT_KINDS:
            return f"{OPTION} units={reading.kind} instead of {self.said.get('units')}"
        declared = self.said.get("boxes")
        swapped = "xyxy" if declared == "yxyx" else "yxyx"
        return f"{OPTION} boxes={swapped if reading.kind == 'axes' else reading.kind} instead of {declared}"

    @property
    def _names(self) -> str:
        if self.is_file:
            return f"{OPTION} labels=FILE names the detector's categories"
        if self.pairing.by == "name":
            return "correct the names that the detector's attribute `categories` gives to its ids"
        return "give the detector an attribute `categories` that maps its ids to names"


def answers_of(
    detector: DetectorHandle, samples: Sequence[Sample], whole: Sequence[Detections], categories: CategoryMap
) -> Answers:
    """Return a detector's answers ``whole`` to the whole images of ``samples``."""
    is_file = detector.name.partition(":")[0] in (*DETECTOR_KINDS, *SERVED_KINDS)
    size = detector.profile.input_size
    return Answers(samples, whole, categories, detector.description.known(), is_file, size)


def _suspicion(
    kind: str, samples: Sequence[Sample], before: Floats, after: Floats, pairs: tuple[tuple[int, str], ...] = ()
) -> Suspicion:
    count = sum(np.count_nonzero(sample.truth.counted) for sample in samples)
    return Suspicion(kind, float(before.sum()) / count, float(after.sum()) / count, z_score(after - before), pairs)
