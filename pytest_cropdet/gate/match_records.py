"""From a run to what pairing needs of it: its match tables, and what they were made by."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pytest_cropdet.comparison import MatchRecord
from pytest_cropdet.data import Sample
from pytest_cropdet.errors import SpecError
from pytest_cropdet.gate.measurements import Measurements
from pytest_cropdet.geometry import Crop

__all__ = ["digest_of_image", "hash_of_file", "match_record"]

EVALUATOR = 1  # raised whenever other detections would match other objects


def match_record(run: Measurements, file_hash: Callable[[Path], str] | None = None) -> MatchRecord:
    """Return what pairing needs of a run; ``SpecError`` if it has no ground truth.

    ``file_hash`` of a picture: with it, other pixels in an image of the same name are noticed.
    """
    if run.agreement:
        raise SpecError(
            "without ground truth each model is compared with its own whole images, so two models cannot be paired"
        )
    settings, samples = run.settings, run.objects.index.samples
    ids = run.matches["crop"].categories.tolist()
    names = {int(each): run.scored.names[each] for each in ids}
    cap = run.cap.text if run.cap.binds else None
    beyond = run.caps.evaluator.text if run.caps.evaluator.binds else None
    return MatchRecord(
        detector=run.detector,
        dataset=run.dataset,
        rules={
            "evaluator": EVALUATOR,
            "min_visibility": settings.min_visibility,
            "max_detections": settings.max_detections,
        },
        plan=run.plan.spec,
        seed=run.plan.seed,
        images=tuple(sample.id for sample in samples),
        digests=tuple(
            (digest_of_image(sample, run.plan.windows[sample.id], run.scored.names), _content(sample, file_hash))
            for sample in samples
        ),
        unit=run.objects.index.unit,
        names=names,
        chosen=tuple(map(int, run.scored.chosen)),
        kept=tuple(int(each.id) for each in run.categories if each.in_mean),
        matches={name: table.counted for name, table in run.matches.items()},
        counted=run.scored.point.counted,
        found=run.scored.point.found,
        score=run.scored.point.score,
        capped={"drop": cap or beyond, "AP(crop)": beyond},
        spread=_spread(run),
        numbers=_numbers(run),
    )


def hash_of_file(path: Path) -> str:
    """Return a hash of a file's content."""
    with path.open("rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def _spread(run: Measurements) -> float | None:
    """Return by how much two passes of the detector differ; ``None`` if they do not, infinite if it is unknown."""
    if run.repeat is None or run.repeat.same:
        return None
    return math.inf if run.repeat.spread is None else run.repeat.spread


def _numbers(run: Measurements) -> dict[str, Any]:
    """Return what a person wants to read of a run."""
    metric = run.settings.metric
    return {
        "metric": metric,
        "whole": run.metric_values["reference"],
        "crop": run.metric_values["crop"],
        "drop": run.drop.bounds(),
        "lost": run.lost.bounds(),
        "images": run.images,
        "crops": run.crops,
        "objects": run.scored_objects,
        "operating_point": run.hidden.score,
    }


def digest_of_image(sample: Sample, windows: Sequence[Crop], names: Mapping[int, str]) -> str:
    """Return a hash of an image's size, its objects by the names of their categories, and its windows."""
    truth, digest = sample.truth, hashlib.sha256(f"{sample.width} {sample.height}\0".encode())
    for array, kind in ((truth.boxes, "<f8"), (truth.areas, "<f8"), (truth.crowd, "u1"), (truth.ignored, "u1")):
        digest.update(np.ascontiguousarray(array).astype(kind).tobytes())
    digest.update("\0".join(names[int(each)] for each in truth.categories).encode("utf-8", "backslashreplace"))
    digest.update(f"\0{None if sample.checked is None else sorted(sample.checked)}".encode())
    for each in windows:
        digest.update(f"\0{each.left} {each.top} {each.width} {each.height}".encode())
    return digest.hexdigest()[:16]


def _content(sample: Sample, file_hash: Callable[[Path], str] | None) -> str:
    content = sample.content_hash()
    if content is not None:
        return content[:16]
    return "" if file_hash is None or sample.path is None else file_hash(sample.path)[:16]
