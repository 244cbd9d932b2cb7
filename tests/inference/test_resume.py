"""A run that is stopped at any moment loses the batch in hand; the next one goes on and says the same."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import warnings
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pytest_cropdet.errors import DetectorError
from pytest_cropdet.inference.cache import Cache, CacheWarning
from tests.data.pictures import coco, encoded
from tests.inference import resumable

IMAGES = 10
BATCHES = 15  # 5 chunks of 2 images: whole, rank 0, rank 1
CALLS = BATCHES + 1  # and the first batch once more, to see whether it comes out the same
KILLS = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Ten pictures with a bright rectangle each."""
    folder = tmp_path_factory.mktemp("data")
    dice = np.random.default_rng(5)
    content = coco(images=[], annotations=[], categories=[{"id": 1, "name": "lamp"}])
    for number in range(1, IMAGES + 1):
        pixels = dice.integers(0, 200, (32, 48, 3)).astype(np.uint8)
        left, top, width, height = dice.integers(4, 16, 4)
        pixels[top : top + height, left : left + width] = 250
        (folder / f"{number}.png").write_bytes(encoded(pixels))
        content["images"].append({"id": number, "file_name": f"{number}.png", "width": 48, "height": 32})
        box = {"bbox": [int(left), int(top), int(width), int(height)], "area": int(width * height), "iscrowd": 0}
        content["annotations"].append({"id": number, "image_id": number, "category_id": 1, **box})
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="module")
def plain(data):
    """What a run without a cache says."""
    return resumable.outcome(data, None)


