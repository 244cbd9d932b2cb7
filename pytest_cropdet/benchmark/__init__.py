"""Families of crops at five severities: mPC and rPC."""

from pytest_cropdet.benchmark.result import Benchmark, Planned, benchmark_events, estimate, run_benchmark

__all__ = ["Benchmark", "Planned", "benchmark_events", "estimate", "run_benchmark"]
