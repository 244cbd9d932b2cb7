"""What invariants and searches come to, in words: how many hold, why one fails, what was noticed."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["check_text", "checks_text", "count_verdicts", "hints_of", "sorted_checks"]


def sorted_checks(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return checks sorted by kind and name, ``D9`` before ``D10``, whatever order they ran in."""
    return [
        dict(each) for each in sorted(records, key=lambda each: (each["kind"], *_natural(each["name"], each["test"])))
    ]


def _natural(*names: str) -> tuple[tuple[str | int, ...], ...]:
    return tuple(tuple(int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)) for name in names)


def count_verdicts(records: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many checks fail, pass and were skipped."""
    verdicts = [record["verdict"] for record in records]
    return {name: verdicts.count(name) for name in ("fail", "pass", "skip")}


def checks_text(checks: Sequence[Mapping[str, Any]]) -> str:
    """Return in words how many checks fail, hold, and could not be judged."""
    count = count_verdicts(checks)
    judged = count["fail"] + count["pass"]
    if not judged:
        return "no check could be judged"
    if judged == 1:
        words = "the check fails" if count["fail"] else "the check passes"
    elif not count["fail"]:
        words = f"all {judged} checks pass"
    else:
        words = f"{count['fail']} of {judged} checks {'fails' if count['fail'] == 1 else 'fail'}"
    return f"{words}, {count['skip']} could not be judged" if count["skip"] else words


def check_text(check: Mapping[str, Any]) -> str:
    """Return why a check fails or was skipped, in one line: what is wrong, then what was measured."""
    if check["kind"] == "sliced":
        return str(check["text"])
    name = f"{check.get('invariant')}: "
    numbers, *meaning = (line.strip().removeprefix(name) for line in str(check["reason"]).splitlines())
    if check.get("value") is None or not meaning:
        return " ".join([numbers, *meaning])
    return f"{' '.join(meaning)} {numbers}."


def hints_of(records: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return name and text of what was noticed that breaks nothing, each in one line."""
    return [(record["name"], " ".join(record["hint"].split())) for record in records if record.get("hint")]
