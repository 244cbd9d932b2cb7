"""When to look, and how to spend the error: expected calls of several designs, against one look at the end.

python benchmarks/looks.py                  # the tables of docs/coverage.md, in about a minute
python benchmarks/looks.py --images 5000    # of a larger data set

Numbers are integrals, not draws. The score of a run on a share t of its images is a Brownian motion with drift d, where
d is the distance from the limit to the true drop in standard errors of the whole run. A run fails where the score
crosses the upper boundary of a look, passes where it crosses the lower one, and is undecided if it does neither to the
end. That is the world of large samples; what early looks of few images do is for benchmarks/coverage.py to say.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from pytest_cropdet.gate.early_stopping import DESIGNS, FIRST, LOOK_REPLICATES, RESOLVED, resolved_points

ALPHA, POWER = 0.05, 0.9
DISTANCES = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)  # standard errors of the whole run
GRID, REACH = 2001, 14.0
NORMAL = NormalDist()
Spending = Callable[[float], float]
Floats = np.ndarray


def pocock(share: float) -> float:
    """Return the error spent at a share of the images by ``--cropdet-looks auto``."""
    return ALPHA * DESIGNS["auto"].spend(share)


def often(share: float) -> float:
    """Return the error spent by ``--cropdet-looks often``: 6 % of it at once, the rest in proportion to the images."""
    return ALPHA * DESIGNS["often"].spend(share)


def obrien_fleming(share: float) -> float:
    """Return the error spent by Lan and DeMets' function that resembles O'Brien and Fleming's boundaries."""
    return 2 - 2 * NORMAL.cdf(NORMAL.inv_cdf(1 - ALPHA / 2) / math.sqrt(share))


def linear(share: float) -> float:
    """Return the error spent in proportion to the images."""
    return ALPHA * share


def power_of(exponent: float) -> Spending:
    """Return the spending function of Kim and DeMets with this exponent."""
    return lambda share: ALPHA * share**exponent


@dataclass(frozen=True)
class Design:
    """Looks from 50 images on, each ``factor`` times later than the one before, and how the error is spent.

    ``futility``: a run ends undecided when the chance of a later verdict, if the drop is what it was found to be, is
    below this. It only ever stops a run that has no verdict, so it adds no wrong one. ``resolved``: looks whose level
    the replicates cannot show are left out.
    """

    name: str
    factor: float
    spend: Spending
    futility: float = 0.0
    resolved: bool = False

    def points(self, images: int) -> list[int]:
        """Return after how many images it looks."""
        points, point = [], float(FIRST)
        while math.isfinite(self.factor) and round(point) < images:
            points.append(round(point))
            point *= self.factor
        points.append(images)
        return resolved_points(points, 1 - ALPHA, DESIGNS["often"]) if self.resolved else points


FIXED = Design("one look, at the end", math.inf, pocock)
COMPARED = (
    Design("Pocock, doubling (`--cropdet-looks auto`)", 2.0, pocock),
    Design("Pocock, factor 1.5", 1.5, pocock),
    Design("Pocock, factor 1.25", 1.25, pocock),
    Design("linear spending, doubling", 2.0, linear),
    Design("linear spending, factor 1.5", 1.5, linear),
    Design("linear spending, factor 1.25", 1.25, linear),
    Design("6 % at once, the rest linear, factor 1.5", 1.5, often),
    Design("6 % at once, the rest linear, factor 1.25 (`--cropdet-looks often`)", 1.25, often, resolved=True),
    Design("spending t^1.5, factor 1.25", 1.25, power_of(1.5)),
    Design("O'Brien-Fleming, doubling", 2.0, obrien_fleming),
    Design("O'Brien-Fleming, factor 1.25", 1.25, obrien_fleming),
    Design("double triangular (Pocock, doubling, futile below 5 %)", 2.0, pocock, 0.05),
    Design("double triangular (Pocock, factor 1.25, futile below 5 %)", 1.25, pocock, 0.05),
)


@dataclass(frozen=True)
class Looks:
    """The score's density on runs that are still going, without drift, at each look; and what stops there."""

    images: int
    shares: tuple[float, ...]
    grid: Floats
    density: tuple[Floats, ...]
    boundary: tuple[float, ...]
    futile: tuple[float, ...]
    """Below this distance from 0 the run ends undecided."""

    def ends(self, drift: float) -> tuple[float, float, float, float, float]:
        """Return the chances of a right, a wrong and no verdict, the share of images and the scoring, at a drift.

        Scoring is in runs: what all looks together score, as a multiple of all images.
        """
        width = self.grid[1] - self.grid[0]
        right = wrong = neither = images = scored = so_far = 0.0
        for share, density, boundary, futile in zip(self.shares, self.density, self.boundary, self.futile, strict=True):
            mass = density * np.exp(drift * self.grid - drift * drift * share / 2) * width
            over, under = share_above(self.grid, mass, boundary), share_above(-self.grid[::-1], mass[::-1], boundary)
            beyond = share_above(self.grid, mass, futile) + share_above(-self.grid[::-1], mass[::-1], futile)
            quiet = float(mass.sum()) - (over + under if share == 1 else beyond if futile else float(mass.sum()))
            right, wrong, neither = right + over, wrong + under, neither + quiet
            so_far += share
            images += share * (over + under + quiet)
            scored += so_far * (over + under + quiet)
        return right, wrong, neither, images, scored


def share_above(grid: Floats, mass: Floats, place: float) -> float:
    """Return the mass above a place."""
    above = np.cumsum(mass[::-1])[::-1] - mass / 2
    return float(np.interp(place, grid, above))


