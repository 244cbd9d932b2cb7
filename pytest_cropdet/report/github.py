"""The results of a session as Markdown, and as annotations of GitHub."""

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_cropdet.data import Pairing
from pytest_cropdet.evaluation import bounds_text, digits
from pytest_cropdet.gate import one_per_limit
from pytest_cropdet.report.against_lines import against_lines
from pytest_cropdet.report.check_texts import check_text, checks_text, hints_of
from pytest_cropdet.report.limit_rows import WHOLE_TO_CROP, LimitRow, limit_line, limit_rows, named_apart, note
from pytest_cropdet.report.ranking_lines import ranking_intro, ranking_rows
from pytest_cropdet.report.records import MissingResult
from pytest_cropdet.report.sliced_texts import only_sliced, without_sliced
from pytest_cropdet.terms import PHRASES, one_line, visible

__all__ = ["annotations", "github_summary"]

SIGNS = {
    "pass": "✅ pass",
    "fail": "❌ fail",
    "error": "⚠️ test failed",
    "undecided": "❔ undecided",
    "none": "⚪ not judged",
}


def github_summary(
    records: Sequence[Mapping[str, Any]],
    unfinished: Sequence[MissingResult] = (),
    checks: Sequence[Mapping[str, Any]] = (),
    benchmarks: Sequence[Mapping[str, Any]] = (),
    rankings: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return a table of the gates with a row for each limit, failures first, the steps of those that did not pass,
    checks that fail, rankings of models, what benchmarks come to, and what has no result.
    """
    order = {"fail": 0, "error": 1, "undecided": 2, "none": 3}
    told = sorted(named_apart(records), key=lambda record: order.get(record["verdict"], 4))
    lines = ["## Crop robustness", ""]
    if told:
        only_drops = all(row.is_drop for record in told for row in limit_rows(record))
        value, limit = ("drop", "allowed") if only_drops else ("value", "limit")
        lines += [
            f"| verdict | gate | {value} | {limit} | whole → crop | crops | objects |",
            "|---|---|--:|--:|--:|--:|--:|",
        ]
        lines += [_row(record, row) for record in told for row in limit_rows(record)]
    for record in told:
        for text in against_lines(record):
            lines += ["", f"**{_plain(record['name'])}**: {_plain(text)}"]
        remarks = [f"{row.measure}: {row.why}" for row in limit_rows(record) if row.why and row.verdict != "pass"]
        for remark in filter(None, [*remarks, note(record)]):
            lines += ["", f"**{_plain(record['name'])}**: {_plain(remark)}"]
        if record["verdict"] != "pass" and record.get("steps"):
            steps = ", ".join(f"{PHRASES[step['name']]} {_step(step)}" for step in record["steps"])
            lines += ["", f"**{_plain(record['name'])}**: {steps}"]
    odd = [each["text"] for record in (*told, *checks, *benchmarks) for each in record.get("data_warnings") or ()]
    if odd:
        lines += ["", "Data:", "", *(f"- ⚠️ {_plain(text)}" for text in dict.fromkeys(odd))]
    found = [Pairing.from_dict(record["pairing"]) for record in told if record.get("pairing")]
    texts = dict.fromkeys(pairing.text for pairing in found if pairing.by == "id" or pairing.notes)
    lines += [line for text in texts for line in ("", f"{_plain(text[0].upper() + text[1:])}.")]
    for each in only_sliced(checks):
        lines += ["", f"{SIGNS[each['verdict']]} **{_plain(each['name'])}**: {_plain(each['text'])}"]
    checks = without_sliced(checks)
    if checks:
        words = checks_text(checks)
        failed = [check for check in checks if check["verdict"] == "fail"]
        lines += ["", f"{words[0].upper()}{words[1:]}{':' if failed else '.'}", ""]
        lines += [f"- ❌ **{_plain(check['name'])}**: {_plain(check_text(check))}" for check in failed]
        lines += [f"- **{_plain(name)}**, hint: {_plain(hint)}" for name, hint in hints_of(checks)]
    lines += [line for ranking in rankings for line in _ranking(ranking)]
    for record in benchmarks:
        found = record["benchmark"]
        means = ", ".join(f"{each['family']} {digits(each['drop']['value'])}" for each in found["families"])
        ends = f"mPC {_with_bounds(found['mpc'])}, rPC {_with_bounds(found['rpc'])}"
        lines += ["", f"**{_plain(record['name'])}**: {ends}; lost by family: {means}"]
    if unfinished:
        lines += ["", "Without a result:", "", *(f"- {_plain(each.test)}: {_plain(each.why)}" for each in unfinished)]
    return "\n".join(lines) + "\n\n"


def annotations(records: Sequence[Mapping[str, Any]], checks: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """Return a line for each gate that did not pass and each check that fails, as a workflow command of GitHub.

    It is an error where it stops the build, else a warning. What was not judged is neither.
    """
    found = []
    for record in records:
        if record["verdict"] in ("pass", "none"):
            continue
        told = [limit_line(verdict) for verdict in one_per_limit(record["verdicts"]) if verdict["outcome"] != "pass"]
        told += [] if note(record) is None else [str(note(record))]
        stops = record["verdict"] == "error" or any(not verdict["passes"] for verdict in record["verdicts"])
        title = _escaped(f"crop robustness: {record['name']}", more=True)
        level = "error" if stops else "warning"
        found.append(f"::{level} title={title}::{_escaped(chr(10).join(told) or record['verdict'])}")
    for check in checks:
        if check["verdict"] in ("fail", "undecided"):
            level = "warning" if check.get("passes") else "error"
            title = _escaped(f"crop robustness: {check['name']}", more=True)
            found.append(f"::{level} title={title}::{_escaped(check_text(check))}")
    return found


def _row(record: Mapping[str, Any], row: LimitRow) -> str:
    change = "-" if record["metric"] == "lost" else f"{digits(row.before)} → {digits(row.after)}"
    change += "" if row.change == WHOLE_TO_CROP else " (old → new)"
    cells = [
        SIGNS[row.verdict],
        _plain(row.name),
        _with_bounds({"value": row.value, "low": row.low, "high": row.high}),
        "-" if row.limit is None else digits(row.limit),
        change,
        f"{record['crops']} of {row.images} images",
        str(row.objects),
    ]
    return f"| {' | '.join(cells)} |"


def _ranking(ranking: Mapping[str, Any]) -> list[str]:
    """Return a table of the models of a ranking, and what it says."""
    lines = ["", f"**Ranking, {_plain(ranking['name'])}**: {_plain(ranking_intro(ranking))}.", ""]
    lines += ["| rank | model | on crops | whole image | drop |", "|--:|---|--:|--:|--:|"]
    rows = ranking_rows(ranking)
    lines += [f"| {' | '.join((rank, _plain(name), *numbers))} |" for rank, name, *numbers in rows]
    return [*lines, *(f"\nLeft out: {_plain(each['name'])}: {_plain(each['why'])}" for each in ranking["left_out"])]


def _step(step: Mapping[str, Any]) -> str:
    return digits(step["value"]) if step["distinguishable"] else "no clear effect"


def _with_bounds(each: Mapping[str, Any]) -> str:
    return f"{digits(each['value'])}{bounds_text(each['low'], each['high'])}"


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, in one line."""
    one = one_line(" ".join(text.split()))
    one = one.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()#|~!" else letter for letter in one)


def _escaped(text: str, more: bool = False) -> str:
    text = visible(text)
    pairs = [("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), *([(":", "%3A"), (",", "%2C")] if more else ())]
    for letter, code in pairs:
        text = text.replace(letter, code)
    return text
