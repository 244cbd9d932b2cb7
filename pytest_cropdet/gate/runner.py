"""A run: plan, detect, score, judge. It yields events; who shows them is another's affair."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pytest_cropdet.causes import Explainer, Explanation, try_mitigations
from pytest_cropdet.crops import Plan, choose_samples, make_plan, refuse_without_truth, shuffled
from pytest_cropdet.data import CategoryMap, Dataset, Sample, as_dataset, load_annotations, select_categories
from pytest_cropdet.detectors import DetectorHandle, as_handle, describe
from pytest_cropdet.errors import DataError, SpecError
from pytest_cropdet.evaluation import CropIndex, build_objects, kept_categories
from pytest_cropdet.gate.early_stopping import LOOK_REPLICATES, LookSchedule, early_points, look_levels
from pytest_cropdet.gate.measurements import Look, Measurements
from pytest_cropdet.gate.repeatability import Repeat
from pytest_cropdet.gate.results import Run
from pytest_cropdet.gate.summary import summarise
from pytest_cropdet.gate.targets import Targets, check_answers, has_truth
from pytest_cropdet.gate.weakness import answers_of
from pytest_cropdet.inference import (
    Advanced,
    BatchKeys,
    Cache,
    Meter,
    Picture,
    Started,
    data_warnings,
)
from pytest_cropdet.settings import RunSettings

__all__ = ["Event", "Finished", "Run", "events", "run"]


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over."""

    run: Run


Event = Started | Advanced | Finished


def run(detector: Any, dataset: Dataset, settings: RunSettings | None = None, **changes: Any) -> Run:
    """Return what crops cost a detector on a data set.

    ``detector``: anything :class:`~pytest_cropdet.Detector` describes. ``dataset``: a
    :class:`~pytest_cropdet.Dataset`, a list of samples, or a data set of MAITE. ``changes``: fields of
    :class:`~pytest_cropdet.settings.RunSettings`. ``run.check()`` judges the limits that they state, and so does
    ``run.verdict``; without a limit compare ``run.drop <= 0.05`` to gate it.
    """
    if not isinstance(settings, RunSettings | None):
        raise SpecError(f"run takes RunSettings as its third argument, not {settings!r}; write crops={settings!r}")
    finished: Run | None = None
    for event in events(detector, dataset, replace(settings or RunSettings(), **changes)):
        if isinstance(event, Finished):
            finished = event.run
    if finished is None:
        raise RuntimeError("the run ended without a result")
    return finished


def events(
    detector: Any,
    dataset: Dataset,
    settings: RunSettings,
    plan: Plan | None = None,
    cache: Cache | None = None,
    *,
    name: str = "",
    page: str | None = None,
    watch: Callable[[Iterator[Any]], Any] = list,
) -> Iterator[Event]:
    """Run a gate, yielding :class:`Started`, an :class:`Advanced` for each batch, and :class:`Finished` at the end.

    The same come before the end, with another ``task``, where it is to be explained ("explain"), and twice where
    measures at inference are tried ("try").

    ``cache``: where detections are kept; without it, or for a detector without fingerprint, all are computed. ``name``
    of the run in reports, the ``page`` about it, and what is to ``watch`` while it is explained later on.
    """
    begun = time.perf_counter()
    handle, dataset = as_handle(detector), as_dataset(dataset)
    keys = BatchKeys.of(cache, handle)
    if keys is not None and not keys.recall_profile(handle):
        keys.keep_profile(handle)
    samples = choose_samples(dataset, settings.sample_images, settings.seed)
    if not samples:
        raise DataError(f"the data set {dataset.name} has no images")
    scorer = GateScorer(handle, dataset, samples, settings, plan)
    plan = scorer.plan
    if not len(plan):
        raise SpecError(
            f"crops {plan.spec!r}: no window in {len(samples)} images; object and edge take annotated objects "
            "that are no crowds, with sides of at least min_side pixels"
        )
    looking = settings.looks == "auto" and settings.states_limits
    schedule = (scorer.early_looks() if looking else None) or LookSchedule.once(samples, settings.level)
    meter = Meter(handle, keys, "run", len(samples) + len(plan))
    yield meter.start(len(samples), len(plan), paired_by=None if scorer.pairing is None else scorer.pairing.by)
    looks: list[Look] = []
    parts: list[Sequence[Sample]] = []
    for start, point, level in zip([0, *schedule.points], schedule.points, schedule.levels, strict=False):
        parts.append(schedule.samples[start:point])
        yield from meter.detect(parts[-1], plan.windows)
        meter.spent.spared = meter.calls - meter.done
        if not start:
            scorer.check_first(parts[0], meter)
        measured = scorer.score(schedule.samples[:point], meter, level)
        if settings.looks == "auto":
            drop = measured.drop
            looks.append(Look(point, level, drop.value, drop.low, drop.high, measured.is_decided()))
        if point < len(samples) and measured.is_decided():
            break
    explainer = Explainer(handle, keys, parts, plan.windows, scorer.pairing, measured.settings, meter.spent)
    result = Run.of(
        measured,
        spent=meter.spent,
        explanation=Explanation(partial(_explain, explainer, measured, meter), watch, page),
        name=name,
        looks=tuple(looks),
        hint=_hint(scorer, meter, measured) if settings.looks == "off" else None,
        data_warnings=data_warnings(dataset, samples, None if keys is None else keys.cache),
        training=scorer.training,
    )
    if settings.explain == "always" or (settings.explain == "auto" and measured.asks_why()):
        yield from result.explanation.events()
    result.spent.total_seconds = time.perf_counter() - begun
    yield Finished(result)


