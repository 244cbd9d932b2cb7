"""Two results of pytest-cropdet side by side: what changed in verdicts, numbers, settings and data.

A result has bounds of its own numbers, and no match tables. So a change is distinguishable only where the bounds of
both do not overlap, which is careful: ``--cropdet-against`` and ``--cropdet-baseline`` pair the two models, and show
smaller changes.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_cropdet.comparison.result_form import check_result
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import bounds_text, digits, subtract
from pytest_cropdet.files import read_file
from pytest_cropdet.terms import Record, one_line

__all__ = ["ResultDiff", "diff_results", "read_result"]

_RESULT_SCHEMA = 1
_METRIC_KEYS = {"mAP": "ap", "AP50": "ap50", "AP75": "ap75"}
_LIMITS = ("max_drop", "by_category", "min_ratio", "min_crop_ap")  # which the verdicts have
_DATA = (("dataset", "data"), ("images", "images"), ("crops", "crops"), ("objects", "objects"))
_NOT_SHOWN = ("name", "fingerprint")  # of a detector, in a line of their own


@dataclass
class ResultDiff:
    """What changed from one result to another, in lines.

    ``worse``: in which gates more was lost than is allowed, or nobody can say. ``same``: gates where nothing changed.
    """

    lines: list[str] = field(default_factory=list)
    worse: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)


def read_result(path: Path) -> dict[str, Any]:
    """Return a result that ``--cropdet-json`` wrote; ``SpecError`` names a file that is none."""
    try:
        found = json.loads(read_file(path, "the result", SpecError))
        schema = found["schema"]
        if schema != _RESULT_SCHEMA:
            raise ValueError(f"its schema is {schema!r}, this version reads {_RESULT_SCHEMA}")
        check_result(found)
        for gate in found["gates"]:
            _ = gate[_METRIC_KEYS.get(gate["metric"], "ap")]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        shown = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise SpecError(
            f"{path} cannot be read as a result of pytest-cropdet: {shown}; --cropdet-json=FILE writes one"
        ) from error
    return dict(found)


def diff_results(
    before: Record, after: Record, max_worse: float | None = None, max_drop_worse: float | None = None
) -> ResultDiff:
    """Return what changed. ``max_worse``: by how much AP on crops may fall; ``max_drop_worse``: the drop may grow."""
    found, alone = ResultDiff(), list[str]()
    for name, old, new in _paired(before["gates"], after["gates"]):
        if old is None or new is None:
            alone.append(f"{one_line(name)}: only in the {'second' if old is None else 'first'} result")
            if new is None and (max_worse is not None or max_drop_worse is not None):
                found.worse.append(f"{one_line(name)} has no result")
            continue
        lines = [*_verdicts(old, new), *_numbers(old, new), *_made_of(old, new)]
        worse = [*_worse(old, new, max_worse, max_drop_worse)]
        found.worse += [f"{one_line(name)}: {text}" for text in worse]
        if lines:
            found.lines += [one_line(name), *(f"  {one_line(line)}" for line in lines), ""]
        else:
            found.same.append(one_line(name))
    found.lines += [*alone, *_checks(before.get("checks", ()), after.get("checks", ()))]
    found.lines += [*_benchmarks(before.get("benchmarks", ()), after.get("benchmarks", ()))]
    return found


def _paired(before: Sequence[Record], after: Sequence[Record]) -> Iterator[tuple[str, Record | None, Record | None]]:
    """Return the gates of both by name, and by their test too where a name is not unique; one gate each is a pair."""
    if len(before) == len(after) == 1:
        one, other = before[0]["name"], after[0]["name"]
        yield (one if one == other else f"{one} -> {other}"), before[0], after[0]
        return
    old, new = _by_name(before), _by_name(after)
    for name in dict.fromkeys([*old, *new]):
        yield name, old.get(name), new.get(name)


def _by_name(gates: Sequence[Record]) -> dict[str, Record]:
    names = [gate["name"] for gate in gates]
    found: dict[str, Record] = {}
    for gate in gates:
        name = gate["name"] if names.count(gate["name"]) == 1 else f"{gate['name']} ({gate.get('test')})"
        again = sum(each == name or each.startswith(f"{name}, run ") for each in found)  # of one test
        found[f"{name}, run {again + 1}" if again else name] = gate
    return found


def _verdicts(old: Record, new: Record) -> Iterator[str]:
    if old["verdict"] != new["verdict"]:
        yield f"verdict: {old['verdict']} -> {new['verdict']}"
    if old.get("test_error") != new.get("test_error"):
        yield f"the test failed for another reason: {old.get('test_error') or '-'} -> {new.get('test_error') or '-'}"
    limits = [{each["measure"]: each for each in gate["verdicts"]} for gate in (old, new)]
    for measure in dict.fromkeys([*limits[0], *limits[1]]):
        one, other = (each.get(measure, {}) for each in limits)
        if one.get("limit") != other.get("limit"):
            yield f"limit on {measure}: {_limit(one)} -> {_limit(other)}"
        elif one.get("outcome") != other.get("outcome") and len(limits[1]) > 1:
            yield f"limit on {measure}, {_limit(one)}: {one.get('outcome')} -> {other.get('outcome')}"


def _limit(verdict: Record) -> str:
    return "none" if verdict.get("limit") is None else digits(verdict["limit"])


def _numbers(old: Record, new: Record) -> Iterator[str]:
    metric = new["metric"]
    if old["metric"] != metric:
        yield f"metric: {old['metric']} -> {metric}; the numbers of one are not those of the other"
        return
    yield from _change("drop", old["drop"], new["drop"])
    key = _METRIC_KEYS.get(metric)
    if key is not None:
        yield from _change(f"{metric} on crops", _crop_ap(old, key), _crop_ap(new, key))
        yield from _change(f"{metric} on whole images", _bare(old, key), _bare(new, key))
    yield from _change("share of lost objects", _lost(old), _lost(new))
    categories = [{each["name"]: each for each in gate.get("categories", ())} for gate in (old, new)]
    for name, each in categories[0].items():
        if name in categories[1]:
            pair = [
                {"value": one["drop"], "low": one["low"], "high": one["high"]} for one in (each, categories[1][name])
            ]
            if _apart(*pair):
                yield from _change(f"drop of {name}", *pair)


def _crop_ap(gate: Record, key: str) -> Record:
    return {**gate.get("crop_ap", {"low": None, "high": None}), "value": gate[key]["crop"]}


def _bare(gate: Record, key: str) -> Record:
    return {"value": gate[key]["reference"], "low": None, "high": None}


def _lost(gate: Record) -> Record:
    found: Record = (gate.get("hidden") or {}).get("lost") or {}
    return {name: found.get(name) for name in ("value", "low", "high")}


def _change(name: str, old: Record, new: Record) -> Iterator[str]:
    """Return a number before and after, by how much it changed, and whether that is distinguishable."""
    if all(old[key] == new[key] for key in ("value", "low", "high")):
        return
    difference = subtract(new["value"], old["value"])
    text = f"{name}: {_bounded(old)} -> {_bounded(new)}"
    if difference is None:
        yield text
        return
    sign = "" if digits(difference).startswith(("-", "0.000")) else "+"
    text += f", {sign}{digits(difference)}"
    if None in (old["low"], old["high"], new["low"], new["high"]):
        yield text
    elif _apart(old, new):
        yield f"{text}: clearly {'larger' if difference > 0 else 'smaller'}"
    else:
        yield f"{text}: no clear difference, the bounds overlap"


def _apart(old: Record, new: Record) -> bool:
    if None in (old["low"], old["high"], new["low"], new["high"]):
        return False
    return bool(new["low"] > old["high"] or new["high"] < old["low"])


def _bounded(number: Record) -> str:
    return f"{digits(number['value'])}{bounds_text(number['low'], number['high'])}"


def _made_of(old: Record, new: Record) -> Iterator[str]:
    """Return what changed of model, data and settings."""
    one, other = old["detector"], new["detector"]
    if one.get("name") != other.get("name"):
        yield f"model: {one.get('name')} -> {other.get('name')}"
    elif one.get("fingerprint") != other.get("fingerprint"):
        yield f"model: {other.get('name')} has other contents"
    yield from _entries("model's", one, other, _NOT_SHOWN)
    for key, words in _DATA:
        if old.get(key) != new.get(key):
            yield f"{words}: {old.get(key)} -> {new.get(key)}"
    digests = old.get("data_digest"), new.get("data_digest")
    if None not in digests and digests[0] != digests[1] and old.get("plan") == new.get("plan"):
        yield "data: other images, objects or windows"
    for key in ("plan", "seed"):
        if old.get(key) != new.get(key):
            yield f"{'windows' if key == 'plan' else key}: {old.get(key)} -> {new.get(key)}"
    settings = [gate.get("settings") for gate in (old, new)]
    if settings[0] is not None and settings[1] is not None:
        yield from _entries("setting", settings[0], settings[1], (*_LIMITS, "crops", "seed", "metric"))
    elif old.get("max_detections") != new.get("max_detections"):
        yield f"setting max_detections: {old.get('max_detections')} -> {new.get('max_detections')}"


def _entries(what: str, old: Record, new: Record, left_out: Sequence[str]) -> Iterator[str]:
    for key in dict.fromkeys([*old, *new]):
        if key not in left_out and old.get(key) != new.get(key):
            yield f"{what} {key}: {_shown(old.get(key))} -> {_shown(new.get(key))}"


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)


def _worse(old: Record, new: Record, max_worse: float | None, max_drop_worse: float | None) -> Iterator[str]:
    if max_worse is None and max_drop_worse is None:
        return
    key = _METRIC_KEYS.get(new["metric"])
    if old["metric"] != new["metric"]:
        yield "two metrics cannot be compared"
        return
    if max_worse is not None and key is None:
        yield "without ground truth there is no AP on crops, which --max-worse limits; use --max-drop-worse"
    elif max_worse is not None and key is not None:
        yield from _beyond(f"{new['metric']} on crops fell by", subtract(old[key]["crop"], new[key]["crop"]), max_worse)
    if max_drop_worse is not None:
        grown = subtract(new["drop"]["value"], old["drop"]["value"])
        yield from _beyond("the drop grew by", grown, max_drop_worse)


def _beyond(what: str, change: float | None, allowed: float) -> Iterator[str]:
    if change is None:
        yield f"{what} an undefined amount"
    elif change > allowed:
        yield f"{what} {digits(change)}, allowed {digits(allowed)}"


def _checks(before: Sequence[Record], after: Sequence[Record]) -> Iterator[str]:
    old, new = ({each["name"]: each for each in checks} for checks in (before, after))
    for name in dict.fromkeys([*old, *new]):
        verdicts = [checks[name]["verdict"] if name in checks else "-" for checks in (old, new)]
        if verdicts[0] != verdicts[1]:
            yield one_line(f"check {name}: {verdicts[0]} -> {verdicts[1]}")


def _benchmarks(before: Sequence[Record], after: Sequence[Record]) -> Iterator[str]:
    old, new = ({each["name"]: each["benchmark"] for each in found} for found in (before, after))
    for name, each in old.items():
        if name in new:
            for key in ("mpc", "rpc"):
                yield from (one_line(f"benchmark {name}, {line}") for line in _change(key, each[key], new[name][key]))
        else:
            yield f"benchmark {one_line(name)}: only in the first result"
    yield from (f"benchmark {one_line(name)}: only in the second result" for name in new if name not in old)
