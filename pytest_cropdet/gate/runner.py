"""A run: plan, detect, score, judge. It yields events; who shows them is another's affair."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pytest_cropdet.causes import Explainer, Explanation, try_mitigations
from pytest_cropdet.crops import Plan, choose_samples
from pytest_cropdet.data import Dataset, Sample, as_dataset, with_names
from pytest_cropdet.detectors import as_handle
from pytest_cropdet.errors import DataError, SpecError
from pytest_cropdet.gate.early_stopping import LookSchedule
from pytest_cropdet.gate.measurements import Look, Measurements
from pytest_cropdet.gate.old_model import OldModel, PairedImages, old_on_cluster, refuse_without_old
from pytest_cropdet.gate.results import Run
from pytest_cropdet.gate.scorer import GateScorer
from pytest_cropdet.inference import Advanced, BatchKeys, Cache, Meter, Started, data_warnings, on_cluster
from pytest_cropdet.settings import RunSettings

__all__ = ["Event", "Finished", "Run", "events", "run"]


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over."""

    run: Run


Event = Started | Advanced | Finished


def run(
    detector: Any,
    dataset: Dataset,
    settings: RunSettings | None = None,
    *,
    against: Any = None,
    client: Any = None,
    **changes: Any,
) -> Run:
    """Return what crops cost a detector on a data set.

    ``detector``: anything :class:`~pytest_cropdet.Detector` describes. ``dataset``: a
    :class:`~pytest_cropdet.Dataset`, a list of samples, or a data set of MAITE. ``against``: an older detector, run on
    the same crops; ``run.comparison`` is what changed. ``client``: a ``dask.distributed.Client`` whose workers run the
    detectors. ``changes``: fields of
    :class:`~pytest_cropdet.settings.RunSettings`. ``run.check()`` judges the limits that they state, and so does
    ``run.verdict``; without a limit compare ``run.drop <= 0.05`` to gate it.
    """
    if not isinstance(settings, RunSettings | None):
        raise SpecError(f"run takes RunSettings as its third argument, not {settings!r}; write crops={settings!r}")
    finished: Run | None = None
    if client is not None:
        detector = on_cluster(as_handle(detector), client)
        against = old_on_cluster(against, client)
    for event in events(detector, dataset, replace(settings or RunSettings(), **changes), against=against):
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
