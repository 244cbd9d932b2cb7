"""A measured loss or good, a limit, and the verdict: pass, fail or undecided.

A measure is compared in one direction only (a loss with ``<=``, a good with ``>=``). The comparison returns a
:class:`Verdict`, whose truth value is ``True`` when the gate lets pass and raises :class:`GateFailure`, with the whole
explanation, when it does not. So no way of writing the comparison turns "undecided" into a pass.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from html import escape
from numbers import Real
from typing import Any, Literal, NoReturn, TypeVar

from pytest_cropdet.evaluation.interval import Interval, bounds_text, digits
from pytest_cropdet.terms import one_line

__all__ = ["Doubt", "GateFailure", "Measure", "Outcome", "Reading", "Undecided", "Verdict"]

Outcome = Literal["pass", "fail", "undecided"]
# What more data cannot cure comes first.
DOUBT_ORDER = ("undefined", "blind", "spread", "cap", "images", "objects", "categories", "share")
Undecided = Literal["fail", "pass", "point"]
AnyMeasure = TypeVar("AnyMeasure", bound="Measure")
_SAME = 1e-9  # up to which two numbers differ by the order of sums alone


class GateFailure(AssertionError):  # noqa: N818  (not an error: the gate did its work)
    """A gate did not let pass. The first line holds the value and the limit, the rest why and what to do."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reason why bounds alone must not decide. With ``only_pass`` it forbids a pass but leaves a fail standing.

    ``curable``: more data may remove it, although it is of a kind that more data cannot cure.
    """

    reason: str
    text: str
    only_pass: bool = False
    curable: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """The same number measured under another assumption: a pass needs that one to pass, too. ``text``: which one."""

    reason: str
    text: str
    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        return f"{self.text} it is {digits(self.value)}{bounds_text(self.low, self.high)}"


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a gate says: ``outcome``, and whether it lets pass (which for "undecided" is the user's choice).

    ``doubts``: every reason for which the bounds do not decide, first what more data cannot cure.
    """

    outcome: Outcome
    measure: "Measure"
    limit: float
    passes: bool
    doubts: tuple[Doubt, ...] = ()

    @property
    def reason(self) -> str | None:
        """The word of the first reason, ``None`` where the bounds decide or leave it open."""
        return self.doubts[0].reason if self.doubts else None

    @property
    def doubt(self) -> str | None:
        """All reasons in words, the first one first."""
        return "; also: ".join(doubt.text for doubt in self.doubts) or None

    def __bool__(self) -> bool:
        __tracebackhide__ = True
        self.use()
        if not self.passes:
            raise GateFailure(self.measure.explain(self))
        return True

    def use(self) -> None:
        """Note that somebody acts on it."""
        object.__setattr__(self, "_used", True)

    @property
    def was_used(self) -> bool:
        """Whether somebody acted on it: ``run.drop <= 0.05`` alone, without ``assert``, checks nothing."""
        return bool(getattr(self, "_used", False))

    def __eq__(self, other: object) -> bool:
        """Compare as its truth value does, so that ``!= False`` lets no more pass than ``assert`` alone."""
        return self is other if isinstance(other, Verdict) else bool(self) == other

    __hash__ = object.__hash__

    @property
    def reasons(self) -> tuple[str, ...]:
        """The words of all reasons."""
        return tuple(doubt.reason for doubt in self.doubts)

    @property
    def is_measured(self) -> bool:
        """Whether something was measured, by a detector that sees: else no cause of a drop can be found."""
        blind = any(doubt.reason == "blind" and not doubt.curable for doubt in self.doubts)
        return self.measure.value is not None and not blind

    @property
    def is_judged(self) -> bool:
        """Whether there was enough to judge by: nothing but a pass may be in doubt."""
        return self.is_measured and all(doubt.only_pass for doubt in self.doubts)

    @property
    def headline(self) -> str:
        """One line: verdict, value and limit first, so that a narrow terminal still shows them."""
        measure, value = self.measure, digits(self.measure.value)
        name, found = one_line(measure.name), f"{one_line(measure.phrase)} {value} {measure.unit}".rstrip()
        if self.outcome == "undecided":
            why = "" if self.reason is None else f" ({self.reason})"
            bounds = bounds_text(measure.low, measure.high)
            text = f"UNDECIDED {name} {value}{bounds}, limit {self.limit:.3f}{why}"
            return text if measure.value is None else f"{text}: {found}"
        sign = {"pass": ">=" if measure.good else "<=", "fail": "<" if measure.good else ">"}[self.outcome]
        text = f"{self.outcome.upper()} {name} {value} {sign} {self.limit:.3f}: {found}"
        if measure.low is not None and measure.high is not None and measure.value is not None:
            above = measure.value > self.limit or (measure.good and measure.value == self.limit)
            side, bound = ("least", measure.low) if above else ("most", measure.high)
            text += f" ({100 * measure.level:.4g}% sure: at {side} {digits(bound)})"
        wanted = f"at least {self.limit:.3f} is required" if measure.good else f"the limit is {self.limit:.3f}"
        return f"{text}; {wanted}"

    @property
    def line(self) -> str:
        """The headline and, where there is one, the reason in words."""
        return self.headline if self.doubt is None else f"{self.headline}: {one_line(self.doubt)}"

    def __repr__(self) -> str:
        return f"<Verdict {self.outcome}: {self.headline}>"


