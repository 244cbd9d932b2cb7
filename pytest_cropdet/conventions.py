"""Which convention of a detector is declared wrongly: recognised by what matched truth gains when it is undone.

AP alone is too blunt: channels in the wrong order cost a real detector 0.012 mAP, but moved the scores of the objects
it found by 0.046, six standard errors. So how well each annotated object is found, the score times the IoU of the best
detection of its category, is summed over an image, and compared as declared and with one convention changed, in pairs.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_cropdet.boxes import Floats, iou
from pytest_cropdet.categories import reconcile
from pytest_cropdet.crops import Crop
from pytest_cropdet.detectors import load_detector
from pytest_cropdet.detectors.description import alternatives
from pytest_cropdet.detectors.handle import DetectorHandle
from pytest_cropdet.errors import CropdetError, DetectorError
from pytest_cropdet.kinds import KINDS
from pytest_cropdet.samples import Sample

__all__ = ["Mistaken", "Z", "can_change", "suspects"]

Z = 4.0  # standard errors from which on a convention counts as wrong
FIRST = 16  # images on which every other value is tried
PROMISING = 1.0  # standard errors there, from which on it is tried on all images
GAIN = 0.01  # of the mean, below which a change is of no use

MISTAKES: Mapping[str, str] = {
    "channels": "the channels are in the wrong order (BGR for RGB)",
    "range": "pixel values are in the wrong range",
    "resize": "objects are found better in pictures resized in another way, maybe that of the training",
    "boxes": "the four numbers of a box are read in the wrong order (axes swapped)",
    "units": "boxes are read in the wrong units (pixels of the resized input, of the image, or 0 to 1)",
    "first_category": "categories are off by one",
}


@dataclass(frozen=True, slots=True)
class Mistaken:
    """A convention changed from ``declared`` to ``value``: the mean of score times IoU over objects, the gain's z."""

    key: str
    declared: object
    value: object
    before: float
    after: float
    z: float
    images: int

    @property
    def is_sure(self) -> bool:
        """Whether the change is a mend beyond doubt."""
        return self.z >= Z and self.after - self.before >= GAIN

    def __str__(self) -> str:
        return (
            f"{MISTAKES[self.key]}: say --cropdet-detector {self.key}={self.value} instead of {self.declared}\n"
            f"  score times IoU of annotated objects is then {self.after:.3f} in the mean instead of {self.before:.3f} "
            f"(z = {self.z:.1f} over {self.images} images)"
        )


def can_change(detector: DetectorHandle) -> bool:
    """Whether a detector is read from a file, so that it can be read in another way."""
    return detector.name.partition(":")[0] in KINDS


def suspects(detector: DetectorHandle, samples: Sequence[Sample], names: Mapping[int, str]) -> list[Mistaken]:
    """Return what every other value of every convention would change, the largest gain that is sure first.

    ``samples``: with annotated objects; ``names``: their categories. All values are tried on the first 16 samples, and
    those that look promising there on all of them. A value with which the detector cannot be read, or that it fails
    with, is left out.
    """
    known = [sample for sample in samples if (~sample.truth.crowd).any()]
    first, rest = known[:FIRST], known[FIRST:]
    before = _found(detector, first, names)
    objects = np.array([np.count_nonzero(~sample.truth.crowd) for sample in known])
    found, more = [], None
    for key, value, changed in _others(detector):
        try:
            gains = _found(changed, first, names) - before
            base = before
            if _z(gains) >= PROMISING and rest:
                more = _found(detector, rest, names) if more is None else more
                base = np.concatenate([before, more])
                gains = np.concatenate([gains, _found(changed, rest, names) - more])
        except CropdetError:
            continue
        count = int(objects[: len(gains)].sum())
        mean, gain = float(base.sum()) / count, float(gains.sum()) / count
        declared = getattr(detector.description, key)
        found.append(Mistaken(key, declared, value, mean, mean + gain, _z(gains), len(gains)))
    return sorted(found, key=lambda each: (not each.is_sure, each.before - each.after))


def _others(detector: DetectorHandle) -> Iterator[tuple[str, object, DetectorHandle]]:
    """Yield a detector again and again, each time read with one convention changed."""
    said = detector.description.known()
    for key in MISTAKES:
        for value in alternatives(key, said.get(key)):
            try:
                changed = load_detector(detector.name, **{**said, key: value})
                changed.load()
            except DetectorError:
                continue
            yield key, value, changed


def _found(detector: DetectorHandle, samples: Sequence[Sample], names: Mapping[int, str]) -> Floats:
    """Return, for each sample, score times IoU of the best detection of each annotated object, summed."""
    mapped = reconcile(detector.categories, names, ())
    sums = []
    for sample in samples:
        answer = mapped.translate(detector([sample.image()])[0])
        truth = sample.truth.take(np.flatnonzero(~sample.truth.crowd))
        overlap = iou(truth.boxes, Crop(0, 0, sample.width, sample.height).clip(answer.boxes))
        same = truth.categories[:, None] == answer.categories[None, :]
        sums.append(np.where(same, overlap * answer.scores[None, :], 0.0).max(axis=1, initial=0.0).sum())
    return np.array(sums)


def _z(gains: Floats) -> float:
    """Return the mean over its standard error; infinite where all gains are equal and not 0."""
    mean, spread = float(gains.mean()), float(gains.std(ddof=1)) if len(gains) > 1 else 0.0
    if spread == 0:
        return 0.0 if mean == 0 else math.copysign(math.inf, mean)
    return mean / (spread / math.sqrt(len(gains)))
