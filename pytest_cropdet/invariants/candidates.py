"""How well a detector finds annotated objects when it is read with certain values of its conventions.

Each candidate is a set of values with which the model is loaded and shown the same images. Of an image counts, for each
annotated object, score times IoU of the best detection that lies on it (IoU 0.5): with its category, and with any. The
mean of the two rises with everything that is right, and is compared image by image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from pytest_cropdet.data import Dataset, Detections, Sample, reconcile
from pytest_cropdet.detectors import DetectorHandle, load_detector, overlaps
from pytest_cropdet.evaluation import FOUND_IOU
from pytest_cropdet.geometry import Floats, Image

__all__ = ["Candidate", "CandidateImages", "choose_spread"]

KEPT_BYTES = 400_000_000  # of decoded pixels that are kept in memory


def choose_spread(dataset: Dataset, count: int) -> list[Sample]:
    """Return ``count`` samples with annotated objects, spread over the data set.

    In the order of their ids they are cut into ``count`` stretches, and each gives the image with the most objects. So
    the choice depends on no seed, and not on the order in which a file lists its images.
    """
    known = sorted((each for each in dataset if each.truth.counted.any()), key=lambda each: each.id)
    if len(known) <= count:
        return known
    edges = [len(known) * place // count for place in range(count + 1)]
    return [max(known[low:high], key=lambda each: int(each.truth.counted.sum())) for low, high in pairwise(edges)]


class CandidateImages:
    """The images that every candidate is shown, with the names of their categories; pixels are decoded once."""

    def __init__(self, samples: Sequence[Sample], names: Mapping[int, str]) -> None:
        self.samples = list(samples)
        self.names = names
        self.objects = sum(int(each.truth.counted.sum()) for each in self.samples)
        self._swaps = False
        self._pixels: dict[str, Image] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.samples)

    def first(self, count: int) -> "CandidateImages":
        """Return ``count`` of the images, spread over all."""
        if count >= len(self):
            return self
        chosen = CandidateImages([self.samples[len(self) * place // count] for place in range(count)], self.names)
        chosen._pixels = self._pixels
        return chosen

    def swapped(self) -> "CandidateImages":
        """Return the same images with red and blue swapped."""
        changed = CandidateImages(self.samples, self.names)
        changed._swaps = not self._swaps
        return changed

    def pixels(self, sample: Sample) -> Image:
        """Return an image's pixels, RGB uint8, or BGR where the channels are swapped."""
        image = self._rgb(sample)
        return np.ascontiguousarray(image[:, :, ::-1]) if self._swaps else image

    def _rgb(self, sample: Sample) -> Image:
        if sample.id in self._pixels:
            return self._pixels[sample.id]
        image = sample.image()
        if self._bytes + image.nbytes <= KEPT_BYTES:
            self._pixels[sample.id] = image
            self._bytes += image.nbytes
        return image


@dataclass(frozen=True, eq=False)
class Candidate:
    """What a detector finds when it is read with ``values``; ``refused``: why it cannot be read so, else empty.

    ``answers``: one an image, with the detector's own ids; ``translated``: with the data set's.
    """

    values: Mapping[str, object]
    images: CandidateImages
    answers: Sequence[Detections] = ()
    translated: Sequence[Detections] = ()
    refused: str = ""

    @classmethod
    def of(cls, spec: str, values: Mapping[str, Any], images: CandidateImages) -> "Candidate":
        """Return what the model ``spec`` finds with ``values``; whatever goes wrong is kept as the reason."""
        try:
            return cls.shown(load_detector(spec, **values), values, images)
        except Exception as error:  # a value that does not fit may fail in any way
            return cls(values, images, refused=str(error) or type(error).__name__)

    @classmethod
    def shown(cls, detector: DetectorHandle, values: Mapping[str, object], images: CandidateImages) -> "Candidate":
        """Return what a detector finds."""
        answers = [detector([images.pixels(sample)])[0] for sample in images.samples]
        categories = reconcile(detector.categories, images.names, ())
        return cls(values, images, answers, [categories.translate(each) for each in answers])

    @cached_property
    def _best(self) -> tuple[list[Floats], list[Floats], list[Floats]]:
        """Return, of each image, for each object: the best score times IoU with its category, with any, and scores."""
        same, any_of, scores = list[Floats](), list[Floats](), list[Floats]()
        for own, found, sample in zip(self.answers, self.translated, self.images.samples, strict=True):
            fits = overlaps(found, sample)
            fits = np.where(fits >= FOUND_IOU, fits, 0.0) * found.scores
            every = overlaps(own, sample, within_categories=False)
            every = np.where(every >= FOUND_IOU, every, 0.0) * own.scores
            same.append(fits.max(axis=1, initial=0.0))
            any_of.append(every.max(axis=1, initial=0.0))
            score = np.where(fits > 0, found.scores, 0.0).max(axis=1, initial=0.0)
            scores.append(score)
        return same, any_of, scores

    @cached_property
    def worth(self) -> Floats:
        """Of each image: score times IoU of the best detections, with the object's category and with any, halved."""
        if self.refused:
            return np.zeros(len(self.images))
        same, every, _ = self._best
        return np.array([(a.sum() + b.sum()) / 2 for a, b in zip(same, every, strict=True)])

    @cached_property
    def honesty(self) -> Floats:
        """Of each image: minus the squared error of all scores as probabilities (Brier), objects not found included.

        Scores that are no probabilities are seen by it: boxes that lie on no object, and yet score high.
        """
        if self.refused:
            return np.full(len(self.images), -1e9)
        errors = []
        for found, sample in zip(self.translated, self.images.samples, strict=True):
            fits = overlaps(found, sample) >= FOUND_IOU
            strength = np.where(fits, found.scores, -1.0)
            best = strength.argmax(axis=1) if len(found) else np.zeros(0, np.int64)
            right = np.zeros(len(found), np.bool_)
            seen = fits.any(axis=1)
            if len(found):
                right[best[seen]] = True
            errors.append(float(((found.scores - right) ** 2).sum() + (~seen).sum()))
        return -np.array(errors)

    @cached_property
    def precision(self) -> Floats:
        """Of each image: the sum over its objects of the precision among the detections that score as high as its own.

        Of several detections on one object the highest is its own, and the others are mistakes; an object without one
        counts 0. So duplicates and objects that were suppressed both cost.
        """
        if self.refused:
            return np.zeros(len(self.images))
        return np.array([_precision(f, s) for f, s in zip(self.translated, self.images.samples, strict=True)])

    @cached_property
    def matched(self) -> int:
        """Objects that a detection of their category lies on."""
        return 0 if self.refused else sum(int((each > 0).sum()) for each in self._best[0])

    @cached_property
    def covered(self) -> int:
        """Objects that a detection of any category lies on."""
        return 0 if self.refused else sum(int((each > 0).sum()) for each in self._best[1])

    @property
    def mean_score(self) -> float | None:
        """The mean score of the best detections of matched objects; ``None`` where there are none."""
        if self.refused or not self.matched:
            return None
        return float(np.concatenate(self._best[2]).sum() / self.matched)


def _precision(found: Detections, sample: Sample) -> float:
    fits = overlaps(found, sample)
    fits = np.where(fits >= FOUND_IOU, fits, 0.0)
    total, right = 0.0, 0
    for rank, row in enumerate(np.argsort(-found.scores, kind="stable"), start=1):
        lies_on = fits[:, row]
        if lies_on.any():
            right += 1
            total += right / rank
            fits[lies_on.argmax()] = 0.0  # taken
    return total
