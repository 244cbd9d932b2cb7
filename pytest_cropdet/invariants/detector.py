"""What must hold for a detector on crops, one assertion each, with named tolerances.

Each is a function of an :class:`~pytest_cropdet.invariants.observations.Evidence` and :class:`Tolerances`. It raises
its own class of
:class:`~pytest_cropdet.invariants.failures.BrokenInvariant`, or :class:`CannotTell` with the reason where it cannot be
judged. docs/invariants.md lists them; benchmarks/invariants.py measures them.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from pytest_cropdet.data import Detections
from pytest_cropdet.errors import CannotTell, DetectorError, SpecError
from pytest_cropdet.geometry import Crop, Image, has_sides, iou
from pytest_cropdet.invariants import failures
from pytest_cropdet.invariants.cautions import cautions
from pytest_cropdet.invariants.convention_check import D15, check_conventions
from pytest_cropdet.invariants.conventions import FIRST_IMAGES
from pytest_cropdet.invariants.failures import BrokenInvariant
from pytest_cropdet.invariants.observations import Evidence, WindowAnswer, difference
from pytest_cropdet.invariants.outcome import CheckOutcome
from pytest_cropdet.invariants.own import Measuring, measure_own, own_invariant
from pytest_cropdet.invariants.repeating import spread, with_objects
from pytest_cropdet.invariants.tolerances import Tolerances
from pytest_cropdet.invariants.unjudged import few, nothing

__all__ = ["INVARIANT_CHECKS", "CannotTell", "Tolerances", "check_detector", "judge_detector", "measure"]

MOST_MOVED = 8  # images that are moved
FEWEST_MOVED = 3  # images that a median needs
CHANGE = "change of a score (the whole of it where a box moved or is gone)"


Check = Callable[[Evidence, Tolerances], tuple[float, float, str]]


def _repeat(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    return spread(evidence), allowed.repeat, f"{CHANGE} when the same picture is shown again"


def _batch(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    detector = evidence.detector
    if detector.batch < 2:
        raise CannotTell(f"{detector.name} takes one image per call")
    apart, worst = spread(evidence), 0.0
    for seen in with_objects(evidence):
        image = seen.windows.image()
        (alone,), (first, _) = evidence.ask(image), evidence.ask(image, image[::-1])
        worst = max(worst, difference(alone, first, evidence.rules.score) - apart)
    return worst, allowed.batch, f"{CHANGE} when another picture is in the batch"


def _padding(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    if 0 not in evidence.detector.profile.input_size:
        raise CannotTell(f"{evidence.detector.name} has a fixed input size, so padding cannot be tested")
    stride = _stride(evidence, allowed)
    return _moved(evidence, stride, (0, 0)), allowed.padding, f"{CHANGE} by {stride} px of fill at the right"


def _shift(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    fixed = 0 not in evidence.detector.profile.input_size
    stride = (allowed.stride or 64) if fixed else _stride(evidence, allowed)
    height, width = evidence.detector.profile.input_size
    if fixed and min(height, width) <= stride:
        raise CannotTell(f"an input of {width} x {height} px has no room for a shift of {stride} px")
    return _moved(evidence, stride, (stride, stride)), allowed.shift, f"{CHANGE} by a shift of {stride} px"


def _stride(evidence: Evidence, allowed: Tolerances) -> int:
    if allowed.stride is None or evidence.detector.description.resize is not None:
        raise CannotTell(
            f"{evidence.detector.name} may resize its input. If it does not, set --cropdet-tolerance=stride=N, the "
            "stride of its grid in pixels; in Python Tolerances(stride=N)"
        )
    return allowed.stride


def _moved(evidence: Evidence, stride: int, offset: tuple[int, int]) -> float:
    """Return the median over images of the largest change of a score between two places of a picture on a canvas."""
    changes: list[float] = []
    height, width = evidence.detector.profile.input_size
    for seen in evidence.observations:
        if len(changes) >= MOST_MOVED:
            break
        image = seen.windows.image()
        part = image[: height - stride, : width - stride] if height and width else image
        size = (height, width) if height and width else (part.shape[0] + stride, part.shape[1] + stride)
        near = _canvas(part, size, (0, 0)) if height and width else part
        before, after = evidence.ask(near)[0], evidence.ask(_canvas(part, size, offset))[0]
        back = Detections(after.boxes - np.array([*offset, *offset]), after.scores, after.categories)
        keep = [_far(each, part, stride // 2) for each in (before, back)]
        if any((each.scores >= evidence.rules.confident).any() for each in keep):
            changes.append(difference(keep[0], keep[1], evidence.rules.confident))
    if len(changes) < FEWEST_MOVED:
        raise CannotTell(
            f"only {len(changes)} images have an object far enough from their border, {FEWEST_MOVED} are needed"
        )
    return float(np.median(changes))


def _canvas(part: Image, size: tuple[int, int], offset: tuple[int, int]) -> Image:
    canvas = np.empty((*size, 3), np.uint8)
    canvas[:] = part.mean(axis=(0, 1)).astype(np.uint8)
    left, top = offset
    canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
    return canvas


def _far(found: Detections, part: Image, gap: int) -> Detections:
    """Return the detections that keep ``gap`` pixels from the picture's border."""
    high = np.array([part.shape[1], part.shape[0]]) - gap
    rows = (found.boxes[:, :2] >= gap).all(axis=1) & (found.boxes[:, 2:] <= high).all(axis=1)
    return found.take(np.flatnonzero(rows))


