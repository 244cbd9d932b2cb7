"""The ready-made tests. ``pytest --pyargs pytest_cropdet.suite`` runs them; so does, in a test file with fixtures of
one's own, ``from pytest_cropdet.suite import *``.
"""

from pytest_cropdet.suite.gate import test_map_drop

__all__ = ["test_map_drop"]
