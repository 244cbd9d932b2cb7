"""The runs that a session has made: which test made each, what was told of it, and the file of all results."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_cropdet import reporting
from pytest_cropdet.configured import setting
from pytest_cropdet.report.json import write_json
from pytest_cropdet.report.properties import properties
from pytest_cropdet.results import Run
from pytest_cropdet.stash import kept_runs

__all__ = ["Kept", "forget", "told_by", "write_results"]


@dataclass(slots=True, eq=False)
class Kept:
    """A run, the test that made it, its place among that test's runs, and how many of its verdicts were reported."""

    run: Run
    test: str
    place: int
    reported: int = -1


runs_of_item = pytest.StashKey[list[Kept]]()


def forget(config: pytest.Config, item: pytest.Item) -> None:
    """Drop the runs of an earlier try of the same test."""
    kept = config.stash.get(kept_runs, [])
    kept[:] = [each for each in kept if each.test != item.nodeid]
    item.stash[runs_of_item] = []


def told_by(config: pytest.Config, item: pytest.Item) -> list[tuple[str, str | float | int | bool]]:
    """Return the properties of the runs that a test made, or judged after another test had made them."""
    told = item.stash.setdefault(runs_of_item, [])
    for each in config.stash.get(kept_runs, []):
        if each.test == item.nodeid or each.reported != len(each.run.verdicts):
            each.reported = len(each.run.verdicts)
            reporting.leave(config, each.run, each.test, each.place)
            if each not in told:
                told.append(each)
    return [pair for each in told for pair in properties(each.run, each.test, each.place)]


def write_results(config: pytest.Config, records: list[dict[str, Any]], benchmarks: list[dict[str, Any]]) -> str | None:
    """Write the JSON if it was asked for; return what to tell the user if its place cannot be written."""
    target = setting(config, "json")
    if target is None:
        return None
    try:
        write_json(Path(target), records, benchmarks)
    except OSError as error:
        return f"--cropdet-json {target} could not be written: {error}"
    return None
