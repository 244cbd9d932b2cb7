"""Hypothesis as a search: the smallest value that meets a condition, the same one each time.

What is tried depends on the version of Hypothesis and the seed alone: no clock, no database of examples, no profile of
the user. No profile is registered or changed.
"""

from collections.abc import Callable
from random import Random
from typing import TypeVar

from hypothesis import HealthCheck, Phase, Verbosity, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

__all__ = ["smallest"]

T = TypeVar("T")


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
    fixed = settings(
        max_examples=examples,
        phases=phases,
        derandomize=False,
        database=None,
        deadline=None,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    try:
        return find(strategy, condition, settings=fixed, random=Random(seed))
    except NoSuchExample:
        return None
