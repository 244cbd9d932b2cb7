"""The section that pytest's summary ends with: a table of the gates, and the steps of those that did not pass."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

from pytest_cropdet.data import Pairing
from pytest_cropdet.evaluation import bounds_text, digits
from pytest_cropdet.report.against_lines import against_lines
from pytest_cropdet.report.check_texts import hints_of
from pytest_cropdet.report.github import annotations
from pytest_cropdet.report.limit_rows import WHOLE_TO_CROP, LimitRow, limit_rows, named_apart, note
from pytest_cropdet.report.model_card import benchmark_lines, model_card
from pytest_cropdet.report.ranking_lines import ranking_table
from pytest_cropdet.report.records import MissingResult
from pytest_cropdet.report.sliced_texts import only_sliced, sliced_lines
from pytest_cropdet.report.summary_lines import VERDICT_WORDS, narrow_rows, shows_failures, whole_image_text
from pytest_cropdet.terms import PHRASES, Record, fold, one_line

__all__ = [
    "benchmark_summary",
    "checks_summary",
    "ranking_summary",
    "short_verdict",
    "sliced_summary",
    "table",
    "write_summary",
]

VERDICT_MARKUP: Mapping[str, dict[str, bool]] = {
    "pass": {"green": True},
    "fail": {"red": True},
    "error": {"red": True},
    "undecided": {"yellow": True},
    "none": {},
}
SUMMARY_COLUMNS = ("verdict", "gate", "drop", "allowed", "whole -> crop", "crops", "images", "objects")
MIXED = ("verdict", "gate", "value", "limit", *SUMMARY_COLUMNS[4:])  # where a limit is on another measure than the drop
RIGHT = (False, False, False, True, False, True, True, True)  # the columns whose cells end in line
NEEDED = 4  # columns that are shown however narrow the terminal is
LEAST_NAME = 8  # letters of a gate's name that are left in a narrow terminal
# The beginning of a failure: its verdict, what is measured, value and limit.
VALUE_AND_LIMIT = re.compile(r"(?:FAIL |(?=UNDECIDED )).*?(?:[<>]=? -?\d\.\d{3}|, limit -?\d\.\d{3})(?=[:\s]|$)")
BAR_LETTERS = 20
MOST_CATEGORIES = 8  # with -v


def write_summary(
    reporter: pytest.TerminalReporter,
    records: Sequence[Mapping[str, Any]],
    unfinished: Sequence[MissingResult] = (),
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
    writer = reporter.config.get_terminal_writer()
    width, block = writer.fullwidth, _block(writer)
    title = f"crop robustness{paired_by(records)}"
    reporter.section(title if len(title) + 4 <= width else "crop robustness")
    _write_gates(reporter, named_apart(records), width, block)
    for line in _data_lines((*records, *checks), width):
        reporter.write_line(line, yellow=True)
    for line in pairings(records, width):
        reporter.write_line(line)
    for each in unfinished:
        reporter.write_line(_cut(one_line(f"no result  {each.test}: {each.why}"), width), yellow=True)
    if page is not None:
        reporter.write_line(f"report: {one_line(page)}")


def _write_gates(
    reporter: pytest.TerminalReporter, records: Sequence[Mapping[str, Any]], width: int, block: str
) -> None:
    """Write the rows of all gates, and under each what is to be known of it; mAP of whole images once per model."""
    if not records:
        return
    head, *lines = table(records, width)
    if len(head) > width or any(len(line) > width for line in lines):
        head, lines = "", [line for record in records for line in narrow_rows(record, width)]
    if head:
        reporter.write_line(head)
    shown, told_of = iter(lines), set[str]()
    for record in records:
        for row in limit_rows(record):
            reporter.write_line(next(shown), **VERDICT_MARKUP[row.verdict])
            for line in _remark(f"{row.measure}: {row.why}" if row.why and row.verdict != "pass" else None, width):
                reporter.write_line(line)
        for line in _beneath(record, width, block, reporter.verbosity, shows_failures(reporter.config)):
            reporter.write_line(line)
        whole = whole_image_text(record)
        for line in _remark(whole if whole not in told_of else None, width):
            reporter.write_line(line)
        told_of.add(whole or "")


def short_verdict(report: pytest.TestReport, config: pytest.Config) -> str | None:
    """Return value and limit of a gate that failed, ``None`` where pytest's line of it has room for them.

    pytest cuts what a failure says at the terminal's width, and leaves it out behind a long id.
    """
    message = getattr(getattr(report.longrepr, "reprcrash", None), "message", "")
    found = VALUE_AND_LIMIT.match(message)
    if found is None or any(os.environ.get(name) for name in ("CI", "BUILD_NUMBER")) or config.option.verbose >= 2:
        return None
    first, (file, colons, rest) = message.splitlines()[0], report.nodeid.partition("::")
    shown = os.path.relpath(config.rootpath / file, config.invocation_params.dir) + colons + rest
    room = config.get_terminal_writer().fullwidth - len(f"FAILED {shown} - ")
    return None if room >= min(len(first), len(found.group()) + len("...")) else found.group().removeprefix("FAIL ")


def table(records: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """Return a head and a line for each limit of each gate, none longer than ``width``.

    Columns are left out, then names cut.
    """
    limits = [(record, row) for record in records for row in limit_rows(record)]
    head = (
        SUMMARY_COLUMNS
        if all(row.change == "whole -> crop" and row.measure.startswith("drop") for _, row in limits)
        else MIXED
    )
    rows = [head, *(_cells(record, row) for record, row in limits)]
    columns = len(SUMMARY_COLUMNS)
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
    """Return what pairing by id left out and what counts as one category, each sentence once, in lines of a width."""
    found = [Pairing.from_dict(record["pairing"]) for record in records if record.get("pairing")]
    texts = dict.fromkeys(each.text for each in found if each.notes or (each.by == "id" and each.left_out))
    return [line for text in texts for line in fold(text, max(20, width), rest="    ")]


def steps(record: Mapping[str, Any], width: int, block: str) -> list[str]:
    """Return a line for each step of the chain, with a bar in proportion to the largest."""
    told = record.get("steps") or ()
    if all(step["value"] is None for step in told):
        return []
    longest = max((abs(step["value"] or 0.0) for step in told), default=0.0)
    most = max(4, min(BAR_LETTERS, width - 38))
    lines = []
    for step in told:
        value = "undefined" if step["value"] is None else f"{step['value']: .3f}"
        bar = block * max(1, round(most * abs(step["value"] or 0.0) / longest)) if longest else ""
        lines.append(
            f"    {PHRASES[step['name']]:<21} {value}  {bar if step['distinguishable'] else 'no clear effect'}"
        )
    return [line if len(line) <= width else _narrow(line, width) for line in lines]


def _narrow(line: str, width: int) -> str:
    """Return a step's line without its bar, and with its words cut, so that its value still shows."""
    name, value = line[4:25].rstrip(), line[26:].split(maxsplit=1)[0]
    return f"  {_cut(name, max(4, width - len(value) - 4))}  {value}"[:width]


