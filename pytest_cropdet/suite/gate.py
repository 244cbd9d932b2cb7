"""The gate: how much mAP crops may cost."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_cropdet.plugin.fixture import Cropdet


def test_map_drop(cropdet: "Cropdet", cropdet_crops: str) -> None:
    """The mAP that crops cost stays within --cropdet-max-drop."""
    cropdet.gate(cropdet_crops)
