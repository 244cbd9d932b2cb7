"""Invariants and searches as records, as properties of their test, and as lines on the terminal."""

import re
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import pytest

from pytest_cropdet.escapes import one_line
from pytest_cropdet.invariants.outcome import Judged
from pytest_cropdet.plugin.stash import Value

if TYPE_CHECKING:
    from pytest_cropdet.search.dataset_search import Search
    from pytest_cropdet.search.worst_crop import WorstCrop

__all__ = [
    "check_properties",
    "checks_summary",
    "counted",
    "hints_of",
    "in_order",
    "invariant_record",
    "said",
    "search_record",
    "why",
]

FLAT = ("verdict", "value", "allowed", "score_whole", "score_crop", "visibility", "images", "windows", "calls")


def invariant_record(judged: Judged) -> dict[str, Any]:
    """Return what came of an invariant as built-in values; what is undefined is ``None``."""
    return {
        "kind": "invariant",
        "invariant": judged.name,
        "verdict": judged.verdict,
        "value": judged.value,
        "allowed": judged.allowed,
        "what": judged.what,
        "reason": judged.reason,
        "cause": type(judged.error).__name__ if judged.verdict == "fail" else None,
        "hint": judged.hint,
    }


def search_record(found: "Search") -> dict[str, Any]:
    """Return what a search came to as built-in values: the window that loses an object, or in which one scores lowest.

    Boxes and windows are in pixels of the image; ``crop`` is ``left top width height``, ``box`` is ``x0 y0 x1 y1``.
    """
    worst = found.worst
    return {
        "kind": "search",
        "verdict": found.verdict,
        "reason": found.nothing if worst is None else str(worst) if worst.lost else None,
        "worst": None if worst is None else _worst(worst),
        "images": found.images,
        "windows": found.windows,
        "calls": found.calls,
        "picture": found.picture,
        "no_picture": found.no_picture,
        "again": found.again,
    }


def _worst(worst: "WorstCrop") -> dict[str, Any]:
    crop, rules = worst.crop, worst.rules
    return {
        "sample": worst.sample,
        "size": [worst.width, worst.height],
        "crop": [crop.left, crop.top, crop.width, crop.height],
        "cut": worst.cut,
        "category": worst.category,
        "box": [float(edge) for edge in worst.box],
        "score_whole": float(worst.score_whole),
        "score_crop": float(worst.score_crop),
        "visibility": float(worst.visibility),
        "lost": bool(worst.lost),
        "shrunk": worst.shrunk,
        "rules": {
            "score": rules.score,
            "confident": rules.confident,
            "min_visibility": rules.min_visibility,
            "found_iou": rules.found_iou,
        },
        "test": worst.test,
    }


def check_properties(record: Mapping[str, Any]) -> dict[str, Value]:
    """Return the numbers and the verdict of a check, flat, by their names in JUnit."""
    told = {**(record.get("worst") or {}), **record}
    flat = {key: told.get(key) for key in FLAT}
    return {one_line(f"cropdet.{record['name']}.{key}"): each for key, each in flat.items() if each is not None}


def in_order(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return checks sorted by kind and name, ``D9`` before ``D10``, whatever order they ran in."""
    return [
        dict(each) for each in sorted(records, key=lambda each: (each["kind"], *_natural(each["name"], each["test"])))
    ]


def _natural(*names: str) -> tuple[tuple[str | int, ...], ...]:
    return tuple(tuple(int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)) for name in names)


def counted(records: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many checks fail, pass and were skipped."""
    verdicts = [record["verdict"] for record in records]
    return {name: verdicts.count(name) for name in ("fail", "pass", "skip")}


def said(checks: Sequence[Mapping[str, Any]]) -> str:
    """Return in words how many checks fail, hold, and could not be judged."""
    count = counted(checks)
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


def why(check: Mapping[str, Any]) -> str:
    """Return why a check fails or was skipped, in one line: what is wrong, then what was measured."""
    name = f"{check.get('invariant')}: "
    numbers, *meaning = (line.strip().removeprefix(name) for line in str(check["reason"]).splitlines())
    if check.get("value") is None or not meaning:
        return " ".join([numbers, *meaning])
    return f"{' '.join(meaning)} {numbers}."


def hints_of(records: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return name and text of what was noticed that breaks nothing, each in one line."""
    return [(record["name"], " ".join(record["hint"].split())) for record in records if record.get("hint")]


def checks_summary(reporter: pytest.TerminalReporter, records: Sequence[Mapping[str, Any]]) -> None:
    """Write what the invariants measured, also where they hold, with ``-v`` only: pytest itself shows the failures.

    Hints are written without it, too: nothing else on the terminal shows them.
    """
    measured = [record for record in records if record["kind"] == "invariant" and record["value"] is not None]
    measured = measured if reporter.verbosity >= 1 else []
    hints = hints_of(records) if reporter.verbosity >= 0 else []
    if not measured and not hints:
        return
    reporter.section("invariants on crops")
    if measured:
        _write_measured(reporter, measured)
    for name, hint in hints:
        wide = max(20, reporter.config.get_terminal_writer().fullwidth)
        for line in wrap(f"hint  {name}: {hint}", wide, subsequent_indent="      ", break_on_hyphens=False):
            reporter.write_line(line)


def _write_measured(reporter: pytest.TerminalReporter, measured: Sequence[Mapping[str, Any]]) -> None:
    colours = {"pass": {"green": True}, "fail": {"red": True}}
    wide = max(len(record["name"]) for record in measured)
    width = reporter.config.get_terminal_writer().fullwidth
    for record in measured:
        allowed = "-" if record["allowed"] is None else f"{record['allowed']:.3g}"
        line = (
            f"{record['verdict']}  {record['name']:<{wide}}  {record['value']:>9.3g}  of {allowed:<6}  {record['what']}"
        )
        line = one_line(line)
        line = line if len(line) <= width else f"{line[: width - 3]}..."
        reporter.write_line(line, **colours[record["verdict"]])
