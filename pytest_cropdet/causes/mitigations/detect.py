"""Asks the detector about every measure at inference, and finds what each wins back."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from pytest_cropdet.causes.attribution import ScoredRun
from pytest_cropdet.causes.explainer import Explainer
from pytest_cropdet.causes.mitigations.gains import (
    MitigationTrial,
    Part,
    Trials,
    choose,
    gains,
    halves,
    keep_best,
    part_of,
)
from pytest_cropdet.causes.mitigations.mitigation import Mitigation, mitigations, size_of
from pytest_cropdet.data import Detections, Sample
from pytest_cropdet.detectors import DetectorHandle
from pytest_cropdet.inference import Advanced, Batches, DetectionStore, Meter, Picture, Started

__all__ = ["try_mitigations"]


def try_mitigations(
    explainer: Explainer, run: ScoredRun, spec: str, known: Mapping[Picture, Detections]
) -> Iterator[Started | Advanced | Trials]:
    """Yield what is done, and at the end the trials.

    ``spec``: of the run's windows. ``known``: raw answers that need not be asked for again.
    """
    settings, names = explainer.settings, [sample.id for sample in run.objects.index.samples]
    drawn = halves(names, settings.seed)
    images = (len(drawn[0]), len(drawn[1]))
    parts = [part_of(run, half, settings) for half in drawn if half]
    if len(parts) < 2 or not all(len(part.index) for part in parts):
        yield Trials((), images)
        return
    wanted = mitigations(spec, explainer.handle.description.nms_iou)
    first = yield from _answers(explainer, parts[0], wanted, known)
    won = gains(parts[0], settings, first.found)
    best = keep_best(won)
    chosen = choose({each: won[each] for each in best}, first.calls)
    second = yield from _answers(explainer, parts[1], best, known)
    told = gains(parts[1], settings, second.found)
    yield Trials(
        tuple(MitigationTrial(each, told[each], second.calls[each], each == chosen, won[each]) for each in best), images
    )


@dataclass(frozen=True, eq=False)
class _Answers:
    """What each measure found in each crop, in the window's frame, and what each costs in calls a crop."""

    found: Mapping[Mitigation, Sequence[Detections]]
    calls: Mapping[Mitigation, float]


def _answers(
    explainer: Explainer, part: Part, wanted: Sequence[Mitigation], known: Mapping[Picture, Detections]
) -> Generator[Started | Advanced, None, _Answers]:
    """Ask about every picture of the measures once, and return what each measure makes of the answers."""
    handle, index = explainer.handle, part.index
    crops = [(index.samples[unit], crop) for unit, crop in zip(index.unit, index.crops, strict=True)]
    shown = {each: [each.pictures(*crop, handle.input_shape) for crop in crops] for each in wanted}
    found = DetectionStore[Picture]()
    to_ask: dict[str, dict[Picture, None]] = {sample.id: {} for sample in index.samples}  # in order, each once
    for rows in shown.values():
        for picture in chain.from_iterable(rows):
            if picture in known:
                found[picture] = known[picture]
            else:
                to_ask[picture.sample][picture] = None
    meter = Meter(handle, explainer.keys, "try", sum(map(len, to_ask.values())), explainer.spent, found)
    yield meter.start(len(index.samples), len(index))
    yield from meter.detect(list(index.samples), explainer.windows, _batches(handle, to_ask))
    translate = None if explainer.categories is None else explainer.categories.translate
    return _Answers(
        {
            each: [
                each.merged(sample, crop, pictures, found.listed(pictures, translate))
                for (sample, crop), pictures in zip(crops, rows, strict=True)
            ]
            for each, rows in shown.items()
        },
        {each: _calls(each, rows) for each, rows in shown.items()},
    )


def _calls(mitigation: Mitigation, rows: Sequence[Sequence[Picture]]) -> float:
    """Return the detector calls a crop; ``rows``: the pictures of each."""
    pictures = list(chain.from_iterable(rows))
    return len(set(pictures) if mitigation.shares_pictures else pictures) / len(rows)


def _batches(handle: DetectorHandle, to_ask: Mapping[str, Mapping[Picture, None]]) -> Batches:
    """Return what gives the batches of a chunk: its pictures of equal input shape, as many as go into a call."""

    def batches(chunk: Sequence[Sample]) -> Iterator[list[Picture]]:
        groups: dict[tuple[int, int], list[Picture]] = {}
        for sample in chunk:
            for picture in to_ask[sample.id]:
                groups.setdefault(handle.input_shape(*size_of(picture, sample)), []).append(picture)
        for group in groups.values():
            yield from (group[start : start + handle.batch] for start in range(0, len(group), handle.batch))

    return batches
