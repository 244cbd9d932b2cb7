"""Records and pictures of gates as the page takes them: of a real run, and written by hand."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import replace

import cv2
import numpy as np

from pytest_cropdet import Detections, run_benchmark
from pytest_cropdet.errors import CannotTell
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.invariants.failures import InteriorObjectLost
from pytest_cropdet.invariants.outcome import CheckOutcome
from pytest_cropdet.report.html import html_page
from pytest_cropdet.report.records import benchmark_record, invariant_record, search_record
from pytest_cropdet.report.worst_crops import worst_crop_pictures
from pytest_cropdet.search.dataset_search import search
from tests.support import (
    Data,
    Fake,
    detections,
    is_whole,
    loses_cut,
    made,
    objects,
    opinions,
    sample,
    shown_in,
    small_run,
)

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


def varied():
    """A run with objects in every part of its windows, of which some change their label, and some are newly found."""
    data = made(images=60, per_image=6)
    whole = opinions(data, seed=3, missing=0.1)
    seen = [Detections(each.truth.boxes, np.full(len(each.truth), 0.9), each.truth.categories) for each in data]

    def answer(number, crop):
        if is_whole(crop):
            return whole[number]
        shown = shown_in(seen[number] if number % 5 == 0 else whole[number], crop, 0.9)
        other = np.where((shown.boxes[:, 0] > 50) & (shown.categories == 3), 7, shown.categories)
        return Detections(shown.boxes, shown.scores, other)

    limits = {"max_drop": 0.05, "min_images": 20, "explain": "always", "replicates": 100}
    run = small_run(Fake(answer), data, "random:keep=0.6,per_image=3", **limits).named("random")
    run.judge()
    return run


def told(run, test="suite/gate.py::test_map_drop[random]"):
    """A run's record as it comes out of the JSON, and what it left."""
    return json.loads(json.dumps({**run_record(run), "test": test})), json.loads(
        json.dumps({"gallery": worst_crop_pictures(run)})
    )


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
    path.write_text(html_page([gate for gate, _ in gates], [left for _, left in gates], **more), encoding="utf-8")
    return path


MADE = {"detector": {"name": "tflite:ssd.tflite"}, "dataset": "scenes", "seed": 0}


def invariant(verdict, name="D6-interior-object-found", value=None, allowed=0.2, hint=None, **more):
    """The record of an invariant as it comes out of the JSON."""
    what, text = "share of objects that are not found", f"{value} > {allowed}: share of objects that are not found"
    errors = {"pass": None, "fail": InteriorObjectLost(f"{text}\n  {name}: An object is not found."), "skip": None}
    if verdict == "skip":
        judged = CheckOutcome(name, "skip", error=CannotTell("only 3 confident objects"))
    else:
        judged = CheckOutcome(name, verdict, value, allowed, what, errors[verdict], hint)
    return {"name": name, "test": f"t.py::test[{name}]", **MADE, **invariant_record(judged), **more}


def searched(lost=True, picture="search/one.png", **more):
    """The record of a search as it comes out of the JSON: of a detector that loses what is cut at the left."""
    cat = detections(((60.0, 30.0, 90.0, 60.0), 0.9, 3))

    def answer(number, crop):
        shown = shown_in(cat, crop)
        return Detections(shown.boxes, shown.scores * (0.1 if lost and crop.left >= 7 else 1), shown.categories)

    data = Data([sample(0, objects(((60.0, 30.0, 90.0, 60.0), 3)))])
    *_, found = search(Fake(answer, batch=1), data, examples=20)
    told = search_record(replace(found, picture=picture, again="pytest --again") if lost else found)
    return {"name": "search", "test": "t.py::test_search", **MADE, **json.loads(json.dumps(told)), **more}


def benchmark(name="benchmark", mode="quick"):
    """The record of a benchmark as it comes out of the JSON."""
    data = made(images=12)
    found = run_benchmark(loses_cut(opinions(data)), data, mode, replicates=100)
    found.name = name
    return json.loads(json.dumps({**benchmark_record(found), "test": "t.py::test_benchmark"}))


def png(width=60, height=40):
    """A PNG in base64."""
    return base64.b64encode(cv2.imencode(".png", np.full((height, width, 3), 90, np.uint8))[1].tobytes()).decode()
