"""What a weak detector's answers would be worth if they were read in another way; the detector is not called for it.

How well each annotated object is found, score times IoU of the best detection of its category, is summed over an image,
as answered and as read in another way, in pairs (as :mod:`pytest_cropdet.invariants.conventions` does with new calls).
A reading
is likely right if it gains surely and much. Which category each of the detector's ids lies on is learnt on one half of
the images and judged on the other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter

import numpy as np

from pytest_cropdet.data import CategoryMap, Detections, Pairing, Sample
from pytest_cropdet.detectors import DetectorHandle
from pytest_cropdet.evaluation import z_score
from pytest_cropdet.geometry import Boxes, Crop, Floats, Ints, from_format, iou
from pytest_cropdet.terms import DETECTOR_KINDS

__all__ = ["CONVENTIONS_CHECK", "Answers", "Suspicion", "answers_of"]

CONVENTIONS_CHECK = "--cropdet-checks=invariants -k D15-conventions"
OPTION = "--cropdet-detector"
MOST_IMAGES = 100
Z, GAIN, TIMES = 4.0, 0.05, 1.5  # standard errors, and by how much and how many times the mean must be larger
FITS = 0.5  # IoU from which a box lies on an object
FIXES = {
    "axes": "x and y of the boxes seem to be swapped",
    "xywh": "the boxes seem to be x y width height, not x0 y0 x1 y1",
    "cxcywh": "the boxes seem to be the middle, width and height, not x0 y0 x1 y1",
    "normalized": "the boxes seem to be 0 to 1 of the image, not pixels",
    "input": "the boxes seem to be pixels of the model's resized input, not of the image",
    "pixels": "the boxes seem to be pixels of the image, not of the model's resized input",
}
UNIT_KINDS = ("normalized", "input", "pixels")
SWAP = [1, 0, 3, 2]
Reader = Callable[[Boxes, Floats], Boxes]  # boxes, and width height width height of the image


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
        """The likely reading that gains most, a simple one before other categories; ``None`` where none is likely."""
        found = [reading for reading in self.suspicions() if reading.is_likely]
        return max(found, key=lambda reading: (reading.kind != "categories", reading.after), default=None)

    def explain(self, weakness: str) -> str:
        """Return a sentence about a weak reference with what has likely made it weak before it, or how to find out."""
        causes = self._causes()
        check = f"; {CONVENTIONS_CHECK} checks the detector's settings" if self.is_file and self.likely is None else ""
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
        rows = [row for row, sample in enumerate(self.samples) if (~sample.truth.crowd).any()][:MOST_IMAGES]
        known = [(self.samples[row], self.whole[row]) for row in rows]
        if len(known) < 2:
            return
        count = sum(np.count_nonzero(~sample.truth.crowd) for sample, _ in known)
        before = _worth([(sample, self.categories.translate(found)) for sample, found in known])

        def reading(kind: str, read: Iterable[Detections]) -> Suspicion:
            pairs = zip(known, read, strict=True)
            after = _worth([(sample, self.categories.translate(each)) for (sample, _), each in pairs])
            return Suspicion(kind, float(before.sum()) / count, float(after.sum()) / count, z_score(after - before))

        for step in (1, -1):
            yield reading(f"ids{step:+d}", [_with_ids(found, found.categories + step) for _, found in known])
        for kind, read in self._boxes():
            yield reading(kind, [_with_boxes(found, read(found.boxes, _size(sample))) for sample, found in known])
        yield from self._others(known)

    def _boxes(self) -> Iterator[tuple[str, Reader]]:
        """Yield what boxes in another order, or in other units, become when they are read rightly."""
        high, wide = self.input_size
        given = np.array([wide, high, wide, high], dtype=np.float64)
        yield "axes", lambda boxes, _: boxes[:, SWAP]
        yield "axes", lambda boxes, size: (boxes / size)[:, SWAP] * size
        yield "xywh", lambda boxes, _: from_format(boxes, "xywh")
        yield "cxcywh", lambda boxes, _: from_format(boxes, "cxcywh")
        if self.said.get("units") == "input":
            if high and wide:
                yield "normalized", lambda boxes, _: boxes * given
                yield "pixels", lambda boxes, size: boxes * given / size
        elif self.said.get("units") != "normalized":
            yield "normalized", lambda boxes, size: boxes * size
            if high and wide:
                yield "input", lambda boxes, size: boxes * size / given

    def _others(self, known: Sequence[tuple[Sample, Detections]]) -> Iterator[Suspicion]:
        """Yield what it gains on one half of the images to take each id for the category it lies on in the other."""
        learnt, judged = known[::2], known[1::2]
        lies_on: dict[int, dict[int, float]] = {}
        for sample, found in learnt:
            truth = sample.truth.take(np.flatnonzero(~sample.truth.crowd))
            fits = _fits(sample, found)
            for key in np.unique(found.categories).tolist():
                lies = fits[:, found.categories == key].max(axis=1)
                for category, worth in zip(truth.categories.tolist(), lies.tolist(), strict=True):
                    table = lies_on.setdefault(key, {})
                    table[category] = table.get(category, 0.0) + worth
        best = {key: max(table.items(), key=itemgetter(1)) for key, table in lies_on.items()}
        pairs = {key: category for key, (category, worth) in best.items() if worth > 0}
        changed = [key for key in pairs if self.categories.ids.get(key) != pairs[key]]
        if not changed:
            return
        count = sum(np.count_nonzero(~sample.truth.crowd) for sample, _ in judged)
        other = CategoryMap("id", {**self.categories.ids, **pairs}, self.categories.dataset)
        before, after = (
            _worth([(sample, each.translate(found)) for sample, found in judged]) for each in (self.categories, other)
        )
        changed.sort(key=lambda key: -best[key][1])
        names = tuple((key, self.categories.dataset[pairs[key]]) for key in changed)
        yield Suspicion(
            "categories", float(before.sum()) / count, float(after.sum()) / count, z_score(after - before), names
        )

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
        swapped = {"xyxy": "yxyx", "yxyx": "xyxy"}.get(str(declared), "yxyx")
        return f"{OPTION} boxes={swapped if reading.kind == 'axes' else reading.kind} instead of {declared}"

    @property
    def _names(self) -> str:
        if self.is_file:
            return f"{OPTION} labels=FILE names the detector's categories"
        return "give the detector an attribute `categories` that maps its ids to names"


def answers_of(
    detector: DetectorHandle, samples: Sequence[Sample], whole: Sequence[Detections], categories: CategoryMap
) -> Answers:
    """Return a detector's answers ``whole`` to the whole images of ``samples``."""
    is_file = detector.name.partition(":")[0] in DETECTOR_KINDS
    size = detector.profile.input_size
    return Answers(samples, whole, categories, detector.description.known(), is_file, size)


