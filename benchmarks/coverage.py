"""Do the bounds cover what they say? A simulated detector whose drop is known, gated again and again.

python benchmarks/coverage.py              # the tables of docs/coverage.md, in about 45 minutes of one core
python benchmarks/coverage.py --jobs 2     # the same numbers, on two cores
python benchmarks/coverage.py --quick      # 100 repetitions
python benchmarks/coverage.py --looks often   # runs that look more times, and nothing else

Objects, boxes and scores are drawn; from the matching on, everything is the package's own code. A source image has two
crops (keep 0.3). What the image, the object and its category do to a detection is common to the whole image and the
crop; the crop has a penalty of its own that differs between categories (larger for rare ones) and between crops. A
repetition draws 300 source images; a run on n images takes the first n of them.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from statistics import NormalDist

import numpy as np

from pytest_cropdet.evaluation import (
    Detected,
    Matches,
    Replicates,
    Truth,
    average_precision,
    match,
    percentile_bounds,
    resample,
)
from pytest_cropdet.evaluation.crop_tables import CropIndex, Objects, kept_categories
from pytest_cropdet.evaluation.measure import Measure
from pytest_cropdet.gate.early_stopping import (
    DESIGNS,
    LOOK_REPLICATES,
    enough_categories,
    look_levels,
    look_points,
    resolved_points,
)
from pytest_cropdet.geometry import Floats, Ints

SEED = 20260401
FIXED = (50, 100, 300)
FAR = 800  # source images of the longer runs that look, where calls can be spared
FAR_SHARE = 2  # one repetition of them for so many of the others
LEVEL = 0.95
REPLICATES = 1000  # as a run without looks takes
DISTANCES = (0.02, 0.03)
POPULATION_IMAGES, POPULATION_SETS = 20_000, 12
CROPS = 2
CATEGORIES = 16
CATEGORY_IDS = list(range(CATEGORIES))
WIDTH, HEIGHT = 192.0, 144.0  # 0.3 of 640 x 480 px
OBJECTS = 2.2  # scored ones a crop, on average
FALSE_BOTH, FALSE_OWN = 4.0, 2.0  # false positives a crop: in both renderings, in one alone
PENALTY, PENALTY_SPREAD, PENALTY_OF_RARE = 0.22, 0.14, 0.36  # mean, sd over categories, its slope in rarity


@dataclass(frozen=True)
class World:
    """What does not change between repetitions: how common each category is, how well it is found, what crops cost."""

    frequency: Floats
    skill: Floats
    penalty: Floats

    @classmethod
    def make(cls) -> World:
        """Return the one world of this benchmark."""
        rng = np.random.default_rng(SEED)
        frequency = 1.0 / (np.arange(CATEGORIES) + 2.0)
        rarity = np.arange(CATEGORIES) / (CATEGORIES - 1) - 0.5
        return cls(
            frequency / frequency.sum(),
            rng.normal(0.55, 0.3, CATEGORIES),
            PENALTY + PENALTY_OF_RARE * rarity + PENALTY_SPREAD * rng.normal(0, 1, CATEGORIES),
        )


@dataclass(frozen=True)
class Scene:
    """The tables of some source images: truth of their crops, and what was found, by model and rendering."""

    truth: Truth
    detected: tuple[Detected, ...]
    unit: Ints

    def first(self, images: int) -> Scene:
        """Return the scene of the first ``images`` source images alone."""
        crops = images * CROPS
        rows = int(np.searchsorted(self.truth.image, crops))
        truth = Truth(
            self.truth.image[:rows],
            self.truth.category[:rows],
            self.truth.boxes[:rows],
            self.truth.area[:rows],
            self.truth.crowd[:rows],
            self.truth.ignored[:rows],
        )
        tables = []
        for table in self.detected:
            rows = int(np.searchsorted(table.image, crops))
            tables.append(Detected(table.image[:rows], table.category[:rows], table.boxes[:rows], table.score[:rows]))
        return Scene(truth, tuple(tables), self.unit[:crops])

    @property
    def objects(self) -> Objects:
        """The objects as a run holds them, for its rules on categories."""
        rows = len(self.truth)
        index = CropIndex((), (), self.unit, self.unit * 0)
        return Objects(self.truth, index, ~self.truth.crowd, np.arange(rows), np.ones(rows))

    def matches(self) -> list[Matches]:
        """Return the match tables of the reference and of the crops, model by model."""
        crops = len(self.unit)
        return [match(self.truth, table, images=crops, categories=CATEGORY_IDS) for table in self.detected]


def simulate(
    world: World, images: int, rng: np.random.Generator, models: Sequence[tuple[float, float]] = ((0.0, 0.0),)
) -> Scene:
    """Draw ``images`` source images with their crops.

    ``models``: what each finds less strongly everywhere, and in crops alone; the tables of one come after another's.
    """
    unit = np.repeat(np.arange(images), CROPS)
    crops = len(unit)
    shown = rng.choice(CATEGORIES, p=world.frequency, size=(images, 3))
    image_ease = rng.normal(0, 0.5, images)
    crop_cost = rng.normal(0, 0.25, crops)

    image = np.repeat(np.arange(crops), rng.negative_binomial(2, 2 / (2 + OBJECTS), size=crops))
    count = len(image)
    source = unit[image]
    category = shown[source, rng.integers(3, size=count)]
    size = np.clip(np.exp(rng.normal(3.6, 0.5, (count, 2))), 8, 120)
    corner = rng.random((count, 2)) * (np.array([WIDTH, HEIGHT]) - size)
    boxes = np.concatenate([corner, corner + size], axis=1)
    none = np.zeros(count, dtype=bool)
    truth = Truth(image, category, boxes, size.prod(axis=1), none, none)

    ease = world.skill[category] + image_ease[source] + rng.normal(0, 0.6, count)
    wobble = rng.normal(0, 1, (count, 4))
    false = _false_positives(rng, shown[unit], FALSE_BOTH, world)
    tables = []
    crop_penalty = world.penalty[category] + crop_cost[image]
    for cost in (
        each for less, in_crops in models for each in (less + np.zeros(count), less + in_crops + crop_penalty)
    ):
        strength = ease - cost + rng.normal(0, 0.35, count)
        found = np.flatnonzero(strength > -0.3)
        loose = 0.055 * np.exp(-0.45 * strength[found])[:, None] * np.tile(size[found], 2)
        near = boxes[found] + loose * (0.85 * wobble[found] + 0.53 * rng.normal(0, 1, (len(found), 4)))
        score = _squashed(1.2 * strength[found] + rng.normal(0, 0.6, len(found)))
        twice = np.flatnonzero(rng.random(len(found)) < 0.12)
        second = near[twice] + 0.15 * rng.normal(0, 1, (len(twice), 4)) * np.tile(size[found[twice]], 2)
        own = _false_positives(rng, shown[unit], FALSE_OWN, world)
        shaken = _squashed(false[3] + rng.normal(0, 0.4, len(false[3])))
        parts = [
            (image[found], category[found], near, score),
            (image[found[twice]], category[found[twice]], second, score[twice] * 0.7),
            (false[0], false[1], false[2], shaken),
            (own[0], own[1], own[2], _squashed(own[3])),
        ]
        columns = [np.concatenate(each) for each in zip(*parts, strict=True)]
        columns[2][:, 2:] = np.maximum(columns[2][:, 2:], columns[2][:, :2] + 1)
        order = np.argsort(columns[0], kind="stable")
        tables.append(Detected(*(column[order] for column in columns)))
    return Scene(truth, tuple(tables), unit)


def _false_positives(
    rng: np.random.Generator, shown: Ints, mean: float, world: World
) -> tuple[Ints, Ints, Floats, Floats]:
    """Return image, category, box and raw score; two of three are of a category that the image shows."""
    image = np.repeat(np.arange(len(shown)), rng.poisson(mean, len(shown)))
    here = shown[image, rng.integers(3, size=len(image))]
    anywhere = rng.choice(CATEGORIES, p=world.frequency, size=len(image))
    size = np.clip(np.exp(rng.normal(3.6, 0.5, (len(image), 2))), 8, 120)
    corner = rng.random((len(image), 2)) * (np.array([WIDTH, HEIGHT]) - size)
    category = np.where(rng.random(len(image)) < 2 / 3, here, anywhere)
    return image, category, np.concatenate([corner, corner + size], axis=1), rng.normal(-1.6, 0.9, len(image))


def _squashed(values: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-values))


def population(world: World, images: int, sets: int) -> tuple[Floats, Floats, float]:
    """Return (2, K) AP of either rendering on the whole population, the error of each drop, and of the mean drop."""
    values = []
    for number in range(sets):
        tables = simulate(world, images, np.random.default_rng([SEED, 1, number])).matches()
        values.append([average_precision(table).per_category for table in tables])
    every = np.array(values)
    drops = every[:, 0] - every[:, 1]
    error = drops.std(axis=0, ddof=1) / math.sqrt(sets)
    return every.mean(axis=0), error, float(drops.mean(axis=1).std(ddof=1) / math.sqrt(sets))


@dataclass(frozen=True)
class Seen:
    """What a run saw on some images: kept categories, drop, its bounds, and the sd of the drop's replicates."""

    images: int
    kept: tuple[int, ...]
    drop: float
    low: float
    high: float
    error: float

    def truth(self, drops: Floats) -> float:
        """Return the population's drop over the categories that this run kept."""
        return float(drops[list(self.kept)].mean())