def kept_share(grid: Floats, boundary: float, futile: float) -> Floats:
    """Return which part of each cell of the grid goes on: all, none, or some of it at a border."""
    width = grid[1] - grid[0]
    inside = np.clip((boundary - np.abs(grid)) / width + 0.5, 0, 1)
    return inside * (np.clip((np.abs(grid) - futile) / width + 0.5, 0, 1) if futile > 0 else 1.0)


def work_out(design: Design, images: int) -> Looks:
    """Return the looks of a design on so many images.

    The upper boundary spends the error of the upper side alone, as the package's bounds do.
    """
    points = design.points(images)
    shares = [point / images for point in points]
    grid = np.linspace(-REACH, REACH, GRID)
    width = grid[1] - grid[0]
    one_side: Floats | None = None  # runs that the upper boundary alone has not stopped: it sets the boundary
    both: Floats | None = None
    before = spent = 0.0
    densities, boundaries, futiles = [], [], []
    for share in shares:
        step = math.sqrt(share - before)
        if one_side is None or both is None:
            one_side = both = np.exp(-0.5 * (grid / step) ** 2) / (step * math.sqrt(2 * math.pi))
        else:
            kernel = np.exp(-0.5 * ((grid[:, None] - grid[None, :]) / step) ** 2) / (step * math.sqrt(2 * math.pi))
            one_side, both = kernel @ one_side * width, kernel @ both * width
        above = np.cumsum(one_side[::-1] * width)[::-1] - one_side * width / 2
        boundary = float(np.interp(-(design.spend(share) - spent), -above, grid))
        futile = futile_below(design, share)
        densities.append(both)
        boundaries.append(boundary)
        futiles.append(futile)
        one_side = one_side * np.clip((boundary - grid) / width + 0.5, 0, 1)
        both = both * kept_share(grid, boundary, futile)
        before, spent = share, design.spend(share)
    return Looks(images, tuple(shares), grid, tuple(densities), tuple(boundaries), tuple(futiles))


def futile_below(design: Design, share: float) -> float:
    """Return the score below which, going on at the rate found, the bound of one look at the end is met too seldom.

    The design's own last bound lies higher, so this stops fewer runs than it might.
    """
    if not design.futility or share == 1:
        return 0.0
    last = NORMAL.inv_cdf(1 - ALPHA)
    return max(0.0, (last - math.sqrt(1 - share) * NORMAL.inv_cdf(1 - design.futility)) * share)


def inflation(design: Design, images: int) -> float:
    """Return how many times the images of one look a design needs at most for the same power."""
    drift = NORMAL.inv_cdf(1 - ALPHA) + NORMAL.inv_cdf(POWER)
    low, high = 1.0, 2.0
    for _ in range(14):
        middle = (low + high) / 2
        right = work_out(design, round(images * middle)).ends(drift * math.sqrt(round(images * middle) / images))[0]
        low, high = (middle, high) if right < POWER else (low, middle)
    return high


def unresolved(looks: Looks) -> int:
    """Return at how many looks fewer than ten of the package's replicates lie beyond the bound."""
    levels = [1 - NORMAL.cdf(edge / math.sqrt(share)) for edge, share in zip(looks.boundary, looks.shares, strict=True)]
    return sum(level * LOOK_REPLICATES < RESOLVED for level in levels)


def report(images: int) -> Iterator[str]:
    """Yield the tables."""
    yield f"{images:,} images; a verdict on the same images as one look at the end has:\n"
    yield (
        "| design | looks | out of reach | wrong verdicts of a side at the limit | "
        + " | ".join(f"decided at {each:.0f}" for each in DISTANCES[1:])
        + " |"
    )
    yield "|:---|" + " ---: |" * (3 + len(DISTANCES[1:]))
    found = {design: work_out(design, images) for design in (FIXED, *COMPARED)}
    for design, looks in found.items():
        ends = {drift: looks.ends(drift) for drift in DISTANCES}
        decided = " | ".join(f"{ends[drift][0]:.1%}" for drift in DISTANCES[1:])
        yield f"| {design.name} | {len(looks.shares)} | {unresolved(looks)} | {ends[0.0][0]:.1%} | {decided} |"
    yield "\nCalls, as a share of the whole run's:\n"
    yield "| design | " + " | ".join(f"at {each:.0f}" for each in DISTANCES) + " |"
    yield "|:---|" + " ---: |" * len(DISTANCES)
    for design, looks in found.items():
        yield f"| {design.name} | {' | '.join(f'{looks.ends(drift)[3]:.0%}' for drift in DISTANCES)} |"
    drift = NORMAL.inv_cdf(1 - ALPHA) + NORMAL.inv_cdf(POWER)
    yield "\nScoring, as a multiple of one look at the end:\n"
    yield "| design | " + " | ".join(f"at {each:.0f}" for each in DISTANCES) + " |"
    yield "|:---|" + " ---: |" * len(DISTANCES)
    for design, looks in found.items():
        yield f"| {design.name} | {' | '.join(f'{looks.ends(drift)[4]:.2f}' for drift in DISTANCES)} |"
    yield (
        f"\nAt equal power ({POWER:.0%} at a distance of {drift:.2f} standard errors of a fixed run): images needed at "
        "most and calls expected, relative to the fixed run:\n"
    )
    yield "| design | at most | at the limit | at half the distance | at the distance | at 1.5 times | at twice |"
    yield "|:---|" + " ---: |" * 6
    for design in COMPARED:
        most = inflation(design, images)
        looks = work_out(design, round(images * most))
        calls = [looks.ends(times * drift * math.sqrt(most))[3] * most for times in (0.0, 0.5, 1.0, 1.5, 2.0)]
        yield f"| {design.name} | {most:.2f} | {' | '.join(f'{each:.2f}' for each in calls)} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=800)
    for line in report(parser.parse_args().images):
        print(line, flush=True)


if __name__ == "__main__":
    main()
