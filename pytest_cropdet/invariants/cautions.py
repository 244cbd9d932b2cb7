"""What else may be the cause where an invariant is broken: its own words say more than its numbers prove then."""

from collections.abc import Callable

from pytest_cropdet.errors import CropdetError
from pytest_cropdet.invariants.convention_check import D15, misread
from pytest_cropdet.invariants.observations import Evidence
from pytest_cropdet.invariants.repeating import spread

__all__ = ["cautions"]

OF_ITS_OWN = ("D1-repeatable", "D14-empty-picture", D15)  # what nothing else here can break
BY_SAMENESS = "D2-alone-as-in-a-batch"  # judges answers to one picture, wherever the boxes lie; it subtracts the spread
BY_BOXES_MISSING = (
    "D5-shift-by-pixels",
    "D6-interior-object-found",
    "D7-nothing-made-up",
    "D12-truncated-object-found",
    "D13-score-falls-with-cut",
)


def cautions(name: str, evidence: Evidence, repeat: float) -> list[str]:
    """Return what else explains that ``name`` is broken, each in a sentence.

    ``repeat``: the change of a score up to which a detector repeats its answers.
    """
    if name in (*OF_ITS_OWN, BY_SAMENESS):
        return []
    found = [
        _once(evidence, "conventions", lambda: _conventions(evidence)),
        _once(evidence, f"repeat {repeat:g}", lambda: _repeats(evidence, repeat)),
    ]
    if name in BY_BOXES_MISSING:
        found.append(_once(evidence, "cap", lambda: _capped(evidence)))
    return [each for each in found if each]


def _once(evidence: Evidence, key: str, find: Callable[[], str | None]) -> str | None:
    if key not in evidence.noted:
        try:
            evidence.noted[key] = find()
        except CropdetError:  # what cannot be judged explains nothing
            evidence.noted[key] = None
    return evidence.noted[key]


def _conventions(evidence: Evidence) -> str | None:
    wrong = misread(evidence)
    return None if wrong is None else f"fix this first, it may be the cause ({D15}): {str(wrong).splitlines()[0]}"


def _repeats(evidence: Evidence, repeat: float) -> str | None:
    worst = spread(evidence)
    if worst <= repeat:
        return None
    return f"this may be chance: a score changes by {worst:.3g} when the same picture is shown again (D1-repeatable)"


def _capped(evidence: Evidence) -> str | None:
    """Return that boxes are missing at the end of full lists, which would have been objects."""
    count = full = most = 0
    for _, found, _ in evidence.everything():
        count += 1
        if found.capped and len(found) and found.scores.min() >= evidence.rules.score / 2:
            full += 1
            most = max(most, len(found))
    if not full:
        return None
    return (
        f"this may be the limit on boxes: in {full} of {count} pictures the detector returned its maximum ({most}), "
        f"all of them scoring {evidence.rules.score / 2:.3g} or more"
    )
