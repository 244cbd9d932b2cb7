"""Sliced inference against one pass on the page: a row of the first screen, and an article with its numbers."""

from collections.abc import Sequence

from pytest_cropdet.figures import Bar, bar_chart, bounded_text, heat_map, number_text
from pytest_cropdet.report.html.blocks import (
    Block,
    Chart,
    Facts,
    InlinePicture,
    Section,
    Table,
    TableCell,
    Text,
    bounded_cell,
    cell,
    number_cell,
)
from pytest_cropdet.report.html.head_and_foot import origin_rows, run_section
from pytest_cropdet.terms import Record

__all__ = ["sliced_facts", "sliced_limit", "sliced_remedy", "sliced_sections"]

_PERFECT = {
    "whole": "the image in one pass",
    "context": "the image, filled outside of the tile and of the objects it cuts",
    "cut": "the image, filled outside of the tile",
    "tiles": "the tile as it is sent",
}
_SIZES = {"all": "all", "small": "small (below 32² px)", "medium": "medium", "large": "large (96² px or more)"}


def sliced_limit(record: Record) -> tuple[str, str, str]:
    """Return the gain, its limit, and AP of both, in words for a row of the first screen."""
    limit = "-" if record["limit"] is None else f"≥ {record['limit']:.3f}"
    both = record["ap"]["all"]
    change = ""
    if both["whole"] is not None and both["sliced"] is not None:
        change = f"{record['metric']} {number_text(both['whole'])} → {number_text(both['sliced'])} (sliced)"
    return bounded_text(record["value"], record["low"], record["high"]), limit, change


def sliced_remedy(record: Record) -> list[str]:
    """Return what to do about a gain that is too small or undecided."""
    if record["verdict"] == "fail":
        advice = (record.get("chain") or {}).get("advice")
        other = "Compare other tiles: pytest-cropdet tiles MODEL --data DATA. Or send the whole image in one pass."
        return [advice, other] if advice else [other]
    if record["verdict"] != "undecided":
        return []
    if record["reason"]:
        return [str(record["reason"])]
    needed = record["images_to_decide"]
    enough = f" About {needed:,} images would be enough; this run has {record['images']:,}." if needed else ""
    return [f"The gain is too uncertain to decide.{enough} To accept undecided results, set --cropdet-undecided=pass."]


def sliced_facts(record: Record) -> list[tuple[str, str]]:
    """Return the numbers beside the verdict: ``(words, value)``."""
    both = record["ap"]["all"]
    return [
        ("gain", bounded_text(record["value"], record["low"], record["high"])),
        (f"{record['metric']}, one pass", "-" if both["whole"] is None else number_text(both["whole"])),
        (f"{record['metric']}, sliced", "-" if both["sliced"] is None else number_text(both["sliced"])),
        *([] if record["limit"] is None else [("required", number_text(record["limit"]))]),
        ("images", f"{record['images']:,}"),
        ("objects", f"{record['objects']:,}"),
        ("images sent per image", f"{record['calls_per_image']:.1f}"),
    ]


def sliced_sections(
    record: Record, picture: str | None, command: str, versions: Sequence[tuple[str, str]]
) -> list[Section]:
    """Return the sections of a comparison: the gain by size, causes, what the merge left, and what was run.

    ``picture``: JPEG as base64, ``None`` where there is none to show.
    """
    made = [(words, value) for words, value in origin_rows(record) if value]
    rows = [*made, ("tiles", record["tiles"]), ("metric", record["metric"]), ("level of the bounds", record["level"])]
    found = [_by_size(record), *_chain(record), *_one_image(record, picture), _left_behind(record), *_by_place(record)]
    return [*found, run_section(rows, command, versions)]


def _by_size(record: Record) -> Section:
    gains = record["gain"]
    bars = [
        Bar(_SIZES[size], each["value"], each["low"], each["high"], f"{record['images']} images", "gain")
        for size, each in gains.items()
        if each["value"] is not None
    ]
    rows = [
        [cell(_SIZES[size]), number_cell(both["whole"]), number_cell(both["sliced"]), bounded_cell(dict(gains[size]))]
        for size, both in record["ap"].items()
    ]
    blocks: list[Block] = [Chart(bar_chart(f"Gain in {record['metric']} by size of object", bars))] if bars else []
    head = ("objects", "one pass", "sliced", "gain")
    lead = "AP of sliced inference minus AP of one pass over the whole image, on the same uncut objects."
    return Section(
        "gain", "Gain of slicing", lead, [*blocks, Table(f"{record['metric']} by size", head, rows, open=True)]
    )


