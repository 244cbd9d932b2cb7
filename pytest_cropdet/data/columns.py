"""The columns that go with boxes, one value a box: what cannot be one is refused with what it probably is."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["as_column", "as_scores"]

SCORE_NOISE = 1e-6  # by which a score may leave 0 to 1: rounding in float32


def as_column(name: str, values: ArrayLike, dtype: Any, length: int) -> NDArray[Any]:
    """Return a copy of ``values`` as (length,) of ``dtype``; whole numbers must be whole.

    >>> as_column("categories", [1.0, 2.0], np.int64, 2)
    array([1, 2])
    >>> as_column("categories", [0.9, 0.8], np.int64, 2)
    Traceback (most recent call last):
    ...
    ValueError: categories: row 0 is 0.9, which is no whole number (are these the scores?)
    """
    given = np.asarray(values)
    if given.shape != (length,):
        raise ValueError(
            f"{name}: expected shape ({length},) to go with the boxes, got {given.shape}{_reason(name, given, length)}"
        )
    if np.issubdtype(dtype, np.integer) and length:
        _check_whole(name, given)
    return np.array(given, dtype=dtype)


def as_scores(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores that lie between 0 and 1; others are a ``ValueError`` that names what they probably are."""
    if ((scores >= 0) & (scores <= 1)).all():
        return scores
    wrong = np.flatnonzero(~((scores >= -SCORE_NOISE) & (scores <= 1 + SCORE_NOISE)))
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(f"scores: row {row} is {scores[row]}, must lie between 0 and 1{_scale(scores)}")
    clipped = np.clip(scores, 0.0, 1.0)
    clipped.flags.writeable = False
    return clipped


def _check_whole(name: str, given: NDArray[Any]) -> None:
    if given.dtype.kind in "US":
        try:
            np.array(given, dtype=np.int64)
        except ValueError:
            hint = "; give the detector an attribute categories = {id: name, ...}" if name == "categories" else ""
            raise ValueError(f"{name}: row 0 is {str(given[0])!r}, must be a number, not text{hint}") from None
    elif given.dtype.kind == "f":
        wrong = np.flatnonzero(~(np.isfinite(given) & (given == np.rint(given))))
        if len(wrong):
            value = given[wrong[0]]
            hint = " (are these the scores?)" if ((given >= 0) & (given <= 1)).all() else ""
            raise ValueError(f"{name}: row {wrong[0]} is {value:g}, which is no whole number{hint}")


def _reason(name: str, given: NDArray[Any], length: int) -> str:
    if given.shape in ((length, 1), (1, length)):
        return f" (one dimension too many? numpy.ravel({name}) has one)"
    if given.ndim == 2 and len(given) == length:
        best = "max" if name == "scores" else "argmax"
        return f" (one column per category? {name}.{best}(axis=1) has the best of them)"
    return ""


def _scale(scores: NDArray[np.float64]) -> str:
    if not np.isfinite(scores).all():
        return ""
    if (scores < 0).any():
        return " (logits? apply a sigmoid or softmax first)"
    if scores.max() > 100:
        return ""
    whole = (scores == np.rint(scores)).all()
    return " (are these the categories?)" if whole else " (percent? divide by 100; logits? apply a sigmoid or softmax)"
