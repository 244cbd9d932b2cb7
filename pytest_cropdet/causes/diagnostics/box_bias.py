"""Signed offsets and size ratios of matched boxes, and whether they look like a coordinate mistake.

Offsets are detection minus truth, of detections that match a scored object at IoU 0.5 and score at or above the
operating point; of an object's two boxes the one that fits better. What reaches the window's edge is cut off there on
both sides, so an axis leaves out objects with an edge within max(2 px, a tenth of the side) of the window's.

A detector has habits: boxes a little large here, a little low there. They differ from object to object, and a mean that
surely is not 0 is no sign of a mistake. A *coordinate mistake* is one rule for all boxes. Five are tried on each axis,
each with one parameter p, fitted by least squares to the offsets of both edges *relative to the object's side*, so that
large objects do not outvote small ones, and to the two thirds of the boxes that fit the rule best (trimmed least
squares, Rousseeuw 1984), so that boxes that are simply poor have no say:

- ``shift``: both edges by p px; ``first`` or ``last``: the left (top) or the right (bottom) edge alone by p px;
- ``size``: the side by the factor 1 + p, about its middle; ``scale``: all coordinates of the frame by the factor 1 + p.

The rule that explains most of the squared offset of those two thirds is a mistake if it explains more than half of it
on the edges that it moves, p is at least 0.25 px or 0.5 %, the bounds of p exclude 0, at least 70 % of all boxes go its
way, and in each category and each third of the sizes most do (where there are 20 boxes).

In crops alone, ``size``, ``first`` and ``last`` are not a mistake but what a strange scale or a cut does to boxes: an
adapter would do the same to whole images, so the reference must show them too. All these borders lie between what real
detectors do by habit and what a mistake of 1 px or 2 % makes of it (docs/error_types.md has the numbers). A mistake
smaller than the detector's own scatter looks like its habits, and is not reported. Nothing is called a mistake where
the reference is too weak: a few boxes that happen to lie on objects follow no rule of coordinates.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.evaluation import Bounded, Detected, Matches, Objects, at_half, bounded_ratio
from pytest_cropdet.geometry import Bools, Boxes, Floats, Ints, areas

__all__ = ["Bias", "Mistake", "RenderingBias", "box_bias"]

MARGIN, MARGIN_SHARE = 2.0, 0.1  # px, and share of the side, within which an edge is not free of the window's
LEAST_PIXELS, LEAST_FACTOR = 0.25, 0.005
KEPT, EXPLAINED, AGREEING = 2 / 3, 0.5, 0.7
TRIMMINGS = 5
MIN_BOXES, MIN_BIAS_IMAGES = 20, 5
OF_FRAMES = ("shift", "scale")  # kinds that a network, which sees no frame, does not learn
AXES = ("x", "y")
SIDE_NAMES = {"reference": "whole images", "crop": "crops"}
WORDS = {"x": ("left", "right", "wide", "narrow", "width"), "y": ("top", "bottom", "tall", "flat", "height")}


@dataclass(frozen=True, slots=True)
class Mistake:
    """One rule that moves all boxes of a rendering on one axis.

    ``p``: pixels of the picture for ``shift``, ``first`` and ``last``, a share for ``size`` and ``scale``; its bounds
    are ``low`` and ``high``. ``explained``: share of the squared offset. ``agreeing``: share of boxes that go its way.
    """

    rendering: str
    axis: str
    kind: str
    p: float
    low: float
    high: float
    explained: float
    agreeing: float

    @property
    def looks_like(self) -> str:
        """What the rule does to the boxes."""
        first, last, larger, smaller, _ = WORDS[self.axis]
        return {
            "shift": f"boxes shifted by {self.p:+.2g} px in {self.axis}",
            "first": f"{first} edges off by {self.p:+.2g} px",
            "last": f"{last} edges off by {self.p:+.2g} px",
            "size": f"boxes too {larger if self.p > 0 else smaller} by {abs(self.p):.1%}",
            "scale": f"all {self.axis} coordinates too {'large' if self.p > 0 else 'small'} by {abs(self.p):.1%}",
        }[self.kind]

    @property
    def mend(self) -> str:
        """What to look for."""
        first, *_, side = WORDS[self.axis]
        return {
            "shift": f"take {self.p:.2g} px off {self.axis} (padding left in, or centres of pixels read as edges?)",
            "first": f"count {self.axis} from 0 at the {first} edge of the first pixel (counted from 1?)",
            "last": f"{self.axis}1 is {self.axis}0 + {side}, the edge after the last pixel (inclusive edges?)",
            "size": f"divide the {side} by {1 + self.p:.3f} (another box coder, or another input size?)",
            "scale": f"divide {self.axis} by {1 + self.p:.3f} (scaled by another {side} than the picture's?)",
        }[self.kind]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        names = ("rendering", "axis", "kind", "p", "low", "high", "explained", "agreeing", "looks_like", "mend")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class RenderingBias:
    """Mean offsets of one rendering's boxes.

    ``boxes``: how many there are by axis. ``pixels``: detection minus truth by ``x0 x1 x y0 y1 y`` (x and y are the
    middle), in pixels of the crop. ``relative``: the same over the object's width or height. ``ratio``: ``width`` and
    ``height`` of the detection over those of the truth, geometric means.
    """

    boxes: Mapping[str, int]
    pixels: Mapping[str, Bounded]
    relative: Mapping[str, Bounded]
    ratio: Mapping[str, Bounded]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        tables = {"pixels": self.pixels, "relative": self.relative, "ratio": self.ratio}
        means = {name: {key: each.to_dict() for key, each in table.items()} for name, table in tables.items()}
        return {"boxes": dict(self.boxes), **means}


@dataclass(frozen=True)
class Bias:
    """Mean offsets in both renderings, and the coordinate mistakes that they look like.

    ``judged``: ``False`` where the reference is too weak to look for mistakes.
    """

    reference: RenderingBias
    crop: RenderingBias
    mistakes: tuple[Mistake, ...]
    judged: bool = True

    @property
    def text(self) -> str | None:
        """The mistakes in sentences, one a line; ``None`` if there is none."""
        lines: dict[str, list[Mistake]] = {}
        for each in self.mistakes:
            lines.setdefault(each.looks_like, []).append(each)
        return "\n".join(map(_sentence, lines.values())) or None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        mistakes = [each.to_dict() for each in self.mistakes]
        found = {"reference": self.reference.to_dict(), "crop": self.crop.to_dict(), "mistakes": mistakes}
        return found if self.judged else {**found, "judged": False}


@dataclass(frozen=True, eq=False)
class _Axis:
    """The matched boxes on one axis, those free of the window's edges, n of them; ``source`` image of each."""

    source: Ints
    category: Ints
    start: Floats  # of the truth, in the frame that the detector was shown
    side: Floats
    first: Floats  # offsets of the two edges
    last: Floats

    def rules(self) -> dict[str, tuple[Floats, Floats]]:
        """Return for each kind of mistake what p = 1 does to both edges."""
        one, none = np.ones(len(self.side)), np.zeros(len(self.side))
        return {
            "shift": (one, one),
            "first": (one, none),
            "last": (none, one),
            "size": (-self.side / 2, self.side / 2),
            "scale": (self.start, self.start + self.side),
        }


