"""Sliced inference against one pass over the whole image. ``--cropdet-sliced=SETTINGS`` asks for it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_cropdet.plugin.fixture import Cropdet


def test_slicing_gains(cropdet: "Cropdet") -> None:
    """AP of sliced inference minus AP of one pass is at least --cropdet-min-gain; without it, the gain is reported."""
    cropdet.compare_sliced().check()
