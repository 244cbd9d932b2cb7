"""Makes rows of docs/leaderboard.md: `python docs/make_leaderboard.py [ROW ...]`, all that can be made by default.

A row's benchmark is run as the page says, its record kept in docs/leaderboard/ROW.json, and the page's tables written
anew from what is kept. CROPDET_ASSETS names the folder of the detectors and photographs that are not in the repository.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pytest_cropdet import draw_benchmark
from pytest_cropdet.report.model_card import benchmark_lines, model_card

HERE = Path(__file__).resolve().parent
KEPT = HERE / "leaderboard"
PAGE = HERE / "leaderboard.md"
MARK = "<!-- rows: written by make_leaderboard.py -->"
ROWS = {
    "centernet": ("$CROPDET_ASSETS/models/centernet_coco/saved_model", "$CROPDET_ASSETS/data/coco-open-dev"),
    "ssd_mobilenet_v1": (
        "$CROPDET_ASSETS/models/ssd_mobilenet_v1_coco/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite",
        "$CROPDET_ASSETS/data/coco-open-dev",
    ),
    "shipped": ("fixtures/models/saved_model", "fixtures/scenes"),
}


def command(row: str) -> list[str]:
    """Return the command that makes a row."""
    model, data = ROWS[row]
    named = [f"--cropdet-model={model}", f"--cropdet-data={data}", f"--cropdet-json={row}.json"]
    return ["pytest", "--pyargs", "pytest_cropdet.suite", "--cropdet-benchmark=quick", *named]


def make(row: str) -> None:
    """Run a row's benchmark and keep its record, under names that are the same on every machine."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / f"{row}.json"
        arguments = [os.path.expandvars(each) for each in command(row)[:-1]]
        subprocess.run([sys.executable, "-m", *arguments, f"--cropdet-json={found}"], cwd=HERE.parent, check=True)
        keep(row, found)


def keep(row: str, found: Path) -> None:
    """Keep the record of a row's benchmark, and its figure."""
    (record,) = json.loads(found.read_text(encoding="utf-8"))["benchmarks"]
    record["detector"] = {"name": row, "fingerprint": record["detector"]["fingerprint"]}
    record["dataset"] = Path(ROWS[row][1]).name
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{row}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    draw_benchmark(record["benchmark"], row).savefig(KEPT / f"{row}.png", metadata={"Software": None})


def tables() -> str:
    """Return the page's tables."""
    kept = {
        row: json.loads((KEPT / f"{row}.json").read_text(encoding="utf-8"))
        for row in ROWS
        if (KEPT / f"{row}.json").exists()
    }
    missing = [row for row in ROWS if row not in kept]
    lines = [model_card([*kept.values()]), "", *costs(kept)]
    if missing:
        lines += ["", f"Not measured yet: {', '.join(missing)}."]
    for row in ROWS:
        lines += ["", f"**{row}**", "", "```console", *shown(command(row)), "```"]
        if row in kept:
            lines += ["", f"![AP by family and severity]({KEPT.name}/{row}.png)", ""]
            lines += ["```text", *benchmark_lines(kept[row]), "```"]
    return "\n".join(lines)


def shown(arguments: list[str]) -> list[str]:
    """Return a command in three lines."""
    return [f"$ {' '.join(arguments[:4])} \\", f"    {arguments[4]} \\", f"    {' '.join(arguments[5:])}"]


def costs(kept: dict) -> list[str]:
    """Return a table of what the rows took."""
    lines = ["| detector | fingerprint | pictures | computed | detector time | run time |", "|---|---|---|---|---|---|"]
    for row, record in kept.items():
        found, seconds, sent = record["benchmark"], record["seconds"], record["model_calls"]
        each = f", {1000 * seconds['model'] / sent:.0f} ms per call" if sent else ""
        pictures = f"{found['images'] + found['crops']:,} | {sent:,}"
        known = record["detector"]["fingerprint"][:12]
        lines.append(f"| {row} | {known} | {pictures} | {seconds['model']:.0f} s{each} | {seconds['total']:.0f} s |")
    return lines


def write() -> None:
    """Write the tables into the page, below the mark."""
    head, _, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    PAGE.write_text(f"{head}{MARK}\n\n{tables()}\n", encoding="utf-8")


if __name__ == "__main__":
    wanted = sys.argv[1:] or [row for row in ROWS if "CROPDET_ASSETS" in os.environ or row == "shipped"]
    for each in wanted:
        make(each)
    write()