def box_bias(
    objects: Objects,
    detected: Mapping[str, Detected],
    matches: Mapping[str, Matches],
    score: float,
    draws: NDArray[Any],
    level: float = 0.95,
    weak: bool = False,
) -> Bias:
    """Return the bias of boxes scored at or above ``score``, over the categories that were matched.

    ``draws``: (replicates, source images) how often each is drawn, as ``hidden.draw_units`` makes them. ``weak``: the
    reference finds too little, so nothing is called a mistake.
    """
    biases: dict[str, RenderingBias] = {}
    mistakes: list[Mistake] = []
    for name in SIDE_NAMES:
        axes = _axes(objects, detected[name], matches[name], score, whole=name == "reference")
        biases[name] = _describe(axes, draws, level)
        seen = {(each.axis, each.kind, each.p > 0) for each in mistakes}
        for axis in () if weak else AXES:
            each = _find_mistake(name, axis, axes[axis], draws, level)
            if each and (name == "reference" or each.kind in OF_FRAMES or (axis, each.kind, each.p > 0) in seen):
                mistakes.append(each)
    return Bias(biases["reference"], biases["crop"], tuple(mistakes), not weak)


def _axes(objects: Objects, detected: Detected, matches: Matches, score: float, *, whole: bool) -> dict[str, _Axis]:
    """Return the matched boxes by axis; ``whole``: the detector was shown the whole image, not the window."""
    partner = matches.truth_of()[at_half(matches)]
    rows = np.flatnonzero((partner >= 0) & (detected.score[matches.rows] >= score))
    rows = rows[objects.scored[partner[rows]]]
    truth, image, found = partner[rows], matches.image[rows], detected.boxes[matches.rows[rows]]
    right = objects.truth.boxes[truth]
    if objects.truth.tight is not None:
        tight = objects.truth.tight[truth]
        right = np.where((_iou(found, tight) > _iou(found, right))[:, None], tight, right)
    windows = [objects.index.crops[place] for place in image.tolist()]
    sides = np.reshape([(crop.width, crop.height) for crop in windows], (-1, 2))
    corner = np.reshape([(crop.left, crop.top) if whole else (0, 0) for crop in windows], (-1, 2))
    axes = {}
    for number, name in enumerate(AXES):
        low, high = right[:, number], right[:, number + 2]
        margin = np.maximum(MARGIN, MARGIN_SHARE * (high - low))
        free = np.flatnonzero((low >= margin) & (high <= sides[:, number] - margin) & (high > low))
        offsets = (found - right)[free]
        axes[name] = _Axis(
            source=objects.unit[truth[free]],
            category=objects.truth.category[truth[free]],
            start=(low + corner[:, number])[free],
            side=(high - low)[free],
            first=offsets[:, number],
            last=offsets[:, number + 2],
        )
    return axes


