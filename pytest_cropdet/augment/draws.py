"""Random whole numbers that depend on a seed, an index and a slot alone, the same in Python and in a TensorFlow graph.

SHA-256, which draws the gate's windows, cannot be computed in a graph; here a 32-bit mixing function is used (xor-shift
and multiply, constants of ``lowbias32``, C. Wellons, hash-prospector, public domain)::

    mix(h):  h ^= h >> 16;  h *= 0x7FEB352D;  h ^= h >> 15;  h *= 0x846CA68B;  h ^= h >> 16      (all modulo 2**32)
    hash:    h = 0;  for word in (seed, seed >> 32, index, index >> 32, slot):  h = mix((h ^ word) + 0x9E3779B9)

So the windows of training are another stream than those of a gate, whatever the seeds. Shares are whole numbers, too,
in millionths: a window is integer arithmetic from end to end, and has no last digit in which two machines could differ.
"""

from typing import Any

__all__ = ["MILLION", "SLOTS", "Draws", "Whole", "hash_words"]

Whole = Any  # an int, or an int64 scalar tensor: the windows are computed by the same lines for both
MILLION = 1_000_000
SLOTS = 12  # numbers drawn for a sample: which recipe, whether at all, which object, and what the recipe asks for
LOW_32 = 0xFFFFFFFF
FIRST_FACTOR, SECOND_FACTOR, STEP = 0x7FEB352D, 0x846CA68B, 0x9E3779B9


def _mix(h: int) -> int:
    h ^= h >> 16
    h = (h * FIRST_FACTOR) & LOW_32
    h ^= h >> 15
    h = (h * SECOND_FACTOR) & LOW_32
    return h ^ (h >> 16)


def hash_words(*words: int) -> int:
    """Return a number below 2**32 that depends on the low 32 bits of each of ``words``, and on nothing else.

    >>> hash_words(0, 0, 0, 0, 0), hash_words(1, 0, 0, 0, 0), hash_words(0, 0, 0, 0, 1)
    (2081495398, 1931331227, 1883646260)
    """
    h = 0
    for word in words:
        h = _mix(((h ^ (word & LOW_32)) + STEP) & LOW_32)
    return h


class Draws:
    """The numbers of one sample, one a slot, and the few functions that its windows need beyond + - * // and <."""

    def __init__(self, seed: int, index: int) -> None:
        self._head = (seed, seed >> 32, index, index >> 32)

    def below(self, slot: int, limit: Whole) -> Whole:
        """Return a whole number from 0 to ``limit`` - 1, uniform to within 2**-32 * ``limit``."""
        return (hash_words(*self._head, slot) * limit) >> 32

    def between(self, slot: int, low: Whole, high: Whole) -> Whole:
        """Return a whole number from ``low`` to ``high``, both included."""
        return low + self.below(slot, high - low + 1)

    def real(self, slot: int, low: float, high: float) -> Any:
        """Return a float64 from ``low`` to ``high``, one of a million and one; for the generic recipe alone."""
        return low + (high - low) * (self.below(slot, MILLION + 1) / MILLION)

    def smaller(self, one: Whole, other: Whole) -> Whole:
        """Return the smaller of two numbers."""
        return min(one, other)

    def larger(self, one: Whole, other: Whole) -> Whole:
        """Return the larger of two numbers."""
        return max(one, other)

    def choose(self, condition: Any, one: Whole, other: Whole) -> Whole:
        """Return ``one`` where the condition holds, else ``other``."""
        return one if condition else other
