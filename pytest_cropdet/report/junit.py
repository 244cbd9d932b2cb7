"""The results of a test's runs as properties that travel with its report: built-in values only."""

import json
from collections.abc import Mapping
from typing import Any

from pytest_cropdet.gate import Run, one_per_limit, run_record
from pytest_cropdet.report.limit_rows import limit_line
from pytest_cropdet.terms import RECORD, Value, one_line

__all__ = ["benchmark_properties", "check_properties", "run_properties"]


def run_properties(run: Run, test: str, place: int, trouble: str | None = None) -> list[tuple[str, Value]]:
    """Return flat ``cropdet.*`` properties of a run, and its whole record as one string for the controller.

    ``test`` and ``place``: the node id of the test that made the run, and which of its runs it is, from 0.
    ``trouble``: why that test failed, where no gate was the reason.
    """
    told = run_record(run)
    if trouble is not None:
        told |= {"verdict": told["verdict"] if told["verdict"] in ("fail", "undecided") else "error"}
        told |= {"test_error": trouble}
    whole = json.dumps([place, {**told, "test": test}], allow_nan=False)
    limits: dict[str, list[str]] = {}
    for each in one_per_limit(told["verdicts"]):
        limits.setdefault(f"limit.{each['measure']}", []).append(
            one_line(f"{each['outcome']}: {_bare(limit_line(each))}")
        )
    flat = {
        "verdict": told["verdict"],
        "drop": told["drop"]["value"],
        "drop.low": told["drop"]["low"],
        "drop.high": told["drop"]["high"],
        "limit": told["limit"],
        **{key: "; ".join(lines) for key, lines in limits.items()},
        **{f"step.{step['name']}": step["value"] for step in told["steps"] or ()},
    }
    built_in = {
        key: value if isinstance(value, str) else float(value) for key, value in flat.items() if value is not None
    }
    return [(RECORD, whole), *((one_line(f"cropdet.{run.name}.{key}"), value) for key, value in built_in.items())]


def _bare(line: str) -> str:
    """Return a limit's line without the verdict that it begins with."""
    return line.partition(" ")[2] if line.startswith(("PASS ", "FAIL ", "UNDECIDED ")) else line


def benchmark_properties(record: Mapping[str, Any]) -> dict[str, Value]:
    """Return mPC and rPC of a benchmark, flat, by their names in JUnit."""
    numbers = {name: record["benchmark"][name]["value"] for name in ("mpc", "rpc")}
    return {one_line(f"cropdet.{record['name']}.{name}"): value for name, value in numbers.items() if value is not None}


FLAT = (
    "verdict",
    "value",
    "low",
    "high",
    "limit",
    "allowed",
    "score_whole",
    "score_crop",
    "visibility",
    "images",
    "windows",
    "calls",
)


def check_properties(record: Mapping[str, Any]) -> dict[str, Value]:
    """Return the numbers and the verdict of a check, flat, by their names in JUnit."""
    told = {**(record.get("worst") or {}), **record}
    flat = {key: told.get(key) for key in FLAT}
    return {one_line(f"cropdet.{record['name']}.{key}"): each for key, each in flat.items() if each is not None}
