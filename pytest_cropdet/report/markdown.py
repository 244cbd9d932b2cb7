"""The results of a session as Markdown, and as annotations of GitHub."""

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_cropdet.bounded import bounds_text, digits
from pytest_cropdet.categories import Pairing
from pytest_cropdet.chain import PHRASES
from pytest_cropdet.report.checks import hints_of, said, why
from pytest_cropdet.report.html.page import Unfinished

__all__ = ["annotations", "summary"]

SIGNS = {"pass": "✅ pass", "fail": "❌ fail", "undecided": "❔ undecided"}


def summary(
    records: Sequence[Mapping[str, Any]],
    unfinished: Sequence[Unfinished] = (),
    checks: Sequence[Mapping[str, Any]] = (),
    benchmarks: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return a table of the gates, failures first, the steps of those that did not pass, checks that fail,
    what benchmarks come to, and what has no result.
    """
    order = {"fail": 0, "undecided": 1}
    told = sorted(records, key=lambda record: order.get(record["verdict"], 2))
    lines = ["## Crop robustness", ""]
    if told:
        lines += [
            "| verdict | gate | drop | allowed | whole → crop | crops | objects |",
            "|---|---|--:|--:|--:|--:|--:|",
        ]
        lines += [_row(record) for record in told]
    for record in told:
        if record["verdict"] != "pass" and record.get("steps"):
            steps = ", ".join(f"{PHRASES[step['name']]} {_step(step)}" for step in record["steps"])
            lines += ["", f"**{_plain(record['name'])}**: {steps}"]
    odd = [each["text"] for record in (*told, *checks, *benchmarks) for each in record.get("data_warnings") or ()]
    if odd:
        lines += ["", "Data:", "", *(f"- ⚠️ {_plain(text)}" for text in dict.fromkeys(odd))]
    found = [Pairing.from_dict(record["pairing"]) for record in told if record.get("pairing")]
    by_id = dict.fromkeys(pairing.text for pairing in found if pairing.by == "id")
    lines += [line for text in by_id for line in ("", f"{_plain(text[0].upper() + text[1:])}.")]
    if checks:
        words = said(checks)
        failed = [check for check in checks if check["verdict"] == "fail"]
        lines += ["", f"{words[0].upper()}{words[1:]}{':' if failed else '.'}", ""]
        lines += [f"- ❌ **{_plain(check['name'])}**: {_plain(why(check))}" for check in failed]
        lines += [f"- **{_plain(name)}**, hint: {_plain(hint)}" for name, hint in hints_of(checks)]
    for record in benchmarks:
        found = record["benchmark"]
        means = ", ".join(f"{each['family']} {_number(each['drop']['value'])}" for each in found["families"])
        ends = f"mPC {_with_bounds(found['mpc'])}, rPC {_with_bounds(found['rpc'])}"
        lines += ["", f"**{_plain(record['name'])}**: {ends}; lost by family: {means}"]
    if unfinished:
        lines += ["", "Without a result:", "", *(f"- {_plain(each.test)}: {_plain(each.why)}" for each in unfinished)]
    return "\n".join(lines) + "\n\n"


def annotations(records: Sequence[Mapping[str, Any]], checks: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """Return a line for each gate that did not pass and each check that fails, as a workflow command of GitHub.

    It is an error where it stops the build, else a warning.
    """
    found = []
    for record in records:
        if record["verdict"] == "pass":
            continue
        told = [verdict["text"] for verdict in record["verdicts"] if verdict["outcome"] != "pass"]
        stops = any(not verdict["passes"] for verdict in record["verdicts"])
        title = _escaped(f"crop robustness: {record['name']}", more=True)
        level = "error" if stops else "warning"
        found.append(f"::{level} title={title}::{_escaped(chr(10).join(told) or record['verdict'])}")
    for check in checks:
        if check["verdict"] == "fail":
            title = _escaped(f"crop robustness: {check['name']}", more=True)
            found.append(f"::error title={title}::{_escaped(why(check))}")
    return found


def _row(record: Mapping[str, Any]) -> str:
    change = "-"
    if record["metric"] != "lost":
        values = record[{"mAP": "ap", "AP50": "ap50", "AP75": "ap75"}[record["metric"]]]
        change = f"{_number(values['reference'])} → {_number(values['crop'])}"
    cells = [
        SIGNS[record["verdict"]],
        _plain(record["name"]),
        _with_bounds(record["drop"]),
        "-" if record["limit"] is None else _number(record["limit"]),
        change,
        f"{record['crops']} of {record['images']} images",
        str(record["objects"]),
    ]
    return f"| {' | '.join(cells)} |"


def _step(step: Mapping[str, Any]) -> str:
    return _number(step["value"]) if step["distinguishable"] else "not distinguishable"


def _with_bounds(each: Mapping[str, Any]) -> str:
    return f"{_number(each['value'])}{bounds_text(each['low'], each['high'])}"


def _number(value: float | None) -> str:
    return digits(value)


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, in one line."""
    one = " ".join(text.split())
    one = one.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()#|~!" else letter for letter in one)


def _escaped(text: str, more: bool = False) -> str:
    pairs = [("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), *([(":", "%3A"), (",", "%2C")] if more else ())]
    for letter, code in pairs:
        text = text.replace(letter, code)
    return text
