"""Invariants of a user's own: a function of the evidence that returns a number, with the limit it may reach."""

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pytest_cropdet.errors import SpecError
from pytest_cropdet.invariants.tolerances import BUILT_IN_NAME, TOLERANCES
from pytest_cropdet.terms import OWN_INVARIANT

if TYPE_CHECKING:
    from pytest_cropdet.invariants.observations import Evidence

__all__ = ["OwnInvariant", "invariant", "measure_own", "own_invariant"]

Measuring = Callable[["Evidence"], float]
M = TypeVar("M", bound=Callable[["Evidence"], float])

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class OwnInvariant:
    """What :func:`invariant` says of a function: its ``name`` in ids and records, and the limit of its number.

    ``what``: what is measured, in words. ``rule``: the first line of the function's docstring, empty without one.
    """

    name: str
    at_most: float
    what: str
    rule: str


def invariant(name: str | None = None, *, at_most: float, what: str = "") -> Callable[[M], M]:
    """Make a function an invariant: an item of the suite, as the built-in ones are, with a record in every report.

    The function takes the :class:`~pytest_cropdet.invariants.observations.Evidence` and returns a number; the invariant
    fails where that is above ``at_most``. Where there is nothing to judge by, it raises
    :class:`~pytest_cropdet.CannotTell` with the reason, and its item is skipped. ``name``: the id, the function's name
    with ``-`` for ``_`` if not given; ``--cropdet-tolerance NAME=NUMBER`` sets another limit. ``what``: what the number
    is, in words; the first line of the docstring if not given. The function itself is returned as it is.

    ``SpecError`` for a name that no id can be, a limit that is no number, and a function of another signature.

    >>> @invariant(at_most=0.1)
    ... def few_slivers(evidence):
    ...     "Share of boxes that are ten times as long as wide."
    ...     return 0.02
    >>> own_invariant(few_slivers)
    OwnInvariant(name='few-slivers', at_most=0.1, what='Share of boxes that are ten times as long as wide.', \
rule='Share of boxes that are ten times as long as wide.')
    """
    if callable(name):
        raise SpecError("write @invariant(at_most=...) with the largest allowed value, not @invariant alone")
    if not _is_number(at_most) or not math.isfinite(at_most):
        raise SpecError(f"invariant(at_most={at_most!r}): must be a number, the largest that is allowed")

    def declare(function: M) -> M:
        called = str(getattr(function, "__name__", type(function).__name__))
        own = called.replace("_", "-") if name is None else name
        _check_name(own, called)
        _check_signature(function, called)
        rule = next(iter((inspect.getdoc(function) or "").splitlines()), "")
        words = what or rule or own.replace("-", " ")
        setattr(function, OWN_INVARIANT, OwnInvariant(own, float(at_most), words, rule))
        return function

    return declare


def own_invariant(function: object) -> OwnInvariant:
    """Return what :func:`invariant` says of a function; ``SpecError`` for one that it was not applied to."""
    found = getattr(function, OWN_INVARIANT, None)
    if not isinstance(found, OwnInvariant):
        raise SpecError(f"{function!r} is no invariant: write @pytest_cropdet.invariant(at_most=...) above its def")
    return found


def measure_own(function: Measuring, evidence: "Evidence", at_most: float | None = None) -> tuple[float, float, str]:
    """Return what an invariant of a user's own measures, what is allowed, and what it is, in words.

    ``at_most``: the limit, its own if not given. ``SpecError`` where the function returns no number.
    """
    __tracebackhide__ = True
    own = own_invariant(function)
    value: Any = function(evidence)
    if not _is_number(value) or math.isnan(value):
        shown = f"{value!r}"
        raise SpecError(
            f"the invariant {own.name!r} returned {shown if len(shown) < 80 else f'{shown[:77]}...'}, which is no "
            "number: return what was measured; where it cannot be judged, raise pytest_cropdet.CannotTell with the "
            "reason"
        )
    return float(value), own.at_most if at_most is None else at_most, own.what


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, (bool, np.bool_))


def _check_name(name: object, called: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SpecError(
            f"invariant({name!r}) of {called}: the name of an invariant begins with a letter and has only "
            "letters, digits and -_."
        )
    if BUILT_IN_NAME.match(name):
        raise SpecError(
            f"invariant({name!r}) of {called}: D with a number is the name of a built-in invariant; choose another"
        )
    if name in TOLERANCES:
        raise SpecError(
            f"invariant({name!r}) of {called}: a tolerance of built-in invariants has that name; choose another"
        )


def _check_signature(function: object, called: str) -> None:
    if not inspect.isfunction(function):
        raise SpecError(f"invariant of {called}: decorate a function, def {called}(evidence)")
    signature = inspect.signature(function)
    try:
        signature.bind(None)
    except TypeError:
        raise SpecError(
            f"the invariant {called} takes one argument, the evidence: def {called}(evidence), not def "
            f"{called}{signature}"
        ) from None
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise SpecError(f"the invariant {called} must return a number, and neither be async nor yield")
