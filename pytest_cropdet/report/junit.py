"""The results of a test's runs as properties that travel with its report: built-in values only."""

import json

from pytest_cropdet.escapes import one_line
from pytest_cropdet.gate.limits import once
from pytest_cropdet.report.records import record
from pytest_cropdet.report.limit_rows import line
from pytest_cropdet.gate.results import Run
from pytest_cropdet.plugin.stash import RECORD, Value

__all__ = ["properties"]


def properties(run: Run, test: str, place: int, trouble: str | None = None) -> list[tuple[str, Value]]:
    """Return flat ``cropdet.*`` properties of a run, and its whole record as one string for the controller.

    ``test`` and ``place``: the node id of the test that made the run, and which of its runs it is, from 0.
    ``trouble``: why that test failed, where no gate was the reason.
    """
    told = record(run)
    if trouble is not None:
        told |= {"verdict": told["verdict"] if told["verdict"] in ("fail", "undecided") else "error"}
        told |= {"test_error": trouble}
    whole = json.dumps([place, {**told, "test": test}], allow_nan=False)
    limits: dict[str, list[str]] = {}
    for each in once(told["verdicts"]):
        limits.setdefault(f"limit.{each['measure']}", []).append(one_line(f"{each['outcome']}: {line(each)}"))
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
