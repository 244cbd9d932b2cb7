"""Kinds of mistakes as sections: error types, bias of boxes, anchors, the benchmark."""

from pytest_cropdet.figures import Bar, bar_chart
from pytest_cropdet.report.html.blocks import (
    Block,
    Chart,
    Section,
    Table,
    TableCell,
    Text,
    bounded_cell,
    cell,
    number_cell,
    sentence,
)
from pytest_cropdet.terms import Record

__all__ = ["anchors_section", "bias_section", "errors_section"]


def errors_section(gate: Record) -> Section | None:
    """Return what each kind of mistake costs."""
    told = gate.get("errors")
    if not told:
        return None
    names = {kind: kind.replace("_", " ") for kind in told}
    rows = [
        [
            cell(names[kind]),
            number_cell(each["reference"]),
            number_cell(each["crop"]),
            bounded_cell({"value": each["change"], "low": each["low"], "high": each["high"]}),
        ]
        for kind, each in told.items()
    ]
    drawing = [Bar(names[kind], each["change"], each["low"], each["high"]) for kind, each in told.items()]
    lead = (
        "How much AP50 would rise if one kind of error were fixed (after TIDE), and how much more that is in crops "
        "than in whole images. The values do not sum to the total, because errors overlap."
    )
    blocks: list[Block] = [
        Chart(
            bar_chart("How much more each kind of mistake costs in crops", drawing), "Change from whole images to crops"
        ),
        Table("Costs in AP50", ("mistake", "whole", "crop", "change"), rows),
    ]
    return Section("errors", "Kinds of mistakes", lead, blocks)


def bias_section(gate: Record) -> Section | None:
    """Return whether boxes lie askew, and what mistake that looks like."""
    told = gate.get("bias")
    if not told:
        return None
    blocks: list[Block] = [
        Text(f"Looks like a coordinate mistake: {each['looks_like']} {each['mend'] or ''}".strip(), warn=True)
        for each in told["mistakes"]
    ]
    rows = []
    for name, words in (("pixels", "px"), ("relative", "object sides"), ("ratio", "ratio")):
        for key in told["crop"][name]:
            sides = [told[side][name][key] for side in ("reference", "crop")]
            rows.append([cell(key), cell(words), *(bounded_cell(each) for each in sides)])
    head = ("edge or side", "unit", "whole images", "crops")
    blocks.append(Table("Mean offset of matched boxes from the truth", head, rows, fold=True))
    lead = "An offset that all boxes share is a coordinate mistake in the adapter, not a weakness of the model."
    if not told.get("judged", True):
        lead = "The reference is too weak: too few boxes lie on objects to check coordinates."
    elif not told["mistakes"]:
        lead += " These boxes show no such mistake."
    return Section("bias", "Bias of boxes", lead, blocks)


def anchors_section(gate: Record) -> Section | None:
    """Return whether objects have an anchor that fits."""
    told = gate.get("anchors")
    if not told:
        return None
    lead = (
        "Whether an object still has an anchor that fits when a crop brings it to the model in another size and place."
    )
    if told.get("anchors") is None:
        return Section("anchors", "Anchors", lead, [Text(sentence(told.get("why", "no anchors")))])
    recall, strides, odds = told["recall"], told["strides"], told["odds_ratio"]
    rows = [
        [
            cell(f"has an anchor at IoU {level}"),
            *(bounded_cell(recall[name][level]) for name in ("whole", "crop", "fall")),
        ]
        for level in recall["whole"]
    ]
    rows.append(
        [
            cell("strides to the best anchor's centre"),
            *(bounded_cell(strides[name]) for name in ("whole", "crop")),
            TableCell("-", None, number=True),
        ]
    )
    head = ("of the objects", "whole images", "crops", "fall")
    title = f"{told['objects']:,} objects, {told['anchors']:,} anchors"
    shown = bounded_cell(odds).text
    words = f"Odds of being lost, anchor gone against anchor present: ratio {shown}."
    return Section("anchors", "Anchors", lead, [Table(title, head, rows), Text(words)])
