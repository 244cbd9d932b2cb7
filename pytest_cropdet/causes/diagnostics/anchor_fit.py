"""Whether objects have an anchor that fits, in the whole image and in the crop.

A detector with anchors is trained to find an object through the anchors that overlap it. A crop is resized to the same
input as the whole image, so the same object comes in another size, shape and place, and its anchors are others, or
none. Everything is measured at the model's input: the whole object as the whole image brings it, and what is left of
it as the crop brings it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors import Anchors, ResizeRule, frame_of
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.evaluation import Bounded, Interval, Objects, Share, drawn_sums, measure_share
from pytest_cropdet.geometry import Bools, Boxes, Floats, Ints, iou

__all__ = ["RECALL_IOU", "AnchorReport", "Fits", "NoAnchors", "OddsRatio", "anchor_report", "best_anchors"]

RECALL_IOU = (0.5, 0.7)
HAS_ANCHOR = 0.5  # IoU from which an object has an anchor: the usual threshold of training
PAIRS_HELD = 1 << 18  # of a box and an anchor at a time: about 20 MB
LARGEST_ANCHOR = 4.0  # of the input; anchors that reach over it are no share of the input but pixels
HALDANE = 0.5


@dataclass(frozen=True, slots=True)
class Fits:
    """How anchors fit some boxes: ``anchor`` (n,) the best one of each, ``iou`` (n,), 0 to 1.

    ``strides`` (n,): from the box's centre to that anchor's, in strides of that anchor (along x and y, then as the
    crow flies).
    """

    anchor: Ints
    iou: Floats
    strides: Floats


@dataclass(frozen=True, slots=True)
class OddsRatio(Interval):
    """By which factor the odds of being lost are larger for objects whose anchor is gone than for the others.

    ``table``: objects ``((gone and lost, gone and kept), (stays and lost, stays and kept))``, among those that had an
    anchor and were found in the whole image. 0.5 is added to each (Haldane); ``None`` where a row or a column is empty.
    """

    value: float | None
    low: float | None
    high: float | None
    table: tuple[tuple[int, int], tuple[int, int]]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        return {**self.bounds(), "table": [list(row) for row in self.table]}


@dataclass(frozen=True, eq=False)
class AnchorReport:
    """Whether objects have anchors, ``whole``: in the whole image, ``crop``: in the crop, with one-sided bounds.

    ``recall``: by rendering and IoU, the share of objects whose best anchor overlaps them by at least that; ``fall``:
    by IoU, whole minus crop. ``strides``: by rendering, the mean distance to the best anchor's centre. ``fits``: by
    rendering, for the rows ``rows`` of the objects.
    """

    anchors: int
    rows: Ints
    fits: Mapping[str, Fits]
    recall: Mapping[str, Mapping[float, Share]]
    fall: Mapping[float, Share]
    strides: Mapping[str, Share]
    lost_with_anchor: OddsRatio

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as built-in values."""
        return {
            "anchors": self.anchors,
            "objects": len(self.rows),
            "recall": {
                name: {f"{level:g}": each.bounds() for level, each in levels.items()}
                for name, levels in {**self.recall, "fall": self.fall}.items()
            },
            "strides": {name: each.bounds() for name, each in self.strides.items()},
            "odds_ratio": self.lost_with_anchor.to_dict(),
        }

    def __str__(self) -> str:
        lines = [f"{len(self.rows)} objects, {self.anchors} anchors"]
        for level in RECALL_IOU:
            whole, crop = self.recall["whole"][level], self.recall["crop"][level]
            lines.append(f"have an anchor at IoU {level:g}: {whole} in whole images, {crop} in crops")
        whole, crop = self.strides["whole"], self.strides["crop"]
        lines.append(f"strides to the best anchor's centre: {whole} in whole images, {crop} in crops")
        lines.append(f"odds of being lost, anchor gone against anchor present: ratio {self.lost_with_anchor}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class NoAnchors:
    """There is nothing to measure, and why."""

    why: str = "the detector has no anchors"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        return {"anchors": None, "why": self.why}

    def __str__(self) -> str:
        return self.why


def best_anchors(boxes: Boxes, anchors: Boxes) -> tuple[Ints, Floats]:
    """Return for each box the row of the anchor that overlaps it most (the first of equal ones), and their IoU.

    Both are ``x0 y0 x1 y1`` in one frame, pixels of the model's input; memory does not grow with the number of boxes.

    >>> best_anchors(np.array([[0.0, 0.0, 10.0, 10.0]]), np.array([[0.0, 0.0, 5.0, 5.0], [0.0, 0.0, 10.0, 8.0]]))
    (array([1]), array([0.8]))
    """
    if not len(anchors):
        raise DetectorError("there are no anchors; for a detector without any give None")
    row, overlap = np.zeros(len(boxes), dtype=np.int64), np.zeros(len(boxes))
    step = max(1, PAIRS_HELD // len(anchors))
    for start in range(0, len(boxes), step):
        part = iou(boxes[start : start + step], anchors)
        row[start : start + step] = part.argmax(axis=1)
        overlap[start : start + step] = part.max(axis=1)
    return row, overlap


def anchor_report(
    objects: Objects,
    anchors: Anchors | None,
    input_size: tuple[int, int],
    resize: str | ResizeRule | None,
    lost: Bools,
    draws: NDArray[Any],
    *,
    at_risk: Bools | None = None,
    counted: Bools | None = None,
    level: float = 0.95,
) -> AnchorReport | NoAnchors:
    """Return how the anchors fit the objects of whole images and of crops; :class:`NoAnchors` for ``anchors=None``.

    ``input_size``: width and height of the model's input in pixels; ``resize``: ``stretch``, ``letterbox`` or
    ``keep_aspect``. ``lost`` (G,): found in the whole image and not in the crop; ``at_risk`` (G,): found in the whole
    image, all where it is not given. ``draws``: of :func:`~pytest_cropdet.evaluation.draw_units`. ``counted`` (G,): the
    objects to count, those that are scored where it is not given. ``level``: of the bounds.
    """
    if anchors is None:
        return NoAnchors()
    rule = ResizeRule.of(str(resize) if resize is None else resize)
    if rule.resize not in ("stretch", "letterbox", "keep_aspect"):
        raise DetectorError(
            f"resize={rule.resize}: anchors lie in a fixed input; set stretch, letterbox or keep_aspect"
        )
    if anchors.rows[:, 2:].min() > LARGEST_ANCHOR:
        raise DetectorError("the anchors are larger than the input: they are wanted as cy cx h w in 0 to 1 of it")
    rows = np.flatnonzero(objects.scored if counted is None else counted)
    boxes = _boxes_at_input(objects, rows, input_size, rule)
    distinct, place = np.unique(boxes["whole"], axis=0, return_inverse=True)
    whole = _fits(distinct, anchors, input_size)
    back = place.reshape(-1)
    fits = {
        "whole": Fits(whole.anchor[back], whole.iou[back], whole.strides[back]),
        "crop": _fits(boxes["crop"], anchors, input_size),
    }
    unit, units = objects.unit[rows], len(objects.index.samples)

    def per_unit(values: NDArray[Any]) -> Floats:
        return np.bincount(unit, values, minlength=units).astype(np.float64)

    total = per_unit(np.ones(len(rows)))
    recall = {
        name: {
            least: measure_share(f"anchors {name}", per_unit(each.iou >= least), total, draws, good=True, level=level)
            for least in RECALL_IOU
        }
        for name, each in fits.items()
    }
    risk = np.ones(len(rows), dtype=bool) if at_risk is None else at_risk[rows]
    had = risk & (fits["whole"].iou >= HAS_ANCHOR)
    gone, missed = fits["crop"].iou < HAS_ANCHOR, lost[rows]
    cells = [per_unit(had & row & column) for row in (gone, ~gone) for column in (missed, ~missed)]
    return AnchorReport(
        anchors=len(anchors.rows),
        rows=rows,
        fits=fits,
        recall=recall,
        fall={
            least: measure_share(
                "anchors lost",
                recall["whole"][least].over - recall["crop"][least].over,
                total,
                draws,
                phrase="crops lose",
                level=level,
            )
            for least in RECALL_IOU
        },
        strides={
            name: measure_share(f"strides {name}", per_unit(each.strides), total, draws, unit="strides", level=level)
            for name, each in fits.items()
        },
        lost_with_anchor=_odds_ratio(np.stack(cells, axis=1), draws, level),
    )


def _boxes_at_input(objects: Objects, rows: Ints, input_size: tuple[int, int], resize: ResizeRule) -> dict[str, Boxes]:
    """Return (n, 4) boxes in input pixels: the whole object in the whole image, the clipped one in the crop."""
    index, found = objects.index, {"whole": np.zeros((len(rows), 4)), "crop": np.zeros((len(rows), 4))}
    images, starts = np.unique(objects.truth.image[rows], return_index=True)
    for image, start, stop in zip(images, starts, np.append(starts, len(rows))[1:], strict=True):
        sample, crop, here = index.samples[index.unit[image]], index.crops[image], rows[start:stop]
        order = np.argsort(sample.truth.ids, kind="stable")
        whole = order[np.searchsorted(sample.truth.ids[order], objects.annotation[here])]
        frame = frame_of(sample.width, sample.height, resize, *input_size)
        found["whole"][start:stop] = frame.to_input(sample.truth.boxes[whole])
        frame = frame_of(crop.width, crop.height, resize, *input_size)
        found["crop"][start:stop] = frame.to_input(objects.truth.boxes[here])
    return found


def _fits(boxes: Boxes, anchors: Anchors, input_size: tuple[int, int]) -> Fits:
    width, height = input_size
    placed = anchors.boxes(width, height)
    row, overlap = best_anchors(boxes, placed)
    between = (boxes[:, :2] + boxes[:, 2:] - placed[row, :2] - placed[row, 2:]) / 2
    steps = anchors.strides()[row][:, ::-1] * [width, height]
    return Fits(row, overlap, np.hypot(*(between / steps).T))


def _odds_ratio(cells: Floats, draws: NDArray[Any], level: float) -> OddsRatio:
    """Return the ratio from (units, 4) counts, with percentile bounds over resampled units."""
    total = cells.sum(axis=0)
    odds = Bounded.of(float(_ratio(total[None])[0]), _ratio(drawn_sums(draws, cells)), level)
    a, b, c, d = (int(count) for count in total)
    return OddsRatio(odds.value, odds.low, odds.high, ((a, b), (c, d)))


def _ratio(cells: Floats) -> Floats:
    """Return the odds ratio of each row of four counts, NaN where a row or a column of its table is empty."""
    a, b, c, d = (cells + HALDANE).T
    table = cells.reshape(-1, 2, 2)
    full = (table.sum(axis=1) > 0).all(axis=1) & (table.sum(axis=2) > 0).all(axis=1)
    return np.where(full, a * d / (b * c), np.nan)
