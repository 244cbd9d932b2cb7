"""How many gates, checks and benchmarks came to what, in one line."""

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_cropdet.report.check_texts import checks_text

__all__ = ["session_text"]

SINGLE = {"pass": "passes", "fail": "fails", "undecided": "is undecided"}
SEVERAL = {"fail": ("fails", "fail"), "undecided": ("is undecided", "are undecided"), "pass": ("passes", "pass")}


def session_text(
    verdicts: Sequence[str],
    checks: Sequence[Mapping[str, Any]],
    benchmarks: Sequence[Mapping[str, Any]],
    unfinished: int,
) -> str:
    """Return what came of a session in one line: gates (by their ``verdicts``), checks, benchmarks, missing results."""
    parts = _gates(verdicts)
    if checks:
        parts.append(checks_text(checks))
    ratios = [record["benchmark"]["rpc"]["value"] for record in benchmarks]
    if len(ratios) == 1:
        parts.append("the benchmark has no rPC" if ratios[0] is None else f"crops keep {ratios[0]:.0%} of AP")
    elif ratios:
        parts.append(f"{len(ratios)} benchmarks")
    if unfinished:
        parts.append(f"{unfinished} without result")
    return ", ".join(parts if verdicts or checks or ratios else ["no test came to an end", *parts])


def _gates(verdicts: Sequence[str]) -> list[str]:
    """Return how many gates fail, are undecided and pass, and how many runs were not judged.

    >>> _gates(["fail", "undecided"]), _gates(["pass"]), _gates(["pass", "pass"])
    (['2 gates: 1 fails, 1 is undecided'], ['the gate passes'], ['all 2 gates pass'])
    """
    judged = [verdict for verdict in verdicts if verdict != "none"]
    rest = len(verdicts) - len(judged)
    if judged == ["error"]:
        parts = ["the gate's test failed"]
    elif len(judged) == 1:
        parts = [f"the gate {SINGLE[judged[0]]}"]
    elif judged and set(judged) == {"pass"}:
        parts = [f"all {len(judged)} gates pass"]
    elif judged:
        merged = ["fail" if each == "error" else each for each in judged]
        counts = [(merged.count(name), words) for name, words in SEVERAL.items()]
        shown = [f"{count} {words[count > 1]}" for count, words in counts if count]
        parts = [f"{len(judged)} gates: {', '.join(shown)}"]
    else:
        parts = []
    if rest:
        parts.append("one run measured, not judged" if rest == 1 else f"{rest} runs measured, not judged")
    return parts
