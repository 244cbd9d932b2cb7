"""Whether a detector repeats its answers when it is shown the same picture again."""

from itertools import islice

from pytest_cropdet.errors import CannotTell, DetectorError
from pytest_cropdet.invariants.failures import NotRepeatable
from pytest_cropdet.invariants.observations import Evidence, ImageObservation, difference
from pytest_cropdet.invariants.unjudged import nothing

__all__ = ["spread", "with_objects"]

SHOWN_AGAIN = 3  # images that are shown again, alone and in a batch


def spread(evidence: Evidence) -> float:
    """Return the largest change of a score when the same picture is shown again.

    A detector that fails on a picture whenever it is shown repeats itself, too, but cannot be judged by it.
    """
    worst = 0.0
    for seen in _first(evidence):
        first, second = (evidence.ask(seen.windows.image())[0] for _ in range(2))
        worst = max(worst, difference(first, second, evidence.rules.score))
    return worst


def with_objects(evidence: Evidence) -> list[ImageObservation]:
    """Return the first images in which something is found: no answers at all are always the same."""
    found = list(islice((seen for seen in evidence.observations if len(seen.held)), SHOWN_AGAIN))
    if not found:
        raise CannotTell(nothing(evidence))
    return found


def _first(evidence: Evidence) -> list[ImageObservation]:
    try:
        return with_objects(evidence)
    except DetectorError as error:
        _show_again(evidence, error)
        raise


def _show_again(evidence: Evidence, error: DetectorError) -> None:
    """Show the picture again on which the detector failed: the first whose answer is not known."""
    failed = next((seen for seen in evidence.observations if seen.frame not in seen.windows), None)
    if failed is None:
        return
    try:
        evidence.ask(failed.windows.image())
    except DetectorError:
        raise CannotTell(f"the detector fails on a picture whenever it is shown: {error}") from error
    raise NotRepeatable(f"{failed.sample.id} made the detector fail once, and not when it was shown again: {error}")
