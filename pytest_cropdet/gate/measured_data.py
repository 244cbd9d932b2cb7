"""A hash of what a run was measured on: its images, their objects and windows. Pixels are not read for it."""

import hashlib
from dataclasses import replace

import numpy as np

from pytest_cropdet.data import Sample
from pytest_cropdet.gate.match_records import digest_of_image
from pytest_cropdet.gate.measurements import Measurements

__all__ = ["data_digest"]


def data_digest(run: Measurements) -> str:
    """Return a hash of the images of a run: ids, sizes, objects and windows, in any order.

    Without ground truth the objects are the detector's own, so there they do not count.
    """
    names = run.scored.names
    digest = hashlib.sha256()
    for sample in sorted(run.objects.index.samples, key=lambda each: each.id):
        windows = run.plan.windows[sample.id]
        own = (
            f"{sample.width} {sample.height} {windows!r}"
            if run.agreement
            else digest_of_image(_ordered(sample), windows, names)
        )
        digest.update(f"{sample.id}\0{own}\0".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()[:16]


def _ordered(sample: Sample) -> Sample:
    """Return a sample with its objects in an order that is not that of the file."""
    order = np.lexsort((*sample.truth.boxes.T[::-1], sample.truth.categories))
    return replace(sample, truth=sample.truth.take(order))
