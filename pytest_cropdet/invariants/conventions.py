"""Which convention of a detector is declared wrongly: recognised by what matched truth gains when it is undone.

AP alone is too blunt: channels in the wrong order cost a real detector 0.012 mAP, but moved the scores of the objects
it found by 0.046, six standard errors. So how well each annotated object is found, the score times the IoU of the best
detection of its category, is summed over an image, and compared as declared and with one convention changed, in pairs.

A detector's file is read again with each other value, and shown the images again. A function has its conventions
inside: what it returned is read in other ways (:mod:`pytest_cropdet.detectors.answer_readings`), for which it is not
called again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_cropdet.data import CategoryMap, Detections, Sample, reconcile
from pytest_cropdet.detectors import (
    AnswerReading,
    Declared,
    DetectorHandle,
    alternatives,
    change_convention,
    lies_on_edges,
    load_detector,
    overlaps,
    possible_readings,
    worth,
)
from pytest_cropdet.errors import CropdetError, DetectorError
from pytest_cropdet.evaluation import z_score
from pytest_cropdet.geometry import Floats
from pytest_cropdet.terms import DETECTOR_KINDS, SERVED_KINDS

__all__ = ["FIRST_IMAGES", "SURE_Z", "ConventionMistake", "can_change", "is_from_file", "suspects"]

SURE_Z = 4.0  # standard errors from which on a convention counts as wrong
FIRST_IMAGES = 16  # images on which every other value is tried
PROMISING = 1.0  # standard errors there, from which on it is tried on all images
LEAST_GAIN = 0.01  # of the mean, below which a change is of no use

CONVENTION_MISTAKES: Mapping[str, str] = {
    "channels": "the channels are in the wrong order (BGR for RGB)",
    "range": "pixel values are in the wrong range",
    "resize": "objects are found better in pictures resized in another way, maybe that of the training",
    "boxes": "the four numbers of a box are read in the wrong order (axes swapped)",
    "units": "boxes are read in the wrong units (pixels of the resized input, of the image, or 0 to 1)",
    "first_category": "categories are off by one",
}
# of the objects at IoU 0.5, and that many times more: a function is read wrongly only then
MATCHED, MATCHED_TIMES = 0.15, 1.5
MOSTLY_RIGHT = 0.75  # of the objects that a box lies on: ids are off by one only if as many are right then
HABITS = ("resize",)  # another value may serve a detector better that is declared rightly, so it proves no mistake


@dataclass(frozen=True, slots=True)
class ConventionMistake:
    """A convention changed from ``declared`` to ``value``: the mean of score times IoU over objects, the gain's z.

    ``fix``: of a function, which has no options: what is wrong, and what to change. ``fits``: boxes lie on annotated
    objects then; other readings of a poor detector's boxes may gain by chance.
    """

    key: str
    declared: object
    value: object
    before: float
    after: float
    z: float
    images: int
    fix: str = ""
    fits: bool = True

    @property
    def is_sure(self) -> bool:
        """Whether the change is a mend beyond doubt."""
        return self.fits and self.z >= SURE_Z and self.after - self.before >= LEAST_GAIN

    @property
    def is_mistake(self) -> bool:
        """Whether it is sure, and could not come of a detector that is declared rightly."""
        return self.is_sure and self.key not in HABITS

    def __str__(self) -> str:
        said = f"set --cropdet-detector {self.key}={self.value} instead of {self.declared}"
        return (
            f"{self.fix or f'{CONVENTION_MISTAKES[self.key]}: {said}'}\n"
            f"  score times IoU of annotated objects is then {self.after:.3f} in the mean instead of {self.before:.3f} "
            f"(z = {self.z:.1f} over {self.images} images)"
        )


def is_from_file(detector: DetectorHandle) -> bool:
    """Whether a detector is read from a file or served, so that its conventions are options."""
    return detector.name.partition(":")[0] in (*DETECTOR_KINDS, *SERVED_KINDS)


def can_change(detector: DetectorHandle) -> bool:
    """Whether a detector can be read in another way: its file, or what a function of the user's own returned."""
    return is_from_file(detector) or callable(detector)


def suspects(
    detector: DetectorHandle,
    samples: Sequence[Sample],
    names: Mapping[int, str],
    answers: Mapping[str, Detections] | None = None,
) -> list[ConventionMistake]:
    """Return what every other value of every convention would change, the largest gain that is sure first.

    ``samples``: with annotated objects; ``names``: their categories. Of a file all values are tried on the first 16
    samples, and those that look promising there on all of them; a value with which the detector cannot be read, or that
    it fails with, is left out. Mistakes that are sure come before what only serves better. ``answers``: what the
    detector found in whole images, by sample id and with its own categories, where that is known already.
    """
    known = [sample for sample in samples if sample.truth.counted.any()]
    given = dict(answers or {})
    found = (_of_file if is_from_file(detector) else _of_function)(detector, known, names, given)
    return sorted(found, key=lambda each: (not each.is_mistake, not each.is_sure, each.before - each.after))


