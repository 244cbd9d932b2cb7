"""The augmentation itself: recipes composed by weight, and its NumPy side for any loader."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.augment.draws import MILLION, Draws, Whole
from pytest_cropdet.augment.matched import Matched
from pytest_cropdet.augment.recipes import LEAVE, OBJECT, RECIPE, Box, Recipe, Window
from pytest_cropdet.data import MIN_VISIBILITY, GroundTruth, Sample, crop_truth
from pytest_cropdet.errors import DataError, SpecError
from pytest_cropdet.geometry import Bools, Boxes, Crop, Floats, Ints, clip, has_sides

__all__ = ["Augmentation", "Augmented"]

Fill = str | tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Augmented:
    """A training sample after augmentation; row i of every array is an object that shows.

    ``image``: (height, width, channels) in the dtype that was given. ``boxes``: (k, 4) float64 ``x0 y0 x1 y1`` in its
    pixels, half-open: the tight box of the visible mask where there is a mask, else the clipped box.
    ``categories``: (k,). ``ignored``: (k,) objects that are neither to be found nor background: crowds, and objects of
    which less than ``min_visibility`` shows. ``kept``: (k,) row in the original. ``visibility``: (k,) visible area over
    original area. ``window``: the window in the original image, ``None`` where a recipe has none.
    """

    image: NDArray[Any]
    boxes: Boxes
    categories: Ints
    ignored: Bools
    kept: Ints
    visibility: Floats
    window: Window | None = None


@dataclass(frozen=True)
class Augmentation:
    """Crops for training by the gate's rules: call it with an image, its truth and the number of the training step.

    ``recipes``: one is chosen for each sample, by weight. ``width`` and ``height``: what every window is resized to
    (bilinear, each side by its own factor, boxes with it); without them the window's pixels come back as they are.
    ``min_visibility``: objects of which less shows are ignored. ``fill``: a colour for what lies outside the image, or
    ``"mean"``, the image's own. ``seed``: another seed, other windows. ``SpecError`` says what is wrong.
    """

    recipes: tuple[Recipe, ...]
    width: int | None = None
    height: int | None = None
    min_visibility: float = MIN_VISIBILITY
    fill: Fill = "mean"
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipes", tuple(self.recipes))
        if not self.recipes:
            raise SpecError("an Augmentation needs at least one recipe, such as Context()")
        if (self.width is None) != (self.height is None) or min(self.width or 1, self.height or 1) < 1:
            raise SpecError(
                f"width={self.width}, height={self.height}: give both, in pixels, or neither to keep the window's size"
            )
        if not 0 <= self.min_visibility <= 1:
            raise SpecError(f"min_visibility={self.min_visibility} is a share, from 0 to 1")
        check_fill(self.fill)

    def __call__(self, image: NDArray[Any], truth: GroundTruth, index: int, *, seed: int | None = None) -> Augmented:
        """Return sample number ``index`` of the training: one window of ``image`` and what shows in it.

        ``image``: (height, width, channels), uint8 or float32. ``index``: any whole number below 2**63, another one in
        every epoch (the training's own count of samples does it). ``seed`` stands in for the augmentation's.
        ``DataError`` if a recipe knows the gated data set: its samples need names, see :meth:`of`.
        """
        if any(recipe.gated for recipe in self.recipes if isinstance(recipe, Matched)):
            raise DataError(
                "a recipe is to refuse the samples of the gated data set, but this image has no name: use "
                "augmentation.of(sample, index), or augmentation.refuse(ids) once and a recipe without 'gated'"
            )
        return self._apply(image, truth, self.window(truth, image.shape[1], image.shape[0], index, seed=seed))

    def of(self, sample: Sample, index: int, *, seed: int | None = None) -> Augmented:
        """Return the same of a :class:`~pytest_cropdet.Sample`; ``DataError`` if it belongs to the gated data set."""
        self.refuse([sample.id])
        window = self.window(sample.truth, sample.width, sample.height, index, seed=seed)
        return self._apply(sample.image(), sample.truth, window)

    def refuse(self, ids: Iterable[str]) -> None:
        """Raise ``DataError`` if one of the training samples ``ids`` is in a gated data set that a recipe knows."""
        names = list(ids)
        for recipe in self.recipes:
            if isinstance(recipe, Matched):
                recipe.refuse(names)

    def window(self, truth: GroundTruth, width: int, height: int, index: int, *, seed: int | None = None) -> Window:
        """Return the window that :meth:`__call__` cuts out of an image of that size."""
        draws = Draws(self.seed if seed is None else seed, index)
        recipe = self.recipes[self.choice(draws)]
        whole = Window(0, 0, width, height)
        inside = clip(truth.boxes, width, height)
        there = np.flatnonzero(has_sides(inside) & truth.counted)
        if self.leaves(draws, recipe) or (recipe.needs_object and not there.size):
            return whole
        box = Box(0, 0, width, height)
        if there.size:
            row = inside[there[draws.below(OBJECT, len(there))]]
            box = Box(*(int(value) for value in (*np.floor(row[:2]), *np.ceil(row[2:]))))
        return Window(*map(int, recipe.window(draws, width, height, box)))

    def choice(self, draws: Draws) -> Whole:
        """Return the number of the recipe that a sample's draws choose."""
        limits = np.cumsum([round(recipe.weight * MILLION) for recipe in self.recipes]).tolist()
        drawn, chosen = draws.below(RECIPE, limits[-1]), 0
        for number, limit in enumerate(limits[:-1], 1):
            chosen = draws.choose(drawn >= limit, number, chosen)
        return chosen

    def leaves(self, draws: Draws, recipe: Recipe) -> Any:
        """Return whether the recipe leaves the sample alone."""
        return draws.below(LEAVE, MILLION) < round(recipe.leave * MILLION)

    def _apply(self, image: NDArray[Any], truth: GroundTruth, window: Window) -> Augmented:
        height, width = image.shape[:2]
        left, top = max(window.left, 0), max(window.top, 0)
        right, bottom = min(window.left + window.width, width), min(window.top + window.height, height)
        crop = Crop(left, top, right - left, bottom - top)
        shown = crop_truth(truth, crop, self.min_visibility, cut_masks=False)
        boxes = np.where(shown.scored[:, None], shown.tight, shown.truth.boxes)
        boxes = boxes + np.array([left - window.left, top - window.top] * 2, dtype=np.float64)
        pixels = crop.of(image)
        if (crop.width, crop.height) != window[2:]:
            canvas = np.empty((window.height, window.width, *image.shape[2:]), image.dtype)
            canvas[:] = fill_colour(self.fill, image)
            across, down = left - window.left, top - window.top
            canvas[down : down + crop.height, across : across + crop.width] = pixels
            pixels = canvas
        if self.width is not None and self.height is not None:
            pixels = resized(pixels, self.width, self.height)
            boxes = boxes * np.array([self.width / window.width, self.height / window.height] * 2)
        return Augmented(
            pixels.copy() if pixels.base is not None else pixels,
            boxes,
            shown.truth.categories,
            ~shown.scored,
            shown.kept,
            shown.visibility,
            window,
        )


def check_fill(fill: Fill) -> None:
    """Raise ``SpecError`` for a word that is no fill."""
    if isinstance(fill, str) and fill != "mean":
        raise SpecError(f"fill={fill!r}: a colour such as (127, 127, 127), or 'mean'")


def fill_colour(fill: Fill, image: NDArray[Any]) -> NDArray[Any]:
    """Return a fill as (channels,) in the image's dtype: rounded down where that is one of whole numbers."""
    if isinstance(fill, str):
        total = image.sum(axis=(0, 1), dtype=np.float64)
        return np.asarray(total / (image.shape[0] * image.shape[1])).astype(image.dtype)
    return np.asarray(fill).astype(image.dtype)


def resized(pixels: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """Return a picture at another size: bilinear, pixel centres on pixel centres, no smoothing beforehand."""
    import cv2

    if pixels.shape[1::-1] == (width, height):
        return pixels
    larger = cv2.resize(np.ascontiguousarray(pixels), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(larger).reshape(height, width, *pixels.shape[2:])
