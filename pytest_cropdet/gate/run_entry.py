"""A run as plain data: the entry of ``gates`` in the JSON file. Keys are added, never renamed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from numbers import Integral, Real
from typing import Any

from pytest_cropdet.evaluation import Measure
from pytest_cropdet.gate.facts import RunFacts
from pytest_cropdet.gate.limits import verdict_records, worst_verdict
from pytest_cropdet.gate.measured_data import data_digest
from pytest_cropdet.gate.own_measures import measure_records

__all__ = ["bounds", "run_record"]


def run_record(run: RunFacts) -> dict[str, Any]:
    """Return a run as built-in values, ready for JSON; what is undefined is ``None``."""
    verdicts = verdict_records(run.all_verdicts, run.images)
    drop = worst_verdict({"verdicts": verdicts}, run.drop.name)
    deciding = [each for each in verdicts if each["outcome"] == run.verdict]
    causes = run.explanation.causes
    details = dict.fromkeys(("errors", "labels", "bias", "where", "shift", "anchors"))
    if causes is not None or run.settings.explain == "always":
        details = run.details.to_dict()
    return {
        "name": run.name,
        "verdict": run.verdict,
        "test_error": None,
        "limit": None if drop is None else drop["limit"],
        "metric": "lost" if run.agreement else run.settings.metric,
        "drop": {"value": run.drop.value, "low": run.drop.low, "high": run.drop.high, "level": run.drop.level},
        "verdict_reason": next((each["reason"] for each in deciding if each["reason"]), None),
        "verdict_reasons": list(
            dict.fromkeys(reason for each in run.all_verdicts if each.outcome == run.verdict for reason in each.reasons)
        ),
        "ratio": bounds(run.ratio),
        "crop_ap": bounds(run.crop_ap),
        "ap": dict(run.ap),
        "ap50": dict(run.ap50),
        "ap75": dict(run.ap75),
        "whole_images": None if run.whole_images is None else dict(run.whole_images),
        "images": run.images,
        "crops": run.crops,
        "objects": run.scored_objects,
        "distinct_objects": run.distinct_objects,
        "model_calls": run.spent.model_calls,
        "seconds": {"model": run.spent.model_seconds, "total": run.spent.total_seconds},
        "seed": run.plan.seed,
        "plan": run.plan.spec,
        "windows": _windows(run),
        "detector": dict(run.detector),
        "dataset": run.dataset,
        "data_digest": data_digest(run),
        "settings": {each.name: _built_in(getattr(run.settings, each.name)) for each in fields(run.settings)},
        "data_warnings": [dict(each) for each in run.data_warnings],
        "pairing": None if run.answers is None else run.answers.pairing.to_dict(),
        "speaks_for": dict(run.speaks_for),
        "cap": {"share": run.cap.share, "rows": run.cap.rows, "binds": run.cap.binds},
        "cap_check": run.caps.to_dict(),
        "evaluator_cap": run.caps.evaluator.to_dict(),
        "max_detections": run.settings.max_detections,
        "controls": {**run.controls, "chain": None if causes is None else causes.to_dict()},
        "steps": None if causes is None else [step.to_dict() for step in causes.chain.steps],
        "fates": None if causes is None else causes.fates.to_dict(),
        "advice": None if causes is None else run.advice.to_dict(),
        **details,
        "operating_point": {
            "score": run.hidden.score,
            "recall": dict(run.hidden.recall),
            "precision": dict(run.hidden.precision),
        },
        "hidden": run.hidden.to_dict(),
        "deterministic": None
        if run.repeat is None
        else {"same": run.repeat.same, "spread": run.repeat.spread, "images": run.repeat.images},
        "looks": [asdict(look) for look in run.looks],
        "model_calls_spared": run.spent.spared,
        "hint": run.hint,
        "worst": None
        if run.worst is None
        else {
            "image": run.worst.sample,
            "crop": [run.worst.crop.left, run.worst.crop.top, run.worst.crop.width, run.worst.crop.height],
            "lost": run.worst.lost,
            "found": run.worst.found,
        },
        "evaluator": "pytest_cropdet",
        "categories": [
            {
                "name": each.name,
                "reference": each.reference,
                "crop": each.crop,
                "drop": each.drop,
                "low": run.by_category[each.name].low,
                "high": run.by_category[each.name].high,
                "objects": each.objects,
                "images": each.images,
                "in_mean": each.in_mean,
            }
            for each in run.categories
            if each.objects
        ],
        "verdicts": verdicts,
        "measures": measure_records(run),
        "against": None
        if run.comparison is None
        else {**run.comparison.to_dict(), "grown_steps": [step.to_dict() for step in run.grown_steps]},
    }


def _built_in(value: Any) -> Any:
    """Return a setting as JSON has it: a user may state a fraction or a NumPy number."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): _built_in(each) for key, each in value.items()}
    if isinstance(value, Sequence):
        return [_built_in(each) for each in value]
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else str(value)


def bounds(measure: Measure) -> dict[str, float | None]:
    """Return a measure's value and its bounds."""
    return {"value": measure.value, "low": measure.low, "high": measure.high}


def _windows(run: RunFacts) -> dict[str, list[list[int]]] | None:
    """Return windows that were drawn or given, ``left top width height``; others follow from spec and seed."""
    if run.plan.file is None and not run.plan.given:
        return None
    rows = run.plan.windows.items()
    return {name: [[each.left, each.top, each.width, each.height] for each in crops] for name, crops in rows}
