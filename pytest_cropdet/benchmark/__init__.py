"""Families of crops at five severities: mPC and rPC."""

from pytest_cropdet.benchmark.cells import check_families
from pytest_cropdet.benchmark.result import Benchmark, benchmark_events, estimate, run_benchmark

__all__ = ["Benchmark", "benchmark_events", "check_families", "estimate", "run_benchmark"]
