"""The one loop: plan, detect, score, judge. It yields events; who shows them is another's affair."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pytest_cropdet.categories import CategoryMap, reconcile, select_categories
from pytest_cropdet.detectors.handle import DetectorHandle, as_handle
from pytest_cropdet.engines import detect_all
from pytest_cropdet.errors import DataError
from pytest_cropdet.plan import Plan, choose_samples, make_plan
from pytest_cropdet.protocols import Dataset
from pytest_cropdet.results import Run, Spent
from pytest_cropdet.samples import Detections, Sample
from pytest_cropdet.scoring import CropIndex, build_objects
from pytest_cropdet.settings import RunSettings
from pytest_cropdet.summary import summarise

__all__ = ["Advanced", "Finished", "Run", "Started", "events", "run"]


@dataclass(frozen=True, slots=True)
class Started:
    """A run is about to call the detector: this many source images, crops and images to send."""

    images: int
    crops: int
    calls: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """A batch is done: images sent so far, of how many, and the seconds the detector took."""

    done: int
    calls: int
    model_seconds: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over."""

    run: Run


Event = Started | Advanced | Finished


def run(detector: Any, dataset: Dataset, settings: RunSettings | None = None, **changes: Any) -> Run:
    """Return what crops cost a detector on a data set.

    ``detector``: anything :class:`~pytest_cropdet.protocols.Detector` describes. ``changes``: fields of
    :class:`~pytest_cropdet.settings.RunSettings`. Compare ``run.drop <= 0.05`` to gate it.
    """
    finished: Run | None = None
    for event in events(detector, dataset, replace(settings or RunSettings(), **changes)):
        if isinstance(event, Finished):
            finished = event.run
    if finished is None:
        raise RuntimeError("the run ended without a result")
    return finished


def events(detector: Any, dataset: Dataset, settings: RunSettings, plan: Plan | None = None) -> Iterator[Event]:
    """Run a gate, yielding :class:`Started`, an :class:`Advanced` for each batch, and :class:`Finished` at the end."""
    begun = time.perf_counter()
    handle = as_handle(detector)
    samples = choose_samples(dataset, settings.sample_images, settings.seed)
    if not samples:
        raise DataError(f"the data set {dataset.name} has no images")
    if plan is None:
        plan = make_plan(samples, settings.crops, settings.seed)
    index = CropIndex.of(samples, plan)
    objects = build_objects(index, settings.min_visibility)
    chosen = _chosen_categories(settings, dataset)
    needed = sorted({int(key) for key in objects.truth.category[objects.scored]} & set(chosen))
    categories = reconcile(handle.categories, dataset.categories, needed)
    calls = len(samples) + len(index)
    yield Started(len(samples), len(index), calls)
    sent_before, seconds_before = handle.images_sent, handle.seconds
    whole: dict[str, Detections] = {}
    cropped: dict[tuple[str, int], Detections] = {}
    for batch in detect_all(handle, samples, plan.windows):
        for picture, found in zip(batch.pictures, batch.found, strict=True):
            if picture.crop is None:
                whole[picture.sample] = found
            else:
                cropped[picture.sample, picture.rank] = found
        yield Advanced(len(whole) + len(cropped), calls, handle.seconds - seconds_before)
    categories.check_ids(whole.values())
    seen = _translated(samples, index, whole, cropped, categories)
    spent = Spent(handle.images_sent - sent_before, handle.seconds - seconds_before)
    names = (dataset.name, dataset.categories)
    result = summarise(objects, seen, plan, settings, describe(handle), names, chosen, spent)
    result.spent.total_seconds = time.perf_counter() - begun
    yield Finished(result)


def _chosen_categories(settings: RunSettings, dataset: Dataset) -> list[int]:
    named = settings.categories or tuple(dataset.categories.values())
    select_categories(settings.by_category, dataset.categories)
    return select_categories(named, dataset.categories)


def _translated(
    samples: list[Sample],
    index: CropIndex,
    whole: dict[str, Detections],
    cropped: dict[tuple[str, int], Detections],
    categories: CategoryMap,
) -> dict[str, list[Detections]]:
    reference = [categories.translate(whole[sample.id]) for sample in samples]
    crops = [
        categories.translate(cropped[samples[unit].id, int(rank)])
        for unit, rank in zip(index.unit, index.rank, strict=True)
    ]
    return {"whole": reference, "crop": crops}


def estimate_seconds(event: Advanced) -> float:
    """Return how many seconds the detector still needs, from what it has needed so far."""
    return event.model_seconds / max(1, event.done) * (event.calls - event.done)


def describe(handle: DetectorHandle) -> dict[str, Any]:
    """Return a detector's name and its decided conventions, for reports."""
    return {"name": handle.name, "fingerprint": handle.fingerprint, **handle.description.known()}