def _with_ids(found: Detections, ids: Ints) -> Detections:
    return Detections(found.boxes, found.scores, ids, found.capped)


def _with_boxes(found: Detections, boxes: Boxes) -> Detections:
    return Detections(np.hstack([boxes[:, :2], np.maximum(boxes[:, :2], boxes[:, 2:])]), found.scores, found.categories)


def _size(sample: Sample) -> Floats:
    return np.array([sample.width, sample.height] * 2, dtype=np.float64)


def _fits(sample: Sample, found: Detections) -> Floats:
    """Return (objects, detections) score times IoU, 0 where a box does not lie on the object."""
    truth = sample.truth.take(np.flatnonzero(~sample.truth.crowd))
    overlap = iou(truth.boxes, Crop(0, 0, sample.width, sample.height).clip(found.boxes))
    return np.asarray(np.where(overlap >= FITS, overlap, 0.0) * found.scores[None, :])


def _worth(known: Sequence[tuple[Sample, Detections]]) -> Floats:
    """Return, for each image, score times IoU of the best detection of each annotated object, summed."""
    sums = []
    for sample, found in known:
        categories = sample.truth.categories[~sample.truth.crowd]
        same = categories[:, None] == found.categories[None, :]
        sums.append(np.where(same, _fits(sample, found), 0.0).max(axis=1, initial=0.0).sum())
    return np.array(sums, dtype=np.float64)
