"""Do the bounds cover what they say with a real detector? Fresh scenes as the population, gated again and again.

python benchmarks/coverage_detector.py              # the table of docs/coverage.md: renders, detects, draws
python benchmarks/coverage_detector.py --scenes 600 --draws 100   # a smaller population, a quick look
python benchmarks/coverage_detector.py --bias --draws 100   # and whether a jackknife finds the bias (slow)
python benchmarks/coverage_detector.py --where --draws 1000  # with which part of AP the bias comes

Needs TensorFlow or LiteRT, and this checkout's ``fixtures/``. Scenes are rendered into ``--folder`` (by default in the
user's cache folder); detections and the draws of each size are kept there, so a run that was stopped goes on. The
population is what was rendered: its drop is the truth. A draw takes n source images with replacement, as if each were
a new one, and is judged by the package's own code: categories in five images or more, AP, 1,000 resamples, percentiles.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "fixtures")]
from coverage import COVERAGE, LEVEL, REPLICATES, WRONG, cell  # noqa: E402

from pytest_cropdet import load_dataset  # noqa: E402
from pytest_cropdet.crops import make_plan  # noqa: E402
from pytest_cropdet.data import Dataset, reconcile  # noqa: E402
from pytest_cropdet.detectors import load_detector  # noqa: E402
from pytest_cropdet.evaluation import (  # noqa: E402
    MIN_IMAGES_PER_CATEGORY,
    CropIndex,
    Detected,
    Measure,
    Truth,
    average_precision,
    build_detected,
    build_objects,
    match,
    percentile_bounds,
    resample,
)
from pytest_cropdet.evaluation.coco.events import category_events  # noqa: E402
from pytest_cropdet.geometry import Bools, Floats, Ints  # noqa: E402
from pytest_cropdet.inference import BatchKeys, Cache, Picture, detect_all  # noqa: E402

STREAM = 3  # of scenes; 1 trained the detectors, 2 validated them
CROPS = "random:keep=0.3-0.9,per_image=2"
MIN_VISIBILITY = 0.5
SIZES = (50, 100, 300)
SEED = 20260402
DETECTORS = {"plain": "ssd_nms.tflite", "tuned with crops": "ssd_crops_nms.tflite"}


def scenes(folder: Path, count: int) -> Dataset:
    """Return the population, rendering it where it is not there."""
    from write_scenes import write_dataset

    place = folder / f"scenes_{count}"
    if not (place / "instances.json").exists():
        print(f"rendering {count:,} scenes", file=sys.stderr, flush=True)
        write_dataset(place, seed=STREAM, first=0, count=count)
    return load_dataset(place / "instances.json")


@dataclass(frozen=True)
class Drawn:
    """The tables of one draw."""

    truth: Truth
    scored: Bools
    sides: Sequence[Detected]
    unit: Ints

    def kept(self, categories: Sequence[int], least: int = MIN_IMAGES_PER_CATEGORY) -> list[int]:
        """Return the categories with scored objects in so many source images."""
        pairs = np.unique(
            np.stack([self.truth.category[self.scored], self.unit[self.truth.image[self.scored]]]), axis=1
        )
        names, images = np.unique(pairs[0], return_counts=True)
        return [int(name) for name, count in zip(names, images, strict=True) if count >= least and name in categories]


@dataclass(frozen=True)
class Population:
    """The tables of all scenes: truth of their crops, and the detections of the reference and of the crops."""

    truth: Truth
    scored: Bools
    sides: tuple[Detected, Detected]
    unit: Ints
    images: int
    categories: tuple[int, ...]

    def drawn(self, units: Ints) -> Drawn:
        """Return the tables of some source images; one that is drawn twice comes twice, as two images."""
        crops_of = _rows_by(self.unit, self.images)
        crops = np.concatenate([crops_of[unit] for unit in units])
        unit = np.repeat(np.arange(len(units)), [len(crops_of[each]) for each in units])
        rows, image = _taken(self.truth.image, crops, len(self.unit))
        truth = self.truth
        tables = []
        for side in self.sides:
            found, at = _taken(side.image, crops, len(self.unit))
            tables.append(
                Detected(
                    at, side.category[found], side.boxes[found], side.score[found], side.area[found], side.stray[found]
                )
            )
        tight = None if truth.tight is None else truth.tight[rows]
        columns = (truth.category, truth.boxes, truth.area, truth.crowd, truth.ignored)
        return Drawn(Truth(image, *(each[rows] for each in columns), tight), self.scored[rows], tables, unit)


def _rows_by(group: Ints, groups: int) -> list[Ints]:
    """Return the rows of each group, for rows sorted by group."""
    return np.split(np.arange(len(group)), np.searchsorted(group, np.arange(1, groups)))


def _taken(image: Ints, crops: Ints, images: int) -> tuple[Ints, Ints]:
    """Return the rows of a table in some crops, and the new number of each row's crop."""
    starts = np.searchsorted(image, np.arange(images + 1))
    counts = (starts[1:] - starts[:-1])[crops]
    ends = np.cumsum(counts)
    rows = np.arange(ends[-1]) - np.repeat(ends - counts, counts) + np.repeat(starts[crops], counts)
    return rows, np.repeat(np.arange(len(crops)), counts)