@dataclass(frozen=True)
class Repetition:
    """Runs on the first images of one draw: one for each number in ``FIXED``, and the looks of one that may stop."""

    fixed: dict[int, Seen]
    looks: tuple[Seen, ...]


@lru_cache
def levels_of(points: tuple[int, ...], looks: str) -> list[float]:
    """Return the level of the bounds at each look."""
    return look_levels(points, LEVEL, DESIGNS[looks].spend)


@lru_cache
def resolved_of(points: tuple[int, ...], looks: str) -> tuple[int, ...]:
    """Return the looks that a run takes."""
    design = DESIGNS[looks]
    return tuple(resolved_points(points, LEVEL, design)) if design.resolved else points


def _seen(images: int, tables: list[Matches], kept: list[int], found: Replicates, some: int, level: float) -> Seen:
    mask = np.isin(CATEGORY_IDS, kept)
    point = [average_precision(table).mean(categories=mask) for table in tables]
    singles = found.singles[0][:, :some, [found.apart.index(key) for key in kept]]
    defined = ~np.isnan(singles).any(axis=0)
    total = np.where(defined, singles, 0.0).sum(axis=2)
    means = total / np.where(defined.any(axis=1), defined.sum(axis=1), np.nan)
    drops = means[0] - means[1]
    low, high = percentile_bounds(drops, level)
    return Seen(images, tuple(kept), point[0] - point[1], low, high, float(np.nanstd(drops)))


