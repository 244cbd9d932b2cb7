"""From a run to what a ranking of several models needs of it."""

from typing import Any

import numpy as np

from pytest_cropdet.comparison import RankedRun, category_set, needed_replicates
from pytest_cropdet.evaluation import resample
from pytest_cropdet.gate.measured_data import data_digest
from pytest_cropdet.gate.measurements import Measurements
from pytest_cropdet.geometry import Floats

__all__ = ["ranked_run"]


def ranked_run(run: Measurements, model: str, models: int, gate: str = "", test: str = "") -> RankedRun:
    """Return what a ranking of so many ``models`` needs of a run; the detector is not called."""
    settings = run.settings
    detector = {key: run.detector.get(key) for key in ("name", "fingerprint")}
    return RankedRun(
        model=model,
        detector=detector,
        gate=gate,
        test=test,
        shared={
            "metric": settings.metric,
            "dataset": run.dataset,
            "images": run.images,
            "crops": run.crops,
            "plan": run.plan.spec,
            "seed": run.plan.seed,
            **_rules(run),
            "level": settings.level,
            "replicates": settings.replicates,
            "data": data_digest(run),
        },
        ap=run.metric_values,
        draws=_draws(run, max(settings.replicates, needed_replicates(models, settings.level))),
    )


def _rules(run: Measurements) -> dict[str, Any]:
    """Return what decides, beside images and windows, which objects and detections the mean counts."""
    return {
        "min_visibility": run.settings.min_visibility,
        "max_detections": run.settings.max_detections,
        "categories": category_set([each.name for each in run.categories if each.in_mean]),
    }


def _draws(run: Measurements, replicates: int) -> Floats:
    """Return (2, N): AP of reference and crop in each resample, the run's own ones first."""
    if run.drawn is not None and run.drawn.shape[1] >= replicates:
        return run.drawn
    table = run.matches["crop"]
    kept = np.isin(table.categories, [each.id for each in run.categories if each.in_mean])
    return resample(
        [run.matches["reference"], table],
        run.objects.index.unit,
        replicates=replicates,
        seed=run.settings.seed,
        categories=kept,
        metrics=[run.settings.metric],
    ).mean(run.settings.metric)
