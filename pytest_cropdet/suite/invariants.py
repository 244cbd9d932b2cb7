"""The invariants of a detector on crops. ``--cropdet-checks gate,invariants`` asks for them."""

from typing import TYPE_CHECKING

import pytest

from pytest_cropdet.plugin.options import INVARIANTS

if TYPE_CHECKING:
    from pytest_cropdet.plugin.fixture import Cropdet


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_detector_invariant(cropdet: "Cropdet", invariant: str) -> None:
    """What must hold for a detector on crops holds; an invariant that cannot be judged is skipped with the reason."""
    cropdet.check_invariant(invariant)
