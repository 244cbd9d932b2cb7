"""The generic recipe inside a TensorFlow graph: the NumPy side's boxes to rounding, its pixels to a level or two."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from pytest_cropdet.augment.generic import Generic
from pytest_cropdet.augment.tf_graph import GraphDraws, sides_of, tf_areas, tf_fill_colour

__all__ = ["generic_map"]


def generic_map(generic: Generic) -> Callable[..., tuple[Any, Any, Any, Any]]:
    """Return a function for ``tf.data``'s ``map``: what :func:`padded_map` takes and returns, by the generic recipe."""

    def apply(
        image: Any, boxes: Any, categories: Any, index: Any, *, seed: Any = None, ignored: Any = None, masks: Any = None
    ) -> tuple[Any, Any, Any, Any]:
        image, boxes, categories = map(tf.convert_to_tensor, (image, boxes, categories))
        crowd = tf.zeros_like(categories, tf.bool) if ignored is None else tf.cast(ignored, tf.bool)
        height, width = (tf.cast(side, tf.float64) for side in tf.unstack(tf.shape(image)[:2]))
        draws = GraphDraws(generic.seed if seed is None else seed, index)
        matrix = generic.matrix(draws, width, height, tf.math)
        found, visibility = _moved(tf.cast(boxes, tf.float64), matrix, width, height)
        if masks is not None:
            found, visibility = _moved_masks(tf.cast(masks, tf.bool), matrix, found, visibility)
        inside = ((categories > 0) | crowd) & (visibility > 0)
        scored = inside & ~crowd & (visibility >= generic.min_visibility)
        found = tf.where(inside[:, None], found, tf.zeros_like(found))
        pixels = _warped(image, matrix, tf_fill_colour(generic.fill, image))
        kept = tf.where(scored, categories, tf.zeros_like(categories))
        return pixels, tf.cast(found, boxes.dtype), kept, inside & ~scored

    return apply


def _clipped(boxes: Any, width: Any, height: Any) -> Any:
    sides = tf.stack([width, height, width, height])
    return tf.clip_by_value(boxes, tf.zeros_like(sides), sides)


def _moved(boxes: Any, matrix: tuple[Any, ...], width: Any, height: Any) -> tuple[Any, Any]:
    """Return the clipped boxes around the moved corners, and how much of each shows; 0 where none does."""
    a, b, c, d, x, y = matrix
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    centre = tf.stack([a * middle[:, 0] + b * middle[:, 1] + x, c * middle[:, 0] + d * middle[:, 1] + y], 1)
    reach = tf.stack(
        [tf.abs(a) * half[:, 0] + tf.abs(b) * half[:, 1], tf.abs(c) * half[:, 0] + tf.abs(d) * half[:, 1]], 1
    )
    moved = tf.concat([centre - reach, centre + reach], 1)
    boxes = _clipped(moved, width, height)
    share = tf.math.divide_no_nan(tf_areas(boxes), tf_areas(moved))
    untouched = tf.reduce_all(moved == boxes, 1)
    share = tf.where(untouched, tf.ones_like(share), share)
    return boxes, tf.where(sides_of(boxes), share, tf.zeros_like(share))


def _moved_masks(masks: Any, matrix: tuple[Any, ...], boxes: Any, visibility: Any) -> tuple[Any, Any]:
    """Return boxes and visibility from the moved pixels where an object has a mask, else those that were given."""
    a, b, c, d, x, y = matrix
    height, width = (tf.cast(side, tf.float64) for side in tf.unstack(tf.shape(masks)[1:]))
    p, q = tf.range(width)[None] + 0.5, tf.range(height)[:, None] + 0.5
    across, down = a * p + b * q + x, c * p + d * q + y
    stays = masks & ((across >= 0) & (across < width) & (down >= 0) & (down < height))
    total, seen = (tf.math.count_nonzero(each, axis=[1, 2], dtype=tf.int64) for each in (masks, stays))
    wide, tall = (tf.abs(a) + tf.abs(b)) / 2, (tf.abs(c) + tf.abs(d)) / 2
    far = tf.constant(1e9, tf.float64)

    def least(values: Any) -> Any:
        return tf.reduce_min(tf.where(stays, values, far), [1, 2])

    box = tf.stack([least(across) - wide, least(down) - tall, wide - least(-across), tall - least(-down)], 1)
    share = tf.cast(seen, tf.float64) / tf.cast(tf.maximum(total, 1), tf.float64)
    measured = total > 0
    return (
        tf.where(measured[:, None], _clipped(box, width, height), boxes),
        tf.where(measured, share, visibility),
    )


def _warped(image: Any, matrix: tuple[Any, ...], fill: Any) -> Any:
    """Return the picture moved by ``matrix``: bilinear, ``fill`` outside."""
    a, b, c, d, x, y = matrix
    x, y = x + (a + b - 1) / 2, y + (c + d - 1) / 2  # of pixels by their centres
    span = a * d - b * c
    back = [d / span, -b / span, (b * y - d * x) / span, -c / span, a / span, (c * x - a * y) / span]
    eight = tf.cast(tf.concat([tf.stack(back), tf.zeros(2, tf.float64)], 0), tf.float32)
    fill = tf.cast(fill, tf.float32)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=(tf.cast(image, tf.float32) - fill)[None],
        transforms=eight[None],
        output_shape=tf.shape(image)[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]
    moved = tf.ensure_shape(moved + fill, image.shape)
    return tf.cast(tf.round(moved), image.dtype) if image.dtype.is_integer else tf.cast(moved, image.dtype)