def populate(folder: Path, dataset: Dataset, model: str) -> Population:
    """Return what a detector finds in all scenes and their crops; answers are kept in the folder."""
    models = HERE.parent / "fixtures" / "models"
    detector = load_detector(str(models / model), range="0..255", labels=str(models / "labels.txt"))
    samples = list(dataset)
    plan = make_plan(samples, CROPS, 0, None)
    keys = BatchKeys.of(Cache(folder / "detections"), detector)
    found: dict[Picture, Any] = {}
    begun, done = time.perf_counter(), 0
    for batch in detect_all(detector, samples, plan.windows, keys):
        found.update(zip(batch.pictures, batch.found, strict=True))
        if len(found) >= done + 1000:
            done = len(found)
            print(f"{model}: {done:,} pictures, {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    index = CropIndex.of(samples, plan)
    objects = build_objects(index, MIN_VISIBILITY)
    pairing = reconcile(detector.categories, dataset.categories, list(dataset.categories))
    whole = [pairing.translate(found[Picture(sample.id, -1, None)]) for sample in samples]
    places = zip(index.unit, index.rank, index.crops, strict=True)
    crops = [pairing.translate(found[Picture(index.samples[unit].id, int(rank), crop)]) for unit, rank, crop in places]
    sides = (
        build_detected(index, whole, MIN_VISIBILITY, whole=True),
        build_detected(index, crops, MIN_VISIBILITY, whole=False),
    )
    return Population(objects.truth, objects.scored, sides, index.unit, len(samples), tuple(dataset.categories))


@dataclass(frozen=True)
class Gate:
    """What a gate saw in one draw: the population's drop over the categories it kept, its own, and its bounds.

    ``reference`` and ``crop``: its AP less the population's. ``guess``: the bootstrap's estimate of the drop's bias;
    ``without``: the jackknife's.
    """

    kept: int
    truth: float
    drop: float
    low: float
    high: float
    error: float
    reference: float
    crop: float
    guess: float
    without: float


def gate(population: Population, values: Floats, images: int, jackknife: bool, number: int) -> Gate:
    """Judge one draw; ``values``: (2, K) the population's AP of either side by category."""
    rng = np.random.default_rng([SEED, images, number])
    drawn = population.drawn(rng.integers(population.images, size=images))
    kept = drawn.kept(population.categories)
    chosen = np.isin(population.categories, kept)
    crops = len(drawn.unit)
    tables = [match(drawn.truth, side, images=crops, categories=population.categories) for side in drawn.sides]
    means = np.array([average_precision(table).mean(categories=chosen) for table in tables], dtype=float)
    true = values[:, chosen].mean(axis=1)
    both = resample(tables, drawn.unit, replicates=REPLICATES, seed=number, categories=chosen).mean()
    replicates = both[0] - both[1]
    low, high = percentile_bounds(replicates, LEVEL)
    drop = means[0] - means[1]
    left = _jackknife_bias(drawn, population.categories, chosen, drop) if jackknife else math.nan
    return Gate(
        len(kept),
        true[0] - true[1],
        drop,
        low,
        high,
        float(np.nanstd(replicates)),
        means[0] - true[0],
        means[1] - true[1],
        float(np.nanmean(replicates)) - drop,
        left,
    )


def _jackknife_bias(drawn: Drawn, categories: Sequence[int], chosen: Bools, drop: float, blocks: int = 50) -> float:
    """Return the jackknife's estimate of the drop's bias, leaving out one block of images after another."""
    units = int(drawn.unit.max()) + 1
    block = np.arange(units) % blocks
    without = []
    for number in range(blocks):
        stays = block[drawn.unit] != number
        renumbered = np.cumsum(stays) - 1
        rows = stays[drawn.truth.image]
        truth = drawn.truth
        tight = None if truth.tight is None else truth.tight[rows]
        columns = (truth.category, truth.boxes, truth.area, truth.crowd, truth.ignored)
        part = Truth(renumbered[truth.image[rows]], *(each[rows] for each in columns), tight)
        means = []
        for side in drawn.sides:
            some = stays[side.image]
            table = Detected(
                renumbered[side.image[some]],
                side.category[some],
                side.boxes[some],
                side.score[some],
                side.area[some],
                side.stray[some],
            )
            found = average_precision(match(part, table, images=int(stays.sum()), categories=categories))
            means.append(found.per_category[chosen])
        defined = ~np.isnan(means[0])
        without.append(float((means[0] - means[1])[defined].mean()))
    return (blocks - 1) * (float(np.mean(without)) - drop)


def row(gates: Sequence[Gate], images: int) -> str:
    """Return the row of a table."""
    count = len(gates)
    column = {name: np.array([getattr(each, name) for each in gates]) for name in Gate.__dataclass_fields__}
    truth, apart = column["truth"], column["drop"] - column["truth"]
    outcomes = [
        Measure("drop", each.drop, each.low, each.high).judge(limit).outcome
        for each, limit in zip(gates, truth, strict=True)
    ]
    numbers = [
        f"{images}",
        f"{column['kept'].mean():.1f}",
        f"{truth.mean():.3f}",
        f"{apart.std():.4f}",
        f"{column['error'].mean() / apart.std():.2f}",
        f"{column['reference'].mean():+.4f}",
        f"{column['crop'].mean():+.4f}",
        f"{apart.mean():+.4f} +- {apart.std() / math.sqrt(count):.4f}",
        f"{column['guess'].mean():+.4f}",
        cell(float((column["low"] <= truth).mean()), count, COVERAGE),
        cell(float((column["high"] >= truth).mean()), count, COVERAGE),
        *(cell(outcomes.count(wrong) / count, count, WRONG) for wrong in ("pass", "fail")),
    ]
    return " | ".join(numbers)


def bias_row(gates: Sequence[Gate], images: int) -> str:
    """Return the row of the table of biases, and the cover with the jackknife's bias taken off."""
    column = {name: np.array([getattr(each, name) for each in gates]) for name in Gate.__dataclass_fields__}
    truth, without = column["truth"], column["without"]
    mended = column["drop"] - without - truth
    numbers = [
        f"{images}",
        f"{(column['drop'] - truth).mean():+.4f}",
        f"{without.mean():+.4f}",
        f"{mended.mean():+.4f}",
        f"{mended.std() / (column['drop'] - truth).std():.2f}",
        f"{(column['low'] - without <= truth).mean():.1%}",
        f"{(column['high'] - without >= truth).mean():.1%}",
    ]
    return " | ".join(numbers)


def report(folder: Path, count: int, draws: int, jobs: int, bias: bool, sizes: Sequence[int]) -> Iterator[str]:
    """Yield the lines of docs/coverage.md that are measured."""
    dataset = scenes(folder, count)
    begun = time.perf_counter()
    found: dict[str, dict[int, list[Gate]]] = {}
    for name, model in DETECTORS.items():
        population = populate(folder, dataset, model)
        tables = [
            match(population.truth, side, images=len(population.unit), categories=population.categories)
            for side in population.sides
        ]
        values = np.array([average_precision(table).per_category for table in tables])
        drops = values[0] - values[1]
        yield (
            f"{name}: {population.images:,} scenes, {CROPS}, mAP {values[0].mean():.3f} in the reference, "
            f"{values[1].mean():.3f} in the crops, drop {drops.mean():.4f}; drops of the {len(drops)} categories from "
            f"{drops.min():.3f} to {drops.max():.3f}."
        )
        found[name] = {}
        with ProcessPoolExecutor(jobs) as pool:
            for images in sizes:
                judge = partial(gate, population, values, images, bias)
                kept = folder / f"draws_{model}_{count}_{images}_{draws}{'_bias' * bias}.json"
                if not kept.exists():
                    rows = [asdict(each) for each in pool.map(judge, range(draws), chunksize=10)]
                    kept.write_text(json.dumps(rows))
                found[name][images] = [Gate(**each) for each in json.loads(kept.read_text())]
                print(f"{name}, {images} images: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    yield f"\n{draws:,} draws each:\n"
    yield (
        "| detector | images | categories in the mean | drop | sd of drop | standard error / sd "
        "| bias of the reference | of the crops | of the drop | bootstrap's guess | lower bound covers "
        "| upper bound covers | wrong passes at the limit | wrong fails at the limit |"
    )
    yield "| :--- |" + " ---: |" * 13
    for name, drawn in found.items():
        for images, gates in drawn.items():
            yield f"| {name} | {row(gates, images)} |"
    if bias:
        yield (
            "\n| detector | images | bias of the drop | jackknife's guess | left after the jackknife "
            "| its sd / sd of the drop | lower bound covers then | upper bound covers then |"
        )
        yield "| :--- |" + " ---: |" * 7
        for name, drawn in found.items():
            for images, gates in drawn.items():
                yield f"| {name} | {bias_row(gates, images)} |"


def kinds_of_ap(truth: Truth, sides: Sequence[Detected], unit: Ints, categories: Sequence[int]) -> Floats:
    """Return (2, K, 3) AP of either side by category: the mean precision at the true positives as it is, with the
    running maximum from the right, and COCO's, which reads the latter at 101 points of recall.
    """
    found = []
    for side in sides:
        table = match(truth, side, images=len(unit), categories=categories)
        values = []
        for events in category_events(table, range(len(categories)), range(len(table.thresholds))):
            kinds = np.zeros(2)
            for hits, changes in zip(events.hits, events.changes, strict=True):
                precision = np.cumsum(hits) / np.maximum(events.counted_before + np.cumsum(changes), 1)
                highest = np.maximum.accumulate(precision[::-1])[::-1]
                kinds += precision[hits].sum(), highest[hits].sum()
            values.append(kinds / (len(table.thresholds) * max(1, len(events.objects))))
        found.append(np.column_stack([values, average_precision(table).per_category]))
    return np.array(found)


def biases(population: Population, true: Floats, images: int, number: int) -> Floats:
    """Return (2, 3) how far a draw's mean AP of each kind lies above the population's."""
    drawn = population.drawn(np.random.default_rng([SEED, images, number]).integers(population.images, size=images))
    kept = np.isin(population.categories, drawn.kept(population.categories))
    seen = kinds_of_ap(drawn.truth, drawn.sides, drawn.unit, population.categories)
    return np.asarray(seen[:, kept].mean(axis=1) - true[:, kept].mean(axis=1))


def where(folder: Path, count: int, draws: int, jobs: int, sizes: Sequence[int]) -> Iterator[str]:
    """Yield how much of the bias comes with the running maximum, and how much with the points of recall."""
    yield (
        "| detector | images | AP as | bias of the reference | of the crops | of the drop |\n"
        "| :--- | ---: | :--- | ---: | ---: | ---: |"
    )
    for name, model in DETECTORS.items():
        population = populate(folder, scenes(folder, count), model)
        true = kinds_of_ap(population.truth, population.sides, population.unit, population.categories)
        with ProcessPoolExecutor(jobs) as pool:
            for images in sizes:
                found = np.array(list(pool.map(partial(biases, population, true, images), range(draws), chunksize=10)))
                for place, kind in enumerate(("precision as it is", "running maximum", "COCO")):
                    drop = found[:, 0, place] - found[:, 1, place]
                    means = found[:, :, place].mean(axis=0)
                    error = drop.std() / math.sqrt(draws)
                    yield (
                        f"| {name} | {images} | {kind} | {means[0]:+.4f} | {means[1]:+.4f} | {drop.mean():+.4f} "
                        f"+- {error:.4f} |"
                    )


def default_folder() -> Path:
    """Return where scenes and detections are kept: in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "pytest-cropdet" / "coverage_detector"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=default_folder(), help="where scenes and detections are kept")
    parser.add_argument("--scenes", type=int, default=3000)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--bias", action="store_true", help="also the jackknife")
    parser.add_argument("--where", action="store_true", help="only which part of AP the bias comes with")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="images of a draw")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    if asked.where:
        for line in where(asked.folder, asked.scenes, asked.draws, asked.jobs, asked.sizes):
            print(line, flush=True)
        return
    for line in report(asked.folder, asked.scenes, asked.draws, asked.jobs, asked.bias, asked.sizes):
        print(line, flush=True)


if __name__ == "__main__":
    main()
