"""A run: plan, detect, score, judge. It yields events; who shows them is another's affair."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pytest_cropdet.causes import Explainer, Explanation, try_mitigations
from pytest_cropdet.crops import Plan, choose_samples, plan_of, read_crops
from pytest_cropdet.data import Dataset, Sample, as_dataset, with_names
from pytest_cropdet.detectors import DetectorHandle, as_handle
from pytest_cropdet.errors import DataError, DetectorError, SpecError
from pytest_cropdet.gate.early_stopping import LookSchedule
from pytest_cropdet.gate.measurements import Look, Measurements
from pytest_cropdet.gate.old_model import OldModel, PairedImages, old_on_cluster, refuse_without_old
from pytest_cropdet.gate.results import Run
from pytest_cropdet.gate.scorer import GateScorer
from pytest_cropdet.inference import (
    Advanced,
    BatchKeys,
    Cache,
    Meter,
    Started,
    data_warnings,
    on_cluster,
    progress_lines,
)
from pytest_cropdet.settings import Metric, RunSettings

__all__ = ["Event", "Finished", "Run", "events", "run"]


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over."""

    run: Run


Event = Started | Advanced | Finished
SETTING: Any = ...  # an argument that was not given: what the settings say


def run(
    detector: Any,
    dataset: Dataset,
    settings: RunSettings | None = None,
    *,
    crops: Any = None,
    name: str | None = None,
    per_image: int | None = None,
    against: Any = None,
    client: Any = None,
    cache: str | Path | None = None,
    progress: Callable[[str], object] | None = None,
    seed: int = SETTING,
    sample_images: int | None = SETTING,
    max_crops: int = SETTING,
    min_visibility: float = SETTING,
    metric: Metric = SETTING,
    categories: Sequence[str] = SETTING,
    alias: Sequence[str] = SETTING,
    group: Sequence[str] = SETTING,
    max_drop: float | None = SETTING,
    by_category: Mapping[str, float] = SETTING,
    min_ratio: float | None = SETTING,
    min_crop_ap: float | None = SETTING,
    max_worse: float | None = SETTING,
    worse_by_category: Mapping[str, float] = SETTING,
    max_drop_worse: float | None = SETTING,
    drop_worse_by_category: Mapping[str, float] = SETTING,
    undecided: Literal["fail", "pass", "point"] = SETTING,
    min_images: int = SETTING,
    min_objects: int = SETTING,
    min_ap: float = SETTING,
    cap: Literal["refuse", "accept"] = SETTING,
    score_threshold: float | None = SETTING,
    replicates: int = SETTING,
    level: float = SETTING,
    looks: Literal["off", "auto", "often"] = SETTING,
    verify: bool = SETTING,
    explain: Literal["auto", "always", "off"] = SETTING,
    fill: Sequence[str] = SETTING,
    both_orders: bool = SETTING,
    max_detections: int = SETTING,
    train_data: str | None = SETTING,
    try_mitigations: bool = SETTING,
) -> Run:
    """Return what crops cost a detector on a data set.

    ``detector``: anything :class:`~pytest_cropdet.Detector` describes. ``dataset``: a
    :class:`~pytest_cropdet.Dataset`, a list of samples, or a data set of MAITE. ``crops``: a spec, a family or several
    of these; a Hypothesis strategy of windows, or a function of a sample that returns one (``per_image`` windows, 4,
    are drawn); or the windows: a mapping of sample ids to lists of :class:`~pytest_cropdet.Crop`, a function of a
    sample that returns such a list, or a plan. ``name``: of drawn or given windows in reports. ``against``: an older
    detector, run on the same crops; ``run.comparison`` is what changed. ``client``: a ``dask.distributed.Client`` whose
    workers run the detectors. The other arguments are the fields of :class:`~pytest_cropdet.settings.RunSettings`.
    ``run.check()`` and ``run.verdict`` judge the limits that they state. Without a limit compare the result to gate it:
    ``run.drop <= 0.05``.

    ``cache``: a folder in which detections are stored, so that an equal run does not call the detector again, and also
    the windows of a strategy with a ``name``; without it nothing is stored. ``progress``: a function such as
    ``print``, called with a line of text when a part of the run begins and after each batch.
    """
    said = dict(locals())  # before anything else is local
    if not isinstance(settings, RunSettings | None):
        raise SpecError(f"run takes RunSettings as its third argument, not {settings!r}; write crops={settings!r}")
    changes = {each.name: said[each.name] for each in fields(RunSettings) if each.name != "crops"}
    changes = {name: value for name, value in changes.items() if value is not SETTING}
    settings = replace(settings or RunSettings(), **changes)
    dataset = as_dataset(dataset)
    source = read_crops(settings.crops if crops is None else crops, dataset, name, per_image, "drawn")
    settings = replace(settings, crops=source if isinstance(source, str) else source.spec)
    samples = choose_samples(dataset, settings.sample_images, settings.seed)
    folder = None if cache is None else Path(cache)
    plan = plan_of(source, samples, settings.seed, settings.max_crops, None if name is None else folder)
    if plan is not None:
        plan = replace(plan, given=True)
    handle = as_handle(detector)
    if client is not None:
        handle = on_cluster(handle, client)
        against = old_on_cluster(against, client)
    kept = None if folder is None else _open_cache(folder, handle)
    show = partial(_show, progress or _silent)
    finished: Run | None = None
    with nullcontext() if kept is None else closing(kept):
        for event in events(handle, dataset, settings, plan, kept, against=against, watch=partial(_watch, show)):
            show(event)
            if isinstance(event, Finished):
                finished = event.run
    if finished is None:
        raise RuntimeError("the run ended without a result")
    return finished


