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

from pytest_cropdet.errors import SpecError
from pytest_cropdet.escapes import one_line

__all__ = ["Doubt", "GateFailure", "Measure", "Outcome", "Undecided", "Verdict", "check_limit"]

Outcome = Literal["pass", "fail", "undecided"]
Undecided = Literal["fail", "pass", "point"]
M = TypeVar("M", bound="Measure")


class GateFailure(AssertionError):  # noqa: N818  (not an error: the gate did its work)
    """A gate did not let pass. The first line holds the value and the limit, the rest why and what to do."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reason why bounds alone must not decide. With ``only_pass`` it forbids a pass but leaves a fail standing."""

    reason: str
    text: str
    only_pass: bool = False


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a gate says: ``outcome``, and whether it lets pass (which for "undecided" is the user's choice)."""

    outcome: Outcome
    measure: "Measure"
    limit: float
    passes: bool
    reason: str | None = None
    doubt: str | None = None

    def __bool__(self) -> bool:
        __tracebackhide__ = True
        if not self.passes:
            raise GateFailure(self.measure.explain(self))
        return True

    def __eq__(self, other: object) -> bool:
        """Compare as its truth value does, so that ``!= False`` lets no more pass than ``assert`` alone."""
        return self is other if isinstance(other, Verdict) else bool(self) == other

    __hash__ = object.__hash__

    @property
    def headline(self) -> str:
        """One line: value and limit first, so that a narrow terminal still shows them."""
        measure, sign = self.measure, {"pass": "<=", "fail": ">", "undecided": "?"}
        if measure.good:
            sign = {"pass": ">=", "fail": "<", "undecided": "?"}
        value = "undefined" if measure.value is None else f"{measure.value:.3f}"
        text = f"{value} {sign[self.outcome]} {self.limit:.3f}: {one_line(measure.phrase)} {value} {measure.unit}"
        if measure.low is not None and measure.high is not None and measure.value is not None:
            above = measure.value > self.limit
            text += f" (at {'least' if above else 'most'} {measure.low if above else measure.high:.3f})"
        text += f"; {'demanded' if measure.good else 'allowed'} {self.limit:.3f}"
        if self.outcome != "undecided":
            return text
        return f"{text}; UNDECIDED" if self.reason is None else f"{text}; UNDECIDED ({self.reason})"

    @property
    def line(self) -> str:
        """The headline and, where there is one, the reason in words."""
        return self.headline if self.doubt is None else f"{self.headline}: {one_line(self.doubt)}"

    def __repr__(self) -> str:
        return f"<Verdict {self.outcome}: {self.headline}>"


@dataclass(frozen=True, eq=False)
class Measure:
    """A number with one-sided bounds at ``level``: ``value``, ``low``, ``high`` (``None`` where undefined).

    A loss allows ``measure <= limit`` and ``limit >= measure``, a good (``good=True``) ``measure >= limit`` and
    ``limit <= measure``. Every other comparison, ``float()`` and ``bool()`` raise ``TypeError``.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    good: bool = False
    phrase: str = "crops cost"
    unit: str = "mAP"
    doubts: tuple[Doubt, ...] = ()
    undecided: Undecided = "fail"
    blind: tuple[float | None, float] | None = None
    strength: str = "AP"
    spread: float | None = None
    note: Callable[[Verdict], None] | None = field(default=None, repr=False)
    story: Callable[[Verdict], str] | None = field(default=None, repr=False)

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
        if self.value is None:
            return self._stop(limit, "undefined", f"{self.name} is undefined: no scored object to measure it on")
        for doubt in self.doubts:
            if not doubt.only_pass:
                return self._stop(limit, doubt.reason, doubt.text)
        if self.spread is not None and limit < self.spread:
            return self._stop(
                limit,
                "spread",
                f"the detector is not deterministic: two passes over the same images differ by up to {self.spread:.3f} "
                f"{self.unit}, more than the limit; fix its seed or raise the limit",
            )
        outcome = self._by_bounds(limit)
        if outcome == "fail":
            return Verdict(outcome, self, limit, passes=False)
        if self.blind is not None and not self.good:
            reference, margin = self.blind
            if reference is None or reference <= limit + margin:
                shown = "undefined" if reference is None else f"{reference:.3f}"
                return self._stop(
                    limit,
                    "blind",
                    f"the reference itself is too weak: {self.strength} on the same objects in the whole image is at "
                    f"least {shown}, must be above the limit + {margin:g}; a detector that finds nothing has nothing "
                    "to lose",
                )
        for doubt in self.doubts:
            if outcome == "pass":
                return self._stop(limit, doubt.reason, doubt.text)
        if outcome == "pass":
            return Verdict(outcome, self, limit, passes=True)
        held = self.value >= limit if self.good else self.value <= limit
        lets_pass = self.undecided == "pass" or (self.undecided == "point" and held)
        return Verdict("undecided", self, limit, passes=lets_pass)

    def _by_bounds(self, limit: float) -> Outcome:
        low = self.value if self.low is None else self.low
        high = self.value if self.high is None else self.high
        if low is None or high is None:
            return "undecided"
        if self.good:
            return "pass" if low >= limit else "fail" if high < limit else "undecided"
        return "pass" if high <= limit else "fail" if low > limit else "undecided"

    def _stop(self, limit: float, reason: str, text: str) -> Verdict:
        return Verdict("undecided", self, limit, passes=False, reason=reason, doubt=text)

    def images_to_decide(self, limit: float, images: int) -> int | None:
        """Return how many source images would decide, if value and spread stay as they are (+-30 %)."""
        if self.value is None or self.low is None or self.high is None or self.value == limit:
            return None
        reach = self.high - self.value if limit > self.value else self.value - self.low
        return math.ceil(images * (reach / abs(limit - self.value)) ** 2)

    def explain(self, verdict: Verdict) -> str:
        """Return the message of a verdict: headline first, then what the run knows about it."""
        return verdict.headline if self.story is None else self.story(verdict)

    def with_story(self: M, story: Callable[[Verdict], str], note: Callable[[Verdict], None]) -> M:
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

    def __str__(self) -> str:
        if self.value is None:
            return "undefined"
        bounds = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.3f}{bounds}"


def _number(limit: Any) -> float:
    if isinstance(limit, bool) or not isinstance(limit, Real):
        raise TypeError(f"a limit is a number, not {type(limit).__name__}")
    number = float(limit)
    if not math.isfinite(number):
        raise ValueError(f"a limit must be finite, not {number}")
    return number


def check_limit(name: str, value: float) -> float:
    """Return a limit on AP; ``SpecError`` when it is not between 0 and 1 (percent is the usual slip).

    >>> check_limit("cropdet_max_drop", 0.05)
    0.05
    """
    if not math.isfinite(value) or not 0 <= value <= 1:
        hint = f" (percent? write {value / 100:g})" if 1 < value <= 100 else ""
        raise SpecError(f"{name} must lie between 0 and 1, not {value:g}{hint}")
    return value
