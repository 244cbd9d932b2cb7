"""Sliced inference against one pass over the whole image: the gain in AP, paired by image, and what AP hides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pytest_cropdet.comparison.seams import SeamCounts, seam_counts
from pytest_cropdet.data import CategoryMap, Dataset, Detections, Sample, reconcile
from pytest_cropdet.detectors import DetectorHandle, Windowed
from pytest_cropdet.evaluation import (
    COCO_AREA_RANGES,
    Bounded,
    Matches,
    average_precision,
    resample,
    whole_image_matches,
)
from pytest_cropdet.geometry import Floats
from pytest_cropdet.inference import Advanced, BatchKeys, Cache, detect_all
from pytest_cropdet.settings import Metric

__all__ = [
    "OBJECT_SIZES",
    "SlicedGain",
    "WholeAnswers",
    "defined",
    "detect_whole",
    "matches_by_size",
    "measure_gain",
]

OBJECT_SIZES = ("all", "small", "medium", "large")


@dataclass(frozen=True, eq=False)
class WholeAnswers:
    """What a detector found in whole images, with the data set's ids, and which detection matched which object.

    ``mapped``: how the detector's ids became those of the data set.
    """

    samples: Sequence[Sample]
    found: Sequence[Detections]
    matches: Matches
    mapped: CategoryMap = field(repr=False)


@dataclass(frozen=True, eq=False)
class SlicedGain:
    """AP of sliced inference minus AP of one pass over the whole image, on the uncut objects of the same images.

    ``name``: the settings. ``images``: how many. ``calls``: images sent to the detector per image. ``ap``: (whole,
    sliced) by size of object, ``all``, ``small``, ``medium``, ``large``. ``gain``: sliced - whole, with one-sided
    bounds. ``seams``: what merging left behind.
    """

    name: str
    images: int
    calls: float
    ap: Mapping[str, tuple[float, float]]
    gain: Mapping[str, Bounded]
    seams: SeamCounts
    draws: Floats = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as built-in values."""
        return {
            "name": self.name,
            "images": self.images,
            "calls": self.calls,
            "ap": {size: {"whole": defined(whole), "sliced": defined(cut)} for size, (whole, cut) in self.ap.items()},
            "gain": {size: gain.to_dict() for size, gain in self.gain.items()},
            "seams": {name: getattr(self.seams, name) for name in SeamCounts.__slots__},
        }


def defined(value: float) -> float | None:
    """Return a number, ``None`` for NaN."""
    return None if np.isnan(value) else float(value)


def detect_whole(
    detector: DetectorHandle,
    dataset: Dataset,
    samples: Sequence[Sample],
    cache: Cache | None = None,
    categories: Mapping[int, str] | None = None,
    watch: Callable[[Advanced], None] = lambda advanced: None,
    mapped: CategoryMap | None = None,
) -> WholeAnswers:
    """Return what a detector finds in whole images; with a cache nothing is detected twice.

    ``categories``: those that count, ids with names; all of the data set if not given. ``watch`` is given how far it is
    after each batch. ``mapped``: how the detector's ids become those of the data set; by name, or by id, if not given.
    """
    counted = dataset.categories if categories is None else categories
    keys, seconds = BatchKeys.of(cache, detector), detector.seconds
    windows = {sample.id: () for sample in samples}
    found = dict[str, Detections]()
    for batch in detect_all(detector, samples, windows, keys):
        found.update((picture.sample, each) for picture, each in zip(batch.pictures, batch.found, strict=True))
        watch(Advanced(len(found), len(samples), detector.seconds - seconds))
    if mapped is None:
        shown = {int(each) for sample in samples for each in np.unique(sample.truth.categories)}
        mapped = reconcile(detector.categories, dataset.categories, sorted(shown & set(counted)))
    answers = [_counted(mapped.translate(found[sample.id]), counted) for sample in samples]
    return WholeAnswers(samples, answers, matches_by_size(samples, answers, counted), mapped)


def _counted(found: Detections, categories: Mapping[int, str]) -> Detections:
    """Return the detections of the categories that count."""
    rows = np.isin(found.categories, list(categories))
    return found if rows.all() else replace(found.take(np.flatnonzero(rows)), capped=found.capped)


def matches_by_size(samples: Sequence[Sample], answers: Sequence[Detections], categories: Mapping[int, str]) -> Matches:
    """Return which detection matched which uncut object: of all, and of small, medium and large ones."""
    return whole_image_matches(samples, answers, categories, {size: COCO_AREA_RANGES[size] for size in OBJECT_SIZES})


def measure_gain(
    sliced: Windowed,
    cut: WholeAnswers,
    whole: WholeAnswers,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    metric: Metric = "mAP",
) -> SlicedGain:
    """Return the gain of sliced inference (``cut``) over one pass (``whole``), both on the same images.

    Images are resampled, the same ones for both, so that what makes an image easy for both cancels out.
    """
    place = np.arange(len(whole.samples))
    ap, gain, kept = {}, {}, np.zeros(0)
    for size in OBJECT_SIZES:
        values = [float(getattr(average_precision(each.matches, area=size), metric)) for each in (whole, cut)]
        tables = [whole.matches, cut.matches]
        draws = resample(tables, place, replicates=replicates, seed=seed, metrics=(metric,), area=size).mean(metric)
        ap[size] = (values[0], values[1])
        gain[size] = Bounded.of(values[1] - values[0], draws[1] - draws[0], level)
        kept = draws[1] if size == "all" else kept
    calls = float(np.mean([len(sliced.sent_of(each)) for each in whole.samples]))
    counts = [seam_counts(sliced, sample, found) for sample, found in zip(cut.samples, cut.found, strict=True)]
    seams = SeamCounts(*(sum(getattr(each, name) for each in counts) for name in SeamCounts.__slots__))
    return SlicedGain(sliced.settings, len(place), calls, ap, gain, seams, kept)
