"""In which other ways the numbers that a function returns may be read: order, units, edges, first category.

A function answers in pixels ``x0 y0 x1 y1`` of the picture it is given. What else its numbers may be costs no call of
the detector: its answers are read again. Input sizes are those that detectors commonly have.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_cropdet.data import Detections, Sample, flatten_inverted
from pytest_cropdet.detectors.resize import frame_of
from pytest_cropdet.geometry import FORMATS, Boxes, Floats, from_format, iou

__all__ = ["AnswerReading", "lies_on_edges", "possible_readings", "rounding_hint"]

ORDERS = {
    "xyxy": ("x0 y0 x1 y1", ""),
    "yxyx": ("y0 x0 y1 x1", "return boxes[:, [1, 0, 3, 2]]"),
    "xywh": ("x y width height", "add the corner: boxes[:, 2:] += boxes[:, :2]"),
    "cxcywh": (
        "centre x, centre y, width, height",
        "return pytest_cropdet.geometry.boxes.from_format(boxes, 'cxcywh')",
    ),
}
EDGES = {
    "inclusive": ("boxes end 1 px early, as if x1 y1 were the last pixels inside", "add 1 to x1 and y1", (0, 0, 1, 1)),
    "from 1": ("boxes lie 1 px too far right and down, as if pixels were counted from 1", "subtract 1", (-1,) * 4),
    "from 1, inclusive": (
        "boxes begin 1 px late, as if pixels were counted from 1 and x1 y1 were the last ones inside",
        "subtract 1 from x0 and y0",
        (-1, -1, 0, 0),
    ),
}
INPUTS = (224, 256, 300, 320, 384, 416, 512, 608, 640, 800, 1024, 1280)  # px a side
CLEARLY = (
    0.1  # of a side, by which an input must move the corners of most pictures, to be no habit of a detector's boxes
)
EDGE_PAIRS, EDGE_IMAGES = 20, 5  # that edges are judged by, at least
OFF, SCATTER = 0.25, 0.5  # px: the median by which an edge may be off, and scatter, once it is read rightly


@dataclass(frozen=True, slots=True)
class AnswerReading:
    """Another way to read a function's numbers: what is wrong then, and how to fix it.

    ``boxes``: given boxes and the picture's (width, height), what they are in pixels ``x0 y0 x1 y1``. ``ids``: added to
    each category.
    """

    key: str
    declared: str
    value: str
    wrong: str
    fix: str
    boxes: Callable[[Boxes, int, int], Boxes]
    ids: int = 0

    def of(self, found: Detections, width: int, height: int) -> Detections:
        """Return detections as they are if their numbers are read so."""
        boxes = flatten_inverted(self.boxes(found.boxes, width, height))
        return Detections(boxes, found.scores, found.categories + self.ids, found.capped)


def possible_readings(samples: Sequence[Sample]) -> Iterator[AnswerReading]:
    """Yield every other way to read what was found in samples."""
    for order in FORMATS:
        for key, value, units, scaled in _units(samples):
            if (order, value) == ("xyxy", "pixels"):
                continue
            name, fix = ORDERS[order]
            faults = [f"x0 y0 x1 y1 was expected, but {name} is returned"] if order != "xyxy" else []
            faults += [f"pixels of the picture were expected, but {units[0]} are returned"] if units[0] else []
            fixes = ", then ".join(each for each in (fix, units[1]) if each)
            changed = "boxes" if value == "pixels" else key
            declared = "xyxy" if value == "pixels" else "pixels"
            said = order if value == "pixels" else value if order == "xyxy" else f"{order} {value}"
            yield AnswerReading(changed, declared, said, "; ".join(faults), fixes, _read(order, scaled))
    for value, (wrong, fix, moved) in EDGES.items():
        yield AnswerReading("edges", "exclusive, from 0", value, wrong, fix, _moved(moved))
    for ids in (1, -1):
        wrong = f"categories are off by one: each id is {abs(ids)} too {'low' if ids > 0 else 'high'}"
        fix = f"{'add 1 to' if ids > 0 else 'subtract 1 from'} each id, or fix the ids in `categories`"
        yield AnswerReading("first_category", "0", f"{ids:+d}", wrong, fix, lambda boxes, width, height: boxes, ids)


Scaled = Callable[[Boxes, int, int], Boxes]


def _units(samples: Sequence[Sample]) -> Iterator[tuple[str, str, tuple[str, str], Scaled]]:
    """Yield key, value, what the numbers are and how to fix it, and what makes pixels of the picture of them."""
    yield "units", "pixels", ("", ""), lambda boxes, width, height: boxes
    fix = "multiply x by the picture's width and y by its height"
    yield "units", "normalized", ("numbers from 0 to 1", fix), _normalized
    for side in INPUTS:
        for resize in ("stretch", "letterbox"):
            scaled = _from_input(resize, side)
            if np.median([_change(scaled, sample) for sample in samples] or [0.0]) < CLEARLY:
                continue
            said = f"pixels of an input of {side} x {side} px (resized by {resize})"
            fix = "scale them back to the picture"
            yield "units", f"input {side} {resize}", (said, fix), scaled


def _normalized(boxes: Boxes, width: int, height: int) -> Boxes:
    return boxes * np.array([width, height, width, height], dtype=np.float64)


def _from_input(resize: str, side: int) -> Scaled:
    return lambda boxes, width, height: frame_of(width, height, resize, side, side).to_image(boxes)


def _change(scaled: Scaled, sample: Sample) -> float:
    """Return how far a reading moves the picture's own corners, over its sides."""
    sides = np.array([[sample.width, sample.height] * 2], dtype=np.float64)
    frame = sides * [0, 0, 1, 1]
    return float((np.abs(scaled(frame, sample.width, sample.height) - frame) / sides).max())


