"""The baseline of a session: which record a gate is compared with, what a gate leaves for it, and the file at the end.

Only the controller writes the file, whole, after all gates: workers leave what it needs beside their reports.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_cropdet.comparison import baseline_entry, read_baseline, record_of_entry, write_baseline
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import digits
from pytest_cropdet.gate import Run, hash_of_file, match_record
from pytest_cropdet.plugin.configuration import choices, setting
from pytest_cropdet.plugin.resources import cache_of
from pytest_cropdet.terms import one_line

__all__ = ["entry_of", "is_updated", "stored_record", "update_baseline"]


def is_updated(config: pytest.Config) -> bool:
    """Whether the session writes the baseline, so that nothing is judged by it."""
    return bool(setting(config, "update_baseline"))


def stored_record(config: pytest.Config, item: pytest.Item | None, gate: str) -> tuple[Any, str]:
    """Return the baseline's record of a gate and what messages call it; ``None`` and "" where there is no baseline.

    ``SpecError`` if the file, or the gate in it, is not there; an update goes on without.
    """
    given = setting(config, "baseline", item)
    if given is None:
        if is_updated(config):
            raise SpecError("--cropdet-update-baseline needs the file to write: --cropdet-baseline=FILE")
        return None, ""
    path, updated = Path(given), is_updated(config)
    looks = setting(config, "looks", item)
    if updated and looks != "off":
        raise SpecError(f"a baseline contains all images, but looks={looks} may stop before; remove --cropdet-looks")
    if choices(config, "against", item):
        if updated:
            return None, ""  # what changed is said of the old model's file
        raise SpecError("--cropdet-against and --cropdet-baseline are two old models; remove one")
    if not path.exists():
        if updated:
            return None, ""
        raise SpecError(f"there is no baseline {path}; write it with the old model: --cropdet-update-baseline")
    try:
        entries = read_baseline(path)
        if gate not in entries:
            names = ", ".join(map(one_line, entries)) or "none"
            raise SpecError(
                f"{path} has no gate {one_line(gate)!r}; it has {names}. Write it with the old model: "
                "--cropdet-update-baseline"
            )
        return record_of_entry(path, gate, entries[gate]), f"the baseline {path.name}"
    except SpecError:
        if updated:
            return None, ""  # it is written anew
        raise


def entry_of(config: pytest.Config, run: Run) -> dict[str, Any] | None:
    """Return what the baseline holds of a run, ``None`` where it is not written."""
    if not is_updated(config) or run.agreement:
        return None
    cache = cache_of(config)
    return baseline_entry(match_record(run, hash_of_file if cache is None else cache.file_hash))


def update_baseline(config: pytest.Config, left: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write what the gates left to the baseline, where gates without a result keep theirs; return what to say of it."""
    if not is_updated(config) or setting(config, "baseline") is None:
        return []
    path = Path(setting(config, "baseline"))
    new = {each["gate"]: each["baseline"] for each in left if each.get("baseline")}
    if not new:
        return [f"the baseline {path} was not written: no gate gave a result"]
    try:
        old = read_baseline(path) if path.exists() else {}
        lost = ""
    except SpecError as error:
        old, lost = {}, f"; what was there could not be read: {error}"
    try:
        write_baseline(path, {**old, **new})
    except OSError as error:
        return [f"the baseline {path} could not be written: {error}"]
    kept = [name for name in old if name not in new]
    more = f"; unchanged: {', '.join(map(one_line, kept))}" if kept else ""
    return [f"baseline {path} written{more}{lost}", *(_change(name, each, old.get(name)) for name, each in new.items())]


def _change(gate: str, new: Mapping[str, Any], old: Mapping[str, Any] | None) -> str:
    """Return what changed of a gate in the baseline, in a line."""
    now = new["numbers"]
    parts = []
    for name, value in (("crop", now["crop"]), ("whole", now["whole"]), ("drop", now["drop"]["value"])):
        before = None if old is None else old["numbers"].get(name)
        before = before.get("value") if isinstance(before, Mapping) else before
        parts.append(f"{name} {digits(value)}" if old is None else f"{name} {digits(before)} -> {digits(value)}")
    told = f"  {one_line(gate)}: {now['metric']} {', '.join(parts)}"
    if old is None:
        return f"{told} (new)"
    changed = [
        f"{name}: {one_line(old.get(name))} -> {one_line(new[name])}"
        for name in ("plan", "seed", "dataset")
        if old.get(name) != new[name]
    ]
    if len(old["images"]) != len(new["images"]) or old["images"] != new["images"]:
        changed.append(f"images: {len(old['images'])} -> {len(new['images'])}")
    models = [each["detector"].get("fingerprint") or each["detector"]["name"] for each in (old, new)]
    changed.append("the same model" if models[0] == models[1] else f"model: {one_line(new['detector']['name'])}")
    return f"{told}; {'; '.join(changed)}"
