"""Records and pictures of gates as the page takes them: of a real run, and written by hand."""

from __future__ import annotations

import base64
import copy
import json

import cv2
import numpy as np

from pytest_cropdet.report.gallery import gallery
from pytest_cropdet.report.html import page
from pytest_cropdet.report.json import record

from ..support import loses_cut, made, opinions, small_run

HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "שלום עולם",
    "🚗 car & {{ 7*7 }}",
    "</style>",
]


def lossy(names=None, **changes):
    """A run whose detector loses what is cut, with everything that a record may hold."""
    data = made(images=30, categories=names or {3: "cat", 7: "dog", 12: "bird"})
    limits = {"max_drop": 0.05, "min_images": 20, "explain": "always", "replicates": 200}
    run = small_run(loses_cut(opinions(data)), data, **{**limits, **changes}).named("random")
    run.judge()
    return run


def told(run, test="suite/gate.py::test_map_drop[random]"):
    """A run's record as it comes out of the JSON, and what it left."""
    return json.loads(json.dumps({**record(run), "test": test})), json.loads(json.dumps({"gallery": gallery(run)}))


def without(gate, *keys):
    """A record in which ``keys`` are ``None``."""
    return {**copy.deepcopy(gate), **dict.fromkeys(keys)}


def anchors():
    """What a detector with anchors adds to a record."""
    each = {"value": 0.75, "low": 0.7, "high": 0.8}
    return {
        "anchors": 1917,
        "objects": 120,
        "recall": {name: {"0.5": each, "0.7": each} for name in ("whole", "crop", "fall")},
        "strides": {"whole": each, "crop": each},
        "odds_ratio": {"value": 3.5, "low": 1.2, "high": None, "table": [[3, 4], [5, 6]]},
    }


def picture(width=40, height=30, value=90):
    """A JPEG in base64."""
    return base64.b64encode(cv2.imencode(".jpg", np.full((height, width, 3), value, np.uint8))[1].tobytes()).decode()


def many_categories(gate, number):
    """The record with that many categories, everywhere it lists them."""
    changed = copy.deepcopy(gate)
    category, bin_ = changed["categories"][0], changed["where"]["category"][0]
    fate = next(iter(changed["fates"]["by_category"].values()))
    names = [f"category {place:04}" for place in range(number)]
    changed["categories"] = [{**category, "name": name} for name in names]
    changed["where"]["category"] = [{**bin_, "label": name} for name in names]
    changed["fates"]["by_category"] = dict.fromkeys(names, fate)
    return changed


def write_page(path, *gates, **more):
    """Write the page of ``(record, left)`` and return its path."""
    path.write_text(page([gate for gate, _ in gates], [left for _, left in gates], **more), encoding="utf-8")
    return path
