"""The benchmark: what crops cost, family by family. It reports and judges nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_cropdet.plugin.fixture import Cropdet


def test_benchmark(cropdet: "Cropdet") -> None:
    """AP by family and severity, mPC and rPC."""
    cropdet.benchmark()
