"""Ways in which others got the remap wrong: each breaks an invariant, and each invariant is broken by one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from pytest_cropdet.data.cropping import CroppedTruth, crop_truth
from pytest_cropdet.data.samples import GroundTruth
from pytest_cropdet.geometry.boxes import areas
from pytest_cropdet.geometry.crop import Crop
from tests.geometry import invariants
from tests.geometry.invariants import CHECKS, MASKED, ODD, Check, Remap
from tests.strategies import scenes


def of(shown: CroppedTruth, **columns: Any) -> CroppedTruth:
    """``shown`` with other columns in its truth."""
    return replace(shown, truth=replace(shown.truth, **columns))


def only(shown: CroppedTruth, rows: Any) -> CroppedTruth:
    """``shown`` with some of its objects."""
    rows = np.asarray(rows, dtype=np.int64)
    columns = {name: getattr(shown, name)[rows] for name in ("kept", "visibility", "scored", "tight")}
    return CroppedTruth(truth=shown.truth.take(rows), **columns)


def changing_boxes(change: Callable[[Any, GroundTruth, Crop], Any]) -> Remap:
    def remap(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
        shown = crop_truth(truth, crop, threshold)
        return of(shown, boxes=change(shown.truth.boxes, truth.take(shown.kept), crop))

    return remap


def axes_swapped(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    return crop_truth(truth, Crop(crop.top, crop.left, crop.height, crop.width), threshold)


def through_float32(boxes: Any, truth: GroundTruth, crop: Crop) -> Any:
    sides = np.array([crop.width, crop.height] * 2, np.float32)
    return boxes.astype(np.float32) / sides * sides


def clipped_by_width_alone(boxes: Any, truth: GroundTruth, crop: Crop) -> Any:
    return np.clip(truth.boxes - [crop.left, crop.top] * 2, 0, crop.width)


def labels_not_filtered(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    return of(shown, categories=truth.categories[: len(shown)])


def crowd_not_filtered(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    return of(shown, crowd=truth.crowd[: len(shown)])


def ids_counted_anew(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    return of(shown, ids=np.arange(len(shown)))


def visibility_of_the_clipped_box(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    return replace(shown, visibility=np.ones(len(shown)), scored=~shown.truth.crowd)


def visibility_of_the_window(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    return replace(shown, visibility=areas(shown.truth.boxes) / (crop.width * crop.height))


def more_than_the_threshold(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    return replace(shown, scored=~shown.truth.crowd & (shown.visibility > threshold))


def touching_kept(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    clipped = crop.clip(truth.boxes)
    touching = (truth.boxes[:, :2] <= (crop.right, crop.bottom)) & (truth.boxes[:, 2:] >= (crop.left, crop.top))
    rows = np.flatnonzero(touching.all(axis=1))
    seen = np.array([dict(zip(shown.kept, shown.visibility, strict=True)).get(row, 0.0) for row in rows])
    boxes = clipped[rows] - [crop.left, crop.top] * 2
    return CroppedTruth(replace(truth.take(rows), boxes=boxes), rows, seen, seen >= threshold, boxes)


def small_slivers_dropped(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    return only(shown, np.flatnonzero(areas(shown.truth.boxes) >= 1))


def crowds_dropped(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    return only(shown, np.flatnonzero(~shown.truth.crowd))


def barely_visible_dropped(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    return only(shown, np.flatnonzero(shown.visibility >= threshold))


def twins_merged(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    return only(shown, sorted(np.unique(shown.truth.boxes, axis=0, return_index=True)[1]))


def area_not_updated(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    return of(shown, areas=truth.areas[shown.kept])


def masks_ignored(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    bare = crop_truth(replace(truth, masks=()), crop, threshold)
    return of(bare, masks=tuple(None if m is None else m.cut(*_window(crop)) for m in truth.take(bare.kept).masks))


def masks_not_cut(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    return of(shown, masks=truth.take(shown.kept).masks)


def tight_box_without_plus_1(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    return replace(shown, tight=shown.tight - [0, 0, 1, 1])


def box_of_the_mask_taken_for_the_box(truth: GroundTruth, crop: Crop, threshold: float = 0.5) -> CroppedTruth:
    shown = crop_truth(truth, crop, threshold)
    return of(shown, boxes=shown.tight)


def _window(crop: Crop) -> tuple[int, int, int, int]:
    return crop.left, crop.top, crop.width, crop.height


@dataclass(frozen=True)
class Mutant:
    remap: Remap
    broken: Check


def offset(x: float, y: float) -> Remap:
    return changing_boxes(lambda boxes, truth, crop: boxes + np.array([x, y, x, y]))


MUTANTS = {
    "axes swapped": Mutant(axes_swapped, invariants.boxes_are_where_the_pixels_are),
    "normalised in float32": Mutant(changing_boxes(through_float32), invariants.an_interior_box_comes_back_bit_for_bit),
    "held in float32": Mutant(
        changing_boxes(lambda boxes, truth, crop: boxes.astype(np.float32)),
        invariants.an_interior_box_comes_back_bit_for_bit,
    ),
    "one pixel right": Mutant(offset(1, 0), invariants.cropping_to_the_crop_changes_nothing),
    "one pixel up": Mutant(offset(0, -1), invariants.boxes_are_where_the_pixels_are),
    "a hundredth of a pixel off": Mutant(offset(0.01, 0.01), invariants.boxes_are_where_the_pixels_are),
    "not moved": Mutant(
        changing_boxes(lambda boxes, truth, crop: crop.out_of(boxes)), invariants.a_crop_of_a_crop_is_one_crop
    ),
    "not clipped": Mutant(
        changing_boxes(lambda boxes, truth, crop: truth.boxes - [crop.left, crop.top] * 2),
        invariants.boxes_lie_in_the_window,
    ),
    "y clipped with x's size": Mutant(changing_boxes(clipped_by_width_alone), invariants.boxes_lie_in_the_window),
    "clipped to W - 1": Mutant(
        changing_boxes(lambda boxes, truth, crop: np.minimum(boxes, [crop.width - 1, crop.height - 1] * 2)),
        invariants.the_whole_image_changes_nothing,
    ),
    "x's offset for both axes": Mutant(
        changing_boxes(lambda boxes, truth, crop: crop.out_of(boxes) - crop.left),
        invariants.transposing_commutes_with_cropping,
    ),
    "cut to whole pixels": Mutant(
        changing_boxes(lambda boxes, truth, crop: np.trunc(boxes)), invariants.mirroring_commutes_with_cropping
    ),
    "grown to whole pixels": Mutant(
        changing_boxes(lambda boxes, truth, crop: np.hstack([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])])),
        invariants.areas_in_disjoint_tiles_add_up,
    ),
    "slivers below a square pixel dropped": Mutant(small_slivers_dropped, invariants.enlarging_commutes_with_cropping),
    "touching boxes kept": Mutant(touching_kept, invariants.what_only_touches_the_window_is_outside),
    "labels not filtered with the boxes": Mutant(labels_not_filtered, invariants.each_object_keeps_its_belongings),
    "crowd flags not filtered with the boxes": Mutant(crowd_not_filtered, invariants.each_object_keeps_its_belongings),
    "ids counted anew": Mutant(ids_counted_anew, invariants.each_object_keeps_its_belongings),
    "twins merged": Mutant(twins_merged, invariants.order_does_not_matter_and_twins_both_stay),
    "visibility against the clipped box": Mutant(
        visibility_of_the_clipped_box, invariants.visibility_is_a_share_and_1_exactly_inside
    ),
    "visibility against the window": Mutant(visibility_of_the_window, invariants.a_smaller_window_never_shows_more),
    "more than the threshold instead of at least": Mutant(
        more_than_the_threshold, invariants.boxes_are_where_the_pixels_are
    ),
    "barely visible objects dropped": Mutant(
        barely_visible_dropped, invariants.a_higher_threshold_scores_fewer_and_keeps_all
    ),
    "crowds dropped": Mutant(crowds_dropped, invariants.boxes_are_where_the_pixels_are),
    "area not updated": Mutant(area_not_updated, invariants.boxes_are_where_the_pixels_are),
    "masks ignored": Mutant(masks_ignored, invariants.masks_show_what_their_pixels_show),
    "masks not cut": Mutant(masks_not_cut, invariants.masks_show_what_their_pixels_show),
    "tight box without + 1": Mutant(tight_box_without_plus_1, invariants.masks_show_what_their_pixels_show),
    "the mask's box for the box": Mutant(
        box_of_the_mask_taken_for_the_box, invariants.masks_show_what_their_pixels_show
    ),
}


def search(check: Check, remap: Remap) -> None:
    """Look for a scene in which ``check`` fails for ``remap``; the same scenes each time."""

    @settings(
        max_examples=300, phases=[Phase.generate], derandomize=True, database=None, deadline=None,
        report_multiple_bugs=False,
    )  # fmt: skip
    @given(scenes(masked=check in MASKED, odd=check in ODD))
    def look(scene):
        check(remap, scene)

    look()


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_remap_breaks_an_invariant(name):
    with pytest.raises(AssertionError):
        search(MUTANTS[name].broken, MUTANTS[name].remap)


def test_every_invariant_is_broken_by_some_wrong_remap():
    assert {mutant.broken for mutant in MUTANTS.values()} == set(CHECKS)
