"""What can be told of a drop without asking the detector again: each is found when somebody first asks for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_cropdet.causes.attribution import Causes, ScoredRun
from pytest_cropdet.causes.diagnostics.anchor_fit import AnchorReport, NoAnchors, anchor_report
from pytest_cropdet.causes.diagnostics.box_bias import Bias, box_bias
from pytest_cropdet.causes.diagnostics.breakdown import Where, where
from pytest_cropdet.causes.diagnostics.distribution_shift import Shift, shift
from pytest_cropdet.causes.diagnostics.error_types import ErrorTypes, error_types
from pytest_cropdet.causes.diagnostics.label_changes import LabelChanges, label_changes
from pytest_cropdet.detectors import NO_ANCHORS, ResizeRule, read_anchors
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.evaluation import IOU_OF, Matches
from pytest_cropdet.geometry import Bools
from pytest_cropdet.settings import RunSettings

if TYPE_CHECKING:
    from pytest_cropdet.data import Annotations

__all__ = ["Details"]


@dataclass(eq=False)
class Details:
    """Error types, labels, bias, where and shift of one run.

    ``causes``: returns the causes if they are known; then where and shift have the chain's steps too. ``input_size``:
    (height, width) of the model's input in pixels, 0 where it takes any; ``resize``: how a picture gets there.
    ``anchors_from``: a file of the detector's anchors, or "none". ``weak``: the reference is too weak, so that a bias
    of its boxes says nothing of coordinates.
    """

    scored: ScoredRun
    settings: RunSettings
    causes: Callable[[], Causes | None]
    input_size: tuple[int, int]
    resize: str | ResizeRule | None
    anchors_from: str | None = None
    training: "Annotations | None" = None
    weak: bool = False
    _where: dict[bool, Where] = field(default_factory=dict)
    _shift: dict[bool, Shift] = field(default_factory=dict)

    @cached_property
    def errors(self) -> ErrorTypes:
        """What each kind of mistake costs in AP50, in the reference and in the crops, with bounds of the change."""
        run = self.scored
        numbers = {"replicates": self.settings.replicates, "seed": self.settings.seed, "level": self.settings.level}
        return error_types(run.objects, run.detected, run.matches, self._kept, **numbers)  # type: ignore[arg-type]

    @cached_property
    def labels(self) -> LabelChanges:
        """Which label became which, from the reference to the crops."""
        run = self.scored
        return label_changes(run.objects, run.detected, run.matches, run.hidden.score, run.names)

    @cached_property
    def bias(self) -> Bias:
        """Signed offsets and size ratios of matched boxes; a bias common to all of them is called a mistake."""
        run = self.scored
        numbers = (run.hidden.score, run.draws, self.settings.level, self.weak)
        return box_bias(run.objects, run.detected, run.matches, *numbers)

    @property
    def where(self) -> Where:
        """The drop, and each step where the chain is known, by visibility, distances, size and category."""
        known, tables, found = self._tables()
        if known not in self._where:
            run = self.scored
            iou = IOU_OF[self.settings.metric]
            self._where[known] = where(
                run.objects, tables, found, self._kept, iou, run.draws, run.names, self.settings.level
            )
        return self._where[known]

    @property
    def shift(self) -> Shift:
        """How far sizes, aspects, places and numbers of objects in crops are from whole images and training."""
        known, tables, found = self._tables()
        if known not in self._shift:
            run = self.scored
            self._shift[known] = shift(
                run.objects,
                tables,
                found,
                self._kept,
                IOU_OF[self.settings.metric],
                run.draws,
                run.names,
                self.input_size,
                self.resize,
                self.training,
                self.settings.level,
            )
        return self._shift[known]

    @cached_property
    def anchors(self) -> AnchorReport | NoAnchors:
        """Whether objects have an anchor that fits, in the whole image and in the crop; or why that is not known."""
        if self.anchors_from is None:
            return NoAnchors("no anchors are known: --cropdet-detector anchors=FILE names them, anchors=none says none")
        if self.anchors_from == NO_ANCHORS:
            return NoAnchors()
        run, ends = self.scored, self._tables()[2]
        try:
            anchors = read_anchors(self.anchors_from)
            if min(self.input_size) < 1 and self.resize is not None and ResizeRule.of(self.resize).has_limits:
                return NoAnchors(
                    f"the model's input has no fixed size ({self.resize}), and anchors are measured in one"
                )
            high, wide = self.input_size if min(self.input_size) > 0 else (anchors.input_size or (0, 0))[::-1]
            if min(high, wide) < 1:
                return NoAnchors("the size of the model's input is not known: anchors given as a generator carry it")
            lost = ends["whole"] & ~ends["crop"]
            return anchor_report(
                run.objects,
                anchors,
                (wide, high),
                self.resize,
                lost,
                run.draws,
                at_risk=ends["whole"],
                counted=run.counted,
                level=self.settings.level,
            )
        except DetectorError as error:
            return NoAnchors(str(error))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values, under the keys of the JSON."""
        return {
            "errors": self.errors.to_dict(),
            "labels": self.labels.to_dict(),
            "bias": self.bias.to_dict(),
            "where": self.where.to_dict(),
            "shift": self.shift.to_dict(),
            "anchors": self.anchors.to_dict(),
        }

    @property
    def _kept(self) -> Bools:
        return np.isin(self.scored.matches["crop"].categories, list(self.scored.kept))

    def _tables(self) -> tuple[bool, Mapping[str, Matches], Mapping[str, Bools]]:
        """Return whether the chain is known, and match tables and found objects by rendering, in the chain's order."""
        causes = self.causes()
        if causes is not None:
            chain = [name for name in ("whole", "context", "cut", "moved", "crop") if name in causes.matches]
            return True, {name: causes.matches[name] for name in chain}, {name: causes.found[name] for name in chain}
        run = self.scored
        ends = {"whole": "reference", "crop": "crop"}
        found = run.point.found
        return False, {name: run.matches[key] for name, key in ends.items()}, {n: found[key] for n, key in ends.items()}
