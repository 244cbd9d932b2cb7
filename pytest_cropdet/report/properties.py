"""The results of a test's runs as properties that travel with its report: built-in values only."""

import json

from pytest_cropdet.report.json import record
from pytest_cropdet.results import Run
from pytest_cropdet.stash import RECORD

__all__ = ["properties"]


def properties(run: Run, test: str, place: int) -> list[tuple[str, str | float | int | bool]]:
    """Return flat ``cropdet.*`` properties of a run, and its whole record as one string for the controller.

    ``test`` and ``place``: the node id of the test that made the run, and which of its runs it is, from 0.
    """
    whole = json.dumps([place, {**record(run), "test": test}], allow_nan=False)
    found: list[tuple[str, str | float | int | bool]] = [(RECORD, whole)]
    found.append((f"cropdet.{run.name}.verdict", run.verdict))
    if run.drop.value is not None:
        found.append((f"cropdet.{run.name}.drop", float(run.drop.value)))
    return found
