"""What must hold for a remap of ground truth, whatever its arithmetic: each check takes a remap and a scene.

A remap is anything called like ``crop_truth``. A check raises ``AssertionError`` where the remap is wrong. The tests of
geometry/, augment/ and invariants/ take them, as does benchmarks/invariants.py; ``same`` compares arrays anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from pytest_cropdet.data.cropping import CroppedTruth
from pytest_cropdet.data.samples import GroundTruth
from pytest_cropdet.geometry.boxes import Boxes, areas
from pytest_cropdet.geometry.crop import Crop
from tests.strategies import GRID, Scene, truth_of

Remap = Callable[..., CroppedTruth]
Check = Callable[[Remap, Scene], None]


def same(first: Any, second: Any) -> None:
    """Equal in shape and bit for bit in every number."""
    np.testing.assert_array_equal(np.asarray(first), np.asarray(second), strict=True)


def same_truth(first: GroundTruth, second: GroundTruth) -> None:
    for name in ("boxes", "categories", "ids", "crowd", "areas"):
        same(getattr(first, name), getattr(second, name))


def the_whole_image_changes_nothing(remap: Remap, scene: Scene) -> None:
    shown = remap(scene.truth, scene.all_of_it)
    same_truth(shown.truth, scene.truth)
    same(shown.kept, np.arange(len(scene.truth)))
    same(shown.visibility, np.ones(len(scene.truth)))


def an_interior_box_comes_back_bit_for_bit(remap: Remap, scene: Scene) -> None:
    low, high = (scene.crop.left, scene.crop.top), (scene.crop.right, scene.crop.bottom)
    inside = (scene.truth.boxes[:, :2] >= low).all(axis=1) & (scene.truth.boxes[:, 2:] <= high).all(axis=1)
    shown = remap(scene.truth, scene.crop)
    assert set(np.flatnonzero(inside)) <= set(shown.kept)
    back = scene.crop.out_of(shown.truth.boxes)
    same(back[inside[shown.kept]], scene.truth.boxes[inside])


def cropping_to_the_crop_changes_nothing(remap: Remap, scene: Scene) -> None:
    once = remap(scene.truth, scene.crop)
    twice = remap(once.truth, Crop(0, 0, scene.crop.width, scene.crop.height))
    same_truth(twice.truth, once.truth)
    same(twice.visibility, np.ones(len(once)))


def a_crop_of_a_crop_is_one_crop(remap: Remap, scene: Scene) -> None:
    outer = remap(scene.truth, scene.crop)
    inner = remap(outer.truth, scene.inner)
    one = remap(scene.truth, scene.crop.then(scene.inner))
    same_truth_but_area(inner.truth, one.truth)
    np.testing.assert_allclose(inner.truth.areas, one.truth.areas, rtol=1e-12)
    same(outer.kept[inner.kept], one.kept)
    # Each step measures against what it was given; the product is the share of the original.
    np.testing.assert_allclose(outer.visibility[inner.kept] * inner.visibility, one.visibility, rtol=1e-12)


def same_truth_but_area(first: GroundTruth, second: GroundTruth) -> None:
    for name in ("boxes", "categories", "ids", "crowd"):
        same(getattr(first, name), getattr(second, name))


def boxes_lie_in_the_window(remap: Remap, scene: Scene) -> None:
    boxes = remap(scene.truth, scene.crop).truth.boxes
    assert (boxes >= 0).all()
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    assert (boxes[:, 2:] <= (scene.crop.width, scene.crop.height)).all()


def visibility_is_a_share_and_1_exactly_inside(remap: Remap, scene: Scene) -> None:
    shown = remap(scene.truth, scene.crop)
    original = scene.truth.boxes[shown.kept]
    inside = (scene.crop.clip(original) == original).all(axis=1)
    assert (shown.visibility > 0).all()
    assert (shown.visibility <= 1).all()
    same(shown.visibility == 1, inside)


def what_only_touches_the_window_is_outside(remap: Remap, scene: Scene) -> None:
    left, top = scene.crop.left, scene.crop.top
    right, bottom = scene.crop.right, scene.crop.bottom
    around = truth_of(
        [
            (left - 2, top - 1, left, bottom + 1),
            (right, top, right + 0.25, bottom),
            (left, top - 3, right, top),
            (left - 1, bottom, right + 1, bottom + 1),
            (right, bottom, right + 1, bottom + 1),
        ]
    )
    assert remap(around, scene.crop).kept.tolist() == []


def a_smaller_window_never_shows_more(remap: Remap, scene: Scene) -> None:
    large, small = remap(scene.truth, scene.crop), remap(scene.truth, scene.crop.then(scene.inner))
    assert set(small.kept) <= set(large.kept)
    before = dict(zip(large.kept.tolist(), large.visibility, strict=True))
    assert all(seen <= before[row] for row, seen in zip(small.kept.tolist(), small.visibility, strict=True))


def a_higher_threshold_scores_fewer_and_keeps_all(remap: Remap, scene: Scene) -> None:
    scored = []
    kept = remap(scene.truth, scene.crop).kept
    for threshold in (0.0, 0.25, 0.5, 0.75, 1.0):
        shown = remap(scene.truth, scene.crop, threshold)
        same(shown.kept, kept)
        same(shown.scored, ~scene.truth.crowd[kept] & (shown.visibility >= threshold))
        scored.append(set(shown.kept[shown.scored]))
    assert all(after <= before for before, after in pairwise(scored))


def areas_in_disjoint_tiles_add_up(remap: Remap, scene: Scene) -> None:
    """The inner window's left top corner divides the image into four."""
    x, y = scene.crop.left + scene.inner.left, scene.crop.top + scene.inner.top
    columns = [(low, high) for low, high in ((0, x), (x, scene.width)) if high > low]
    rows = [(low, high) for low, high in ((0, y), (y, scene.height)) if high > low]
    total, share = np.zeros(len(scene.truth)), np.zeros(len(scene.truth))
    for left, right in columns:
        for top, bottom in rows:
            shown = remap(scene.truth, Crop(left, top, right - left, bottom - top))
            total[shown.kept] += areas(shown.truth.boxes)
            share[shown.kept] += shown.visibility
    same(total, areas(scene.truth.boxes))
    np.testing.assert_allclose(share, 1.0, rtol=1e-12)