def _read(order: str, scaled: Scaled) -> Scaled:
    return lambda boxes, width, height: scaled(from_format(boxes, order), width, height)


def _moved(by: tuple[int, ...]) -> Scaled:
    return lambda boxes, width, height: boxes + np.array(by, dtype=np.float64)


def lies_on_edges(answers: Sequence[Detections], samples: Sequence[Sample]) -> bool:
    """Whether boxes lie on the annotated ones to a fraction of a pixel at every edge: a pixel is a mistake only there.

    ``answers``: with the data set's categories. Where boxes scatter more, that they gain by a pixel is a habit.
    """
    offsets: list[Floats] = []
    for answer, sample in zip(answers, samples, strict=True):
        truth = sample.truth.take(np.flatnonzero(~sample.truth.crowd))
        overlap = iou(truth.boxes, answer.boxes) * (truth.categories[:, None] == answer.categories[None, :])
        if overlap.size:
            rows = np.flatnonzero(overlap.max(axis=1) >= 0.5)
            offsets.append(answer.boxes[overlap[rows].argmax(axis=1)] - truth.boxes[rows])
    offsets = [each for each in offsets if len(each)]
    if len(offsets) < EDGE_IMAGES or sum(map(len, offsets)) < EDGE_PAIRS:
        return False
    every = np.concatenate(offsets)
    middle, spread = np.median(every, axis=0), np.median(np.abs(every), axis=0)
    return bool((np.abs(middle) <= OFF).all() and (spread <= SCATTER).all())


def rounding_hint(answers: Sequence[Detections], samples: Sequence[Sample]) -> str | None:
    """Return what to say of boxes that were all rounded to whole pixels, where the annotated ones are not."""
    found = np.concatenate([np.zeros((0, 4)), *(each.boxes for each in answers)])
    truth = np.concatenate([np.zeros((0, 4)), *(each.truth.boxes for each in samples)])
    if len(found) < EDGE_PAIRS or not len(truth) or not (found == np.rint(found)).all():
        return None
    if (truth == np.rint(truth)).mean() > 0.5:
        return None
    return (
        f"all coordinates of {len(found)} boxes are whole numbers, those of the annotations are not: rounding moves an "
        "edge by up to 1 px; return the numbers as they are, without int() or round()"
    )
