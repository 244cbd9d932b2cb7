"""The table of all crops that lost or gained an object, and what its dialog shows: data for the page's script.

Without the script the page shows the first rows. A filter is text, as in a URL: ``category=cat&cause=cut``.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pytest_cropdet.report.crop_rows import PLACE_LETTERS
from pytest_cropdet.terms import PHRASES, Record

__all__ = ["CropGate", "CropTable", "FirstRow", "crop_filter", "crop_table", "ranked", "shortened"]

FIRST_ROWS = 25
MOST_LETTERS = 2_000_000  # of JSON on a page
PER_OBJECT = {"category": 1, "label": 1, "annotation": 1, "box": 4, "whole": 1, "crop": 1}
PER_CROP = {"place": 1, "file": 1, "window": 4, "lost": 1, "gained": 1, "found": 1, "objects": 1}


@dataclass(frozen=True, slots=True)
class CropGate:
    """A gate as the table needs it: its id on the page, its record, gallery, and the entries shown with pictures."""

    id: str
    name: str
    record: Record
    gallery: Mapping[str, Any]
    pictured: Sequence[Mapping[str, Any]]
    why_score: str


@dataclass(frozen=True, slots=True)
class FirstRow:
    """A crop that is shown without the script: a link's target and words."""

    target: str
    file: str
    gate: str
    window: str
    lost: str
    gained: int
    objects: str
    causes: str


@dataclass(frozen=True, slots=True)
class CropTable:
    """The table: its first rows, how many crops and gates there are, how many it leaves out, and all of it as JSON."""

    first: Sequence[FirstRow]
    crops: int
    left_out: int
    gates: int
    json: str


def crop_filter(**conditions: object) -> str:
    """Return a filter of the table.

    >>> crop_filter(category="traffic light", cause="cut")
    'category=traffic+light&cause=cut'
    """
    return urlencode({name: str(value) for name, value in conditions.items()})


def crop_table(gates: Sequence[CropGate]) -> CropTable | None:
    """Return the table of the gates' crops; ``None`` where no gate left any."""
    gates = [each for each in gates if each.gallery.get("rows", {}).get("place")]
    if not gates:
        return None
    total = sum(each.gallery["rows"]["total"] for each in gates)
    known = sum(len(each.gallery["rows"]["place"]) for each in gates)
    share, text = 1.0, ""
    while True:
        kept = [shortened(each.gallery["rows"], round(share * len(each.gallery["rows"]["place"]))) for each in gates]
        text = _encoded({"letters": PLACE_LETTERS, "phrases": PHRASES, "gates": [*map(_gate, gates, kept)]})
        table = len(text) - sum(len(_encoded(_details(each))) for each in gates)
        if table <= MOST_LETTERS or share * known < 1:
            break
        share *= 0.95 * MOST_LETTERS / table
    count = sum(len(rows["place"]) for rows in kept)
    first = sorted(
        ((gate, rows, crop) for gate, rows in zip(gates, kept, strict=True) for crop in _crops(rows)),
        key=lambda row: -row[2]["lost"],
    )[:FIRST_ROWS]
    return CropTable([_first(*each) for each in first], count, total - count, len(gates), text)


def ranked(gallery: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return a gallery whose crops list their objects with the lost first, then the newly found."""
    if gallery is None:
        return None
    order = ("lost", "gained", "missed", "kept", None)
    changed = {
        kind: [
            {"example_of": (), **entry, "objects": sorted(entry["objects"], key=lambda each: order.index(each["fate"]))}
            for entry in gallery.get(kind) or ()
        ]
        for kind in ("entries", "examples")
    }
    return {**gallery, **changed}


def shortened(rows: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return the table of a gate with its first ``count`` crops alone."""
    objects = sum(rows["objects"][:count])
    cut = {name: rows[name][: count * each] for name, each in PER_CROP.items()}
    cut |= {name: rows[name][: objects * each] for name, each in PER_OBJECT.items()}
    cut |= {name: rows[name][:objects] for name in ("fate", "step")}
    return {**rows, **cut, "bins": {name: letters[:objects] for name, letters in rows["bins"].items()}}


def _gate(gate: CropGate, rows: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": gate.id,
        "name": gate.name,
        "score": gate.gallery["score"],
        "why": gate.why_score,
        "details": _details(gate),
        "pictures": gate.gallery.get("files"),
        **rows,
    }


def _details(gate: CropGate) -> dict[str, Any]:
    """Return what the dialog shows of crops with pictures, by place in the plan."""
    return {
        str(each["place"]): {
            "objects": [
                {key: value for key, value in found.items() if key not in ("whole", "crop") and value is not None}
                for found in each["objects"]
            ],
            "renderings": each["renderings"],
            "kept": each["kept"],
            "fill": (each["pictures"] or {}).get("fill"),
        }
        for each in gate.pictured
        if "place" in each
    }


def _encoded(content: object) -> str:
    """Return JSON that can be in an HTML element: nothing in it ends the element or begins a comment."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _crops(rows: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the first crops of a gate, each with its own objects."""
    start = 0
    for number in range(min(FIRST_ROWS, len(rows["place"]))):
        stop = start + rows["objects"][number]
        crop = {name: rows[name][number] for name in ("place", "file", "lost", "gained", "found")}
        yield {**crop, "window": rows["window"][4 * number : 4 * number + 4], "own": range(start, stop)}
        start = stop


def _first(gate: CropGate, rows: Mapping[str, Any], crop: Mapping[str, Any]) -> FirstRow:
    left, top, width, height = crop["window"]
    names, steps = [], []
    for row in crop["own"]:
        if rows["fate"][row] == "L":
            label = rows["label"][row]
            became = f" → {rows['categories'][label]}" if label >= 0 else ""
            names.append(rows["categories"][rows["category"][row]] + became)
            step = PLACE_LETTERS.index(rows["step"][row])
            steps += [PHRASES[rows["steps"][step]]] if step < len(rows["steps"]) else []
    return FirstRow(
        target=f"crop-{gate.id}-{crop['place']}" if any(e["place"] == crop["place"] for e in gate.pictured) else "",
        file=rows["files"][crop["file"]],
        gate=gate.name,
        window=f"{width} × {height} at ({left}, {top})",  # noqa: RUF001
        lost=f"{crop['lost']} of {crop['found']}",
        gained=crop["gained"],
        objects=", ".join(dict.fromkeys(names)),
        causes=", ".join(dict.fromkeys(steps)),
    )
