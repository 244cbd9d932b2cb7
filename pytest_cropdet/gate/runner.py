"""The one loop: plan, detect, score, judge. It yields events; who shows them is another's affair."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from pytest_cropdet.causes import Explainer, try_mitigations
from pytest_cropdet.crops import Plan, choose_samples, make_plan, refuse_without_truth, shuffled
from pytest_cropdet.data import (
    HIGH_SCORE,
    CategoryMap,
    Dataset,
    Detections,
    Sample,
    detector_names,
    load_annotations,
    reconcile,
    select_categories,
    stand_in_truth,
)
from pytest_cropdet.detectors import DetectorHandle, as_handle, describe
from pytest_cropdet.errors import DataError, SpecError
from pytest_cropdet.evaluation import CropIndex, build_objects, kept_categories
from pytest_cropdet.gate.early_stopping import LOOK_REPLICATES, enough_categories, look_levels, look_points
from pytest_cropdet.gate.facts import Look
from pytest_cropdet.gate.repeatability import Repeat, check_repeat
from pytest_cropdet.gate.results import Run
from pytest_cropdet.gate.summary import summarise
from pytest_cropdet.gate.weakness import answers_of
from pytest_cropdet.inference import (
    Advanced,
    Asked,
    BatchKeys,
    Cache,
    Explaining,
    Picture,
    Spent,
    Started,
    Trying,
    data_warnings,
    detect_all,
)
from pytest_cropdet.settings import RunSettings

__all__ = ["Asked", "Event", "Explaining", "Finished", "Run", "Trying", "events", "run"]


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over."""

    run: Run


Event = Started | Advanced | Explaining | Trying | Asked | Finished


@dataclass
class _Found:
    """Raw detections so far: of whole images by sample id, of crops by sample id and rank."""

    whole: dict[str, Detections] = field(default_factory=dict)
    crops: dict[tuple[str, int], Detections] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.whole) + len(self.crops)

    def known(self, plan: Plan) -> dict[Picture, Detections]:
        """Return every raw answer by its picture."""
        whole = {Picture(name, -1, None): each for name, each in self.whole.items()}
        return whole | {Picture(name, 0, plan.windows[name][rank]): each for (name, rank), each in self.crops.items()}

    def translated(self, index: CropIndex, categories: CategoryMap | None) -> dict[str, list[Detections]]:
        """Return detections with the data set's categories, one list a rendering, in the order of ``index``."""
        whole = [self.whole[sample.id] for sample in index.samples]
        crops = [
            self.crops[index.samples[unit].id, int(rank)] for unit, rank in zip(index.unit, index.rank, strict=True)
        ]
        if categories is None:
            return {"whole": whole, "crop": crops}
        return {"whole": [categories.translate(each) for each in whole], "crop": [*map(categories.translate, crops)]}


def run(detector: Any, dataset: Dataset, settings: RunSettings | None = None, **changes: Any) -> Run:
    """Return what crops cost a detector on a data set.

    ``detector``: anything :class:`~pytest_cropdet.Detector` describes. ``changes``: fields of
    :class:`~pytest_cropdet.settings.RunSettings`. ``run.check()`` judges the limits that they state, and so does
    ``run.verdict``; without a limit compare ``run.drop <= 0.05`` to gate it.
    """
    finished: Run | None = None
    for event in events(detector, dataset, replace(settings or RunSettings(), **changes)):
        if isinstance(event, Finished):
            finished = event.run
    if finished is None:
        raise RuntimeError("the run ended without a result")
    return finished


