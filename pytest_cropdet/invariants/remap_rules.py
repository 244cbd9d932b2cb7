"""What must hold for a remap of boxes into a window, as plain assertions on one case, for anybody's function.

The function is called ``function(image, boxes, labels, crop)``, and with ``crowd=`` if it has such a parameter:

- ``image``: RGB uint8 (height, width, 3); ``boxes``: (n, 4) float64 ``x0 y0 x1 y1`` pixels, half-open; ``labels``: (n,)
  int64, all different; ``crop``: a :class:`~pytest_cropdet.Crop`; ``crowd``: (n,) bool.

It returns ``(boxes, labels)`` of the objects that show, in pixels of the window, in any order, or a mapping with
``boxes``, ``labels`` and, if it has them, ``visibility`` (m,), ``crowd`` (m,), ``kept`` (m,) rows of the input, and
``image``, the window's pixels. Whatever is returned is checked.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pytest_cropdet.data import GroundTruth, paint
from pytest_cropdet.geometry import Bools, Boxes, Corners, Crop, Floats, Image, Ints, has_sides, visible_fraction
from pytest_cropdet.invariants.remap_errors import (
    CrowdDropped,
    CrowdMisaligned,
    HiddenObjectKept,
    ImpreciseBoxes,
    InputChanged,
    LabelsMisaligned,
    RebasedVisibility,
    RemapError,
    RemapRaised,
    SliverKept,
    VisibleObjectDropped,
    WrongAnswer,
    WrongBoxes,
    WrongImage,
    WrongVisibility,
)
from pytest_cropdet.invariants.remap_mistakes import REMAP_MISTAKES

__all__ = [
    "Fault",
    "Remap",
    "RemapAnswer",
    "RemapCase",
    "RemapRules",
    "assert_remap",
    "explained",
    "faults",
    "takes_crowd",
]

Remap = Callable[..., Any]
Cause = type[RemapError]
OPTIONAL = ("visibility", "crowd", "kept", "image")
FIRST_LABEL = 11  # object 0 is labelled 11, so that no label is a row


@dataclass(frozen=True)
class RemapCase:
    """An image of ``width`` by ``height`` pixels with ``boxes`` (``x0 y0 x1 y1``), and a window of it.

    Object i has the label 11 + i. ``crowd``: one flag a box; none without it. The repr is code to paste.
    """

    width: int
    height: int
    boxes: tuple[Corners, ...]
    crop: Crop
    crowd: tuple[bool, ...] = ()

    @cached_property
    def rows(self) -> Boxes:
        """The boxes as (n, 4) float64."""
        return np.array(self.boxes, dtype=np.float64).reshape(-1, 4)

    @property
    def labels(self) -> Ints:
        """The labels as (n,) int64."""
        return np.arange(len(self.boxes)) + FIRST_LABEL

    @property
    def flags(self) -> Bools:
        """The crowd flags as (n,) bool."""
        return np.array(self.crowd or [False] * len(self.boxes), dtype=bool)

    @cached_property
    def image(self) -> Image:
        """The picture: a background that differs from pixel to pixel, and the objects."""
        return paint(self.width, self.height, GroundTruth(self.rows, self.labels))

    @property
    def expected(self) -> Boxes:
        """The boxes in the window's frame, (n, 4); those that do not show have no area."""
        return self.crop.into(self.rows)

    @property
    def visibility(self) -> Floats:
        """The share of each box that lies in the window."""
        return visible_fraction(self.rows, self.crop.clip(self.rows))


@dataclass(frozen=True)
class RemapRules:
    """What is asked of a remap.

    ``min_visibility``: objects of which a smaller share shows must be dropped, those at it stay; 0 asks for all that
    show. ``tolerance``: pixels by which a coordinate may differ; 0.01 lets arithmetic in float32 pass.
    """

    min_visibility: float = 0.0
    tolerance: float = 0.01

    def shows(self, case: RemapCase) -> Bools:
        """Which objects must come back."""
        return np.asarray(has_sides(case.expected) & (case.visibility >= self.min_visibility))


@dataclass(frozen=True)
class RemapAnswer:
    """What a remap returned, as arrays of m rows; ``None`` for what it did not return."""

    boxes: Boxes
    labels: Ints
    visibility: Floats | None = None
    crowd: Bools | None = None
    kept: Ints | None = None
    image: Any = None


@dataclass(frozen=True)
class Fault:
    """Something wrong with an answer, and every cause that explains it, the most particular first."""

    aspect: str
    causes: tuple[Cause, ...]
    detail: str = ""


