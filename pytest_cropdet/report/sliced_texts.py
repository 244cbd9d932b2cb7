"""Sliced inference against one pass, in words: for the terminal, the one line of a session, and GitHub."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pytest_cropdet.terms import Record

if TYPE_CHECKING:
    from pytest_cropdet.comparison import SlicedComparison

__all__ = ["only_sliced", "sliced_lines", "sliced_record", "sliced_text", "without_sliced"]

_SINGLE = {
    "pass": "slicing gains enough",
    "fail": "slicing does not gain enough",
    "undecided": "the gain of slicing is undecided",
    "none": "the gain of slicing measured, not judged",
}


def sliced_record(
    found: "SlicedComparison", picture: str | None = None, no_picture: str | None = None
) -> dict[str, Any]:
    """Return what a comparison came to as built-in values; what is undefined is ``None``.

    ``picture``: where the picture of an image lies, or ``no_picture``: why there is none.
    """
    return {"kind": "sliced", **found.to_dict(), "picture": picture, "no_picture": no_picture}


def only_sliced(checks: Iterable[Record]) -> list[Record]:
    """Return the comparisons of sliced inference among the records of checks."""
    return [each for each in checks if each["kind"] == "sliced"]


def without_sliced(checks: Iterable[Record]) -> list[Record]:
    """Return the other records of checks: invariants and searches, which pass, fail, or are skipped."""
    return [each for each in checks if each["kind"] != "sliced"]


def sliced_text(records: Sequence[Record]) -> str:
    """Return what came of the comparisons of a session in one line.

    >>> sliced_text([{"verdict": "pass"}]), sliced_text([{"verdict": "pass"}, {"verdict": "fail"}])
    ('slicing gains enough', '2 comparisons of slicing: 1 fail, 1 pass')
    """
    if len(records) == 1:
        return _SINGLE[records[0]["verdict"]]
    verdicts = [each["verdict"] for each in records]
    words = {"fail": "fail", "undecided": "undecided", "pass": "pass", "none": "not judged"}
    counts = [f"{verdicts.count(key)} {word}" for key, word in words.items() if key in verdicts]
    return f"{len(records)} comparisons of slicing: {', '.join(counts)}"


def sliced_lines(record: Record) -> list[str]:
    """Return a comparison in lines: its verdict with the gain, then the numbers it rests on."""
    return [f"{record['name']}: {record['text']}", *(f"  {each}" for each in record["lines"])]
