"""What the plugin's parts keep in pytest's stash and on reports, by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

__all__ = ["Findings", "current_item", "failed_by", "fixtures_in_setup", "kept_runs", "session_token", "setting_up"]


current_item = pytest.StashKey[pytest.Item]()
kept_runs = pytest.StashKey[list[Any]]()
fixtures_in_setup = pytest.StashKey[list[Any]]()
failed_by = pytest.StashKey[AssertionError]()  # of a test: the broken limits that failed it at its end
session_token = pytest.StashKey[str]()


@contextmanager
def setting_up(config: pytest.Config, fixture: pytest.FixtureDef[Any]) -> Iterator[None]:
    """Note which fixture makes a run: what one of a wider scope than a test compares counts for all of its tests."""
    making = config.stash.setdefault(fixtures_in_setup, [])
    making.append(fixture)
    try:
        yield
    finally:
        making.pop()
        for each in config.stash.get(kept_runs, []):
            if each.fixture is fixture and not each.over:
                each.at_setup = len(each.run.verdicts)


Records = dict[tuple[str, int], dict[str, Any]]


@dataclass(slots=True)
class Findings:
    """What the controller learns from reports: records by test and place in it, and how far each test came.

    ``planned``: tests that use the fixture ``cropdet``; ``begun``: tests that started; ``ended``: by test why it gave
    no result, ``None`` for one that has nothing to say for itself. ``ranked``: what rankings of several models need of
    gates; ``rankings``: what came of it.
    """

    gates: Records = field(default_factory=dict)
    benchmarks: Records = field(default_factory=dict)
    checks: Records = field(default_factory=dict)
    ranked: Records = field(default_factory=dict)
    rankings: list[dict[str, Any]] = field(default_factory=list)
    planned: list[str] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)
    ended: dict[str, str | None] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.gates or self.benchmarks or self.checks)
