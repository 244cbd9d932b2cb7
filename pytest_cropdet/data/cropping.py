"""What becomes of ground truth and detections in a window.

The rules are those of the field's evaluators, written down once: an object is in the window if and only if its clipped
box has width and height (and, with a mask, a visible pixel); visibility is measured in the original frame against the
original object.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data.samples import Detections, GroundTruth
from pytest_cropdet.geometry import (
    Bools,
    Boxes,
    Crop,
    Floats,
    Ints,
    Mask,
    areas_of,
    boxes_of,
    has_sides,
    translate,
    visible_fraction,
    window_mask,
)

__all__ = ["MIN_VISIBILITY", "CroppedDetections", "CroppedTruth", "crop_detections", "crop_truth", "visible_masks"]


MIN_VISIBILITY = 0.5


@dataclass(frozen=True, eq=False)
class CroppedTruth:
    """The objects that show in a window, in the window's frame, and how they count.

    ``truth``: the objects, boxes clipped, areas those of the visible part; crowds stay crowds, and of what is ignored
    only what shows enough stays so: the rest is as of any other object. ``kept``: (k,) row in
    the original of each. ``visibility``: (k,) visible area over original area. ``scored``: (k,) objects that must be
    found; the others are regions in which detections do not count (crowds, and objects of which too little shows).
    ``tight``: (k, 4) box of the visible mask, which is what one sees of a cut object; the clipped box where there is
    no mask.
    """

    truth: GroundTruth
    kept: Ints
    visibility: Floats
    scored: Bools
    tight: Boxes

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True, eq=False)
class CroppedDetections:
    """Detections in a window's frame, clipped to it.

    ``kept``: (k,) row in the original of each. ``visibility``: (k,) share of each box that lies in the window.
    """

    detections: Detections
    kept: Ints
    visibility: Floats


def visible_masks(truth: GroundTruth, crop: Crop, rows: Ints) -> tuple[Floats, Boxes, NDArray[np.bool_]]:
    """Return, for each of ``rows``, visible pixels, their tight box in the image's frame, whether there is a mask."""
    pixels = np.zeros(len(rows))
    tight = np.zeros((len(rows), 4))
    masked = np.array([truth.masks[row] is not None for row in rows], dtype=bool)
    windows: dict[tuple[int, int], Mask] = {}
    seen = []
    for mask in (truth.masks[row] for row in rows):
        if mask is None:
            continue
        if not crop.fits(mask.width, mask.height):
            raise ValueError(f"{crop} sticks out of the image, {mask.width} wide and {mask.height} high")
        frame = (mask.height, mask.width)
        if frame not in windows:
            windows[frame] = window_mask(*frame, crop.left, crop.top, crop.width, crop.height)
        seen.append(mask.overlap(windows[frame]))
    if seen:
        pixels[masked], tight[masked] = areas_of(seen), boxes_of(seen)
    return pixels, tight, masked


def crop_truth(
    truth: GroundTruth, crop: Crop, min_visibility: float = MIN_VISIBILITY, *, cut_masks: bool = True
) -> CroppedTruth:
    """Return the objects of an image that show in ``crop``, in its frame.

    An object scores if at least ``min_visibility`` of it is visible (by mask where it has one, else by box, always
    against the original); below that it is kept as an ignored region, never dropped. Crowds stay ignored regions.
    ``cut_masks=False`` leaves the masks themselves out, which is much faster; visibility and tight boxes come from
    them all the same.
    """
    clipped = crop.clip(truth.boxes)
    inside = has_sides(clipped)
    visibility = visible_fraction(truth.boxes, clipped)
    tight = clipped.copy()
    area = truth.areas * visibility
    rows = np.flatnonzero(inside)
    pixels, tight_masks, masked = visible_masks(truth, crop, rows)
    for place in np.flatnonzero(masked):
        row = rows[place]
        mask = truth.masks[row]
        whole = 0 if mask is None else mask.area
        if whole == 0:  # a polygon too thin for a single pixel: its box is all there is
            continue
        if pixels[place] == 0:
            inside[row] = truth.crowd[row]
            continue
        visibility[row] = pixels[place] / whole
        area[row] = pixels[place]
        tight[row] = tight_masks[place]
    kept = np.flatnonzero(inside)
    crowd, enough = truth.crowd[kept], visibility[kept] >= min_visibility
    shown = GroundTruth(
        boxes=translate(clipped[kept], -crop.left, -crop.top),
        categories=truth.categories[kept],
        ids=truth.ids[kept],
        crowd=crowd,
        areas=area[kept],
        masks=tuple(_cut_mask(truth.masks[row], crop) if cut_masks else None for row in kept),
        ignored=truth.ignored[kept] & enough,
    )
    scored = truth.counted[kept] & enough
    return CroppedTruth(shown, kept, visibility[kept], scored, translate(tight[kept], -crop.left, -crop.top))


def _cut_mask(mask: Mask | None, crop: Crop) -> Mask | None:
    return None if mask is None else mask.cut(crop.left, crop.top, crop.width, crop.height)


def crop_detections(detections: Detections, crop: Crop) -> CroppedDetections:
    """Return detections of the image in the frame of ``crop``, clipped; those without area there are dropped."""
    clipped = crop.clip(detections.boxes)
    kept = np.flatnonzero(has_sides(clipped))
    visibility = visible_fraction(detections.boxes[kept], clipped[kept])
    shown = detections.take(kept)
    boxes = translate(clipped[kept], -crop.left, -crop.top)
    return CroppedDetections(Detections(boxes, shown.scores, shown.categories, shown.capped), kept, visibility)
