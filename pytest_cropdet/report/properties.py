"""The results of a test's runs as properties that travel with its report: built-in values only."""

import json
from collections.abc import Sequence

from pytest_cropdet.plugin import RECORD
from pytest_cropdet.report.json import record
from pytest_cropdet.results import Run

__all__ = ["properties"]


def properties(runs: Sequence[Run], node_id: str) -> list[tuple[str, str | float | int | bool]]:
    """Return flat ``cropdet.*`` properties of each run, and its whole record as one string for the controller."""
    found: list[tuple[str, str | float | int | bool]] = []
    for run in runs:
        whole = {**record(run), "test": node_id}
        found.append((RECORD, json.dumps(whole, allow_nan=False)))
        found.append((f"cropdet.{run.name}.verdict", run.verdict))
        if run.drop.value is not None:
            found.append((f"cropdet.{run.name}.drop", float(run.drop.value)))
    return found
