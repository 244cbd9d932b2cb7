"""What a record says of a comparison with an old model, in lines for the terminal and the job's summary."""

from pytest_cropdet.evaluation import bounds_text, digits
from pytest_cropdet.terms import PHRASES, Record

__all__ = ["against_lines"]


def against_lines(record: Record) -> list[str]:
    """Return what changed from the old model to the new one; nothing where there is no old model."""
    against = record.get("against")
    if against is None:
        return []
    metric, ap = record["metric"], against["ap"]
    changes = [
        f"{metric} {name} {digits(ap['old'][side])} -> {digits(ap['new'][side])} ({_signed(against[measure])})"
        for name, side, measure in (("on crops", "crop", "crop_ap"), ("on whole images", "reference", "whole_ap"))
    ]
    found = [f"against {against['old']['name']}: {against['text']}", "; ".join(changes)]
    found += [against["note"]] if against["note"] else []
    missed, gained = against["newly_missed_count"], against["newly_found_count"]
    found.append(f"objects in crops: {missed} found by the old model alone, {gained} by the new model alone")
    sure = [step for step in against["grown_steps"] if step["distinguishable"]]
    if sure:
        found.append("what grew: " + ", ".join(f"{PHRASES[each['name']]} {_signed(each)}" for each in sure))
    return found


def _signed(number: Record) -> str:
    value = number["value"]
    if value is None:
        return "undefined"
    shown = digits(value)
    sign = "" if shown.startswith("-") or shown == "0.000" else "+"
    return f"{sign}{shown}{bounds_text(number['low'], number['high'])}"