def with_boxes(truth: GroundTruth, boxes: Boxes) -> GroundTruth:
    return GroundTruth(boxes, truth.categories, truth.ids, truth.crowd)


def _commutes(
    remap: Remap, scene: Scene, crop: Crop, outside: Callable[[Boxes], Boxes], inside: Callable[[Boxes], Boxes]
) -> None:
    """Moving the picture and then cropping it = cropping it and then moving the crop."""
    moved = remap(with_boxes(scene.truth, outside(scene.truth.boxes)), crop)
    plain = remap(scene.truth, scene.crop)
    same(moved.truth.boxes, inside(plain.truth.boxes))
    same(moved.kept, plain.kept)
    same(moved.visibility, plain.visibility)


def _flipped(length: int, axis: int) -> Callable[[Boxes], Boxes]:
    def flip(boxes: Boxes) -> Boxes:
        flipped = boxes.copy()
        flipped[:, axis], flipped[:, axis + 2] = length - boxes[:, axis + 2], length - boxes[:, axis]
        return flipped

    return flip


def mirroring_commutes_with_cropping(remap: Remap, scene: Scene) -> None:
    crop = scene.crop
    mirrored = Crop(scene.width - crop.right, crop.top, crop.width, crop.height)
    _commutes(remap, scene, mirrored, _flipped(scene.width, 0), _flipped(crop.width, 0))
    upside_down = Crop(crop.left, scene.height - crop.bottom, crop.width, crop.height)
    _commutes(remap, scene, upside_down, _flipped(scene.height, 1), _flipped(crop.height, 1))


def transposing_commutes_with_cropping(remap: Remap, scene: Scene) -> None:
    crop = Crop(scene.crop.top, scene.crop.left, scene.crop.height, scene.crop.width)
    _commutes(remap, scene, crop, lambda boxes: boxes[:, [1, 0, 3, 2]], lambda boxes: boxes[:, [1, 0, 3, 2]])


def enlarging_commutes_with_cropping(remap: Remap, scene: Scene) -> None:
    crop = Crop(*(3 * side for side in (scene.crop.left, scene.crop.top, scene.crop.width, scene.crop.height)))
    _commutes(remap, scene, crop, lambda boxes: boxes * 3, lambda boxes: boxes * 3)


