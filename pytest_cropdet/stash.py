"""What the plugin's parts keep in pytest's stash and on reports, by name."""

from typing import Any

import pytest

__all__ = ["BENCHMARK", "DRY_RUN", "RECORD", "current_item", "kept_runs", "session_token"]

RECORD = "cropdet.gate"  # the property that carries a run's whole record to the controller
BENCHMARK = "cropdet.benchmark"  # the one that carries a benchmark's record
DRY_RUN = "cropdet.dry_run"  # the one that carries the report of a dry run

current_item = pytest.StashKey[pytest.Item]()
kept_runs = pytest.StashKey[list[Any]]()
session_token = pytest.StashKey[str]()
