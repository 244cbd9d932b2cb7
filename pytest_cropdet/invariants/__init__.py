"""What every detector must satisfy on crops, and every function that maps boxes.

Public modules: `detector` and `observations` (of a detector), `remap_checks`, `remap_rules` and `remap_mistakes` (of a
function that maps boxes), which import Hypothesis; `failures`, the classes that an invariant fails with.
"""

from pytest_cropdet.invariants.candidates import Candidate, choose_spread
from pytest_cropdet.invariants.convention_table import advice_lines, hint_lines, measured_lines
from pytest_cropdet.invariants.conventions import is_from_file
from pytest_cropdet.invariants.examination import Examination, examine
from pytest_cropdet.invariants.outcome import CheckOutcome
from pytest_cropdet.invariants.remap_errors import RemapError

__all__ = [
    "Candidate",
    "CheckOutcome",
    "Examination",
    "RemapError",
    "advice_lines",
    "choose_spread",
    "examine",
    "hint_lines",
    "is_from_file",
    "measured_lines",
]
