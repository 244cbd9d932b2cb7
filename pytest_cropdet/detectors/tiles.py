"""Tiles: windows of one size that cover an image, as sliced inference cuts them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pytest_cropdet.crops import side, tile_step
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry import Bools, Boxes, Crop, Image

__all__ = ["PAD", "TILE_EDGES", "Tile", "TileGrid", "inner_ends", "tile_size"]

TILE_EDGES = ("inside", "pad")
PAD = 114  # the grey level outside of the image, as Ultralytics pads


@dataclass(frozen=True, slots=True)
class Tile:
    """What one tile shows of an image: ``crop``, and the size of the picture that is sent, which may be padded."""

    crop: Crop
    width: int
    height: int

    def pixels(self, image: Image) -> Image:
        """Return the tile's pixels; what lies outside of the image is grey."""
        inside = self.crop.of(image)
        if (self.width, self.height) == (self.crop.width, self.crop.height):
            return inside
        padded = np.full((self.height, self.width, 3), PAD, dtype=np.uint8)
        padded[: self.crop.height, : self.crop.width] = inside
        return padded


@dataclass(frozen=True, slots=True)
class TileGrid:
    """How an image is cut into tiles.

    ``size``: (width, height) of a tile, each in pixels (1 or more, whole) or as a share of the image's side (below 1).
    ``overlap``: share of a tile, 0 to below 1, by which neighbours overlap at least. ``edge``: ``inside`` moves the
    last tile of a row or column inside the image; ``pad`` fills what of it is outside.

    Along a side of n pixels, tiles of t pixels start at 0, s, 2s, ... with s = max(1, t - round(t overlap)), halves to
    even: ``inside`` below n - t, and at n - t; ``pad`` up to the first tile that reaches n.
    """

    size: tuple[int | float, int | float]
    overlap: float = 0.2
    edge: str = "inside"

    def __post_init__(self) -> None:
        for value in self.size:
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            if not whole and not (isinstance(value, float) and 0 < value < 1):
                raise SpecError(f"size must be whole pixels from 1 on, or a share of the image below 1, not {value!r}")
        if not 0 <= self.overlap < 1:
            raise SpecError(f"overlap must be a share from 0 to below 1, not {self.overlap!r}")
        if self.edge not in TILE_EDGES:
            raise SpecError(f"edge must be inside or pad, not {self.edge!r}")

    def tiles(self, width: int, height: int) -> list[Tile]:
        """Return the tiles of an image of that size, row by row.

        >>> [tile.crop for tile in TileGrid((60, 60), 0.0).tiles(100, 60)]
        [Crop(left=0, top=0, width=60, height=60), Crop(left=40, top=0, width=60, height=60)]
        """
        columns = self._spans(width, self.size[0])
        rows = self._spans(height, self.size[1])
        return [
            Tile(Crop(left, top, min(wide, width - left), min(high, height - top)), wide, high)
            for top, high in rows
            for left, wide in columns
        ]

    def _spans(self, length: int, size: int | float) -> list[tuple[int, int]]:
        """Return where tiles start along one side, and how long they are."""
        pixels = side(size, length) if isinstance(size, float) else size
        tile = pixels if self.edge == "pad" else min(pixels, length)
        if tile >= length:
            return [(0, tile)]
        step = tile_step(tile, self.overlap)
        if self.edge == "pad":
            return [(step * place, tile) for place in range(1 + math.ceil((length - tile) / step))]
        return [*((start, tile) for start in range(0, length - tile, step)), (length - tile, tile)]


def inner_ends(tile: Crop, boxes: Boxes, width: int, height: int, near: float = 2.0) -> Bools:
    """Return for each box which of its sides ends at a border of the tile that is none of the image: (n, 4) bool.

    Sides in the order left, top, right, bottom; ``boxes`` in the image's frame. A side ends there if it is at most
    ``near`` pixels away.
    """
    borders = np.array([tile.left, tile.top, tile.right, tile.bottom], dtype=np.float64)
    inner = np.array([tile.left > 0, tile.top > 0, tile.right < width, tile.bottom < height])
    found: Bools = (np.abs(boxes - borders) <= near) & inner
    return found


def tile_size(text: str | int | float | Sequence[int | float]) -> tuple[int | float, int | float]:
    """Return (width, height) of a tile as it may be written: one number for both, a pair, or text as in a spec.

    >>> tile_size("320"), tile_size("640x480"), tile_size(0.5)
    ((320, 320), (640, 480), (0.5, 0.5))
    """
    if isinstance(text, str):
        parts = text.lower().split("x")
        if len(parts) not in (1, 2):
            raise SpecError(f"size must be PIXELS, a share such as 0.5, or WIDTHxHEIGHT, not {text!r}")
        values = [_number(part) for part in parts]
    elif isinstance(text, (int, float)):
        values = [text]
    else:
        values = list(text)
    if len(values) not in (1, 2):
        raise SpecError(f"size must be one number or (width, height), not {text!r}")
    return values[0], values[-1]


def _number(text: str) -> int | float:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise SpecError(f"size must be PIXELS, a share such as 0.5, or WIDTHxHEIGHT, not {text!r}") from None
