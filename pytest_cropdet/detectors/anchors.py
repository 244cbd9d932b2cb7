"""Anchors, and the boxes that a raw head encodes against them."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.adapters.tflite_file import POSTPROCESS, read_tflite
from pytest_cropdet.detectors.anchor_generators import generate_rows
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.files import refuse_pointer, refuse_special
from pytest_cropdet.geometry import Boxes, from_format

__all__ = ["SCALES", "Anchors", "anchors_of", "read_anchors"]

SCALES = (10.0, 10.0, 5.0, 5.0)  # of ty tx th tw: the box coder's default in the TF Object Detection API
SAME_ANCHOR = 1e-4  # of the input: closer centres are one, written with rounding errors
ENOUGH = 10  # rows from which "every row looks like corners" is no accident


@dataclass(frozen=True, slots=True)
class Anchors:
    """The anchors of a head: ``rows`` (n, 4) float64 ``cy cx h w``, and the scale factors of its encodings.

    ``input_size``: width and height of the model's input in pixels, where a generator's parameters say it.
    """

    rows: NDArray[np.float64]
    scales: tuple[float, float, float, float] = SCALES
    input_size: tuple[int, int] | None = None

    def boxes(self, width: int, height: int) -> Boxes:
        """Return the anchors as ``x0 y0 x1 y1`` in the pixels of an input of ``width`` by ``height``.

        >>> Anchors(np.array([[0.5, 0.25, 0.5, 0.25]])).boxes(80, 40)
        array([[10., 10., 30., 30.]])
        """
        return from_format(self.rows[:, [1, 0, 3, 2]] * [width, height, width, height], "cxcywh")

    def strides(self) -> NDArray[np.float64]:
        """Return (n, 2): the distances ``y x`` from each anchor to the next of its shape, in units of the anchors.

        They are read off the anchors themselves; where a shape stands but once on an axis, the stride is the input, 1.
        """
        _, group = np.unique(self.rows[:, 2:].round(5), axis=0, return_inverse=True)
        found = np.ones((int(group.max()) + 1, 2))
        for shape, axis in np.ndindex(*found.shape):
            steps = np.diff(np.sort(self.rows[group.reshape(-1) == shape, axis]))
            steps = steps[steps > SAME_ANCHOR]
            found[shape, axis] = np.median(steps) if len(steps) else 1.0
        return np.asarray(found[group.reshape(-1)])

    def decode(self, encodings: NDArray[Any]) -> Boxes:
        """Return encodings (n, 4) ``ty tx th tw`` as boxes ``x0 y0 x1 y1`` in the units of the anchors.

        An encoding of zeros is the anchor itself.

        >>> Anchors(np.array([[0.5, 0.5, 0.2, 0.4]])).decode(np.zeros((1, 4))).round(6)
        array([[0.3, 0.4, 0.7, 0.6]])
        """
        center, size = self.rows[:, :2], self.rows[:, 2:]
        scaled = encodings.astype(np.float64) / np.array(self.scales)
        middle = scaled[:, :2] * size + center
        half = np.exp(scaled[:, 2:]) * size / 2
        return np.concatenate([(middle - half)[:, ::-1], (middle + half)[:, ::-1]], axis=1)


def read_anchors(source: str | Path | Mapping[str, Any]) -> Anchors:
    """Return the anchors in a file, or those that a generator makes; a ``DetectorError`` says what is wrong.

    A row an anchor, ``cy cx h w`` in 0 to 1 of the input, as the TF Object Detection API writes them: an array (n, 4)
    in a .npy, lines of four numbers in a .csv, a list in a .json, or there ``{"anchors": [...], "scales": [10, 10, 5,
    5]}`` with the scale factors of the encodings. A .json, or a dict, may instead hold the parameters of a generator
    (:func:`~pytest_cropdet.detectors.anchor_generators.generate_rows`), there with ``scale_factors``. A .tflite has
    them inside where it ends in ``TFLite_Detection_PostProcess``, or in MediaPipe's metadata.
    """
    if isinstance(source, Mapping):
        return _generated(source, f"{source.get('type', 'a generator')}")
    path = Path(source)
    if not path.exists():
        raise DetectorError(f"anchors={source}: no such file")
    refuse_special(path, "the anchors", DetectorError)
    refuse_pointer(path, "the anchors", DetectorError)
    if path.suffix == ".tflite":
        return _inside(path)
    scales: Any = SCALES
    try:
        if path.suffix == ".npy":
            content: Any = np.load(path, allow_pickle=False)
        elif path.suffix == ".json":
            content = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(content, dict) and "type" in content:
                return _generated(content, str(source))
            if isinstance(content, dict):
                scales, content = content.get("scales", SCALES), content.get("anchors")
        else:
            with path.open(encoding="utf-8", newline="") as lines:
                content = [row for row in csv.reader(lines) if row]
        rows = np.array(content, dtype=np.float64)
    except DetectorError:
        raise
    except (OSError, TypeError, ValueError) as error:
        raise DetectorError(f"anchors={source}: not a file of rows cy cx h w (.npy, .json or .csv): {error}") from error
    return _checked(rows, scales, str(source))


def _inside(path: Path) -> Anchors:
    file = read_tflite(path)
    for found in (file.postprocess, file.metadata):
        if found is not None and found.anchors is not None:
            return _checked(found.anchors, found.scales, str(path))
    raise DetectorError(
        f"anchors={path}: the file has no anchors inside, in an operation {POSTPROCESS} or in its metadata"
    )


def _generated(parameters: Mapping[str, Any], source: str) -> Anchors:
    made = _checked(generate_rows(parameters, source), parameters.get("scale_factors", SCALES), source)
    return replace(made, input_size=(int(parameters["input"]["width"]), int(parameters["input"]["height"])))


def anchors_of(rows: NDArray[np.float64], source: str) -> Anchors:
    """Return rows ``cy cx h w`` as anchors with the usual scales; a ``DetectorError`` says what they are not."""
    return _checked(rows, SCALES, source)


def _checked(rows: NDArray[np.float64], scales: Any, source: str) -> Anchors:
    try:
        factors = np.array(scales, dtype=np.float64)
    except (TypeError, ValueError):
        factors = np.zeros(0)
    _check(rows, factors, source)
    y, x, height, width = (float(factor) for factor in factors)
    return Anchors(rows, (y, x, height, width))


def _check(rows: NDArray[np.float64], factors: NDArray[np.float64], source: str) -> None:
    if rows.ndim != 2 or rows.shape[1] != 4 or not len(rows):
        raise DetectorError(f"anchors={source}: rows of four numbers, cy cx h w, are needed; it contains {rows.shape}")
    if not np.isfinite(rows).all() or (rows[:, 2:] <= 0).any():
        raise DetectorError(f"anchors={source}: each row is cy cx h w, finite, with h and w above 0")
    if len(rows) >= ENOUGH and (rows[:, 2:] > rows[:, :2]).all():
        raise DetectorError(
            f"anchors={source}: its rows look like corners (y0 x0 y1 x1); write them as centre and size, cy cx h w"
        )
    if factors.shape != (4,) or not np.isfinite(factors).all() or (factors <= 0).any():
        raise DetectorError(
            f'anchors={source}: "scales" (of a generator "scale_factors") are four numbers above 0, for ty tx th tw'
        )
