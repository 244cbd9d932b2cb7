"""The search for what is wrong with somebody's remap: the causes that explain its answers, each with its smallest case.

A single case is seldom enough to name a mistake (a box moved by a pixel may also be one that was rounded), so that all
wrong answers are explained together, by as few causes as will do. Then each cause is searched for on its own. What is
drawn depends on the version of Hypothesis alone: no clock, no database, no profile of the user.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from pytest_cropdet.crops.hypothesis_find import smallest
from pytest_cropdet.crops.strategies import boxes, crops
from pytest_cropdet.errors import SpecError
from pytest_cropdet.invariants.remap_errors import RemapError
from pytest_cropdet.invariants.remap_mistakes import REMAP_MISTAKES
from pytest_cropdet.invariants.remap_rules import (
    Cause,
    Fault,
    Remap,
    RemapCase,
    RemapRules,
    explained,
    faults,
    takes_crowd,
)

__all__ = ["check_remap", "find_remap_errors", "remap_cases"]

LONGEST_IMAGE_SIDE = 24  # pixels: larger images show no other mistakes, and are harder to read
EXPLAINED_SHARE = 0.25  # of the wrong boxes that a mistake must explain, or it does so by chance


def check_remap(
    function: Remap,
    *,
    min_visibility: float = 0.0,
    tolerance: float = 0.01,
    whole_pixels: bool = False,
    max_examples: int = 200,
    picture: str | Path | None = None,
) -> None:
    """Fail with a :class:`~pytest_cropdet.RemapError` if ``function`` is wrong about boxes in a window of an image.

    ``function(image, boxes, labels, crop)`` returns ``(boxes, labels)``, or a mapping that may also have
    ``visibility``, ``crowd``, ``kept`` and ``image``; it is given ``crowd=`` if it has such a parameter
    (:mod:`pytest_cropdet.invariants.remap_rules` says it all). The error's class names the cause, its text the smallest
    case in numbers; ``others`` holds what else was found.

    - ``min_visibility``: the share of an object, 0 to 1, below which it must be dropped; at it it must stay.
    - ``tolerance``: pixels by which a coordinate may differ.
    - ``whole_pixels``: draw boxes on whole pixels only, for a function that knows no others.
    - ``max_examples``: cases that are tried for the causes, and again for the smallest case of each.
    - ``picture``: a file to draw the smallest case to, where there is one (needs the extra ``plot``).
    """
    __tracebackhide__ = True
    found = find_remap_errors(
        function,
        min_visibility=min_visibility,
        tolerance=tolerance,
        whole_pixels=whole_pixels,
        max_examples=max_examples,
    )
    if not found:
        return
    first, *others = found
    if picture is not None:
        from pytest_cropdet.invariants.remap_figure import draw_remap

        draw_remap(first).savefig(Path(picture))
    text = "".join(f"\nalso {type(other).__name__}: {other}" for other in others)
    error = type(first)(f"{first}{text}")
    error.case, error.answer, error.others = first.case, first.answer, tuple(others)
    raise error


def find_remap_errors(
    function: Remap,
    *,
    min_visibility: float = 0.0,
    tolerance: float = 0.01,
    whole_pixels: bool = False,
    max_examples: int = 200,
) -> list[RemapError]:
    """Return everything that :func:`check_remap` finds, what explains most first; an empty list for a right remap."""
    if not 0 <= min_visibility <= 1 or tolerance < 0 or max_examples < 1:
        raise SpecError(
            f"min_visibility={min_visibility} must lie between 0 and 1, tolerance={tolerance} be 0 px or more, "
            f"max_examples={max_examples} 1 or more"
        )
    rules = RemapRules(min_visibility, tolerance)
    strategy = remap_cases(crowds=takes_crowd(function), grid=1 if whole_pixels else 4)
    wrong: list[list[Fault]] = []

    def look(case: RemapCase) -> bool:
        wrong.append(faults(function, case, rules)[1])
        return False

    smallest(strategy, look, max_examples)
    errors = []
    for cause in _causes([fault for found in wrong for fault in found]):
        shown = _only(cause) if cause in REMAP_MISTAKES and any(map(_only(cause), wrong)) else _among(cause)

        def holds(case: RemapCase, shown: Callable[[list[Fault]], bool] = shown) -> bool:
            return shown(faults(function, case, rules)[1])

        case = smallest(strategy, holds, max_examples)
        if case is not None:
            answer, found = faults(function, case, rules)
            detail = next((fault.detail for fault in found if cause in fault.causes), "")
            errors.append(explained(cause, case, answer, rules, detail))
    return errors


@st.composite
def remap_cases(draw: st.DrawFn, *, crowds: bool = True, grid: int = 4) -> RemapCase:
    """Small images with up to three boxes and a window; shrinks towards the smallest image, no box and no cut."""
    width, height = draw(st.integers(1, LONGEST_IMAGE_SIDE)), draw(st.integers(1, LONGEST_IMAGE_SIDE))
    rows = draw(boxes(width, height, max_count=3, grid=grid))
    flags = tuple(draw(st.booleans()) for _ in rows) if crowds else ()
    crop = draw(crops(width, height, touching=rows))
    return RemapCase(width, height, tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in rows.tolist()), crop, flags)


def _only(cause: Cause) -> Callable[[list[Fault]], bool]:
    """Whether every fault of a case is explained by ``cause``, and none by another that has a name."""

    def only(found: list[Fault]) -> bool:
        return bool(found) and all(
            cause in fault.causes and not (set(fault.causes) & set(REMAP_MISTAKES) - {cause}) for fault in found
        )

    return only


def _among(cause: Cause) -> Callable[[list[Fault]], bool]:
    """Whether a fault of a case is explained by ``cause``."""
    return lambda found: any(cause in fault.causes for fault in found)


def _causes(everything: list[Fault]) -> list[Cause]:
    """Return the fewest causes that explain all faults, the one that explains most first; of equals the particular.

    Boxes that no mistake with a name explains are named as what they are only if none was found at all: two mistakes
    in one box look like none of them.
    """
    left = list(everything)
    causes: list[Cause] = []
    boxes_in_all = sum(fault.aspect == "boxes" for fault in everything)
    chance = set()
    while left:
        counts = Counter(cause for fault in left for cause in _named(fault) if cause not in chance)
        if not counts:
            break
        most = max(counts.values())
        order = [cause for fault in left for cause in _named(fault)]
        cause = min((cause for cause in counts if counts[cause] == most), key=lambda each: _rank(each, order))
        explains = sum(fault.aspect == "boxes" and cause in fault.causes for fault in everything)
        if cause in REMAP_MISTAKES and explains < max(1.0, EXPLAINED_SHARE * boxes_in_all):
            chance.add(cause)
            continue
        causes.append(cause)
        left = [fault for fault in left if cause not in fault.causes]
    if left and not any(cause in REMAP_MISTAKES for cause in causes):
        causes += sorted({fault.causes[-1] for fault in left}, key=lambda each: each.__name__)[:1]
    return causes


def _named(fault: Fault) -> tuple[Cause, ...]:
    """The causes of a fault without the last, which says no more than that boxes are wrong."""
    return fault.causes[:-1] if fault.aspect == "boxes" else fault.causes


def _rank(cause: Cause, order: list[Cause]) -> int:
    """The place of a cause among equals: what is missing or too much before a mistake, mistakes as they are listed."""
    return list(REMAP_MISTAKES).index(cause) + len(order) if cause in REMAP_MISTAKES else order.index(cause)
