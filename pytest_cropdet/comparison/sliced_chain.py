"""Why slicing gains or loses: a chain of experiments on the same tiles and objects whose steps add up to the gain.

| rendering | what the detector sees of each tile | the step to it |
|---|---|---|
| ``whole`` | the image in one pass | |
| ``context`` | pixels outside of the tile filled, except the objects that it cuts; same place and scale | ``context`` |
| ``cut`` | everything outside of the tile filled; same place, same scale | ``cut`` |
| ``tiles`` | the tile as it is sent | ``scale`` |

The answers of a rendering to all tiles of an image are merged by :func:`perfect_merge`, which knows the objects, and so
are those of one pass. With P for AP after the perfect merge, and AP as it is for one pass and for sliced inference::

    context = P(context) - P(whole)      scale = P(tiles) - P(cut)
    cut     = P(cut) - P(context)        merge = [AP(sliced) - P(tiles)] - [AP(whole) - P(whole)]

The sum of the four is AP(sliced) - AP(whole), exactly.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytest_cropdet.causes import Rendering
from pytest_cropdet.comparison.seams import MATCH_IOU, PIECE_SHARE, best_objects, lies_in
from pytest_cropdet.comparison.sliced_gain import WholeAnswers
from pytest_cropdet.data import CategoryMap, Dataset, Detections, GroundTruth, Sample
from pytest_cropdet.detectors import Sliced, Windowed, suppress
from pytest_cropdet.evaluation import Bounded, average_precision, resample, whole_image_matches
from pytest_cropdet.geometry import Crop, Floats
from pytest_cropdet.inference import Advanced, BatchKeys, Cache, Picture, detect_all
from pytest_cropdet.settings import RunSettings

__all__ = ["CHAIN_STEPS", "SlicedChain", "find_sliced_chain", "perfect_merge"]

CHAIN_STEPS: Mapping[str, str] = {
    "scale": "magnified by the tile",
    "context": "surroundings outside of the tile missing",
    "cut": "objects cut at seams",
    "merge": "merging, compared with a perfect merge",
}

_ADVICE = {
    "scale": "Objects are found less well at the scale of the tiles: {larger}.",
    "context": "Missing surroundings cost most: {larger}, or train on crops.",
    "cut": "Objects cut at seams cost most: {uncut}.",
    "merge": "Merging costs most: {merge}.",
}


@dataclass(frozen=True, eq=False)
class SlicedChain:
    """What each step adds to the gain of slicing.

    ``steps``: by name (``scale``, ``context``, ``cut``, ``merge``), the change in AP with one-sided bounds; they add up
    to the gain. ``perfect``: AP after the perfect merge, of ``whole``, ``context``, ``cut`` and ``tiles``. ``fill``:
    what removed pixels were replaced by. ``sliced``: what sliced.
    """

    steps: Mapping[str, Bounded]
    perfect: Mapping[str, float]
    fill: str
    sliced: Windowed = field(repr=False)

    @property
    def advice(self) -> str | None:
        """What helps against the step that surely costs most; ``None`` where none surely costs anything."""
        sure = {
            name: each.value
            for name, each in self.steps.items()
            if each.value is not None and each.high is not None and each.high < 0
        }
        return _advice(min(sure, key=lambda name: sure[name]), self.sliced) if sure else None

    def lines(self) -> list[str]:
        """Return the steps in words, a line each."""
        return [f"{name} ({CHAIN_STEPS[name]}): {each}" for name, each in self.steps.items()]

    def to_dict(self) -> dict[str, Any]:
        """Return the chain as built-in values."""
        return {
            "steps": [
                {"name": name, "phrase": CHAIN_STEPS[name], **each.to_dict()} for name, each in self.steps.items()
            ],
            "advice": self.advice,
            "perfect": {name: None if np.isnan(value) else float(value) for name, value in self.perfect.items()},
            "fill": self.fill,
        }


def _advice(step: str, sliced: Windowed) -> str:
    """Return what helps against a step, given the windows and the merge that it was measured with."""
    tiles = isinstance(sliced, Sliced)
    larger = "use larger tiles" if tiles else "use a larger margin"
    merge = "" if sliced.rule is None else sliced.rule.name
    return _ADVICE[step].format(
        larger=larger,
        uncut=f"let tiles overlap by the size of the objects, or {larger}" if tiles else larger,
        merge="compare other merges, iou and metric" if merge == "seam" else "try another merge, such as merge=seam",
    )


def find_sliced_chain(
    sliced: Windowed,
    dataset: Dataset,
    whole: WholeAnswers,
    cut: WholeAnswers,
    settings: RunSettings,
    cache: Cache | None = None,
    categories: Mapping[int, str] | None = None,
    watch: Callable[[Advanced], None] = lambda advanced: None,
) -> SlicedChain:
    """Return why sliced inference (``cut``) gains or loses against one pass (``whole``).

    It sends two more pictures per tile to the detector, and the tiles again where the cache does not know them.
    """
    samples, fill = whole.samples, settings.fill[0]
    counted = dict(dataset.categories if categories is None else categories)
    mapped = whole.mapped
    plain = sliced.unmerged()
    answers: dict[str, Sequence[Detections]] = {"whole": whole.found}
    answers |= _rendered(sliced, samples, whole, mapped, fill, BatchKeys.of(cache, sliced.inner), watch)
    tiles = {
        picture.sample: mapped.translate(each)
        for batch in detect_all(plain, samples, {sample.id: () for sample in samples}, BatchKeys.of(cache, plain))
        for picture, each in zip(batch.pictures, batch.found, strict=True)
    }
    answers["tiles"] = [tiles[sample.id] for sample in samples]
    threshold = 0.5 if sliced.rule is None else sliced.rule.threshold
    perfect = {
        name: [perfect_merge(each, sample.truth, threshold) for each, sample in zip(found, samples, strict=True)]
        for name, found in answers.items()
    }
    tables = {
        **{name: whole_image_matches(samples, found, counted) for name, found in perfect.items()},
        "one pass": whole_image_matches(samples, whole.found, counted),
        "sliced": whole_image_matches(samples, cut.found, counted),
    }
    ap = {name: float(getattr(average_precision(each), settings.metric)) for name, each in tables.items()}
    drawn = resample(
        list(tables.values()),
        np.arange(len(samples)),
        replicates=settings.replicates,
        seed=settings.seed,
        metrics=(settings.metric,),
    ).mean(settings.metric)
    values, draws = _steps(ap), _steps(dict(zip(tables, drawn, strict=True)))
    steps = {name: Bounded.of(float(values[name]), draws[name], settings.level) for name in CHAIN_STEPS}
    return SlicedChain(steps, {name: ap[name] for name in perfect}, fill, sliced)


def _steps(ap: Mapping[str, Any]) -> dict[str, Any]:
    """Return the steps of the chain from AP, a number or an array of draws, by what it is of."""
    return {
        "scale": ap["tiles"] - ap["cut"],
        "context": ap["context"] - ap["whole"],
        "cut": ap["cut"] - ap["context"],
        "merge": (ap["sliced"] - ap["tiles"]) - (ap["one pass"] - ap["whole"]),
    }


def perfect_merge(found: Detections, truth: GroundTruth, threshold: float = 0.5) -> Detections:
    """Return the detections of an image's tiles merged by an oracle that keeps the best of each object.

    ``found``: what was found in all tiles, in pixels of the image, with the data set's ids. A detection belongs to the
    object of its category that it overlaps most, from IoU 0.5 on. Of those of one object, the box with the highest IoU
    stays, with the highest score. Pieces of an object that is found (a box that lies in it by 75% of its own area) are
    dropped. The rest is merged by NMS at ``threshold``.
    """
    objects = np.flatnonzero(truth.counted)
    owner, best = best_objects(found, truth.boxes[objects], truth.categories[objects])
    hits = best >= MATCH_IOU
    boxes, scores, categories = [np.zeros((0, 4))], [np.zeros(0)], [np.zeros(0, np.int64)]
    for place in np.unique(owner[hits]):
        rows = np.flatnonzero(hits & (owner == place))
        boxes.append(found.boxes[rows[np.argmax(best[rows])]][None])
        scores.append(found.scores[rows].max(keepdims=True))
        categories.append(truth.categories[objects[place]][None])
    is_found = np.zeros(len(objects), dtype=bool)
    is_found[owner[hits]] = True
    piece = lies_in(found, truth.boxes[objects], truth.categories[objects], PIECE_SHARE)
    rest = found.take(np.flatnonzero(~hits & ~(piece & is_found[None, :]).any(axis=1)))
    merged = rest.take(suppress(rest.boxes, rest.scores, rest.categories, threshold))
    return Detections(
        np.concatenate([*boxes, merged.boxes]),
        np.concatenate([*scores, merged.scores]),
        np.concatenate([*categories, merged.categories]),
        found.capped,
    )


def _rendered(
    sliced: Windowed,
    samples: Sequence[Sample],
    whole: WholeAnswers,
    mapped: CategoryMap,
    fill: str,
    keys: BatchKeys | None,
    watch: Callable[[Advanced], None],
) -> dict[str, Sequence[Detections]]:
    """Return what is found in the renderings of all tiles of each image, and in the whole image where it is sent."""
    detector, windows = sliced.inner, {each.id: _crops(sliced, each) for each in samples}
    calls, seconds, done = 2 * sum(map(len, windows.values())), detector.seconds, 0
    by_id = {each.id: each for each in samples}
    pooled: dict[str, dict[str, list[Detections]]] = {
        name: {each.id: [found] if sliced.whole else [] for each, found in zip(samples, whole.found, strict=True)}
        for name in ("context", "cut")
    }

    def batches(chunk: Sequence[Sample]) -> Iterator[list[Picture]]:
        for rank in range(max((len(windows[each.id]) for each in chunk), default=0)):
            shown = [each for each in chunk if rank < len(windows[each.id])]
            for name in pooled:
                crops = [windows[each.id][rank] for each in shown]
                yield [
                    Picture(each.id, rank, crop, _rendering(name, fill, crop, each.truth))
                    for each, crop in zip(shown, crops, strict=True)
                ]

    for batch in detect_all(detector, samples, windows, keys, batches):
        for picture, found in zip(batch.pictures, batch.found, strict=True):
            crop, view = picture.crop, picture.rendering
            if crop is not None and view is not None:
                kept = _in_tile(found, crop, by_id[picture.sample], clipped=view.name == "cut")
                pooled[view.name][picture.sample].append(mapped.translate(kept))
        done += len(batch.pictures)
        watch(Advanced(done, calls, detector.seconds - seconds, "explain"))
    return {name: [_joined(found[each.id]) for each in samples] for name, found in pooled.items()}


def _crops(sliced: Windowed, sample: Sample) -> list[Crop]:
    """Return the tiles of an image, without the whole image."""
    crops = [tile.crop for tile in sliced.windows_of(sample)]
    return [crop for crop in crops if not sliced.whole or crop != Crop(0, 0, sample.width, sample.height)]


def _rendering(name: str, fill: str, crop: Crop, truth: GroundTruth) -> Rendering:
    """Return how a tile is shown; ``context`` leaves the objects whole that it cuts."""
    low, high = truth.boxes[:, :2], truth.boxes[:, 2:]
    shows = (low < [crop.right, crop.bottom]).all(axis=1) & (high > [crop.left, crop.top]).all(axis=1)
    return Rendering.of(name, fill, crop, truth.boxes[shows & ~truth.crowd])


def _in_tile(found: Detections, crop: Crop, sample: Sample, *, clipped: bool) -> Detections:
    """Return what shows in the tile, clipped to it or to the image, in the image's frame."""
    inside: Floats = crop.clip(found.boxes)
    shows = np.flatnonzero(((inside[:, 2:] - inside[:, :2]) > 0).all(axis=1))
    boxes = inside if clipped else Crop(0, 0, sample.width, sample.height).clip(found.boxes)
    return Detections(boxes[shows], found.scores[shows], found.categories[shows], found.capped)


def _joined(parts: Sequence[Detections]) -> Detections:
    return Detections(
        np.concatenate([np.zeros((0, 4)), *(each.boxes for each in parts)]),
        np.concatenate([np.zeros(0), *(each.scores for each in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(each.categories for each in parts)]),
        any(each.capped for each in parts),
    )
