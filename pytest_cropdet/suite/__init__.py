"""The ready-made tests.

``pytest --pyargs pytest_cropdet.suite`` runs them; so does, in a test file with fixtures of
one's own, ``from pytest_cropdet.suite import *``. Either way ``--cropdet-checks`` says which.
"""

from pytest_cropdet.suite.benchmark import test_benchmark
from pytest_cropdet.suite.gate import test_map_drop
from pytest_cropdet.suite.invariants import test_detector_invariant
from pytest_cropdet.suite.search import test_no_crop_loses_an_object
from pytest_cropdet.suite.sliced import test_slicing_gains

__all__ = [
    "test_benchmark",
    "test_detector_invariant",
    "test_map_drop",
    "test_no_crop_loses_an_object",
    "test_slicing_gains",
]
