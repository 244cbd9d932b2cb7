"""The section that pytest's summary ends with: a table of the gates, and the steps of those that did not pass."""

import os
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import pytest

from pytest_cropdet.categories import Pairing
from pytest_cropdet.chain import PHRASES
from pytest_cropdet.report.html.page import Unfinished
from pytest_cropdet.report.markdown import annotations

__all__ = ["table", "write_summary"]

COLOURS = {"pass": {"green": True}, "fail": {"red": True}, "undecided": {"yellow": True}}
HEAD = ("verdict", "gate", "drop", "allowed", "whole -> crop", "crops", "images", "objects")
RIGHT = (False, False, False, True, False, True, True, True)  # the columns whose cells end in line
NEEDED = 4  # columns that are shown however narrow the terminal is
LEAST_NAME = 8  # letters of a gate's name that are left in a narrow terminal
BAR = 20
MOST_CATEGORIES = 8  # with -v


def write_summary(
    reporter: pytest.TerminalReporter,
    records: Sequence[Mapping[str, Any]],
    unfinished: Sequence[Unfinished] = (),
    page: str | None = None,
    checks: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write the section; with ``-q`` nothing, with ``-v`` the steps of all gates and the categories that lost most.

    ``page``: where the page is. ``checks`` are annotated only, for pytest tells them.
    """
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in annotations(records, checks):
            reporter.write_line(line)
    if reporter.verbosity < 0 or not (records or unfinished or page):
        return
    reporter.section(f"crop robustness{paired_by(records)}")
    writer = reporter.config.get_terminal_writer()
    width, block = writer.fullwidth, _block(writer)
    head, *rows = table(records, width)
    if records:
        reporter.write_line(head)
    for record, row in zip(records, rows, strict=True):
        reporter.write_line(row, **COLOURS[str(record["verdict"])])
        if record["verdict"] != "pass" or reporter.verbosity > 0:
            for line in steps(record, width, block):
                reporter.write_line(line)
        if reporter.verbosity > 0:
            for line in _categories(record, width):
                reporter.write_line(line)
    for line in pairings(records, width):
        reporter.write_line(line)
    for each in unfinished:
        reporter.write_line(_cut(f"no result  {each.test}: {each.why}", width), yellow=True)
    if page is not None:
        reporter.write_line(f"report: {page}")


def table(records: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """Return a head and a line a gate, none longer than ``width``: columns are left out, then names cut."""
    rows = [HEAD, *map(_cells, records)]
    columns = len(HEAD)
    while columns > NEEDED and _width(rows, columns) > width:
        columns -= 1
    over = _width(rows, columns) - width
    if over > 0:
        longest = max(LEAST_NAME, max(len(row[1]) for row in rows) - over)
        rows = [(row[0], _cut(row[1], longest), *row[2:]) for row in rows]
    widths = [max(len(row[place]) for row in rows) for place in range(columns)]
    return [
        "  ".join(_fill(row[place], widths[place], RIGHT[place]) for place in range(columns)).rstrip() for row in rows
    ]


def paired_by(records: Sequence[Mapping[str, Any]]) -> str:
    """Return how the gates' categories were paired, in words that end the section's title; "" where none were."""
    ways = sorted({record["pairing"]["by"] for record in records if record.get("pairing")})
    return f", categories paired by {' and by '.join(ways)}" if ways else ""


def pairings(records: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """Return what pairing by id left out of the gates' detections, each sentence once, in lines of a width."""
    found = [Pairing.from_dict(record["pairing"]) for record in records if record.get("pairing")]
    texts = dict.fromkeys(each.text for each in found if each.by == "id" and each.left_out)
    return [line for text in texts for line in wrap(text, max(20, width), subsequent_indent="    ")]


def steps(record: Mapping[str, Any], width: int, block: str) -> list[str]:
    """Return a line for each step of the chain, with a bar in proportion to the largest."""
    told = record.get("steps") or ()
    if all(step["value"] is None for step in told):
        return []
    longest = max((abs(step["value"] or 0.0) for step in told), default=0.0)
    most = max(4, min(BAR, width - 38))
    lines = []
    for step in told:
        value = "undefined" if step["value"] is None else f"{step['value']: .3f}"
        bar = block * max(1, round(most * abs(step["value"] or 0.0) / longest)) if longest else ""
        lines.append(
            f"    {PHRASES[step['name']]:<21} {value}  {bar if step['distinguishable'] else 'not distinguishable'}"
        )
    return [line[:width] for line in lines]


def _cells(record: Mapping[str, Any]) -> tuple[str, ...]:
    metric, change = record["metric"], "share lost"
    if metric != "lost":
        values = record[{"mAP": "ap", "AP50": "ap50", "AP75": "ap75"}[metric]]
        change = f"{metric} {_number(values['reference'])} -> {_number(values['crop'])}"
    return (
        str(record["verdict"]),
        str(record["name"]),
        f"{_number(record['drop']['value'])}{_bounds(record['drop'])}",
        "-" if record["limit"] is None else _number(record["limit"]),
        change,
        f"{record['crops']}",
        f"{record['images']}",
        f"{record['objects']}",
    )


def _categories(record: Mapping[str, Any], width: int) -> list[str]:
    lost = [each for each in record["categories"] if (each["drop"] or 0.0) > 0]
    lost.sort(key=lambda each: (-each["drop"], each["name"]))
    lines = [f"    {_cut(each['name'], 21):<21}  {each['drop']:.3f}{_bounds(each)}" for each in lost[:MOST_CATEGORIES]]
    more = len(lost) - MOST_CATEGORIES
    return [line[:width] for line in [*lines, *([f"    and {more} more categories lost"] if more > 0 else [])]]


def _block(writer: Any) -> str:
    """Return what bars are made of: a block where the terminal can show one."""
    encoding = getattr(getattr(writer, "_file", None), "encoding", None) or "ascii"
    try:
        "█".encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return "#"
    return "█"


def _width(rows: Sequence[Sequence[str]], columns: int) -> int:
    return sum(max(len(row[place]) for row in rows) for place in range(columns)) + 2 * (columns - 1)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _fill(text: str, width: int, right: bool) -> str:
    return f"{text:>{width}}" if right else f"{text:<{width}}"


def _bounds(drop: Mapping[str, Any]) -> str:
    return "" if drop["low"] is None or drop["high"] is None else f" [{drop['low']:.3f}, {drop['high']:.3f}]"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
