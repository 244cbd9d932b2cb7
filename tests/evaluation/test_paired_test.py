"""The sign-flip test: what it must say of gains whose chance is known."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet.evaluation import sign_flip_p


@pytest.mark.parametrize("count", [1, 5, 8, 12])
def test_gains_that_all_agree_come_of_chance_once_in_two_to_the_n(count):
    gains = np.geomspace(0.001, 10, count)  # however much they differ
    assert sign_flip_p(gains) == 1 / 2**count


def test_many_gains_are_drawn_and_never_come_of_no_chance():
    assert 0 < sign_flip_p(np.ones(40)) < 1e-4


def test_what_does_not_change_is_no_evidence():
    assert sign_flip_p(np.append(np.ones(5), np.zeros(30))) == 1 / 32
    assert sign_flip_p(np.zeros(9)) == 1.0


def test_without_a_difference_small_values_are_as_rare_as_they_say():
    draw = np.random.default_rng(1)
    found = np.array([sign_flip_p(draw.normal(size=10)) for _ in range(1000)])
    assert (found <= 0.05).mean() == pytest.approx(0.05, abs=0.02)
