"""The search: no window of an image loses an object. ``--cropdet-checks gate,search`` asks for it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_cropdet.plugin.fixture import Cropdet


def test_no_crop_loses_an_object(cropdet: "Cropdet") -> None:
    """No window loses an object that is found with confidence in the whole image; the smallest cut is shown."""
    cropdet.search().check()
