"""Whether the detector answers the same twice, and if not, how far apart two passes are, in units of the drop.

The first batch of whole images is sent twice. Only if anything differs are the first whole images of the plan sent
again, as the same batches, and the drop between the two passes, with its bounds, is the spread: a drop smaller than
that says nothing.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from pytest_cropdet.data import CategoryMap, Detections, Sample
from pytest_cropdet.detectors import DetectorHandle
from pytest_cropdet.evaluation import CropIndex, bounds_of, build_detected, build_objects, match, resample
from pytest_cropdet.geometry import Crop
from pytest_cropdet.inference import BATCH_WAIT, BatchKeys, chunks
from pytest_cropdet.settings import RunSettings

__all__ = ["Repeat", "check_repeat", "differ"]

IMAGES = 50


@dataclass(frozen=True, slots=True)
class Repeat:
    """``same``: the detector repeated its answers bit for bit. ``spread``: else the drop between two passes, at most.

    ``images``: how many whole images were sent again.
    """

    same: bool
    spread: float | None
    images: int


def differ(first: Sequence[Detections], second: Sequence[Detections]) -> bool:
    """Return whether two answers to the same pictures differ in anything."""
    return any(
        len(one) != len(other)
        or not np.array_equal(one.boxes, other.boxes)
        or not np.array_equal(one.scores, other.scores)
        or not np.array_equal(one.categories, other.categories)
        for one, other in zip(first, second, strict=True)
    )


def check_repeat(
    detector: DetectorHandle,
    samples: Sequence[Sample],
    whole: Mapping[str, Detections],
    categories: CategoryMap | None,
    chosen: Sequence[int],
    settings: RunSettings,
    keys: BatchKeys | None = None,
) -> Repeat:
    """Return whether the detector repeats the answers ``whole`` (raw, by sample id) that it gave before.

    With ``keys`` the finding is kept, and on the same first batch (where that was not repeated: the same first images
    and settings) it is not looked for again. Nor is it where all detections of the run were stored, so that the
    detector was not called, and it repeated another batch of as many images before.
    """
    parts = chunks(detector, samples)
    if keys is None:
        return _check(detector, samples, parts, whole, categories, chosen, settings)
    same = keys.repeat_name(keys.key([(sample, None, "") for sample in parts[0]]))
    apart = keys.repeat_name(*_measured_on(parts, keys, chosen, settings))
    of_others = keys.repeat_name("batches", len(parts[0]))
    known = keys.repeat(same, apart, None if detector.images_sent else of_others)
    while known is None and same is not None and not keys.cache.claim(same):
        time.sleep(BATCH_WAIT)  # another process is finding out
        known = keys.repeat(same, apart)
    try:
        known = known or keys.repeat(same, apart)
        if known is not None:
            return Repeat(**known)
        found = _check(detector, samples, parts, whole, categories, chosen, settings)
        for name in (same, of_others) if found.same else (apart,):
            keys.keep_repeat(name, asdict(found))
        return found
    finally:
        if same is not None:
            keys.cache.release(same)


def _check(
    detector: DetectorHandle,
    samples: Sequence[Sample],
    parts: Sequence[Sequence[Sample]],
    whole: Mapping[str, Detections],
    categories: CategoryMap | None,
    chosen: Sequence[int],
    settings: RunSettings,
) -> Repeat:
    again = _detect(detector, parts[0])
    first = [whole[sample.id] for sample in parts[0]]
    if not differ(first, again):
        return Repeat(True, None, len(first))
    second = dict(zip((sample.id for sample in parts[0]), again, strict=True))
    for part in _to_repeat(parts)[1:]:
        second.update(zip((sample.id for sample in part), _detect(detector, part), strict=True))
    repeated = [sample for sample in samples if sample.id in second]
    spread = _spread(repeated, [whole, second], categories, chosen, settings)
    return Repeat(False, spread, len(repeated))


def _to_repeat(parts: Sequence[Sequence[Sample]]) -> Sequence[Sequence[Sample]]:
    """Return the first parts that hold ``IMAGES`` together."""
    count = 0
    for place, part in enumerate(parts):
        count += len(part)
        if count >= IMAGES:
            return parts[: place + 1]
    return parts


def _measured_on(
    parts: Sequence[Sequence[Sample]], keys: BatchKeys, chosen: Sequence[int], settings: RunSettings
) -> list[object]:
    """Return all that the spread depends on: the pictures that are sent again, their truth, and how it is measured."""
    repeated = _to_repeat(parts)
    batches = [keys.key([(sample, None, "") for sample in part]) for part in repeated]
    truth = [repr(sample.truth) for part in repeated for sample in part]
    measured = [*batches, *truth, *chosen, settings.metric, settings.seed, settings.replicates, settings.level]
    return [*measured, *settings.alias, *settings.group]


def _detect(detector: DetectorHandle, part: Sequence[Sample]) -> list[Detections]:
    prepared = [detector.adapter.prepare(sample.image()) for sample in part]
    return detector.detect(prepared, [sample.id for sample in part])


def _spread(
    samples: Sequence[Sample],
    passes: Sequence[Mapping[str, Detections]],
    categories: CategoryMap | None,
    chosen: Sequence[int],
    settings: RunSettings,
) -> float | None:
    """Return the bound farther from 0 of the drop between two passes over whole images; ``None`` without objects."""
    count = np.arange(len(samples))
    frames = tuple(Crop(0, 0, sample.width, sample.height) for sample in samples)
    index = CropIndex(tuple(samples), frames, count, np.zeros_like(count))
    objects = build_objects(index, 0.0)
    translate = (lambda found: found) if categories is None else categories.translate
    tables = [
        match(
            objects.truth,
            build_detected(index, [translate(each[sample.id]) for sample in samples], 0.0, whole=True),
            images=len(index),
            categories=list(chosen),
            max_detections=settings.max_detections,
        )
        for each in passes
    ]
    replicates = resample(
        tables, count, replicates=settings.replicates, seed=settings.seed, metrics=[settings.metric]
    ).mean(settings.metric)
    low, high = bounds_of(replicates[0] - replicates[1], settings.level)
    return None if low is None or high is None else max(abs(low), abs(high))
