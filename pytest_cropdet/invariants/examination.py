"""A model looked at from outside: what is open, which values fit annotated images, and what is declared wrongly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pytest_cropdet.data import Dataset
from pytest_cropdet.detectors import DetectorHandle, OpenConvention, OpenConventionsError, load_detector
from pytest_cropdet.errors import CropdetError, DetectorError
from pytest_cropdet.invariants.candidates import Candidate, CandidateImages, choose_spread
from pytest_cropdet.invariants.convention_search import IMAGES_SHOWN, Measured, measure_conventions
from pytest_cropdet.invariants.conventions import ConventionMistake, is_from_file, suspects

__all__ = ["Examination", "FunctionRead", "examine"]

MOST_NAMES = 1000  # names of a data set that are tried as labels


@dataclass(frozen=True)
class FunctionRead:
    """A function's answers: as they are, to images with red and blue swapped, and what reads them better."""

    shown: Candidate
    swapped: Candidate
    mistakes: tuple[ConventionMistake, ...]


@dataclass(frozen=True)
class Examination:
    """What was found of a model.

    ``detector``: loaded, with the best values that are known; ``None`` where it cannot be loaded. ``opened``: what
    nobody says. ``refusal``: why it cannot be loaded as it was described. ``labels``: names of the data set that were
    tried because nobody gave any.
    """

    spec: str
    given: Mapping[str, Any]
    detector: DetectorHandle | None
    opened: tuple[OpenConvention, ...] = ()
    refusal: str = ""
    labels: str = ""
    measured: Measured | None = None
    function: FunctionRead | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_file(self) -> bool:
        """Whether options say how the model is read."""
        return self.detector is None or is_from_file(self.detector)

    @cached_property
    def decided(self) -> dict[str, str]:
        """What is to be set: open conventions with a clear value, and declared ones that are wrong."""
        if self.measured is None or not self.measured.finds:
            return {}
        found = {}
        for each in self.measured.comparisons:
            if each.is_wrong or (each.is_open and not each.rivals):
                words = each.value_of(each.best)
                declared = each.value_of(each.declared)
                free = {one.key for one in self.opened}
                for key, word, before in zip(each.keys, words, declared, strict=True):
                    if key in free or word != before:
                        found[key] = word
        proposed = {each.key: each.values[0] for each in self.opened if each.is_proposed}
        if self.labels:
            proposed["labels"] = self.labels
        measured = {key for each in self.measured.comparisons for key in each.keys}
        return {key: value for key, value in proposed.items() if key not in measured} | found

    @property
    def undecided(self) -> tuple[OpenConvention, ...]:
        """What is open and was not decided."""
        return tuple(each for each in self.opened if each.key not in self.decided and each.key not in self.given)


def examine(
    spec: str,
    given: Mapping[str, Any],
    dataset: Dataset | None,
    seconds: float,
    known: OpenConventionsError | None = None,
) -> Examination:
    """Return what is known of the model ``spec``, described as ``given``; with annotated data, measured.

    ``seconds``: about the longest time of measuring. ``known``: how loading it failed before. ``DetectorError`` where
    ``spec`` names no model.
    """
    handle = load_detector(spec, **given)
    annotated = dataset is not None and getattr(dataset, "has_truth", True)
    names = dict(dataset.categories) if dataset is not None and annotated else {}
    labels = ""
    opened, complete = tuple[OpenConvention, ...](), dict[str, Any]()
    try:
        if known is not None:
            raise known
        handle.load()
    except OpenConventionsError as error:
        opened, complete, refusal = error.open, dict(error.complete or {}), str(error)
        if error.complete is None:
            labels, opened, tried = _with_labels(spec, given, error, names)
            if tried is None:
                return Examination(spec, given, None, opened, refusal)
            complete = tried
    except DetectorError as error:
        return Examination(spec, given, None, refusal=str(error))
    images = CandidateImages(choose_spread(dataset, IMAGES_SHOWN) if dataset is not None and annotated else [], names)
    if not len(images):
        detector = load_detector(spec, **{**given, **complete}) if complete else handle
        return Examination(spec, given, detector, opened, labels=labels, values=complete)
    if not is_from_file(handle):
        return Examination(spec, given, handle, function=_function(handle, images))
    measured = measure_conventions(handle.name, given, opened, complete, images, seconds)
    detector = load_detector(handle.name, **measured.values)
    return Examination(
        handle.name, given, detector, opened, labels=labels, measured=measured, values=dict(measured.values)
    )


def _with_labels(
    spec: str, given: Mapping[str, Any], error: OpenConventionsError, names: Mapping[int, str]
) -> tuple[str, tuple[OpenConvention, ...], dict[str, Any] | None]:
    """Return the data set's names, what is open then, and the values to begin with, where names were all it lacked."""
    if "labels" not in {each.key for each in error.open} or not 0 < len(names) <= MOST_NAMES:
        return "", error.open, None
    if any("," in name for name in names.values()):
        return "", error.open, None
    labels = ",".join(names[key] for key in sorted(names))
    try:
        load_detector(spec, **given, labels=labels).load()
    except OpenConventionsError as more:
        known = {each.key for each in error.open}
        opened = (*error.open, *(each for each in more.open if each.key not in known))
        return labels, opened, None if more.complete is None else dict(more.complete)
    except CropdetError:
        return "", error.open, None
    return labels, error.open, {"labels": labels}


def _function(handle: DetectorHandle, images: CandidateImages) -> FunctionRead:
    shown = Candidate.shown(handle, {}, images)
    answers = {sample.id: answer for sample, answer in zip(images.samples, shown.answers, strict=True)}
    mistakes: Sequence[ConventionMistake] = suspects(handle, images.samples, images.names, answers)
    swapped = Candidate.shown(handle, {}, images.swapped())
    return FunctionRead(shown, swapped, tuple(each for each in mistakes if each.is_mistake))
