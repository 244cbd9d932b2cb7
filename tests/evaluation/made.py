"""Made-up truth and detections, small and nasty or large and realistic."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
from hypothesis import strategies as st

from pytest_cropdet.evaluation import Detected, Truth

IMAGES = 3
CATEGORIES = [2, 5, 9]
GRID = 16.0  # sides of 0 to 128 pixels: the limits of the area ranges, 32 and 96, are among them

corners = st.integers(0, 6)
sides = st.integers(0, 8)
boxes = st.tuples(corners, corners, sides, sides).map(
    lambda b: (b[0] * GRID, b[1] * GRID, (b[0] + b[2]) * GRID, (b[1] + b[3]) * GRID)
)
areas = st.sampled_from([None, 0.0, 500.0, 1024.0, 9216.0, 2e10])
objects = st.tuples(st.integers(0, IMAGES - 1), st.sampled_from(CATEGORIES), boxes, areas, st.sampled_from("nnnnci"))
detections = st.tuples(st.integers(0, IMAGES - 1), st.sampled_from(CATEGORIES), boxes, st.integers(1, 6), st.booleans())


@st.composite
def sets(draw: st.DrawFn, *, ties: bool = True) -> tuple[Truth, Detected]:
    """Truth and detections of three images and three categories on a coarse grid.

    Equal boxes and equal IoUs abound, and so do equal scores if ``ties``; shrinks to no objects and no detections.
    """
    truths = draw(st.lists(objects, max_size=14))
    found = draw(st.lists(detections, max_size=18))
    # Half of the detections lie on an object, so that matches are common.
    near = draw(st.lists(st.tuples(st.integers(0, 13), st.integers(-1, 1), st.integers(1, 6)), max_size=18))
    for which, shift, score in near:
        if which < len(truths):
            image, category, box, _, _ = truths[which]
            moved = (box[0], box[1], box[2] + max(shift, 0) * GRID, box[3] + max(-shift, 0) * GRID)
            found.append((image, category, moved, score, False))
    score = np.array([d[3] for d in found], dtype=float) / 8
    if not ties:
        score += np.arange(len(score)) / 1000
    area = [(b[2] - b[0]) * (b[3] - b[1]) if a is None else a for _, _, b, a, _ in truths]
    return (
        Truth(
            image=np.array([t[0] for t in truths], dtype=int),
            category=np.array([t[1] for t in truths], dtype=int),
            boxes=np.array([t[2] for t in truths], dtype=float),
            area=np.array(area, dtype=float),
            crowd=np.array([t[4] == "c" for t in truths], dtype=bool),
            ignored=np.array([t[4] == "i" for t in truths], dtype=bool),
        ),
        Detected(
            image=np.array([d[0] for d in found], dtype=int),
            category=np.array([d[1] for d in found], dtype=int),
            boxes=np.array([d[2] for d in found], dtype=float),
            score=score,
            stray=np.array([d[4] for d in found], dtype=bool),
        ),
    )


def duplicated(truth: Truth, detected: Detected, weights: np.ndarray) -> tuple[Truth, Detected, int]:
    """The data set in which image i really occurs ``weights[i]`` times, copies side by side, and its size."""
    first = np.cumsum(weights) - weights

    def rows_of(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = np.repeat(np.arange(len(image)), weights[image])
        start = np.cumsum(weights[image]) - weights[image]
        copy = np.arange(len(rows)) - np.repeat(start, weights[image])
        return rows, first[image[rows]] + copy

    t, t_image = rows_of(truth.image)
    d, d_image = rows_of(detected.image)
    tight = None if truth.tight is None else truth.tight[t]
    return (
        Truth(t_image, truth.category[t], truth.boxes[t], truth.area[t], truth.crowd[t], truth.ignored[t], tight),
        Detected(
            d_image, detected.category[d], detected.boxes[d], detected.score[d], detected.area[d], detected.stray[d]
        ),
        int(weights.sum()),
    )


def objects_at(image: list[int], boxes: list[list[float]], **changes: object) -> Truth:
    """Objects of category 1, scored, of the area of their boxes."""
    b = np.array(boxes, dtype=float).reshape(-1, 4)
    none = np.zeros(len(b), dtype=bool)
    values: dict[str, object] = {
        "image": np.array(image, dtype=int),
        "category": np.ones(len(b), dtype=int),
        "boxes": b,
        "area": (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]),
        "crowd": none,
        "ignored": none,
    }
    return Truth(**{**values, **changes})  # type: ignore[arg-type]


def detections_at(image: list[int], boxes: list[list[float]], score: list[float], **changes: object) -> Detected:
    """Detections of category 1."""
    values: dict[str, object] = {
        "image": np.array(image, dtype=int),
        "category": np.ones(len(image), dtype=int),
        "boxes": np.array(boxes, dtype=float).reshape(-1, 4),
        "score": np.array(score, dtype=float),
    }
    return Detected(**{**values, **changes})  # type: ignore[arg-type]


def benchmark() -> ModuleType:
    """The benchmark of the evaluation, whose generator makes the realistic set."""
    path = Path(__file__).parents[2] / "benchmarks" / "evaluation.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_the_evaluation", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
