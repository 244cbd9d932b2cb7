"""What an error of a model with open conventions says more where annotated data is at hand: the values, measured."""

import os
import time
from collections.abc import Mapping

from pytest_cropdet.data import Dataset
from pytest_cropdet.detectors import OpenConventionsError
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.inference import Cache
from pytest_cropdet.invariants import advice_lines, examine, measured_lines

__all__ = ["measure_open"]

SECONDS_FOR_AN_ERROR = 60.0  # after which no further measurement is begun


def measure_open(
    spec: str, said: Mapping[str, str], error: OpenConventionsError, dataset: Dataset, cache: Cache | None
) -> DetectorError:
    """Return the error of a model ``spec`` with what was measured on images of ``dataset``.

    ``cache``: shared with the other workers of pytest-xdist, of which one measures for all.
    """
    name = f"measured {os.environ.get('PYTEST_XDIST_TESTRUNUID', '')} {spec} {sorted(said.items())} {dataset.name}"
    if cache is None or "PYTEST_XDIST_TESTRUNUID" not in os.environ:
        return DetectorError(_measured(spec, said, error, dataset))
    while (text := cache.fact(name)) is None and not cache.claim(name):
        time.sleep(0.2)
    if text is not None:
        return DetectorError(str(text))
    try:
        text = _measured(spec, said, error, dataset)
        cache.remember(name, text)
    finally:
        cache.release(name)
    return DetectorError(text)


def _measured(spec: str, said: Mapping[str, str], error: OpenConventionsError, dataset: Dataset) -> str:
    try:
        found = examine(spec, said, dataset, SECONDS_FOR_AN_ERROR, known=error)
    except Exception:  # the error that is explained matters more than why it could not be
        return str(error)
    lines = measured_lines(found)
    return "\n".join([error.without_hint, "", *lines, *advice_lines(found)]) if lines else str(error)
