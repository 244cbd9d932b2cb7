"""The file of a baseline: what later models are compared with, without the model that made it.

JSON: at its head the numbers of each gate for people, below them what pairing needs, as ``docs/baseline.md`` describes.
Reading checks everything that later code relies on, so that a damaged file is a sentence and never a wrong number.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pytest_cropdet.comparison.array_text import array_from_text, array_to_text
from pytest_cropdet.comparison.match_record import MatchRecord
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import ALL_AREAS, COCO_THRESHOLDS, SIDES, Matches
from pytest_cropdet.files import read_file, write_whole
from pytest_cropdet.geometry import Ints
from pytest_cropdet.terms import encodable

__all__ = ["BASELINE_SCHEMA", "baseline_entry", "read_baseline", "record_of_entry", "write_baseline"]

BASELINE_SCHEMA = 1
WHAT = "a baseline of pytest-cropdet: what later models are compared with (--cropdet-baseline); not written by hand"
_FIELDS = ("dataset", "rules", "plan", "seed", "score", "capped", "numbers")


def baseline_entry(record: MatchRecord) -> dict[str, Any]:
    """Return a record as built-in values, ready for JSON."""
    crop = record.matches["crop"]
    tables: dict[str, Any] = {
        "unit": array_to_text(record.unit),
        "truth_image": array_to_text(crop.truth_image),
        "truth_category": array_to_text(crop.truth_category + 1),
        "scored": array_to_text(crop.scored[crop.area_index("all")]),
        "counted": array_to_text(record.counted),
    }
    for side in SIDES:
        table = record.matches[side]
        own = table.area_index("all")
        tables[side] = {
            "starts": array_to_text(table.starts),
            "image": array_to_text(table.image),
            "outside": array_to_text(table.outside[own]),
            "contenders": array_to_text(table.contenders),
            "matched": array_to_text(table.matched[own].T + 1),  # of one detection beside one another: mostly alike
            "found": array_to_text(record.found[side]),
        }
    return {
        "numbers": dict(record.numbers),
        "detector": _portable(record.detector),
        "dataset": _short(record.dataset),
        "plan": record.plan,
        "seed": record.seed,
        "score": record.score,
        "capped": dict(record.capped),
        "spread": "unknown" if record.spread is not None and math.isinf(record.spread) else record.spread,
        "rules": dict(record.rules),
        "categories": {str(key): name for key, name in record.names.items()},
        "chosen": list(record.chosen),
        "kept": list(record.kept),
        "images": [list(row) for row in zip(record.images, *zip(*record.digests, strict=True), strict=True)],
        "tables": tables,
    }


def _portable(detector: Mapping[str, Any]) -> dict[str, Any]:
    """Return a detector's description without the folders of the machine that it was made on."""
    parts = {"name": 2, "labels": 1, "anchors": 1}
    return {
        key: _short(value, parts[key]) if key in parts and isinstance(value, str) else value
        for key, value in detector.items()
    }


def _short(name: str, parts: int = 2) -> str:
    """Return the last parts of a path; another name as it is."""
    return "/".join(name.replace("\\", "/").split("/")[-parts:])


