"""What is known of a run, for its texts and figures: its measurements, the verdicts on them, and why it dropped."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

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
    Shift,
    Step,
    Where,
    advise,
    steps_grown,
)
from pytest_cropdet.comparison import Against
from pytest_cropdet.detectors import ResizeRule
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.evaluation import Measure, MeasureTables, Verdict
from pytest_cropdet.gate.doubts import is_weak
from pytest_cropdet.gate.limits import RunVerdict, worst
from pytest_cropdet.gate.measurements import Look, Measurements, asks_why
from pytest_cropdet.inference import Spent

if TYPE_CHECKING:
    from pytest_cropdet.data import Annotations

__all__ = ["RunFacts"]


@dataclass(frozen=True, eq=False, kw_only=True)
class RunFacts(Measurements):
    """A run's measurements, what it cost, the verdicts on it so far, and its explanation.

    ``data_warnings``: what is odd in the data, ``kind``, ``count``, ``example`` and ``text`` of each. ``training``: the
    annotations that the detector was trained on. ``comparison``: what changed from an old model, and
    ``old_explanation`` of that one's drop. ``measures``: users' own, by name. The detector is called only by
    ``explanation``, when it is asked for.
    """

    spent: Spent
    explanation: Explanation
    name: str = ""
    verdicts: list[Verdict] = field(default_factory=list)
    looks: tuple[Look, ...] = ()
    hint: str | None = None
    data_warnings: list[dict[str, Any]] = field(default_factory=list)
    training: "Annotations | None" = None
    comparison: Against | None = None
    old_explanation: Explanation | None = None
    measures: dict[str, Measure] = field(default_factory=dict)

    def stated(self) -> list[tuple[Measure, float]]:
        """Return every limit that was stated in the settings, those on changes included, with its measure."""
        changes = [] if self.comparison is None else self.comparison.stated(self.settings)
        return [*super().stated(), *changes]

    def asks_what_changed(self) -> bool:
        """Whether a limit on what changed from an old model gets no pass."""
        changes = [] if self.comparison is None else self.comparison.stated(self.settings)
        return any(asks_why(replace(measure, note=None).judge(limit)) for measure, limit in changes)

    @property
    def grown_steps(self) -> tuple[Step, ...]:
        """By how much each step of the chain grew from the old model to this one; empty where it is not known."""
        ours, old = self.explanation.causes, self.old_explanation
        if ours is None or old is None or old.causes is None:
            return ()
        return steps_grown(ours.chain, old.causes.chain, self.settings.level)

    def may_explain(self, verdict: Verdict) -> bool:
        """Whether a verdict asks for causes that nobody has sought yet: no pass, with ``explain="auto"``."""
        return self.settings.explain == "auto" and self.explanation.is_open and asks_why(verdict)

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

    @cached_property
    def details(self) -> Details:
        """What goes with the drop and costs no call of the detector, each found when it is first asked for."""
        return Details(
            self.scored,
            self.settings,
            lambda: self.explanation.causes,
            self.detector["input_size"],
            ResizeRule.said_in(self.detector),
            self.detector.get("anchors"),
            self.training,
            is_weak(self.drop, self.hidden, self.settings),
        )

    @cached_property
    def tables(self) -> MeasureTables:
        """What measures are functions of: the match tables of the chosen categories, and the objects."""
        scored = self.scored
        return MeasureTables(
            matches=scored.matches,
            detected=scored.detected,
            objects=scored.objects,
            counted=scored.counted,
            in_mean=np.isin(scored.matches["crop"].categories, list(scored.kept)),
            score=scored.point.score,
            names=scored.names,
        )

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
    def verdict(self) -> RunVerdict:
        """The worst of :attr:`all_verdicts`; ``"none"`` where there is no limit: measured, not judged."""
        return worst(each.outcome for each in self.all_verdicts)

    @property
    def all_verdicts(self) -> list[Verdict]:
        """The comparisons made so far, and a verdict on each stated limit whose measure nobody compared."""
        compared = {each.measure.name for each in self.verdicts}
        return [*self.verdicts, *(each for each in self.on_limits() if each.measure.name not in compared)]
