"""Several models in one session: what each run leaves for their ranking, and the rankings at the end.

Runs are of one ranking where they differ in the model alone: made by one test for one gate on one data set. What a
run leaves, its replicates and a hash of what it was measured on, travels with the report of its test.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from pytest_cropdet.comparison import RankedRun, rank_models
from pytest_cropdet.errors import SpecError
from pytest_cropdet.gate import Run, ranked_run
from pytest_cropdet.plugin.configuration import Chosen, choices

__all__ = ["ranking_text", "rankings_of"]


def ranking_text(config: pytest.Config, item: pytest.Item, run: Run, place: int) -> str | None:
    """Return what a run leaves for a ranking, ``None`` where there is one model, or no ground truth."""
    callspec = getattr(item, "callspec", None)
    chosen = None if callspec is None else callspec.params.get("cropdet_detector")
    if callspec is None or not isinstance(chosen, Chosen) or run.agreement:
        return None
    try:
        models = len(choices(config, "model", item))
    except SpecError:  # a wrong marker, which the test's set-up names
        return None
    if models < 2:
        return None
    name = run.name.removeprefix(f"{chosen.name}-")
    group = [item.nodeid.partition("[")[0], _without(callspec.id, chosen.name), name, place]
    entry = ranked_run(run, chosen.name, models, run.name, item.nodeid).to_dict()
    return json.dumps([place, {"test": item.nodeid, "group": group, "name": name, "run": entry}], allow_nan=False)


def _without(name: str, part: str) -> str:
    """Return a test's id without one of its parts.

    >>> _without("tiny-coco-tile", "tiny"), _without("coco-ssd-tiny", "ssd-tiny"), _without("tiny", "tiny")
    ('coco-tile', 'coco', '')
    """
    inside = f"-{name}-".replace(f"-{part}-", "-", 1)
    return inside.strip("-")


def rankings_of(left: Mapping[tuple[str, int], Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a ranking for each group of runs of several models, by name."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for each in left.values():
        groups.setdefault(json.dumps(each["group"]), []).append(each)
    found = []
    for members in groups.values():
        if len(members) > 1:
            runs = sorted((RankedRun.from_dict(each["run"]) for each in members), key=lambda run: run.model)
            found.append(rank_models(members[0]["name"], runs))
    return sorted(found, key=lambda each: (each["name"], each["models"][0]["test"] if each["models"] else ""))