def order_does_not_matter_and_twins_both_stay(remap: Remap, scene: Scene) -> None:
    twice = np.concatenate([np.arange(len(scene.truth))[::-1], np.arange(len(scene.truth))])
    plain, mixed = remap(scene.truth, scene.crop), remap(scene.truth.take(twice), scene.crop)
    order = np.concatenate([np.arange(len(plain))[::-1], np.arange(len(plain))])
    same_truth(mixed.truth, plain.truth.take(order))
    same(twice[mixed.kept], plain.kept[order])


def each_object_keeps_its_belongings(remap: Remap, scene: Scene) -> None:
    shown = remap(scene.truth, scene.crop)
    for name in ("categories", "ids", "crowd"):
        same(getattr(shown.truth, name), getattr(scene.truth, name)[shown.kept])
    assert len(shown.truth) == len(shown.kept) == len(shown.visibility) == len(shown.scored) == len(shown.tight)
    assert not (shown.scored & shown.truth.crowd).any()


def boxes_are_where_the_pixels_are(remap: Remap, scene: Scene) -> None:
    """Paint each box, cut the picture as pictures are cut, and look: four pixels a pixel, so that quarters show."""
    shown = remap(scene.truth, scene.crop, scene.threshold)
    place = 0
    for row, box in enumerate(scene.truth.boxes):
        left, top, right, bottom = (box * GRID).astype(int)
        picture = np.zeros((scene.height * GRID, scene.width * GRID), bool)
        picture[top:bottom, left:right] = True
        low, high = scene.crop.left * GRID, scene.crop.top * GRID
        cut = picture[high : scene.crop.bottom * GRID, low : scene.crop.right * GRID]
        if not cut.any():
            assert row not in shown.kept
            continue
        assert shown.kept[place:].tolist()[:1] == [row]
        y, x = np.nonzero(cut)
        tight = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1]) / GRID
        same(shown.truth.boxes[place], tight)
        same(shown.tight[place], tight)
        share = cut.sum() / picture.sum()
        assert shown.visibility[place] == share
        assert shown.scored[place] == (share >= scene.threshold and not scene.truth.crowd[row])
        np.testing.assert_allclose(shown.truth.areas[place], cut.sum() / GRID**2, rtol=1e-12)
        place += 1
    assert place == len(shown)


def masks_show_what_their_pixels_show(remap: Remap, scene: Scene) -> None:
    """The same with the pixels of masks: visibility, area and tight box come from them."""
    shown = remap(scene.truth, scene.crop, scene.threshold)
    where = {int(row): place for place, row in enumerate(shown.kept)}
    for row, mask in enumerate(scene.truth.masks):
        if mask is None:
            continue
        pixels = mask.decode()
        cut = scene.crop.of(pixels)
        if not cut.any():
            assert row not in where or scene.truth.crowd[row]
            continue
        assert row in where
        place = where[row]
        assert shown.visibility[place] == cut.sum() / pixels.sum()
        assert shown.truth.areas[place] == cut.sum()
        assert shown.scored[place] == (shown.visibility[place] >= scene.threshold and not scene.truth.crowd[row])
        y, x = np.nonzero(cut)
        same(shown.tight[place], np.array([x.min(), y.min(), x.max() + 1, y.max() + 1], dtype=np.float64))
        same(shown.truth.masks[place].decode(), cut)
        same(shown.truth.boxes[place], scene.crop.into(scene.truth.boxes[row : row + 1])[0])


EXACT: tuple[Check, ...] = (
    the_whole_image_changes_nothing,
    cropping_to_the_crop_changes_nothing,
    a_crop_of_a_crop_is_one_crop,
    boxes_lie_in_the_window,
    visibility_is_a_share_and_1_exactly_inside,
    what_only_touches_the_window_is_outside,
    a_smaller_window_never_shows_more,
    a_higher_threshold_scores_fewer_and_keeps_all,
    areas_in_disjoint_tiles_add_up,
    mirroring_commutes_with_cropping,
    transposing_commutes_with_cropping,
    enlarging_commutes_with_cropping,
    order_does_not_matter_and_twins_both_stay,
    each_object_keeps_its_belongings,
    boxes_are_where_the_pixels_are,
)
ODD: tuple[Check, ...] = (an_interior_box_comes_back_bit_for_bit,)
MASKED: tuple[Check, ...] = (masks_show_what_their_pixels_show,)
CHECKS = (*EXACT, *ODD, *MASKED)
