"""A benchmark as sections: families, severities, control lines, the row for a model card."""

from collections.abc import Sequence

from pytest_cropdet.figures import Axis, Gap, bounded_text, gap_chart, number_text
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
)
from pytest_cropdet.report.model_card import model_card
from pytest_cropdet.terms import Record

__all__ = ["benchmark_headline", "benchmark_numbers", "benchmark_sections"]


STRESSES = {
    "random": "a window anywhere",
    "tile": "a grid with overlap",
    "object": "a window round one object",
    "edge": "a window that cuts one object",
    "shift": "some pixels less at the left and top",
}
LEGEND = (("whole", "reference: found in the whole image, within the window"), ("crop", "crop, with bounds"))
SIDE_COLUMNS = ("reference", "crop", "drop", "crop / reference")


def benchmark_headline(record: Record) -> str:
    """Return what a benchmark comes to, in words."""
    ratio = record["benchmark"]["rpc"]["value"]
    if ratio is None:
        return "Nothing to compare: no category has scored objects in 5 images, or nothing is found in the references."
    return f"Crops keep {ratio:.0%} of the AP that the same objects have in the whole images."


def benchmark_numbers(record: Record) -> list[tuple[str, str]]:
    """Return the numbers at the head: ``(words, value)``."""
    found = record["benchmark"]
    return [
        ("rPC", _told(found["rpc"])),
        ("mPC, mean AP of crops", _told(found["mpc"])),
        ("mean AP of references", _told(found["reference"])),
        ("AP, whole images", _told(found["whole"])),
        ("images", f"{found['images']:,}"),
        ("crops", f"{found['crops']:,}"),
    ]


def benchmark_sections(record: Record) -> list[Section]:
    """Return the sections of a benchmark, what was run apart."""
    return [
        _families(record["benchmark"]),
        _severities(record["benchmark"]),
        _controls(record["benchmark"]),
        _card(record),
    ]


def _families(found: Record) -> Section:
    rows = [[cell(each["family"]), *_four(each), cell(STRESSES.get(each["family"], ""))] for each in found["families"]]
    drawing = [_gap(each["family"], each) for each in found["families"]]
    drawn = gap_chart(f"{found['metric']} of references and crops by family", drawing, _scale(found))
    lead = (
        f"Each family stresses one thing. {found['metric']} of crops, and of the same objects as the whole image's "
        "detections have them; the mean over severities."
    )
    blocks: list[Block] = [
        Chart(drawn, legend=LEGEND),
        Table("Means by family", ("family", *SIDE_COLUMNS, "windows"), rows),
    ]
    blocks += [Text(f"Note: {each}.") for each in found["notes"]]
    return Section("families", "By family", lead, blocks)


def _severities(found: Record) -> Section:
    scale, blocks = _scale(found), list[Block]()
    for family in dict.fromkeys(each["family"] for each in found["cells"]):
        drawing = [_gap(f"severity {e['severity']}", e) for e in found["cells"] if e["family"] == family]
        blocks.append(Chart(gap_chart(f"{found['metric']} of {family} by severity", drawing, scale), family))
    head = ("family", "severity", *SIDE_COLUMNS, "images", "crops", "objects", "categories", "windows")
    rows = [
        [
            cell(each["family"]),
            cell(each["severity"]),
            *_four(each),
            *(cell(each[key]) for key in ("images", "crops", "objects", "categories")),
            cell(each["plan"]),
        ]
        for each in found["cells"]
    ]
    blocks.append(Table("All numbers", head, rows, fold=True))
    if found["left_out"]:
        blocks.append(Text(f"Left out: {'; '.join(found['left_out'])}."))
    return Section(
        "severities", "By severity", "All charts have one axis, so they can be compared.", blocks, small=True
    )


def _controls(found: Record) -> Section:
    jitter, rows = found["jitter"], []
    if found["shifts"] is not None:
        windows = f"of each image's shifts, {found['shifts']['windows']:,} windows in all"
        rows += [
            [
                cell(f"AP at the {name} shift"),
                number_cell(found["shifts"][name]),
                cell(f"the one that {words}, {windows}"),
            ]
            for name, words in (("worst", "hurts most"), ("best", "suits best"))
        ]
    rows += [
        [
            cell(f"AP lost by {jitter['pixels']:g} px"),
            bounded_cell(jitter["detections"]),
            cell("of this detector, every box moved by it: a smaller drop may be noise of the boxes"),
        ],
        [
            cell(f"AP lost by {jitter['pixels']:g} px, truth"),
            bounded_cell(jitter["truth"]),
            cell("of a perfect detector, for comparison: how strict these data are; no bound for drops of this one"),
        ],
    ]
    lead = "How far the numbers can be trusted."
    return Section("controls", "Control lines", lead, [Table("Control lines", ("", "AP", "what it is"), rows)])


def _card(record: Record) -> Section:
    return Section("card", "For a model card", "A Markdown table to paste.", [Text(model_card([record]), code=True)])


def _four(each: Record) -> list[TableCell]:
    return [bounded_cell(each[name]) for name in ("reference", "crop", "drop", "ratio")]


def _gap(label: str, each: Record) -> Gap:
    crop = each["crop"]
    return Gap(label, each["reference"]["value"], crop["value"], crop["low"], crop["high"])


def _scale(found: Record) -> Axis:
    ends: Sequence[float | None] = [
        each[name][end]
        for each in found["cells"]
        for name, end in (("reference", "value"), ("crop", "value"), ("crop", "low"), ("crop", "high"))
    ]
    return Axis.around([0.0, *ends], 0.02)


def _told(each: Record) -> str:
    return number_text(None) if each["value"] is None else bounded_text(each["value"], each["low"], each["high"])
