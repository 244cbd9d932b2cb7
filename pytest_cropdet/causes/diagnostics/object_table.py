"""The objects of a run as a table: a row for each object in each crop, and what became of it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.causes.attribution import Causes, ScoredRun
from pytest_cropdet.causes.fates import NEVER
from pytest_cropdet.evaluation import FATES
from pytest_cropdet.geometry import Bools
from pytest_cropdet.terms import STEPS

__all__ = ["COLUMNS", "FATES", "fate_of", "object_table", "to_frame"]

COLUMNS = (
    *("image", "object", "category", "left", "top", "width", "height", "visibility", "scored"),
    *("score_whole", "score_crop", "fate", "step"),
)


def fate_of(run: ScoredRun) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """Return (G,) the place in ``FATES`` of each object, -1 for one that does not count, and its scores by rendering.

    Found means matched at IoU 0.5 by a detection of the category that scores the operating point or more. A score is
    that of the match, -1 for none.
    """
    return run.point.fate, dict(run.point.scores)


def object_table(run: ScoredRun, causes: Causes | None = None) -> dict[str, list[Any]]:
    """Return the columns ``COLUMNS`` as lists of built-in values, a row for each object in each crop.

    ``left top width height``: the window. ``visibility``: 0 to 1. ``scored``: whether it must be found. ``score_whole``
    and ``score_crop``: of the detection that matches it at IoU 0.5, ``None`` without one. ``fate``: one of ``FATES``,
    ``None`` where it does not count. ``step``: with ``causes``, at which step of the chain it was lost or gained.
    """
    objects, index = run.objects, run.objects.index
    fate, scores = fate_of(run)
    windows = [index.crops[place] for place in objects.truth.image]
    samples = [index.samples[place].id for place in objects.unit]
    return {
        "image": samples,
        "object": objects.annotation.tolist(),
        "category": [run.names.get(key, str(key)) for key in objects.truth.category.tolist()],
        "left": [window.left for window in windows],
        "top": [window.top for window in windows],
        "width": [window.width for window in windows],
        "height": [window.height for window in windows],
        "visibility": objects.visibility.tolist(),
        "scored": run.counted.tolist(),
        "score_whole": _defined(scores["reference"], run.counted),
        "score_crop": _defined(scores["crop"], run.counted),
        "fate": [FATES[place] if place >= 0 else None for place in fate.tolist()],
        "step": [None] * len(fate) if causes is None else _steps(causes),
    }


def to_frame(run: ScoredRun, causes: Causes | None = None) -> Any:
    """Return :func:`object_table` as a ``pandas.DataFrame``; ``CropdetError`` names what is missing."""
    try:
        import pandas
    except ImportError as error:
        from pytest_cropdet.errors import CropdetError

        raise CropdetError(f"to_frame() needs pandas ({error}): pip install pandas") from error
    return pandas.DataFrame(object_table(run, causes), columns=list(COLUMNS))


def _defined(scores: NDArray[np.float64], rows: Bools) -> list[float | None]:
    pairs = zip(scores.tolist(), rows.tolist(), strict=True)
    return [score if counts and score >= 0 else None for score, counts in pairs]


def _steps(causes: Causes) -> list[str | None]:
    at = np.maximum(causes.fates.lost_at, causes.fates.gained_at)
    return [None if step == NEVER else STEPS[step] for step in at.tolist()]
