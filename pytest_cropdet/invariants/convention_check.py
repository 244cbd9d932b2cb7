"""D15: whether a detector's conventions are declared rightly, and what would serve it better."""

import math

from pytest_cropdet.data import Detections, Sample, reconcile
from pytest_cropdet.detectors import rounding_hint
from pytest_cropdet.errors import CannotTell, CropdetError
from pytest_cropdet.invariants.conventions import ConventionMistake, can_change, is_from_file, suspects
from pytest_cropdet.invariants.failures import WrongConvention
from pytest_cropdet.invariants.observations import Evidence
from pytest_cropdet.invariants.unjudged import nothing_found

__all__ = ["D15", "check_conventions", "misread"]

D15 = "D15-conventions"
FEWEST_SURE = 8  # images by which a function is surely read wrongly


def check_conventions(evidence: Evidence, least: int) -> tuple[float, float, str]:
    """Return the z of the setting that is most surely wrong; raise what is wrong; a better resize is a hint.

    ``least``: images with annotated objects that are needed.
    """
    if not can_change(evidence.detector):
        raise CannotTell(f"{evidence.detector.name} can be read in no other way")
    if evidence.names is None:
        raise CannotTell("no ground truth, by which alone conventions are recognised")
    samples, answers = _known(evidence, least)
    if len(samples) < least:
        raise CannotTell(f"{len(samples)} images with annotated objects, {least} are needed: --cropdet-examples")
    found = suspects(evidence.detector, samples, evidence.names, answers)
    if not found:
        raise CannotTell(f"{evidence.detector.name} has no setting to vary")
    if all(each.before == each.after == 0 for each in found):
        why = nothing_found(evidence)
        raise CannotTell(f"no annotated object was found, whatever value the conventions have{why}")
    better = [each for each in found if each.is_sure and not each.is_mistake]
    hints = [*map(str, better), *_rounded(evidence, samples, answers)]
    if hints:
        evidence.hints[D15] = "\n".join(hints)
    if found[0].is_mistake:
        raise WrongConvention(str(found[0]))
    z = max((each.z for each in found if each.fits and each not in better), default=-math.inf)
    return z, math.inf, "strongest evidence (z) for a wrong setting"


def misread(evidence: Evidence) -> ConventionMistake | None:
    """Return what is surely wrong about how a function's answers are read, without calling it for more images.

    ``None`` for a file, which would have to be read again, and where there is no ground truth.
    """
    if evidence.names is None or is_from_file(evidence.detector):
        return None
    answers = {seen.sample.id: seen.windows() for seen in evidence.observations}
    samples = [seen.sample for seen in evidence.observations]
    if len(samples) < FEWEST_SURE:
        return None
    try:
        found = suspects(evidence.detector, samples, evidence.names, answers)
    except CropdetError:
        return None
    return found[0] if found and found[0].is_mistake else None


def _known(evidence: Evidence, least: int) -> tuple[list[Sample], dict[str, Detections]]:
    """Return the samples that conventions are judged by, and what is known of them without another call.

    A file needs all: its other values must be tried on many. A function's answers to the images of the other invariants
    are enough; only where fewer than ``least`` of them are annotated, it is called for more.
    """
    samples = [sample for sample in evidence.samples if sample.truth.counted.any()]
    if is_from_file(evidence.detector):
        return samples, {}
    shown = {seen.sample.id: seen for seen in evidence.observations}
    first = [sample for sample in samples if sample.id in shown]
    more = [sample for sample in samples if sample.id not in shown][: max(0, least - len(first))]
    return first + more, {sample.id: shown[sample.id].windows() for sample in first}


def _rounded(evidence: Evidence, samples: list[Sample], answers: dict[str, Detections]) -> list[str]:
    if is_from_file(evidence.detector) or evidence.names is None:
        return []
    mapped = reconcile(evidence.detector.categories, evidence.names, ())
    known = [sample for sample in samples if sample.id in answers]
    said = rounding_hint([mapped.translate(answers[sample.id]) for sample in known], known)
    return [] if said is None else [f"{evidence.detector.name}: {said}"]
