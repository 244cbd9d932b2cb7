"""Masks of objects as run-length codes, and what of them shows in a window.

COCO's run-length code goes down the columns of the picture. Area and extent of the visible part are found on the
runs themselves (pycocotools, in C), so a window costs microseconds and no picture-sized array.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

__all__ = ["Mask", "areas_of", "boxes_of", "window_mask"]

FAR = 10  # sides of the image that a polygon may lie outside of it; pycocotools walks its outline pixel by pixel
LONGEST_SIDE = 2_000_000  # px of the outline of one object, for each of which pycocotools takes 80 bytes
LONGEST_CODE = 1 << 22  # letters or runs of one object


@dataclass(frozen=True, slots=True)
class Mask:
    """The pixels of one object in a frame of ``width`` by ``height``; ``counts`` is COCO's compressed code."""

    height: int
    width: int
    counts: bytes

    @classmethod
    def encode(cls, pixels: NDArray[Any]) -> "Mask":
        """Return the mask of a (height, width) array; every non-zero pixel belongs to the object.

        >>> Mask.encode(np.eye(3)).area
        3
        """
        if pixels.ndim != 2:
            raise ValueError(f"a mask has shape (height, width), not {pixels.shape}")
        return cls._of(coco_mask.encode(np.asfortranarray(pixels != 0, dtype=np.uint8)))

    @classmethod
    def from_segmentation(cls, segmentation: Any, height: int, width: int) -> "Mask":
        """Return the mask that a COCO ``segmentation`` describes: polygons, or a run-length code, compressed or not."""
        mask, left_out = cls.lenient(segmentation, height, width)
        if mask is None or left_out:
            raise ValueError(left_out)
        return mask

    @classmethod
    def lenient(cls, segmentation: Any, height: int, width: int) -> "tuple[Mask | None, str]":
        """Return the mask of what can be used of a ``segmentation``, and what was left out, in words.

        Polygons without three points are left out, and what is no list of polygons at all. A ``ValueError`` says what
        no mask can be made of: a code of another image, a coordinate that is no number, or far outside of the image.
        """
        if isinstance(segmentation, Mapping):
            return cls._from_runs(segmentation, height, width), ""
        if not isinstance(segmentation, Sequence) or isinstance(segmentation, str) or not segmentation:
            return None, "segmentation is neither a list of polygons nor a run-length code"
        if all(isinstance(each, (int, float)) for each in segmentation):
            return None, "segmentation is a flat list of numbers, not a list of polygons of at least three points each"
        polygons, left_out = [], ""
        for polygon in segmentation:
            if not isinstance(polygon, Sequence) or isinstance(polygon, str) or len(polygon) < 6 or len(polygon) % 2:
                left_out = f"a polygon is a flat list x y x y ... of at least three points, not {_shown(polygon)}"
            else:
                polygons.append(_polygon(polygon, height, width))
        if not polygons:
            return None, left_out
        longest = sum(map(len, polygons)) * (2 * FAR + 1) * max(height, width)  # what it may be at the very most
        if longest > LONGEST_SIDE and sum(_length(polygon) for polygon in polygons) > LONGEST_SIDE:
            raise ValueError(f"the polygons are longer than {LONGEST_SIDE:,} px in all")
        return cls._of(coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))), left_out

    @classmethod
    def _from_runs(cls, code: Mapping[str, Any], height: int, width: int) -> "Mask":
        size, counts = code.get("size"), code.get("counts")
        if not isinstance(size, Sequence) or isinstance(size, str) or list(size) != [height, width]:
            raise ValueError(f"run-length code of size {_shown(size)}, image is {height} x {width}")
        if isinstance(counts, (str, bytes, Sequence)) and len(counts) > min(LONGEST_CODE, 7 * (height * width + 2)):
            raise ValueError(f"run-length counts of {len(counts):,} parts do not add up to {height} x {width} pixels")
        if isinstance(counts, (str, bytes)):
            letters = counts.encode("ascii") if isinstance(counts, str) else counts
            _check_runs(_runs(letters), height, width)
            return cls(height, width, letters)
        if not isinstance(counts, Sequence) or not counts:
            raise ValueError(f"run-length counts {_shown(counts)} do not add up to {height} x {width} pixels")
        runs = _numbers(counts, "run-length counts")
        if (runs % 1 != 0).any() or runs.min() < 0 or runs.max() > height * width:
            raise ValueError(f"run-length counts do not add up to {height} x {width} pixels")
        _check_runs(runs.astype(np.int64), height, width)
        whole = runs.astype(np.int64).tolist()
        return cls._of(coco_mask.frPyObjects({"size": [height, width], "counts": whole}, height, width))

    @classmethod
    def _of(cls, code: Mapping[str, Any]) -> "Mask":
        height, width = code["size"]
        return cls(int(height), int(width), bytes(code["counts"]))

    @property
    def rle(self) -> dict[str, Any]:
        """The mask as pycocotools takes it."""
        return {"size": [self.height, self.width], "counts": self.counts}

    @property
    def area(self) -> int:
        """Number of pixels of the object."""
        return int(coco_mask.area(self.rle))

    @property
    def box(self) -> NDArray[np.float64]:
        """Tight box ``x0 y0 x1 y1``, half-open (last pixel + 1), in pixels; all 0 where no pixel is set."""
        x, y, width, height = np.asarray(coco_mask.toBbox(self.rle), dtype=np.float64)
        return np.array([x, y, x + width, y + height])

    def decode(self) -> NDArray[np.bool_]:
        """Return the mask as a (height, width) array."""
        runs = _runs(self.counts)
        return np.asarray(np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(self.width, self.height).T)

    def overlap(self, other: "Mask") -> "Mask":
        """Return the pixels that both masks, of one frame, have in common."""
        return Mask._of(coco_mask.merge([self.rle, other.rle], intersect=True))

    def cut(self, left: int, top: int, width: int, height: int) -> "Mask":
        """Return the part inside a window, as a mask of the window's own frame.

        >>> Mask.encode(np.eye(4)).cut(1, 0, 2, 2).decode().astype(int)
        array([[0, 0],
               [1, 0]])
        """
        return Mask.encode(self.decode()[top : top + height, left : left + width])

    def __repr__(self) -> str:
        return f"Mask({self.height}, {self.width}, {self.counts!r})"


