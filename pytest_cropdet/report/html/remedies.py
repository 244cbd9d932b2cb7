"""What to do about what did not pass: how many images would decide, what helps, and the recipe to paste."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_cropdet.figures import bounded_text
from pytest_cropdet.gate import one_per_limit
from pytest_cropdet.report.check_texts import check_text
from pytest_cropdet.report.html.blocks import Table, TableCell, bounded_cell, cell, number_cell, sentence
from pytest_cropdet.report.html.sliced import sliced_remedy
from pytest_cropdet.report.sliced_texts import only_sliced, without_sliced
from pytest_cropdet.terms import Record, one_line

__all__ = ["Remedy", "remedies"]

MOST_CHECKS = 6  # failed checks that have a sentence each


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do about one gate, or about the checks. ``code``: a recipe to paste, "" where there is none."""

    name: str
    target: str
    sentences: Sequence[str]
    code: str = ""
    tried: Table | None = None


def remedies(gates: Sequence[tuple[str, Record]], checks: Sequence[Record]) -> list[Remedy]:
    """Return what to do about each gate that does not pass (``(id on the page, record)``), then about the checks."""
    found = [_of_gate(key, record) for key, record in gates if record["verdict"] in ("fail", "undecided")]
    sliced = [(f"s{number}", record) for number, record in enumerate(only_sliced(checks), 1)]
    found += [Remedy(one_line(record["name"]), key, sliced_remedy(record)) for key, record in sliced]
    failed = [check for check in without_sliced(checks) if check["verdict"] == "fail"]
    if failed:
        sentences = [sentence(f"{check['name']}: {check_text(check)}") for check in failed[:MOST_CHECKS]]
        more = len(failed) - MOST_CHECKS
        found.append(Remedy("Checks", "c1", [*sentences, *([f"and {more} more checks that fail"] if more > 0 else [])]))
    return [each for each in found if each.sentences or each.code]


def _of_gate(key: str, record: Record) -> Remedy:
    advice = record.get("advice") or {}
    return Remedy(
        name=one_line(record["name"] or record["plan"]),
        target=key,
        sentences=[sentence(words) for words in (*_to_decide(record), *_advice(advice, record))],
        code=advice.get("code") or "",
        tried=_tried(advice.get("mitigations") or ()),
    )


def _to_decide(record: Record) -> list[str]:
    """Return for each undecided limit how many images would decide it, or why images alone do not help."""
    limits = [each for each in one_per_limit(record["verdicts"]) if each["outcome"] == "undecided"]
    found = []
    for each in limits:
        what = "" if each["measure"] == "drop" else f"{each['measure']}: "
        needed = each.get("images_to_decide")
        if each.get("why"):
            found.append(f"{what}{each['why']}")
        elif needed:
            found.append(
                f"{what}the result is too uncertain to decide. About {needed:,} images would be enough; this run has "
                f"{record['images']:,}. To accept undecided results, set --cropdet-undecided=pass."
            )
        else:
            shown = bounded_text(each["value"], each["low"], each["high"])
            found.append(f"{what}{shown} is at the limit {each['limit']:.3f}: no number of images is sure to decide.")
    return found


def _advice(advice: Mapping[str, Any], record: Record) -> list[str]:
    """Return the advice in words; where the causes are not known, how to get them."""
    if advice:
        return [each for each in advice["sentences"] if not each.startswith("  ")]
    if record.get("steps") is None and record["metric"] != "lost":
        return ["The causes are not known yet. --cropdet-explain=always finds them, and what to train with."]
    return []


def _tried(mitigations: Sequence[Mapping[str, Any]]) -> Table | None:
    """Return what each measure at inference recovers, the chosen one marked; ``None`` where none was tried."""
    if not mitigations:
        return None
    rows = [
        [
            cell(f"{_named(each)}{' (chosen)' if each['chosen'] else ''}"),
            bounded_cell(dict(each["ap_won_back"])),
            number_cell(each["calls_a_crop"]),
        ]
        for each in mitigations
    ]
    rows.sort(key=_recovered)
    return Table("Measures at inference, tried", ("measure", "AP recovered", "detector calls per crop"), rows)


def _recovered(row: Sequence[TableCell]) -> float:
    return -float(row[1].key) if row[1].key is not None else 0.0


def _named(each: Mapping[str, Any]) -> str:
    parameters = ", ".join(f"{key} {value}" for key, value in (each.get("parameters") or {}).items())
    return f"{each['name']}{f' ({parameters})' if parameters else ''}"
