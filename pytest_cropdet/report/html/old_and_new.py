"""What changed from an old model to the new one, as a section: both in numbers, by category, by cause."""

from pytest_cropdet.figures import Axis, Bar, Gap, bar_chart, bounded_text, gap_chart
from pytest_cropdet.report.html.blocks import (
    Block,
    Chart,
    Facts,
    Section,
    Table,
    Text,
    bounded_cell,
    cell,
    number_cell,
    sentence,
)
from pytest_cropdet.terms import PHRASES, Record

__all__ = ["against_section"]

MOST_UNFOLDED = 12


def against_section(gate: Record) -> Section | None:
    """Return what changed, ``None`` where there is no old model."""
    against = gate.get("against")
    if against is None:
        return None
    metric, ap, old = gate["metric"], against["ap"], against["old"]["name"]
    rows = [
        Gap(words, ap["old"][side], ap["new"][side])
        for words, side in (("whole images", "reference"), ("crops", "crop"))
    ]
    ends = [each for row in rows for each in (row.reference, row.crop) if each is not None]
    drawn = gap_chart(f"{metric} of {old} and of the new model", rows, Axis.around([0.0, *ends], 0.02))
    facts = (
        (f"{metric} on crops", _signed(against["crop_ap"])),
        (f"{metric} on whole images", _signed(against["whole_ap"])),
        ("the drop", _signed(against["drop_worse"])),
        ("found in crops by the old model alone", f"{against['newly_missed_count']:,} objects"),
        ("by the new model alone", f"{against['newly_found_count']:,} objects"),
    )
    words = [sentence(against["text"]), *([sentence(against["note"])] if against["note"] else [])]
    blocks: list[Block] = [Text(" ".join(words)), Facts(facts), Chart(drawn, f"{metric}, old → new", _LEGEND)]
    if against["grown_steps"]:
        blocks.append(_grown(against["grown_steps"]))
    blocks.append(_categories(against["categories"], metric))
    lead = (
        f"{old} and this model on the same {against['crops']:,} crops of {against['images']:,} images; each change has "
        "bounds from the same resamples."
    )
    return Section("against", f"Against {old}", lead, blocks)


_LEGEND = (("whole", "old model"), ("crop", "new model"))


def _grown(steps: list[Record]) -> Chart:
    rows = [
        Bar(
            PHRASES[step["name"]],
            step["value"],
            step["low"],
            step["high"],
            kind="loss" if step["distinguishable"] else "unsure",
        )
        for step in steps
    ]
    legend = (
        ("loss", "costs more than before"),
        ("gain", "costs less"),
        ("unsure", "no clear change: the bounds contain 0"),
    )
    return Chart(bar_chart("By how much each cause grew", rows), "By how much each cause of the drop grew", legend)


def _categories(categories: list[Record], metric: str) -> Table:
    ordered = sorted(categories, key=lambda each: -(each["worse"]["value"] or 0.0))
    rows = [
        [
            cell(each["name"]),
            number_cell(each["before"]),
            number_cell(each["after"]),
            bounded_cell(each["worse"]),
            bounded_cell(each["drop_worse"]),
        ]
        for each in ordered
    ]
    head = ("category", f"{metric} on crops, old", "new", "fell by", "the drop grew by")
    return Table("By category, what fell most first", head, rows, fold=len(rows) > MOST_UNFOLDED)


def _signed(number: Record) -> str:
    """Return a change with its sign."""
    shown = bounded_text(number["value"], number["low"], number["high"])
    return f"+{shown}" if (number["value"] or 0.0) >= 0.0005 else shown
