"""The augmentation inside a TensorFlow graph, for ``tf.data``: the NumPy side, bit for bit.

The windows come from the same lines (:mod:`~pytest_cropdet.augment.recipes`) over int64 scalars; boxes are computed in
float64 and returned in the dtype they came in.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import tensorflow as tf

from pytest_cropdet.augment.augmentation import Augmentation, Fill
from pytest_cropdet.augment.draws import FIRST_FACTOR, LOW_32, SECOND_FACTOR, SLOTS, STEP, Draws, Whole
from pytest_cropdet.augment.matched import Matched
from pytest_cropdet.augment.recipes import OBJECT, Box, Window
from pytest_cropdet.errors import DataError

__all__ = ["AugmentedObjects", "GraphDraws", "augmented", "padded_map", "ragged_map"]

MapFunction = Callable[..., tuple[Any, Any, Any, Any]]


class GraphDraws(Draws):
    """The numbers of one sample as tensors: one vector of hashes, and int64 scalars from it."""

    def __init__(self, seed: Whole, index: Whole) -> None:
        seed, index = tf.cast(seed, tf.int64), tf.cast(index, tf.int64)
        words = [seed, tf.bitwise.right_shift(seed, 32), index, tf.bitwise.right_shift(index, 32), tf.range(SLOTS)]
        h = tf.zeros(SLOTS, tf.uint64)
        for word in words:
            low = tf.cast(tf.bitwise.bitwise_and(tf.cast(word, tf.int64), LOW_32), tf.uint64)
            h = self._mix(tf.bitwise.bitwise_xor(h, low) + STEP)
        self._hashes = tf.unstack(tf.cast(h, tf.int64))

    @staticmethod
    def _mix(h: Any) -> Any:
        """Mix, in 64 bits: a product of two numbers below 2**32 fits."""
        h = tf.bitwise.bitwise_and(h, LOW_32)
        h = tf.bitwise.bitwise_xor(h, tf.bitwise.right_shift(h, 16))
        h = tf.bitwise.bitwise_and(h * FIRST_FACTOR, LOW_32)
        h = tf.bitwise.bitwise_xor(h, tf.bitwise.right_shift(h, 15))
        h = tf.bitwise.bitwise_and(h * SECOND_FACTOR, LOW_32)
        return tf.bitwise.bitwise_xor(h, tf.bitwise.right_shift(h, 16))

    def below(self, slot: int, limit: Whole) -> Whole:
        return tf.bitwise.right_shift(self._hashes[slot] * limit, 32)

    def smaller(self, one: Whole, other: Whole) -> Whole:
        return tf.minimum(*_whole(one, other))

    def larger(self, one: Whole, other: Whole) -> Whole:
        return tf.maximum(*_whole(one, other))

    def choose(self, condition: Any, one: Whole, other: Whole) -> Whole:
        return tf.where(condition, *_whole(one, other))


def _whole(*values: Whole) -> list[Any]:
    return [tf.cast(value, tf.int64) for value in values]


class AugmentedObjects(NamedTuple):
    """Every object of a sample after augmentation; row i is still object i.

    ``boxes`` (n, 4) float64, 0 where nothing shows; ``scored`` and ``ignored`` (n,) bool, both ``False`` where nothing
    shows; ``visibility`` (n,) float64; ``window`` four int64 scalars.
    """

    image: Any
    boxes: Any
    scored: Any
    ignored: Any
    visibility: Any
    window: Window


def padded_map(augmentation: Augmentation, *, ids: Iterable[str] | None = None) -> MapFunction:
    """Return a function for ``tf.data``'s ``map`` on samples whose objects are padded to a fixed number.

    The function takes ``image`` (H, W, C) uint8 or float32, ``boxes`` (n, 4) ``x0 y0 x1 y1`` in pixels, ``categories``
    (n,) with 0 for no object, ``index`` a scalar, and by name ``seed`` (a scalar), ``ignored`` (n,) bool: crowds,
    ``masks`` (n, H, W), all 0 where an object has none. It returns image, boxes, categories and ignored, (n,) bool, of
    the same shapes: category 0 for what does not show *and* for what is ignored; row i is still object i.
    ``ids``: names of the training samples, needed where a recipe knows the gated data set (``DataError`` if they meet).
    """
    _check(augmentation, ids)

    def apply(
        image: Any, boxes: Any, categories: Any, index: Any, *, seed: Any = None, ignored: Any = None, masks: Any = None
    ) -> tuple[Any, Any, Any, Any]:
        image, boxes, categories = map(tf.convert_to_tensor, (image, boxes, categories))
        there = categories > 0
        if ignored is not None:
            there |= ignored
        shown = augmented(augmentation, image, boxes, there, index, seed=seed, ignored=ignored, masks=masks)
        kept = tf.where(shown.scored, categories, tf.zeros_like(categories))
        return shown.image, tf.cast(shown.boxes, boxes.dtype), kept, shown.ignored

    return apply


def ragged_map(augmentation: Augmentation, *, ids: Iterable[str] | None = None) -> MapFunction:
    """Return the same for samples with as many rows as objects: rows of which nothing shows are left out.

    Categories may be any numbers, 0 too, and ignored objects keep theirs: leave them out by the last of the four
    results, which is ``True`` for them. Batch with ``ragged_batch``.
    """
    _check(augmentation, ids)

    def apply(
        image: Any, boxes: Any, categories: Any, index: Any, *, seed: Any = None, ignored: Any = None, masks: Any = None
    ) -> tuple[Any, Any, Any, Any]:
        image, boxes, categories = map(tf.convert_to_tensor, (image, boxes, categories))
        there = tf.ones_like(categories, tf.bool)
        shown = augmented(augmentation, image, boxes, there, index, seed=seed, ignored=ignored, masks=masks)
        rows = tf.where(shown.scored | shown.ignored)[:, 0]
        kept = tf.cast(tf.gather(shown.boxes, rows), boxes.dtype)
        return shown.image, kept, tf.gather(categories, rows), tf.gather(shown.ignored, rows)

    return apply


def _check(augmentation: Augmentation, ids: Iterable[str] | None) -> None:
    if ids is not None:
        augmentation.refuse(ids)
    elif any(recipe.gated for recipe in augmentation.recipes if isinstance(recipe, Matched)):
        raise DataError(
            "a recipe is to refuse the samples of the gated data set, and a graph sees no names: give the training "
            "samples' ids, padded_map(augmentation, ids=[...])"
        )


def augmented(
    augmentation: Augmentation,
    image: Any,
    boxes: Any,
    there: Any,
    index: Any,
    *,
    seed: Any = None,
    ignored: Any = None,
    masks: Any = None,
) -> AugmentedObjects:
    """Return one augmented sample and all that is known about it; ``there`` (n,) bool: which rows are objects."""
    crowd = tf.zeros_like(there) if ignored is None else tf.cast(ignored, tf.bool)
    boxes = tf.cast(boxes, tf.float64)
    height, width = (tf.cast(side, tf.int64) for side in tf.unstack(tf.shape(image)[:2]))
    draws = GraphDraws(augmentation.seed if seed is None else seed, index)
    window = _window(augmentation, draws, boxes, there & ~crowd, width, height)
    left, top = tf.maximum(window.left, 0), tf.maximum(window.top, 0)
    right = tf.minimum(window.left + window.width, width)
    bottom = tf.minimum(window.top + window.height, height)
    found, scored, unscored, visibility = _crop_truth(
        boxes, there, crowd, masks, (left, top, right, bottom), augmentation.min_visibility
    )
    found -= tf.cast(tf.stack([window.left, window.top] * 2), tf.float64)
    pixels = _cut(augmentation, image, window, left, top, right, bottom)
    if augmentation.width is not None and augmentation.height is not None:
        pixels = _resized(pixels, augmentation.width, augmentation.height)
        scale = [
            tf.constant(side, tf.float64) / tf.cast(length, tf.float64)
            for side, length in ((augmentation.width, window.width), (augmentation.height, window.height))
        ]
        found *= tf.stack(scale * 2)
    found = tf.where((scored | unscored)[:, None], found, tf.zeros_like(found))
    return AugmentedObjects(pixels, found, scored, unscored, visibility, window)


def _window(
    augmentation: Augmentation, draws: GraphDraws, boxes: Any, eligible: Any, width: Any, height: Any
) -> Window:
    sides = tf.cast(tf.stack([width, height] * 2), tf.float64)
    inside = tf.clip_by_value(boxes, tf.zeros_like(sides), sides)
    rows = tf.where(eligible & sides_of(inside))[:, 0]
    count = tf.shape(rows, tf.int64)[0]
    frame = tf.stack([0 * width, 0 * height, width, height])
    # One row more than there are: an image without objects is its own object.
    boxes = tf.concat([tf.gather(inside, rows), [sides * [0, 0, 1, 1]]], axis=0)
    drawn = boxes[draws.below(OBJECT, tf.maximum(count, 1))]
    box = Box(*tf.unstack(tf.cast(tf.concat([tf.floor(drawn[:2]), tf.math.ceil(drawn[2:])], 0), tf.int64)))

    def branch(recipe: Any) -> Callable[[], Any]:
        def cut() -> Any:
            alone = augmentation.leaves(draws, recipe)
            if recipe.needs_object:
                alone |= count == 0
            return tf.where(alone, frame, tf.stack(_whole(*recipe.window(draws, width, height, box))))

        return cut

    branches = [branch(recipe) for recipe in augmentation.recipes]
    if len(branches) == 1:
        return Window(*tf.unstack(branches[0]()))
    return Window(*tf.unstack(tf.switch_case(tf.cast(augmentation.choice(draws), tf.int32), branches)))


def sides_of(boxes: Any) -> Any:
    return (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])


def tf_areas(boxes: Any) -> Any:
    sides = tf.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return sides[:, 0] * sides[:, 1]


def _crop_truth(
    boxes: Any, there: Any, crowd: Any, masks: Any, crop: tuple[Any, ...], min_visibility: float
) -> tuple[Any, Any, Any, Any]:
    """Return boxes in the image's frame, scored, ignored and visibility: the rules of ``pytest_cropdet.crop_truth``."""
    low = tf.cast(tf.stack(crop[:2] * 2), tf.float64)
    high = tf.cast(tf.stack(crop[2:] * 2), tf.float64)
    clipped = tf.clip_by_value(boxes, low, high)
    inside = there & sides_of(clipped)
    whole, seen = tf_areas(boxes), tf_areas(clipped)
    untouched = tf.reduce_all(boxes == clipped, 1) & sides_of(boxes)
    share = tf.where(whole > 0, seen / tf.where(whole > 0, whole, tf.ones_like(whole)), tf.zeros_like(whole))
    visibility = tf.where(untouched, tf.ones_like(share), share)
    tight = clipped
    if masks is not None:
        pixels = tf.cast(masks, tf.bool)
        total = tf.math.count_nonzero(pixels, axis=[1, 2], dtype=tf.int64)
        part = pixels[:, crop[1] : crop[3], crop[0] : crop[2]]
        visible = tf.math.count_nonzero(part, axis=[1, 2], dtype=tf.int64)
        inside &= (total == 0) | (visible > 0) | crowd
        measured = (total > 0) & (visible > 0)
        divisor = tf.cast(tf.maximum(total, 1), tf.float64)
        visibility = tf.where(measured, tf.cast(visible, tf.float64) / divisor, visibility)
        columns, rows = tf.reduce_any(part, 1), tf.reduce_any(part, 2)
        x0, x1 = _extent(columns)
        y0, y1 = _extent(rows)
        extent = tf.cast(tf.stack([x0 + crop[0], y0 + crop[1], x1 + crop[0], y1 + crop[1]], 1), tf.float64)
        tight = tf.where(measured[:, None], extent, tight)
    scored = inside & ~crowd & (visibility >= min_visibility)
    found = tf.where(scored[:, None], tight, clipped)
    return found, scored, inside & ~scored, tf.where(inside, visibility, tf.zeros_like(visibility))


