"""What the AP of one category depends on, whatever the images weigh: taken from the match table once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.evaluation.coco.tables import Matches
from pytest_cropdet.geometry import Bools, Ints


@dataclass(frozen=True, eq=False)
class CategoryEvents:
    """One category of a match table, in the order of falling score.

    Whether a detection counts (as true or false positive) can depend on the threshold: one that matches a crowd at 0.5
    may match nothing at 0.95. What holds at most thresholds is stored once, the rest as changes. Events are the E
    detections that are true positives or changed at some threshold.
    """

    objects: Ints
    """(G,) images of the scored objects."""
    counted: Ints
    """(N,) images of the detections that mostly count, as far as the last true positive."""
    events: Ints
    """(E,) images of the events."""
    counted_before: Ints
    """(E,) how many of ``counted`` stand at or before each event."""
    hits: Bools
    """(T, E) whether an event is a true positive."""
    changes: NDArray[np.int8]
    """(T, E) +1 counts at this threshold but mostly does not, -1 the other way round, 0 as mostly."""


def category_events(
    table: Matches, categories: Sequence[int], levels: Sequence[int], area: str = "all"
) -> list[CategoryEvents]:
    """Return the events of each category, at some thresholds; categories and thresholds are given by their indices."""
    index = table.area_index(area)
    objects = np.flatnonzero(table.scored[index])
    objects = objects[np.argsort(table.truth_category[objects], kind="stable")]
    first_object = np.searchsorted(table.truth_category[objects], np.arange(len(table.categories) + 1))
    first_contender = np.searchsorted(table.contenders, table.starts)

    matched = table.matched[index][levels]
    hit = table.true_positives(area)[levels]
    counted = ~table.outside[index]
    counts = np.where(matched >= 0, hit, counted[table.contenders])
    mostly = counts.mean(axis=0) > 0.5
    counted[table.contenders] = mostly
    change = counts.astype(np.int8) - mostly.astype(np.int8)
    any_hit: Bools = np.logical_or.reduce(hit)
    is_event: Bools = any_hit | np.logical_or.reduce(change)

    found = []
    for k in categories:
        first, last = first_contender[k], first_contender[k + 1]
        end = last - int(np.argmax(any_hit[first:last][::-1])) if any_hit[first:last].any() else first
        event = first + np.flatnonzero(is_event[first:end])
        here = slice(table.starts[k], table.contenders[end - 1] + 1 if end > first else table.starts[k])
        before = np.cumsum(counted[here])
        found.append(
            CategoryEvents(
                objects=table.truth_image[objects[first_object[k] : first_object[k + 1]]],
                counted=table.image[here][counted[here]],
                events=table.image[table.contenders[event]],
                counted_before=before[table.contenders[event] - here.start] if len(event) else event,
                hits=hit[:, event],
                changes=change[:, event],
            )
        )
    return found
