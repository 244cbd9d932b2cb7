"""Hypothesis as a search: the smallest value that meets a condition, the same one each time.

What is tried depends on the version of Hypothesis and the seed alone: no clock, no database of examples, no profile of
the user, no number that stands in a module which happens to be imported. No profile is registered or changed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from hypothesis.internal.conjecture import providers

__all__ = ["examples_of", "smallest"]

T = TypeVar("T")
CONSTANTS = "_maybe_draw_constant"
QUIET: dict[str, Any] = {
    "derandomize": False,
    "database": None,
    "deadline": None,
    "verbosity": Verbosity.quiet,
    "suppress_health_check": list(HealthCheck),
    "report_multiple_bugs": False,
    "print_blob": False,
    **({"backend": "hypothesis"} if hasattr(settings, "backend") else {}),
}


@contextmanager
def _by_the_seed_alone() -> Iterator[None]:
    """Keep Hypothesis from drawing numbers that it reads in the source of imported modules, while it lasts.

    An edit elsewhere in a project must not change what is tried. Hypothesis has no setting for it; where a version
    has no such constants, or keeps them elsewhere, nothing is changed.
    """
    provider: Any = providers.HypothesisProvider
    before = getattr(provider, CONSTANTS, None)
    if before is None:
        yield
        return
    setattr(provider, CONSTANTS, lambda *args, **more: None)
    try:
        yield
    finally:
        setattr(provider, CONSTANTS, before)


def examples_of(strategy: st.SearchStrategy[T], tries: int, seed: int) -> list[T]:
    """Return what ``tries`` draws from a strategy gave, in their order, what a filter refused left out."""
    drawn: list[T] = []

    def keep(value: T) -> bool:
        drawn.append(value)
        return False

    smallest(strategy, keep, tries, seed=seed, shrink=False)
    return drawn


def smallest(
    strategy: st.SearchStrategy[T],
    condition: Callable[[T], bool],
    examples: int,
    *,
    seed: int = 0,
    climb: bool = False,
    shrink: bool = True,
) -> T | None:
    """Return the smallest value that meets a condition, ``None`` if none of ``examples`` does.

    ``climb``: follow what the condition says to ``hypothesis.target``. ``shrink=False``: the first one that was met.
    """
    phases = [Phase.generate, *([Phase.target] if climb else []), *([Phase.shrink] if shrink else [])]
    fixed = settings(max_examples=examples, phases=phases, **QUIET)
    try:
        with _by_the_seed_alone():
            return find(strategy, condition, settings=fixed, random=Random(seed))
    except NoSuchExample:
        return None