def _cells(record: Mapping[str, Any], row: LimitRow) -> tuple[str, ...]:
    metric, change = record["metric"], "share lost"
    if metric != "lost":
        change = f"{metric} {digits(row.before)} -> {digits(row.after)}"
        change += "" if row.change == WHOLE_TO_CROP else f" ({row.change})"
    return (
        VERDICT_WORDS.get(row.verdict, row.verdict),
        row.name,
        f"{digits(row.value)}{_bounds({'low': row.low, 'high': row.high})}",
        "-" if row.limit is None else digits(row.limit),
        change,
        f"{record['crops']}",
        f"{row.images}",
        f"{row.objects}",
    )


def _beneath(record: Mapping[str, Any], width: int, block: str, verbosity: int, failures: bool = False) -> list[str]:
    """Return the lines under the rows of a gate: what is to be known of its verdict, steps, categories.

    ``failures``: whether pytest shows the texts of failures, which have the steps already.
    """
    lines = _remark(note(record), width) + [line for text in against_lines(record) for line in _remark(text, width)]
    shown_above = failures and record["verdict"] != "pass" and any(not each["passes"] for each in record["verdicts"])
    if (record["verdict"] != "pass" or verbosity > 0) and not shown_above:
        lines += steps(record, width, block)
    return lines + (_categories(record, width) if verbosity > 0 else [])


def _remark(text: str | None, width: int) -> list[str]:
    """Return a remark under a row, if there is one, in lines no longer than ``width``."""
    return fold(one_line(text or ""), max(20, width), "    ", "    ")


def _categories(record: Mapping[str, Any], width: int) -> list[str]:
    lost = [each for each in record["categories"] if (each["drop"] or 0.0) > 0]
    lost.sort(key=lambda each: (-each["drop"], each["name"]))
    names = [_cut(one_line(each["name"]), 21) for each in lost[:MOST_CATEGORIES]]
    lines = [f"    {name:<21}  {each['drop']:.3f}{_bounds(each)}" for name, each in zip(names, lost, strict=False)]
    more = len(lost) - MOST_CATEGORIES
    return [line[:width] for line in [*lines, *([f"    and {more} more categories lost"] if more > 0 else [])]]


def _data_lines(records: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """Return what is odd in the data, each sentence once, in lines of the terminal's width."""
    odd = dict.fromkeys(each["text"] for record in records for each in record.get("data_warnings") or ())
    return [line for text in odd for line in fold(f"data: {text}", width, rest="      ")]


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
    return bounds_text(drop["low"], drop["high"])


def benchmark_summary(reporter: pytest.TerminalReporter, records: Sequence[Mapping[str, Any]]) -> None:
    """Write the section; with ``-q`` nothing."""
    if reporter.verbosity < 0:
        return
    reporter.section("crop benchmark")
    for place, record in enumerate(records):
        reporter.write_line("\n".join(map(one_line, [*([""] if place else []), *benchmark_lines(record)])))
    reporter.write_line("")
    reporter.write_line(model_card(records))


def ranking_summary(reporter: pytest.TerminalReporter, rankings: Sequence[Mapping[str, Any]]) -> None:
    """Write a section for each ranking of several models; with ``-q`` nothing."""
    if reporter.verbosity < 0:
        return
    width = reporter.config.get_terminal_writer().fullwidth
    for each in rankings:
        count = len(each["models"])
        title = f"ranking of {count} models" if count > 1 else "no ranking of models"
        reporter.section(f"{title}: {one_line(each['name'])}")
        for line in ranking_table(each, width):
            reporter.write_line(line)


def sliced_summary(reporter: pytest.TerminalReporter, checks: Iterable[Record]) -> None:
    """Write the section of sliced inference; with ``-q`` nothing."""
    records = only_sliced(checks)
    if reporter.verbosity < 0 or not records:
        return
    width = max(20, reporter.config.get_terminal_writer().fullwidth)
    reporter.section("sliced inference against one pass over the whole image")
    for record in records:
        first, *rest = sliced_lines(record)
        for line in fold(one_line(first), width, rest="    "):
            reporter.write_line(line, **VERDICT_MARKUP.get(record["verdict"], {}))
        for text in rest:
            for line in fold(one_line(text), width, "  ", "    "):
                reporter.write_line(line)


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
        for line in fold(f"hint  {name}: {hint}", wide, rest="      "):
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
