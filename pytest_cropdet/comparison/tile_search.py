"""Which tiles: a grid of sizes, overlaps and merges, measured on the same images; hopeless ones stop early.

The cells are compared on one half of the images. What the advice says is then measured on the other half, on which
nothing was chosen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_cropdet.comparison.sliced_gain import SlicedGain, WholeAnswers, detect_whole, measure_gain
from pytest_cropdet.crops import shuffled
from pytest_cropdet.data import Dataset, Sample
from pytest_cropdet.detectors import Windowed
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import bounds_of, digits
from pytest_cropdet.inference import Cache

__all__ = ["TileCell", "TileSearch", "search_tiles"]

_FIRST_LOOK = 25  # images after which hopeless cells stop; then twice as many, and so on
_LEAST_IMAGES = 20  # in each half
_HOPELESS = 0.99  # level of the bound on how much a cell is worse than the best, for it to stop


@dataclass(frozen=True, eq=False)
class TileCell:
    """One way to slice: its gain on the images it was measured on, and whether it stopped before the others."""

    sliced: Windowed
    gain: SlicedGain
    stopped: bool

    @property
    def ap(self) -> float:
        """AP of sliced inference, 0 to 1."""
        return self.gain.ap["all"][1]


@dataclass(frozen=True, eq=False)
class TileSearch:
    """All cells on the first half, and the advised ones on the second.

    ``cells``: by falling AP, those that stopped last. ``advised``: measured on the second half; the first of them is
    the advice, the others need fewer calls and cannot be distinguished from it.
    """

    images: int
    cells: Sequence[TileCell]
    advised: Sequence[SlicedGain]
    whole_ap: float

    @property
    def front(self) -> list[TileCell]:
        """The Pareto front: cells than which none has more AP for as many calls or fewer."""
        kept = [each for each in self.cells if not each.stopped]
        return [
            one
            for one in kept
            if not any(
                (other.ap > one.ap and other.gain.calls <= one.gain.calls)
                or (other.ap == one.ap and other.gain.calls < one.gain.calls)
                for other in kept
            )
        ]

    @property
    def advice(self) -> str:
        """The advice in one sentence, with how sure it is."""
        first, *cheaper = self.advised
        gain = first.gain["all"]
        numbers = f"{_signed(gain.value)} mAP [{_signed(gain.low)}, {_signed(gain.high)}]"
        if gain.low is None or gain.low <= 0:
            return (
                f"No tiling is surely better than one pass over the whole image: the best, {first.name}, has {numbers} "
                f"for {first.calls:.1f} calls per image."
            )
        text = f"{first.name}: {numbers} for {first.calls:.1f} calls per image"
        others = "; ".join(f"{each.name} cannot be distinguished from it at {each.calls:.1f} calls" for each in cheaper)
        return f"{text}; {others}." if others else f"{text}."

    def to_dict(self) -> dict[str, Any]:
        """Return the search as built-in values."""
        return {
            "images": self.images,
            "whole_ap": self.whole_ap,
            "cells": [{**cell.gain.to_dict(), "stopped": cell.stopped} for cell in self.cells],
            "front": [cell.gain.name for cell in self.front],
            "advised": [each.to_dict() for each in self.advised],
            "advice": self.advice,
        }


def _signed(value: float | None) -> str:
    return digits(value) if value is None or digits(value).startswith("-") else f"+{digits(value)}"


def search_tiles(
    cells: Sequence[Windowed],
    dataset: Dataset,
    samples: Sequence[Sample],
    cache: Cache | None = None,
    seed: int = 0,
    replicates: int = 1000,
    say: Callable[[str], None] = lambda line: None,
) -> TileSearch:
    """Return how ways to slice compare on a data set; all slice the same detector.

    ``samples``: the images to use, at least 40. ``say`` is given a line of progress after each look.
    """
    if not cells:
        raise SpecError("no tiles to compare: give at least one size and one overlap")
    ordered = shuffled(samples, seed)
    half = len(ordered) // 2
    if half < _LEAST_IMAGES:
        raise SpecError(f"{len(ordered)} images are too few to choose tiles: at least {2 * _LEAST_IMAGES} are needed")
    choosing, reporting = ordered[:half], ordered[half:]
    inner = cells[0].inner

    alive, stopped, count = list(cells), list[TileCell](), min(_FIRST_LOOK, half)
    while True:
        part = choosing[:count]
        whole = detect_whole(inner, dataset, part, cache)
        found = [_cell(each, dataset, part, whole, cache, replicates, seed) for each in alive]
        best = max(found, key=lambda cell: cell.ap)
        hopeless = [cell for cell in found if cell is not best and _is_worse(cell, best)] if count < half else []
        say(f"{count} of {half} images: {len(alive)} ways to slice, {len(hopeless)} of them stop here")
        stopped += [TileCell(cell.sliced, cell.gain, True) for cell in hopeless]
        alive = [cell.sliced for cell in found if cell not in hopeless]
        if count == half:
            break
        count = min(2 * count, half)
    kept = sorted(found, key=lambda cell: (-cell.ap, cell.gain.calls))
    first, candidates = kept[0], [cell for cell in kept[1:] if cell.gain.calls < kept[0].gain.calls]
    say(f"measuring the advice on the other {len(reporting)} images")
    whole = detect_whole(inner, dataset, reporting, cache)
    chosen = _cell(first.sliced, dataset, reporting, whole, cache, replicates, seed)
    equal = [_cell(each.sliced, dataset, reporting, whole, cache, replicates, seed) for each in _cheap(candidates)]
    advised = [chosen.gain, *(cell.gain for cell in equal if not _is_worse(cell, chosen, 0.95))]
    cells_by_ap = [*kept, *sorted(stopped, key=lambda cell: -cell.ap)]
    return TileSearch(len(ordered), cells_by_ap, advised, chosen.gain.ap["all"][0])


def _cell(
    sliced: Windowed,
    dataset: Dataset,
    samples: Sequence[Sample],
    whole: WholeAnswers,
    cache: Cache | None,
    replicates: int,
    seed: int,
) -> TileCell:
    cut = detect_whole(sliced, dataset, samples, cache)
    return TileCell(sliced, measure_gain(sliced, cut, whole, replicates, seed), False)


def _is_worse(cell: TileCell, best: TileCell, level: float = _HOPELESS) -> bool:
    """Return whether a cell is surely worse, by the paired difference in the same resamples."""
    differences = cell.gain.draws - best.gain.draws
    high = bounds_of(differences, level)[1]
    return high is not None and high < 0


def _cheap(candidates: Sequence[TileCell]) -> list[TileCell]:
    """Return for each number of calls the cell with the highest AP, at most three, the cheapest first."""
    best: dict[float, TileCell] = {}
    for cell in candidates:  # by falling AP
        best.setdefault(cell.gain.calls, cell)
    return [best[calls] for calls in sorted(best)][:3]
