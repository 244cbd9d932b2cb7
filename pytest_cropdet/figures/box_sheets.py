"""Several pictures with boxes on one sheet, drawn with OpenCV, which is there wherever pictures are read."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from pytest_cropdet.figures.style import BLUE, GREEN, MUTED, VERMILION, shorten
from pytest_cropdet.geometry import Boxes, Corners, Image

__all__ = ["MarkedBox", "SheetTile", "contact_sheet"]

Meaning = Literal["tile", "truth", "missed", "found"]
NOT_FOUND = "#AA3377"  # darker than the purple of Okabe and Ito, so that white letters are read on it
BOX_COLOURS: Mapping[Meaning, str] = {"tile": BLUE, "truth": GREEN, "missed": NOT_FOUND, "found": VERMILION}
FINE = 450  # px of a cell's width, below which lines are finer
BOX_WORDS: Mapping[Meaning, str] = {
    "tile": "border of a tile",
    "truth": "annotated object",
    "missed": "annotated object, not found",
    "found": "detection",
}
GAP, CAPTION, FOOT = 12, 26, 34  # pixels
LETTERS, SMALLEST = 0.42, 0.36  # OpenCV's scale of letters
LONGEST_BOX_LABEL = 26
INK, PAPER = (40, 40, 40), (255, 255, 255)
LARGEST_ZOOM = 3.0


class MarkedBox(NamedTuple):
    """A box ``x0 y0 x1 y1`` in pixels of its picture, what it is, and what is written beside it."""

    box: Corners
    meaning: Meaning
    label: str = ""


@dataclass(frozen=True, eq=False)
class SheetTile:
    """One picture, RGB uint8, its boxes, and a line below it."""

    image: Image
    boxes: Sequence[MarkedBox]
    caption: str


def contact_sheet(tiles: Sequence[SheetTile], columns: int, cell: tuple[int, int], title: str) -> Image:
    """Return the sheet as RGB uint8: tiles row by row, each fitted into a ``cell`` of (width, height) pixels.

    A legend at the foot names the colours that occur.
    """
    columns = max(1, min(columns, len(tiles)))
    rows = -(-len(tiles) // columns)
    wide, high = cell
    width = columns * wide + (columns + 1) * GAP
    height = FOOT + rows * (high + CAPTION + GAP) + FOOT
    sheet = np.full((height, width, 3), 255, np.uint8)
    _write(sheet, title, (GAP, FOOT - 12), INK, width - 2 * GAP, LETTERS * 1.25)
    for place, tile in enumerate(tiles):
        left = GAP + (place % columns) * (wide + GAP)
        top = FOOT + (place // columns) * (high + CAPTION + GAP)
        _draw_tile(sheet[top : top + high, left : left + wide], tile)
        _write(sheet, tile.caption, (left, top + high + 18), INK, wide, LETTERS)
    _draw_legend(sheet, {mark.meaning for tile in tiles for mark in tile.boxes})
    return sheet


def _draw_tile(cell: Image, tile: SheetTile) -> None:
    import cv2

    high, wide = cell.shape[:2]
    height, width = tile.image.shape[:2]
    zoom = min(wide / width, high / height, LARGEST_ZOOM)
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    method = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    shown = cv2.resize(np.ascontiguousarray(tile.image), size, interpolation=method)
    left, top = (wide - size[0]) // 2, (high - size[1]) // 2
    cell[:] = _colour(MUTED)
    picture = np.ascontiguousarray(shown, dtype=np.uint8)
    scale = np.array([size[0] / width, size[1] / height] * 2)
    taken: list[tuple[int, int, int, int]] = []
    order = sorted(tile.boxes, key=lambda mark: [*BOX_COLOURS].index(mark.meaning))
    for mark in order:
        x0, y0, x1, y1 = (round(side) for side in (np.asarray(mark.box, dtype=np.float64) * scale).tolist())
        thick = 1 if mark.meaning == "tile" else 2 if mark.meaning == "found" or wide < FINE else 4
        cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), (0, 0, 0), thick + 1, cv2.LINE_AA)
        cv2.rectangle(picture, (x0, y0), (x1 - 1, y1 - 1), _colour(BOX_COLOURS[mark.meaning]), thick, cv2.LINE_AA)
    for mark in order:
        if mark.label:
            _label(picture, mark, scale, taken)
    cell[top : top + size[1], left : left + size[0]] = picture


def _label(picture: Image, mark: MarkedBox, scale: Boxes, taken: list[tuple[int, int, int, int]]) -> None:
    """Write what belongs to a box: above it, else inside at its top, else below, where no other label lies."""
    import cv2

    text = shorten(_ascii(mark.label), LONGEST_BOX_LABEL)
    (wide, high), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, SMALLEST, 1)
    wide, high = wide + 4, high + base + 2
    x0, y0, _, y1 = (round(side) for side in (np.asarray(mark.box, dtype=np.float64) * scale).tolist())
    left = int(np.clip(x0, 0, max(0, picture.shape[1] - wide)))
    lowest = max(0, picture.shape[0] - high)
    for row in (y0 - high, y0 + 2, y1 + 1, y1 - high - 2):
        top = int(np.clip(row, 0, lowest))
        place = (left, top, left + wide, top + high)
        if not any(_touch(place, other) for other in taken):
            break
    taken.append(place)
    cv2.rectangle(picture, place[:2], place[2:], _colour(BOX_COLOURS[mark.meaning]), -1)
    where = (left + 2, place[3] - base)
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, SMALLEST, PAPER, 1, cv2.LINE_AA)


def _touch(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _draw_legend(sheet: Image, meanings: Iterable[Meaning]) -> None:
    import cv2

    left, base = GAP, sheet.shape[0] - 12
    for meaning in (each for each in BOX_WORDS if each in set(meanings)):
        cv2.rectangle(sheet, (left, base - 11), (left + 18, base + 2), _colour(BOX_COLOURS[meaning]), -1)
        words = BOX_WORDS[meaning]
        _write(sheet, words, (left + 24, base), INK, sheet.shape[1], LETTERS)
        left += 24 + _width(words, LETTERS) + 24


def _write(sheet: Image, text: str, where: tuple[int, int], colour: Any, width: int, scale: float) -> None:
    import cv2

    shown = _ascii(text)
    while len(shown) > 4 and _width(shown, scale) > width:
        shown = shorten(shown, len(shown) - 1)
    cv2.putText(sheet, shown, where, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)


def _width(text: str, scale: float) -> int:
    import cv2

    return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0])


def _ascii(text: str) -> str:
    """Return text in the letters that OpenCV draws.

    >>> _ascii("Größe 猫")
    'Grosse ?'
    """
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    kept = (letter for letter in plain if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in kept)


def _colour(code: str) -> tuple[int, int, int]:
    """Return a colour as red, green and blue.

    >>> _colour("#D55E00")
    (213, 94, 0)
    """
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)
