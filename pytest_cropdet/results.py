"""What a run found: numbers, verdicts, and the text that explains them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pytest_cropdet.crops import Crop
from pytest_cropdet.evaluation import Detected, Matches
from pytest_cropdet.gate import GateFailure, Measure, Outcome, Verdict
from pytest_cropdet.plan import Plan
from pytest_cropdet.scoring import Objects
from pytest_cropdet.settings import RunSettings

__all__ = ["CategoryResult", "Run", "Spent", "WorstCrop"]


@dataclass(slots=True)
class Spent:
    """What a run cost: images sent to the detector, its seconds, and the seconds of everything."""

    model_calls: int
    model_seconds: float
    total_seconds: float = 0.0


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
class WorstCrop:
    """The crop that lost most objects: found in the whole image and not in the crop, at the operating point."""

    sample: str
    crop: Crop
    lost: int
    found: int

    def __str__(self) -> str:
        return f"{self.crop} of {self.sample}: {self.lost} of {self.found} objects lost"


@dataclass(frozen=True, eq=False)
class Run:
    """The result of a gate. ``drop`` and ``by_category[name]`` are losses: ``assert run.drop <= 0.05``.

    ``ap``, ``ap50``, ``ap75``: mean over the kept categories, ``{"reference": ..., "crop": ...}``, 0 to 1 or ``None``.
    ``objects``: every object of every crop. ``matches``, ``detected``: the match tables by rendering.
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
    spent: Spent
    score_threshold: float = 0.5
    worst: WorstCrop | None = None
    name: str = ""
    verdicts: list[Verdict] = field(default_factory=list)

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
        """Number of scored objects, counted once for each crop that shows them."""
        return int(self.objects.scored.sum())

    @property
    def distinct_objects(self) -> int:
        """Number of scored objects, counted once."""
        rows = np.stack([self.objects.unit[self.objects.scored], self.objects.annotation[self.objects.scored]])
        return int(np.unique(rows, axis=1).shape[1])

    @property
    def verdict(self) -> Outcome:
        """The worst of the verdicts given so far; a run that nothing was demanded of passes."""
        outcomes = {verdict.outcome for verdict in self.verdicts}
        return "fail" if "fail" in outcomes else "undecided" if "undecided" in outcomes else "pass"

    def judge(self) -> list[Verdict]:
        """Return the verdicts on every limit that was stated in the settings."""
        limits = self.settings
        given = []
        if limits.max_drop is not None:
            given.append(self.drop <= limits.max_drop)
        given += [self.by_category[name] <= limit for name, limit in limits.by_category.items()]
        return given

    def check(self) -> None:
        """Raise one ``GateFailure`` with the text of every stated limit that does not let pass."""
        __tracebackhide__ = True
        failed = [verdict for verdict in self.judge() if not verdict.passes]
        if failed:
            raise GateFailure("\n".join([self.explain(failed[0]), *(each.headline for each in failed[1:])]))

    def named(self, name: str) -> "Run":
        """Return the same run under the name its gate has in reports."""
        return replace(self, name=name)

    def explain(self, verdict: Verdict) -> str:
        """Return a verdict's headline and what this run knows about it, a few lines."""
        return "\n".join([verdict.headline, *(f"  {line}" for line in self._reasons(verdict))])

    def _reasons(self, verdict: Verdict) -> list[str]:
        in_mean = sum(category.in_mean for category in self.categories)
        before, after = (_shown(self.metric_values[name]) for name in ("reference", "crop"))
        lines = [
            f"whole image {before} -> crop {after} {self.settings.metric}   {in_mean} categories, "
            f"{self.crops} crops of {self.images} images, {self.scored_objects} objects"
        ]
        if verdict.doubt is not None:
            lines.insert(0, f"undecided: {verdict.doubt}")
        elif verdict.outcome == "undecided":
            needed = verdict.measure.images_to_decide(verdict.limit, self.images)
            more = f"; about {needed} images (+-30 %) would decide" if needed else ""
            lines.insert(0, f"undecided: the bounds hold the limit{more} (cropdet_undecided = fail|pass|point)")
        lost = [category for category in self.categories if category.in_mean and (category.drop or 0) > 0]
        lost.sort(key=lambda category: (-(category.drop or 0), category.name))
        if lost:
            lines.append("most lost: " + ", ".join(f"{each.name} {each.drop:.3f}" for each in lost[:4]))
        if self.worst is not None:
            lines.append(f"worst crop: {self.worst}")
        return lines

    @property
    def metric_values(self) -> Mapping[str, float | None]:
        """``{"reference": ..., "crop": ...}`` of the metric that is gated."""
        return {"mAP": self.ap, "AP50": self.ap50, "AP75": self.ap75}[self.settings.metric]

    def __repr__(self) -> str:
        return f"<Run {self.name or self.plan.family}: drop {self.drop}, {self.crops} crops of {self.images} images>"


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
