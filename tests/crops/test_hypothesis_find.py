"""Hypothesis as a search: what is tried follows from its version and the seed alone."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

from pytest_cropdet.crops.hypothesis_find import CONSTANTS, examples_of, smallest

DRAWS_CONSTANTS = find_spec("hypothesis.internal.constants_ast") is not None
NUMBER = 7_310_958_264_137
SCRIPT = f"""
import json
import their_module
from hypothesis import strategies as st
from pytest_cropdet.crops import hypothesis_find

numbers = st.integers(10**12, 10**13)
ours = hypothesis_find.examples_of(numbers, 300, seed=0)
hypothesis_find.CONSTANTS = "a name that is gone"
print(json.dumps([{NUMBER} in each for each in (ours, hypothesis_find.examples_of(numbers, 300, seed=0))]))
"""


@pytest.mark.skipif(not DRAWS_CONSTANTS, reason="this version of Hypothesis draws no numbers out of modules")
def test_the_method_of_hypothesis_that_is_replaced_while_a_search_runs_is_still_there():
    """Where it is gone, nothing is replaced, and an edit anywhere in a project changes what a search tries."""
    assert callable(vars(providers.HypothesisProvider).get(CONSTANTS))


@pytest.mark.subprocess
def test_a_number_that_stands_in_an_imported_module_is_not_tried(tmp_path):
    (tmp_path / "their_module.py").write_text(f"NUMBER = {NUMBER}\n")
    run = subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=True)
    ours, with_nothing_replaced = json.loads(run.stdout)
    assert not ours
    assert with_nothing_replaced is DRAWS_CONSTANTS, "then this test would not see the difference"


def test_the_method_is_back_in_its_place_after_a_search_even_one_that_fails():
    before = vars(providers.HypothesisProvider).get(CONSTANTS)

    def fails(value):
        raise KeyError(value)

    examples_of(st.integers(), 5, seed=0)
    with pytest.raises(KeyError):
        smallest(st.integers(), fails, 5)
    assert vars(providers.HypothesisProvider).get(CONSTANTS) is before
