"""How much may be cut off the two ends of a side of an image: the arithmetic that spares the strategies a filter."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_cropdet.errors import SpecError

__all__ = ["Margins", "PixelRange"]

PixelRange = tuple[int, int]  # the least and the most, both allowed


@dataclass(frozen=True, slots=True)
class Margins:
    """Cuts off the two ends of a side of ``length`` pixels, counted in steps of ``stride`` pixels.

    ``before`` and ``after``: how many steps each end may lose. ``total``: how many both together.
    """

    length: int
    stride: int
    before: PixelRange
    after: PixelRange
    total: PixelRange

    @classmethod
    def of(
        cls,
        length: int,
        *,
        min_side: int = 1,
        max_cut: int | None = None,
        inside: PixelRange | None = None,
        containing: Sequence[float] | None = None,
        stride: int = 1,
    ) -> "Margins":
        """Return the cuts that leave a window of ``min_side`` pixels, or all there is where that is less.

        ``max_cut``: pixels that each end may lose. ``inside``: where the window must begin and end at the farthest.
        ``containing``: where what must lie in the window begins and ends.
        """
        low, high = inside or (0, length)
        first, last = (high, low) if containing is None else (max(0.0, containing[0]), min(length, containing[1]))
        most = length if max_cut is None else max_cut
        before = -(-low // stride), min(most, math.floor(first), high - 1) // stride
        after = -(-(length - high) // stride), min(most, length - math.ceil(last), length - low - 1) // stride
        least = before[0] + after[0]
        total = least, max(least, (length - min_side) // stride)
        if before[0] > before[1] or after[0] > after[1] or length - least * stride < 1:
            raise SpecError(
                f"no window is left of a side of {length} px: at least {before[0] * stride} and "
                f"{after[0] * stride} px must go, at most {before[1] * stride} and {after[1] * stride} px may"
            )
        return cls(length, stride, before, after, (least, min(total[1], before[1] + after[1])))

    @property
    def sides(self) -> PixelRange:
        """The shortest and the longest window, in pixels."""
        return self.length - self.total[1] * self.stride, self.length - self.total[0] * self.stride

    def leaving(self, shortest: float, longest: float) -> "Margins":
        """Return the cuts that leave so many pixels, or as near to it as can be."""
        low = max(self.total[0], math.ceil((self.length - longest) / self.stride))
        high = min(self.total[1], math.floor((self.length - shortest) / self.stride))
        if low > high:
            low = high = min(max(high, self.total[0]), self.total[1])
        return replace(self, total=(low, high))

    def first(self) -> PixelRange:
        """How many pixels the one end may lose, a multiple of the stride."""
        low = max(self.before[0], self.total[0] - self.after[1])
        high = min(self.before[1], self.total[1] - self.after[0])
        return low * self.stride, high * self.stride

    def second(self, first: int) -> PixelRange:
        """How many pixels the other end may lose after the one has lost ``first``."""
        gone = first // self.stride
        low = max(self.after[0], self.total[0] - gone)
        high = min(self.after[1], self.total[1] - gone)
        return low * self.stride, high * self.stride
