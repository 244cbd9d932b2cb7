"""Where crops cost, as sections: by visibility, distance, size, category and place; labels; the shift."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_cropdet.figures import (
    QUANTITY_NAMES,
    SHIFT_NAMES,
    Axis,
    Bar,
    bar_chart,
    bins_with_objects,
    capitalized,
    distance_name,
    group_label,
    heat_map,
    histogram,
    most_lost_first,
    shown_edges,
)
from pytest_cropdet.report.html.blocks import (
    LONG_TABLE,
    Block,
    Chart,
    Section,
    Table,
    Text,
    bounded_cell,
    cell,
    number_cell,
)
from pytest_cropdet.report.html.crop_table import crop_filter
from pytest_cropdet.terms import Record

__all__ = ["labels_section", "miss_map_section", "shift_section", "where_section"]


QUANTITIES = {name: capitalized(words) for name, words in QUANTITY_NAMES.items()}
MOST_BARS = 12
FEWEST_CATEGORIES = 3  # categories that can be told of, to draw them
LOGARITHMIC = ("size", "aspect")  # their bins are of log2
BIN_COLUMNS = ("", "objects", "images", "found, whole", "found, crop", "net lost", "AP lost")


def where_section(gate: Record) -> Section | None:
    """Return what crops cost by each quantity; without it, by category alone."""
    told = gate.get("where")
    if not told:
        return _by_category(gate)
    shown = {name: bins_with_objects(told[name]) for name in QUANTITIES if told.get(name)}
    shown["category"] = most_lost_first(told.get("category") or ())
    drawn = {name: rows[:MOST_BARS] for name, rows in shown.items() if rows}
    told_of = [row for row in shown["category"] if row["lost"]["value"] is not None]
    # of data of many categories most have too few objects to say: what they lose in AP is known of more
    drawn["category"] = told_of[:MOST_BARS] if len(told_of) >= FEWEST_CATEGORIES else []
    ends = [row["lost"][end] for rows in drawn.values() for row in rows for end in ("value", "low", "high")]
    scale = Axis.around([0.0, *ends], 0.02)
    blocks: list[Block] = []
    for name, rows in drawn.items():
        if not rows:
            continue
        caption = title = QUANTITIES[name]
        if len(rows) < len(shown[name]):
            which = "that lose most" if len(rows) < len(told_of) else "with enough objects"
            caption = f"{title} (the {len(rows)} {which} of {len(shown[name]):,})"
        drawing = [
            Bar(
                row["label"],
                **_bounds(row["lost"]),
                note=f"{row['objects']:,} objects in {row['images']:,} images",
                filter=crop_filter(**{name: row["label"]}),
            )
            for row in rows
        ]
        blocks.append(Chart(bar_chart(f"Share of objects lost, net, by {title.lower()}", drawing, scale), caption))
    in_mean = [each for each in gate["categories"] if each["in_mean"]]
    if not drawn["category"] and in_mean:
        drawing, caption = _drops(in_mean)
        blocks.append(
            Chart(bar_chart("AP lost by category", drawing), f"AP lost by category, on an axis of its own{caption}")
        )
    for name, rows in shown.items():
        if rows:
            head = (QUANTITIES[name].lower(), *BIN_COLUMNS[1:])
            blocks.append(Table(f"{QUANTITIES[name]}: all numbers", head, [_row(row, name) for row in rows], fold=True))
    lead = (
        "Bars are the share of objects found in the whole image less the share found in the crop, with bounds; "
        "charts use the same scale unless noted, so they can be compared."
    )
    return Section("where", "Where it dropped", lead, blocks, small=True)


def _bounds(each: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each[name] for name in ("value", "low", "high")}


def _row(row: Mapping[str, Any], name: str) -> list[Any]:
    found = list(row["found"].values())
    ends = (found[0], found[-1]) if found else (None, None)
    return [
        cell(row["label"]),
        cell(int(row["objects"])),
        cell(int(row["images"])),
        number_cell(ends[0]),
        number_cell(ends[1]),
        bounded_cell(row["lost"]).showing(crop_filter(**{name: row["label"]})),
        number_cell(row["drop"]),
    ]


def _by_category(gate: Record) -> Section | None:
    told = gate.get("categories")
    if not told:
        return None
    told = sorted(told, key=_most_dropped)
    drawing, caption = _drops(told)
    rows = [
        [
            cell(each["name"]),
            number_cell(each["reference"]),
            number_cell(each["crop"]),
            bounded_cell(_bounds({**each, "value": each["drop"]})).showing(crop_filter(category=each["name"])),
            cell(int(each["objects"])),
            cell(int(each["images"])),
            cell(bool(each["in_mean"])),
        ]
        for each in told
    ]
    head = ("category", "whole", "crop", "drop", "objects", "images", "in the mean")
    blocks: list[Block] = [Chart(bar_chart("Drop by category", drawing), f"Drop by category{caption}")]
    blocks.append(Table("All categories", head, rows, fold=True))
    return Section("where", "Where it dropped", "AP lost by category, with bounds.", blocks)


def _most_dropped(each: Mapping[str, Any]) -> tuple[bool, float, str]:
    return each["drop"] is None, -(each["drop"] or 0.0), each["name"]


def _drops(told: Sequence[Mapping[str, Any]]) -> tuple[list[Bar], str]:
    """Return the bars of the categories that lose most AP, and how many of how many they are, in words."""
    shown = sorted(told, key=_most_dropped)[:MOST_BARS]
    drawing = [
        Bar(
            each["name"],
            each["drop"],
            each["low"],
            each["high"],
            f"{each['objects']:,} objects in {each['images']:,} images",
            filter=crop_filter(category=each["name"]),
        )
        for each in shown
    ]
    return drawing, "" if len(shown) == len(told) else f" (the {len(shown)} that lose most of {len(told):,})"


def miss_map_section(gate: Record) -> Section | None:
    """Return the map of misses over the place in the window."""
    cells = (gate.get("where") or {}).get("map")
    if not cells:
        return None
    drawn = heat_map("Per cent of the objects lost, by place in the window", cells["lost"], cells["found"])
    lead = (
        "Of the objects found in the whole image, how many per cent are lost in the crop, by where their centre lies "
        "in the window. Empty: fewer than 5 objects."
    )
    return Section("map", "Map of misses", lead, [Chart(drawn)])


def labels_section(gate: Record) -> Section | None:
    """Return which label became which."""
    told = gate.get("labels")
    if not told or not (told["flipped"] or told["righted"]):
        return None
    flipped, righted = _change_rows(told["flipped"], "lost"), _change_rows(told["righted"], "gained")
    head = ("in the whole image", "in the crop", "objects", "for example")
    blocks: list[Block] = []
    if len(flipped) > LONG_TABLE:
        shown = f"The {MOST_BARS} most frequent of {len(flipped):,}"
        blocks.append(Table(shown, head, flipped[:MOST_BARS]))
    if flipped:
        blocks.append(Table("Right in the whole image, another label in the crop", head, flipped))
    if righted:
        blocks.append(Table("Another label in the whole image, right in the crop", head, righted, fold=bool(flipped)))
    lead = "Objects found in image and crop, but with different labels."
    return Section("labels", "Labels that changed", lead, blocks)


def _change_rows(changes: Sequence[Mapping[str, Any]], fate: str) -> list[list[Any]]:
    return [
        [
            cell(each["from"]),
            cell(each["to"]),
            cell(int(each["count"])).showing(crop_filter(label=f"{each['from']} → {each['to']}", fate=fate)),
            cell(_example(each["examples"])),
        ]
        for each in changes
    ]


def _example(examples: Sequence[Mapping[str, Any]]) -> str:
    if not examples:
        return ""
    first = examples[0]
    left, top, width, height = first["crop"]
    return f"{first['sample']}, {width} x {height} at ({left}, {top})"


def shift_section(gate: Record) -> Section | None:
    """Return how far the objects in crops are from those that the model knows."""
    told = gate.get("shift")
    if not told:
        return None
    titles = {name: capitalized(words) for name, words in SHIFT_NAMES.items()}
    titles |= {"size": f"{titles['size']} in {told['unit']}", "aspect": "Width over height"}
    legend = tuple((name, group_label(name, group)) for name, group in told["groups"].items())
    blocks: list[Block] = []
    for name, title in titles.items():
        table = told["histograms"].get(name)
        if table:
            edges, counts = table["edges"], {group: table[group] for group in told["groups"]}
            ends = f"{title} ({_ends(name, edges, counts)})" if edges else title
            blocks.append(Chart(histogram(title, edges, counts), ends, legend if not blocks else ()))
    pairs = list(told["distances"])
    titles = {name: f"{title}, log2" if name in LOGARITHMIC else title for name, title in titles.items()}
    rows = [[cell(titles[name]), *(number_cell(told["distances"][pair][name]) for pair in pairs)] for name in titles]
    head = ("quantity", *map(distance_name, pairs))
    blocks.append(Table("Wasserstein distances", head, rows, fold=True))
    blocks += [Text(f"{note[0].upper()}{note[1:].rstrip('.')}.") for note in told["notes"] if note]
    lead = "Sizes, shapes and places of objects as they reach the model: whole images against crops."
    return Section("shift", "Object size, shape and position at the model input", lead, blocks, small=True)


def _ends(name: str, edges: Sequence[float], counts: Mapping[str, Sequence[int]]) -> str:
    """Return from where to where a histogram is drawn, in the quantity's own unit."""
    first, last = shown_edges(edges, counts)
    if name in LOGARITHMIC:
        return f"{2.0 ** edges[first]:.2g} to {2.0 ** edges[last]:.2g}, logarithmic"
    if name == "objects":
        return f"{math.ceil(edges[first])} to {math.floor(edges[last])}"
    return f"{edges[first]:g} to {edges[last]:g}"
