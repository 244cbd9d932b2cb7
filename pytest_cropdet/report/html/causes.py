"""Why it dropped, as sections: the chain, the fates of objects, and what the controls say."""

from collections.abc import Mapping
from typing import Any

from pytest_cropdet.figures import chain_metric, stacked_bar, waterfall
from pytest_cropdet.report.html.blocks import Block, Chart, Section, Table, Text, bounded_cell, cell, number_cell
from pytest_cropdet.terms import PHRASES, Record

__all__ = ["chain_section", "controls_section", "fates_section"]


def chain_section(gate: Record) -> Section | None:
    """Return the steps as a waterfall, with what stands beside them."""
    steps = gate.get("steps")
    if not steps:
        return None
    told = (gate.get("controls") or {}).get("chain") or {}
    ends = told.get("ap") or {}
    drawn = waterfall(steps, ends.get("whole"), ends.get("crop"), chain_metric(gate["metric"]))
    blocks: list[Block] = []
    if drawn is not None:
        legend = (("loss", "lost"), ("gain", "gained"), ("unsure", "no clear effect: the bounds contain 0"))
        blocks.append(Chart(drawn, legend=legend))
    blocks.append(_steps("The steps in numbers", steps, fold=drawn is not None))
    blocks += [Text(f"{note[0].upper()}{note[1:]}.") for note in told.get("notes", ())]
    lead = (
        "Five pictures, from the whole image to the crop, each differing from the one before in one thing; all are "
        "scored on the same objects, so the steps add up to the drop."
    )
    return Section("why", "Why it dropped", lead, blocks)


def _steps(caption: str, steps: Any, fold: bool = False) -> Table:
    rows = [
        [
            cell(PHRASES.get(step["name"], step["name"])),
            number_cell(step["value"]),
            number_cell(step["low"]),
            number_cell(step["high"]),
            cell(bool(step["distinguishable"])),
        ]
        for step in steps
    ]
    return Table(caption, ("step", "lost", "low", "high", "distinguishable"), rows, fold)


def fates_section(gate: Record, counts: Mapping[str, int] | None) -> Section | None:
    """Return what became of the objects; ``counts``: how many were kept, lost, gained, missed."""
    told = gate.get("fates")
    if not told and not counts:
        return None
    blocks: list[Block] = []
    if counts:
        parts = [("found in both", counts["kept"], "kept")]
        if told:
            parts += [(f"lost: {PHRASES[name]}", each["count"], name) for name, each in told["lost"].items()]
        else:
            parts.append(("lost in the crop", counts["lost"], "loss"))
        parts += [
            ("found in the crop only", counts["gained"], "gain"),
            ("found in neither", counts["missed"], "missed"),
        ]
        legend = tuple((kind, f"{name} {count:,}") for name, count, kind in parts)
        blocks.append(Chart(stacked_bar("What became of the objects", parts), legend=legend))
    if told:
        rows = [
            [cell(PHRASES[name]), *_counted(told["lost"][name]), *_counted(told["gained"][name])]
            for name in told["lost"]
        ]
        head = ("from this step on", "lost", "share", "gained", "share")
        blocks.append(Table("Lost and gained by step, shares of all objects", head, rows))
        for key, name in (("by_size", "size"), ("by_category", "category")):
            blocks.append(_split(f"Lost and gained by {name}", name, told[key]))
    lead = (
        "An object counts once for each crop that shows it. Found means that a detection of its category matches it at "
        f"IoU 0.5 and scores {gate['operating_point']['score']:.3f} or more."
    )
    return Section("fates", "The fate of each object", lead, blocks)


def _counted(each: Mapping[str, Any]) -> list[Any]:
    return [cell(int(each["count"])), bounded_cell(dict(each))]


def _split(caption: str, name: str, counts: Mapping[str, Any]) -> Table:
    steps = list(PHRASES)
    head = (name, "lost", *(PHRASES[step] for step in steps), "gained")
    most_first = sorted(counts.items(), key=lambda pair: (-sum(pair[1]["lost"].values()), pair[0]))
    if name == "size":
        most_first = list(counts.items())
    rows = [
        [
            cell(label),
            cell(sum(each["lost"].values())),
            *(cell(int(each["lost"].get(step, 0))) for step in steps),
            cell(sum(each["gained"].values())),
        ]
        for label, each in most_first
    ]
    return Table(caption, head, rows, fold=len(rows) > 3)


def controls_section(gate: Record) -> Section | None:
    """Return what the rules of the comparison, the fill and the detector's cap do to the drop."""
    told = gate.get("controls")
    if not told:
        return None
    drop, cap, chained = gate["drop"]["value"], gate.get("cap"), told.get("chain") or {}
    rows = [
        [cell("the drop as gated"), number_cell(drop), cell("")],
        [
            cell("stray boxes count as wrong"),
            number_cell(told.get("without_stray")),
            cell("detections that lie mostly outside of the window are not forgiven"),
        ],
        [
            cell("equal numbers of boxes"),
            number_cell(told.get("equal_boxes")),
            cell("each crop keeps as many of its strongest boxes as its reference has"),
        ],
        [
            cell("geometric floor"),
            number_cell(told.get("geometric_floor")),
            cell("what a perfect detector that draws tight boxes would lose (needs masks)"),
        ],
    ]
    checked = gate.get("cap_check") or {}
    if (checked.get("missing_found") or {}).get("value") is not None:
        words = "the whole image also finds every object that the detector's limit on boxes may have cut off"
        rows.append([cell("missing objects found"), bounded_cell(checked["missing_found"]), cell(words)])
    if chained.get("placebo"):
        placebo = chained["placebo"]
        words = "what fill itself costs, laid only where no object is near"
        rows.append([cell(f"placebo ({chained.get('fill', 'fill')})"), bounded_cell(placebo), cell(words)])
    blocks: list[Block] = [
        Table("The drop with one rule changed at a time", ("control", "AP lost", "what it is"), rows)
    ]
    if cap:
        rows_text = "its maximum" if cap["rows"] is None else f"{cap['rows']}"
        words = (
            f"On {cap['share']:.1%} of the whole images the detector returned as many boxes as it can ({rows_text})."
        )
        agrees = checked.get("agrees")
        if cap["binds"] and agrees:
            words += " The drop at equal numbers of boxes agrees with the drop as gated."
        elif cap["binds"]:
            words += " That limits the reference: see the drop at equal numbers of boxes."
        elif cap["share"] > 0:
            words += " There are few such images, or their weakest boxes are noise: the reference is not limited."
        blocks.append(Text(words, warn=bool(cap["binds"] and not agrees)))
    evaluator = gate.get("evaluator_cap")
    if evaluator and evaluator["binds"]:
        pairs, largest = evaluator["pairs"], evaluator["largest"]
        words = (
            f"AP counts {evaluator['max_detections']} detections per image and category. That leaves out right "
            f"detections in {pairs['reference']} references and {pairs['crop']} crops; --cropdet-max-detections="
            f"{largest} counts them all. Recall, lost and gained objects count every detection."
        )
        blocks.append(Text(words, warn=True))
    for other in chained.get("other_fills", ()):
        blocks.append(_steps(f"The steps with {other['fill']} fill", other["steps"]))
    for name, steps in (chained.get("orders") or {}).items():
        blocks.append(_steps(f"Order of context and cut: {name}", steps))
    return Section("controls", "Controls", "Is the drop real, or made by how it is measured?", blocks)
