"""Reasons for which bounds alone must not decide: a reference that is capped, or that sees nothing."""

from collections.abc import Callable

from pytest_cropdet.evaluation import Doubt, HiddenNumbers, Measure
from pytest_cropdet.gate.controls import Cap
from pytest_cropdet.settings import RunSettings

__all__ = ["cap_doubts", "is_weak", "unseen_doubts"]


def unseen_doubts(recall: float | None, score: float, weakness: Callable[[str], str] | None) -> tuple[Doubt, ...]:
    """Return the doubt about a reference in which nothing is found, where there is no AP that would show it."""
    if recall != 0:
        return ()
    text = f"the detector finds none of the scored objects in the whole images (at score {score:.3g})"
    return (Doubt("blind", text if weakness is None else weakness(text)),)


def is_weak(drop: Measure, hidden: HiddenNumbers, settings: RunSettings) -> bool:
    """Whether the reference is too weak to say anything of the detector's boxes; by recall where AP is undefined."""
    surely = hidden.recall["reference"] if drop.value is None or drop.blind is None else drop.blind[0]
    return surely is None or surely <= (settings.max_drop or 0.0) + settings.min_ap


def cap_doubts(settings: RunSettings, cap: Cap) -> tuple[Doubt, ...]:
    """Return the doubt about any loss against a reference that the detector's number of boxes limits."""
    if not cap.changes_the_drop or settings.cap == "accept":
        return ()
    drops = ""
    if cap.drops is not None:
        gated, equal = ("undefined" if each is None else f"{each:.3f}" for each in cap.drops)
        drops = f"; the drop is {gated}, with equal numbers of boxes {equal}"
    return (Doubt("cap", f"{cap.text}{drops}; `cropdet_cap = accept` overrides", only_pass=True),)
