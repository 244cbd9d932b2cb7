"""Hypothesis strategies: windows, and what lies in them.

Everything is drawn as a whole number that shrinks to 0: a window as the margins cut off each side, so that a failure
reads "cutting 37 px off the left is enough"; a box as the margins between it and its frame. Nothing is filtered, no
pixel is drawn, and what is drawn has a repr that is code to paste.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from pytest_cropdet.crops.margins import Margins, PixelRange
from pytest_cropdet.data import Dataset, Detections, GroundTruth, PaintedSample, Sample
from pytest_cropdet.errors import DataError, SpecError
from pytest_cropdet.geometry import Boxes, Corners, Crop, Mask, areas, as_boxes
from pytest_cropdet.settings import configured_dataset

__all__ = ["boxes", "crops", "crops_of", "detections", "ground_truths", "samples"]

Aspect = float | tuple[float, float]
CATEGORIES = (1, 2, 3)


def crops(
    width: int,
    height: int,
    *,
    min_side: int = 1,
    max_cut: int | None = None,
    inside: Crop | None = None,
    containing: Sequence[float] | None = None,
    touching: ArrayLike = (),
    aspect: Aspect | None = None,
    stride: int = 1,
) -> st.SearchStrategy[Crop]:
    """Windows of an image of ``width`` by ``height`` pixels.

    Shrinks towards the whole image (with ``inside``, towards all of that): each margin towards 0, right and bottom
    first.

    - ``min_side``: pixels that stay of each side; a side of the image that is shorter stays whole.
    - ``max_cut``: the most pixels that go from any one of the four sides.
    - ``inside``: a window in which all others lie.
    - ``containing``: a box ``x0 y0 x1 y1`` in pixels that is never cut.
    - ``touching``: (n, 4) boxes in pixels; half of all cuts go where one of them begins, ends or has its middle, which
      chance would seldom hit: an object that only touches the window, or is just not cut, or of which exactly half
      or a quarter is visible.
    - ``aspect``: width / height, or the least and the most of it, as near as whole pixels and ``min_side`` allow.
    - ``stride``: all four margins are multiples of so many pixels; left and top then keep a detector's phase, and the
      sides stay congruent to the image's.

    ``SpecError`` says so where no window is possible.
    """
    if width < 1 or height < 1 or min_side < 1 or stride < 1 or (max_cut is not None and max_cut < 0):
        raise SpecError(
            f"crops({width}, {height}, min_side={min_side}, max_cut={max_cut}, stride={stride}): width, height, "
            "min_side and stride are whole pixels from 1 on, max_cut from 0 on"
        )
    if inside is not None and not inside.fits(width, height):
        raise SpecError(f"inside={inside!r} sticks out of an image {width} wide and {height} high")
    limits = inside or Crop(0, 0, width, height)
    box = None if containing is None else tuple(map(float, containing))
    margins = partial(Margins.of, min_side=min_side, max_cut=max_cut, stride=stride)
    x = margins(width, inside=(limits.left, limits.right), containing=box and box[0::2])
    y = margins(height, inside=(limits.top, limits.bottom), containing=box and box[1::2])
    edges = as_boxes(touching, "touching")
    return _windows(x, y, _ends(edges[:, 0::2], width), _ends(edges[:, 1::2], height), _ratios(aspect))


def crops_of(
    dataset: Dataset | Sequence[Sample] | None = None,
    *,
    min_side: int = 1,
    max_cut: int | None = None,
    touching: bool = True,
    aspect: Aspect | None = None,
    stride: int = 1,
) -> st.SearchStrategy[tuple[str, Crop]]:
    """Pairs of a sample's id and a window of its image.

    Shrinks towards the first sample of the data set and its whole image. ``dataset``: without one it is that of the
    running test, which its fixture ``cropdet_dataset`` gives; it is opened when the strategy is first used, not when
    a test file is imported. ``touching``: half of all cuts go where an object of the sample begins, ends or has its
    middle. The other parameters are those of :func:`crops`, in pixels of each image.
    """
    windows = partial(crops, min_side=min_side, max_cut=max_cut, aspect=aspect, stride=stride)

    @st.composite
    def cases(draw: st.DrawFn) -> tuple[str, Crop]:
        data = configured_dataset() if dataset is None else dataset
        if not len(data):
            raise DataError("crops_of(): the data set has no samples")
        sample = data[draw(st.integers(0, len(data) - 1))]
        edges = sample.truth.boxes if touching else ()
        return sample.id, draw(windows(sample.width, sample.height, touching=edges))

    def opened() -> st.SearchStrategy[tuple[str, Crop]]:
        if dataset is None:
            configured_dataset()  # before Hypothesis looks at its clock: to read a large file takes seconds
        return cases()

    return st.deferred(opened)


def boxes(
    width: int, height: int, *, min_count: int = 0, max_count: int = 4, grid: int = 4, beyond: int = 0
) -> st.SearchStrategy[Boxes]:
    """(n, 4) float64 boxes ``x0 y0 x1 y1`` in a frame of ``width`` by ``height`` pixels; each has width and height.

    Shrinks towards no box (``min_count``), and each box towards the whole frame. They lie on whole pixels as often as
    on 1/``grid`` px: 4 gives halves and quarters, with which sums and products are exact, 7 gives numbers that binary
    cannot write down, 1 whole pixels alone. ``beyond``: pixels by which a box may reach over the frame.
    """
    rows = st.lists(_rows(width, height, grid, beyond), min_size=min_count, max_size=max_count)
    return rows.map(_stacked)


def detections(
    width: int,
    height: int,
    *,
    min_count: int = 0,
    max_count: int = 4,
    categories: Sequence[int] = CATEGORIES,
    grid: int = 4,
    beyond: int = 0,
) -> st.SearchStrategy[Detections]:
    """What a detector may have found in a picture of ``width`` by ``height`` pixels.

    Shrinks towards nothing, and each row towards the whole picture, score 1 and the first of ``categories``. Scores
    are hundredths from 0 to 1; boxes as :func:`boxes` draws them.
    """
    rows = st.lists(
        st.tuples(_rows(width, height, grid, beyond), st.integers(0, 100), st.sampled_from(categories)),
        min_size=min_count,
        max_size=max_count,
    )
    return rows.map(
        lambda found: Detections(
            boxes=_stacked([box for box, _, _ in found]),
            scores=np.array([(100 - lost) / 100 for _, lost, _ in found]),
            categories=np.array([category for _, _, category in found], dtype=np.int64),
        )
    )


@st.composite
def ground_truths(
    draw: st.DrawFn,
    width: int,
    height: int,
    *,
    min_count: int = 0,
    max_count: int = 4,
    categories: Sequence[int] = CATEGORIES,
    grid: int = 4,
    crowds: bool = True,
    masks: bool = False,
) -> GroundTruth:
    """Annotated objects of an image of ``width`` by ``height`` pixels.

    Shrinks towards no object, and each towards the whole image, the first of ``categories``, no crowd and no mask.
    Boxes as :func:`boxes` draws them; with ``masks`` some objects have one, of pixels that the box touches.
    """
    rows = draw(st.lists(_rows(width, height, grid, 0), min_size=min_count, max_size=max_count))
    drawn = [draw(st.none() | _masks(width, height, row)) if masks else None for row in rows]
    whole = areas(_stacked(rows))
    return GroundTruth(
        boxes=_stacked(rows),
        categories=np.array([draw(st.sampled_from(categories)) for _ in rows], dtype=np.int64),
        crowd=np.array([crowds and draw(st.booleans()) for _ in rows], dtype=bool),
        areas=np.array([area if mask is None else mask.area for area, mask in zip(whole, drawn, strict=True)]),
        masks=tuple(drawn),
    )


@st.composite
def samples(
    draw: st.DrawFn,
    *,
    min_side: int = 16,
    max_side: int = 96,
    min_count: int = 0,
    max_count: int = 4,
    categories: Sequence[int] = CATEGORIES,
    grid: int = 4,
    crowds: bool = False,
) -> Sample:
    """Painted pictures, sides of ``min_side`` to ``max_side`` pixels, with their objects.

    Shrinks towards the smallest picture, without objects and on the first background. The pixels follow from the
    sizes, the objects and one number (:func:`pytest_cropdet.data.paint`); objects as :func:`ground_truths` draws.
    """
    width, height = draw(st.integers(min_side, max_side)), draw(st.integers(min_side, max_side))
    objects = partial(ground_truths, min_count=min_count, max_count=max_count, categories=categories)
    truth = draw(objects(width, height, grid=grid, crowds=crowds))
    return PaintedSample(width, height, truth, seed=draw(st.integers(0, 255)))


@st.composite
def _windows(
    draw: st.DrawFn, x: Margins, y: Margins, columns: Sequence[int], rows: Sequence[int], ratios: tuple[float, float]
) -> Crop:
    low, high = ratios
    if high > 0:
        shortest, longest = y.sides
        x = x.leaving(low * shortest, high * longest)
    left, right = _cuts(draw, x, columns)
    width = x.length - left - right
    if high > 0:
        y = y.leaving(width / high, width / low)
    top, bottom = _cuts(draw, y, rows)
    return Crop(left, top, width, y.length - top - bottom)


def _cuts(draw: st.DrawFn, margins: Margins, ends: Sequence[int] = ()) -> PixelRange:
    """What goes from the two ends of a side, in pixels; ``ends`` are places that cuts fall on."""
    first = _cut(draw, margins.first(), margins.stride, ends)
    back = [margins.length - place for place in reversed(ends)]
    return first, _cut(draw, margins.second(first), margins.stride, back)


def _cut(draw: st.DrawFn, within: PixelRange, stride: int, ends: Sequence[int]) -> int:
    """A number of pixels, or the next lower of ``ends``: what lands there can shrink on from there, pixel by pixel.

    As many choices are made whatever the range, or a longer cut could count as the simpler one.
    """
    low, high = within
    cut = stride * draw(st.integers(low // stride, high // stride))
    lands: bool = draw(st.booleans()) if ends else False
    if lands:
        return max((end for end in ends if low <= end <= cut and end % stride == 0), default=cut)
    return cut


def _ends(edges: Boxes, length: int) -> list[int]:
    """The whole pixels at which boxes begin, end and are halved, upwards; ``edges``: (n, 2) coordinates on one side."""
    exact = np.column_stack([edges, edges.mean(axis=1)])
    places = {int(place) for place in np.concatenate([np.floor(exact), np.ceil(exact)]).ravel()}
    return sorted(place for place in places if 0 <= place <= length)


def _ratios(aspect: Aspect | None) -> tuple[float, float]:
    """The least and the most of width / height; 0 and 0 where any will do."""
    if aspect is None:
        return 0.0, 0.0
    low, high = aspect if isinstance(aspect, tuple) else (aspect, aspect)
    if not 0 < low <= high:
        raise SpecError(f"aspect={aspect}: width / height above 0, or the least and the most of it such as (0.5, 2)")
    return low, high


@st.composite
def _rows(draw: st.DrawFn, width: int, height: int, grid: int, beyond: int) -> Corners:
    """One box, as margins in steps of a pixel or a part of it."""
    step = draw(st.sampled_from([step for step in range(grid, 0, -1) if grid % step == 0]))
    (left, right), (top, bottom) = (_cuts(draw, Margins.of(side * grid // step)) for side in (width, height))
    out = [draw(st.integers(0, beyond)) if beyond else 0 for _ in range(4)]
    return (
        left * step / grid - out[0],
        top * step / grid - out[1],
        (width * grid - right * step) / grid + out[2],
        (height * grid - bottom * step) / grid + out[3],
    )


def _stacked(rows: Sequence[Corners]) -> Boxes:
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


@st.composite
def _masks(draw: st.DrawFn, width: int, height: int, box: Corners) -> Mask:
    """Every so-many-th of the pixels that a box touches, counted along the rows; never none."""
    apart = draw(st.integers(1, 5))
    left, top = int(np.floor(box[0])), int(np.floor(box[1]))
    right, bottom = int(np.ceil(box[2])), int(np.ceil(box[3]))
    inside = np.zeros((bottom - top) * (right - left), bool)
    inside[draw(st.integers(0, min(apart, len(inside)) - 1)) :: apart] = True
    pixels = np.zeros((height, width), bool)
    pixels[top:bottom, left:right] = inside.reshape(bottom - top, right - left)
    return Mask.encode(pixels)
