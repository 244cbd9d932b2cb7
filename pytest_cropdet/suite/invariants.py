"""The invariants of a detector on crops. ``--cropdet-checks gate,invariants`` asks for them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_cropdet.invariants.observations import Evidence
    from pytest_cropdet.plugin.fixture import Cropdet


def test_detector_invariant(cropdet: "Cropdet", invariant: "str | Callable[[Evidence], float]") -> None:
    """What must hold for a detector on crops holds; an invariant that cannot be judged is skipped with the reason."""
    cropdet.check_invariant(invariant)
