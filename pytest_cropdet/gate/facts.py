"""What a run found, as frozen values; and what its texts and figures read of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_cropdet.causes import Advice, Bias, Causes, Explanation, LabelChanges, ScoredRun, Shift, Where
from pytest_cropdet.crops import Plan
from pytest_cropdet.evaluation import HiddenNumbers, Measure, Objects, Share, Verdict
from pytest_cropdet.gate.caps import Caps
from pytest_cropdet.gate.controls import Cap
from pytest_cropdet.gate.limits import RunVerdict
from pytest_cropdet.geometry import Crop
from pytest_cropdet.settings import RunSettings

__all__ = ["CategoryResult", "CropLoss", "Look", "RunFacts"]


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


class RunFacts(Protocol):
    """What texts, notebook and figures read of a :class:`~pytest_cropdet.Run`; each is described there."""

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> RunSettings: ...
    @property
    def plan(self) -> Plan: ...
    @property
    def dataset(self) -> str: ...
    @property
    def agreement(self) -> bool: ...
    @property
    def images(self) -> int: ...
    @property
    def crops(self) -> int: ...
    @property
    def scored_objects(self) -> int: ...
    @property
    def metric_values(self) -> Mapping[str, float | None]: ...
    @property
    def categories(self) -> tuple[CategoryResult, ...]: ...
    @property
    def objects(self) -> Objects: ...
    @property
    def scored(self) -> ScoredRun: ...
    @property
    def hidden(self) -> HiddenNumbers: ...
    @property
    def drop(self) -> Measure: ...
    @property
    def lost(self) -> Share: ...
    @property
    def flips(self) -> Share: ...
    @property
    def verdict(self) -> RunVerdict: ...
    @property
    def all_verdicts(self) -> Sequence[Verdict]: ...
    @property
    def cap(self) -> Cap: ...
    @property
    def caps(self) -> Caps: ...
    @property
    def controls(self) -> Mapping[str, Any]: ...
    @property
    def data_warnings(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def worst(self) -> CropLoss | None: ...
    @property
    def explanation(self) -> Explanation: ...
    @property
    def causes(self) -> Causes: ...
    @property
    def advice(self) -> Advice: ...
    @property
    def labels(self) -> LabelChanges: ...
    @property
    def bias(self) -> Bias: ...
    @property
    def where(self) -> Where: ...
    @property
    def shift(self) -> Shift: ...
