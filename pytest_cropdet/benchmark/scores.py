"""From the detections of the benchmark's cells to its numbers: AP of each cell, mPC, rPC, and the control lines."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pytest_cropdet.benchmark.cells import Cell
from pytest_cropdet.crops import Plan, draw_number
from pytest_cropdet.data import Detections, Sample
from pytest_cropdet.evaluation import (
    IOU_OF,
    Bounded,
    CropIndex,
    Detected,
    Matches,
    average_precision,
    build_detected,
    build_objects,
    divide,
    extreme_ap,
    kept_categories,
    match,
    resample,
)
from pytest_cropdet.gate import cut_off_pairs
from pytest_cropdet.geometry import Bools, Crop, Floats, Ints
from pytest_cropdet.settings import RunSettings

__all__ = [
    "JITTER",
    "CellScore",
    "Means",
    "Rules",
    "Shifts",
    "jitter",
    "mean_scores",
    "moved",
    "score",
    "shifts",
]

JITTER = 1.0  # px
MOST_SHIFTS = 4000  # windows among which the worst and the best are sought: beyond, the search takes many minutes


@dataclass(frozen=True, slots=True)
class Rules:
    """How cells are scored: over ``chosen`` categories (ids) of ``samples``, all resampled alike."""

    samples: tuple[Sample, ...]
    chosen: tuple[int, ...]
    settings: RunSettings

    @property
    def iou(self) -> float | None:
        """The IoU threshold of the metric, ``None`` for the mean over all."""
        return IOU_OF[self.settings.metric]

    def table(self, truth: Any, detected: Detected, images: int) -> Matches:
        """Return the match table of one rendering."""
        most = self.settings.max_detections
        return match(truth, detected, images=images, categories=list(self.chosen), max_detections=most, beyond=True)

    def ap(self, matches: Matches, kept: Bools) -> float:
        """Return the metric over the kept categories, NaN where undefined."""
        return average_precision(matches).mean(threshold=self.iou, categories=kept)

    def replicates(self, tables: Sequence[Matches], unit: Ints, kept: Bools) -> Floats:
        """Return (tables, N): the metric in each resample of the source images, the same ones for every cell."""
        if not kept.any():
            return np.full((len(tables), self.settings.replicates), np.nan)
        found = resample(
            tables,
            unit,
            replicates=self.settings.replicates,
            seed=self.settings.seed,
            categories=kept,
            metrics=[self.settings.metric],
            units=len(self.samples),
        )
        return found.mean(self.settings.metric)

    def bounded(self, value: float, replicates: Floats) -> Bounded:
        """Return a value with its bounds at the settings' level."""
        return Bounded.of(value, replicates, self.settings.level)


@dataclass(frozen=True, eq=False)
class CellScore:
    """What one cell came to, by the rules of a gate.

    ``ap``: (2,) of the reference and of the crops, NaN where undefined; ``replicates``: (2, N), the same in resamples.
    ``images``: source images with a window; ``categories``: ids in the mean, with scored objects in 5 source images.
    ``cut``: pairs of crop and category, on either side, in which AP leaves out a right detection.
    """

    cell: Cell
    ap: Floats
    replicates: Floats
    images: int
    crops: int
    objects: int
    categories: tuple[int, ...]
    cut: int = 0

    @property
    def is_defined(self) -> bool:
        """Whether both AP are numbers."""
        return not np.isnan(self.ap).any()

    def to_dict(self, rules: Rules) -> dict[str, Any]:
        """Return the cell as built-in values."""
        return {
            "family": self.cell.family,
            "severity": self.cell.severity,
            "plan": self.cell.spec,
            **Means.of([self], rules).to_dict(),
            "images": self.images,
            "crops": self.crops,
            "objects": self.objects,
            "categories": len(self.categories),
        }


def score(cell: Cell, whole: Sequence[Detections], crops: Sequence[Detections], rules: Rules) -> CellScore:
    """Return what a cell came to, by the rules of the gate.

    ``whole``: detections in the samples, one each; ``crops``: in the cell's windows, by sample and rank.
    """
    index = CropIndex.of(rules.samples, cell.plan)
    objects = build_objects(index, rules.settings.min_visibility)
    categories = kept_categories(objects, rules.chosen)
    if not len(index):
        nothing = np.full((2, rules.settings.replicates), np.nan)
        return CellScore(cell, nothing[:, 0], nothing, 0, 0, 0, ())
    kept = np.isin(rules.chosen, categories)
    least = rules.settings.min_visibility
    tables = [
        rules.table(objects.truth, build_detected(index, found, least, whole=found is whole), len(index))
        for found in (whole, crops)
    ]
    return CellScore(
        cell=cell,
        ap=np.array([rules.ap(table, kept) for table in tables]),
        replicates=rules.replicates(tables, index.unit, kept),
        images=len(np.unique(index.unit)),
        crops=len(index),
        objects=int((objects.scored & np.isin(objects.truth.category, rules.chosen)).sum()),
        categories=tuple(categories),
        cut=sum(len(cut_off_pairs(table)) for table in tables),
    )


