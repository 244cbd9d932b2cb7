"""The history's file: lines of several processes do not mix, damaged ones are named and left out."""

import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path

import pytest

import pytest_cropdet
from pytest_cropdet.comparison.history_file import append_history, history_line, read_history
from pytest_cropdet.gate.run_entry import run_record
from tests.comparison.histories import content, write
from tests.support import made, opinions, same, small_run

APPEND = """
import sys
from pathlib import Path
from pytest_cropdet.comparison.history_file import append_history
from tests.comparison.histories import content
for number in range(40):
    append_history(Path(sys.argv[1]), [content(number, test=f"{sys.argv[2]}-{number}-{'x' * 3000}"), content(number)])
"""


def test_lines_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "deep" / "history.jsonl"
    append_history(path, [content(0), content(1, gate="größer\u2028\n\udce9")])
    append_history(path, [])
    append_history(path, [content(2)])
    lines, damaged = read_history(path)
    assert damaged == []
    assert [each.number for each in lines] == [1, 2, 3]
    assert [each.content["commit"] for each in lines] == [content(number)["commit"] for number in range(3)]
    assert lines[1].gate == "größer\u2028\n\\udce9"
    assert path.read_text().count("\n") == 3


@pytest.mark.subprocess
def test_lines_of_several_processes_do_not_mix(tmp_path):
    path, root = tmp_path / "history.jsonl", Path(pytest_cropdet.__file__).parents[1]
    command = [sys.executable, "-c", APPEND, str(path)]
    running = [subprocess.Popen([*command, name], cwd=root) for name in "abc"]
    assert [each.wait(timeout=120) for each in running] == [0, 0, 0]
    lines, damaged = read_history(path)
    assert (len(lines), damaged) == (240, [])
    long = [len(each.content["test"]) > 3000 for each in lines]
    assert long == [True, False] * 120  # the two lines of one write stay together


def test_the_lines_of_a_session_are_one_write_under_a_lock(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="needs locks of files")
    done, write_all, lock = [], os.write, fcntl.flock
    monkeypatch.setattr(os, "write", lambda number, data: done.append("write") or write_all(number, data))
    monkeypatch.setattr(fcntl, "flock", lambda number, what: done.append(what) or lock(number, what))
    append_history(tmp_path / "history.jsonl", [content(number) for number in range(100)])
    assert done == [fcntl.LOCK_EX, "write", fcntl.LOCK_UN]


def test_a_line_that_was_not_finished_takes_no_other_with_it(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text(json.dumps(content(0))[:90])
    append_history(path, [content(1)])
    lines, damaged = read_history(path)
    assert [each.number for each in lines] == [2]
    assert [each.number for each in damaged] == [1]


def test_what_cannot_be_written_whole_is_taken_back(tmp_path, monkeypatch):
    path, write_all = tmp_path / "history.jsonl", os.write
    append_history(path, [content(0)])
    before = path.read_bytes()
    monkeypatch.setattr(os, "write", lambda number, data: write_all(number, data[:50]))
    with pytest.raises(OSError, match=r"50 of .* bytes were written"):
        append_history(path, [content(1)])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ('{"schema": 1', "it is no JSON"),
        ("[1]", "it is no line of a history"),
        ({**content(), "schema": 2}, "its schema is 2, this version reads 1"),
        ({key: value for key, value in content().items() if key != "drop"}, "there is no 'drop'"),
        ({**content(), "drop": {"value": "0.1", "low": None, "high": None}}, "its drop is"),
        ({**content(), "drop": {"value": 0.1}}, "there is no 'low'"),
        ({**content(), "limit": True}, "its limit is True"),
        ({**content(), "gate": ""}, "its gate is ''"),
        ({**content(), "limit": 10**400}, "its limit is 1000"),
        ({**content(), "images": 10**400}, "its images is 1000"),
        ({**content(), "detector": {"name": "net", "fingerprint": [1]}}, "its detector is"),
        ({**content(), "time": "yesterday"}, "yesterday"),
        ({**content(), "time": "2026-01-01T12:00:00"}, "has no time zone"),
        (json.dumps(content()).replace("0.03", "NaN"), "its drop is"),
        ("[" * 100_000, "recursion"),
        ("\x80\udcff", "utf-8"),
    ],
)
def test_a_damaged_line_is_named_and_left_out(tmp_path, wrong, why):
    path = tmp_path / "history.jsonl"
    row = wrong if isinstance(wrong, str) else json.dumps(wrong)
    rows = [json.dumps(content(0)), "", row, json.dumps(content(1))]
    path.write_bytes("\n".join(rows).encode("utf-8", "surrogateescape"))
    lines, damaged = read_history(path)
    assert [each.number for each in lines] == [1, 4]
    (found,) = damaged
    assert found.number == 3
    assert why.lower() in str(found).lower()


def test_a_line_has_what_its_gate_measured(tmp_path):
    data = made(images=12)
    run = small_run(same(opinions(data)), data, max_drop=Fraction(1, 20), min_images=10, metric="AP50").named("random")
    run.judge()
    record = json.loads(json.dumps({**run_record(run), "test": "test_it"}))
    when = datetime(2026, 1, 2, tzinfo=timezone.utc)
    found = history_line(record, when, None, None, "1.0")
    assert found["time"] == "2026-01-02T00:00:00+00:00"
    assert found["drop"] == record["drop"]
    assert found["ap"] == record["ap50"] != record["ap"]
    assert found["limits"][0]["limit"] == record["settings"]["max_drop"] == 0.05
    assert (found["verdict"], found["limit"]) == (record["verdict"], 0.05)
    assert found["data"]["digest"] == record["data_digest"]
    path = write(tmp_path / "history.jsonl", [found])
    assert read_history(path)[0][0].content == json.loads(json.dumps(found))