def _explain(explainer: Explainer, measured: Measurements, meter: Meter) -> Iterator[Any]:
    """Yield what is done to find the causes and what measures at inference win back, and what was found."""
    yield from explainer.causes(measured.scored)
    if measured.settings.try_mitigations:
        known = {replace(picture, rank=min(picture.rank, 0)): each for picture, each in meter.found.items()}
        yield from try_mitigations(explainer, measured.scored, measured.plan.spec, known)


def _hint(scorer: "GateScorer", meter: Meter, measured: Measurements) -> str | None:
    """Return what looks would have spared, ``None`` where nothing."""
    early = scorer.early_looks() if scorer.settings.states_limits and measured.is_decided() else None
    if early is None:
        return None
    for point, level in zip(early.points[:-1], early.levels, strict=False):
        if scorer.score(early.samples[:point], meter, level).is_decided():
            spared = sum(1 + len(scorer.plan.windows[sample.id]) for sample in early.samples[point:])
            return f"--cropdet-looks auto would have decided after {point} images and spared {spared} calls"
    return None


class GateScorer:
    """Which windows and objects a run is about, and what is measured on the detections in them."""

    def __init__(
        self,
        handle: DetectorHandle,
        dataset: Dataset,
        samples: Sequence[Sample],
        settings: RunSettings,
        plan: Plan | None,
    ) -> None:
        self.handle, self.dataset, self.settings = handle, dataset, settings
        if plan is None and not has_truth(dataset):
            refuse_without_truth(settings.crops)
        self.plan = make_plan(samples, settings.crops, settings.seed, settings.max_crops) if plan is None else plan
        self._mixed = shuffled(samples, settings.seed)
        self.training = None if settings.train_data is None else load_annotations(settings.train_data)
        self._repeat: Repeat | None = None
        self._targets: Targets | None = None  # pseudo-labels are those of detections
        self._kept: list[int] = []
        self._points = [len(samples)]
        if has_truth(dataset):
            objects = build_objects(CropIndex.of(self._mixed, self.plan), settings.min_visibility)
            present = {int(key) for key in objects.truth.category[objects.scored]}
            names, limited = dataset.categories, settings.by_category
            self._targets = Targets.annotated(handle.categories, names, settings, present, limited)
            self._kept = kept_categories(objects, self._targets.chosen)
            self._points = early_points(objects, self._kept)

    @property
    def pairing(self) -> CategoryMap | None:
        """How the detector's categories are paired with the data set's, ``None`` without ground truth."""
        return None if self._targets is None else self._targets.pairing

    def early_looks(self) -> LookSchedule | None:
        """Return when to look at a growing part of the samples, ``None`` without ground truth."""
        if self._targets is None:
            return None
        return LookSchedule(self._mixed, self._points, look_levels(self._points, self.settings.level))

    def check_first(self, samples: Sequence[Sample], meter: Meter) -> None:
        """Check what the first answers show: categories that fit, and whether they come out the same twice."""
        whole = meter.whole_images()
        self._repeat = check_answers(self.handle, samples, whole, self._targets, self.settings, meter.keys)

    def score(self, samples: Sequence[Sample], meter: Meter, level: float) -> Measurements:
        """Return what is measured on ``samples``, with bounds of ``level``."""
        settings, whole = self.settings, meter.whole_images()
        replicates = settings.replicates if level == settings.level else max(settings.replicates, LOOK_REPLICATES)
        targets = self._targets or Targets.pseudo(self.handle.categories, whole, settings, settings.by_category)
        samples = targets.samples(samples, whole)
        index = CropIndex.of(samples, self.plan)
        objects = build_objects(index, settings.min_visibility)
        raw = [whole[sample.id] for sample in samples]
        places = zip(index.unit, index.rank, index.crops, strict=True)
        crops = [meter.found[Picture(index.samples[unit].id, int(rank), crop)] for unit, rank, crop in places]
        limits = {select_categories([name], targets.names)[0]: limit for name, limit in settings.by_category.items()}
        by_category = {targets.names[key]: limit for key, limit in limits.items()}
        return summarise(
            objects,
            {"whole": [*map(targets.translate, raw)], "crop": [*map(targets.translate, crops)]},
            raw,
            self.plan,
            replace(settings, level=level, replicates=replicates, by_category=by_category),
            describe(self.handle),
            (self.dataset.name, targets.names),
            targets.chosen,
            kept_categories(objects, targets.chosen) if self._targets is None else self._kept,
            self._repeat,
            targets.high,
            sorted({*limits} - {*targets.chosen}),
            None if targets.pairing is None else answers_of(self.handle, samples, raw, targets.pairing),
        )
