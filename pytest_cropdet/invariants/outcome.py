"""What comes of an invariant of a detector: it holds, it is broken, or nobody can tell."""

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["CheckOutcome"]


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What came of an invariant: ``pass``, ``fail``, or ``skip`` where it cannot be judged.

    ``value`` of ``what``, and what is ``allowed``; ``None`` where nothing was measured, ``allowed`` also where no
    number is the limit. ``error``: what :meth:`check` raises, a
    :class:`~pytest_cropdet.invariants.failures.BrokenInvariant` or a
    :class:`CannotTell`; or what the detector raised. ``hint``: what was noticed that breaks nothing.
    """

    name: str
    verdict: Literal["pass", "fail", "skip"]
    value: float | None = None
    allowed: float | None = None
    what: str | None = None
    error: Exception | None = field(default=None, compare=False)
    hint: str | None = None

    @property
    def reason(self) -> str | None:
        """Why it fails or cannot be judged; ``None`` where it holds."""
        return None if self.error is None else str(self.error) or type(self.error).__name__

    def check(self) -> None:
        """Raise what is wrong, or why it cannot be told."""
        __tracebackhide__ = True
        if self.error is not None:
            raise self.error
