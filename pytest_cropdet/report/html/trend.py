"""The page of a history: a chart of each gate over time, what it says, and all numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_cropdet.comparison import DamagedLine, HistoryLine, Trend
from pytest_cropdet.figures import TrendPanel, trend_chart, trend_legend
from pytest_cropdet.report.history_panels import trend_panels
from pytest_cropdet.report.html.blocks import (
    Block,
    Chart,
    Section,
    Table,
    TableCell,
    Text,
    bounded_cell,
    cell,
    number_cell,
    sentence,
)
from pytest_cropdet.report.html.rendering import render_page
from pytest_cropdet.terms import one_line, visible

__all__ = ["trend_page"]

_LEAD = (
    "The drop of each measurement with its bounds, the oldest at the left. Where the ground is shaded, the drop is "
    "clearly larger than before: its lower bound is above the upper bound of an earlier measurement of the "
    "same thing."
)


@dataclass(frozen=True, slots=True)
class _Article:
    """A gate as the template sees it; ``verdict``: that of the newest measurement."""

    id: str
    name: str
    verdict: str
    sections: Sequence[Section]


def trend_page(trends: Sequence[Trend], damaged: Sequence[DamagedLine], source: str) -> str:
    """Return the page as HTML, in one file without any address in it; ``source``: the history's file."""
    articles = [
        _article(f"t{number}", trend, panel)
        for number, (trend, panel) in enumerate(zip(trends, trend_panels(trends), strict=True), 1)
    ]
    return render_page(
        "trend.html",
        articles=articles,
        damaged=[visible(str(each)) for each in damaged],
        title=_title(trends),
        source=one_line(source),
    )


def _title(trends: Sequence[Trend]) -> str:
    count, larger = len(trends), sum(trend.is_larger_now for trend in trends)
    if count == 1:
        return "the drop is larger than before" if larger else "the drop is not clearly larger than before"
    if not larger:
        return f"in none of {count} gates is the drop clearly larger than before"
    return f"the drop is larger than before in {larger} of {count} gates"


def _article(key: str, trend: Trend, panel: TrendPanel) -> _Article:
    blocks: list[Block] = [
        Text(sentence(trend.text), warn=trend.is_larger_now),
        Chart(trend_chart(panel), legend=trend_legend(panel)),
    ]
    if trend.repeats:
        lines = "line" if trend.repeats == 1 else "lines"
        blocks.append(Text(f"{trend.repeats} earlier {lines} of the same commits and models were left out."))
    head = (
        "commit",
        "day",
        "verdict",
        "drop",
        "limit",
        "on crops",
        "on whole images",
        "images",
        "model",
        "windows",
        "file",
    )
    blocks.append(Table("All measurements, the newest first", head, [_row(each) for each in reversed(trend.lines)]))
    return _Article(key, panel.title, trend.lines[-1].verdict, [Section("trend", "Over time", _LEAD, blocks)])


def _row(line: HistoryLine) -> list[TableCell]:
    content = line.content
    commit = content["commit"] or "-"
    more = ", with changes that were not committed" if content.get("dirty") else ""
    return [
        cell(one_line(f"{line.label if content['commit'] else commit}{more}")),
        TableCell(line.day, line.time.timestamp(), number=True),
        TableCell(one_line(line.verdict), line.verdict, dot=_dot(line.verdict)),
        bounded_cell(dict(line.drop)),
        number_cell(content["limit"]),
        number_cell(content["ap"].get("crop")),
        number_cell(content["ap"].get("reference")),
        cell(content.get("images")),
        cell(one_line(content["detector"].get("name") or "-")),
        cell(one_line(content["plan"])),
        cell(f"line {line.number}"),
    ]


def _dot(verdict: str) -> str:
    return verdict if verdict in ("pass", "fail", "undecided", "error", "none") else "none"
