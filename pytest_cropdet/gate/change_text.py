"""What a verdict on a change says beside its number: both models side by side, what happened, and which cause grew."""

from collections.abc import Sequence

from pytest_cropdet.causes import Step
from pytest_cropdet.comparison import Against
from pytest_cropdet.evaluation import Verdict, digits
from pytest_cropdet.gate.limits import undecided_text
from pytest_cropdet.terms import PHRASES, one_line

__all__ = ["change_lines", "change_text"]

MOST_FALLEN = 4


def change_text(found: Against, verdict: Verdict) -> str:
    """Return a verdict's headline and the lines about the comparison."""
    return "\n".join([verdict.headline, *(f"  {one_line(line)}" for line in change_lines(found, verdict))])


def change_lines(found: Against, verdict: Verdict, grown: Sequence[Step] = ()) -> list[str]:
    """Return what a comparison says of a verdict; ``grown``: by how much each step of the chain grew."""
    lines = [f"{'also' if place else 'undecided'}: {each.text}" for place, each in enumerate(verdict.doubts)]
    if verdict.outcome == "undecided" and not verdict.doubts:
        lines.append(undecided_text(verdict, len(found.new.images)))
    lines.append(found.text)
    lines += [] if found.note is None else [found.note]
    for name, side in (("crops", "crop"), ("whole images", "reference")):
        change = found.crop_ap if side == "crop" else found.whole_ap
        before, after = digits(found.ap["old"][side]), digits(found.ap["new"][side])
        lines.append(f"{found.metric} on {name}: {before} -> {after}, a change of {change}")
    lines.append(
        f"objects in crops: {int(found.newly_missed.over.sum())} found by the old model alone, "
        f"{int(found.newly_found.over.sum())} by the new model alone"
    )
    fallen = [(name, each.worse) for name, each in found.by_category.items() if (each.worse.low or 0.0) > 0]
    fallen.sort(key=lambda each: -(each[1].value or 0.0))
    if fallen:
        lines.append("worse on crops: " + ", ".join(f"{name} {each}" for name, each in fallen[:MOST_FALLEN]))
    sure = [step for step in grown if step.distinguishable]
    if sure:
        lines.append("what grew: " + ", ".join(f"{PHRASES[step.name]} {step}" for step in sure))
    elif grown:
        lines.append("no single cause grew clearly")
    lines.append(f"{len(found.new.unit)} crops of {len(found.new.images)} images, both models on each")
    return lines
