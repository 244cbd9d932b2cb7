"""Draws the pictures of docs/history.md, from numbers made up for it: `python docs/make_trend_picture.py`."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pytest_cropdet.commands import main as command

IMAGES = Path(__file__).with_name("images")
LIMIT, BOUND = 0.05, 0.012
DROPS = (*[0.03] * 9, *[0.022] * 6, *[0.052] * 5, *[0.035] * 4)  # by commit: better once, then worse, then repaired


def lines() -> list[dict[str, object]]:
    """Return a history of 24 commits, one every third day."""
    noise, found = np.random.default_rng(4), []
    for number, true in enumerate(DROPS):
        value = round(float(true + 0.002 * noise.normal()), 4)
        low, high = value - BOUND, value + BOUND + 0.002
        verdict = "pass" if high <= LIMIT else "fail" if low > LIMIT else "undecided"
        found.append(
            {
                "schema": 1,
                "time": f"2026-0{1 + number * 3 // 28}-{1 + number * 3 % 28:02}T12:00:00+00:00",
                "commit": f"{(number + 3) * 2654435761 * 97 % 2**40:010x}" * 4,
                "gate": "random",
                "verdict": verdict,
                "limit": LIMIT,
                "metric": "mAP",
                "drop": {"value": value, "low": low, "high": high, "level": 0.95},
                "ap": {"reference": 0.67, "crop": 0.67 - value},
                "images": 400,
                "detector": {"name": "detector.tflite", "fingerprint": str(true)},
                "data": {"name": "val/instances.json", "digest": "d"},
                "plan": "random:keep=0.3-0.9,per_image=4",
                "seed": 0,
                "rules": {},
            }
        )
    return found


def main() -> None:
    """Draw the trend and a badge."""
    IMAGES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        history, result = Path(folder) / "crops.jsonl", Path(folder) / "results.json"
        told = lines()
        history.write_text("".join(f"{json.dumps(each)}\n" for each in told))
        command(["trend", str(history), "-o", folder])
        (IMAGES / "trend.png").write_bytes((Path(folder) / "trend.png").read_bytes())
        gate = {**told[-1], "name": "random", "verdicts": []}
        result.write_text(json.dumps({"schema": 1, "gates": [gate]}))
        command(["badge", str(result), "-o", str(IMAGES / "badge.svg")])


if __name__ == "__main__":
    main()