def _describe(axes: Mapping[str, _Axis], draws: NDArray[Any], level: float) -> RenderingBias:
    """Return the mean offsets, in pixels and over the object's side, and the mean ratio of sizes."""
    pixels, relative, ratio = {}, {}, {}
    for name, axis in axes.items():
        for key, offset in {"0": axis.first, "1": axis.last, "": (axis.first + axis.last) / 2}.items():
            pixels[name + key] = _estimate(offset, np.ones(len(offset)), axis.source, draws, level)
            relative[name + key] = _estimate(offset / axis.side, np.ones(len(offset)), axis.source, draws, level)
        change = np.log1p((axis.last - axis.first) / axis.side)
        mean = _estimate(change, np.ones(len(change)), axis.source, draws, level)
        ends = (None if end is None else math.exp(end) for end in (mean.value, mean.low, mean.high))
        ratio[WORDS[name][-1]] = Bounded(*ends)
    return RenderingBias({name: len(axis.side) for name, axis in axes.items()}, pixels, relative, ratio)


def _find_mistake(rendering: str, name: str, axis: _Axis, draws: NDArray[Any], level: float) -> Mistake | None:
    """Return the rule that explains most of the offsets, if it is a mistake by the rules of this module."""
    first, last = axis.first / axis.side, axis.last / axis.side
    total = float((first**2 + last**2).sum())
    if len(first) < MIN_BOXES or len(np.unique(axis.source)) < MIN_BIAS_IMAGES or total == 0:
        return None
    best: tuple[float, str, Bools] | None = None
    for kind, rule in axis.rules().items():
        kept, explained = _fit(first, last, rule[0] / axis.side, rule[1] / axis.side)
        if best is None or explained > best[0]:
            best = explained, kind, kept
    if best is None:
        return None
    _, kind, kept = best
    one, other = (edge / axis.side for edge in axis.rules()[kind])
    along, weight = one * first + other * last, one**2 + other**2
    p = _estimate(along[kept], weight[kept], axis.source[kept], draws, level)
    if p.value is None or p.low is None or p.high is None:
        return None
    moved = float(((first**2 * (one != 0)) + (last**2 * (other != 0)))[kept].sum())
    explained = p.value * float(along[kept].sum()) / moved if moved else 0.0
    agrees = along * p.value > 0
    if explained <= EXPLAINED or agrees.mean() < AGREEING or not p.low * p.high > 0:
        return None
    if abs(p.value) < (LEAST_FACTOR if kind in ("size", "scale") else LEAST_PIXELS):
        return None
    if not _agree_everywhere(axis, agrees):
        return None
    return Mistake(rendering, name, kind, p.value, p.low, p.high, explained, float(agrees.mean()))


def _fit(first: Floats, last: Floats, one: Floats, other: Floats) -> tuple[Bools, float]:
    """Return the boxes that a rule fits best, and the share of the squared offset of both edges that it explains there.

    ``first``, ``last``: offsets of the two edges over the side; ``one``, ``other``: what p = 1 makes of them.
    """
    along, weight, whole = one * first + other * last, one**2 + other**2, first**2 + last**2
    kept = np.ones(len(first), dtype=bool)
    for _ in range(TRIMMINGS):
        p = along[kept].sum() / weight[kept].sum()
        left = (first - p * one) ** 2 + (last - p * other) ** 2
        kept = left <= np.quantile(left, KEPT)
    total = whole[kept].sum()
    return kept, float(1 - left[kept].sum() / total) if total else 0.0


def _agree_everywhere(axis: _Axis, agrees: Bools) -> bool:
    """Whether most boxes go one way in each category and in each third of the sizes."""
    third = np.searchsorted(np.quantile(axis.side, [1 / 3, 2 / 3]), axis.side)
    parts = [axis.category == key for key in np.unique(axis.category)] + [third == part for part in range(3)]
    return all(agrees[part].mean() > 0.5 for part in parts if part.sum() >= MIN_BOXES)


def _estimate(over: Floats, under: Floats, source: Ints, draws: NDArray[Any], level: float) -> Bounded:
    """Return sum(over) / sum(under) with percentile bounds; both one a box."""
    units = draws.shape[1]
    above, below = (np.bincount(source, each, minlength=units).astype(float) for each in (over, under))
    return bounded_ratio(above, below, draws, level)


def _iou(first: Boxes, second: Boxes) -> Floats:
    """Return (n,) IoU row by row."""
    both = areas(
        np.concatenate([np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])], axis=1)
    )
    return np.asarray(both / (areas(first) + areas(second) - both))


def _sentence(mistakes: list[Mistake]) -> str:
    """Return one line about mistakes that look alike."""
    where = " and ".join(SIDE_NAMES[each.rendering] for each in mistakes)
    one = mistakes[0]
    share = min(each.agreeing for each in mistakes)
    return (
        f"{one.looks_like} in {where}: {share:.0%} of the boxes go that way, whatever their category and size. "
        f"A coordinate mistake, not a weakness: {one.mend}, "
        "in the detector's description or adapter, or in the annotations"
    )
