"""What every detector must satisfy on crops, and every function that maps boxes.

Public modules: `detector` and `observations` (of a detector), `remap_checks`, `remap_rules` and `remap_mistakes` (of a
function that maps boxes), which import Hypothesis.
"""

from pytest_cropdet.invariants.conventions import is_from_file
from pytest_cropdet.invariants.outcome import CheckOutcome
from pytest_cropdet.invariants.remap_errors import RemapError

__all__ = ["CheckOutcome", "RemapError", "is_from_file"]