def events(
    detector: Any, dataset: Dataset, settings: RunSettings, plan: Plan | None = None, cache: Cache | None = None
) -> Iterator[Event]:
    """Run a gate, yielding :class:`Started`, an :class:`Advanced` for each batch, and :class:`Finished` at the end.

    Where it is to be explained, :class:`Explaining` and an :class:`Asked` for each batch come before the end; where
    measures at inference are tried, :class:`Trying` and the same, twice.

    ``cache``: where detections are kept; without it, or for a detector without fingerprint, all are computed.
    """
    begun = time.perf_counter()
    handle = as_handle(detector)
    keys = BatchKeys.of(cache, handle)
    if keys is not None and not keys.recall_profile(handle):
        keys.keep_profile(handle)
    samples = choose_samples(dataset, settings.sample_images, settings.seed)
    if not samples:
        raise DataError(f"the data set {dataset.name} has no images")
    judge = _Judge(handle, dataset, samples, settings, plan)
    if not len(judge.plan):
        raise SpecError(
            f"crops {judge.plan.spec!r}: no window in {len(samples)} images; object and edge take annotated objects "
            "that are no crowds, with sides of at least min_side pixels"
        )
    calls = len(samples) + len(judge.plan)
    yield Started(len(samples), len(judge.plan), calls, paired_by=judge.paired_by)
    sent_before, seconds_before = handle.images_sent, handle.seconds
    found, done = _Found(), 0
    for number, point in enumerate(judge.points):
        for batch in detect_all(handle, judge.samples[done:point], judge.plan.windows, keys):
            for picture, detections in zip(batch.pictures, batch.found, strict=True):
                if picture.crop is None:
                    found.whole[picture.sample] = detections
                else:
                    found.crops[picture.sample, picture.rank] = detections
            yield Advanced(len(found), calls, handle.seconds - seconds_before)
        spent = Spent(handle.images_sent - sent_before, handle.seconds - seconds_before, spared=calls - len(found))
        if number == 0:
            judge.check_first(found, judge.samples[:point], keys)
            sent_before, seconds_before = handle.images_sent - spent.model_calls, handle.seconds - spent.model_seconds
        done = point
        result = judge.at(number, found, spent)
        if point < len(samples) and result.is_decided():
            break
    if settings.looks == "off":
        result.hint = judge.hint(found, result)
    parts = [judge.samples[start:end] for start, end in pairwise([0, *judge.points[: number + 1]])]
    explainer = Explainer(handle, keys, parts, judge.plan.windows, judge.categories, result.settings, spent)
    judge.explain(result, found, explainer)
    result.data_warnings = data_warnings(dataset, samples, None if keys is None else keys.cache)
    if settings.explain == "always" or (settings.explain == "auto" and result.asks_why()):
        yield from result.explanation.events()
    result.spent.total_seconds = time.perf_counter() - begun
    yield Finished(result)