def _open_cache(folder: Path, handle: DetectorHandle) -> Cache:
    """Return the cache in a folder; ``DetectorError`` for a detector of which nothing can be kept."""
    handle.identify()
    if handle.fingerprint is None:
        raise DetectorError(
            f"cache={str(folder)!r}: answers of {handle.name} cannot be stored, because it has no fingerprint; write "
            "as_detector(function, fingerprint='v1'), with another text whenever its answers may change, or leave "
            "cache= out"
        )
    return Cache(folder)


def _silent(line: str) -> None:
    """Show nothing."""


def _show(progress: Callable[[str], object], event: object) -> None:
    for line in progress_lines(event):
        progress(line)


def _watch(show: Callable[[object], None], seeking: Iterator[Any]) -> None:
    """Show what is done for causes that are wanted after the run."""
    for event in seeking:
        show(event)


def events(
    detector: Any,
    dataset: Dataset,
    settings: RunSettings,
    plan: Plan | None = None,
    cache: Cache | None = None,
    *,
    against: Any = None,
    old_name: str = "",
    pair: PairedImages = "all",
    name: str = "",
    page: str | None = None,
    watch: Callable[[Iterator[Any]], Any] = list,
) -> Iterator[Event]:
    """Run a gate, yielding :class:`Started`, an :class:`Advanced` for each batch, and :class:`Finished` at the end.

    The same come before the end, with another ``task``, for an old model ("old"), where it is to be explained
    ("explain"), and twice where measures at inference are tried ("try").

    ``cache``: where detections are kept; without it, or for a detector without fingerprint, all are computed.
    ``against``: an old detector to compare with, an earlier run of it, or the ``MatchRecord`` of one; ``old_name``:
    what messages call it; ``pair``: which images, where a record has others. ``name`` of the run in reports, the
    ``page`` about it, and what is to ``watch`` while it is explained later on.
    """
    begun = time.perf_counter()
    refuse_without_old(settings, against)
    handle = as_handle(detector)
    dataset = with_names(as_dataset(dataset), settings.alias, settings.group)
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
    looking = settings.looks != "off" and settings.states_limits
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
        if settings.looks != "off":
            drop = measured.drop
            looks.append(Look(point, level, drop.value, drop.low, drop.high, measured.is_decided()))
        if point < len(samples) and measured.is_decided():
            break
    comparison, old_explanation = None, None
    if against is not None:
        old = OldModel(against, old_name, scorer, cache, meter.spent, pair)
        yield from old.detect()
        comparison, old_explanation = old.compare(measured), old.explanation(watch)
    explainer = Explainer(handle, keys, parts, plan.windows, scorer.pairing, measured.settings, meter.spent)
    result = Run.of(
        measured,
        spent=meter.spent,
        explanation=Explanation(partial(_explain, explainer, measured, meter), watch, page),
        comparison=comparison,
        old_explanation=old_explanation,
        name=name,
        looks=tuple(looks),
        hint=_hint(scorer, meter, measured) if settings.looks == "off" else None,
        data_warnings=data_warnings(dataset, samples, None if keys is None else keys.cache),
        training=scorer.training,
    )
    if settings.explain == "always" or (settings.explain == "auto" and result.asks_why()):
        yield from result.explanation.events()
        if old_explanation is not None and (settings.explain == "always" or result.asks_what_changed()):
            yield from old_explanation.events()
    result.spent.total_seconds = time.perf_counter() - begun
    yield Finished(result)


def _explain(explainer: Explainer, measured: Measurements, meter: Meter) -> Iterator[Any]:
    """Yield what is done to find the causes and what measures at inference win back, and what was found."""
    yield from explainer.causes(measured.scored)
    if measured.settings.try_mitigations:
        known = meter.found.renamed(lambda picture: replace(picture, rank=min(picture.rank, 0)))
        yield from try_mitigations(explainer, measured.scored, measured.plan.spec, known)


def _hint(scorer: GateScorer, meter: Meter, measured: Measurements) -> str | None:
    """Return what looks would have spared, ``None`` where nothing."""
    early = scorer.early_looks() if scorer.settings.states_limits and measured.is_decided() else None
    if early is None:
        return None
    for point, level in zip(early.points[:-1], early.levels, strict=False):
        if scorer.score(early.samples[:point], meter, level).is_decided():
            spared = sum(1 + len(scorer.plan.windows[sample.id]) for sample in early.samples[point:])
            return f"--cropdet-looks auto would have decided after {point} images and spared {spared} calls"
    return None
