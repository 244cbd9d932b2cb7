"""Anchors, and the boxes that a raw head encodes against them."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.boxes import Boxes
from pytest_cropdet.errors import DetectorError

__all__ = ["SCALES", "Anchors", "read_anchors"]

SCALES = (10.0, 10.0, 5.0, 5.0)  # of ty tx th tw: the box coder's default in the TF Object Detection API
ENOUGH = 10  # rows from which "every row looks like corners" is no accident


@dataclass(frozen=True, slots=True)
class Anchors:
    """The anchors of a head: ``rows`` (n, 4) float64 ``cy cx h w``, and the scale factors of its encodings."""

    rows: NDArray[np.float64]
    scales: tuple[float, float, float, float] = SCALES

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


def read_anchors(source: str) -> Anchors:
    """Return the anchors in a file; a ``DetectorError`` says what is wrong with it.

    A row an anchor, ``cy cx h w`` in 0 to 1 of the input, as the TF Object Detection API writes them: an array (n, 4)
    in a .npy, lines of four numbers in a .csv, a list in a .json, or there ``{"anchors": [...], "scales": [10, 10, 5,
    5]}`` with the scale factors of the encodings.
    """
    path = Path(source)
    if not path.is_file():
        raise DetectorError(f"anchors={source}: no such file")
    scales: Any = SCALES
    try:
        if path.suffix == ".npy":
            content: Any = np.load(path, allow_pickle=False)
        elif path.suffix == ".json":
            content = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(content, dict):
                scales, content = content.get("scales", SCALES), content.get("anchors")
        else:
            with path.open(encoding="utf-8", newline="") as lines:
                content = [row for row in csv.reader(lines) if row]
        rows = np.array(content, dtype=np.float64)
        factors = np.array(scales, dtype=np.float64)
    except (OSError, TypeError, ValueError) as error:
        raise DetectorError(f"anchors={source}: not a file of rows cy cx h w (.npy, .json or .csv): {error}") from error
    _check(rows, factors, source)
    y, x, height, width = (float(factor) for factor in factors)
    return Anchors(rows, (y, x, height, width))


def _check(rows: NDArray[np.float64], factors: NDArray[np.float64], source: str) -> None:
    if rows.ndim != 2 or rows.shape[1] != 4 or not len(rows):
        raise DetectorError(f"anchors={source}: rows of four numbers, cy cx h w, are wanted; it holds {rows.shape}")
    if not np.isfinite(rows).all() or (rows[:, 2:] <= 0).any():
        raise DetectorError(f"anchors={source}: each row is cy cx h w, finite, with h and w above 0")
    if len(rows) >= ENOUGH and (rows[:, 2:] > rows[:, :2]).all():
        raise DetectorError(
            f"anchors={source}: its rows look like corners (y0 x0 y1 x1); write them as centre and size, cy cx h w"
        )
    if factors.shape != (4,) or not np.isfinite(factors).all() or (factors <= 0).any():
        raise DetectorError(f'anchors={source}: "scales" are four numbers above 0, for ty tx th tw')
