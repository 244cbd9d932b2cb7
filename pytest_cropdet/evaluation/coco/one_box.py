"""One right box an object, for evaluators that know of one alone: so that every detection comes out as with two.

A cut object has two right boxes, and IoU with it is the larger of both. Here it keeps that one with which the
detections that match it fit at more thresholds. Where one of them needs the other box, it is moved: the map from the
other box to the kept one changes no IoU between a detection and its object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pytest_cropdet.evaluation.coco.matching import match
from pytest_cropdet.evaluation.coco.tables import Detected, Matches, Truth
from pytest_cropdet.geometry import Bools, Floats, Ints

HALVINGS = 60  # until two floats are neighbours


@dataclass(frozen=True, eq=False)
class OneBox:
    """The tables for an evaluator that knows one box an object, and what they are not true to.

    ``truth``: without second boxes. ``detected``: the same rows, of which ``moved`` (D,) have another box. ``apart``:
    (D,) detections that come out otherwise than with both boxes at some threshold: rarely any.
    """

    truth: Truth
    detected: Detected
    moved: Bools
    apart: Bools


def one_box(
    truth: Truth, detected: Detected, *, images: int, categories: Sequence[int], max_detections: int = 100
) -> OneBox:
    """Return the tables with one right box an object; the arguments are those of ``match``.

    >>> two = Truth([0], [1], [[0, 0, 10, 10]], [80], [False], [False], tight=[[0, 0, 10, 8]])
    >>> detected = Detected([0], [1], [[0, 0, 10, 8]], [0.9])
    >>> one_box(two, detected, images=1, categories=[1]).truth.boxes
    array([[ 0.,  0., 10.,  8.]])
    """
    none = np.zeros(len(detected), dtype=bool)
    if truth.tight is None:
        return OneBox(truth, detected, none, none.copy())
    matches = match(truth, detected, images=images, categories=categories, max_detections=max_detections)
    attempt = partial(_attempt, truth, detected, matches)
    truths, found = _groups(truth), _groups(detected)
    first = _prefers_tight(truth, detected, matches)
    tight, shrunk = first, none
    best = attempt(tight, shrunk)
    for swap, shrink in ((True, False), (False, True), (True, True)):
        stuck = np.unique(found[best.apart])  # a moved detection may meet a region that does not count
        if not len(stuck):
            break
        here, there = np.isin(truths, stuck), np.isin(found, stuck)
        tried = attempt(np.where(here, first ^ swap, tight), np.where(there, shrink, shrunk))
        better = [each for each in stuck if tried.apart[found == each].sum() < best.apart[found == each].sum()]
        if better:
            tight = np.where(np.isin(truths, better), first ^ swap, tight)
            shrunk = np.where(np.isin(found, better), shrink, shrunk)
            best = attempt(tight, shrunk)
    return best


def _attempt(truth: Truth, detected: Detected, matches: Matches, prefers: Bools, shrunk: Bools) -> OneBox:
    """Return the tables where objects keep their tight box, or not (``prefers``), and what needs the other is moved.

    ``shrunk``: (D,) moved towards the object's box, until it overlaps it as it did the other; else as the other box is
    to become the kept one.
    """
    tight = truth.boxes if truth.tight is None else truth.tight
    prefers = (prefers & ~truth.crowd)[:, None]
    kept, other = np.where(prefers, tight, truth.boxes), np.where(prefers, truth.boxes, tight)
    one = replace(truth, boxes=kept, tight=None)
    apart = _apart(one, detected, matches)
    boxes, moved = detected.boxes.copy(), np.zeros(len(detected), dtype=bool)
    for row, place in _unfit(one, detected, matches, apart):
        way = _shrunk if shrunk[row] else _mapped
        boxes[row], moved[row] = way(detected.boxes[row], other[place], kept[place]), True
    if moved.any():
        detected = replace(detected, boxes=boxes)
        apart = _apart(one, detected, matches)
    return OneBox(one, detected, moved, apart)


def _groups(table: Truth | Detected) -> Ints:
    """Return one number for image and category of each row."""
    return np.asarray(table.image << 32) + table.category


def _prefers_tight(truth: Truth, detected: Detected, matches: Matches) -> Bools:
    """Return (G,) whether the detections that match an object fit its tight box at more thresholds."""
    tight = truth.boxes if truth.tight is None else truth.tight
    fits = np.zeros((2, len(truth)))
    for level, partner in enumerate(matches.truth_of()):
        place = np.flatnonzero(partner >= 0)
        objects, found = partner[place], detected.boxes[matches.rows[place]]
        for side, boxes in enumerate((truth.boxes, tight)):
            np.add.at(fits[side], objects, _iou(found, boxes[objects]) >= matches.thresholds[level])
    return np.asarray(fits[1] > fits[0])


def _apart(truth: Truth, detected: Detected, matches: Matches) -> Bools:
    """Return (D,) the detections that come out otherwise with these tables: right, wrong or ignored."""
    again = match(
        truth,
        detected,
        images=matches.images,
        categories=matches.categories.tolist(),
        max_detections=matches.max_detections,
    )
    apart = np.zeros(len(detected), dtype=bool)
    apart[matches.rows] = (_outcome(again) != _outcome(matches)).any(axis=0)
    return apart


def _outcome(matches: Matches) -> Ints:
    """Return (T, D): 1 where a kept detection is right, 0 where it is wrong, -1 where it is ignored."""
    return np.where(matches.ignored(), -1, (matches.truth_of() >= 0).astype(np.int64))


def _unfit(truth: Truth, detected: Detected, matches: Matches, apart: Bools) -> list[tuple[int, int]]:
    """Return detections, with their object, that do not reach it with its one box where they match it with two.

    Only those in an image and category of which a detection is ``apart``.
    """
    groups = _groups(detected)
    concerned = np.isin(groups, groups[apart])
    unfit: dict[int, int] = {}
    for level, partner in enumerate(matches.truth_of()):
        place = np.flatnonzero(partner >= 0)
        rows, objects = matches.rows[place], partner[place]
        short = _iou(detected.boxes[rows], truth.boxes[objects]) < matches.thresholds[level]
        short &= concerned[rows] & ~truth.crowd[objects]
        unfit.update(zip(rows[short].tolist(), objects[short].tolist(), strict=True))
    return sorted(unfit.items())


def _mapped(box: Floats, before: Floats, after: Floats) -> Floats:
    """Return a box moved and stretched as ``before`` is to become ``after``."""
    sides = before[2:] - before[:2]
    factor = np.divide(after[2:] - after[:2], sides, out=np.ones(2), where=sides > 0)
    return np.asarray(np.tile(after[:2], 2) + (box - np.tile(before[:2], 2)) * np.tile(factor, 2))


def _shrunk(box: Floats, before: Floats, after: Floats) -> Floats:
    """Return a box moved towards ``after`` until it overlaps it as much as it does ``before``."""
    wanted = _iou(box[None], before[None])[0]
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        enough = _iou((box + middle * (after - box))[None], after[None])[0] >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return np.asarray(box + high * (after - box))


def _iou(first: Floats, second: Floats) -> Floats:
    """Return (n,) IoU row by row."""
    edges = np.concatenate([np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])], axis=1)
    both, one, other = (np.clip(each[:, 2:] - each[:, :2], 0, None).prod(axis=1) for each in (edges, first, second))
    return np.asarray(both / (one + other - both))


__all__ = ["OneBox", "one_box"]