def repetition(world: World, largest: int, fixed: Sequence[int], number: int, looks: str = "auto") -> Repetition:
    """Return what runs on the first ``fixed`` images saw, and each look of one run on all ``largest``."""
    scene = simulate(world, largest, np.random.default_rng([SEED, 2, largest, number]))
    everything = scene.objects
    kept_by_all = kept_categories(everything, CATEGORY_IDS)
    points = resolved_of(
        tuple(
            point
            for point in look_points(largest, DESIGNS[looks])
            if point == largest or enough_categories(everything, everything.unit < point, kept_by_all)
        ),
        looks,
    )
    levels = dict(zip(points, levels_of(points, looks), strict=True))
    runs, seen = {}, []
    for images in sorted({*fixed, *points}):
        part = scene.first(images)
        tables = part.matches()
        kept = kept_categories(part.objects, CATEGORY_IDS)
        found = resample(
            tables,
            part.unit,
            replicates=LOOK_REPLICATES if images in levels else REPLICATES,
            seed=number,
            apart=sorted({*kept, *(kept_by_all if images in levels else ())}),
            categories=np.isin(CATEGORY_IDS, kept),
        )
        if images in fixed:
            runs[images] = _seen(images, tables, kept, found, REPLICATES, LEVEL)
        if images in levels:
            seen.append(_seen(images, tables, kept_by_all, found, LOOK_REPLICATES, levels[images]))
    return Repetition(runs, tuple(seen))