class _Judge:
    """What a run knows before the detector is called, and how it judges what was found so far."""

    def __init__(
        self,
        handle: DetectorHandle,
        dataset: Dataset,
        samples: Sequence[Sample],
        settings: RunSettings,
        plan: Plan | None,
    ) -> None:
        self.handle, self.dataset, self.settings = handle, dataset, settings
        if plan is None and not getattr(dataset, "has_truth", True):
            refuse_without_truth(settings.crops)
        self.plan = make_plan(samples, settings.crops, settings.seed, settings.max_crops) if plan is None else plan
        self._mixed = shuffled(samples, settings.seed)
        self._looks: list[Look] = []
        self._repeat: Repeat | None = None
        self._high = settings.score_threshold or HIGH_SCORE
        self._training = None if settings.train_data is None else load_annotations(settings.train_data)
        self.chosen: list[int] = []
        self.kept: list[int] = []
        self.categories: CategoryMap | None = None
        if not getattr(dataset, "has_truth", True):
            self.samples, self.points, self.levels = list(samples), [len(samples)], [settings.level]
            self._possible = self.points
            return
        self.chosen = _chosen_categories(settings, dataset)
        index = CropIndex.of(self._mixed, self.plan)
        objects = build_objects(index, settings.min_visibility)
        self.kept = kept_categories(objects, self.chosen)
        scored = {int(key) for key in objects.truth.category[objects.scored]}
        needed = sorted(scored & {*self.chosen, *select_categories(settings.by_category, dataset.categories)})
        self.categories = reconcile(handle.categories, dataset.categories, needed)
        points = [
            point
            for point in look_points(len(samples))
            if point == len(samples) or enough_categories(objects, objects.unit < point, self.kept)
        ]
        looking = settings.looks == "auto" and settings.states_limits
        self.samples = self._mixed if looking else list(samples)
        self.points = points if looking else [len(samples)]
        self._possible = points
        self.levels = look_levels(points, settings.level) if looking else [settings.level]

    @property
    def paired_by(self) -> str | None:
        """How categories are paired, ``None`` without ground truth."""
        return None if self.categories is None else self.categories.by

    def check_first(self, found: _Found, samples: Sequence[Sample], keys: BatchKeys | None) -> None:
        """Check what the first answers show: categories that fit, and whether they come out the same twice."""
        if self.categories is not None:
            self.categories.check_ids(found.whole.values())
        self._repeat = check_repeat(
            self.handle, samples, found.whole, self.categories, self.chosen, self.settings, keys
        )

    def at(self, number: int, found: _Found, spent: Spent) -> Run:
        """Return the result after look ``number``."""
        point, level = self.points[number], self.levels[number]
        result = self._summarise(self.samples[:point], found, spent, level)
        if self.settings.looks == "auto":
            drop = result.drop
            self._looks.append(Look(point, level, drop.value, drop.low, drop.high, result.is_decided()))
            result.looks = tuple(self._looks)
        return result

    def explain(self, result: Run, found: _Found, explainer: Explainer) -> None:
        """Give a result the way to its causes, and to what measures at inference win back."""

        def seek() -> Iterator[Any]:
            yield from explainer.causes(result.scored)
            if self.settings.try_mitigations:
                yield from try_mitigations(explainer, result.scored, self.plan.spec, found.known(self.plan))

        result.explanation.seek = seek

    def hint(self, found: _Found, result: Run) -> str | None:
        """Return what looks would have spared, ``None`` where nothing."""
        if not self.settings.states_limits or len(self._possible) < 2 or not result.is_decided():
            return None
        levels = look_levels(self._possible, self.settings.level)
        for point, level in zip(self._possible[:-1], levels, strict=False):
            part = self._mixed[:point]
            if self._summarise(part, found, result.spent, level).is_decided():
                spared = sum(1 + len(self.plan.windows[sample.id]) for sample in self._mixed[point:])
                return f"--cropdet-looks auto would have decided after {point} images and spared {spared} calls"
        return None

    def _summarise(self, samples: Sequence[Sample], found: _Found, spent: Spent, level: float) -> Run:
        replicates = self.settings.replicates
        if level != self.settings.level:
            replicates = max(replicates, LOOK_REPLICATES)
        names = self.dataset.categories
        if self.categories is None:
            samples = stand_in_truth(samples, found.whole, self._high)
            names = detector_names(self.handle.categories, found.whole)
            self.chosen = select_categories(self.settings.categories or tuple(names.values()), names)
        limits = {select_categories([name], names)[0]: limit for name, limit in self.settings.by_category.items()}
        by_category = {names[key]: limit for key, limit in limits.items()}
        if self.categories is None:
            self.chosen = sorted({*self.chosen, *limits})
        index = CropIndex.of(samples, self.plan)
        objects = build_objects(index, self.settings.min_visibility)
        answers = None
        if self.categories is not None:
            whole = [found.whole[sample.id] for sample in samples]
            answers = answers_of(self.handle, samples, whole, self.categories)
        return summarise(
            objects,
            found.translated(index, self.categories),
            [found.whole[sample.id] for sample in samples],
            self.plan,
            replace(self.settings, level=level, replicates=replicates, by_category=by_category),
            describe(self.handle),
            (self.dataset.name, names),
            self.chosen,
            kept_categories(objects, self.chosen) if self.categories is None else self.kept,
            spent,
            self._repeat,
            self._high if self.categories is None else None,
            sorted({*limits} - {*self.chosen}),
            self._training,
            answers,
        )


def _chosen_categories(settings: RunSettings, dataset: Dataset) -> list[int]:
    named = settings.categories or tuple(dataset.categories.values())
    select_categories(settings.by_category, dataset.categories)
    return select_categories(named, dataset.categories)