def _of_file(
    detector: DetectorHandle, known: Sequence[Sample], names: Mapping[int, str], answers: Mapping[str, Detections]
) -> list[ConventionMistake]:
    first, rest = known[:FIRST_IMAGES], known[FIRST_IMAGES:]
    before = _found(detector, first, names, answers)
    objects = _objects(known)
    found, more = [], None
    for key, value, changed in _others(detector):
        try:
            gains = _found(changed, first, names) - before
            base = before
            if z_score(gains) >= PROMISING and rest:
                more = _found(detector, rest, names, answers) if more is None else more
                base = np.concatenate([before, more])
                gains = np.concatenate([gains, _found(changed, rest, names) - more])
        except CropdetError:
            continue
        count = int(objects[: len(gains)].sum())
        mean, gain = float(base.sum()) / count, float(gains.sum()) / count
        declared = getattr(detector.description, key)
        found.append(ConventionMistake(key, declared, value, mean, mean + gain, z_score(gains), len(gains)))
    return found


def _of_function(
    detector: DetectorHandle, known: Sequence[Sample], names: Mapping[int, str], answers: Mapping[str, Detections]
) -> list[ConventionMistake]:
    """Return what each other way to read a function's answers would change; none of it calls the function again."""
    mapped = reconcile(detector.categories, names, ())
    given = _answers(detector, known, answers)
    plain, objects = [mapped.translate(each) for each in given], _objects(known)
    before = worth(plain, known)
    found = []
    said = detector.description.known()
    is_model = "boxes" in said  # a model object, read by options
    declared = Declared.of(said, detector.profile.input_size) if is_model else None
    for reading in possible_readings(known, declared):
        changed, gains = list[Detections](), np.zeros(0)
        for end in (FIRST_IMAGES, len(known)):
            if len(gains) and z_score(gains) < PROMISING:
                break
            samples = known[len(changed) : end]
            read = [
                mapped.translate(reading.of(each, sample.width, sample.height))
                for each, sample in zip(given[len(changed) : end], samples, strict=True)
            ]
            changed += read
            gains = np.concatenate([gains, worth(read, samples) - before[len(gains) : len(changed)]])
        tried = known[: len(changed)]
        sharp = lies_on_edges(changed, tried)
        if not tried or (reading.key == "edges" and not sharp):
            continue
        count = max(1, int(objects[: len(tried)].sum()))
        mean, gain = float(before[: len(tried)].sum()) / count, float(gains.sum()) / count
        then, now = _matched(changed, tried), _matched(plain[: len(tried)], tried)
        shifts = reading.key == "first_category"
        if shifts and then < MOSTLY_RIGHT * _matched(given[: len(tried)], tried, any_category=True):
            continue  # two categories that are swapped look half right when they are moved by one
        found.append(
            ConventionMistake(
                reading.key,
                reading.declared,
                reading.value,
                mean,
                mean + gain,
                z_score(gains),
                len(gains),
                f"{detector.name}: {reading.wrong}; {_option(detector, said, reading) if is_model else reading.fix}",
                sharp or (then >= count * MATCHED and then >= now * MATCHED_TIMES),
            )
        )
    return found


def _option(detector: DetectorHandle, said: Mapping[str, object], reading: AnswerReading) -> str:
    """Return what to set of a model object whose answers are read in another way; the fix itself, where nothing is."""
    options: dict[str, object] = {"boxes": reading.order, "units": reading.units}
    if reading.key == "first_category":
        options = {"first_category": int(str(said["first_category"])) - reading.ids}
    changed = {key: value for key, value in options.items() if said.get(key) != value}
    if reading.key not in ("boxes", "units", "first_category") or not changed:
        return reading.fix
    if ":" in detector.name:  # a factory, whose model is described by options
        return " and ".join(f"set --cropdet-detector {key}={value}" for key, value in changed.items())
    return f"set {', '.join(f'{key}={value!r}' for key, value in changed.items())} in the call of load_detector"


def _objects(samples: Sequence[Sample]) -> Floats:
    return np.array([np.count_nonzero(sample.truth.counted) for sample in samples])


def _others(detector: DetectorHandle) -> Iterator[tuple[str, object, DetectorHandle]]:
    """Yield a detector again and again, each time read with one convention changed."""
    said = detector.description.known()
    for key in CONVENTION_MISTAKES:
        for value in alternatives(key, said.get(key)):
            try:
                other = load_detector(detector.name, **change_convention(said, key, value))
                other.load()
            except DetectorError:
                continue
            yield key, value, other


def _found(
    detector: DetectorHandle,
    samples: Sequence[Sample],
    names: Mapping[int, str],
    answers: Mapping[str, Detections] | None = None,
) -> Floats:
    """Return, for each sample, score times IoU of the best detection of each annotated object, summed."""
    mapped: CategoryMap = reconcile(detector.categories, names, ())
    return worth([mapped.translate(each) for each in _answers(detector, samples, answers or {})], samples)


def _answers(
    detector: DetectorHandle, samples: Sequence[Sample], answers: Mapping[str, Detections]
) -> list[Detections]:
    """Return what a detector finds in whole images, called only for those whose answer is not known."""
    return [answers[sample.id] if sample.id in answers else detector([sample.image()])[0] for sample in samples]


def _matched(answers: Sequence[Detections], samples: Sequence[Sample], *, any_category: bool = False) -> int:
    """Return how many annotated objects a detection covers at IoU 0.5, whatever it scores: one of their category."""
    pairs = zip(answers, samples, strict=True)
    found = (overlaps(each, sample, within_categories=not any_category) for each, sample in pairs)
    return sum(int((overlap.max(axis=1, initial=0.0) >= 0.5).sum()) for overlap in found)
