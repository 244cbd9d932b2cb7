"""After a gate nothing keeps its detections: memory grows by match tables and samples, in a run by little more."""

from __future__ import annotations

import gc
import importlib.util
import sys
import tracemalloc
from pathlib import Path

import pytest

FEW, MANY = 270, 470  # images: more than a block of them, so that what a block needs is in both
KEPT = 21_000  # bytes per image; 500 detections per image, kept as arrays, are 24,000 more
AT_MOST = 36_000  # bytes per image while it runs; all boxes at once are 20,000 more


@pytest.fixture
def benchmark(monkeypatch):
    spec = importlib.util.spec_from_file_location("cropdet_memory", Path(__file__).parents[2] / "benchmarks/memory.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def traced(work):
    """What is left of a piece of work, and the most that there was, in bytes."""
    gc.collect()
    tracemalloc.start()
    try:
        result = work()
        gc.collect()
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return result, kept, most


@pytest.mark.slow
def test_memory_grows_by_match_tables_and_samples_alone(benchmark):
    benchmark.gate(20)  # what is imported on the way is nobody's detections
    _, kept, most = traced(lambda: benchmark.gate(FEW, 100))
    run, kept_of_many, most_of_many = traced(lambda: benchmark.gate(MANY, 100))
    assert (kept_of_many - kept) / (MANY - FEW) < KEPT
    assert (most_of_many - most) / (MANY - FEW) < AT_MOST
    for name, table in run.matches.items():
        assert benchmark.bytes_of(table) / len(table.rows) < benchmark.PER_DETECTION, name
