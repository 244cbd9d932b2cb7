"""The lines of YOLO's label files: what each is, which its number of values and the data set's YAML decide together."""

from collections.abc import Mapping, Sequence
from itertools import chain
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data.category_files import decode_text
from pytest_cropdet.data.readers.yolo_yaml import YoloYaml
from pytest_cropdet.data.truth_table import TruthTable
from pytest_cropdet.errors import DataError
from pytest_cropdet.geometry import Mask

__all__ = ["YoloLines"]

_SLACK = 0.01  # by which a coordinate may leave 0 to 1; by how many pixels a box may, is checked later
_LARGEST_TEXT = 8 << 20  # bytes of one label file
_AT_ONCE = 1024  # label files
_FACTORS = (1.0, 3.1415926535897931, 11.313708498984761, 41.414213562373095, 97.38905609893065)


class YoloLines:
    """Reads label files into a table. ``names``: of the categories; ``None``: their numbers stand for names."""

    def __init__(self, table: TruthTable, yaml: YoloYaml | None, names: Mapping[int, str] | None) -> None:
        self.table, self.names = table, names
        self.keypoints = 0 if yaml is None else yaml.keypoints
        self.task = "" if yaml is None else yaml.task
        self._numbers: set[int] = set()
        self._waiting: list[tuple[int, str]] = []  # images and the texts of their label files
        self._letters = 0
        self._four_points = 0  # polygons of four points that are no upright rectangles
        self._others = 0  # lines that are none of these
        self._example = ""
        if self.task == "obb":
            raise DataError(f"{yaml.path if yaml else table.path}: {_ORIENTED}")
        if self.task not in ("detect", "segment", "pose", ""):
            raise DataError(f"{table.path}: task {self.task[:40]!r} in its YAML; detect, segment and pose are read")

    def read(self, image: int, path: Path) -> None:
        """Read the objects of one image; they are in the table when :meth:`finish` has returned."""
        self._waiting.append((image, decode_text(path, "the label file", _LARGEST_TEXT)))
        self._letters += len(self._waiting[-1][1])
        if len(self._waiting) >= _AT_ONCE or self._letters > _LARGEST_TEXT:
            self._read_waiting()

    def _read_waiting(self) -> None:
        """Read the label files so far at once where all are boxes without a fault, else line by line."""
        if not self._read_boxes():
            for image, text in self._waiting:
                self._read_lines(image, text)
        self._waiting.clear()
        self._letters = 0

    def _read_boxes(self) -> bool:
        """Put all objects into the table, or none of them and return False."""
        if self.keypoints or self.task == "pose":
            return False
        split = [[line.split() for line in text.splitlines()] for _, text in self._waiting]
        words = list(chain.from_iterable(split))
        if set(map(len, words)) != {5}:
            return False
        try:
            values = np.array(list(map(float, chain.from_iterable(words)))).reshape(-1, 5)
        except ValueError:
            return False
        counts = np.fromiter(map(len, split), np.int64, len(split))
        images = np.fromiter((image for image, _ in self._waiting), np.int64, len(split))
        with np.errstate(all="ignore"):
            kinds, number, image = values[:, 0], values[:, 0].astype(np.int64), np.repeat(images, counts)
            fine = (kinds == number) & (kinds >= 0) & (kinds < 1 << 31) & (values[:, 3:] >= 0).all(axis=1)
            fine &= (values[:, 1:] >= -_SLACK).all(axis=1) & (values[:, 1:] <= 1 + _SLACK).all(axis=1)
            known = fine.all() and (self.names is None or set(np.unique(number).tolist()) <= self.names.keys())
        if not known or _may_repeat(image, values):
            return False
        if self.names is None:
            self._numbers.update(np.unique(number).tolist())
        self._others += len(values)
        sides = np.array([(self.table.sizes[2 * one], self.table.sizes[2 * one + 1]) for one, _ in self._waiting])
        frames, half = sides[np.repeat(np.arange(len(counts)), counts)], values[:, 3:] / 2
        boxes = np.concatenate([(values[:, 1:3] - half) * frames, (values[:, 1:3] + half) * frames], axis=1)
        place = np.arange(len(values)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
        self.table.add_many(image, number, boxes, place)
        return True

    def _read_lines(self, image: int, text: str) -> None:
        seen: set[tuple[float, ...]] = set()
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            if not words:
                continue
            try:
                values = _numbers(words)
                if values not in seen:
                    seen.add(values)
                    self._object(image, values, number)
                else:
                    self.table.found.add("repeated_box", self.table.where(image, number), image)
            except ValueError as error:
                self.table.faults.add(f"{self.table.where(image, number)}: {error}")

    def finish(self) -> dict[int, str]:
        """Return the categories; refuse a set of which every line may be an oriented box."""
        self._read_waiting()
        if self._four_points and not self._others and self.task != "segment":
            raise DataError(
                f"{self.table.path}: every line has eight coordinates ({self._example}): {_ORIENTED}; if these are "
                "polygons of four points, add the line `task: segment` to the data.yaml"
            )
        if self.names is not None:
            return dict(self.names)
        return {number: str(number) for number in sorted(self._numbers)}

    def _object(self, image: int, values: tuple[float, ...], number: int) -> None:
        category = int(values[0])
        if category != values[0] or not 0 <= category < 1 << 31:
            raise ValueError(f"the category must be a whole number from 0, is {values[0]:g}")
        if self.names is None:
            self._numbers.add(category)
        elif category not in self.names:
            raise ValueError(f"unknown category {category}; the set has {min(self.names)} to {max(self.names)}")
        width, height = self.table.sizes[2 * image], self.table.sizes[2 * image + 1]
        if self.keypoints or self.task == "pose":
            values = self._without_keypoints(values)
        _check_range(values[1:])
        if len(values) == 5:
            self._others += 1
            _, across, down, wide, tall = values
            if wide < 0 or tall < 0:
                raise ValueError(f"a box of negative size: {wide:g} x {tall:g}")
            left, right = (across - wide / 2) * width, (across + wide / 2) * width
            box = left, (down - tall / 2) * height, right, (down + tall / 2) * height
            self.table.add(image, category, box, number)
            return
        if len(values) < 7 or len(values) % 2 == 0:
            raise ValueError(_unlike(len(values)))
        x, y = values[1::2], values[2::2]
        if len(x) != 4:
            self._others += 1
        elif not _upright(x, y):  # an upright one is the same box in either reading
            self._four_points += 1
            self._example = self._example or f"first: {self.table.where(image, number)}"
        across_px, down_px = [each * width for each in x], [each * height for each in y]
        points = [each for pair in zip(across_px, down_px, strict=True) for each in pair]
        mask = Mask.from_segmentation([points], height, width)
        box4 = (min(across_px), min(down_px), max(across_px), max(down_px))
        self.table.add(image, category, box4, number, mask=mask, area=float(mask.area) or None)

    def _without_keypoints(self, values: tuple[float, ...]) -> tuple[float, ...]:
        if not self.keypoints:
            raise ValueError("a pose set without kpt_shape in its YAML; add it, such as kpt_shape: [17, 3]")
        if len(values) not in (5, 5 + self.keypoints):
            raise ValueError(
                f"{len(values)} values; a line of this pose set has 5 and {self.keypoints} of its keypoints (kpt_shape)"
            )
        return values[:5]


_ORIENTED = "oriented boxes are not read, because IoU here is that of upright boxes"


def _numbers(words: Sequence[str]) -> tuple[float, ...]:
    """Return the values of a line; a ``ValueError`` names one that is no number."""
    try:
        values = tuple(map(float, words))
    except ValueError:
        values = ()
    if values and isfinite(sum(values)):
        return values
    for word in words:
        try:
            finite = isfinite(float(word))
        except ValueError:
            raise ValueError(f"{word[:40]!r} is no number") from None
        if not finite:
            raise ValueError(f"{word[:40]} is not finite")
    raise ValueError("the values are too large")


def _may_repeat(image: NDArray[np.int64], values: NDArray[np.float64]) -> bool:
    """Return False if no image has two equal rows; True if one may have, for the sums of equal rows are equal."""
    sums = image * 7919.7310585786300
    for column, factor in enumerate(_FACTORS):
        sums = sums + values[:, column] * factor
    sums.sort()
    return bool((sums[1:] == sums[:-1]).any())


def _check_range(values: Sequence[float]) -> None:
    low, high = min(values, default=0.0), max(values, default=0.0)
    if low < -_SLACK or high > 1 + _SLACK:
        odd = high if high > 1 + _SLACK else low
        hint = "; is it in pixels? divide x by the width of the image and y by its height" if high > 2 else ""
        raise ValueError(f"the coordinate {odd:g} is outside of 0 to 1{hint}")


def _upright(x: Sequence[float], y: Sequence[float]) -> bool:
    """Return whether four points are the corners of an upright rectangle."""
    return len(set(x)) <= 2 and len(set(y)) <= 2


def _unlike(count: int) -> str:
    if count == 6:
        return "six values: with a score these are detections, not annotations (category x y width height has five)"
    return (
        f"{count} values; a box has 5, a polygon 7 or more, an odd number; for keypoints add kpt_shape to the "
        "data.yaml, such as kpt_shape: [17, 3]"
    )
