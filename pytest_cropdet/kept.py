"""What a session has measured: which test made each run, what travels with its report, and the file of all results."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_cropdet import reporting
from pytest_cropdet.configured import setting
from pytest_cropdet.drawn import plan_name
from pytest_cropdet.errors import SpecError
from pytest_cropdet.report.checks import in_order
from pytest_cropdet.report.json import write_json
from pytest_cropdet.report.properties import properties
from pytest_cropdet.results import Run
from pytest_cropdet.stash import TROUBLE, Taken, Value, kept_runs

__all__ = ["Kept", "forget", "leave", "told_by", "unread_plan", "write_results"]


@dataclass(slots=True, eq=False)
class Kept:
    """A run, the test that made it, its place among that test's runs, and how many of its verdicts were reported."""

    run: Run
    test: str
    place: int
    reported: int = -1


runs_of_item = pytest.StashKey[list[Kept]]()


def forget(config: pytest.Config, item: pytest.Item) -> None:
    """Drop what an earlier try of the same test left: its runs, and all properties of ours."""
    kept = config.stash.get(kept_runs, [])
    kept[:] = [each for each in kept if each.test != item.nodeid]
    item.stash[runs_of_item] = []
    item.user_properties[:] = [pair for pair in item.user_properties if not pair[0].startswith("cropdet.")]


def leave(item: pytest.Item, kind: str, record: Mapping[str, Any], flat: Mapping[str, Value]) -> None:
    """Let a record of a ``kind`` travel with the report of its test, and flat properties for JUnit beside it."""
    place = sum(name == kind for name, _ in item.user_properties)
    whole = json.dumps([place, {**record, "test": item.nodeid}], allow_nan=False)
    item.user_properties[:] = [
        *(pair for pair in item.user_properties if pair[0] not in flat),
        (kind, whole),
        *flat.items(),
    ]


def told_by(config: pytest.Config, item: pytest.Item) -> list[tuple[str, Value]]:
    """Return the properties of the runs that a test made, or judged after another test had made them."""
    told, trouble = item.stash.setdefault(runs_of_item, []), []
    for each in config.stash.get(kept_runs, []):
        if each.test == item.nodeid or each.reported != len(each.run.verdicts):
            each.reported = len(each.run.verdicts)
            trouble += reporting.leave(config, each.run, each.test, each.place)
            if each not in told:
                told.append(each)
    return [
        *(pair for each in told for pair in properties(each.run, each.test, each.place)),
        *((TROUBLE, json.dumps(text)) for text in trouble),
    ]


def unread_plan(config: pytest.Config, taken: Taken) -> str | None:
    """Return what to tell the user if ``--cropdet-plan`` names a file that is of none of the gates."""
    given = setting(config, "plan")
    if given is None or not taken.gates:
        return None
    try:
        name = plan_name(Path(given))
    except SpecError as error:
        return str(error)
    if any(str(gate["plan"]).startswith(f"drawn:name={name},") for gate in taken.gates.values()):
        return None
    return f"--cropdet-plan={given} was read by no gate: none has windows of a strategy called {name!r}"


def write_results(config: pytest.Config, taken: Taken) -> str | None:
    """Write the JSON if it was asked for; return what to tell the user if its place cannot be written."""
    target = setting(config, "json")
    if target is None:
        return None
    try:
        checks = in_order(taken.checks.values())
        write_json(Path(target), [*taken.gates.values()], [*taken.benchmarks.values()], checks)
    except OSError as error:
        return f"--cropdet-json {target} could not be written: {error}"
    return None
