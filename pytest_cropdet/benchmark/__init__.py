"""Families of crops at five severities: mPC and rPC."""

from pytest_cropdet.benchmark.cells import check_families
from pytest_cropdet.benchmark.corruption_results import (
    BENCHMARK_CORRUPTIONS,
    CorruptionScores,
    read_corruption_results,
)
from pytest_cropdet.benchmark.result import Benchmark, benchmark_events, estimate, run_benchmark

__all__ = [
    "BENCHMARK_CORRUPTIONS",
    "Benchmark",
    "CorruptionScores",
    "benchmark_events",
    "check_families",
    "estimate",
    "read_corruption_results",
    "run_benchmark",
]
