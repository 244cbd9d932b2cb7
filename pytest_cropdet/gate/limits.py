"""From the verdicts on single limits to the verdict of a run."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pytest_cropdet.evaluation import Outcome, Verdict

__all__ = [
    "RunVerdict",
    "images_to_decide",
    "one_per_limit",
    "undecided_text",
    "verdict_records",
    "worst",
    "worst_verdict",
]

RunVerdict = Literal["pass", "fail", "undecided", "none"]
SEVERITY: Mapping[str, int] = {"fail": 0, "undecided": 1, "pass": 2}


def worst(outcomes: Iterable[Outcome]) -> RunVerdict:
    """Return the worst outcome; ``none`` where there is no limit, so that nothing was judged.

    >>> worst(["pass", "undecided"]), worst([])
    ('undecided', 'none')
    """
    return min(outcomes, key=lambda outcome: SEVERITY[outcome], default="none")


def verdict_records(verdicts: Iterable[Verdict], images: int | None = None) -> list[dict[str, Any]]:
    """Return verdicts as built-in values, each with the numbers of its own measure.

    ``images``: how many source images they rest on, from which follows how many would decide.
    """
    return [
        {
            "measure": each.measure.name,
            "outcome": each.outcome,
            "limit": each.limit,
            "value": each.measure.value,
            "low": each.measure.low,
            "high": each.measure.high,
            "reason": each.reason,
            "why": each.doubt,
            "passes": each.passes,
            "operator": ">=" if each.measure.good else "<=",
            "text": each.headline,
            "images_to_decide": None if images is None else images_to_decide(each, images),
        }
        for each in verdicts
    ]


def images_to_decide(verdict: Verdict, images: int) -> int | None:
    """Return how many source images would decide (+-30 %), ``None`` where it is decided or images do not help."""
    if verdict.outcome != "undecided" or verdict.doubts:
        return None
    return verdict.measure.images_to_decide(verdict.limit, images)


def undecided_text(verdict: Verdict, images: int) -> str:
    """Return why bounds alone leave a verdict open, and what would decide it."""
    needed = images_to_decide(verdict, images)
    enough = f": about {needed:,} images (+-30 %) would be enough" if needed else ""
    return f"the result is too uncertain to decide{enough}; --cropdet-undecided=pass accepts undecided results"


def one_per_limit(verdicts: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return one record for each limit: a limit that several comparisons name is listed once, by the last of them."""
    return [*{(each["measure"], each["limit"]): each for each in verdicts}.values()]


def worst_verdict(record: Mapping[str, Any], measure: str = "drop") -> Mapping[str, Any] | None:
    """Return the worst verdict of a run's record on one measure, ``None`` where it has no limit."""
    found = [each for each in record["verdicts"] if each["measure"] == measure]
    return min(reversed(found), key=lambda each: SEVERITY[each["outcome"]], default=None)
