"""A run as plain data, and the file that other programs read. Keys are added, never renamed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_cropdet.benchmark import Benchmark
from pytest_cropdet.files import write_whole
from pytest_cropdet.invariants import CheckOutcome
from pytest_cropdet.terms import encodable

if TYPE_CHECKING:
    from pytest_cropdet.search import WorstCrop
    from pytest_cropdet.search.dataset_search import Search


__all__ = [
    "RECORD_SCHEMA",
    "MissingResult",
    "benchmark_record",
    "invariant_record",
    "search_record",
    "write_json",
]

RECORD_SCHEMA = 1


def write_json(
    path: Path,
    records: Sequence[dict[str, Any]],
    benchmarks: Sequence[dict[str, Any]] = (),
    checks: Sequence[dict[str, Any]] = (),
    rankings: Sequence[dict[str, Any]] = (),
) -> None:
    """Write the results of all gates, benchmarks and checks, and rankings, to ``path``, whole or not at all."""
    told = encodable(
        {
            "schema": RECORD_SCHEMA,
            "gates": [*records],
            "benchmarks": [*benchmarks],
            "checks": [*checks],
            "rankings": [*rankings],
        }
    )
    write_whole(path, json.dumps(told, indent=2, allow_nan=False) + "\n")


def benchmark_record(found: Benchmark) -> dict[str, Any]:
    """Return a benchmark as built-in values, ready for JSON; what is undefined is ``None``."""
    return {
        "name": found.name,
        "detector": dict(found.detector),
        "dataset": found.dataset,
        "seed": found.plan.seed,
        "model_calls": found.spent.model_calls,
        "seconds": {"model": found.spent.model_seconds, "total": found.spent.total_seconds},
        "deterministic": {"same": found.repeat.same, "spread": found.repeat.spread, "images": found.repeat.images},
        "evaluator": "pytest_cropdet",
        "benchmark": found.to_dict(),
    }


def invariant_record(judged: CheckOutcome) -> dict[str, Any]:
    """Return what came of an invariant as built-in values; what is undefined is ``None``."""
    return {
        "kind": "invariant",
        "invariant": judged.name,
        "verdict": judged.verdict,
        "value": judged.value,
        "allowed": judged.allowed,
        "what": judged.what,
        "reason": judged.reason,
        "cause": type(judged.error).__name__ if judged.verdict == "fail" else None,
        "hint": judged.hint,
    }


def search_record(found: "Search") -> dict[str, Any]:
    """Return what a search came to as built-in values: the window that loses an object, or in which one scores lowest.

    Boxes and windows are in pixels of the image; ``crop`` is ``left top width height``, ``box`` is ``x0 y0 x1 y1``.
    """
    worst = found.worst
    return {
        "kind": "search",
        "verdict": found.verdict,
        "reason": found.nothing if worst is None else str(worst) if worst.lost else None,
        "worst": None if worst is None else _worst(worst),
        "images": found.images,
        "windows": found.windows,
        "calls": found.calls,
        "picture": found.picture,
        "no_picture": found.no_picture,
        "again": found.again,
    }


def _worst(worst: "WorstCrop") -> dict[str, Any]:
    crop, rules = worst.crop, worst.rules
    return {
        "sample": worst.sample,
        "size": [worst.width, worst.height],
        "crop": [crop.left, crop.top, crop.width, crop.height],
        "cut": worst.cut,
        "category": worst.category,
        "box": [float(edge) for edge in worst.box],
        "score_whole": float(worst.score_whole),
        "score_crop": float(worst.score_crop),
        "visibility": float(worst.visibility),
        "lost": bool(worst.lost),
        "shrunk": worst.shrunk,
        "rules": {
            "score": rules.score,
            "confident": rules.confident,
            "min_visibility": rules.min_visibility,
            "found_iou": rules.found_iou,
        },
        "test": worst.test,
    }


@dataclass(frozen=True, slots=True)
class MissingResult:
    """A test that gave no result, and why."""

    test: str
    why: str