def write_baseline(path: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the entries of all gates, by name, to ``path``, whole or not at all."""
    heads = {name: {"numbers": entry["numbers"], "detector": entry["detector"]} for name, entry in entries.items()}
    rest = {
        name: {key: value for key, value in entry.items() if key not in ("numbers", "detector")}
        for name, entry in entries.items()
    }
    head = json.dumps(encodable({"what": WHAT, "schema": BASELINE_SCHEMA, "gates": heads}), indent=1, allow_nan=False)
    body = ",\n".join(
        f"  {json.dumps(encodable(name))}: {json.dumps(encodable(entry), allow_nan=False)}"
        for name, entry in rest.items()
    )
    write_whole(path, f'{head.removesuffix("}").rstrip()},\n "records": {{\n{body}\n }}\n}}\n')


def read_baseline(path: Path) -> dict[str, dict[str, Any]]:
    """Return the entries of a baseline file by gate, not yet checked; ``SpecError`` names a file that is none."""
    content = read_file(path, "the baseline", SpecError)
    try:
        found = json.loads(content)
        schema = found["schema"]
        if schema != BASELINE_SCHEMA:
            raise ValueError(f"its schema is {schema!r}, this version reads {BASELINE_SCHEMA}")
        return {str(name): {**found["gates"][name], **entry} for name, entry in found["records"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, error) from error


def record_of_entry(path: Path, gate: str, entry: Mapping[str, Any]) -> MatchRecord:
    """Return the record of one gate; ``SpecError`` names the file and the gate where its entry cannot be right."""
    try:
        return _record(entry)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise _damaged(path, f"gate {gate}: {error}") from error


def _damaged(path: Path, why: object) -> SpecError:
    shown = f"there is no {why}" if isinstance(why, KeyError) else str(why)
    return SpecError(
        f"{path} cannot be read as a baseline of pytest-cropdet: {shown}; write it anew: --cropdet-update-baseline"
    )


def _record(entry: Mapping[str, Any]) -> MatchRecord:
    names = {int(key): _text(name) for key, name in entry["categories"].items()}
    images = tuple(_text(row[0]) for row in entry["images"])
    _need(len(set(images)) == len(images), "two images have one name")
    tables = entry["tables"]
    unit = _whole(tables["unit"], len(images))
    crops = len(unit)
    image = _whole(tables["truth_image"], crops)
    category = _whole(tables["truth_category"], len(names) + 1, len(image)) - 1
    scored, counted = (_flags(tables[key], len(image)) for key in ("scored", "counted"))
    spread = entry["spread"]
    detector, capped = entry["detector"], entry["capped"]
    _need(all(isinstance(entry[name], Mapping) for name in ("rules", "numbers")), "its rules or numbers are no object")
    _need(
        isinstance(capped, Mapping) and all(isinstance(each, str | None) for each in capped.values()),
        f"its capped is {capped!r:.80}, not texts by measure",
    )
    _need(isinstance(detector, Mapping) and "name" in detector, "there is no name of the detector")
    return MatchRecord(
        detector=detector,
        spread=math.inf if spread == "unknown" else spread if spread is None else float(spread),
        images=images,
        digests=tuple((_text(row[1]), _text(row[2])) for row in entry["images"]),
        unit=unit,
        names=names,
        chosen=_ids(entry["chosen"], names),
        kept=_ids(entry["kept"], names),
        counted=counted,
        found={side: _flags(tables[side]["found"], len(image)) for side in SIDES},
        matches={side: _matches(tables[side], entry, crops, names, (image, category, scored)) for side in SIDES},
        **{name: entry[name] for name in _FIELDS},
    )


def _matches(
    table: Mapping[str, Any],
    entry: Mapping[str, Any],
    crops: int,
    names: Mapping[int, str],
    truth: tuple[Ints, Ints, Any],
) -> Matches:
    truth_image, truth_category, scored = truth
    image = _whole(table["image"], crops)
    starts = _whole(table["starts"], len(image) + 1, len(names) + 1)
    _need(
        starts[0] == 0 and starts[-1] == len(image) and bool((np.diff(starts) >= 0).all()), "the rows are not in order"
    )
    contenders = _whole(table["contenders"], len(image))
    _need(bool((np.diff(contenders) > 0).all()), "the contenders are not in order")
    matched = array_from_text(table["matched"]).astype(np.int32).T - 1
    _need(matched.shape == (len(COCO_THRESHOLDS), len(contenders)), f"the matches have the shape {matched.shape}")
    _need(bool((matched < len(truth_image)).all()) and bool((matched >= -1).all()), "a match is no object")
    owner = np.repeat(np.arange(len(names)), np.diff(starts))[contenders]
    partner = np.append(truth_category, -1)[matched]
    same = (matched < 0) | ((partner == owner) & (np.append(truth_image, -1)[matched] == image[contenders]))
    _need(bool(same.all()), "a match is of another crop or category")
    found = Matches(
        images=crops,
        categories=np.array([*names], dtype=np.int64),
        thresholds=COCO_THRESHOLDS,
        areas=tuple(ALL_AREAS),
        max_detections=int(entry["rules"]["max_detections"]),
        rows=np.arange(len(image)),
        starts=starts,
        image=image,
        outside=_flags(table["outside"], len(image))[None],
        contenders=contenders,
        rank=np.zeros(len(contenders), dtype=np.int64),
        matched=np.ascontiguousarray(matched)[None],
        truth_image=truth_image,
        truth_category=truth_category,
        scored=scored[None],
    )
    object.__setattr__(found, "rank", found.rank_of_row[contenders])
    return found


def _whole(text: Mapping[str, Any], below: int, length: int | None = None) -> Ints:
    found = array_from_text(text).astype(np.int64)
    _need(found.ndim == 1 and length in (None, len(found)), f"a column has the shape {found.shape}, not ({length},)")
    _need(not found.size or (found.min() >= 0 and found.max() < below), f"a number of a column is not below {below}")
    return found


def _flags(text: Mapping[str, Any], length: int) -> Any:
    found = array_from_text(text)
    _need(found.dtype == bool and found.shape == (length,), f"flags have the shape {found.shape}, not ({length},)")
    return found


def _ids(values: Any, names: Mapping[int, str]) -> tuple[int, ...]:
    found = tuple(values)
    _need(all(isinstance(each, int) and each in names for each in found), "a category has no name")
    return found


def _text(value: Any) -> str:
    _need(isinstance(value, str), f"{value!r} is no text")
    return str(value)


def _need(right: Any, why: str) -> None:
    if not right:
        raise ValueError(why)
