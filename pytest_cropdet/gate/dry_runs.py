"""What a run would do and what it could tell, before the detector is called: ``--cropdet-dry-run``."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from pytest_cropdet.crops import Plan, choose_samples, make_plan
from pytest_cropdet.data import Dataset, Detections, Sample, reconcile, select_categories, with_names
from pytest_cropdet.detectors import as_handle
from pytest_cropdet.errors import DetectorError, SpecError
from pytest_cropdet.evaluation import MIN_IMAGES_PER_CATEGORY, CropIndex, build_objects
from pytest_cropdet.gate.costs import SPREAD, Assumptions, Cost, duration
from pytest_cropdet.settings import RunSettings

__all__ = ["DryRun", "Trial", "dry_run", "try_detector"]

ONE_SIDED = 1.645  # normal quantile of a one-sided 95 % bound
TRIAL_CALLS = 3


@dataclass(frozen=True)
class DryRun:
    """The size of a run: ``seconds`` is the detector's time, ``None`` without a detector to try.

    ``most``: objects of a category in one crop; ``crowded``: crops with more than the ``max_detections`` AP counts.
    ``categories``: how the detector's were paired with the data set's, or why they cannot be, in lines; empty without
    a detector. ``cost``: where the time goes, and how many images a verdict takes.
    """

    spec: str
    images: int
    crops: int
    empty_crops: int
    objects: int
    distinct_objects: int
    kept: tuple[str, ...]
    left_out: tuple[str, ...]
    share_of_objects: float
    images_with_objects: int
    min_images: int
    seconds: float | None
    most: int = 0
    crowded: int = 0
    max_detections: int = 100
    categories: tuple[str, ...] = ()
    cost: Cost | None = None

    @property
    def calls(self) -> int:
        """Images that would be sent to the detector."""
        return self.images + self.crops

    @property
    def half_width(self) -> tuple[float, float]:
        """From a bound to the drop, AP: the least and the most to expect with so many source images."""
        low, high = SPREAD
        root = math.sqrt(max(1, self.images_with_objects))
        return ONE_SIDED * low / root, ONE_SIDED * high / root

    def lines(self) -> list[str]:
        """Return the report, a line each."""
        low, high = self.half_width
        time_needed = "" if self.seconds is None else f", about {duration(self.seconds)} of detector time"
        found = [
            f"{self.spec}: {self.crops} crops of {self.images} images, {self.calls} detector calls{time_needed}",
            f"  {self.objects} scored objects ({self.distinct_objects} distinct) in {self.images_with_objects} images; "
            f"{self.empty_crops} crops without one",
            f"  the mean would speak for {len(self.kept)} categories with {self.share_of_objects:.0%} of the objects: "
            f"{_some(self.kept)}",
        ]
        if self.left_out:
            found.append(f"  in fewer than {MIN_IMAGES_PER_CATEGORY} images, left out: {_some(self.left_out)}")
        found += [f"  {line}" for line in self.categories]
        found.append(f"  bounds to expect: drop +- {low:.3f} to {high:.3f} mAP")
        if self.cost is not None:
            found += [f"  {line}" for line in self.cost.lines()]
        return found + [f"  {line}" for line in self.advice()]

    def advice(self) -> list[str]:
        """Return what to change where a verdict could not be given."""
        found = []
        if self.images_with_objects < self.min_images:
            found.append(
                f"undecided for sure: {self.images_with_objects} images with scored objects, {self.min_images} are "
                "needed: more images, larger windows (keep=), or more crops an image (per_image=)"
            )
        if self.share_of_objects < 0.5:
            found.append(
                "undecided for sure: the kept categories have less than half of the objects: group rare categories "
                "(--cropdet-group=NAME=OTHER,OTHER), or name those that matter (--cropdet-categories)"
            )
        if self.crowded:
            found.append(
                f"{self.crowded} crops show more than {self.max_detections} objects of a category, and AP counts "
                f"{self.max_detections} detections: set --cropdet-max-detections={self.most} or more"
            )
        if self.empty_crops > self.crops / 2:
            found.append("more than half of the crops show no object: larger windows would show more per call")
        return found


def dry_run(
    dataset: Dataset,
    settings: RunSettings,
    detector: Any = None,
    plan: Plan | None = None,
    assumed: Assumptions | None = None,
) -> DryRun:
    """Return the size of a run; with a detector, its time and the pairing of categories from a few calls.

    No other pixel is read.

    ``plan``: windows that settings do not name. ``assumed``: what is not to be measured or counted; with it
    the report says what the run costs, too.
    """
    if not getattr(dataset, "has_truth", True):
        raise SpecError("a dry run counts annotated objects; give --cropdet-data=PATH")
    dataset = with_names(dataset, settings.alias, settings.group)
    categories = select_categories(settings.categories or tuple(dataset.categories.values()), dataset.categories)
    samples = choose_samples(dataset, settings.sample_images, settings.seed)
    plan = make_plan(samples, settings.crops, settings.seed, settings.max_crops) if plan is None else plan
    index = CropIndex.of(samples, plan)
    objects = build_objects(index, settings.min_visibility)
    scored = objects.scored & np.isin(objects.truth.category, categories)
    images = objects.images_by_category()
    present = [key for key in categories if images.get(key)]
    kept = [key for key in present if images[key] >= MIN_IMAGES_PER_CATEGORY]
    speaking = scored & np.isin(objects.truth.category, kept)
    names = dataset.categories
    trial, paired = None, tuple[str, ...]()
    if detector is not None and samples:
        trial = try_detector(detector, samples)
        chosen = {*categories, *select_categories(settings.by_category, dataset.categories)}
        needed = sorted(chosen & {int(key) for key in objects.truth.category[objects.scored]})
        paired = trial.pairing(dataset.categories, needed)
    pairs = np.stack([objects.unit[scored], objects.annotation[scored]])
    shown = np.stack([objects.truth.image[scored], objects.truth.category[scored]])
    (crop_of, _), in_crop = np.unique(shown, axis=1, return_counts=True)
    return DryRun(
        spec=settings.crops,
        images=len(samples),
        crops=len(index),
        empty_crops=len(index) - len(np.unique(objects.truth.image[scored])),
        objects=int(scored.sum()),
        distinct_objects=int(np.unique(pairs, axis=1).shape[1]),
        kept=tuple(names[key] for key in kept),
        left_out=tuple(names[key] for key in present if key not in kept),
        share_of_objects=float(speaking.sum() / max(1, scored.sum())),
        images_with_objects=len(np.unique(objects.unit[speaking])),
        min_images=settings.min_images,
        seconds=None if trial is None else trial.seconds * (len(samples) + len(index)),
        most=int(in_crop.max(initial=0)),
        crowded=len(np.unique(crop_of[in_crop > settings.max_detections])),
        max_detections=settings.max_detections,
        categories=paired,
        cost=None if assumed is None or not samples else _cost(samples, len(index), settings, trial, assumed),
    )


def _cost(
    samples: Sequence[Sample], crops: int, settings: RunSettings, trial: "Trial | None", assumed: Assumptions
) -> Cost:
    """Return what the run costs, or one on as many images as are assumed."""
    measured = None if trial is None else trial.seconds
    found = Cost(
        images=len(samples),
        crops=crops,
        megapixels=sum(sample.width * sample.height for sample in samples) / len(samples) / 1e6,
        call_seconds=measured if assumed.ms is None else assumed.ms / 1000,
        calls_at_once=assumed.calls or (1 if trial is None else trial.calls_at_once),
        replicates=settings.replicates,
        distance=assumed.distance,
        price=assumed.price,
        least_images=settings.min_images,
        explains=settings.explain != "off",
    )
    return found if assumed.images is None else found.of_images(assumed.images)


@dataclass(frozen=True, eq=False)
class Trial:
    """A few calls of a detector: seconds each, its answers, the names of its categories, and how many run at once."""

    seconds: float
    answers: Sequence[Detections]
    names: Mapping[int, str] | None
    calls_at_once: int = 1

    def pairing(self, dataset: Mapping[int, str], needed: Sequence[int]) -> tuple[str, ...]:
        """Return how its categories are paired with a data set's, or why a run would stop, in lines.

        ``needed``: ids of the data set's categories that have objects.
        """
        try:
            categories = reconcile(self.names, dataset, needed)
            categories.check_ids(self.answers)
        except DetectorError as error:
            return tuple(f"the run would stop: {error}".splitlines())
        tried = f"(of {len(self.answers)} images that were tried)" if categories.by == "id" else ""
        return (f"{categories.pairing(self.answers).text} {tried}".rstrip(),)


def try_detector(detector: Any, samples: Sequence[Sample]) -> Trial:
    """Return what a detector does with the first few pictures; it is loaded before.

    The time is the median: a first call may compile, and takes many times as long as those after it.
    """
    handle = as_handle(detector)
    handle.load()
    pictures = [sample.image() for sample in samples[:TRIAL_CALLS]]
    answers, seconds = list[Detections](), list[float]()
    for picture in pictures:
        start = time.perf_counter()
        answers += handle([picture])
        seconds.append(time.perf_counter() - start)
    return Trial(median(seconds), answers, handle.categories, handle.calls_at_once())


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:8]) or "none"
    return f"{shown} and {len(names) - 8} more" if len(names) > 8 else shown
