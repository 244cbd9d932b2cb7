"""From the detections of the chain's renderings to the causes of a drop: steps, fates, and what other fills say."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.causes.chain import Chain, Scores, agreeing, build_chain
from pytest_cropdet.causes.fates import Fates, fates
from pytest_cropdet.causes.renderings import detected_in
from pytest_cropdet.data import Detections
from pytest_cropdet.evaluation import (
    FOUND_IOU,
    IOU_OF,
    Blocks,
    CropIndex,
    Detected,
    DetectedBlocks,
    DetectedTables,
    HiddenNumbers,
    Matches,
    Objects,
    OperatingPoint,
    average_precision,
    blocks_of,
    match_blocks,
    ratio_of_sums,
    resample,
    resampled_ratio,
    unchecked,
)
from pytest_cropdet.geometry import Bools, iou
from pytest_cropdet.settings import RunSettings
from pytest_cropdet.terms import CHAIN

__all__ = ["Causes", "ScoredRun", "find_causes", "rendered_names", "scores_of"]


def rendered_names(settings: RunSettings) -> tuple[str, ...]:
    """Return the renderings that explain a drop, beside the whole image and the crop: a detector call a crop each."""
    return ("context", "cut", "moved", "placebo", *(("hollow",) if settings.both_orders else ()))


@dataclass(frozen=True, eq=False)
class ScoredRun:
    """What a run holds that its causes are found from.

    ``detected``, ``matches``: of ``reference`` and ``crop``. ``chosen``: ids of the categories that are scored;
    ``kept``: those of them in the mean. ``names``: categories by id. ``agreement``: whole images stand in for truth.
    ``point``: what is found at the operating point.
    """

    objects: Objects
    detected: Mapping[str, Detected]
    matches: Mapping[str, Matches]
    chosen: Sequence[int]
    kept: Sequence[int]
    names: Mapping[int, str]
    hidden: HiddenNumbers
    agreement: bool
    point: OperatingPoint

    @property
    def counted(self) -> Bools:
        """(G,) the scored objects of the chosen categories."""
        return self.point.counted

    @property
    def draws(self) -> NDArray[Any]:
        """(N, units) how often each source image is drawn in each resample."""
        return self.hidden.lost.draws


@dataclass(frozen=True, eq=False)
class Causes:
    """Why it dropped. ``chains``: one for each fill, the first is the one that is reported.

    ``detected``, ``matches``, ``found``: by rendering, with the first fill; ``found`` is (G,) at the operating point.
    """

    chains: tuple[Chain, ...]
    fates: Fates
    detected: Mapping[str, Detected]
    matches: Mapping[str, Matches]
    found: Mapping[str, Bools]
    notes: tuple[str, ...] = field(default=())

    @property
    def chain(self) -> Chain:
        """The chain that is reported."""
        return self.chains[0]

    def to_dict(self) -> dict[str, Any]:
        """Return what goes with the steps, as built-in values: the placebo, both orders, other fills."""
        return {
            "fill": self.chain.fill,
            "ap": dict(self.chain.ap),
            "placebo": None if self.chain.placebo is None else self.chain.placebo.to_dict(),
            "orders": {name: [step.to_dict() for step in steps] for name, steps in self.chain.orders.items()},
            "other_fills": [other.to_dict() for other in self.chains[1:]],
            "notes": list(self.notes),
        }


def find_causes(
    run: ScoredRun, settings: RunSettings, rendered: Mapping[tuple[str, str], Sequence[Detections]]
) -> Causes:
    """Return the causes; ``rendered``: by fill and rendering, one answer a crop in the frame of the rendering."""
    objects, index = run.objects, run.objects.index
    categories = run.matches["crop"].categories.tolist()
    ends = {"whole": run.matches["reference"], "crop": run.matches["crop"]}
    most, reference = settings.max_detections, blocks_of(run.detected, "reference", index)
    tables, matches = dict[tuple[str, str], Blocks](), dict[tuple[str, str], Matches]()
    for key, rows in rendered.items():
        seen = DetectedBlocks(index, rows, settings.min_visibility, frame=detected_in(key[1]))
        tables[key] = _ContextBlocks(seen, reference) if key[1] == "context" else seen
        matches[key] = match_blocks(objects.truth, tables[key], categories=categories, max_detections=most)
    fills = list(dict.fromkeys(fill for fill, _ in rendered))
    everything: dict[Any, Matches] = {**ends, **matches}
    detected: dict[Any, Blocks] = {"whole": reference, "crop": blocks_of(run.detected, "crop", index), **tables}
    numbers = scores_of(run, settings, everything, None)
    chains = []
    for fill in fills:
        of_fill = {name: (fill, name) for owner, name in rendered if owner == fill}
        places: dict[str, Any] = {"whole": "whole", **of_fill, "crop": "crop"}
        scores = Scores(
            {name: numbers.values[place] for name, place in places.items()},
            {name: numbers.replicates[place] for name, place in places.items()},
        )
        chains.append(build_chain(scores, fill, settings.level))
    first = {name: name if name in ends else (fills[0], name) for name in (*CHAIN, "placebo", "hollow")}
    own_keys = {name: key for name, key in first.items() if key in everything}
    found = {name: run.point.found_in(everything[key], None) for name, key in own_keys.items()}
    return Causes(
        chains=tuple(chains),
        fates=fates(objects, found, run.counted, run.draws, run.names, settings.level),
        detected=DetectedTables({name: detected[key] for name, key in own_keys.items()}),
        matches={name: everything[key] for name, key in own_keys.items()},
        found=found,
        notes=tuple(agreeing(chains)),
    )


def scores_of(
    run: ScoredRun, settings: RunSettings, matches: Mapping[Any, Matches], detected: Mapping[Any, Detected] | None
) -> Scores:
    """Return one number for each match table and the same in every resample, paired: AP, in agreement the share found.

    ``matches`` and ``detected`` have the same keys; in agreement one of them is ``whole``. ``detected``: ``None`` where
    the match tables have the scores.
    """
    return (_share_found if run.agreement else _average)(run, settings, matches, detected)


@dataclass(frozen=True, eq=False)
class _ContextBlocks(Blocks):
    """The detections of ``context``, with those counted that are not in the ``reference``."""

    seen: Blocks
    reference: Blocks

    @property
    def index(self) -> CropIndex:  # type: ignore[override]
        return self.seen.index

    def blocks(self) -> Iterator[tuple[int, int, Detected]]:
        both = zip(self.parts(), self.seen.blocks(), self.reference.blocks(), strict=True)
        for (_, _, part), (first, stop, table), (_, _, whole) in both:
            yield first, stop, _count_new(table, whole, unchecked(part, table))


def _count_new(table: Detected, whole: Detected, never: Bools) -> Detected:
    """Return ``table``, of ``context``, with the detections counted that lie mostly outside and are not in ``whole``.

    An object that is barely in the window is whole in ``context``. If it gets a wrong label there, its box lies mostly
    outside and would be ignored, to count from ``cut`` on, where only what is left of it is seen: the lost context
    would be charged to the cut. What the whole image has too (same category, IoU 0.5 in the window) stays ignored, and
    so does what is ``never`` counted, as its category is not checked in the image.
    """
    stray = table.stray.copy()
    images = np.unique(table.image[stray])
    ours, theirs = (np.searchsorted(each.image, [images, images + 1]).T.tolist() for each in (table, whole))
    for (start, stop), (first, last) in zip(ours, theirs, strict=True):
        rows, before = start + np.flatnonzero(table.stray[start:stop]), np.arange(first, last)
        same = table.category[rows, None] == whole.category[before]
        stray[rows] = (same & (iou(table.boxes[rows], whole.boxes[before]) >= FOUND_IOU)).any(axis=1)
    stray |= never
    return replace(table, stray=stray)


def _average(
    run: ScoredRun, settings: RunSettings, matches: Mapping[Any, Matches], detected: Mapping[Any, Detected] | None
) -> Scores:
    """Return the mean AP of each rendering and its replicates, from the draws of the run itself."""
    kept = np.isin(run.matches["crop"].categories, list(run.kept))
    at = IOU_OF[settings.metric]
    values = {name: average_precision(table).mean(threshold=at, categories=kept) for name, table in matches.items()}
    replicates = resample(
        list(matches.values()),
        run.objects.index.unit,
        replicates=settings.replicates,
        seed=settings.seed,
        categories=kept,
        metrics=[settings.metric],
    ).mean(settings.metric)
    return Scores(
        {name: None if math.isnan(value) else float(value) for name, value in values.items()},
        dict(zip(matches, replicates, strict=True)),
    )


def _share_found(
    run: ScoredRun, settings: RunSettings, matches: Mapping[Any, Matches], detected: Mapping[Any, Detected] | None
) -> Scores:
    """Return the share of the objects found in the whole image that each rendering still finds, and its replicates.

    Without ground truth the drop is the share lost, and so are its steps.
    """
    units = len(run.objects.index.samples)

    def per_unit(rows: Bools) -> NDArray[np.float64]:
        return np.bincount(run.objects.unit[rows], minlength=units).astype(np.float64)

    total = per_unit(run.counted)
    tables = dict.fromkeys(matches) if detected is None else detected
    found = {name: run.point.found_in(table, tables[name]) for name, table in matches.items()}
    over = {name: per_unit(rows & found["whole"]) for name, rows in found.items()}
    return Scores(
        {name: ratio_of_sums(each, total) for name, each in over.items()},
        {name: resampled_ratio(each, total, run.draws) for name, each in over.items()},
    )
