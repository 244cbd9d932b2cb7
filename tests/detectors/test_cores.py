"""How many calls of a detector run at once: never more threads than the process may use."""

from __future__ import annotations

import os

import pytest

from pytest_cropdet import load_detector
from pytest_cropdet.detectors import cores
from pytest_cropdet.detectors.cores import available_cores, calls_on, threads_per_call, workers_note
from pytest_cropdet.detectors.description import Description


@pytest.fixture
def machine(monkeypatch):
    """Say how many cores there are, and how many workers of pytest-xdist share them."""

    def of(count, processes=None):
        monkeypatch.setattr(cores, "available_cores", lambda: count)
        if processes is None:
            monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
        else:
            monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", str(processes))

    return of


@pytest.mark.parametrize("count", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("processes", [None, 1, 2, 3, 100])
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("workers", [None, 1, 2, 7, 1000])
def test_all_threads_of_all_processes_fit_on_the_cores(machine, count, processes, threads, workers):
    machine(count, processes)
    calls = calls_on(threads, workers)
    assert calls >= 1
    assert calls == 1 or calls * threads * (processes or 1) <= count
    assert workers is None or calls <= workers
    if workers is None:  # and none is left idle
        assert (calls + 1) * threads * (processes or 1) > count


def test_calls_that_cannot_run_at_once_run_alone(machine):
    machine(8)
    assert calls_on(None, None) == calls_on(None, 4) == 1


@pytest.mark.parametrize(
    ("kind", "threads", "processes", "wanted"),
    [
        ("tflite", None, None, 1),
        ("tflite", 3, None, 3),
        ("onnx", None, None, None),
        ("onnx", 1, None, 1),
        ("onnx", None, 2, 1),
        ("saved_model", None, None, None),
        ("saved_model", 1, None, None),
        ("keras", None, None, None),
        ("frozen_graph", None, None, None),
    ],
)
def test_what_a_call_takes_follows_from_the_kind(machine, kind, threads, processes, wanted):
    machine(8, processes)
    assert threads_per_call(kind, Description(threads=threads)) == wanted


def test_functions_of_the_users_own_are_called_one_at_a_time(machine):
    machine(8)
    detector = load_detector(lambda images: [])
    detector.workers = 4
    assert detector.calls_at_once() == 1


def test_the_cores_of_this_process_are_those_of_its_affinity(tmp_path):
    wanted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert available_cores(tmp_path, tmp_path / "none") == wanted


@pytest.mark.parametrize(
    ("group", "files", "wanted"),
    [
        ("0::/a/b", {"a/b/cpu.max": "300000 100000"}, 3),
        ("0::/a/b", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "max 100000"}, 2),
        ("0::/", {"cpu.max": "50000 100000"}, 1),
        ("0::/a", {"a/cpu.max": "max 100000"}, 16),
        ("0::/a", {"a/cpu.max": "nonsense"}, 16),
        ("0::/a", {"a/cpu.max": "100000 0"}, 16),
        ("4:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "400000", "cpu/a/cpu.cfs_period_us": "100000"}, 4),
        ("4:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, 16),
        ("5:memory:/a", {"a/cpu.max": "100000 100000"}, 16),
        ("nonsense", {}, 16),
    ],
)
def test_a_container_with_less_time_than_cores_counts(tmp_path, monkeypatch, group, files, wanted):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)
    own = tmp_path / "own"
    own.write_text(f"{group}\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_cores(tmp_path, own) == wanted


def test_a_user_reads_why_fewer_run_at_once_than_were_set(machine):
    machine(4, 2)
    assert workers_note(1, None) is workers_note(1, 2) is workers_note(None, 1) is None
    assert workers_note(1, 3) == "--cropdet-workers=3: 2 at once, because there are 2 cores and a call takes 1"
    assert "one call at a time" in workers_note(None, 2)
    assert "--cropdet-detector=threads=1" in workers_note(None, 2)