def assert_remap(function: Remap, case: RemapCase, rules: RemapRules | None = None) -> None:
    """Fail with a :class:`RemapError` if ``function`` is wrong about ``case``: what a found case is pasted into.

    >>> assert_remap(lambda image, boxes, labels, crop: (crop.into(boxes), labels),
    ...              RemapCase(8, 6, ((0.0, 0.0, 8.0, 6.0),), Crop(2, 0, 6, 6)))
    """
    rules = rules or RemapRules()
    answer, found = faults(function, case, rules)
    if found:
        raise explained(found[0].causes[0], case, answer, rules, found[0].detail)


def faults(function: Remap, case: RemapCase, rules: RemapRules) -> tuple[RemapAnswer | None, list[Fault]]:
    """Return what ``function`` answers to ``case``, if it is an answer, and what is wrong with it."""
    image, boxes, labels, crowd = case.image.copy(), case.rows.copy(), case.labels, case.flags
    more = {"crowd": crowd} if takes_crowd(function) else {}
    try:
        returned = function(image, boxes, labels, case.crop, **more)
    except Exception as error:
        return None, [Fault("contract", (RemapRaised,), f"{type(error).__name__}: {error}")]
    given = ((image, case.image), (boxes, case.rows), (labels, case.labels), (crowd, case.flags))
    if not all(np.array_equal(now, before) for now, before in given):
        return None, [Fault("contract", (InputChanged,))]
    try:
        answer = _answer(returned, len(boxes))
    except (ValueError, TypeError) as error:
        return None, [Fault("contract", (WrongAnswer,), str(error))]
    return answer, _judge(case, answer, rules)


def explained(
    cause: Cause, case: RemapCase, answer: RemapAnswer | None, rules: RemapRules, detail: str = ""
) -> RemapError:
    """Return the error of a cause, with a case in numbers: window, boxes, what was expected, what came."""
    lines = [f"{cause.summary}{': ' if detail else ''}{detail}", f"  image {case.width} x {case.height}, {case.crop}"]
    shows = rules.shows(case)
    for row, box in enumerate(case.boxes):
        kind = "crowd" if case.flags[row] else "box"
        share = case.visibility[row]
        told = f"{_numbers(case.expected[row])}, {share:.4g} of it visible" if shows[row] else "absent"
        lines.append(f"  {kind} {_numbers(box)} labelled {case.labels[row]}; expected {told}")
    if answer is not None:
        for place, box in enumerate(answer.boxes):
            more = "" if answer.visibility is None else f", {answer.visibility[place]:.4g} of it visible"
            more += "" if answer.crowd is None else f", crowd={bool(answer.crowd[place])}"
            lines.append(f"  got {_numbers(box)} labelled {answer.labels[place]}{more}")
        if not len(answer.boxes):
            lines.append("  got no box")
    error = cause("\n".join([*lines, f"  {case!r}"]))
    error.case, error.answer = case, answer
    return error


def _numbers(box: Sequence[float] | Floats) -> str:
    return " ".join(f"{value:.6g}" for value in box)


def takes_crowd(function: Remap) -> bool:
    """Whether a function has a parameter ``crowd``."""
    return "crowd" in inspect.signature(function).parameters


def _answer(returned: Any, count: int) -> RemapAnswer:
    if isinstance(returned, Mapping):
        unknown = set(returned) - {"boxes", "labels", *OPTIONAL}
        if unknown or not {"boxes", "labels"} <= set(returned):
            raise ValueError(
                f"a mapping has boxes and labels, and may have {', '.join(OPTIONAL)}; not {sorted(unknown)}"
            )
        parts = dict(returned)
    elif isinstance(returned, tuple | list) and len(returned) == 2:
        parts = {"boxes": returned[0], "labels": returned[1]}
    else:
        raise ValueError(f"returns (boxes, labels) or a mapping, not {type(returned).__name__}")
    boxes = np.asarray(parts["boxes"], dtype=np.float64)
    if boxes.shape != (len(boxes), 4) and boxes.size:
        raise ValueError(f"boxes have shape (m, 4), not {boxes.shape}")
    columns: dict[str, Any] = {"boxes": boxes.reshape(-1, 4)}
    for name, dtype in (("labels", np.int64), ("visibility", np.float64), ("crowd", bool), ("kept", np.int64)):
        if parts.get(name) is not None:
            columns[name] = np.asarray(parts[name]).astype(dtype)
            if columns[name].shape != (len(boxes),):
                raise ValueError(f"{name}: {columns[name].shape} for {len(boxes)} boxes")
    kept = columns.get("kept")
    if kept is not None and kept.size and (kept.min() < 0 or kept.max() >= count):
        raise ValueError(f"kept: {kept.tolist()} for {count} objects")
    return RemapAnswer(**columns, image=parts.get("image"))


