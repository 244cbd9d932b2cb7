"""Lines of a history by number: a gate at some commits, with drops that are given."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta, timezone

from pytest_cropdet.comparison.history_file import HistoryLine

START = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
LINE = {
    "schema": 1,
    "time": START.isoformat(),
    "commit": "a" * 40,
    "dirty": False,
    "gate": "random",
    "test": "test_gate",
    "verdict": "pass",
    "limit": 0.05,
    "metric": "mAP",
    "drop": {"value": 0.03, "low": 0.02, "high": 0.04, "level": 0.95},
    "ap": {"reference": 0.7, "crop": 0.67},
    "limits": [],
    "images": 100,
    "crops": 200,
    "objects": 500,
    "detector": {"name": "net.tflite", "fingerprint": "f"},
    "data": {"name": "instances.json", "digest": "d"},
    "plan": "random:keep=0.5",
    "seed": 0,
    "rules": {"min_visibility": 0.5, "max_detections": 100, "categories": "3 (abc)"},
    "version": "0",
}


def content(number=0, value=0.03, half=0.01, **changes):
    """The line of commit ``number``, a day after the one before; with ``value=None`` its drop is undefined."""
    found = copy.deepcopy(LINE)
    found |= {"time": (START + timedelta(days=number)).isoformat(), "commit": f"{number + 1:x}".rjust(3, "c") * 14}
    found["commit"] = found["commit"][:40]
    low, high = (None, None) if value is None else (value - half, value + half)
    found["drop"] |= {"value": value, "low": low, "high": high}
    return found | changes


def line(number=0, value=0.03, half=0.01, **changes):
    """The same as it was read."""
    told = content(number, value, half, **changes)
    return HistoryLine(number + 1, datetime.fromisoformat(told["time"]), told)


def write(path, contents):
    """Write lines, text as it is."""
    rows = [each if isinstance(each, str) else json.dumps(each) for each in contents]
    path.write_text("".join(f"{row}\n" for row in rows))
    return path
