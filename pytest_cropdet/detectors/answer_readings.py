"""In which other ways the numbers that a detector returns may be read: order, units, edges, first category.

A function answers in pixels ``x0 y0 x1 y1`` of the picture it is given; of a file it is declared. What else the numbers
may be costs no call of the detector: its answers are read again, and what that gains is measured in annotated objects.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_cropdet.data import Detections, Sample, flatten_inverted
from pytest_cropdet.detectors.resize import Frame, frame_of
from pytest_cropdet.detectors.resize_rule import ResizeRule
from pytest_cropdet.geometry import FORMATS, Boxes, Crop, Floats, from_format, iou, to_format

__all__ = ["AnswerReading", "Declared", "lies_on_edges", "overlaps", "possible_readings", "rounding_hint", "worth"]

ORDERS = {
    "xyxy": ("x0 y0 x1 y1", ""),
    "yxyx": ("y0 x0 y1 x1", "return boxes[:, [1, 0, 3, 2]]"),
    "xywh": ("x y width height", "add the corner: boxes[:, 2:] += boxes[:, :2]"),
    "cxcywh": (
        "centre x, centre y, width, height",
        "return pytest_cropdet.geometry.boxes.from_format(boxes, 'cxcywh')",
    ),
}
SWAPPED = {"xyxy": "yxyx", "yxyx": "xyxy"}
UNIT_NAMES = {
    "pixels": "pixels of the picture",
    "normalized": "numbers from 0 to 1",
    "input": "pixels of the model's resized input",
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
INPUTS = (224, 256, 300, 320, 384, 416, 512, 608, 640, 800, 1024, 1280)  # px a side, as detectors commonly have them
CLEARLY = (
    0.1  # of a side, by which an input must move the corners of most pictures, to be no habit of a detector's boxes
)
EDGE_PAIRS, EDGE_IMAGES = 20, 5  # that edges are judged by, at least
OFF, SCATTER = 0.25, 0.5  # px: the median by which an edge may be off, and scatter, once it is read rightly


Scaled = Callable[[Boxes, int, int], Boxes]  # given boxes and the picture's width and height


@dataclass(frozen=True, slots=True)
class Declared:
    """How a detector's boxes were read: their order and units.

    ``input_width``, ``input_height``: of the model's input in pixels, 0 where it is not known; ``resize``: how a
    picture gets there.
    """

    order: str = "xyxy"
    units: str = "pixels"
    input_width: int = 0
    input_height: int = 0
    resize: str | ResizeRule = "stretch"

    @classmethod
    def of(cls, said: Mapping[str, object], input_size: tuple[int, int]) -> "Declared":
        """Return how boxes are read by the conventions in ``said``; ``input_size``: (height, width) in pixels."""
        order, units = said.get("boxes"), said.get("units")
        rule = ResizeRule.said_in(said)
        return cls(
            str(order) if order in FORMATS else "xyxy",
            str(units) if units in UNIT_NAMES else "pixels",
            input_size[1],
            input_size[0],
            rule if rule is not None and rule.resize in ("letterbox", "keep_aspect") else "stretch",
        )

    @property
    def knows_input(self) -> bool:
        """Whether the size of the model's input is known."""
        return ResizeRule.of(self.resize).knows_input(self.input_width, self.input_height)

    def frame(self, width: int, height: int) -> Frame:
        """Return how a picture lies in the input; in itself, where that is not known."""
        if not self.knows_input:
            return Frame(width, height, width, height)
        return frame_of(width, height, self.resize, self.input_width, self.input_height)

    def from_normalized(self, boxes: Boxes, width: int, height: int) -> Boxes:
        """Return boxes of 0 to 1 in pixels of the picture."""
        return self.frame(width, height).from_normalized(boxes)

    def from_input(self, boxes: Boxes, width: int, height: int) -> Boxes:
        """Return boxes in pixels of the input in pixels of the picture."""
        return self.frame(width, height).to_image(boxes)

    def undone(self, boxes: Boxes, width: int, height: int) -> Boxes:
        """Return the numbers that were read as these boxes ``x0 y0 x1 y1`` in pixels of the picture."""
        if self.units != "pixels":
            frame = self.frame(width, height)
            boxes = frame.to_input(boxes)
            if self.units == "normalized":
                boxes = boxes / np.array([frame.input_width, frame.input_height] * 2, dtype=np.float64)
        return to_format(boxes, self.order)


@dataclass(frozen=True, slots=True)
class AnswerReading:
    """Another way to read a detector's numbers: what is wrong then, and how a function is fixed.

    ``boxes``: given boxes as they were read and the picture's (width, height), what they are in pixels ``x0 y0 x1 y1``.
    ``ids``: added to each category. ``order``, ``units``: of the boxes.
    """

    key: str
    declared: str
    value: str
    wrong: str
    fix: str
    boxes: Scaled
    ids: int = 0
    order: str = "xyxy"
    units: str = "pixels"

    def of(self, found: Detections, width: int, height: int) -> Detections:
        """Return detections as they are if their numbers are read so."""
        boxes = flatten_inverted(self.boxes(found.boxes, width, height))
        return Detections(boxes, found.scores, found.categories + self.ids, found.capped)