def _judge(case: RemapCase, answer: RemapAnswer, rules: RemapRules) -> list[Fault]:
    found = []
    shows = rules.shows(case)
    rows = _rows_of(case, answer, np.flatnonzero(shows), rules)
    if rows is None or not np.array_equal(case.labels[rows], answer.labels):
        found.append(Fault("labels", (LabelsMisaligned,)))
    if rows is not None:
        found += _boxes(case, answer, rows, shows, rules) + _members(case, answer, rows, shows, rules)
        if answer.crowd is not None and not np.array_equal(answer.crowd, case.flags[rows]):
            found.append(Fault("crowd", (CrowdMisaligned,)))
        found += _visibility(case, answer, rows, shows)
    if answer.image is not None and not np.array_equal(np.asarray(answer.image), case.crop.of(case.image)):
        found.append(Fault("image", (WrongImage,)))
    return found


def _rows_of(case: RemapCase, answer: RemapAnswer, shown: Ints, rules: RemapRules) -> Ints | None:
    """Which object each row of the answer is: by ``kept``, by place if all boxes fit so, else by label."""
    if answer.kept is not None:
        return answer.kept
    if len(shown) == len(answer.boxes) and _close(answer.boxes, case.expected[shown], rules):
        by_label = answer.labels - FIRST_LABEL
        inside = bool(((by_label >= 0) & (by_label < len(case.boxes))).all())
        if not (inside and _close(answer.boxes, case.expected[by_label], rules)):
            return shown
    rows = answer.labels - FIRST_LABEL
    known = ((rows >= 0) & (rows < len(case.boxes))).all() and len(np.unique(rows)) == len(rows)
    return rows if known else None


def _close(first: Boxes, second: Boxes, rules: RemapRules) -> bool:
    return bool((np.abs(first - second) <= rules.tolerance).all())


def _boxes(case: RemapCase, answer: RemapAnswer, rows: Ints, shows: Bools, rules: RemapRules) -> list[Fault]:
    common = shows[rows]
    got, expected = answer.boxes[common], case.expected[rows[common]]
    if _close(got, expected, rules):
        return []
    causes = [
        cause
        for cause, variants in REMAP_MISTAKES.items()
        if any(_close(got, variant[rows[common]], rules) for variant in variants(case.rows, case.crop))
    ]
    rest: Cause = ImpreciseBoxes if (np.abs(got - expected) < 0.5).all() else WrongBoxes
    return [Fault("boxes", (*causes, rest))]


def _members(case: RemapCase, answer: RemapAnswer, rows: Ints, shows: Bools, rules: RemapRules) -> list[Fault]:
    came = np.zeros(len(shows), bool)
    came[rows] = True
    missing, extra = shows & ~came, came & ~shows
    hidden = has_sides(case.expected)
    lost: tuple[Cause, ...] = (VisibleObjectDropped,)
    kinds: list[tuple[Cause, ...]] = []
    if missing.any():
        kinds.append(lost if (missing & ~case.flags).any() else (CrowdDropped, *lost))
    if (extra & ~hidden).any():
        kinds.append((SliverKept,))
    if (extra & hidden).any():
        kinds.append((HiddenObjectKept,))
    also = tuple(
        cause
        for cause, variants in REMAP_MISTAKES.items()
        if any(
            np.array_equal(has_sides(variant), came) and _close(answer.boxes, variant[rows], rules)
            for variant in variants(case.rows, case.crop)
        )
    )
    return [Fault("members", (*kind, *also)) for kind in kinds]


def _visibility(case: RemapCase, answer: RemapAnswer, rows: Ints, shows: Bools) -> list[Fault]:
    if answer.visibility is None:
        return []
    common = shows[rows]
    got, expected = answer.visibility[common], case.visibility[rows[common]]
    if (np.abs(got - expected) <= 1e-6).all():
        return []
    inside = case.expected[rows[common]]
    share = (inside[:, 2] - inside[:, 0]) * (inside[:, 3] - inside[:, 1]) / (case.crop.width * case.crop.height)
    based = any((np.abs(got - other) <= 1e-6).all() for other in (np.ones(len(got)), share))
    return [Fault("visibility", (RebasedVisibility, WrongVisibility) if based else (WrongVisibility,))]
