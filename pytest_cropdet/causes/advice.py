"""What to do about a drop: the training recipe against its largest step, and what may help at inference.

Nothing is advised that the causes do not show. A recipe is named for each step that costs AP clearly, the
costliest first; where none does, more images would tell more, and ``Matched`` trains for the gate's own windows. Where
nothing could be judged, nothing is advised.
"""

from dataclasses import dataclass
from typing import Any

from pytest_cropdet.augment import Matched
from pytest_cropdet.causes.attribution import Causes
from pytest_cropdet.causes.chain import Step
from pytest_cropdet.causes.mitigations.gains import Trials
from pytest_cropdet.causes.mitigations.mitigation import Mitigation, mitigations
from pytest_cropdet.errors import SpecError
from pytest_cropdet.terms import PHRASES

__all__ = ["Advice", "advise"]

LEFT_ALONE = 0.3  # share of training samples that every recipe leaves as they are
FIRST_MARGIN = 32  # px by which windows are padded or widened in advice that was not measured
RECIPE_OF_STEP = {"context": "Context", "cut": "Cut", "position": "Position", "scale": "Scale"}
WITH_MARGIN = ("mean", "reflection", "wider")
MEASURES = {
    "context": ("wider", "whole"),
    "cut": ("wider", "overlap"),
    "position": ("mean", "reflection"),
    "scale": ("mean", "whole"),
}
WHY = {
    "context": "what surrounds the object is missing",
    "cut": "objects end at the window's edge",
    "position": "objects lie elsewhere in the picture: at its border, or at another phase of the strides",
    "scale": "objects come in other sizes, aspects and frames",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """What to train with, and what to change at inference.

    ``step``: the largest distinguishable step, ``None`` where there is none. ``sentences``: the advice in words.
    ``recipes``: constructors of ``pytest_cropdet.augment``, the most important first; ``code``: lines to paste that put
    them together, "" where there is no recipe. ``measures``: what to change at inference, in words: those that address
    the step, or the one that was chosen where they were tried. ``trials``: what each won back, ``None`` if not tried.
    ``why_not``: why there is no advice.
    """

    step: str | None
    sentences: tuple[str, ...]
    recipes: tuple[str, ...]
    code: str
    measures: tuple[str, ...]
    trials: Trials | None = None
    why_not: str | None = None

    @property
    def headline(self) -> str:
        """The advice in one line."""
        if self.why_not is not None:
            return f"nothing, because nothing could be judged: {self.why_not}"
        names = ", ".join(recipe.partition("(")[0] for recipe in self.recipes)
        if self.step is None:
            crops = f", or train on crops like these ({names})" if names else ""
            return f"no single cause is clear; use more images{crops}"
        then = f"; without training: {' or '.join(self.measures)}" if self.measures else ""
        return f"train with {names} (code: run.advice, report){then}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything as built-in values."""
        tried = self.trials
        return {
            "step": self.step,
            "sentences": list(self.sentences),
            "recipes": list(self.recipes),
            "code": self.code,
            "measures": list(self.measures),
            "mitigations": None if tried is None else [trial.to_dict() for trial in tried.tried],
        }

    def __str__(self) -> str:
        return "\n".join([*self.sentences, *([self.code] if self.code else [])])


def advise(causes: Causes, spec: str, trials: Trials | None = None, why_not: str | None = None) -> Advice:
    """Return what to do; ``spec``: of the windows that were gated, ``trials``: of measures at inference.

    ``why_not``: why nothing could be judged; then nothing is advised.
    """
    if why_not is not None:
        return Advice(None, (f"no advice, because nothing could be judged: {why_not}",), (), "", (), trials, why_not)
    costly = [step for step in causes.chain.steps if step.distinguishable and (step.value or 0.0) > 0]
    costly.sort(key=lambda step: -(step.value or 0.0))
    matched = _matched(spec)
    if not costly:
        sentences = ["no single cause is clear: more images make the bounds narrower"]
        if matched:
            sentences.append("Matched trains on crops like those of this gate, whatever the cause")
        measures = _measures(spec, None, trials)
        sentences += _at_inference(measures, trials)
        return Advice(None, tuple(sentences), matched, _code(matched), measures, trials)
    largest, others = costly[0], costly[1:]
    against = [f"{RECIPE_OF_STEP[largest.name]}(weight=2, leave={LEFT_ALONE})"]
    against += [f"{RECIPE_OF_STEP[step.name]}(leave={LEFT_ALONE})" for step in others]
    recipes = (*against, *matched)
    sentences = [_why(causes, largest), f"remedy: train with {RECIPE_OF_STEP[largest.name]}"]
    if others:
        sentences.append(f"smaller, but clear: {', '.join(map(_shown, others))}")
    if matched:
        sentences.append(
            "Matched crops training images as this gate crops test images; gated=... keeps test images out"
        )
    measures = _measures(spec, largest.name, trials)
    sentences += _at_inference(measures, trials)
    return Advice(largest.name, tuple(sentences), recipes, _code(recipes), measures, trials)


def _shown(step: Step) -> str:
    return f"{PHRASES[step.name]} {step}"


def _why(causes: Causes, step: Step) -> str:
    """Return what the largest step is, and how many of the lost objects it loses."""
    counts = {name: int(share.over.sum()) for name, share in causes.fates.lost.items()}
    told = f"biggest cause by AP: {_shown(step)}; {WHY[step.name]}"
    if counts[step.name]:
        told += f"; {counts[step.name]} of the {sum(counts.values())} missed objects were first missed there"
    return told


def _matched(spec: str) -> tuple[str, ...]:
    """Return the recipe for the families of a gate; none, an empty tuple, for windows that no spec made."""
    try:
        Matched(spec)
    except SpecError:
        return ()
    return (f'Matched("{spec}", leave={LEFT_ALONE})',)


def _code(recipes: tuple[str, ...]) -> str:
    if not recipes:
        return ""
    names = ", ".join(sorted({recipe.partition("(")[0] for recipe in recipes}))
    lines = "".join(f"        {recipe},\n" for recipe in recipes)
    return (
        f"from pytest_cropdet.augment import Augmentation, {names}\n\n"
        f"augmentation = Augmentation(\n    (\n{lines}    )\n)"
    )


def _measures(spec: str, step: str | None, trials: Trials | None) -> tuple[str, ...]:
    """Return the measure that was chosen; where none was tried, those that address a step."""
    if trials is not None:
        return () if trials.chosen is None else (str(trials.chosen.mitigation),)
    if step is None:
        return ()
    offered = {each.name for each in mitigations(spec)}
    return tuple(
        str(Mitigation(name, margin=FIRST_MARGIN if name in WITH_MARGIN else None))
        for name in MEASURES[step]
        if name in offered
    )


def _at_inference(measures: tuple[str, ...], trials: Trials | None) -> list[str]:
    if trials is None:
        told = [f"without training (not measured yet): {each}" for each in measures]
        return [*told, "--cropdet-try-mitigations measures how much each recovers"] if told else []
    chose, measured = trials.images
    if not trials.tried:
        return [f"no measure at inference was tried: {chose + measured} images cannot be halved"]
    told = [f"measures at inference, chosen on {chose} images and measured on {measured} others:"]
    told += [f"  {'*' if trial.chosen else ' '} {trial}" for trial in trials.tried]
    return told if trials.chosen else [*told, "none of them recovered anything for sure"]
