"""Tiles cover an image, and merged answers are those of the rules' namesakes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cropdet.crops.plan import make_plan
from pytest_cropdet.detectors.tiles import PAD, TileGrid, inner_ends, tile_size
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry import Crop
from tests.support import made

sizes = st.one_of(st.integers(16, 400), st.floats(0.1, 0.95))
lengths = st.integers(1, 300)


@given(sizes, st.floats(0, 0.7), st.sampled_from(["inside", "pad"]), lengths, lengths)
def test_every_pixel_is_in_a_tile_and_every_tile_has_one_size(size, overlap, edge, width, height):
    tiles = TileGrid((size, size), overlap, edge).tiles(width, height)
    seen = np.zeros((height, width), bool)
    for tile in tiles:
        assert tile.crop.fits(width, height)
        assert tile.crop.width <= tile.width
        assert tile.crop.height <= tile.height
        seen[tile.crop.top : tile.crop.bottom, tile.crop.left : tile.crop.right] = True
    assert seen.all()
    assert len({(tile.width, tile.height) for tile in tiles}) == 1
    assert len({tile.crop for tile in tiles}) == len(tiles)
    if edge == "inside":
        assert all((tile.crop.width, tile.crop.height) == (tile.width, tile.height) for tile in tiles)


@pytest.mark.parametrize("spec", ["tile:size=64,overlap=0.2", "tile:size=0.4,overlap=0.35", "tile:size=500,overlap=0"])
def test_tiles_inside_are_the_windows_of_the_tile_family(spec):
    sample = next(iter(made(images=1)))
    size, overlap = (part.partition("=")[2] for part in spec.partition(":")[2].split(","))
    grid = TileGrid(tile_size(size), float(overlap))
    windows = make_plan([sample], spec).windows[sample.id]
    assert [tile.crop for tile in grid.tiles(sample.width, sample.height)] == list(windows)


def test_a_padded_tile_is_grey_outside_of_the_image():
    image = np.full((50, 70, 3), 200, np.uint8)
    (tile,) = [each for each in TileGrid((64, 64), 0.0, "pad").tiles(70, 50) if each.crop.left]
    pixels = tile.pixels(image)
    assert pixels.shape == (64, 64, 3)
    assert (pixels[:50, :6] == 200).all()
    assert (pixels[50:] == PAD).all()
    assert (pixels[:, 6:] == PAD).all()


def test_sides_that_end_at_a_seam_are_known_and_those_at_the_images_border_are_not():
    boxes = np.array([[0.0, 10.0, 60.0, 20.0], [5.0, 10.0, 58.5, 20.0], [5.0, 10.0, 57.0, 60.0]])
    ends = inner_ends(Crop(0, 0, 60, 60), boxes, 100, 60)
    assert ends.tolist() == [[False, False, True, False], [False, False, True, False], [False] * 4]


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        (lambda: TileGrid((0, 10)), "size must be whole pixels from 1 on"),
        (lambda: TileGrid((1.5, 10)), "size must be whole pixels from 1 on"),
        (lambda: TileGrid((10, 10), 1.0), "overlap must be a share from 0 to below 1"),
        (lambda: TileGrid((10, 10), 0.2, "wrap"), "edge must be inside or pad"),
        (lambda: tile_size("10x20x30"), "WIDTHxHEIGHT"),
        (lambda: tile_size("big"), "WIDTHxHEIGHT"),
    ],
    ids=["zero", "above-1", "overlap", "edge", "three", "word"],
)
def test_what_is_no_grid_is_refused(grid, words):
    with pytest.raises(SpecError, match=words):
        grid()
