"""Which windows and objects a run is about, and what is measured on the detections in them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pytest_cropdet.crops import Plan, make_plan, refuse_without_truth, shuffled
from pytest_cropdet.data import CategoryMap, Dataset, Sample, load_annotations, rename_annotations, select_categories
from pytest_cropdet.detectors import DetectorHandle, describe
from pytest_cropdet.evaluation import CropIndex, build_objects, kept_categories
from pytest_cropdet.gate.early_stopping import DESIGNS, LOOK_REPLICATES, LookSchedule, early_points, look_levels
from pytest_cropdet.gate.measurements import Measurements
from pytest_cropdet.gate.repeatability import Repeat
from pytest_cropdet.gate.summary import summarise
from pytest_cropdet.gate.targets import Targets, check_answers, has_truth
from pytest_cropdet.gate.weakness import answers_of
from pytest_cropdet.inference import Meter, Picture
from pytest_cropdet.settings import BY_CATEGORY, RunSettings

__all__ = ["GateScorer"]


class GateScorer:
    """Which windows and objects a run is about, and what is measured on the detections in them."""

    def __init__(
        self,
        handle: DetectorHandle,
        dataset: Dataset,
        samples: Sequence[Sample],
        settings: RunSettings,
        plan: Plan | None,
    ) -> None:
        self.handle, self.dataset, self.settings = handle, dataset, settings
        if plan is None and not has_truth(dataset):
            refuse_without_truth(settings.crops)
        self.plan = make_plan(samples, settings.crops, settings.seed, settings.max_crops) if plan is None else plan
        self.samples, self._mixed = samples, shuffled(samples, settings.seed)
        self.training = None
        if settings.train_data is not None:
            self.training = rename_annotations(load_annotations(settings.train_data), settings.group)
        self._repeat: Repeat | None = None
        self._targets: Targets | None = None  # pseudo-labels are those of detections
        self._kept: list[int] = []
        self._design = DESIGNS.get(settings.looks, DESIGNS["auto"])  # that of the hint, where there are no looks
        self._points = [len(samples)]
        if has_truth(dataset):
            objects = build_objects(CropIndex.of(self._mixed, self.plan), settings.min_visibility)
            present = {int(key) for key in objects.truth.category[objects.scored]}
            names, limited = dataset.categories, settings.limited_categories
            self._targets = Targets.annotated(handle.categories, names, settings, present, limited)
            self._kept = kept_categories(objects, self._targets.chosen)
            self._points = early_points(objects, self._kept, settings.level, self._design)

    @property
    def pairing(self) -> CategoryMap | None:
        """How the detector's categories are paired with the data set's, ``None`` without ground truth."""
        return None if self._targets is None else self._targets.pairing

    def early_looks(self) -> LookSchedule | None:
        """Return when to look at a growing part of the samples, ``None`` without ground truth."""
        if self._targets is None:
            return None
        return LookSchedule(
            self._mixed, self._points, look_levels(self._points, self.settings.level, self._design.spend)
        )

    def check_first(self, samples: Sequence[Sample], meter: Meter) -> None:
        """Check what the first answers show: categories that fit, and whether they come out the same twice."""
        whole = meter.whole_images()
        self._repeat = check_answers(self.handle, samples, whole, self._targets, self.settings, meter.keys)

    def score(self, samples: Sequence[Sample], meter: Meter, level: float) -> Measurements:
        """Return what is measured on ``samples``, with bounds of ``level``."""
        settings, whole = self.settings, meter.whole_images()
        replicates = settings.replicates if level == settings.level else max(settings.replicates, LOOK_REPLICATES)
        targets = self._targets or Targets.pseudo(self.handle.categories, whole, settings, settings.limited_categories)
        samples = targets.samples(samples, whole)
        index = CropIndex.of(samples, self.plan)
        objects = build_objects(index, settings.min_visibility)
        raw = whole.listed(sample.id for sample in samples)
        places = zip(index.unit, index.rank, index.crops, strict=True)
        crops = (Picture(index.samples[unit].id, int(rank), crop) for unit, rank, crop in places)
        ids = {name: select_categories([name], targets.names)[0] for name in settings.limited_categories}
        limits: dict[str, Any] = {
            each: {targets.names[ids[name]]: limit for name, limit in getattr(settings, each).items()}
            for each in BY_CATEGORY.values()
        }
        return summarise(
            objects,
            {"whole": raw.changed(targets.translate), "crop": meter.found.listed(crops, targets.translate)},
            raw,
            self.plan,
            replace(settings, level=level, replicates=replicates, **limits),
            describe(self.handle),
            (self.dataset.name, targets.names),
            targets.chosen,
            kept_categories(objects, targets.chosen) if self._targets is None else self._kept,
            self._repeat,
            targets.high,
            sorted({*ids.values()} - {*targets.chosen}),
            None if targets.pairing is None else answers_of(self.handle, samples, raw, targets.pairing),
        )
