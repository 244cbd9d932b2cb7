"""Invariants and searches as sections: what does not hold, what was measured, and the window that loses an object."""

from collections.abc import Sequence

from pytest_cropdet.figures import limit_meter
from pytest_cropdet.report.check_texts import check_text, hints_of
from pytest_cropdet.report.html.blocks import (
    Block,
    Facts,
    InlinePicture,
    Section,
    Table,
    TableCell,
    Text,
    cell,
    sentence,
)
from pytest_cropdet.terms import Record

__all__ = ["invariants_section", "search_section"]


CHECK_ORDER = {"fail": 0, "pass": 1}
SPENT = {"windows": "window", "images": "image", "calls": "detector call"}


def invariants_section(checks: Sequence[Record]) -> Section | None:
    """Return what every invariant measured, failures first; ``None`` where none was tried."""
    tried = [check for check in checks if check["kind"] == "invariant"]
    if not tried:
        return None
    judged = sorted(
        (check for check in tried if check["verdict"] in CHECK_ORDER), key=lambda check: CHECK_ORDER[check["verdict"]]
    )
    blocks: list[Block] = [
        Text(check_text(check), warn=True, head=check["name"]) for check in judged if check["verdict"] == "fail"
    ]
    blocks += [Text(f"Hint: {hint}", head=name) for name, hint in hints_of(tried)]
    if judged:
        head = ("verdict", "invariant", "value", "allowed", "of allowed", "what is measured")
        blocks.append(Table("All that could be judged", head, [_row(check) for check in judged], open=True))
    skipped = [[cell(check["name"]), cell(check["reason"])] for check in tried if check["verdict"] == "skip"]
    if skipped:
        blocks.append(Table("Could not be judged", ("invariant", "why"), skipped, fold=True))
    lead = (
        "Properties that every detector should have on crops, whatever its mAP: a crop and its image agree. The mark "
        "on a bar is the limit."
    )
    return Section("invariants", "Invariants", lead, blocks)


def _row(check: Record) -> list[TableCell]:
    value, allowed = check["value"], check["allowed"]
    drawn = limit_meter(value, allowed) if value is not None and allowed else None
    share = value / allowed if value is not None and allowed else None
    return [
        TableCell(check["verdict"], CHECK_ORDER[check["verdict"]], dot=check["verdict"]),
        cell(check["name"]),
        _short(value),
        _short(allowed),
        TableCell("" if share is None else f"{share:.0%}", share, number=True, svg=drawn),
        cell(check["what"] or "-"),
    ]


def _short(value: float | None) -> TableCell:
    return TableCell("-" if value is None else f"{value:.3g}".replace("-", "−"), value, number=True)  # noqa: RUF001


def search_section(check: Record, picture: str | None, key: str, title: str) -> Section:
    """Return what a search came to; ``picture``: PNG as base64, ``None`` where there is none to show."""
    worst = check["worst"]
    lead = (
        "The search looked for the smallest cut in which an object is lost that is found in the whole image with "
        "confidence."
    )
    parts = [f"{check[key]:,} {word}{'' if check[key] == 1 else 's'}" for key, word in SPENT.items()]
    spent = Text(f"It looked at {parts[0]} of {parts[1]}, for {parts[2]}.")
    if worst is None:
        return Section(key, title, lead, [Text(sentence(check["reason"])), spent])
    left, top, width, height = worst["crop"]
    facts = [
        ("object", worst["category"]),
        ("score, whole image", f"{worst['score_whole']:.2f}"),
        ("score, crop", f"{worst['score_crop']:.2f}"),
        ("visible", f"{worst['visibility']:.0%}"),
        ("image", worst["sample"]),
        ("window", f"{width} × {height} at ({left}, {top}) of {worst['size'][0]} × {worst['size'][1]}"),  # noqa: RUF001
    ]
    blocks: list[Block] = [Text(_found(worst), warn=worst["lost"]), Facts(tuple(facts)), spent]
    if picture is not None:
        alt = f"{worst['sample']} with the window, and the crop: {worst['cut']}"
        blocks.append(InlinePicture(f"data:image/png;base64,{picture}", alt, "Left the whole image, right the crop"))
    elif worst["lost"]:
        why = check["no_picture"] or f"it is not on this page, but may lie at {check['picture']}"
        blocks.append(Text(f"There is no picture to show: {why}"))
    if worst["lost"]:
        blocks += [Text("To keep it as a test:"), Text(worst["test"].rstrip(), code=True)]
    if check["again"]:
        blocks += [Text("To search once more:"), Text(check["again"], code=True)]
    return Section(key, title, lead, blocks)


def _found(worst: Record) -> str:
    scores = f"scores {worst['score_whole']:.2f} in the whole image and {worst['score_crop']:.2f} in the crop"
    cut = f"{worst['cut'][0].upper()}{worst['cut'][1:]}"
    if not worst["lost"]:
        return f"No window lost an object. Nearest to it came {worst['cut']}: {worst['category']} {scores}."
    enough = "is enough" if worst["shrunk"] else "did it"
    return f"{cut} {enough}: {worst['category']} {scores}, though {worst['visibility']:.0%} of it is visible."
