"""Asks the detector about the renderings of every crop, and finds the causes of a drop from its answers.

Nothing is asked before somebody wants to know: a gate that did not pass, ``explain = always``, or a user.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from pytest_cropdet.causes.attribution import Causes, ScoredRun, find_causes, rendered_names
from pytest_cropdet.causes.renderings import Rendering, cut_objects
from pytest_cropdet.data import CategoryMap, Sample
from pytest_cropdet.detectors import DetectorHandle
from pytest_cropdet.geometry import Boxes, Crop
from pytest_cropdet.inference import Advanced, Batches, BatchKeys, Meter, Picture, Spent, Started
from pytest_cropdet.settings import RunSettings

__all__ = ["Explainer"]


@dataclass(frozen=True, eq=False)
class Explainer:
    """What it takes to find the causes of one run: ``parts`` are its samples as they were detected, look by look."""

    handle: DetectorHandle
    keys: BatchKeys | None
    parts: Sequence[Sequence[Sample]]
    windows: Mapping[str, Sequence[Crop]]
    categories: CategoryMap | None
    settings: RunSettings
    spent: Spent

    def causes(self, run: ScoredRun) -> Iterator[Started | Advanced | Causes]:
        """Yield what is done, and at the end the causes."""
        index, names = run.objects.index, rendered_names(self.settings)
        plan = _rendered(run, names, self.settings.fill)
        meter = Meter(self.handle, self.keys, "explain", sum(map(len, plan.values())), self.spent)
        yield meter.start(len(index.samples), len(index))
        for part in self.parts:
            yield from meter.detect(part, self.windows, _batches(plan, self.windows))
        translate = None if self.categories is None else self.categories.translate
        places = [
            (index.samples[unit].id, int(rank), crop)
            for unit, rank, crop in zip(index.unit, index.rank, index.crops, strict=True)
        ]
        rendered = {
            (fill, name): meter.found.listed(
                (Picture(sample, rank, crop, plan[sample, rank][place]) for sample, rank, crop in places), translate
            )
            for place, (fill, name) in enumerate(product(self.settings.fill, names))
        }
        yield find_causes(run, self.settings, rendered)


def _rendered(run: ScoredRun, names: Sequence[str], fills: Sequence[str]) -> dict[tuple[str, int], list[Rendering]]:
    """Return, by sample and rank, the renderings of a crop: for each fill those of ``names``."""
    index, objects = run.objects.index, run.objects
    starts = np.searchsorted(objects.truth.image, np.arange(len(index) + 1))
    found = {}
    for place, (unit, crop) in enumerate(zip(index.unit, index.crops, strict=True)):
        sample = index.samples[unit]
        rows = slice(starts[place], starts[place + 1])
        whole = sample.truth.boxes[cut_objects(sample.truth, crop, objects.annotation[rows], run.counted[rows])]
        boxes: dict[str, Boxes] = {"context": whole, "hollow": whole, "placebo": sample.truth.boxes}
        none = np.zeros((0, 4))
        found[sample.id, int(index.rank[place])] = [
            Rendering.of(name, fill, crop, boxes.get(name, none)) for fill, name in product(fills, names)
        ]
    return found


def _batches(plan: Mapping[tuple[str, int], Sequence[Rendering]], windows: Mapping[str, Sequence[Crop]]) -> Batches:
    """Return what gives the batches of a chunk: one rendering of its crops of one rank."""

    def batches(chunk: Sequence[Sample]) -> Iterator[list[Picture]]:
        for rank in range(max((len(windows[sample.id]) for sample in chunk), default=0)):
            shown = [sample for sample in chunk if rank < len(windows[sample.id])]
            for place in range(len(plan[shown[0].id, rank])):
                yield [Picture(each.id, rank, windows[each.id][rank], plan[each.id, rank][place]) for each in shown]

    return batches
