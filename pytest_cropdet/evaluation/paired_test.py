"""Whether a paired difference over images may be chance: the sign-flip test."""

from itertools import product

import numpy as np

from pytest_cropdet.geometry import Floats

__all__ = ["sign_flip_p"]

EXACT = 12  # differences up to which all signs are tried
FLIPS = 20_000
FLIPS_AT_ONCE = 100  # bounds the memory of a step


def sign_flip_p(gains: Floats) -> float:
    """Return how often a mean as large as that of ``gains`` comes of chance, if each might as well have its other sign.

    Images differ in how many objects they have, so that few of them may carry most of a gain; this asks only whether
    the gains agree. With n gains that are not 0 it is never below 1 / 2^n. Up to 12 of them all signs are tried, else
    20,000 drawn with a fixed seed.

    >>> sign_flip_p(np.array([0.5, 3.0, 0.1])), sign_flip_p(np.array([1.0, -1.0])), sign_flip_p(np.zeros(4))
    (0.125, 0.75, 1.0)
    """
    given = gains[gains != 0]
    if not len(given):
        return 1.0
    least = float(given.sum()) - 1e-9 * float(np.abs(given).sum())  # rounding decides nothing
    if len(given) <= EXACT:
        signs = np.array(list(product((1.0, -1.0), repeat=len(given))))
        return float((signs @ given >= least).mean())
    generator, as_large = np.random.default_rng(0), 0
    for start in range(0, FLIPS, FLIPS_AT_ONCE):
        signs = generator.choice([-1.0, 1.0], size=(min(FLIPS_AT_ONCE, FLIPS - start), len(given)))
        as_large += int((signs @ given >= least).sum())
    return float((as_large + 1) / (FLIPS + 1))