@dataclass(frozen=True, eq=False)
class Measure(Interval):
    """A number with one-sided bounds at ``level``: ``value``, ``low``, ``high`` (``None`` where undefined).

    A loss allows ``measure <= limit`` and ``limit >= measure``, a good (``good=True``) ``measure >= limit`` and
    ``limit <= measure``. Every other comparison, ``float()`` and ``bool()`` raise ``TypeError``.

    ``blind``: the lower bound of the reference's ``strength`` in ``seen_in``, and how far it must be above the limit;
    ``reference`` is its value. ``weakness`` adds to a sentence that the reference is too weak what has likely made it
    so. ``missing``: why the value is ``None``.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    good: bool = False
    phrase: str = "crops lose"
    unit: str = "mAP"
    doubts: tuple[Doubt, ...] = ()
    readings: tuple[Reading, ...] = field(default=(), kw_only=True)
    undecided: Undecided = "fail"
    blind: tuple[float | None, float] | None = None
    strength: str = "AP"
    seen_in: str = "the whole image"
    spread: float | None = None
    note: Callable[[Verdict], None] | None = field(default=None, repr=False)
    story: Callable[[Verdict], str] | None = field(default=None, repr=False)
    reference: float | None = None
    missing: str = "no scored object to measure it on"
    weakness: Callable[[str], str] | None = field(default=None, repr=False)

    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None  # a NumPy scalar on the other side leaves the comparison to us

    def __le__(self, limit: Any) -> Verdict:
        if self.good:
            self._refuse("<=")
        return self.judge(limit)

    def __ge__(self, limit: Any) -> Verdict:
        if not self.good:
            self._refuse(">=")
        return self.judge(limit)

    def judge(self, limit: Any) -> Verdict:
        """Return the verdict for ``limit``; ``TypeError`` or ``ValueError`` if that is not a finite number."""
        verdict = self._judge(_number(limit))
        if self.note is not None:
            self.note(verdict)
        return verdict

    def _judge(self, limit: float) -> Verdict:
        outcome = self._by_bounds(limit)
        doubts = self._doubts_at(limit, outcome)
        if doubts:
            return Verdict("undecided", self, limit, passes=False, doubts=doubts)
        if outcome != "undecided" or self.value is None:
            return Verdict(outcome, self, limit, passes=outcome == "pass")
        held = self.value >= limit if self.good else self.value <= limit
        lets_pass = self.undecided == "pass" or (self.undecided == "point" and held)
        return Verdict("undecided", self, limit, passes=lets_pass)

    def _doubts_at(self, limit: float, outcome: Outcome) -> tuple[Doubt, ...]:
        """Return every reason for which the bounds must not decide, first what more data cannot cure."""
        found = [doubt for doubt in self.doubts if not doubt.only_pass]
        if self.value is None:
            if not any(doubt.reason in ("undefined", "categories") for doubt in found):
                found.append(Doubt("undefined", f"{self.name} is undefined: {self.missing}"))
        elif self.spread is not None and limit < self.spread:
            found.append(Doubt("spread", self._spread_text()))
        if outcome != "fail" and self._is_blind(limit):
            found.append(self._blind_doubt(limit))
        if outcome == "pass" or (found and outcome != "fail"):
            found += [doubt for doubt in self.doubts if doubt.only_pass]
        if outcome == "pass" and not any(doubt.reason == "cap" for doubt in found):
            found += self._other_readings(limit)[:1]
        return tuple(sorted(found, key=self._place))

    def _other_readings(self, limit: float) -> list[Doubt]:
        """Return the other assumptions under which the number would not pass."""
        other = [
            each for each in self.readings if replace(self, low=each.low, high=each.high)._by_bounds(limit) != "pass"
        ]
        text = "a pass needs both (`cropdet_cap = accept` overrides)"
        return [Doubt(each.reason, f"{self.name} is {self}, but {each}; {text}", only_pass=True) for each in other]

    def _place(self, doubt: Doubt) -> int:
        """Return the place of a reason among others."""
        return len(DOUBT_ORDER) if doubt.curable or doubt.reason not in DOUBT_ORDER else DOUBT_ORDER.index(doubt.reason)

    def _is_blind(self, limit: float) -> bool:
        if self.blind is None or self.good or self.value is None:
            return False
        reference, margin = self.blind
        return reference is None or reference <= limit + margin

    def _blind_doubt(self, limit: float) -> Doubt:
        surely, margin = (None, 0.0) if self.blind is None else self.blind
        shown = digits(surely)
        text = (
            f"the detector is too weak for this test: {self.strength} on the same objects in {self.seen_in} is "
            f"surely {shown}, more than {limit + margin:.3f} is needed (limit + {margin:g}); a detector that finds "
            "nothing cannot lose anything"
        )
        return Doubt(
            "blind",
            text if self.weakness is None else self.weakness(text),
            curable=self.reference is not None and self.reference > limit + margin,
        )

    def _spread_text(self) -> str:
        spread = self.spread or 0.0
        apart = "by an unknown amount" if math.isinf(spread) else f"by up to {spread:.3f} {self.unit}"
        return (
            f"the detector is not deterministic: two passes over the same images differ {apart}, more than the limit; "
            "fix its seed or raise the limit"
        )

    def _by_bounds(self, limit: float) -> Outcome:
        low = self.value if self.low is None else self.low
        high = self.value if self.high is None else self.high
        if low is None or high is None:
            return "undecided"
        if self.value is not None and not low - _SAME <= self.value <= high + _SAME:
            low, high = min(low, self.value), max(high, self.value)  # bounds without their value, as with tied scores
        if self.good:
            return "pass" if low >= limit else "fail" if high < limit else "undecided"
        return "pass" if high <= limit else "fail" if low > limit else "undecided"

    def images_to_decide(self, limit: float, images: int) -> int | None:
        """Return how many source images would decide, if value and spread stay as they are (+-30 %)."""
        if self.value is None or self.low is None or self.high is None or self.value == limit:
            return None
        reach = self.high - self.value if limit > self.value else self.value - self.low
        return math.ceil(images * (reach / abs(limit - self.value)) ** 2)

    def explain(self, verdict: Verdict) -> str:
        """Return the message of a verdict: headline first, then what the run knows about it."""
        return verdict.headline if self.story is None else self.story(verdict)

    def with_story(self: AnyMeasure, story: Callable[[Verdict], str], note: Callable[[Verdict], None]) -> AnyMeasure:
        """Return the measure with the run's explanation and memory attached."""
        return replace(self, story=story, note=note)

    def _refuse(self, operation: str) -> NoReturn:
        right = ">=" if self.good else "<="
        kind = "good" if self.good else "loss"
        raise TypeError(
            f"{operation} on {self.name}: a {kind} is gated as `{self.name} {right} limit`; for its numbers take "
            f".value, .low or .high"
        )

    def __lt__(self, other: Any) -> NoReturn:
        self._refuse("<")

    def __gt__(self, other: Any) -> NoReturn:
        self._refuse(">")

    def __eq__(self, other: object) -> NoReturn:
        self._refuse("==")

    def __ne__(self, other: object) -> NoReturn:
        self._refuse("!=")

    def __bool__(self) -> NoReturn:  # noqa: PLE0304  (it refuses)
        self._refuse("bool()")

    def __float__(self) -> NoReturn:
        self._refuse("float()")

    def __int__(self) -> NoReturn:
        self._refuse("int()")

    def _repr_html_(self) -> str:
        return f"<b>{escape(self.name)}</b> {escape(str(self))} {escape(self.unit)}"


def _number(limit: Any) -> float:
    if isinstance(limit, bool) or not isinstance(limit, Real):
        raise TypeError(f"a limit is a number, not {type(limit).__name__}")
    number = float(limit)
    if not math.isfinite(number):
        raise ValueError(f"a limit must be finite, not {number}")
    return number
