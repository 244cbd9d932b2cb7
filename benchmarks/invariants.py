"""Measures every invariant of a detector on the shipped detectors, and on those of CROPDET_ASSETS where it is set.

`python benchmarks/invariants.py` prints the table of docs/invariants.md.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pytest_cropdet import Dataset, Detector, load_dataset, load_detector
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.invariants.detector import INVARIANT_CHECKS, CannotTell, measure
from pytest_cropdet.invariants.observations import Evidence

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "fixtures" / "models"


def detectors() -> Iterator[tuple[str, Detector, Dataset]]:
    """Yield name, detector and data set."""
    scenes = load_dataset(ROOT / "fixtures" / "scenes")
    labels = str(MODELS / "labels.txt")
    yield "shipped SSD", load_detector(MODELS / "saved_model", labels=labels, nms_iou=0.6), scenes
    floats = load_detector(
        MODELS / "saved_model_float", labels=labels, nms_iou=0.6, resize="stretch", range="0..255", batch=8
    )
    yield "shipped SSD, float", floats, scenes
    if "CROPDET_ASSETS" not in os.environ:
        return
    assets = Path(os.environ["CROPDET_ASSETS"])
    photographs = load_dataset(assets / "data" / "coco-open-dev")
    yield "CenterNet", load_detector(assets / "models" / "centernet_coco" / "saved_model"), photographs
    mobile = next((assets / "models" / "ssd_mobilenet_v1_coco").glob("*.tflite"))
    yield "SSD MobileNet", load_detector(mobile, nms_iou=0.6), photographs


def main() -> None:
    """Print one row an invariant, one column a detector: what is measured, ``-`` where it cannot be told."""
    cells = {name: [] for name in INVARIANT_CHECKS}
    heads, reasons = [], {}
    for head, detector, data in detectors():
        heads.append(head)
        examples = int(sys.argv[1]) if sys.argv[1:] else 240
        evidence = Evidence(detector, list(data), examples=examples, names=data.categories)
        for name in INVARIANT_CHECKS:
            try:
                value, most, _ = measure(name, evidence)
                cells[name].append(f"{value:.3g}{'' if value <= most else ' **fails**'}")
            except CannotTell as error:
                cells[name].append("-")
                reasons[name, head] = str(error)
            except (AssertionError, DetectorError) as error:
                cells[name].append(f"**{type(error).__name__}**")
                reasons[name, head] = str(error)
        print(head, {name: row[-1] for name, row in cells.items()}, file=sys.stderr, flush=True)
    print(f"| invariant | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for name, row in cells.items():
        print(f"| {name} | {' | '.join(row)} |")
    for (name, head), reason in reasons.items():
        print(f"{head}, {name}: {reason}")


if __name__ == "__main__":
    main()