def _extent(line: Any) -> tuple[Any, Any]:
    """Return the first place and the last + 1 that is set, for each row."""
    first = tf.argmax(line, 1)
    return first, tf.shape(line, tf.int64)[1] - tf.argmax(tf.reverse(line, [1]), 1)


def _cut(augmentation: Augmentation, image: Any, window: Window, left: Any, top: Any, right: Any, bottom: Any) -> Any:
    """Return the window's pixels, filled where it sticks out of the image."""
    part = image[top:bottom, left:right]
    across = [left - window.left, window.left + window.width - right]
    down = [top - window.top, window.top + window.height - bottom]

    def padded() -> Any:
        around = tf.stack([tf.stack(down), tf.stack(across)])
        inner = tf.pad(tf.ones_like(part[..., 0], tf.bool), around)
        grown = tf.pad(part, tf.concat([around, tf.zeros((1, 2), tf.int64)], 0))
        return tf.where(inner[..., None], grown, tf_fill_colour(augmentation.fill, image))

    pixels = tf.cond(tf.reduce_sum(tf.stack(across + down)) > 0, padded, lambda: part)
    pixels.set_shape([None, None, image.shape[-1]])
    return pixels


def tf_fill_colour(fill: Fill, image: Any) -> Any:
    """Return a fill as (channels,) in the image's dtype."""
    if isinstance(fill, str):
        total = tf.reduce_sum(tf.cast(image, tf.float64), [0, 1])
        return tf.cast(total / tf.cast(tf.reduce_prod(tf.shape(image)[:2]), tf.float64), image.dtype)
    return tf.cast(tf.constant(fill), image.dtype)


def _resized(pixels: Any, width: int, height: int) -> Any:
    larger = tf.image.resize(pixels, [height, width])
    return tf.cast(tf.round(larger), pixels.dtype) if pixels.dtype.is_integer else tf.cast(larger, pixels.dtype)
