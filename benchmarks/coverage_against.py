"""Do the bounds of a comparison cover what they say? Two simulated detectors whose difference is known, compared again.

python benchmarks/coverage_against.py              # the table of docs/coverage.md, in about 15 minutes of one core
python benchmarks/coverage_against.py --jobs 2     # the same numbers, on two cores
python benchmarks/coverage_against.py --quick      # 60 repetitions

The world is that of ``coverage.py``. Both detectors see the same images: how easy an image and an object are is common
to both, chance of their own comes on top. The new one is a little weaker everywhere, and weaker still in crops. From
the matching on, everything is the package's own code.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from coverage import (
    CATEGORY_IDS,
    COVERAGE,
    FIXED,
    LEVEL,
    POPULATION_IMAGES,
    POPULATION_SETS,
    REPLICATES,
    SEED,
    WRONG,
    World,
    cell,
    simulate,
)

from pytest_cropdet.evaluation import average_precision, kept_categories, percentile_bounds, resample
from pytest_cropdet.evaluation.measure import Measure
from pytest_cropdet.geometry import Floats

MODELS = ((0.0, 0.0), (0.05, 0.10))  # old, new
# Of AP in the order old whole, old crop, new whole, new crop:
CHANGES = {"worse": (0, 1, 0, -1), "drop_worse": (-1, 1, 1, -1)}


@dataclass(frozen=True)
class Seen:
    """What a comparison saw: the categories it kept, and value, low, high of each change."""

    kept: tuple[int, ...]
    changes: dict[str, tuple[float, float, float, float]]


def population(world: World) -> Floats:
    """Return (sets, 4, K) AP of both models in both renderings, on large sets."""
    values = []
    for number in range(POPULATION_SETS):
        rng = np.random.default_rng([SEED, 5, number])
        tables = simulate(world, POPULATION_IMAGES, rng, MODELS).matches()
        values.append([average_precision(table).per_category for table in tables])
    return np.array(values)


def comparison(world: World, number: int) -> dict[int, Seen]:
    """Return what comparisons on the first images of one draw saw."""
    scene, found = simulate(world, max(FIXED), np.random.default_rng([SEED, 6, number]), MODELS), {}
    for images in FIXED:
        part = scene.first(images)
        tables = part.matches()
        kept = kept_categories(part.objects, CATEGORY_IDS)
        mask = np.isin(CATEGORY_IDS, kept)
        drawn = resample(tables, part.unit, replicates=REPLICATES, seed=number, categories=mask).mean()
        point = np.array([average_precision(table).mean(categories=mask) for table in tables])
        changes = {}
        for name, signs in CHANGES.items():
            replicates = np.array(signs) @ drawn
            low, high = percentile_bounds(replicates, LEVEL)
            changes[name] = (float(np.array(signs) @ point), low, high, float(replicates.std()))
        found[images] = Seen(tuple(kept), changes)
    return found


def rows(repetitions: Sequence[dict[int, Seen]], values: Floats) -> Iterator[str]:
    """Yield the table."""
    yield (
        "| change | images | true | sd | standard error / sd | bias | lower bound covers | upper bound covers "
        "| wrong passes at the limit | wrong fails at the limit |"
    )
    yield "| :--- |" + " ---: |" * 9
    count = len(repetitions)
    for name, signs in CHANGES.items():
        by_category = np.array(signs) @ values
        for images in FIXED:
            runs = [each[images] for each in repetitions]
            truth = np.array([by_category[list(run.kept)].mean() for run in runs])
            value, low, high, error = np.array([run.changes[name] for run in runs]).T
            outcomes = [
                Measure(name, *each).judge(limit).outcome
                for each, limit in zip(zip(value, low, high, strict=True), truth, strict=True)
            ]
            apart = value - truth
            numbers = [
                name,
                f"{images}",
                f"{truth.mean():.3f}",
                f"{apart.std():.4f}",
                f"{error.mean() / apart.std():.2f}",
                f"{apart.mean():+.4f}",
                *(cell(float(each.mean()), count, COVERAGE) for each in (low <= truth, high >= truth)),
                *(cell(outcomes.count(wrong) / count, count, WRONG) for wrong in ("pass", "fail")),
            ]
            yield f"| {' | '.join(numbers)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="60 repetitions")
    asked = parser.parse_args()
    begun, world = time.perf_counter(), World.make()
    every = population(world)
    values = every.mean(axis=0)
    worse = np.array(CHANGES["worse"]) @ every.mean(axis=2).T
    print(
        f"Population: mAP on crops {values[1].mean():.3f} of the old model, {values[3].mean():.3f} of the new one, a "
        f"fall of {worse.mean():.4f} (known to {worse.std(ddof=1) / np.sqrt(len(worse)):.4f}); on whole images "
        f"{values[0].mean():.3f} and {values[2].mean():.3f}.\n",
        flush=True,
    )
    count, found = 60 if asked.quick else asked.repetitions, []
    with ProcessPoolExecutor(asked.jobs) as pool:
        for number, each in enumerate(pool.map(partial(comparison, world), range(count), chunksize=5), 1):
            found.append(each)
            if number % max(1, count // 20) == 0:
                print(f"{number} of {count}, {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    for line in rows(found, values):
        print(line)
    print(f"\n({(time.perf_counter() - begun) / 60:.0f} minutes with {asked.jobs} processes, seed {SEED})")


if __name__ == "__main__":
    main()
