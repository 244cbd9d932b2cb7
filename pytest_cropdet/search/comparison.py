"""One image, one crop, no truth: what a detector sees in both, and what it loses, moves, renames or makes up."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data import MIN_VISIBILITY, Detections, read_image
from pytest_cropdet.detectors import Detector, DetectorHandle, as_handle
from pytest_cropdet.evaluation import STATES, Pair, PlacedDetection, State, make_pairs
from pytest_cropdet.figures import draw_comparison
from pytest_cropdet.geometry import Crop, Image
from pytest_cropdet.settings import check_share
from pytest_cropdet.terms import one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Comparison", "Pair", "PlacedDetection", "compare"]

_HEAD = ("#", "state", "category", "score whole -> crop", "IoU", "visible", "box in the image")
_RIGHT = (True, False, False, True, True, True, True)  # the columns whose cells end in line
_LONGEST = 24  # letters of a category's name in the table


@dataclass(frozen=True, repr=False)
class Comparison:
    """The pairs of one image and one crop, by state and then by falling score; it prints as a table.

    ``image`` holds the RGB pixels for :meth:`plot`; the thresholds are those :func:`compare` was given.
    """

    crop: Crop
    pairs: tuple[Pair, ...]
    image: Image = field(compare=False)
    score: float
    found_iou: float
    moved_iou: float
    min_visibility: float

    @property
    def found(self) -> tuple[Pair, ...]:
        """Same category, IoU at least ``found_iou``."""
        return self._of("found")

    @property
    def moved(self) -> tuple[Pair, ...]:
        """Same category, IoU from ``moved_iou`` to below ``found_iou``."""
        return self._of("moved")

    @property
    def relabelled(self) -> tuple[Pair, ...]:
        """Other category, IoU at least ``moved_iou``."""
        return self._of("relabelled")

    @property
    def lost(self) -> tuple[Pair, ...]:
        """Seen in the whole image only."""
        return self._of("lost")

    @property
    def new(self) -> tuple[Pair, ...]:
        """Seen in the crop only."""
        return self._of("new")

    @property
    def cut_away(self) -> tuple[Pair, ...]:
        """Those of ``lost`` of which less than ``min_visibility`` lies in the window.

        They stay lost: the detector does not see them in the crop. But the crop shows little of them, and a gate asks
        for no object that is less visible than that, so they are no sign of a weakness.
        """
        return tuple(pair for pair in self.pairs if pair.is_cut_away(self.min_visibility))

    def _of(self, state: State) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.pairs if pair.state == state)

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self.pairs)

    def __repr__(self) -> str:
        counts = ", ".join(f"{state}={len(self._of(state))}" for state in STATES)
        return f"Comparison({self.crop}, {counts})"

    def __str__(self) -> str:
        lines = _aligned([_HEAD, *self._rows()]) if self.pairs else []
        return "\n".join([self._title(), *lines, *self._note()])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in _HEAD)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in map(str.strip, row)) + "</tr>"
            for row in self._rows()
        )
        note = "".join(f"<p>{escape(line)}</p>" for line in self._note())
        caption = f"<caption>{escape(self._title())}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{note}"

    def _title(self) -> str:
        if not self.pairs:
            return f"{self.crop}: nothing in this window scores {self.score:g} or more"
        return f"{self.crop}: " + ", ".join(f"{len(self._of(state))} {state}" for state in STATES)

    def _note(self) -> list[str]:
        mark = f"* cut away: less than {self.min_visibility:g} of it lies in the window"
        return [mark] if self.cut_away else []

    def _rows(self) -> list[tuple[str, ...]]:
        cut = self.cut_away
        return [
            _row(number, pair, "*" if pair in cut else " " if cut else "") for number, pair in enumerate(self.pairs, 1)
        ]

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Return a matplotlib ``Figure``: the whole image with the window, and the crop, numbered like the table.

        The left picture holds the boxes of the whole image, the right one those of the crop, and dashed the places of
        what was lost. ``figure.savefig("comparison.png")`` writes it. ``ax``: axes of a figure of your
        own, whose place it takes.
        """
        return draw_comparison(self.image, self.crop, self.pairs, self.min_visibility, ax)