def verdict(seen: Seen, limit: float) -> str:
    """Return what a gate with this limit says."""
    return Measure("drop", seen.drop, seen.low, seen.high).judge(limit).outcome


def stop(looks: Sequence[Seen], limit: float) -> tuple[str, int]:
    """Return the verdict of a run that looks, and after how many images it has it."""
    for seen in looks[:-1]:
        outcome = verdict(seen, limit)
        if outcome != "undecided":
            return outcome, seen.images
    return verdict(looks[-1], limit), looks[-1].images


def interval(share: float, count: int) -> tuple[float, float]:
    """Return the 99 % interval (Wilson) of a share that was seen in ``count`` repetitions."""
    z = NormalDist().inv_cdf(0.995)
    middle, width = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return (middle - width) / (1 + z * z / count), (middle + width) / (1 + z * z / count)


def cell(share: float, count: int, demand: tuple[float, float]) -> str:
    """Return a share in percent with its 99 % interval, marked where the interval misses what is demanded."""
    low, high = interval(share, count)
    missed = "" if low <= demand[1] and high >= demand[0] else " **misses**"
    return f"{share:.1%} ({low:.1%} to {high:.1%}){missed}"


COVERAGE, WRONG = (0.92, 0.98), (0.0, 0.07)


def fixed_table(repetitions: Sequence[Repetition], drops: Floats) -> Iterator[str]:
    """Yield the table of runs on a fixed number of images."""
    yield (
        "| images | categories in the mean | drop | sd of drop | standard error / sd | bias | lower bound covers "
        "| upper bound covers | wrong passes at the limit | wrong fails at the limit |"
    )
    yield "|" + " ---: |" * 10
    count = len(repetitions)
    for images in FIXED:
        runs = [each.fixed[images] for each in repetitions]
        truth = np.array([run.truth(drops) for run in runs])
        apart = np.array([run.drop for run in runs]) - truth
        outcomes = [verdict(run, limit) for run, limit in zip(runs, truth, strict=True)]
        covered = [np.array([run.low for run in runs]) <= truth, np.array([run.high for run in runs]) >= truth]
        error = float(np.mean([run.error for run in runs]))
        numbers = [
            f"{images}",
            f"{np.mean([len(run.kept) for run in runs]):.1f}",
            f"{truth.mean():.3f}",
            f"{apart.std():.4f}",
            f"{error / apart.std():.2f}",
            f"{apart.mean():+.4f}",
            *(cell(float(each.mean()), count, COVERAGE) for each in covered),
            *(cell(outcomes.count(wrong) / count, count, WRONG) for wrong in ("pass", "fail")),
        ]
        yield f"| {' | '.join(numbers)} |"


def looks_table(repetitions: Sequence[Repetition], drops: Floats) -> Iterator[str]:
    """Yield the rows of runs that look, with the limit at the population's drop and at some distance from it."""
    count = len(repetitions)
    for distance in (0.0, *(sign * each for each in DISTANCES for sign in (-1, 1))):
        ends = []
        for each in repetitions:
            limit = each.looks[-1].truth(drops) + distance
            at_end = "undecided" if distance == 0 else verdict(each.looks[-1], limit)
            ends.append((*stop(each.looks, limit), at_end))
        outcomes = [outcome for outcome, _, _ in ends]
        largest = repetitions[0].looks[-1].images
        spared = 1 - float(np.mean([images for _, images, _ in ends])) / largest
        passes, fails, open_ = (outcomes.count(name) / count for name in ("pass", "fail", "undecided"))
        wrong = [cell(passes, count, WRONG), cell(fails, count, WRONG)]
        if distance:
            wrong = [f"{passes:.1%}", f"{fails:.1%}"]
        yield f"| {largest} | {count} | {distance:+.2f} | {wrong[0]} | {wrong[1]} | {open_:.1%} | {spared:.0%} |"


