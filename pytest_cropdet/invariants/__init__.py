"""What every detector must satisfy on crops, and every function that maps boxes.

Public modules: `detector` and `observations` (of a detector), `remap_checks`, `remap_rules` and `remap_mistakes` (of a
function that maps boxes), which import Hypothesis; `failures`, the classes that an invariant fails with.
"""

from pytest_cropdet.invariants.candidates import Candidate, choose_spread
from pytest_cropdet.invariants.convention_table import advice_lines, hint_lines, measured_lines
from pytest_cropdet.invariants.conventions import is_from_file
from pytest_cropdet.invariants.examination import Examination, examine
from pytest_cropdet.invariants.outcome import CheckOutcome
from pytest_cropdet.invariants.own import OwnInvariant, invariant, own_invariant
from pytest_cropdet.invariants.remap_errors import RemapError
from pytest_cropdet.invariants.tolerances import TOLERANCES, Tolerances, read_tolerances

__all__ = [
    "TOLERANCES",
    "Candidate",
    "CheckOutcome",
    "Examination",
    "OwnInvariant",
    "RemapError",
    "Tolerances",
    "advice_lines",
    "choose_spread",
    "examine",
    "hint_lines",
    "invariant",
    "is_from_file",
    "measured_lines",
    "own_invariant",
    "read_tolerances",
]