def compare(
    detector: Detector,
    image: "NDArray[np.uint8] | str | Path",
    crop: Crop | Sequence[int],
    *,
    score: float = 0.3,
    found_iou: float = 0.7,
    moved_iou: float = 0.5,
    min_visibility: float = MIN_VISIBILITY,
    channels: str = "rgb",
) -> Comparison:
    """Return what ``detector`` sees in ``crop`` of ``image``, beside what it sees there in the whole image.

    ``image``: uint8 array (height, width, 3), or the path of a file. An array from ``cv2.imread`` is BGR: say
    ``channels="bgr"``; a file needs no word about it. ``crop``: a :class:`Crop`, or ``(left, top, width, height)``.

    Detections below ``score`` are left out on both sides, and so are those of the whole image of which nothing lies in
    the window. The rest is paired greedily by IoU, first within categories and then across them, so that a box of
    another category on the same place never takes a partner from its own. Equal IoUs go by score, then by row.

    >>> from pytest_cropdet.data.samples import Detections
    >>> def corner(images):  # sees one thing: the left top quarter of whatever it is shown
    ...     return [Detections([[0, 0, i.shape[1] / 2, i.shape[0] / 2]], [0.9], [1]) for i in images]
    >>> print(compare(corner, np.zeros((100, 200, 3), np.uint8), (0, 0, 160, 80)))
    Crop(left=0, top=0, width=160, height=80): 0 found, 1 moved, 0 relabelled, 0 lost, 0 new
    #  state  category  score whole -> crop   IoU  visible     box in the image
    1  moved  1                0.90 -> 0.90  0.64     1.00     0    0  100   50
    """
    score, min_visibility = check_share("score", score), check_share("min_visibility", min_visibility)
    found_iou, moved_iou = check_share("found_iou", found_iou), check_share("moved_iou", moved_iou)
    if not 0 < moved_iou <= found_iou:
        raise ValueError(f"moved_iou must lie above 0 and not above found_iou={found_iou:g}, not {moved_iou:g}")
    pixels = _as_rgb(image, channels)
    pixels.flags.writeable = False
    window = _as_crop(crop)
    part = window.of(pixels)
    handle = as_handle(detector)
    whole = _detect(handle, pixels, "the whole image", score)
    seen = _detect(handle, part, f"{window} of the image", score)
    pairs = make_pairs(whole, seen, window, found_iou, moved_iou, handle.categories or {})
    return Comparison(window, pairs, pixels, score, found_iou, moved_iou, min_visibility)


def _as_crop(crop: Crop | Sequence[int]) -> Crop:
    if isinstance(crop, Crop):
        return crop
    if isinstance(crop, str) or not isinstance(crop, Sequence | np.ndarray) or len(crop) != 4:
        raise ValueError(f"crop: a Crop or (left, top, width, height) in pixels, not {crop!r}")
    return Crop(*crop)


def _as_rgb(image: Any, channels: str) -> Image:
    """Return ``image`` as RGB uint8 of its own memory; what would need a guess is a ``ValueError`` with the mend."""
    if channels not in ("rgb", "bgr"):
        raise ValueError(f"channels must be 'rgb' or 'bgr', not {channels!r}")
    if isinstance(image, str | Path):
        return read_image(Path(image))
    wanted = "image: a path, or a uint8 array of shape (height, width, 3)"
    if image is None:
        raise ValueError(f"{wanted}, not None, which cv2.imread returns for a file that it cannot read")
    if not isinstance(image, np.ndarray):
        raise ValueError(f"{wanted}, not {type(image).__name__}; numpy.asarray(image) may make an array of it")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"{wanted}, not of shape {image.shape}{_mend_shape(image.shape)}")
    if image.dtype != np.uint8:
        raise ValueError(f"{wanted}, not {image.dtype}{_mend_type(image.dtype)}")
    if image.size == 0:
        raise ValueError(f"{wanted}; shape {image.shape} has no pixels")
    return np.array(image[:, :, ::-1] if channels == "bgr" else image, order="C")


def _mend_shape(shape: tuple[int, ...]) -> str:
    match shape:
        case (_, _):
            return " (grayscale? numpy.stack([image] * 3, axis=2) has three channels)"
        case (_, _, 1):
            return " (grayscale? numpy.repeat(image, 3, axis=2) has three channels)"
        case (_, _, 4):
            return " (alpha? image[:, :, :3] leaves it out)"
        case (3, _, _):
            return " (channels first? image.transpose(1, 2, 0) puts them last)"
        case (_, _, _, _):
            return " (a batch? image[0] is its first image)"
    return ""


def _mend_type(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "f":
        return " (0 to 1? (image * 255).round().astype('uint8'); 0 to 255? image.round().astype('uint8'))"
    if dtype == np.uint16:
        return " (16 bits? (image >> 8).astype('uint8'); 0 to 255? image.astype('uint8'))"
    return " (0 to 255? image.astype('uint8'))"


def _detect(handle: DetectorHandle, pixels: Image, name: str, score: float) -> Detections:
    """Return the confident detections of one picture; the detector gets a copy, so it may do with it as it likes."""
    detections = handle.detect([handle.adapter.prepare(np.array(pixels, order="C"))], [name])[0]
    return detections.take(np.flatnonzero(detections.scores >= score))


def _row(number: int, pair: Pair, mark: str) -> tuple[str, ...]:
    """Return the cells of a pair; ``mark`` follows its visibility."""
    before, after = (f"{seen.score:.2f}" if seen else "-" for seen in (pair.whole, pair.crop))
    name = one_line(pair.category)
    name = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."
    overlap, visible = ("-" if value is None else f"{value:.2f}" for value in (pair.iou, pair.visibility))
    box = " ".join(f"{round(edge):4d}" for edge in pair.sides[0].box)
    return f"{number}", pair.state, name, f"{before:>4} -> {after:>4}", overlap, f"{visible}{mark}", box


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cells = (zip(row, widths, _RIGHT, strict=True) for row in rows)
    return ["  ".join(f"{text:{'>' if right else '<'}{width}}" for text, width, right in row).rstrip() for row in cells]