def _chain(record: Record) -> list[Section]:
    """Return why slicing gains or loses, where that was sought."""
    chain = record.get("chain")
    if chain is None:
        return []
    steps = chain["steps"]
    bars = [
        Bar(each["phrase"], each["value"], each["low"], each["high"], each["name"], "gain")
        for each in steps
        if each["value"] is not None
    ]
    lead = (
        "Each step is an experiment on the same tiles and objects; the steps add up to the gain. A perfect merge knows "
        "the objects and keeps the best detection of each."
    )
    rows = [[cell(each["name"]), cell(each["phrase"]), bounded_cell(dict(each))] for each in steps]
    blocks: list[Block] = [Chart(bar_chart(f"What each step adds to {record['metric']}", bars))] if bars else []
    blocks.append(Table("The steps", ("step", "what changes", record["metric"]), rows))
    perfect = [[cell(_PERFECT[name]), number_cell(value)] for name, value in chain["perfect"].items()]
    blocks.append(Table(f"{record['metric']} after a perfect merge", ("the detector saw", record["metric"]), perfect))
    return [Section("why-sliced", "Why", lead, blocks)]


def _one_image(record: Record, picture: str | None) -> list[Section]:
    """Return the picture of the image that slicing changes most."""
    lead = (
        "The image that slicing changes most. Detections that score 0.3 or more; labels name what is missed or false."
    )
    if picture is None:
        why = record["no_picture"] or f"it is not on this page, but may be at {record['picture']}"
        return [Section("one-image", "One image", lead, [Text(f"There is no picture to show: {why}")])]
    alt = "Four views of an image: objects and tiles; one pass; all tiles before the merge; after the merge"
    shown = InlinePicture(f"data:image/jpeg;base64,{picture}", alt, f"Tiles: {record['tiles']}")
    return [Section("one-image", "One image", lead, [shown])]


def _left_behind(record: Record) -> Section:
    seams = record["seams"]
    items = (
        ("objects", f"{seams['objects']:,}"),
        ("doubles", f"{seams['doubles']:,}"),
        ("halves", f"{seams['halves']:,}"),
        ("in no tile as a whole", f"{seams['unheld']:,}"),
        ("found of these", f"{seams['unheld_found']:,}"),
    )
    blocks: list[Block] = [Facts(items)]
    blocks += [Text(f"{each[0].upper()}{each[1:]}.", warn=True) for each in record["lines"] if "its maximum of" in each]
    lead = "Doubles: further detections of an object. Halves: objects found only as pieces. Scores of 0.3 or more."
    return Section("left", "What the merge left behind", lead, blocks)


def _by_place(record: Record) -> list[Section]:
    """Return where in the tiles the new false positives lie; nothing where there are none."""
    errors = record["errors"]
    if not sum(errors["new"]):
        return []
    ends = errors["distances"]
    names = [f"up to {end:.0f} px" for end in ends[:-1]] + [f"more than {ends[-2]:.0f} px"]
    rows = []
    for name, new, right in zip(names, errors["new"], errors["right"], strict=True):
        share = "-" if not new + right else f"{new / (new + right):.0%}"
        counts = [TableCell(f"{each:,}", each, number=True) for each in (new, right)]
        rows.append([cell(name), *counts, TableCell(share, new / max(1, new + right), number=True)])
    cells = zip(errors["new_cells"], errors["right_cells"], strict=True)
    every = [[new + right for new, right in zip(*row, strict=True)] for row in cells]
    title = "Per cent of the detections that are new false positives, by place in the tile"
    lead = (
        "False positives that one pass over the whole image does not have, and right detections. A seam is a border of "
        "a tile inside the image. The map shows one tile, 8 x 8 cells; n counts detections; cells with fewer than 5 "
        "are empty."
    )
    head = ("a side of the box to the nearest seam", "new false positives", "right detections", "share new")
    blocks: list[Block] = [Table("By distance to the nearest seam", head, rows, open=True)]
    blocks.append(Chart(heat_map(title, errors["new_cells"], every, leads=False)))
    return [Section("seams", "New false positives", lead, blocks)]