def rounds(tmp_path, data, orders):
    """Run rounds one after another in one process that forks, and return what came of each."""
    path = tmp_path / "orders.json"
    path.write_text(json.dumps({"data": str(data), "rounds": orders}))
    command = [sys.executable, "-m", "tests.inference.resumable", str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=True, cwd=Path(__file__).parents[2]
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def calls(folder):
    path = folder.parent / f"{folder.name}.calls"
    return path.read_text().split() if path.exists() else []


def said(folder, place=0):
    return json.loads((folder.parent / f"{folder.name}.{place}.json").read_text())


def claims(folder):
    """The batches that somebody still says to be computing."""
    with closing(sqlite3.connect(folder / "cache.sqlite")) as db:
        return db.execute("SELECT key FROM claims").fetchall()


def as_json(value):
    return json.loads(json.dumps(value))


@pytest.fixture(scope="module")
def killed(tmp_path_factory, data):
    """Folders of caches whose run was killed at a random moment and then run again, with the exit code of the first."""
    tmp_path = tmp_path_factory.mktemp("killed")
    (clean, again), _ = rounds(tmp_path, data, [{"cache": str(tmp_path / "clean")}] * 2)
    assert clean["codes"] == again["codes"] == [0]
    dice = random.Random(11)
    moments = [(dice.randrange(CALLS), dice.uniform(0, 0.012)) for _ in range(KILLS)]  # a call takes some 5 ms
    folders = [tmp_path / f"kept {number}" for number in range(KILLS)]
    orders = [
        order
        for folder, moment in zip(folders, moments, strict=True)
        for order in ({"cache": str(folder), "kill": moment}, {"cache": str(folder)})
    ]
    found, errors = rounds(tmp_path, data, orders)
    assert not errors
    return tmp_path / "clean", [(folder, found[2 * n], found[2 * n + 1]) for n, folder in enumerate(folders)]


@pytest.mark.subprocess
def test_a_clean_run_computes_every_batch_once_and_a_second_none(killed, plain):
    clean, _ = killed
    assert len(calls(clean)) == CALLS
    assert sorted(Counter(calls(clean)).values()) == [1] * (BATCHES - 1) + [2]
    assert said(clean) == as_json(plain)


@pytest.mark.subprocess
def test_the_run_after_a_kill_says_what_a_clean_run_says(killed, plain):
    _, trials = killed
    assert sum(first["codes"] == [-signal.SIGKILL] for _, first, _ in trials) >= KILLS - 2, "too few were hit"
    for folder, _, second in trials:
        assert second["codes"] == [0]
        assert said(folder) == as_json(plain)


@pytest.mark.subprocess
def test_a_kill_costs_at_most_the_batch_in_hand(killed):
    _, trials = killed
    begun = [folder for folder, first, _ in trials if first["codes"] != [0]]
    assert begun
    for folder, _, _ in trials:
        assert CALLS <= len(calls(folder)) <= CALLS + 1


@pytest.mark.subprocess
def test_many_kills_in_a_row_cost_a_batch_each_and_the_run_ends_at_last(tmp_path, data, plain):
    folder = tmp_path / "kept"
    order = {"cache": str(folder), "stop": {"3": "kill"}}
    found, errors = rounds(tmp_path, data, [*[order] * 6, {"cache": str(folder)}])
    assert not errors
    assert [each["codes"] for each in found] == [[-signal.SIGKILL]] * 6 + [[0]]
    assert len(calls(folder)) == CALLS + 6
    assert said(folder) == as_json(plain)


@pytest.mark.subprocess
@pytest.mark.parametrize("how", ["kill", "exit", "interrupt"])
def test_whichever_call_a_process_ends_in_the_next_goes_on(tmp_path, data, plain, how):
    moments = (1, 2, 9, BATCHES, CALLS)
    folders = {call: tmp_path / str(call) for call in moments}
    orders = [
        order
        for call, folder in folders.items()
        for order in ({"cache": str(folder), "stop": {str(call): how}}, {"cache": str(folder)})
    ]
    found, errors = rounds(tmp_path, data, orders)
    assert not errors
    ends = {"kill": -signal.SIGKILL, "exit": 3, "interrupt": 130}
    assert [each["codes"] for each in found] == [[ends[how]], [0]] * len(moments)
    for folder in folders.values():
        assert len(calls(folder)) == CALLS + 1
        assert said(folder) == as_json(plain)


@pytest.mark.subprocess
def test_an_interrupt_from_the_keyboard_stops_a_run_at_once_and_loses_the_batch_in_hand(tmp_path, data, plain):
    folder = tmp_path / "kept"
    found, errors = rounds(
        tmp_path, data, [{"cache": str(folder), "kill": [5, 0.002], "signal": signal.SIGINT}, {"cache": str(folder)}]
    )
    assert not errors
    assert found[0]["codes"] == [130]
    assert found[1]["codes"] == [0]
    assert claims(folder) == []
    assert len(calls(folder)) <= CALLS + 1
    assert said(folder) == as_json(plain)


@pytest.mark.parametrize("call", [1, 2, 7, BATCHES, CALLS])
def test_a_detector_that_breaks_loses_its_batch_only(tmp_path, data, plain, call):
    folder = tmp_path / "kept"
    with pytest.raises(DetectorError, match="out of tea"):
        resumable.outcome(data, folder, {str(call): "raise"})
    assert claims(folder) == [], "nobody need wait for a batch that failed"
    assert resumable.outcome(data, folder) == plain
    assert len(calls(folder)) == CALLS + 1


@pytest.mark.subprocess
@pytest.mark.parametrize("processes", [2, 4])
def test_processes_at_once_compute_no_batch_twice_and_say_the_same(tmp_path, data, plain, processes):
    folder = tmp_path / "kept"
    found, errors = rounds(tmp_path, data, [{"cache": str(folder), "processes": processes}])
    assert not errors
    assert found[0]["codes"] == [0] * processes
    assert sorted(Counter(calls(folder)).values()) == [1] * (BATCHES - 1) + [2]
    assert claims(folder) == []
    assert [said(folder, place) for place in range(processes)] == [as_json(plain)] * processes


@pytest.mark.subprocess
def test_processes_go_on_without_one_that_is_killed(tmp_path, data, plain):
    """The claims of the dead one do not hold up the other."""
    folder = tmp_path / "kept"
    killed, going_on = {"cache": str(folder), "stop": {"4": "kill"}}, {"cache": str(folder), "processes": 3}
    found, errors = rounds(tmp_path, data, [{**killed, "processes": 2}, going_on])
    assert not errors
    assert found[0]["codes"] == [-signal.SIGKILL] * 2
    assert found[1]["codes"] == [0] * 3
    assert found[1]["seconds"] < 60
    assert len(calls(folder)) <= CALLS + 2
    assert [said(folder, place) for place in range(3)] == [as_json(plain)] * 3


@pytest.mark.parametrize("pages", [4, 14, 18, 22])
def test_a_full_disk_costs_a_warning_and_the_rest_of_the_run_is_not_kept(tmp_path, data, plain, pages, monkeypatch):
    folder = tmp_path / "kept"
    real = sqlite3.connect

    def connect(path, **options):
        db = real(path, **options)
        db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    monkeypatch.setattr(sqlite3, "connect", connect)
    counts = []
    for _ in range(2):
        before = len(calls(folder))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert resumable.outcome(data, folder) == plain
        assert [each.category for each in told] == [CacheWarning]
        assert "full" in str(told[0].message)
        counts.append(len(calls(folder)) - before)
    assert counts[0] == CALLS
    if pages == 4:  # not even the tables found room
        assert counts[1] == CALLS
    else:
        assert counts[1] < CALLS, "what had been kept is used although nothing can be added"


def test_a_cache_that_breaks_in_the_middle_costs_a_warning_and_nothing_else(tmp_path, data, plain):
    folder = tmp_path / "kept"

    class Breaking(Cache):
        """One whose file is filled with zeros after some answers."""

        count = 0

        def put(self, key, found):
            super().put(key, found)
            self.count += 1
            if self.count == 5:
                other = sqlite3.connect(self.path)
                other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                other.close()
                self.path.write_bytes(bytes(self.path.stat().st_size))

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        patch.setattr(resumable, "Cache", Breaking)
        assert resumable.outcome(data, folder) == plain
    assert {each.category for each in told} <= {CacheWarning}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheWarning)
        assert resumable.outcome(data, folder) == plain