def possible_readings(
    samples: Sequence[Sample], declared: Declared | None = None, sides: Sequence[int] = INPUTS
) -> Iterator[AnswerReading]:
    """Yield every other way to read what was found in samples.

    ``declared``: how it was read, as a function's answers if not given. ``sides``: of inputs that are tried, in pixels,
    where the input is not known.
    """
    was = declared or Declared()
    for order in FORMATS:
        for units, value, (said, fix_units), scaled in _units(samples, was, sides):
            if (order, units) == (was.order, was.units):
                continue
            name, fix_order = ORDERS[order]
            faults = [f"{ORDERS[was.order][0]} was expected, but {name} is returned"] if order != was.order else []
            faults += [f"{UNIT_NAMES[was.units]} were expected, but {said} are returned"] if units != was.units else []
            fixes = ", then ".join(each for each in (fix_order, fix_units) if each)
            key, before, now = "units", was.units, value if order == was.order else f"{order} {value}"
            if units == was.units:
                key, before, now = "boxes", was.order, order
            yield AnswerReading(key, before, now, "; ".join(faults), fixes, _read(was, order, scaled), 0, order, units)
    if was.units == "pixels" and was.order in SWAPPED:
        order = SWAPPED[was.order]
        wrong = f"{ORDERS[was.order][0]} was expected, but {ORDERS[order][0]} is returned, scaled as if it were that"
        fix = "swap x and y before boxes are scaled to the picture"
        yield AnswerReading("boxes", was.order, f"{order}, scaled", wrong, fix, _swapped, 0, order, was.units)
    for value, (wrong, fix, moved) in EDGES.items():
        yield AnswerReading("edges", "exclusive, from 0", value, wrong, fix, _moved(moved), 0, was.order, was.units)
    for ids in (1, -1):
        wrong = f"categories are off by one: each id is {abs(ids)} too {'low' if ids > 0 else 'high'}"
        fix = f"{'add 1 to' if ids > 0 else 'subtract 1 from'} each id, or fix the ids in `categories`"
        yield AnswerReading("first_category", "0", f"{ids:+d}", wrong, fix, _same, ids, was.order, was.units)


def _units(
    samples: Sequence[Sample], was: Declared, sides: Sequence[int]
) -> Iterator[tuple[str, str, tuple[str, str], Scaled]]:
    """Yield units, which, what the numbers are and how to fix it, and what makes pixels of the picture of them."""
    if was.units == "input" and not was.knows_input:  # they were made pixels of the picture in a way that is not known
        yield "input", "input", ("", ""), _same
        return
    yield "pixels", "pixels", (UNIT_NAMES["pixels"], ""), _same
    fix = "multiply x by the picture's width and y by its height"
    yield "normalized", "normalized", (UNIT_NAMES["normalized"], fix), was.from_normalized
    if was.knows_input:
        yield "input", "input", (UNIT_NAMES["input"], "scale them back to the picture"), was.from_input
        return
    for side in sides:
        for resize in ("stretch", "letterbox"):
            scaled = _from_input(resize, side)
            if np.median([_change(scaled, sample) for sample in samples] or [0.0]) < CLEARLY:
                continue
            said = f"pixels of an input of {side} x {side} px (resized by {resize})"
            yield "input", f"input {side} {resize}", (said, "scale them back to the picture"), scaled


def _same(boxes: Boxes, width: int, height: int) -> Boxes:
    return boxes


def _swapped(boxes: Boxes, width: int, height: int) -> Boxes:
    size = np.array([width, height] * 2, dtype=np.float64)
    return np.asarray((boxes / size)[:, [1, 0, 3, 2]] * size)


def _from_input(resize: str, side: int) -> Scaled:
    return lambda boxes, width, height: frame_of(width, height, resize, side, side).to_image(boxes)


def _change(scaled: Scaled, sample: Sample) -> float:
    """Return how far a reading moves the picture's own corners, over its sides."""
    sides = np.array([[sample.width, sample.height] * 2], dtype=np.float64)
    frame = sides * [0, 0, 1, 1]
    return float((np.abs(scaled(frame, sample.width, sample.height) - frame) / sides).max())


def _read(was: Declared, order: str, scaled: Scaled) -> Scaled:
    return lambda boxes, width, height: scaled(from_format(was.undone(boxes, width, height), order), width, height)


def _moved(by: tuple[int, ...]) -> Scaled:
    return lambda boxes, width, height: boxes + np.array(by, dtype=np.float64)


def overlaps(found: Detections, sample: Sample, within_categories: bool = True) -> Floats:
    """Return (objects, detections) IoU with the annotated objects that are no crowds; 0 between categories."""
    truth = sample.truth.take(np.flatnonzero(sample.truth.counted))
    overlap = iou(truth.boxes, Crop(0, 0, sample.width, sample.height).clip(found.boxes))
    if not within_categories:
        return overlap
    return np.asarray(np.where(truth.categories[:, None] == found.categories[None, :], overlap, 0.0))


def worth(answers: Sequence[Detections], samples: Sequence[Sample], least: float = 0.0) -> Floats:
    """Return, for each sample, score times IoU of the best detection of each annotated object, summed.

    ``answers``: with the data set's categories. An IoU below ``least`` counts nothing.
    """
    sums = []
    for found, sample in zip(answers, samples, strict=True):
        overlap = overlaps(found, sample)
        sums.append((np.where(overlap >= least, overlap, 0.0) * found.scores).max(axis=1, initial=0.0).sum())
    return np.array(sums, dtype=np.float64)


def lies_on_edges(answers: Sequence[Detections], samples: Sequence[Sample]) -> bool:
    """Whether boxes lie on the annotated ones to a fraction of a pixel at every edge: a pixel is a mistake only there.

    ``answers``: with the data set's categories. Where boxes scatter more, that they gain by a pixel is a habit.
    """
    offsets: list[Floats] = []
    for answer, sample in zip(answers, samples, strict=True):
        truth = sample.truth.take(np.flatnonzero(sample.truth.counted))
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
