"""The crop benchmark: AP by family and severity, mPC and rPC. docs/benchmark.md is its definition.

One pass: the whole images first, which all cells share, then cell by cell what no cell before it had. A cell is scored
as soon as its answers are there, so that they need not all be held.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_cropdet.benchmark.cells import BenchmarkPlan, Shared, plan_benchmark
from pytest_cropdet.benchmark.scores import (
    JITTER,
    MOST_SHIFTS,
    CellScore,
    Means,
    Rules,
    Shifts,
    jitter,
    mean_scores,
    score,
    shifts,
)
from pytest_cropdet.data import HIGH_SCORE, LOW_SHARE, Dataset, Sample, as_dataset, select_categories, with_names
from pytest_cropdet.detectors import as_handle, describe
from pytest_cropdet.errors import DataError
from pytest_cropdet.evaluation import Bounded, best_f1_score
from pytest_cropdet.gate import (
    Cap,
    Repeat,
    Targets,
    cap_on,
    check_answers,
    has_truth,
    noise_score,
    try_detector,
)
from pytest_cropdet.inference import Advanced, BatchKeys, Cache, Meter, Spent, Started
from pytest_cropdet.settings import RunSettings
from pytest_cropdet.terms import RunArguments

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from typing_extensions import Unpack

__all__ = ["Benchmark", "benchmark_events", "estimate", "run_benchmark"]


@dataclass(eq=False)
class Benchmark:
    """The result of a benchmark. ``means.crop`` is mPC and ``means.ratio`` rPC; ``families``: the same of each family.

    ``whole``: AP of the whole images. ``jitter``: AP lost to a one-pixel error of boxes, of ``truth`` and of
    ``detections``. ``shifts``: the bounds over shifts. ``left_out`` and ``notes``: sentences. AP is 0 to 1.
    """

    plan: BenchmarkPlan
    rules: Rules
    detector: Mapping[str, Any]
    dataset: str
    categories: Mapping[int, str]
    cells: tuple[CellScore, ...]
    means: Means
    families: Mapping[str, Means]
    whole: Bounded
    jitter: Mapping[str, Bounded]
    shifts: Shifts | None
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    agreement: bool
    repeat: Repeat
    spent: Spent
    name: str = ""

    @property
    def mpc(self) -> Bounded:
        """Mean performance on crops: the mean over families of the mean over severities of AP(crop)."""
        return self.means.crop

    @property
    def rpc(self) -> Bounded:
        """Relative performance on crops: mPC by the same mean of the AP of the references."""
        return self.means.ratio

    def to_dict(self) -> dict[str, Any]:
        """Return the benchmark's numbers as built-in values, which stand in the JSON under ``benchmark``."""
        settings = self.rules.settings
        return {
            "definition": self.plan.definition,
            "mode": self.plan.mode,
            "metric": settings.metric,
            "max_detections": settings.max_detections,
            "level": settings.level,
            "replicates": settings.replicates,
            "agreement": self.agreement,
            "images": len(self.plan.samples),
            "crops": self.plan.crops,
            "mpc": self.mpc.to_dict(),
            "reference": self.means.reference.to_dict(),
            "drop": self.means.drop.to_dict(),
            "rpc": self.rpc.to_dict(),
            "whole": self.whole.to_dict(),
            "families": [{"family": name, **means.to_dict()} for name, means in self.families.items()],
            "cells": [cell.to_dict(self.rules) for cell in self.cells],
            "shifts": None if self.shifts is None else self.shifts.to_dict(),
            "jitter": {"pixels": JITTER, **{name: lost.to_dict() for name, lost in self.jitter.items()}},
            "categories": sorted({self.categories[key] for cell in self.cells for key in cell.categories}),
            "left_out": list(self.left_out),
            "notes": list(self.notes),
        }

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Return AP by family and severity as a ``matplotlib.figure.Figure``, a new one or that of ``ax``."""
        from pytest_cropdet.figures import draw_benchmark

        return draw_benchmark(self.to_dict(), str(self.detector["name"]), ax)

    def __repr__(self) -> str:
        return f"<Benchmark {self.plan.mode}: mPC {self.mpc}, rPC {self.rpc}, {self.plan.crops} crops>"


def estimate(
    dataset: Dataset, mode: str, settings: RunSettings, detector: Any = None, families: Sequence[str] = ()
) -> list[str]:
    """Return what a benchmark would do, a line each; with a detector, its time from a few calls."""
    dataset = with_names(dataset, settings.alias, settings.group)
    plan = plan_benchmark(dataset, mode, settings.sample_images, settings.seed, families)
    calls, seconds, paired = len(plan.samples) + plan.crops, None, tuple[str, ...]()
    if detector is not None and plan.samples:
        handle = as_handle(detector)
        trial = try_detector(handle, plan.samples)
        calls, seconds = Shared(handle, plan).calls, trial.seconds
        if has_truth(dataset):
            chosen = select_categories(settings.categories or tuple(dataset.categories.values()), dataset.categories)
            paired = trial.pairing(dataset.categories, sorted(_with_objects(plan.samples) & {*chosen}))
    lines = [_announcement(plan, calls, seconds)]
    for family in dict.fromkeys(cell.family for cell in plan.cells):
        counts = ", ".join(f"{len(cell.plan):,} at {cell.severity}" for cell in plan.cells if cell.family == family)
        lines.append(f"  {family}: {counts}")
    return [*lines, *(f"  {line}" for line in paired), *(f"  left out: {each}" for each in plan.left_out)]


def _announcement(plan: BenchmarkPlan, calls: int, seconds: float | None) -> str:
    """Return what a benchmark is about to do; ``seconds``: what a picture takes, where that is known."""
    size = f"{plan.crops:,} crops of {len(plan.samples):,} images, {calls:,} detector calls"
    begin = f"{plan.definition} {plan.mode}: {size}"
    return begin if seconds is None else f"{begin}: about {seconds * calls / 60:.1f} min at {seconds:.3f} s per call"


def _with_objects(samples: Sequence[Sample]) -> set[int]:
    """Return the ids of the categories of which there are objects."""
    return {int(key) for sample in samples for key in sample.truth.categories[sample.truth.counted]}


def run_benchmark(
    detector: Any,
    dataset: Dataset,
    mode: str = "full",
    settings: RunSettings | None = None,
    families: Sequence[str] = (),
    **changes: "Unpack[RunArguments]",
) -> Benchmark:
    """Return the crop benchmark of a detector on a data set; ``mode``: "quick" or "full".

    ``detector``: anything :class:`~pytest_cropdet.Detector` describes. ``families``: names of families, your own ones
    too; the five built-in ones if empty. ``changes``: fields of :class:`~pytest_cropdet.settings.RunSettings`; its
    windows and limits are not read.
    """
    finished: Benchmark | None = None
    said: Mapping[str, Any] = changes
    settings = replace(settings or RunSettings(), **said)
    for event in benchmark_events(detector, dataset, mode, settings, families=families):
        if isinstance(event, Benchmark):
            finished = event
    if finished is None:
        raise RuntimeError("the benchmark ended without a result")
    return finished


def benchmark_events(
    detector: Any,
    dataset: Dataset,
    mode: str,
    settings: RunSettings,
    cache: Cache | None = None,
    families: Sequence[str] = (),
) -> Iterator[Started | Advanced | Benchmark]:
    """Run a benchmark, yielding :class:`Started`, an :class:`Advanced` for each batch, and the :class:`Benchmark`."""
    begun = time.perf_counter()
    handle, dataset = as_handle(detector), as_dataset(dataset)
    keys = BatchKeys.of(cache, handle)
    if keys is not None and not keys.recall_profile(handle):
        keys.keep_profile(handle)
    dataset = with_names(dataset, settings.alias, settings.group)
    plan = plan_benchmark(dataset, mode, settings.sample_images, settings.seed, families)
    if not plan.samples:
        raise DataError(f"the data set {dataset.name} has no images")
    shared = Shared(handle, plan)
    meter = Meter(handle, keys, "benchmark", shared.calls)
    note = _announcement(plan, meter.calls, None if keys is None else keys.speed())
    yield meter.start(len(plan.samples), plan.crops, note=note)
    yield from meter.detect(plan.samples, {sample.id: () for sample in plan.samples})
    scorer = BenchmarkScorer(dataset, plan, settings, meter)
    scores: list[CellScore] = []
    of_shift = []
    for number, cell in enumerate(plan.cells):
        yield from meter.detect(plan.samples, {}, shared.batches(number))
        answers = [*map(scorer.targets.translate, shared.answers(number, meter.found))]
        scores.append(score(cell, scorer.whole, answers, scorer.rules))
        if cell.family == "shift" and len(cell.plan) <= MOST_SHIFTS:
            of_shift.append((cell, answers))
        shared.forget(number, meter.found)
    if keys is not None and meter.spent.model_calls:
        keys.keep_speed(meter.spent.model_seconds / meter.spent.model_calls)
    result = scorer.result(scores, shifts(of_shift, scorer.rules), meter.spent)
    meter.spent.total_seconds = time.perf_counter() - begun
    yield result


class BenchmarkScorer:
    """What is known once the whole images were seen: the truth and the rules by which cells count; and the result."""

    def __init__(self, dataset: Dataset, plan: BenchmarkPlan, settings: RunSettings, meter: Meter) -> None:
        self.handle, self.dataset, self.plan, self.raw = meter.handle, dataset, plan, meter.whole_images()
        names = self.handle.categories
        self.targets = (
            Targets.annotated(names, dataset.categories, settings, _with_objects(plan.samples))
            if has_truth(dataset)
            else Targets.pseudo(names, self.raw, settings)
        )
        self.repeat = check_answers(self.handle, plan.samples, self.raw, self.targets, settings, meter.keys)
        self.rules = Rules(tuple(self.targets.samples(plan.samples, self.raw)), tuple(self.targets.chosen), settings)
        self.whole = [self.targets.translate(self.raw[sample.id]) for sample in plan.samples]

    @property
    def agreement(self) -> bool:
        """Whether pseudo-labels stand in for truth."""
        return self.targets.high is not None

    def result(self, scores: Sequence[CellScore], bounds: Shifts | None, spent: Spent) -> Benchmark:
        """Return everything put together."""
        means, families = mean_scores(scores, self.rules)
        detector = describe(self.handle)
        whole, lost = jitter(self.whole, self.rules)
        raw = [self.raw[sample.id] for sample in self.plan.samples]
        settings = self.rules.settings
        threshold = settings.score_threshold
        if threshold is None:
            threshold = (
                LOW_SHARE * HIGH_SCORE
                if self.agreement
                else best_f1_score(self.rules.samples, self.whole, self.rules.chosen)
            )
        cap, _ = cap_on(raw, detector["max_detections"], noise_score(threshold, self.agreement))
        left_out = list(self.plan.left_out)
        if bounds is None and "shift" in families:
            left_out.append(f"worst and best shift: sought among at most {MOST_SHIFTS:,} windows")
        return Benchmark(
            plan=self.plan,
            rules=self.rules,
            detector=detector,
            dataset=self.dataset.name,
            categories=self.targets.names,
            cells=tuple(scores),
            means=means,
            families=families,
            whole=whole,
            jitter=lost,
            shifts=bounds,
            left_out=tuple(left_out),
            notes=tuple(_notes(self, scores, cap)),
            agreement=self.agreement,
            repeat=self.repeat,
            spent=spent,
        )


def _notes(scorer: BenchmarkScorer, scores: Sequence[CellScore], cap: Cap) -> Iterator[str]:
    """Yield what a reader of the numbers must know."""
    settings, images = scorer.rules.settings, len(scorer.plan.samples)
    pairing, repeat = scorer.targets.pairing, scorer.repeat
    if scorer.agreement:
        yield "no ground truth: AP is against the whole images' confident detections, agreement and not accuracy"
    if pairing is not None and pairing.by == "id":
        yield pairing.pairing(scorer.raw[sample.id] for sample in scorer.plan.samples).text
    if images < settings.min_images:
        yield f"{images} images: bounds from fewer than {settings.min_images} are rough (cropdet_min_images)"
    undefined = [f"{each.cell.family} {each.cell.severity}" for each in scores if not each.is_defined]
    if undefined:
        yield f"undefined, in no mean: {', '.join(undefined)} (no category has scored objects in 5 images)"
    counts = [len(each.categories) for each in scores if each.is_defined]
    if counts and len({each.categories for each in scores if each.is_defined}) > 1:
        yield (
            f"the categories with scored objects in 5 images differ from cell to cell ({min(counts)} to {max(counts)}):"
            " compare a cell with its own reference, not with another cell"
        )
    if cap.binds:
        yield f"{cap.text}: crops have fewer objects each and need fewer boxes, so the ratio looks too good"
    cut = [each.cut for each in scores if each.cut]
    if cut:
        yield (
            f"AP counts {settings.max_detections} detections per image and category, which leaves out right detections "
            f"in {sum(cut):,} pairs of crop and category, in {len(cut)} of {len(scores)} cells: set "
            "--cropdet-max-detections higher"
        )
    if not repeat.same:
        spread = "" if repeat.spread is None else f", by up to {repeat.spread:.3f} {settings.metric}"
        yield f"the detector is not deterministic: two passes over the same images differ{spread}"
