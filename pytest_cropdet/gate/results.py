"""A run as users hold it: what is known of it, comparisons that explain themselves, and figures."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from pytest_cropdet.causes import to_frame
from pytest_cropdet.comparison import Against, MatchRecord, compare_runs
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import ByCategory, GateFailure, Measure, MeasureFunction, Of, Verdict
from pytest_cropdet.gate.change_text import change_text
from pytest_cropdet.gate.facts import RunFacts
from pytest_cropdet.gate.failure_text import tell
from pytest_cropdet.gate.further_measures import further_measure
from pytest_cropdet.gate.match_records import match_record
from pytest_cropdet.gate.measurements import Measurements
from pytest_cropdet.gate.notebook import run_html
from pytest_cropdet.gate.old_model import old_model_name
from pytest_cropdet.gate.own_measures import measure_of, remember
from pytest_cropdet.gate.plots import Plots
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.gate.saved_runs import read_run, write_run

__all__ = ["Run"]

M = TypeVar("M", bound=Measure)
SHARES = ("lost", "gained", "flips", "new_at_cut", "new", "recall_crop", "precision_crop")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Run(RunFacts):
    """The result of a gate. ``drop`` and ``by_category[name]`` are losses: ``assert run.drop <= 0.05``.

    Its measures explain themselves by it and leave their verdicts with it.
    """

    def __post_init__(self) -> None:
        hidden = replace(self.hidden, **{name: self._told(getattr(self.hidden, name)) for name in SHARES})
        told = {name: self._told(getattr(self, name)) for name in ("drop", "ratio", "crop_ap")}
        by_category = ByCategory({name: self._told(each) for name, each in self.by_category.items()})
        changed = None if self.comparison is None else self.comparison.told(self.explain, self.verdicts.append)
        for name, value in {**told, "by_category": by_category, "hidden": hidden, "comparison": changed}.items():
            object.__setattr__(self, name, value)
        self.measures.update({name: self._told(each) for name, each in self.measures.items()})

    def _told(self, measure: M) -> M:
        return measure.with_story(self.explain, self.verdicts.append)

    @classmethod
    def of(cls, measured: Measurements, **known: Any) -> "Run":
        """Return the run with these measurements; ``known``: the other fields."""
        return cls(**{each.name: getattr(measured, each.name) for each in fields(Measurements)}, **known)

    @property
    def plot(self) -> Plots:
        """The run's figures: ``run.plot.steps()``, ``.where()``, ``.shift()``, ``.renderings(i)``."""
        return Plots(self)

    def against(self, old: "Run | MatchRecord") -> Against:
        """Return what changed from an ``old`` run on the same crops to this one, paired by image.

        ``assert run.against(old).worse <= 0.01`` limits the fall of AP on crops. ``SpecError`` names what differs where
        the two cannot be paired: crops, rules, categories or images.
        """
        record = match_record(old) if isinstance(old, Run) else old
        found = compare_runs(match_record(self), record, self.settings, old_model_name(record))
        return found.told(lambda verdict: change_text(found, verdict), found.verdicts.append)

    def measure(
        self,
        function: MeasureFunction | str,
        *,
        of: Of = "loss",
        name: str | None = None,
        good: bool = False,
        vectorised: bool = False,
        unit: str = "",
    ) -> Measure:
        """Return another number with bounds: ``run.measure("APs") <= 0.05``, ``run.measure(my_function) <= 0.1``.

        By name: ``APs``, ``APm``, ``APl``, ``AR1``, ``AR10``, ``AR100``, ``F1``, ``LRP``, ``oLRP``, ``ECE`` or
        ``calibration``. ``of``: ``"loss"``, by how much it is worse in crops than in whole images, or the number of one
        side, ``"crop"`` or ``"reference"``.

        Or ``function(tables, weights)``, which returns a number, NaN where it is undefined. ``tables``:
        :class:`~pytest_cropdet.evaluation.MeasureTables`; ``weights``: (I,) float64, how often each evaluation image
        (crop) counts: all 1 for the value, and for the bounds as the resamples of source images have it, one call for
        each of ``replicates``. With ``vectorised`` they are (I, B), and it returns (B,) at once. ``good``: a good
        (``>=``) instead of a loss (``<=``). ``unit``: behind its value.

        ``name``: in messages and reports. The measure and its verdicts are in JSON and page. ``SpecError`` names a
        mistake of the function, or a name that is taken or unknown.
        """
        if not isinstance(function, str):
            if of != "loss":
                raise SpecError("of= is of a measure by name; a function says itself what it is of")
            return remember(self, self._told(measure_of(self, function, name, good, vectorised, unit)))
        if good or vectorised or unit:
            raise SpecError(f"good=, vectorised= and unit= are of a function; {function!r} says its own")
        return remember(self, self._told(further_measure(self, function, of, name)))

    def judge(self) -> list[Verdict]:
        """Return the verdicts on every limit that was stated in the settings."""
        return self.judge_rest(())

    def judge_rest(self, compared: Collection[str]) -> list[Verdict]:
        """Return the verdicts on every stated limit but those of the measures that are named in ``compared``."""
        return [self._once(measure, limit) for measure, limit in self.stated() if measure.name not in compared]

    def _once(self, measure: Measure, limit: float) -> Verdict:
        """Return the verdict on a limit: that of an earlier comparison where there is one, so that it is noted once."""
        for each in self.verdicts:
            if each.measure.name == measure.name and each.limit == limit:
                return each
        return measure.judge(limit)

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
        for each in verdicts:
            each.use()
        if not all(each.passes for each in verdicts):
            raise GateFailure(self.explain_all(verdicts))

    def explain_all(self, verdicts: Sequence[Verdict]) -> str:
        """Return the explanation of the worst verdict, and a line for each of the others."""
        first, *others = sorted(verdicts, key=lambda each: (each.passes, each.outcome != "fail"))
        return "\n".join([self.explain(first), *(each.line for each in others)])

    def to_dict(self) -> dict[str, Any]:
        """Return the run as ``--cropdet-json`` writes it under ``gates``: built-in values, ``None`` where undefined."""
        return run_record(self)

    def save(self, path: str | Path) -> None:
        """Write the run to a file, match tables included; the detector and pictures are not in it, nor is any pickle.

        Causes are in it where they are known: read ``run.causes`` first, or run with ``explain="always"``.
        """
        write_run(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> "Run":
        """Return the run that :meth:`save` wrote: equal in each number, verdict and figure; ``DataError`` otherwise.

        It calls no detector. Pictures are read from the same files as before.
        """
        return read_run(cls, Path(path))

    def named(self, name: str) -> "Run":
        """Return the same run under the name its gate has in reports."""
        return replace(self, name=name)

    def explain(self, verdict: Verdict) -> str:
        """Return a verdict's headline and what this run knows about it, a few lines; the detector is not called."""
        return tell(self, verdict)

    def to_frame(self) -> Any:
        """Return a ``pandas.DataFrame`` with a row for each object in each crop, and what became of it."""
        return to_frame(self.scored, self.explanation.causes)

    def _repr_html_(self) -> str:
        return run_html(self)

    def __repr__(self) -> str:
        return f"<Run {self.name or self.plan.family}: drop {self.drop}, {self.crops} crops of {self.images} images>"