def areas_of(masks: Sequence[Mask]) -> NDArray[np.int64]:
    """Return the numbers of pixels of masks, (n,), as :attr:`Mask.area` has each."""
    return np.asarray(coco_mask.area([mask.rle for mask in masks]), dtype=np.int64)


def boxes_of(masks: Sequence[Mask]) -> NDArray[np.float64]:
    """Return the tight boxes of masks, (n, 4) ``x0 y0 x1 y1``, as :attr:`Mask.box` has each."""
    boxes = np.asarray(coco_mask.toBbox([mask.rle for mask in masks]), dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def _polygon(values: Sequence[Any], height: int, width: int) -> list[float]:
    """Return the coordinates of a polygon; ``ValueError`` if one is no number, or far outside of the image."""
    points = _numbers(values, "a polygon")
    if not np.isfinite(points).all():
        raise ValueError("a polygon has a coordinate that is not finite")
    x, y = points[::2], points[1::2]
    if min(x.min() / width, y.min() / height) < -FAR or max(x.max() / width, y.max() / height) > FAR + 1:
        beyond = max(-x.min(), -y.min(), x.max() - width, y.max() - height)
        raise ValueError(f"a polygon lies {beyond:g} px outside its image of {width} x {height}")
    return list(points.tolist())


def _numbers(values: Sequence[Any], what: str) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values)
    except (ValueError, OverflowError):
        numbers = np.zeros(0, dtype=object)
    if numbers.dtype.kind not in "iuf" or numbers.ndim != 1:
        odd = next((each for each in values if not isinstance(each, (int, float)) or isinstance(each, bool)), values)
        raise ValueError(f"{what}: a value is no number, or too large: {_shown(odd)}")
    return numbers.astype(np.float64)


def _length(polygon: Sequence[float]) -> float:
    """Return how many pixels pycocotools walks along a polygon."""
    points = np.asarray(polygon).reshape(-1, 2)
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum())


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _runs(counts: bytes) -> NDArray[np.int64]:
    """Return the lengths of the runs, first of pixels outside, that COCO's compressed code stands for.

    Five bits a character, low ones first, bit 5 for "more follows" and the sign in the last bit 4; from the fourth
    on, a run is written as its difference from the one but one before. (pycocotools' own decoder warns under NumPy 2.)
    """
    data = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(data & 32 == 0)
    if not last.size or data.min() < 0 or data.max() > 63 or last[-1] != len(data) - 1:
        raise ValueError("the run-length code has characters that are none of its own, or is cut off")
    first = np.concatenate([[0], last[:-1] + 1])
    place = np.arange(len(data)) - np.repeat(first, last - first + 1)
    if place.max() > 6:
        raise ValueError("the run-length code has a run longer than any picture")
    runs = np.add.reduceat((data & 31) << (5 * place), first)
    runs -= np.where(data[last] & 16, np.int64(1) << (5 * (place[last] + 1)), 0)
    runs[1::2] = np.cumsum(runs[1::2])
    runs[2::2] = np.cumsum(runs[2::2])
    return runs


def _check_runs(runs: NDArray[np.int64], height: int, width: int) -> None:
    if runs.min() < 0 or runs.sum() != height * width:
        raise ValueError(f"run-length counts do not add up to {height} x {width} pixels")


def window_mask(frame_height: int, frame_width: int, left: int, top: int, width: int, height: int) -> Mask:
    """Return a rectangle of whole pixels as a mask of a frame, written down as runs, so that it is exact."""
    if height == frame_height:
        runs = [left * frame_height, width * frame_height]
    else:
        runs = [left * frame_height + top, *([height, frame_height - height] * width)][:-1]
    code = {"size": [frame_height, frame_width], "counts": [*runs, frame_height * frame_width - sum(runs)]}
    return Mask._of(coco_mask.frPyObjects(code, frame_height, frame_width))
