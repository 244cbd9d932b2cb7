"""Runs that are stopped at any moment: started by test_resume.py in a process of their own, which forks one for each.

python resumable.py ORDERS: a JSON file with the folder of the data, and the rounds to run one after another. A round is
``{"cache": folder, "processes": n, "kill": [calls, seconds], "signal": number, "stop": {call: how}}``; what came out is
printed as JSON, one line a round. ``kill``: so many seconds after the detector was called so often. The detector leaves
a line in ``calls`` beside the cache for every call: the hash of the pixels it was given.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np

from pytest_cropdet import load_dataset
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.gate.runner import Finished, events
from pytest_cropdet.inference.cache import Cache
from pytest_cropdet.settings import RunSettings

SETTINGS = RunSettings("random:keep=0.6,per_image=2", replicates=100, max_drop=0.2, explain="off")
FALSE = 20  # false positives a picture, so that answers take some room


class Detector:
    """Finds the bright pixels; it may break, exit, or be killed at a given call."""

    batch = 2
    fingerprint = "bright 1"

    def __init__(self, calls, stop=None):
        self.calls = calls
        self.stop = stop or {}
        self.count = 0

    def __call__(self, images):
        self.count += 1
        digest = hashlib.sha256(b"".join(image.tobytes() + repr(image.shape).encode() for image in images))
        with self.calls.open("a") as stream:
            stream.write(f"{digest.hexdigest()}\n")
        how = self.stop.get(str(self.count))
        if how == "raise":
            raise RuntimeError("out of tea")
        if how == "exit":
            os._exit(3)
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.004)
        return [find(image) for image in images]


def find(image):
    rows, columns = np.nonzero(image.min(axis=2) == 250)
    boxes = [(place, 0, place + 2, 2) for place in range(FALSE)]
    if len(rows):
        boxes.insert(0, (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    return Detections(boxes, np.linspace(0.9, 0.1, len(boxes)), [1] * len(boxes))


def outcome(data, folder, stop=None):
    """The record of a run, but for what it took."""
    store = None if folder is None else Cache(folder)
    calls = data.parent / "calls" if folder is None else folder.parent / f"{folder.name}.calls"
    for event in events(Detector(calls, stop), load_dataset(data), SETTINGS, cache=store):
        if isinstance(event, Finished):
            found = run_record(event.run)
    if store is not None:
        store.close()
    return {key: value for key, value in found.items() if key not in ("seconds", "model_calls")}


def child(data, order, place):
    code = 1
    try:
        folder = Path(order["cache"])
        text = json.dumps(outcome(data, folder, order.get("stop")))
        (folder.parent / f"{folder.name}.{place}.json").write_text(text)
        code = 0
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def run_round(data, order):
    begun = time.monotonic()
    children = []
    for place in range(order.get("processes", 1)):
        pid = os.fork()
        if not pid:
            child(data, order, place)
        children.append(pid)
    if order.get("kill") is not None:
        count, seconds = order["kill"]
        folder = Path(order["cache"])
        calls = folder.parent / f"{folder.name}.calls"
        while count and not (calls.exists() and len(calls.read_text().split()) >= count):
            time.sleep(0.0005)
        time.sleep(seconds)
        for pid in children:
            os.kill(pid, order.get("signal", signal.SIGKILL))
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    return {"codes": codes, "seconds": time.monotonic() - begun}


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it starts in the background ignore it
    orders = json.loads(Path(sys.argv[1]).read_text())
    for each in orders["rounds"]:
        print(json.dumps(run_round(Path(orders["data"]), each)), flush=True)