def _small_shift(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    answers = [each for seen in evidence.observations for each in seen.answers(seen.shifted()) if each.visibility == 1]
    return (
        _share(evidence, answers, lambda each: each.best(0.8, same=False) == 0, allowed),
        allowed.shift_share,
        ("share of objects below IoU 0.8 when 1 to 7 px are cut off the left and top"),
    )


def _clear(evidence: Evidence) -> list[WindowAnswer]:
    return [
        each for seen in evidence.observations for crop in seen.inside() for each in seen.answers(crop) if each.clear
    ]


def _interior(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    low = evidence.rules.score
    share = _share(evidence, _clear(evidence), lambda each: each.best(0.7, same=False) < low, allowed)
    return share, allowed.lost, "share of objects inside the window that are not found there at IoU 0.7"


def _made_up(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    windows = made_up = found_any = 0
    for seen in evidence.observations:
        whole = seen.windows()
        known = whole.boxes[whole.scores >= evidence.rules.score / 2]
        for crop in seen.inside():
            found = seen.windows(crop)
            shows = has_sides(Crop(0, 0, crop.width, crop.height).clip(found.boxes))
            sure = crop.out_of(found.boxes[shows & (found.scores >= evidence.rules.confident)])
            near = 0.1 * min(crop.width, crop.height)
            shown = crop.clip(known)
            windows += 1
            found_any += len(sure)
            made_up += sum(seen.away(box, crop, near) and iou(box[None], shown).max(initial=0.0) < 0.3 for box in sure)
    if not found_any and not any(len(seen.held) for seen in evidence.observations):
        raise CannotTell(nothing(evidence))
    return made_up / windows, allowed.made_up, "confident detections per window that are absent in the whole image"


def _score(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    low = evidence.rules.score
    found = [each for each in _clear(evidence) if each.best(0.7) >= low]
    share = _share(evidence, found, lambda each: abs(each.best(0.7) - each.score) > allowed.score_change, allowed)
    return share, allowed.changed, f"share of objects found whose score changes by more than {allowed.score_change:g}"


def _category(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    # of two categories on one place in the whole image, the one with the lower score is no change
    found = [each for each in _clear(evidence) if each.first and each.best(0.7, same=False) >= evidence.rules.score]
    share = _share(evidence, found, lambda each: each.best(0.7) < each.best(0.7, same=False), allowed)
    return share, allowed.relabelled, "share of objects found under another category"


def _duplicates(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    declared = evidence.detector.description.nms_iou
    if declared is None:
        raise CannotTell("the IoU of the detector's NMS is not known: --cropdet-detector nms_iou=0.6 declares it")
    worst, count = 0.0, 0
    for _, answer, (width, height) in evidence.everything():
        count += len(answer.scores)
        # what ends at the border may have been cut there after the NMS, and overlap more since
        within = (answer.boxes[:, :2] > 0.5).all(axis=1)
        within &= (answer.boxes[:, 2:] < np.array([width, height]) - 0.5).all(axis=1)
        found = answer.take(np.flatnonzero(within))
        overlap = np.triu(iou(found.boxes, found.boxes), 1)
        overlap[found.categories[:, None] != found.categories[None, :]] = 0
        worst = max(worst, float(overlap.max(initial=0.0)))
    if not count:
        raise CannotTell(nothing(evidence))
    return worst, declared + allowed.duplicate, "IoU of two detections of one category"


def _frame(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    worst, count = 0.0, 0
    for _, found, (width, height) in evidence.everything():
        boxes = found.boxes[found.scores >= evidence.rules.score] / np.array([width, height, width, height])
        count += len(boxes)
        worst = max(worst, float(np.maximum(-boxes, boxes - 1).max(initial=0.0)))
    if not count:
        raise CannotTell(nothing(evidence))
    return worst, allowed.beyond, "share of the picture's side by which a box reaches over its border"


def _cut(evidence: Evidence, share: str, least: float) -> dict[tuple[str, int], WindowAnswer]:
    return {
        (seen.sample.id, each.row): each
        for seen in evidence.observations
        for crop in seen.cut(share)
        for each in seen.answers(crop)
        if least <= each.visibility < 1
    }


def _truncated(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    low, answers = evidence.rules.score, list(_cut(evidence, "less", 0.75).values())
    share = _share(evidence, answers, lambda each: each.best(0.5, same=False) < low, allowed)
    return share, allowed.truncated_lost, "share of objects cut to 75 % or more that are not found at IoU 0.5"


def _rise(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    less, more = _cut(evidence, "less", 0.75), _cut(evidence, "more", 0.5)
    both = [key for key in less if key in more and more[key].visibility < less[key].visibility]
    if len(both) < allowed.least:
        raise CannotTell(few(evidence, len(both), allowed.least))
    rise = np.mean([more[key].best(0.5) - less[key].best(0.5) for key in both])
    return float(rise), allowed.rise, "rise of the mean score when 60 % of an object shows instead of 85 %"


def _empty(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    first = evidence.observations[0].windows.image()
    evidence.ask(first)  # what fails on every picture does not fail for want of objects
    pictures = {"a gray picture of 64 x 48 px": np.full((48, 64, 3), 114, np.uint8), "a window of 8 px": first[:8, :8]}
    for name, picture in pictures.items():
        try:
            evidence.ask(picture)
        except DetectorError as error:
            raise failures.DetectorRaised(f"{name}: {error}") from error
    return 0.0, 0.0, "failures on pictures without objects"


def _conventions(evidence: Evidence, allowed: Tolerances) -> tuple[float, float, str]:
    return check_conventions(evidence, max(allowed.least, FIRST_IMAGES))


def _share(
    evidence: Evidence, answers: list[WindowAnswer], fails: Callable[[WindowAnswer], bool], allowed: Tolerances
) -> float:
    if len(answers) < allowed.least:
        raise CannotTell(few(evidence, len(answers), allowed.least))
    return sum(map(fails, answers)) / len(answers)


INVARIANT_CHECKS: Mapping[str, tuple[Check, type[BrokenInvariant]]] = {
    "D1-repeatable": (_repeat, failures.NotRepeatable),
    "D2-alone-as-in-a-batch": (_batch, failures.BatchDependent),
    "D3-padding": (_padding, failures.MovedByPadding),
    "D4-shift-by-strides": (_shift, failures.MovedByShift),
    "D5-shift-by-pixels": (_small_shift, failures.ShiftSensitive),
    "D6-interior-object-found": (_interior, failures.InteriorObjectLost),
    "D7-nothing-made-up": (_made_up, failures.ObjectMadeUp),
    "D8-score-kept": (_score, failures.ScoreChanged),
    "D9-category-kept": (_category, failures.CategoryChanged),
    "D10-no-duplicates": (_duplicates, failures.DuplicatesKept),
    "D11-inside-frame": (_frame, failures.OutsideFrame),
    "D12-truncated-object-found": (_truncated, failures.TruncatedObjectLost),
    "D13-score-falls-with-cut": (_rise, failures.ScoreRisesWithCut),
    "D14-empty-picture": (_empty, failures.DetectorRaised),
    D15: (_conventions, failures.WrongConvention),
}


def measure(name: str, evidence: Evidence, allowed: Tolerances | None = None) -> tuple[float, float, str]:
    """Return what an invariant measures, what is allowed, and what it is, in words."""
    _what_is(name)
    return INVARIANT_CHECKS[name][0](evidence, allowed or Tolerances())


def judge_detector(
    name: str | Measuring, evidence: Evidence, allowed: Tolerances | None = None, *, at_most: float | None = None
) -> CheckOutcome:
    """Return whether the invariant ``name`` holds, with the number that says so.

    ``name``: a key of :data:`INVARIANT_CHECKS`, or a function that :func:`pytest_cropdet.invariant` made one, of which
    ``at_most`` is the limit, its own if not given.
    """
    __tracebackhide__ = True
    allowed = allowed or Tolerances()
    called, cause, rule = _what_is(name)
    try:
        value, most, what = (
            measure(name, evidence, allowed) if isinstance(name, str) else measure_own(name, evidence, at_most)
        )
    except CannotTell as error:
        return CheckOutcome(called, "skip", error=error)
    except BrokenInvariant as error:
        return CheckOutcome(called, "fail", error=error, hint=evidence.hints.get(called))
    hint = evidence.hints.get(called)
    known, limit = (float(each) if math.isfinite(each) else None for each in (value, most))
    if value <= most:
        return CheckOutcome(called, "pass", known, limit, what, hint=hint)
    lines = [f"{value:.3g} > {most:.3g}: {what}", *([f"{called}: {rule}"] if rule else [])]
    text = "\n  ".join([*lines, *cautions(called, evidence, allowed.repeat)])
    return CheckOutcome(called, "fail", known, limit, what, cause(text), hint)


def _what_is(name: str | Measuring) -> tuple[str, type[BrokenInvariant], str]:
    """Return an invariant's name, the class it fails with, and its rule in words."""
    if not isinstance(name, str):
        own = own_invariant(name)
        return own.name, failures.OwnInvariantBroken, own.rule
    if name not in INVARIANT_CHECKS:
        raise SpecError(f"no invariant is called {name!r}; there are {', '.join(INVARIANT_CHECKS)}")
    cause = INVARIANT_CHECKS[name][1]
    return name, cause, cause.__doc__ or ""


def check_detector(
    name: str | Measuring, evidence: Evidence, allowed: Tolerances | None = None, *, at_most: float | None = None
) -> None:
    """Raise the class of ``name`` if that invariant does not hold; :class:`CannotTell` if it cannot be judged.

    ``name``: a key of :data:`INVARIANT_CHECKS`, such as ``D6-interior-object-found``, or a function that
    :func:`pytest_cropdet.invariant` made one; ``at_most``: another limit for that.
    """
    __tracebackhide__ = True
    judge_detector(name, evidence, allowed, at_most=at_most).check()
