"""The recipe that draws windows as a failed gate does: the same families and severities, another stream of numbers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_cropdet.augment.draws import MILLION, Draws, Whole
from pytest_cropdet.augment.recipes import (
    ACROSS,
    DOWN,
    EDGE,
    FAMILY,
    SHARE,
    Box,
    Range,
    Window,
    check_odds,
    millionths,
    placed,
    side_of,
)
from pytest_cropdet.crops import FAMILIES, Family, is_own, parse_spec
from pytest_cropdet.errors import DataError, SpecError

__all__ = ["Matched"]


@dataclass(frozen=True)
class Matched:
    """Windows of the families and severities of a failed gate, such as ``random:keep=0.3-0.9`` (``a+b``: one, drawn).

    They are drawn from another stream than the gate's. ``gated``: the gated data set, or the ids of its samples, which
    are then refused, because who trains on the gate's images has no gate any more; ``per_image`` has no meaning here.
    Where one of the families follows the objects, a sample without any is left alone.
    """

    spec: str
    gated: Iterable[Any] = ()
    weight: float = 1.0
    leave: float = 0.0
    families: tuple[Family, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_odds(self)
        if isinstance(self.gated, str | Path):
            raise SpecError(
                f"Matched: gated={str(self.gated)!r} is a path; give load_dataset(path), or the samples' ids"
            )
        object.__setattr__(self, "gated", frozenset(str(getattr(each, "id", each)) for each in self.gated))
        object.__setattr__(self, "families", parse_spec(self.spec))
        own = [family.name for family in self.families if is_own(family.name)]
        if own:
            raise SpecError(
                f"Matched: crops {self.spec!r}: {own[0]!r} is not built in, and Matched draws windows of built-in "
                f"families only ({', '.join(FAMILIES)})"
            )

    @property
    def needs_object(self) -> bool:
        """Whether it leaves a sample without objects alone."""
        return any(FAMILIES[family.name].needs_truth for family in self.families)

    def refuse(self, ids: Iterable[str]) -> None:
        """Raise ``DataError`` if one of ``ids`` belongs to the gated data set."""
        shared = sorted({str(each) for each in ids} & set(self.gated))
        if shared:
            raise DataError(
                f"{len(shared)} training samples are in the gated data set, first {shared[0]!r}: a gate says nothing "
                "about images that were trained on; take them out of the training data"
            )

    def window(self, draws: Draws, width: Whole, height: Whole, box: Box) -> Window:
        windows = [
            _WINDOWS[family.name](draws, width, height, box, **dict(family.parameters)) for family in self.families
        ]
        which, chosen = draws.below(FAMILY, len(windows)), windows[0]
        for number, other in enumerate(windows[1:], 1):
            chosen = _either(draws, which >= number, other, chosen)
        return chosen


def _either(draws: Draws, condition: Any, one: Window, other: Window) -> Window:
    """Return ``one`` where the condition holds, else ``other``."""
    return Window(*(draws.choose(condition, *pair) for pair in zip(one, other, strict=True)))


def _random(draws: Draws, width: Whole, height: Whole, box: Box, keep: Range, per_image: int) -> Window:
    share = draws.between(SHARE, *millionths(keep, "keep", 0, 1))
    wide, tall = side_of(draws, share, width), side_of(draws, share, height)
    return Window(placed(draws, ACROSS, wide, width), placed(draws, DOWN, tall, height), wide, tall)


def _tile(draws: Draws, width: Whole, height: Whole, box: Box, size: int | float, overlap: float) -> Window:
    def span(slot: int, length: Whole) -> tuple[Whole, Whole]:
        tile = side_of(draws, round(size * MILLION), length) if size < 1 else draws.smaller(int(size), length)
        shared = (tile * round(overlap * MILLION) + MILLION // 2) // MILLION if size < 1 else round(size * overlap)
        step = draws.larger(1, (tile if size < 1 else int(size)) - shared)
        last = length - tile
        return draws.smaller(draws.below(slot, (last + step - 1) // step + 1) * step, last), tile

    (left, across), (top, down) = span(ACROSS, width), span(DOWN, height)
    return Window(left, top, across, down)


def _object(
    draws: Draws, width: Whole, height: Whole, box: Box, margin: float, per_image: int, min_side: int
) -> Window:
    share = round(margin * MILLION)

    def span(low: Whole, high: Whole, length: Whole) -> tuple[Whole, Whole]:
        more = 0 - (0 - share * (high - low)) // MILLION  # rounded up, as the gate rounds outwards
        start, stop = draws.larger(0, low - more), draws.smaller(length, high + more)
        return start, stop - start

    (left, across), (top, down) = span(box.left, box.right, width), span(box.top, box.bottom, height)
    return _if_large(draws, width, height, box, min_side, Window(left, top, across, down))


def _edge(draws: Draws, width: Whole, height: Whole, box: Box, visible: float, per_image: int, min_side: int) -> Window:
    """Return the image less what lies beyond a line through the object, from a drawn side that keeps half the image.

    Where none keeps half of it, from the side that keeps most.
    """
    share = round(visible * MILLION)
    wide = 0 - (0 - share * (box.right - box.left)) // MILLION  # what stays of the object, rounded up
    tall = 0 - (0 - share * (box.bottom - box.top)) // MILLION
    left, top = box.right - wide, box.bottom - tall
    windows = (
        Window(left, 0, width - left, height),
        Window(0, top, width, height - top),
        Window(0, 0, box.left + wide, height),
        Window(0, 0, width, box.top + tall),
    )
    areas = [each.width * each.height for each in windows]
    largest = areas[0]
    for area in areas[1:]:
        largest = draws.larger(largest, area)
    least = draws.smaller(width * height, 2 * largest)
    fits = [draws.choose(2 * area >= least, 1, 0) for area in areas]
    wanted = draws.below(EDGE, sum(fits))  # of those that fit
    chosen, seen = windows[0], fits[0]
    for fit, window in zip(fits[1:], windows[1:], strict=True):
        chosen = _either(draws, fit * (wanted - seen + 1) == 1, window, chosen)
        seen = seen + fit
    return _if_large(draws, width, height, box, min_side, chosen)


def _if_large(draws: Draws, width: Whole, height: Whole, box: Box, min_side: int, window: Window) -> Window:
    """Return the window, or all of the image round an object that the gate would leave out as too small."""
    least = draws.smaller(box.right - box.left, box.bottom - box.top)
    return _either(draws, least >= min_side, window, Window(0, 0, width, height))


def _shift(draws: Draws, width: Whole, height: Whole, box: Box, px: tuple[int, int], per_image: int) -> Window:
    def start(slot: int, length: Whole) -> Whole:
        low, high = (draws.smaller(each, length - 1) for each in px)
        return draws.between(slot, low, high)

    left, top = start(ACROSS, width), start(DOWN, height)
    return Window(left, top, width - left, height - top)


_WINDOWS: dict[str, Callable[..., Window]] = {
    "random": _random,
    "tile": _tile,
    "object": _object,
    "edge": _edge,
    "shift": _shift,
}
