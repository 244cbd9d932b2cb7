"""Recipes: which window of a training sample, each against one cause of a lost object.

Every recipe is a formula over whole numbers, written once: over ints for NumPy, over int64 scalars in a graph. W and H
are the image's sides, an object is its box rounded outwards to whole pixels and clipped to the image, and "drawn" is
uniform. A window may stick out of the image; what lies outside is filled.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from pytest_cropdet.augment.draws import MILLION, Draws, Whole
from pytest_cropdet.errors import SpecError

__all__ = [
    "Box",
    "Context",
    "Cut",
    "Position",
    "Recipe",
    "Scale",
    "Window",
    "check_odds",
    "millionths",
    "placed",
    "side_of",
]

RECIPE, LEAVE, OBJECT, SHARE, ACROSS, DOWN, VISIBLE, EDGE, FAMILY = range(9)  # the slots of a sample's draws
Range = tuple[float, float]


class Window(NamedTuple):
    """A window of an image in whole pixels, half-open; ``left`` and ``top`` may be negative, and it may stick out."""

    left: Whole
    top: Whole
    width: Whole
    height: Whole


class Box(NamedTuple):
    """An object in whole pixels, half-open, inside the image."""

    left: Whole
    top: Whole
    right: Whole
    bottom: Whole


class Recipe(Protocol):
    """What an :class:`~pytest_cropdet.augment.Augmentation` composes: its weight, and its windows."""

    @property
    def weight(self) -> float:
        """How often it is chosen, as a share of the sum of all weights."""

    @property
    def leave(self) -> float:
        """The share of samples that it leaves alone, 0 to 1."""

    @property
    def needs_object(self) -> bool:
        """Whether it leaves a sample without objects alone."""

    def window(self, draws: Draws, width: Whole, height: Whole, box: Box) -> Window:
        """Return the window of an image of ``width`` by ``height`` in which ``box`` is one object, drawn."""


def millionths(value: Range, name: str, low: float, high: float) -> tuple[int, int]:
    """Return a range of shares as whole numbers; ``SpecError`` if it leaves ``low`` to ``high`` or is upside down."""
    try:
        first, last = (round(float(each) * MILLION) for each in value)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{name} is a range (low, high), not {value!r}") from error
    if not low * MILLION <= first <= last <= high * MILLION:
        raise SpecError(f"{name}={value}: a range (low, high) between {low:g} and {high:g}, low first")
    return first, last


def check_odds(recipe: Any) -> None:
    name = type(recipe).__name__
    if not 0 <= recipe.leave <= 1:
        raise SpecError(f"{name}: leave={recipe.leave} is the share of samples left alone, from 0 to 1")
    if not 0 < recipe.weight < MILLION:
        raise SpecError(f"{name}: weight={recipe.weight} must be above 0")


def side_of(draws: Draws, share: Whole, length: Whole) -> Whole:
    """Return a share, in millionths, of a side: max(1, floor(share * side)) pixels, the gate's rule."""
    return draws.larger(1, share * length // MILLION)


def _holding(draws: Draws, slot: int, low: Whole, high: Whole, side: Whole, length: Whole) -> tuple[Whole, Whole]:
    """Return start and length of a span of ``side`` that holds ``low`` to ``high``, at a drawn place."""
    side = draws.smaller(draws.larger(side, high - low), length)
    first, last = draws.larger(0, high - side), draws.smaller(low, length - side)
    return draws.between(slot, first, last), side


def placed(draws: Draws, slot: int, side: Whole, length: Whole) -> Whole:
    """Return where a span of ``side`` starts: a drawn place inside ``length``, or so that it holds all of it."""
    spare = length - side
    drawn = draws.below(slot, draws.larger(spare, 0 - spare) + 1)
    return draws.choose(spare >= 0, drawn, 0 - drawn)


@dataclass(frozen=True)
class Context:
    """A window that holds a whole object and little else: against *context lost*.

    m is drawn from ``margin`` (sizes of the object), the sides are object + 2 m object, at least ``least`` of the
    image's and at most all of it; the place is drawn among those that hold the object.
    """

    margin: Range = (0.1, 1.0)
    least: float = 0.25
    weight: float = 1.0
    leave: float = 0.0
    needs_object = True

    def __post_init__(self) -> None:
        check_odds(self)
        millionths(self.margin, "Context: margin", 0, 100)
        millionths((self.least, self.least), "Context: least", 0, 1)

    def window(self, draws: Draws, width: Whole, height: Whole, box: Box) -> Window:
        least = round(self.least * MILLION)
        margin = draws.between(SHARE, *millionths(self.margin, "margin", 0, 100))

        def side(low: Whole, high: Whole, length: Whole) -> Whole:
            extent = high - low
            return draws.larger(extent + 2 * (margin * extent // MILLION), side_of(draws, least, length))

        left, across = _holding(draws, ACROSS, box.left, box.right, side(box.left, box.right, width), width)
        top, down = _holding(draws, DOWN, box.top, box.bottom, side(box.top, box.bottom, height), height)
        return Window(left, top, across, down)


@dataclass(frozen=True)
class Cut:
    """A window one of whose four edges, drawn, goes through an object: against *objects cut*.

    Where the image has less than half the window's side behind that edge and more the other way, it is the opposite.

    v is drawn from ``visible``; ceil(v * side) pixels of the object's side stay in the window. The window's sides are
    k, drawn from ``keep``, of the image's, along the cut as far as the image reaches, and never less than the object.
    """

    visible: Range = (0.5, 0.9)
    keep: Range = (0.4, 0.9)
    weight: float = 1.0
    leave: float = 0.0
    needs_object = True

    def __post_init__(self) -> None:
        check_odds(self)
        millionths(self.visible, "Cut: visible", 0, 1)
        millionths(self.keep, "Cut: keep", 0, 1)

    def window(self, draws: Draws, width: Whole, height: Whole, box: Box) -> Window:
        share = draws.between(SHARE, *millionths(self.keep, "keep", 0, 1))
        visible = draws.between(VISIBLE, *millionths(self.visible, "visible", 0, 1))
        edge = draws.below(EDGE, 4)  # left, right, top, bottom
        wide, tall = side_of(draws, share, width), side_of(draws, share, height)

        def through(low: Whole, high: Whole, side: Whole, length: Whole, at_start: Any) -> tuple[Whole, Whole]:
            part = draws.larger(1, 0 - (0 - visible * (high - low)) // MILLION)
            side = draws.larger(side, part)
            behind, before = length - (high - part), low + part
            room, other = draws.choose(at_start, behind, before), draws.choose(at_start, before, behind)
            at_start ^= (2 * room < side) & (other > room)
            start = draws.choose(at_start, high - part, draws.larger(0, low + part - side))
            stop = draws.choose(at_start, draws.smaller(length, high - part + side), low + part)
            return start, stop - start

        cut_x = through(box.left, box.right, wide, width, edge < 1)
        cut_y = through(box.top, box.bottom, tall, height, edge < 3)
        all_x = _holding(draws, ACROSS, box.left, box.right, wide, width)
        all_y = _holding(draws, DOWN, box.top, box.bottom, tall, height)
        (left, across), (top, down) = (
            tuple(draws.choose(first, one, other) for one, other in zip(cut, whole, strict=True))
            for first, cut, whole in ((edge < 2, cut_x, all_x), (edge >= 2, cut_y, all_y))
        )
        return Window(left, top, across, down)


@dataclass(frozen=True)
class Position:
    """The image moved by whole pixels in its own frame, the rest filled: against *position* (stride phase, borders).

    Both offsets are drawn from -``shift`` to ``shift``, at most all but one pixel of the side. Nothing is scaled.
    """

    shift: int = 32
    weight: float = 1.0
    leave: float = 0.0
    needs_object = False

    def __post_init__(self) -> None:
        check_odds(self)
        if self.shift < 1:
            raise SpecError(f"Position: shift={self.shift} must be at least 1 pixel")

    def window(self, draws: Draws, width: Whole, height: Whole, box: Box) -> Window:
        def offset(slot: int, length: Whole) -> Whole:
            most = draws.smaller(self.shift, length - 1)
            return draws.between(slot, 0 - most, most)

        return Window(offset(ACROSS, width), offset(DOWN, height), width, height)


@dataclass(frozen=True)
class Scale:
    """A window smaller than the image (zoom in) or larger, with padding (zoom out): against *scale*.

    Both sides are k of the image's, drawn from ``window``: from its part below 1 and its part above 1 equally often.
    The place is drawn among those inside the image, or those that hold all of it.
    """

    window_share: Range = (0.5, 2.0)
    weight: float = 1.0
    leave: float = 0.0
    needs_object = False

    def __post_init__(self) -> None:
        check_odds(self)
        millionths(self.window_share, "Scale: window_share", 0.01, 16)

    def window(self, draws: Draws, width: Whole, height: Whole, box: Box) -> Window:
        low, high = millionths(self.window_share, "window_share", 0.01, 16)
        if low < MILLION < high:
            nearer, farther = draws.between(SHARE, low, MILLION), draws.between(SHARE, MILLION, high)
            share = draws.choose(draws.below(EDGE, 2) < 1, nearer, farther)
        else:
            share = draws.between(SHARE, low, high)
        wide, tall = side_of(draws, share, width), side_of(draws, share, height)
        return Window(placed(draws, ACROSS, wide, width), placed(draws, DOWN, tall, height), wide, tall)
