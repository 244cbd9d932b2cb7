"""What stands at the head and the foot of an article: its verdict, and what was run."""

from collections.abc import Sequence
from typing import Any

from pytest_cropdet.data import Pairing
from pytest_cropdet.figures import bounded_text, number_text
from pytest_cropdet.report.html.blocks import Block, Section, Table, Text, cell
from pytest_cropdet.terms import PHRASES, Record

__all__ = [
    "benchmark_rows",
    "gate_run_section",
    "in_short",
    "operating_point_numbers",
    "origin_rows",
    "run_section",
    "verdict_numbers",
]


MOST_NAMED = 4


def verdict_numbers(gate: Record) -> list[tuple[str, str]]:
    """Return the numbers beside the verdict: ``(words, value)``."""
    metric = gate["metric"]
    found = [("drop", bounded_text(gate["drop"]["value"], gate["drop"]["low"], gate["drop"]["high"]))]
    if metric != "lost":
        values = gate[{"mAP": "ap", "AP50": "ap50", "AP75": "ap75"}[metric]]
        found.append((f"{metric}, whole image", number_text(values["reference"])))
        found.append((f"{metric}, crop", number_text(values["crop"])))
    if gate["limit"] is not None:
        found.append(("allowed", number_text(gate["limit"])))
    for words, key in (("crops", "crops"), ("source images", "images"), ("objects", "objects")):
        found.append((words, f"{gate[key]:,}"))
    return found


def in_short(gate: Record) -> list[tuple[str, str]]:
    """Return what cost most: steps that can be told from nothing, categories, labels; ``(what, words)``."""
    sure = [step for step in gate.get("steps") or () if step["distinguishable"] and step["value"] > 0]
    sure.sort(key=lambda step: -step["value"])
    lost = [each for each in gate["categories"] if each["in_mean"] and (each["drop"] or 0.0) > 0]
    lost.sort(key=lambda each: (-each["drop"], each["name"]))
    flipped = (gate.get("labels") or {}).get("flipped", ())[:MOST_NAMED]
    parts = {
        "Biggest causes (AP lost)": [f"{PHRASES[step['name']]} {number_text(step['value'])}" for step in sure],
        "Categories (AP lost)": [f"{each['name']} {number_text(each['drop'])}" for each in lost[:MOST_NAMED]],
        "Labels": [f"{each['from']} → {each['to']} {each['count']}" for each in flipped],
    }
    return [(name, ", ".join(words)) for name, words in parts.items() if words]


def operating_point_numbers(gate: Record) -> list[tuple[str, str]]:
    """Return the numbers at the operating point: ``(words, value)``."""
    point, hidden = gate["operating_point"], gate["hidden"]
    found = []
    for name in ("recall", "precision"):
        found.append((name, f"{number_text(point[name]['reference'])} → {number_text(point[name]['crop'])}"))
    for words, key in (("objects missed", "lost"), ("newly found", "gained"), ("other label", "flips")):
        each = hidden[key]
        found.append((words, f"{each['count']:,} ({number_text(each['value'])})"))
    return found


def gate_run_section(gate: Record, command: str, versions: Sequence[tuple[str, str]]) -> Section:
    """Return detector, data, plan, seed, time, versions and the command to repeat it."""
    rows = [
        *origin_rows(gate),
        ("windows", gate["plan"]),
        ("metric", "share of objects lost (no ground truth)" if gate["metric"] == "lost" else gate["metric"]),
        ("bounds", f"one-sided, level {gate['drop'].get('level', 0.95):g}"),
        ("operating point", f"score {gate['operating_point']['score']:.4g}"),
        ("images sent to the detector", gate["model_calls"]),
        ("seconds in the detector", f"{gate['seconds']['model']:.1f}"),
        ("seconds in all", f"{gate['seconds']['total']:.1f}"),
        ("deterministic", _determinism(gate.get("deterministic"))),
        ("distinct objects", gate["distinct_objects"]),
        *((f"the mean speaks for: {name}", f"{share:.1%}") for name, share in gate["speaks_for"].items()),
    ]
    if gate.get("pairing"):
        rows.append(("categories", Pairing.from_dict(gate["pairing"]).text))
    if gate.get("hint"):
        rows.append(("hint", gate["hint"]))
    return run_section(rows, command, versions)


def origin_rows(record: Record) -> list[tuple[str, Any]]:
    """Return test, detector, data set and seed of a record of any kind: ``(words, value)``."""
    detector = record["detector"]
    return [
        ("test", record.get("test") or ""),
        *((f"detector: {name.replace('_', ' ')}", each) for name, each in detector.items() if each is not None),
        ("data set", record["dataset"]),
        ("seed", record["seed"]),
    ]


def benchmark_rows(record: Record) -> list[tuple[str, Any]]:
    """Return what a benchmark was run with: ``(words, value)``."""
    found = record["benchmark"]
    return [
        *origin_rows(record),
        ("definition", f"{found['definition']} {found['mode']}"),
        ("metric", found["metric"]),
        ("bounds", f"one-sided, level {found['level']:g}, {found['replicates']:,} resamples of the images"),
        ("images sent to the detector", record["model_calls"]),
        ("seconds in the detector", f"{record['seconds']['model']:.1f}"),
        ("seconds in all", f"{record['seconds']['total']:.1f}"),
        ("deterministic", _determinism(record.get("deterministic"))),
        ("categories", ", ".join(found["categories"])),
    ]


def run_section(rows: Sequence[tuple[str, Any]], command: str, versions: Sequence[tuple[str, str]]) -> Section:
    """Return what was run as a section: the command to repeat it, ``(words, value)``, and the versions."""
    rows = [*rows, *((f"version: {name}", version) for name, version in versions)]
    blocks: list[Block] = [Text("To repeat it:"), Text(command, code=True)] if command else []
    cells = [[cell(name), cell(each)] for name, each in rows]
    blocks.append(Table("Detector, data, plan, versions", ("what", "value"), cells, fold=True))
    return Section("run", "What was run", "", blocks)


def _determinism(told: Record | None) -> str:
    if told is None:
        return "not tried"
    if told["same"]:
        return f"yes, on {told['images']} images twice"
    return f"no: two passes differ by up to {number_text(told['spread'])}"
