"""What a run measured, as frozen values, and what its stated limits make of that."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from pytest_cropdet.causes import ScoredRun
from pytest_cropdet.crops import Plan
from pytest_cropdet.evaluation import (
    IOU_OF,
    Detected,
    HiddenNumbers,
    Matches,
    Measure,
    Objects,
    Share,
    Verdict,
    extreme_ap,
)
from pytest_cropdet.gate.caps import Caps
from pytest_cropdet.gate.controls import Cap
from pytest_cropdet.gate.repeatability import Repeat
from pytest_cropdet.gate.weakness import Answers
from pytest_cropdet.gate.whole_images import whole_image_numbers
from pytest_cropdet.geometry import Crop, Floats
from pytest_cropdet.settings import RunSettings

__all__ = ["CategoryResult", "CropLoss", "Look", "Measurements", "asks_why"]


@dataclass(frozen=True, slots=True)
class CategoryResult:
    """One category: AP in the reference and in the crops (``None`` where undefined), and what they rest on."""

    id: int
    name: str
    reference: float | None
    crop: float | None
    objects: int
    images: int
    in_mean: bool

    @property
    def drop(self) -> float | None:
        """AP lost, ``None`` where undefined."""
        return None if self.reference is None or self.crop is None else self.reference - self.crop


@dataclass(frozen=True, slots=True)
class CropLoss:
    """The crop that lost most objects: found in the whole image and not in the crop, at the operating point."""

    sample: str
    crop: Crop
    lost: int
    found: int

    def __str__(self) -> str:
        return f"{self.crop} of {self.sample}: {self.lost} of {self.found} objects lost"


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a run that may stop early: after how many source images, at which level, and what it saw."""

    images: int
    level: float
    value: float | None
    low: float | None
    high: float | None
    decided: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Measurements:
    """The numbers of a run, and the tables they are made of.

    ``ap``, ``ap50``, ``ap75``: mean over the kept categories, ``{"reference": ..., "crop": ...}``, 0 to 1 or ``None``.
    ``objects``: every object of every crop. ``matches``, ``detected``: the match tables by rendering.
    ``drawn``: (2, N) the gated mean AP of reference and crop in each resample.
    """

    settings: RunSettings
    plan: Plan
    detector: Mapping[str, Any]
    dataset: str
    objects: Objects
    detected: Mapping[str, Detected]
    matches: Mapping[str, Matches]
    ap: Mapping[str, float | None]
    ap50: Mapping[str, float | None]
    ap75: Mapping[str, float | None]
    categories: tuple[CategoryResult, ...]
    drop: Measure
    by_category: Mapping[str, Measure]
    ratio: Measure
    crop_ap: Measure
    hidden: HiddenNumbers
    caps: Caps
    controls: Mapping[str, Any]
    speaks_for: Mapping[str, float]
    scored: ScoredRun
    repeat: Repeat | None = None
    worst: CropLoss | None = None
    agreement: bool = False
    answers: Answers | None = None
    drawn: Floats | None = None

    @property
    def cap(self) -> Cap:
        """How often the detector returned its largest number of boxes on whole images, and whether that matters."""
        return self.caps.detector

    @property
    def images(self) -> int:
        """Number of source images."""
        return len(self.objects.index.samples)

    @property
    def crops(self) -> int:
        """Number of crops."""
        return len(self.objects.index)

    @property
    def scored_objects(self) -> int:
        """Number of scored objects of the chosen categories, counted once for each crop that shows them."""
        return int(self.scored.counted.sum())

    @property
    def distinct_objects(self) -> int:
        """Number of scored objects of the chosen categories, counted once."""
        counted = self.scored.counted
        rows = np.stack([self.objects.unit[counted], self.objects.annotation[counted]])
        return int(np.unique(rows, axis=1).shape[1])

    @property
    def lost(self) -> Share:
        """Share of the scored objects found in the whole image and lost in the crop, at the operating point."""
        return self.hidden.lost

    @property
    def gained(self) -> Share:
        """Share of the scored objects found in the crop and lost in the whole image: the mirror of ``lost``."""
        return self.hidden.gained

    @property
    def flips(self) -> Share:
        """Share of the scored objects that are lost because the crop gives them another label."""
        return self.hidden.flips

    @property
    def recall(self) -> Share:
        """Share of the scored objects found in the crops at the operating point; a good."""
        return self.hidden.recall_crop

    @property
    def precision(self) -> Share:
        """Share of the crops' detections at the operating point that are right; a good."""
        return self.hidden.precision_crop

    @cached_property
    def worst_case(self) -> Measure:
        """AP of the crops if each image had the one crop that hurts most; a good, without bounds (takes seconds)."""
        return self._extreme("worst")

    @cached_property
    def best_case(self) -> Measure:
        """AP of the crops if each image had the one crop that suits best; a good, without bounds (takes seconds)."""
        return self._extreme("best")

    def _extreme(self, which: Literal["worst", "best"]) -> Measure:
        kept = np.array([category.in_mean for category in self.categories], dtype=bool)
        iou = IOU_OF[self.settings.metric]
        value, _ = extreme_ap(self.matches["crop"], self.objects.index.unit, kept, iou, which)
        phrase = f"{which} AP over one crop an image is"
        return replace(self.crop_ap, name=f"{which}_case", value=value, low=value, high=value, phrase=phrase)

    @property
    def metric_values(self) -> Mapping[str, float | None]:
        """``{"reference": ..., "crop": ...}`` of the metric that is gated."""
        return {"mAP": self.ap, "AP50": self.ap50, "AP75": self.ap75}[self.settings.metric]

    @cached_property
    def whole_images(self) -> Mapping[str, Any] | None:
        """AP of the whole images by COCO's rules on the uncut truth: the number from training; ``None`` without truth.

        ``mAP``, ``AP50`` and ``AP75``, and the ``images``, ``objects`` and ``categories`` that they rest on.
        """
        return whole_image_numbers(self.answers, self.scored.names, self.scored.chosen)

    def stated(self) -> list[tuple[Measure, float]]:
        """Return every limit that was stated in the settings, with the measure that it is of."""
        limits = self.settings
        stated = [(self.drop, limits.max_drop), (self.ratio, limits.min_ratio), (self.crop_ap, limits.min_crop_ap)]
        stated += [(self.by_category[name], limit) for name, limit in limits.by_category.items()]
        return [(measure, limit) for measure, limit in stated if limit is not None]

    def on_limits(self) -> list[Verdict]:
        """Return the verdict on every stated limit; leaves no trace in the verdicts of a run."""
        return [replace(measure, note=None).judge(limit) for measure, limit in self.stated()]

    def is_decided(self) -> bool:
        """Whether every stated limit has its verdict, pass or fail."""
        return all(verdict.outcome != "undecided" for verdict in self.on_limits())

    def asks_why(self) -> bool:
        """Whether a stated limit gets no pass and there is a drop to explain."""
        return any(asks_why(verdict) for verdict in self.on_limits())


def asks_why(verdict: Verdict) -> bool:
    """Whether a verdict makes one want to know the causes: no pass, and there is a drop to explain."""
    return verdict.outcome != "pass" and verdict.is_measured