def one_object_an_image(sets: int = 200, images: int = 100) -> Iterator[str]:
    """Yield how the bootstrap's standard error of AP compares with sqrt(p (1 - p) / n), by share found."""
    for share in (0.3, 0.5, 0.8):
        ratios = []
        for number in range(sets):
            rng = np.random.default_rng([SEED, 3, number])
            some = np.sort(rng.permutation(images)[: round(share * images)])
            boxes = np.tile([0.0, 0.0, 10.0, 10.0], (images, 1))
            none = np.zeros(images, dtype=bool)
            truth = Truth(np.arange(images), np.ones(images, np.int64), boxes, np.full(images, 100.0), none, none)
            found = Detected(some, np.ones(len(some), np.int64), boxes[some], np.full(len(some), 0.5))
            table = match(truth, found, images=images, categories=[1])
            means = resample([table], np.arange(images), replicates=REPLICATES, seed=number).mean()[0]
            ratios.append(means.std() / math.sqrt(share * (1 - share) / images))
        yield f"| {share} | {images} | {np.mean(ratios):.3f} |"


def report(repetitions: int, jobs: int, looks: str) -> Iterator[str]:
    """Yield the lines of docs/coverage.md that are measured."""
    begun = time.perf_counter()
    world = World.make()
    values, errors, error = population(world, POPULATION_IMAGES, POPULATION_SETS)
    drops = values[0] - values[1]
    rarity = np.corrcoef(drops, np.arange(CATEGORIES))[0, 1]
    yield (
        f"Population, {POPULATION_SETS} sets of {POPULATION_IMAGES:,} images: mAP {values[0].mean():.3f} in the "
        f"reference, {values[1].mean():.3f} in the crops, drop {drops.mean():.4f} (known to {error:.4f}); drops of the "
        f"{CATEGORIES} categories from {drops.min():.3f} to {drops.max():.3f}, sd {drops.std(ddof=1):.3f} (each known "
        f"to {errors.max():.3f} or better), correlation with rarity {rarity:.2f}."
    )
    with ProcessPoolExecutor(jobs) as pool:
        near = partial(repetition, world, max(FIXED), FIXED if looks == "auto" else (), looks=looks)
        far = partial(repetition, world, FAR, (), looks=looks)
        some = list(_done(pool, near, repetitions))
        others = list(_done(pool, far, max(2, repetitions // FAR_SHARE)))
    if looks == "auto":
        yield f"\nRuns on a fixed number of images, {repetitions:,} repetitions:\n"
        yield from fixed_table(some, drops)
    yield f"\nRuns that look (`--cropdet-looks {looks}`):\n"
    yield "| images | repetitions | limit - drop | passes | fails | undecided at the end | calls spared |"
    yield "|" + " ---: |" * 7
    yield from looks_table(some, drops)
    yield from looks_table(others, drops)
    if looks == "auto":
        yield from standard_error_table()
    minutes = (time.perf_counter() - begun) / 60
    yield f"\n({minutes:.0f} minutes with {jobs} process{'es' if jobs > 1 else ''}, seed {SEED})"


def standard_error_table() -> Iterator[str]:
    """Yield the table of the bootstrap's standard error."""
    yield "\nStandard error of the bootstrap, one category, one object an image, no false positives:\n"
    yield "| share found p | images n | standard error / sqrt(p (1 - p) / n) |"
    yield "|" + " ---: |" * 3
    yield from one_object_an_image()


def _done(pool: ProcessPoolExecutor, task: Callable[[int], Repetition], count: int) -> Iterator[Repetition]:
    """Yield the repetitions in order, with a line of progress now and then."""
    begun = time.perf_counter()
    for number, each in enumerate(pool.map(task, range(count), chunksize=5), 1):
        if number % max(1, count // 20) == 0:
            print(f"{number} of {count}, {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        yield each


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="100 repetitions")
    parser.add_argument("--looks", choices=sorted(DESIGNS), default="auto", help="often: only runs that look so")
    asked = parser.parse_args()
    for line in report(100 if asked.quick else asked.repetitions, asked.jobs, asked.looks):
        print(line, flush=True)


if __name__ == "__main__":
    main()
