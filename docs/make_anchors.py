"""Makes the table of docs/anchors.md: `python docs/make_anchors.py`, some minutes of the shipped detector."""

from pathlib import Path
from typing import Any

from pytest_cropdet import load_dataset, load_detector, run

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "fixtures" / "models"
PAGE = ROOT / "docs" / "anchors.md"
BEGIN, END = "<!-- written by make_anchors.py -->", "<!-- end -->"
CROPS = (
    "random:keep=0.9,per_image=2",
    "random:keep=0.3,per_image=2",
    "random:keep=0.15,per_image=2",
    "object:severity=3",
    "object:severity=5",
)
HEAD = ("crops", "recall at 0.5, whole", "crop", "mAP lost", "odds ratio")


def shown(number: Any, digits: int = 3) -> str:
    """Return a number with its bounds."""
    if number.value is None or number.low is None or number.high is None:
        return "-" if number.value is None else f"{number.value:.{digits}f}"
    return f"{number.value:.{digits}f} [{number.low:.{digits}f}, {number.high:.{digits}f}]"


def table() -> str:
    """Return a row for each of the crops."""
    detector = load_detector(MODELS / "ssd_nms.tflite", range="0..255", anchors=str(MODELS / "ssd_anchors.json"))
    data = load_dataset(ROOT / "fixtures" / "scenes")
    rows = [HEAD, ("---",) * len(HEAD)]
    for crops in CROPS:
        found = run(detector, data, crops=crops)
        report = found.anchors
        recall = [f"{report.recall[side][0.5].value:.3f}" for side in ("whole", "crop")]
        rows.append((f"`{crops}`", *recall, shown(found.drop), shown(report.lost_with_anchor, 1)))
        print(rows[-1], flush=True)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Write the table between its two marks."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