@dataclass(frozen=True, slots=True)
class Means:
    """Mean AP over cells, of crops and of their references, the loss, and the ratio of the means."""

    reference: Bounded
    crop: Bounded
    drop: Bounded
    ratio: Bounded

    @classmethod
    def of(cls, cells: Sequence[CellScore], rules: Rules) -> "Means":
        """Return the plain mean over the cells that are defined."""
        defined = [cell for cell in cells if cell.is_defined]
        if not defined:
            return cls(Bounded(None), Bounded(None), Bounded(None), Bounded(None))
        return cls._of_pair(
            np.mean([cell.ap for cell in defined], axis=0),
            np.mean([cell.replicates for cell in defined], axis=0),
            rules,
        )

    @classmethod
    def _of_pair(cls, ap: Floats, replicates: Floats, rules: Rules) -> "Means":
        return cls(
            reference=rules.bounded(ap[0], replicates[0]),
            crop=rules.bounded(ap[1], replicates[1]),
            drop=rules.bounded(ap[0] - ap[1], replicates[0] - replicates[1]),
            ratio=rules.bounded(float(divide(ap[1], ap[0])), divide(replicates[1], replicates[0])),
        )

    def to_dict(self) -> dict[str, dict[str, float | None]]:
        """Return the means as built-in values."""
        return {name: getattr(self, name).to_dict() for name in ("reference", "crop", "drop", "ratio")}


def mean_scores(scores: Sequence[CellScore], rules: Rules) -> tuple[Means, dict[str, Means]]:
    """Return the means over all cells (``crop`` is mPC, ``ratio`` rPC), and those of each family."""
    families: dict[str, list[CellScore]] = {}
    for each in scores:
        families.setdefault(each.cell.family, []).append(each)
    return _over_families(families, rules), {name: Means.of(cells, rules) for name, cells in families.items()}


def _over_families(families: Mapping[str, Sequence[CellScore]], rules: Rules) -> Means:
    """Return the mean over families of the mean over severities, so that a family with an undefined cell counts one."""
    several = [[cell for cell in cells if cell.is_defined] for cells in families.values()]
    pooled = [
        replace(
            cells[0],
            ap=np.mean([cell.ap for cell in cells], axis=0),
            replicates=np.mean([cell.replicates for cell in cells], axis=0),
        )
        for cells in several
        if cells
    ]
    return Means.of(pooled, rules)


# Control lines


@dataclass(frozen=True, slots=True)
class Shifts:
    """AP if each image had the one shift that hurts most, and that suits best, of all its shifts at every severity."""

    worst: float | None
    best: float | None
    windows: int

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the bounds as built-in values."""
        return asdict(self)


def shifts(cells: Sequence[tuple[Cell, Sequence[Detections]]], rules: Rules) -> Shifts | None:
    """Return the bounds over shifts; ``None`` where there are none, or too many to search.

    ``cells``: the cells of ``shift`` with their detections by sample and rank.
    """
    several = [CropIndex.of(rules.samples, cell.plan) for cell, _ in cells]
    if not 0 < sum(map(len, several)) <= MOST_SHIFTS:
        return None
    found: dict[str, list[tuple[Crop, Detections]]] = {sample.id: [] for sample in rules.samples}
    for index, (_, answers) in zip(several, cells, strict=True):
        for unit, crop, answer in zip(index.unit, index.crops, answers, strict=True):
            found[rules.samples[unit].id].append((crop, answer))
    windows = {name: tuple(crop for crop, _ in each) for name, each in found.items()}
    index = CropIndex.of(rules.samples, Plan("shift", rules.settings.seed, "shift", windows))
    objects = build_objects(index, rules.settings.min_visibility)
    kept = np.isin(rules.chosen, kept_categories(objects, rules.chosen))
    answers = [answer for sample in rules.samples for _, answer in found[sample.id]]
    table = rules.table(objects.truth, build_detected(index, answers, rules.settings.min_visibility), len(index))
    worst, best = (extreme_ap(table, index.unit, kept, rules.iou, which)[0] for which in ("worst", "best"))
    return Shifts(worst, best, len(index))


def jitter(whole: Sequence[Detections], rules: Rules) -> tuple[Bounded, dict[str, Bounded]]:
    """Return the AP of whole images, and what a one-pixel error of boxes alone costs on this data set.

    Every box is moved by one pixel to the left or right and one up or down. ``truth``: AP lost by a detector that finds
    every object, its box in the right place but for that; ``detections``: AP that this detector's answers lose.
    """
    count = np.arange(len(rules.samples))
    frames = tuple(Crop(0, 0, sample.width, sample.height) for sample in rules.samples)
    index = CropIndex(rules.samples, frames, count, np.zeros_like(count))
    objects = build_objects(index, rules.settings.min_visibility)
    kept = np.isin(rules.chosen, kept_categories(objects, rules.chosen))
    exact = [_truth_of(sample) for sample in rules.samples]
    answers = [each for plain in (exact, whole) for each in (plain, moved(plain, rules))]
    tables = [
        rules.table(objects.truth, build_detected(index, each, rules.settings.min_visibility, whole=True), len(index))
        for each in answers
    ]
    values, replicates = [rules.ap(table, kept) for table in tables], rules.replicates(tables, index.unit, kept)
    lost = {
        name: rules.bounded(values[first] - values[first + 1], replicates[first] - replicates[first + 1])
        for name, first in (("truth", 0), ("detections", 2))
    }
    return rules.bounded(values[2], replicates[2]), lost


def _truth_of(sample: Sample) -> Detections:
    rows = np.flatnonzero(sample.truth.counted)
    return Detections(sample.truth.boxes[rows], np.ones(len(rows)), sample.truth.categories[rows])


def moved(found: Sequence[Detections], rules: Rules) -> list[Detections]:
    """Return detections with each box one pixel away, in a direction drawn by seed, sample and row."""
    found_there = []
    for sample, each in zip(rules.samples, found, strict=True):
        key = ("jitter", rules.settings.seed, sample.id)
        signs = [[draw_number(*key, row, axis) % 2 for axis in ("x", "y")] for row in range(len(each))]
        step = JITTER * (2 * np.reshape(signs, (-1, 2)) - 1)
        found_there.append(replace(each, boxes=each.boxes + np.tile(step, 2)))
    return found_there
