"""What is still no broken invariant: the tolerances of the built-in invariants, by name, and how they are read."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from pytest_cropdet.errors import SpecError
from pytest_cropdet.terms import did_you_mean

__all__ = ["BUILT_IN_NAME", "TOLERANCES", "Tolerances", "read_tolerances"]

BUILT_IN_NAME = re.compile(r"D\d+(-|$)")
WHOLE = ("stride", "least")  # whole numbers from 1


@dataclass(frozen=True, slots=True)
class Tolerances:
    """What is still no broken invariant. Shares are of objects or windows, 0 to 1; scores 0 to 1.

    ``repeat``, ``batch``, ``padding``, ``shift``: largest change of a score. ``shift_share``: objects that a shift by
    some pixels may move below IoU 0.8. ``lost``, ``truncated_lost``: objects that may be lost inside, and cut to three
    quarters or more. ``made_up``: detections a window. ``score_change``: what counts as a changed score, ``changed``
    and ``relabelled``: objects that may be. ``rise``: of the mean score when more is cut. ``beyond``: share of the
    picture's side that a box may reach over its border; ``duplicate``: IoU above the declared one. ``stride``: of the
    model's grid, in pixels; ``least``: the fewest objects by which an invariant is judged.
    """

    repeat: float = 1e-6
    batch: float = 1e-3
    padding: float = 0.1
    shift: float = 0.1
    shift_share: float = 0.25
    lost: float = 0.2
    made_up: float = 0.3
    score_change: float = 0.2
    changed: float = 0.2
    relabelled: float = 0.1
    duplicate: float = 0.02
    beyond: float = 0.1
    truncated_lost: float = 0.2
    rise: float = 0.05
    stride: int | None = None
    least: int = 8


TOLERANCES = tuple(each.name for each in fields(Tolerances))


def read_tolerances(values: Iterable[str]) -> tuple[Tolerances, dict[str, float]]:
    """Return the tolerances that ``NAME=NUMBER`` values state, and the rest: limits of invariants of a user's own.

    ``SpecError`` for what is no ``NAME=NUMBER``, and for a number that no tolerance can be.

    >>> tolerances, own = read_tolerances(["lost=0.1", "no-slivers=0.02"])
    >>> tolerances.lost, own
    (0.1, {'no-slivers': 0.02})
    """
    found, own = dict[str, Any](), dict[str, float]()
    for value in values:
        name, equals, text = (part.strip() for part in str(value).partition("="))
        number = _number(text)
        if not equals or not name or number is None:
            raise SpecError(f"cropdet_tolerance must be NAME=NUMBER, such as lost=0.1, not {value!r}")
        if name in WHOLE and (number < 1 or number != int(number)):
            raise SpecError(f"cropdet_tolerance {name}= must be a whole number from 1, not {text}")
        if name in TOLERANCES:
            if number < 0:
                raise SpecError(f"cropdet_tolerance {name}= must be 0 or more, not {text}")
            found[name] = int(number) if name in WHOLE else number
        elif BUILT_IN_NAME.match(name):
            raise SpecError(
                f"cropdet_tolerance {name!r}: the tolerances of built-in invariants are {', '.join(TOLERANCES)}"
                f"{did_you_mean(name, TOLERANCES)}"
            )
        else:
            own[name] = number
    return Tolerances(**found), own


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
