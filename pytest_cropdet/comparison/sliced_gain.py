"""Sliced inference against one pass over the whole image: the gain in AP, paired by image, and what AP hides."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytest_cropdet.data import CategoryMap, Dataset, Detections, Sample, reconcile
from pytest_cropdet.detectors import DetectorHandle, Sliced
from pytest_cropdet.evaluation import (
    COCO_AREA_RANGES,
    Bounded,
    Matches,
    average_precision,
    resample,
    whole_image_matches,
)
from pytest_cropdet.geometry import Boxes, Floats, areas, clip, iou
from pytest_cropdet.inference import Advanced, BatchKeys, Cache, detect_all
from pytest_cropdet.settings import Metric

__all__ = [
    "SIZES",
    "SeamCounts",
    "SlicedGain",
    "WholeAnswers",
    "detect_whole",
    "matches_by_size",
    "measure_gain",
    "seam_counts",
]

SIZES = ("all", "small", "medium", "large")
_SCORE = 0.3  # from which a detection counts as a double or as a piece
_COVERED = 0.75  # share of a detection that lies in an object, from which it is a piece of it


@dataclass(frozen=True, slots=True)
class SeamCounts:
    """What merging left behind, of detections that score 0.3 or more.

    ``objects``: scored objects. ``doubles``: detections beyond the first of their category that overlap one object by
    IoU 0.5. ``halves``: objects that no detection overlaps by IoU 0.5, although one of their category lies in them (by
    75% of its area). ``unheld``: objects that lie in no tile as a whole. ``unheld_found``: those of them that are
    found.
    """

    objects: int
    doubles: int
    halves: int
    unheld: int
    unheld_found: int


@dataclass(frozen=True, eq=False)
class WholeAnswers:
    """What a detector found in whole images, with the data set's ids, and which detection matched which object."""

    samples: Sequence[Sample]
    found: Sequence[Detections]
    matches: Matches


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
            "ap": {size: {"whole": _known(whole), "sliced": _known(cut)} for size, (whole, cut) in self.ap.items()},
            "gain": {size: gain.to_dict() for size, gain in self.gain.items()},
            "seams": {name: getattr(self.seams, name) for name in SeamCounts.__slots__},
        }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def detect_whole(
    detector: DetectorHandle,
    dataset: Dataset,
    samples: Sequence[Sample],
    cache: Cache | None = None,
    categories: Mapping[int, str] | None = None,
    watch: Callable[[Advanced], None] = lambda advanced: None,
) -> WholeAnswers:
    """Return what a detector finds in whole images; with a cache nothing is detected twice.

    ``categories``: those that count, ids with names; all of the data set if not given. ``watch`` is given how far it is
    after each batch.
    """
    counted = dataset.categories if categories is None else categories
    keys, seconds = BatchKeys.of(cache, detector), detector.seconds
    windows = {sample.id: () for sample in samples}
    found = dict[str, Detections]()
    for batch in detect_all(detector, samples, windows, keys):
        found.update((picture.sample, each) for picture, each in zip(batch.pictures, batch.found, strict=True))
        watch(Advanced(len(found), len(samples), detector.seconds - seconds))
    shown = {int(each) for sample in samples for each in np.unique(sample.truth.categories)}
    mapped: CategoryMap = reconcile(detector.categories, dataset.categories, sorted(shown & set(counted)))
    answers = [mapped.translate(found[sample.id]) for sample in samples]
    return WholeAnswers(samples, answers, matches_by_size(samples, answers, counted))


def matches_by_size(samples: Sequence[Sample], answers: Sequence[Detections], categories: Mapping[int, str]) -> Matches:
    """Return which detection matched which uncut object: of all, and of small, medium and large ones."""
    return whole_image_matches(samples, answers, categories, {size: COCO_AREA_RANGES[size] for size in SIZES})


def measure_gain(
    sliced: Sliced,
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
    for size in SIZES:
        values = [float(getattr(average_precision(each.matches, area=size), metric)) for each in (whole, cut)]
        tables = [whole.matches, cut.matches]
        draws = resample(tables, place, replicates=replicates, seed=seed, metrics=(metric,), area=size).mean(metric)
        ap[size] = (values[0], values[1])
        gain[size] = Bounded.of(values[1] - values[0], draws[1] - draws[0], level)
        kept = draws[1] if size == "all" else kept
    calls = float(np.mean([len(sliced.tiles(each.width, each.height)) for each in whole.samples]))
    counts = [seam_counts(sliced, sample, found) for sample, found in zip(cut.samples, cut.found, strict=True)]
    seams = SeamCounts(*(sum(getattr(each, name) for each in counts) for name in SeamCounts.__slots__))
    return SlicedGain(sliced.settings, len(place), calls, ap, gain, seams, kept)


def seam_counts(sliced: Sliced, sample: Sample, found: Detections, score: float = _SCORE) -> SeamCounts:
    """Return what merging left behind in one image; ``found``: its detections with the data set's ids."""
    truth = sample.truth
    rows = np.flatnonzero(truth.counted)
    sure = np.flatnonzero(found.scores >= score)
    boxes, kinds = found.boxes[sure], found.categories[sure]
    objects = truth.boxes[rows]
    same = truth.categories[rows][:, None] == kinds[None, :]
    overlap = np.where(same, iou(objects, boxes), 0.0)
    best = np.argmax(overlap, axis=0) if len(rows) else np.zeros(len(sure), dtype=int)
    hits = overlap[best, np.arange(len(sure))] >= 0.5 if len(rows) else np.zeros(len(sure), dtype=bool)
    per_object = np.bincount(best[hits], minlength=len(rows))
    is_found = (overlap >= 0.5).any(axis=1)
    inside = np.where(same, _share_inside(boxes, objects).T, 0.0)
    held = _held(sliced, sample, objects)
    return SeamCounts(
        objects=len(rows),
        doubles=int(np.maximum(per_object - 1, 0).sum()),
        halves=int((~is_found & (inside >= _COVERED).any(axis=1)).sum()),
        unheld=int((~held).sum()),
        unheld_found=int((~held & is_found).sum()),
    )


def _share_inside(boxes: Boxes, objects: Boxes) -> Floats:
    """Return (n, m): the share of each box that lies in each object."""
    low = np.maximum(boxes[:, None, :2], objects[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], objects[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    own = areas(boxes)[:, None]
    found: Floats = np.divide(shared, own, out=np.zeros_like(shared), where=own > 0)
    return found


def _held(sliced: Sliced, sample: Sample, objects: Boxes) -> Any:
    """Return which objects lie as a whole in one of the tiles; the whole image is none."""
    seen = clip(objects, sample.width, sample.height)
    held = np.zeros(len(objects), dtype=bool)
    for tile in sliced.grid.tiles(sample.width, sample.height):
        crop = tile.crop
        held |= (seen[:, :2] >= [crop.left, crop.top]).all(axis=1) & (seen[:, 2:] <= [crop.right, crop.bottom]).all(
            axis=1
        )
    return held
