"""The section that pytest's summary ends with: a line for each gate."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

__all__ = ["lines", "summary"]

_COLOURS = {"pass": {"green": True}, "fail": {"red": True}, "undecided": {"yellow": True}}


def summary(reporter: pytest.TerminalReporter, records: Sequence[Mapping[str, Any]]) -> None:
    """Write the section; with ``-q`` nothing."""
    if reporter.verbosity < 0:
        return
    reporter.section("crop robustness")
    for gate, text in zip(records, lines(records), strict=True):
        reporter.write_line(text, **_COLOURS[str(gate["verdict"])])


def lines(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line a gate: verdict, name, drop and limit, AP of both sides, what it rests on."""
    width = max((len(str(gate["name"])) for gate in records), default=0)
    return [_line(gate, width) for gate in records]


def _line(gate: Mapping[str, Any], width: int) -> str:
    metric, rests_on = gate["metric"], f"{gate['crops']} crops of {gate['images']} images, {gate['objects']} objects"
    limit = "" if gate["limit"] is None else f" (allowed {gate['limit']:.3f})"
    value = f"{_number(gate['drop']['value'])}{_bounds(gate['drop'])}{limit}"
    begin = f"{gate['verdict']:<9} {gate['name']:<{width}}  "
    if metric == "lost":
        return f"{begin}lost {value} of what the whole images show  {rests_on}"
    values = gate[{"mAP": "ap", "AP50": "ap50", "AP75": "ap75"}[metric]]
    change = f"{metric} {_number(values['reference'])} -> {_number(values['crop'])}"
    return f"{begin}drop {value}  {change}  {rests_on}"


def _bounds(drop: Mapping[str, Any]) -> str:
    return "" if drop["low"] is None or drop["high"] is None else f" [{drop['low']:.3f}, {drop['high']:.3f}]"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
