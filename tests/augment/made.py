"""Samples to augment, the recipes all together, and the graph's functions, each traced once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from pytest_cropdet.augment import Augmentation, Context, Cut, Matched, Position, Scale, Window
from pytest_cropdet.crops.strategies import ground_truths
from pytest_cropdet.data.cropping import CroppedTruth
from pytest_cropdet.data.samples import GroundTruth
from pytest_cropdet.geometry.crop import Crop
from tests.strategies import truth_of

RECIPES = (
    Context(leave=0.1),
    Cut(leave=0.1),
    Position(shift=5),
    Scale(),
    Matched("random:keep=0.3-0.9+tile:size=4+tile:size=0.5,overlap=0.3"),
    Matched("object:margin=0.3,min_side=2+edge:visible=0.6,min_side=2+shift:px=1-3"),
)
ALL = Augmentation(RECIPES)
numbers = st.integers(0, 2**63 - 1)


@dataclass(frozen=True)
class Fixed:
    """A recipe that knows its window: whole numbers, or tensors inside a graph."""

    window_: Any
    weight: float = 1.0
    leave: float = 0.0
    needs_object = False

    def window(self, draws, width, height, box):
        return Window(*self.window_)


@dataclass(frozen=True)
class Picture:
    """A small picture of noise with up to four objects, some of them crowds, some with masks."""

    image: np.ndarray
    truth: GroundTruth

    @property
    def stacked(self) -> np.ndarray:
        """The masks as (n, H, W), all 0 for none."""
        height, width = self.image.shape[:2]
        none = np.zeros((height, width), bool)
        decoded = [none if mask is None else mask.decode() for mask in self.truth.masks]
        return np.array(decoded, bool).reshape(-1, height, width)


@st.composite
def pictures(draw: st.DrawFn, *, masked: bool = False, odd: bool = False, whole: bool = False) -> Picture:
    width, height = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    drawn = draw(ground_truths(width, height, grid=1 if whole else 7 if odd else 4, masks=masked))
    noise = np.random.default_rng(width * 31 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Picture(noise, truth_of(drawn.boxes, drawn.crowd, drawn.masks))


@cache
def in_graph(augmentation: Augmentation) -> Any:
    """The augmentation in a graph: all that is known of a sample, for any size and any number of objects."""
    import tensorflow as tf

    from pytest_cropdet.augment.tf_graph import augmented

    spec = [
        tf.TensorSpec((None, None, 3), tf.uint8),
        tf.TensorSpec((None, 4), tf.float64),
        tf.TensorSpec((None,), tf.bool),
        tf.TensorSpec((None, None, None), tf.bool),
        tf.TensorSpec((), tf.int64),
        tf.TensorSpec((), tf.int64),
    ]

    @tf.function(input_signature=spec)
    def run(image, boxes, crowd, masks, index, seed):
        there = tf.ones_like(crowd)
        return augmented(augmentation, image, boxes, there, index, seed=seed, ignored=crowd, masks=masks)

    return lambda picture, index, seed=0: run(
        picture.image, picture.truth.boxes, picture.truth.crowd, picture.stacked, index, seed
    )


@cache
def _fixed_in_graph(min_visibility: float) -> Any:
    import tensorflow as tf

    from pytest_cropdet.augment.tf_graph import augmented

    spec = [
        tf.TensorSpec((4,), tf.int64),
        tf.TensorSpec((None, None, 1), tf.uint8),
        tf.TensorSpec((None, 4), tf.float64),
        tf.TensorSpec((None,), tf.bool),
    ]

    @tf.function(input_signature=spec)
    def run(window, image, boxes, crowd):
        recipe = Augmentation((Fixed(tf.unstack(window)),), min_visibility=min_visibility)
        return augmented(recipe, image, boxes, tf.ones_like(crowd), 0, ignored=crowd)

    return run


def crop_truth_in_graph(truth: GroundTruth, crop: Crop, min_visibility: float = 0.5) -> CroppedTruth:
    """What the graph makes of objects without masks, in the form of ``crop_truth``."""
    image = np.zeros((LARGEST, LARGEST, 1), np.uint8)
    window = np.array([crop.left, crop.top, crop.width, crop.height])
    shown = _fixed_in_graph(min_visibility)(window, image, truth.boxes, truth.crowd)
    scored, kept = shown.scored.numpy(), np.flatnonzero(shown.scored.numpy() | shown.ignored.numpy())
    boxes, visibility = shown.boxes.numpy()[kept], shown.visibility.numpy()[kept]
    areas = truth.areas[kept] * visibility
    rows = GroundTruth(boxes, truth.categories[kept], truth.ids[kept], truth.crowd[kept], areas)
    return CroppedTruth(rows, kept, visibility, scored[kept], boxes)


def crop_truth_in_numpy(truth: GroundTruth, crop: Crop, min_visibility: float = 0.5) -> CroppedTruth:
    """What the NumPy side makes of objects without masks, in the form of ``crop_truth``."""
    image = np.zeros((LARGEST, LARGEST, 1), np.uint8)
    window = (crop.left, crop.top, crop.width, crop.height)
    shown = Augmentation((Fixed(window),), min_visibility=min_visibility)(image, truth, 0)
    kept, areas = shown.kept, truth.areas[shown.kept] * shown.visibility
    rows = GroundTruth(shown.boxes, shown.categories, truth.ids[kept], truth.crowd[kept], areas)
    return CroppedTruth(rows, kept, shown.visibility, ~shown.ignored, shown.boxes)


LARGEST = 27  # of the scenes of the invariants, some of which are enlarged three times
