"""Matching detections to objects by COCO's rules, for all images, categories and thresholds at once.

The rules are those of ``pycocotools.cocoeval`` 2.0.11, kept to the letter: detections of one image and category in
order of falling score, the first ``max_detections`` of them, each takes the best object that is still free, scored
objects before ignored ones, the last of equal ones, and a crowd as often as it likes.

"Each in turn takes the best that is free" is a stable matching in which all objects rank the detections alike
(by score), so it may as well be found by proposals: every detection asks its best object, an object keeps the first in
score, the others ask their next. That gives the same pairs, and all images, categories and thresholds go in step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_cropdet.evaluation.coco.tables import (
    ALL_AREAS,
    COCO_THRESHOLDS,
    Detected,
    Matches,
    Truth,
)
from pytest_cropdet.geometry import Bools, Floats, Ints

PAIRS_AT_ONCE = 1 << 18  # bounds the memory of the IoU step
LARGEST_TABLE = 1 << 20  # of category ids


def match(
    truth: Truth,
    detected: Detected,
    *,
    images: int,
    categories: Sequence[int],
    thresholds: ArrayLike = COCO_THRESHOLDS,
    area_ranges: Mapping[str, tuple[float, float]] = ALL_AREAS,
    max_detections: int = 100,
    beyond: bool = False,
) -> Matches:
    """Match detections to objects of the same evaluation image and category.

    ``images`` is the number of evaluation images, those without objects included; rows of other categories than
    ``categories`` are left out; an area range is ``(low, high)`` in square pixels, both ends inclusive. IoU is that of
    pycocotools given ``x0, y0, x1 - x0, y1 - y0``, to the last bit, except where an object has a second, tight box.
    With ``beyond`` the rows after the first ``max_detections`` stay in the table; AP does not count them.

    >>> truth = Truth([0], [1], [[0, 0, 10, 10]], [100], [False], [False])
    >>> detected = Detected([0, 0], [1, 1], [[0, 0, 10, 8], [0, 0, 10, 10]], [0.9, 0.8])
    >>> match(truth, detected, images=1, categories=[1], thresholds=[0.5, 0.95]).truth_of()
    array([[ 0, -1],
           [-1,  0]], dtype=int32)
    """
    ids, limits = _checked(truth, detected, images, categories, thresholds, max_detections)
    truth_category = _positions(ids, truth.category)
    category = _positions(ids, detected.category)
    rows = _in_order(detected, category)
    category, image = category[rows], detected.image[rows]
    key = category * images + image
    over = len(rows) > 0 and bool(np.bincount(key).max() > max_detections)
    if over and not beyond:
        kept = _rank_in_group(key, images * len(ids)) < max_detections
        rows, category, image, key = rows[kept], category[kept], image[kept], key[kept]

    objects, group_start, group_of_key = _groups(truth, truth_category, images, len(ids))
    group = group_of_key[key]
    near = np.flatnonzero(group >= 0)  # detections with an object of their category in their image
    near = near[_stable_order(group[near], len(group_start))]
    group = group[near]
    rank = _rank_in_runs(group)
    pairs = _pairs(truth, detected, rows[near], objects, group_start[group], group_start[group + 1], limits.min())

    near_of_pair, object_of_pair, iou = pairs
    new = np.ones(len(iou), dtype=bool)
    new[1:] = near_of_pair[1:] != near_of_pair[:-1]
    contender_of_pair = np.cumsum(new) - 1
    in_group_order = near_of_pair[new]
    order = _stable_order(near[in_group_order], len(rows))

    low_high = np.array(list(area_ranges.values()), dtype=float).reshape(-1, 2)
    scored = ~(truth.crowd | truth.ignored) & ~_outside(truth.area, low_high) & (truth_category >= 0)
    matched = np.empty((len(low_high), len(limits), len(order)), dtype=np.int32)
    for index in range(len(low_high)):
        found = _propose(
            contender_of_pair, object_of_pair, iou, ~scored[index, objects], truth.crowd[objects], limits, len(order)
        )
        matched[index] = np.append(objects, -1)[found[:, order]]

    far = _outside(detected.area[rows], low_high)
    return Matches(
        images=images,
        categories=ids,
        thresholds=np.array(thresholds, dtype=float),
        areas=tuple(area_ranges),
        max_detections=max_detections,
        rows=rows,
        starts=np.searchsorted(category, np.arange(len(ids) + 1)),
        image=image,
        outside=far | detected.stray[rows],
        contenders=near[in_group_order][order],
        rank=rank[in_group_order][order],
        matched=matched,
        truth_image=truth.image,
        truth_category=truth_category,
        scored=scored,
        score=detected.score[rows],
        far=far,
        beyond=over and beyond,
    )


def _checked(
    truth: Truth,
    detected: Detected,
    images: int,
    categories: Sequence[int],
    thresholds: ArrayLike,
    max_detections: int,
) -> tuple[Ints, Floats]:
    """Return the category ids and the IoU each threshold really asks for, or say what is wrong."""
    ids = np.asarray(categories, dtype=np.int64).reshape(-1)
    if len(np.unique(ids)) != len(ids):
        raise ValueError(f"categories {list(categories)} name one twice")
    for name, image in (("truth", truth.image), ("detected", detected.image)):
        if len(image) and (image.min() < 0 or image.max() >= images):
            raise ValueError(f"{name}.image reaches from {image.min()} to {image.max()}, with {images} images")
    asked = np.atleast_1d(np.asarray(thresholds, dtype=float))
    if asked.ndim != 1 or not len(asked) or not ((asked > 0) & (asked <= 1)).all():
        raise ValueError(f"thresholds must be IoUs above 0 and up to 1, not {asked}")
    if max_detections < 1:
        raise ValueError(f"max_detections must be at least 1, not {max_detections}")
    return ids, np.minimum(asked, 1 - 1e-10)


def _positions(ids: Ints, wanted: Ints) -> Ints:
    """Return where each wanted id stands in ``ids``, -1 where it does not."""
    if not len(ids):
        return np.full(len(wanted), -1)
    low, high = ids.min(), ids.max()
    if high - low < LARGEST_TABLE:
        table: Ints = np.full(high - low + 2, -1)  # the last cell is for ids out of range
        table[ids - low] = np.arange(len(ids))
        found: Ints = table[np.where((wanted < low) | (wanted > high), high - low + 1, wanted - low)]
        return found
    sorter = np.argsort(ids)
    found = sorter[np.minimum(np.searchsorted(ids, wanted, sorter=sorter), len(ids) - 1)]
    return np.where(ids[found] == wanted, found, -1)


def _stable_order(key: NDArray[np.signedinteger[Any]], bound: int) -> Ints:
    """Return the stable argsort of integers from 0 to ``bound``, 16 bits at a time: those NumPy sorts by radix."""
    order = np.argsort(key.astype(np.uint16), kind="stable")
    shift = 16
    while bound >> shift:
        order = order[np.argsort((key >> shift).astype(np.uint16)[order], kind="stable")]
        shift += 16
    return order


def _in_order(detected: Detected, category: Ints) -> Ints:
    """Return the rows of known categories by category, falling score, image, row.

    One quick sort by a 64-bit key of category and score, as much of the score as there is room for; then what has equal
    keys is put in order.
    """
    rows = np.flatnonzero(category >= 0)
    category, falling = category[rows], 0.0 - detected.score[rows]
    bits = falling.view(np.uint64)
    rising = np.where(falling < 0, ~bits, bits | np.uint64(1 << 63))  # orders as the numbers do
    room = np.uint64(int(category.max(initial=0)).bit_length())
    key = rising >> room
    if room:
        key |= category.astype(np.uint64) << (np.uint64(64) - room)
    order = np.argsort(key)
    key = key[order]
    same = key[1:] == key[:-1]
    if same.any():
        tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
        some = order[tied]
        order[tied] = some[np.lexsort((some, detected.image[rows[some]], falling[some], category[some]))]
    return rows[order]


def _rank_in_group(key: Ints, bound: int) -> Ints:
    """Return how many earlier rows have the same key."""
    order = _stable_order(key, bound)
    rank = np.empty_like(key)
    rank[order] = _rank_in_runs(key[order])
    return rank


def _rank_in_runs(key: NDArray[np.signedinteger[Any]]) -> Ints:
    """Return how many equal keys stand directly before each."""
    place = np.arange(len(key))
    starts = np.where(np.append(True, key[1:] != key[:-1])[: len(key)], place, 0)
    return place - np.maximum.accumulate(starts)


def _groups(truth: Truth, truth_category: Ints, images: int, categories: int) -> tuple[Ints, Ints, NDArray[np.int32]]:
    """Group the objects by category and image.

    Returns the rows of the objects group by group, the start of each group among them (with the end appended), and
    for each key ``category * images + image`` its group, -1 for none.
    """
    objects = np.flatnonzero(truth_category >= 0)
    key = truth_category[objects] * images + truth.image[objects]
    order = _stable_order(key, images * categories)
    keys, start = np.unique(key[order], return_index=True)
    group_of_key = np.full(images * categories, -1, dtype=np.int32)
    group_of_key[keys] = np.arange(len(keys))
    return objects[order], np.append(start, len(objects)), group_of_key


def _pairs(
    truth: Truth, detected: Detected, rows: Ints, objects: Ints, first: Ints, last: Ints, least: float
) -> tuple[Ints, Ints, Floats]:
    """Return all pairs of IoU at least ``least``: index into ``rows``, index into ``objects``, IoU.

    ``first`` and ``last`` bound, for each of the rows, the objects of its image and category.
    """
    box, area = _edges(detected.boxes[rows])
    others = [_edges(truth.boxes[objects])]
    crowd = truth.crowd[objects]
    if truth.tight is not None:
        others.append(_edges(np.where(crowd[:, None], truth.boxes[objects], truth.tight[objects])))
    has_crowd = bool(crowd.any())
    count = last - first
    total = np.cumsum(count)
    blocks = np.searchsorted(total, np.arange(PAIRS_AT_ONCE, total[-1] if len(total) else 0, PAIRS_AT_ONCE))
    found = []
    for start, stop in zip([0, *blocks], [*blocks, len(rows)], strict=True):
        inside = count[start:stop]
        i = np.repeat(np.arange(start, stop), inside)
        j = np.arange(len(i)) - np.repeat(np.cumsum(inside) - inside - first[start:stop], inside)
        iou = np.zeros(len(i))
        for other, other_area in others:
            width = np.minimum(box[2][i], other[2][j]) - np.maximum(box[0][i], other[0][j])
            height = np.minimum(box[3][i], other[3][j]) - np.maximum(box[1][i], other[1][j])
            meet = np.flatnonzero((width > 0) & (height > 0))
            shared = width[meet] * height[meet]
            union = area[i[meet]] + other_area[j[meet]] - shared
            if has_crowd:
                union = np.where(crowd[j[meet]], area[i[meet]], union)
            iou[meet] = np.maximum(iou[meet], shared / union)
        near = np.flatnonzero(iou >= least)
        found.append((i[near], j[near], iou[near]))
    i, j, iou = (np.concatenate(part) for part in zip(*found, strict=True))
    return i, j, iou


def _edges(boxes: Floats) -> tuple[Floats, Floats]:
    """Return (4, n) left, top, right, bottom and (n,) areas, with the rounding of boxes given as x, y, w, h."""
    edges = boxes.T.copy()
    size = edges[2:] - edges[:2]
    np.add(edges[:2], size, out=edges[2:])
    return edges, size[0] * size[1]


def _outside(area: Floats, low_high: Floats) -> Bools:
    """Return (A, n): whether an area lies outside a range."""
    return (area < low_high[:, :1]) | (area > low_high[:, 1:])


def _propose(
    contender: Ints, other: Ints, iou: Floats, ignored: Bools, crowd: Bools, limits: Floats, contenders: int
) -> NDArray[np.int64]:
    """Return (T, C): for each threshold and contender the object it gets, -1 for none.

    The pairs come sorted by contender; contenders of one image and category stand by falling score, so that the one
    with the smaller number goes first. ``ignored`` and ``crowd`` are indexed like ``other``.
    """
    # The wishes of a contender: scored objects first, then the larger IoU, then the later object.
    wish = np.arange(len(iou))
    shares = contender[1:] == contender[:-1]
    many = np.flatnonzero(np.append(shares, False) | np.append(False, shares))
    wish[many] = many[np.lexsort((-other[many], -iou[many], ignored[other[many]], contender[many]))]
    contender, other, iou = contender[wish], other[wish], iou[wish]

    # The same at each threshold: one list of wishes per threshold and contender, end to end.
    passing = [np.flatnonzero(iou >= limit) for limit in limits]
    pair = np.concatenate(passing)
    level = np.repeat(np.arange(len(limits)), [len(part) for part in passing])
    who = level * contenders + contender[pair]
    place = level * len(ignored) + other[pair]
    if crowd.any():  # a crowd has a place of its own for everybody
        everybody = np.flatnonzero(crowd[other[pair]])
        place[everybody] = len(limits) * len(ignored) + everybody
    new = np.ones(len(who), dtype=bool)
    new[1:] = who[1:] != who[:-1]
    wished = np.flatnonzero(new)
    end = np.append(wished[1:], len(who))

    nobody = len(wished)
    holder = np.full(len(limits) * len(ignored) + len(pair), nobody)
    asking = np.arange(len(wished))
    while len(asking):
        asked = place[wished[asking]]
        before = holder[asked]
        np.minimum.at(holder, asked, asking)
        won = holder[asked] == asking
        pushed = before[won]
        asking = np.concatenate([asking[~won], pushed[pushed < nobody]])
        wished[asking] += 1
        asking = asking[wished[asking] < end[asking]]

    result = np.full(len(limits) * contenders, -1, dtype=np.int64)
    happy = wished < end
    result[who[new][happy]] = other[pair[wished[happy]]]
    return result.reshape(len(limits), contenders)
