"""What a run found: numbers, verdicts, and the text that explains them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from pytest_cropdet.causes import (
    Advice,
    AnchorReport,
    Bias,
    Causes,
    Details,
    ErrorTypes,
    Explanation,
    LabelChanges,
    NoAnchors,
    ScoredRun,
    Shift,
    Step,
    Where,
    advise,
    to_frame,
)
from pytest_cropdet.crops import Plan
from pytest_cropdet.errors import CropdetError, SpecError
from pytest_cropdet.evaluation import (
    Detected,
    GateFailure,
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
from pytest_cropdet.gate.facts import CategoryResult, CropLoss, Look
from pytest_cropdet.gate.failure_text import tell
from pytest_cropdet.gate.limits import RunVerdict, worst
from pytest_cropdet.gate.notebook import run_html
from pytest_cropdet.gate.plots import Plots
from pytest_cropdet.gate.repeatability import Repeat
from pytest_cropdet.gate.weakness import Answers
from pytest_cropdet.inference import Spent
from pytest_cropdet.settings import RunSettings

__all__ = ["Run"]


@dataclass(eq=False)
class Run:
    """The result of a gate. ``drop`` and ``by_category[name]`` are losses: ``assert run.drop <= 0.05``.

    ``ap``, ``ap50``, ``ap75``: mean over the kept categories, ``{"reference": ..., "crop": ...}``, 0 to 1 or ``None``.
    ``data_warnings``: what is odd in the data, ``kind``, ``count``, ``example`` and ``text`` of each.
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
    ratio: Measure
    crop_ap: Measure
    hidden: HiddenNumbers
    caps: Caps
    controls: Mapping[str, Any]
    speaks_for: Mapping[str, float]
    scored: ScoredRun
    details: Details
    repeat: Repeat | None = None
    worst: CropLoss | None = None
    name: str = ""
    verdicts: list[Verdict] = field(default_factory=list)
    looks: tuple[Look, ...] = ()
    hint: str | None = None
    data_warnings: list[dict[str, Any]] = field(default_factory=list)
    agreement: bool = False
    explanation: Explanation = field(default_factory=Explanation)
    answers: Answers | None = None

    @property
    def causes(self) -> Causes:
        """Why it dropped; found when first asked for, which sends four renderings of each crop to the detector."""
        found = self.explanation.find()
        if found is None:
            raise CropdetError(f"this run cannot be explained: {self.explanation.error or 'its detector is gone'}")
        return found

    @property
    def steps(self) -> tuple[Step, ...]:
        """AP lost by each step of the chain (context, cut, position, scale); their sum is the drop."""
        return self.causes.chain.steps

    @property
    def advice(self) -> Advice:
        """What to train with against the largest step, and what may help at inference; found as the causes are."""
        verdicts = self.verdicts or [replace(self.drop, note=None).judge(self.settings.max_drop or 0.0)]
        judged = any(verdict.is_judged for verdict in verdicts)
        why_not = None if judged else verdicts[0].doubts[0].text
        return advise(self.causes, self.plan.spec, self.explanation.trials, why_not)

    @property
    def errors(self) -> ErrorTypes:
        """What each kind of mistake (TIDE's) costs in AP50, in the reference and in the crops, and the change."""
        return self.details.errors

    @property
    def labels(self) -> LabelChanges:
        """Which label became which, from the reference to the crops, with counts and examples."""
        return self.details.labels

    @property
    def bias(self) -> Bias:
        """Signed offsets and size ratios of matched boxes, in the reference and in the crops."""
        return self.details.bias

    @property
    def where(self) -> Where:
        """The drop by visibility, distances, object size and category; with its steps where they are known."""
        return self.details.where

    @property
    def shift(self) -> Shift:
        """How far the objects in crops are from those in whole images, and from training where that is given."""
        return self.details.shift

    @property
    def anchors(self) -> AnchorReport | NoAnchors:
        """How the detector's anchors fit the objects in whole images and crops; or why that is not known."""
        return self.details.anchors

    @property
    def plot(self) -> Plots:
        """The run's figures: ``run.plot.steps()``, ``.where()``, ``.shift()``, ``.renderings(i)``."""
        return Plots(self)

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
        iou = {"mAP": None, "AP50": 0.5, "AP75": 0.75}[self.settings.metric]
        value, _ = extreme_ap(self.matches["crop"], self.objects.index.unit, kept, iou, which)
        phrase = f"{which} AP over one crop an image is"
        return replace(self.crop_ap, name=f"{which}_case", value=value, low=value, high=value, phrase=phrase)

    @property
    def verdict(self) -> RunVerdict:
        """The worst of :attr:`all_verdicts`; ``"none"`` where there is no limit: measured, not judged."""
        return worst(each.outcome for each in self.all_verdicts)

    @property
    def all_verdicts(self) -> list[Verdict]:
        """The comparisons made so far, and a verdict on each stated limit whose measure nobody compared."""
        compared = {each.measure.name for each in self.verdicts}
        stated = [(replace(measure, note=None), limit) for measure, limit in self._stated()]
        return [*self.verdicts, *(each.judge(limit) for each, limit in stated if each.name not in compared)]

    def judge(self) -> list[Verdict]:
        """Return the verdicts on every limit that was stated in the settings."""
        return self.judge_rest(())

    def judge_rest(self, compared: Collection[str]) -> list[Verdict]:
        """Return the verdicts on every stated limit but those of the measures that are named in ``compared``."""
        return [self._once(measure, limit) for measure, limit in self._stated() if measure.name not in compared]

    def _once(self, measure: Measure, limit: float) -> Verdict:
        """Return the verdict on a limit: that of an earlier comparison where there is one, so that it is noted once."""
        for each in self.verdicts:
            if each.measure.name == measure.name and each.limit == limit:
                return each
        return measure.judge(limit)

    def is_decided(self) -> bool:
        """Whether every stated limit has its verdict, pass or fail; leaves no trace in ``verdicts``."""
        return all(replace(measure, note=None).judge(limit).outcome != "undecided" for measure, limit in self._stated())

    def asks_why(self) -> bool:
        """Whether a limit gets no pass and there is a drop to explain; leaves no trace in ``verdicts``."""
        verdicts = [replace(measure, note=None).judge(limit) for measure, limit in self._stated()]
        return any(verdict.outcome != "pass" and verdict.is_measured for verdict in verdicts)

    def _stated(self) -> list[tuple[Measure, float]]:
        limits = self.settings
        stated = [(self.drop, limits.max_drop), (self.ratio, limits.min_ratio), (self.crop_ap, limits.min_crop_ap)]
        stated += [(self.by_category[name], limit) for name, limit in limits.by_category.items()]
        return [(measure, limit) for measure, limit in stated if limit is not None]

    def check(self) -> None:
        """Raise one ``GateFailure`` with a line for each stated limit if one of them does not let pass.

        ``SpecError`` where no limit was stated, for there is nothing to check.
        """
        __tracebackhide__ = True
        verdicts = self.judge()
        if not verdicts:
            raise SpecError(
                "run.check() has no limit to check: state one, as in run(..., max_drop=0.05), "
                "or compare: assert run.drop <= 0.05"
            )
        if not all(each.passes for each in verdicts):
            raise GateFailure(self.explain_all(verdicts))

    def explain_all(self, verdicts: Sequence[Verdict]) -> str:
        """Return the explanation of the worst verdict, and a line for each of the others."""
        first, *others = sorted(verdicts, key=lambda each: (each.passes, each.outcome != "fail"))
        return "\n".join([self.explain(first), *(each.line for each in others)])

    def named(self, name: str) -> "Run":
        """Return the same run under the name its gate has in reports."""
        return replace(self, name=name)

    def explain(self, verdict: Verdict) -> str:
        """Return a verdict's headline and what this run knows about it, a few lines."""
        return tell(self, verdict)

    @property
    def metric_values(self) -> Mapping[str, float | None]:
        """``{"reference": ..., "crop": ...}`` of the metric that is gated."""
        return {"mAP": self.ap, "AP50": self.ap50, "AP75": self.ap75}[self.settings.metric]

    def to_frame(self) -> Any:
        """Return a ``pandas.DataFrame`` with a row for each object in each crop, and what became of it."""
        return to_frame(self.scored, self.explanation.causes)

    def _repr_html_(self) -> str:
        return run_html(self)

    def __repr__(self) -> str:
        return f"<Run {self.name or self.plan.family}: drop {self.drop}, {self.crops} crops of {self.images} images>"
