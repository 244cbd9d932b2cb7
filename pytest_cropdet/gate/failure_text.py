"""What a verdict says beside its number: what it rests on, why it dropped, where most was lost."""

from pytest_cropdet.causes import step_lines
from pytest_cropdet.evaluation import Verdict, digits
from pytest_cropdet.gate.change_text import change_lines
from pytest_cropdet.gate.facts import RunFacts
from pytest_cropdet.gate.limits import undecided_text
from pytest_cropdet.terms import one_line

__all__ = ["tell"]

MOST_LABELS = 4


def tell(run: RunFacts, verdict: Verdict) -> str:
    """Return a verdict's headline and what the run knows about it, a few lines; the detector is not called."""
    return "\n".join([verdict.headline, *(f"  {one_line(line)}" for line in _reasons(run, verdict))])


def _reasons(run: RunFacts, verdict: Verdict) -> list[str]:
    if run.comparison is not None and verdict.measure.name in run.comparison.measure_names:
        lines = change_lines(run.comparison, verdict, run.grown_steps)
        return lines if run.explanation.page is None else [*lines, f"report: {run.explanation.page}"]
    in_mean = sum(category.in_mean for category in run.categories)
    before, after = (_shown(run.metric_values[name]) for name in ("reference", "crop"))
    rests_on = f"{run.crops} crops of {run.images} images, {run.scored_objects} objects"
    lines = [f"whole image {before} -> crop {after} {run.settings.metric}   mean over {in_mean} categories, {rests_on}"]
    measure = verdict.measure
    alone = next((each for each in run.categories if measure.name == f"drop of {each.name}"), None)
    if alone is not None:  # its own numbers, not those of the mean
        of_it = f"{alone.objects} objects of {alone.name} in {alone.images} images"
        change = f"{_shown(alone.reference)} -> crop {_shown(alone.crop)} {run.settings.metric}"
        lines = [f"whole image {change}   {of_it}, {run.crops} crops"]
    if measure.low is not None and measure.high is not None:
        level = f"one-sided {100 * measure.level:.4g}% bounds of {one_line(measure.name)}"
        lines.append(f"{level}: {digits(measure.low)} to {digits(measure.high)}")
    whole = run.whole_images
    if whole is not None and whole["mAP"] is not None:
        shown = f"{digits(whole['mAP'])}, AP50 {digits(whole['AP50'])}"
        lines.append(f"COCO mAP of whole images {shown} (uncut objects; compare it with training)")
    if run.agreement:
        missed, flips = int(run.lost.over.sum()), int(run.flips.over.sum())
        lines = [f"{missed} lost, {flips} of them under another label   {rests_on} (the whole image's detections)"]
    if verdict.doubts:
        lines[:0] = [f"{'also' if place else 'undecided'}: {each.text}" for place, each in enumerate(verdict.doubts)]
    elif verdict.outcome == "undecided":
        lines.insert(0, undecided_text(verdict, run.images))
    lines.extend(_why(run, verdict))
    lines.extend(_caps(run))
    if run.agreement:
        lines.append("no ground truth: this measures agreement with the whole image, not accuracy")
    elif not run.objects.has_masks:
        lines.append("no masks: a detector that draws tighter boxes around cut objects can lose up to 0.08 for it")
    lost = [category for category in run.categories if category.in_mean and (category.drop or 0) > 0]
    lost.sort(key=lambda category: (-(category.drop or 0), category.name))
    if lost:
        lines.append("most lost: " + ", ".join(f"{each.name} {each.drop:.3f}" for each in lost[:4]))
    lines.extend(f"data: {each['text']}" for each in run.data_warnings)
    if run.worst is not None:
        lines.append(f"worst crop: {run.worst}")
    if run.explanation.page is not None:
        lines.append(f"report: {run.explanation.page}")
    return lines


def _caps(run: RunFacts) -> list[str]:
    """Return what a limit on the number of detections does, the detector's and the evaluator's."""
    told, equal = [], _shown(run.controls["equal_boxes"])
    if run.cap.changes_the_drop:
        told.append(f"{run.cap.text}; equal numbers of boxes: drop {equal}")
    elif run.cap.agrees:
        told.append(f"{run.cap.text}; with equal numbers of boxes the drop is {equal}, which agrees")
    if run.caps.evaluator.binds and not run.agreement:
        told.append(run.caps.evaluator.text)
    if not told and run.drop.high is not None and run.drop.high < 0:
        told.append("crops did better than whole images: does the detector limit the number of boxes?")
    return told


def _why(run: RunFacts, verdict: Verdict) -> list[str]:
    """Return the steps of the chain as bars where they are known; else how to get them, if one wants to know."""
    explanation = run.explanation
    causes = explanation.causes
    if run.may_explain(verdict):
        return [f"causes: not known yet; {_how(verdict)}"]
    if causes is None:
        return [f"not explained: {explanation.error}"] if explanation.error else []
    told = [*(f"   {line}" for line in step_lines(causes.chain)), *causes.notes]
    flipped = run.labels.flipped[:MOST_LABELS]
    if flipped:
        pairs = (f"{one.before} -> {one.after} ({one.count} object{'s' * (one.count != 1)})" for one in flipped)
        told.append(f"confused: {', '.join(pairs)}")
    told.extend((run.bias.text or "").splitlines())
    if verdict.outcome != "pass" and verdict.is_judged:
        told.append(f"what to try: {run.advice.headline}")
    if explanation.error:  # found after the causes were
        told.append(f"measures at inference were not tried: {explanation.error}")
    return told


def _how(verdict: Verdict) -> str:
    """Return how to get the causes: by asking, or by stating the limit before the run, where its measure takes one."""
    name, _, category = verdict.measure.name.partition(" of ")
    limit = {"drop": "max_drop", "ratio": "min_ratio", "AP(crop)": "min_crop_ap"}.get(name)
    ways = ["run.causes", "--cropdet-explain=always"]
    if category and limit == "max_drop":
        ways.append(f"cropdet.run(..., by_category={{{category!r}: {verdict.limit:g}}})")
    elif limit is not None:
        ways.append(f"cropdet.run(..., {limit}={verdict.limit:g})")
    return f"{', '.join(ways[:-1])} or {ways[-1]} finds them"


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
