"""Sliced inference against one pass over the whole image, with a limit on the gain and its verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pytest_cropdet.comparison.seams import SeamErrors, seam_errors
from pytest_cropdet.comparison.sliced_chain import SlicedChain, find_sliced_chain
from pytest_cropdet.comparison.sliced_gain import SlicedGain, WholeAnswers, defined, detect_whole, measure_gain
from pytest_cropdet.comparison.sliced_picture import draw_sliced, most_changed
from pytest_cropdet.comparison.slicing_faults import SlicingFault, find_slicing_faults
from pytest_cropdet.crops import choose_samples
from pytest_cropdet.data import Dataset, Sample, select_categories, with_names
from pytest_cropdet.detectors import Sliced, Windowed, as_handle
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import (
    Doubt,
    GateFailure,
    Measure,
    ScoredRows,
    Verdict,
    bounds_text,
    digits,
    object_doubts,
)
from pytest_cropdet.geometry import Image
from pytest_cropdet.inference import Advanced, Cache
from pytest_cropdet.settings import RunSettings
from pytest_cropdet.terms import ScoreArguments, one_line

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["SlicedComparison", "compare_sliced"]

_CAPPED = 0.05  # share of whole images with the most detections, from which it is named


class SlicedExplanation:
    """The chain of a comparison, found when it is first looked at."""

    def __init__(self, find: Callable[[], SlicedChain]) -> None:
        self._find = find

    @cached_property
    def chain(self) -> SlicedChain:
        """The chain."""
        return self._find()


@dataclass(frozen=True, eq=False)
class SlicedComparison:
    """What sliced inference gains over one pass over the whole image, on the uncut objects of the same images.

    ``gain``: AP(sliced) - AP(whole image), a good: ``assert found.gain >= 0.02``. ``numbers``: the same by size of
    object, and what merging left behind. ``limit``: the smallest allowed gain, ``None`` where none was stated.
    ``objects``: how many are scored. ``capped``: share of the whole images on which the detector returned as many
    detections as it can. ``errors``: where in the tiles sliced inference adds errors. ``faults``: what is wrong in a
    pipeline of your own, as far as its answers tell.
    """

    gain: Measure
    numbers: SlicedGain
    limit: float | None
    metric: str
    objects: int
    capped: float
    errors: SeamErrors
    sliced: Windowed = field(repr=False)
    names: Mapping[int, str] = field(repr=False)
    whole: WholeAnswers = field(repr=False)
    cut: WholeAnswers = field(repr=False)
    explanation: "SlicedExplanation" = field(repr=False)
    faults: tuple[SlicingFault, ...] = ()

    @property
    def chain(self) -> SlicedChain:
        """Why slicing gains or loses; the first look sends two more pictures per tile to the detector."""
        return self.explanation.chain

    @property
    def judged(self) -> Verdict | None:
        """The verdict on the limit, ``None`` without one."""
        return None if self.limit is None else self.gain >= self.limit

    @property
    def verdict(self) -> Literal["pass", "fail", "undecided", "none"]:
        """``pass``, ``fail`` or ``undecided``; ``none`` where no limit was stated."""
        judged = self.judged
        return "none" if judged is None else judged.outcome

    @property
    def headline(self) -> str:
        """The verdict and the gain in one line."""
        judged = self.judged
        if judged is not None:
            return judged.line
        return f"slicing gains {self.gain} {self.metric}; not judged: no --cropdet-min-gain"

    def check(self) -> None:
        """Raise ``GateFailure`` with the numbers, unless the limit allows the gain; without a limit do nothing."""
        __tracebackhide__ = True
        judged = self.judged
        if judged is not None and not judged.passes:
            raise GateFailure(self.gain.explain(judged))

    @property
    def known_chain(self) -> SlicedChain | None:
        """The chain where it was looked at already, ``None`` where it was not."""
        found: SlicedChain | None = vars(self.explanation).get("chain")
        return found

    def picture(self) -> tuple[Image, str]:
        """Return a picture (RGB uint8) of the image that slicing changes most, and the image's id.

        It shows truth and tiles, one pass, the tiles' detections before the merge, and after it.
        """
        place = most_changed(self.whole, self.cut)
        drawn = draw_sliced(self.sliced, self.whole, self.cut, self.names, place)
        return drawn, self.whole.samples[place].id

    def lines(self) -> list[str]:
        """Return the numbers in words, a line each; with the chain where it was looked at."""
        found, seams = self.numbers, self.numbers.seams
        before, after = (digits(defined(each)) for each in found.ap["all"])
        by_size = ", ".join(f"{size} {found.gain[size]}" for size in ("small", "medium", "large"))
        window = "tile" if isinstance(self.sliced, Sliced) else "window"
        unheld = (
            f"{seams.unheld} of {seams.objects} objects are in no {window} as a whole, {seams.unheld_found} of them"
        )
        lines = [
            f"whole image {before} -> sliced {after} {self.metric}   {found.images} images, {self.objects} objects, "
            f"{found.calls:.1f} images sent per image",
            f"gain by size of object: {by_size}",
            f"left by the merge: {_count(seams.doubles, 'double')}, {_count(seams.halves, 'half', 'halves')}; {unheld} "
            "are found",
            *self._where(),
        ]
        lines += [f"wrong in the pipeline: {each}" for each in self.faults]
        if self.capped >= _CAPPED:
            lines.append(
                f"on {self.capped:.0%} of the whole images the detector returned its maximum of detections: part of "
                "the gain is that tiles have a maximum each"
            )
        if self.known_chain is not None:
            lines += [f"why: {line}" for line in self.known_chain.lines()]
            if self.known_chain.advice is not None and self.verdict != "pass":
                lines.append(f"what to do: {self.known_chain.advice}")
        return [*lines, f"tiles: {found.name}"]

    def _where(self) -> list[str]:
        """Return where the new errors lie and from which size objects are lost; nothing where there are none."""
        errors, lines = self.errors, list[str]()
        window = "tile" if isinstance(self.sliced, Sliced) else "window"
        if new := sum(errors.new):
            near = sum(errors.new[:2])
            right = sum(errors.right)
            usual = f", of the right detections {sum(errors.right[:2]) / right:.0%}" if right else ""
            lines.append(
                f"{_count(new, 'false positive')} that one pass does not have; {near / new:.0%} of them end within 8 "
                f"px of a seam{usual}"
            )
        if errors.lost_from is not None:
            holds = "" if errors.holds is None else f"; the tiles always contain objects up to {_size(errors.holds)} px"
            lines.append(
                f"the smallest lost object that no {window} contains as a whole is {errors.lost_from:.0f} px "
                f"long{holds}"
            )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as built-in values."""
        judged, found = self.judged, self.numbers
        return {
            "verdict": self.verdict,
            "passes": judged is None or judged.passes,
            "value": self.gain.value,
            "low": self.gain.low,
            "high": self.gain.high,
            "level": self.gain.level,
            "limit": self.limit,
            "reason": None if judged is None else judged.doubt,
            "images_to_decide": _to_decide(judged, found.images),
            "text": one_line(self.headline),
            "metric": self.metric,
            "tiles": found.name,
            "images": found.images,
            "objects": self.objects,
            "calls_per_image": found.calls,
            "capped": self.capped,
            "lines": [one_line(each) for each in self.lines()],
            **{key: value for key, value in found.to_dict().items() if key in ("ap", "gain", "seams")},
            "errors": self.errors.to_dict(),
            "faults": [{"cause": each.cause, "share": each.share, "text": str(each)} for each in self.faults],
            "chain": None if self.known_chain is None else self.known_chain.to_dict(),
        }


def compare_sliced(
    sliced: Windowed,
    dataset: Dataset,
    min_gain: float | None = None,
    cache: Cache | None = None,
    watch: Callable[[Advanced], None] = lambda advanced: None,
    pipeline: Any = None,
    **settings: "Unpack[ScoreArguments]",
) -> SlicedComparison:
    """Return what sliced inference gains over one pass of the same detector over whole images.

    ``pipeline``: your own sliced inference of that detector, a function that takes a list of whole RGB images and
    returns ``Detections`` for each; ``sliced`` then says how it should slice. What is wrong in it is named in
    ``faults``, where its answers tell.

    ``min_gain``: the smallest allowed AP(sliced) - AP(whole image), -1 to 1; ``check()`` fails below it. ``watch`` is
    given how far it is after each batch. ``settings``: fields of ``RunSettings`` that do not concern crops, such as
    ``sample_images``, ``seed``, ``metric``, ``categories``, ``undecided``. Images are resampled in pairs. ``SpecError``
    if the data set has no annotations.
    """
    said: Mapping[str, Any] = settings
    chosen = RunSettings(**said)
    if min_gain is not None and not -1 <= min_gain <= 1:
        raise SpecError(f"cropdet_min_gain must lie between -1 and 1, not {min_gain:g}")
    if not getattr(dataset, "has_truth", True):
        raise SpecError(
            f"the gain of slicing needs annotations, and the data set {dataset.name} has none; set --cropdet-data to "
            "annotated data"
        )
    dataset, samples, names = _scored(dataset, chosen)
    if not samples:
        raise SpecError(f"the data set {dataset.name} has no images to slice; set --cropdet-data to data with images")
    whole = detect_whole(sliced.inner, dataset, samples, cache, names, watch)
    own = None if pipeline is None else as_handle(pipeline)
    mapped = whole.mapped if own is None or own.categories is None else None
    cut = detect_whole(own or sliced, dataset, samples, cache, names, watch, mapped)
    faults = () if own is None else find_slicing_faults(sliced, samples, cut.found, whole.mapped)
    numbers = measure_gain(sliced, cut, whole, chosen.replicates, chosen.seed, chosen.level, chosen.metric)
    rows = [np.flatnonzero(each.truth.counted) for each in samples]
    counted = [each.truth.categories[row] for each, row in zip(samples, rows, strict=True)]
    scored = ScoredRows(
        np.concatenate([np.zeros(0, np.int64), *counted]), np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    )
    gain = numbers.gain["all"]
    measure = Measure(
        name="gain",
        value=gain.value,
        low=gain.low,
        high=gain.high,
        level=chosen.level,
        good=True,
        phrase="slicing gains",
        unit=chosen.metric,
        doubts=(*object_doubts(scored, sorted(names), chosen), *_weak(numbers, chosen)) if len(scored.category) else (),
        undecided=chosen.undecided,
        missing="no annotated object to measure it on",
    )
    found = SlicedComparison(
        measure,
        numbers,
        min_gain,
        chosen.metric,
        len(scored.category),
        float(np.mean([each.capped for each in whole.found])) if len(samples) else 0.0,
        seam_errors(sliced, samples, cut.found, whole.found),
        sliced,
        names,
        whole,
        cut,
        SlicedExplanation(partial(find_sliced_chain, sliced, dataset, whole, cut, chosen, cache, names, watch)),
        faults,
    )
    return replace(found, gain=replace(measure, story=lambda verdict: _story(found, verdict)))


def _scored(dataset: Dataset, settings: RunSettings) -> tuple[Dataset, Sequence[Sample], Mapping[int, str]]:
    """Return the data set under aliases and groups, the images, and the categories that count, by id.

    The truth of the images has these categories alone.
    """
    named = with_names(dataset, settings.alias, settings.group)
    samples = choose_samples(named, settings.sample_images, settings.seed)
    if not settings.categories:
        return named, samples, dict(named.categories)
    ids = select_categories(settings.categories, named.categories)
    kept = [
        replace(each, truth=each.truth.take(np.flatnonzero(np.isin(each.truth.categories, ids)))) for each in samples
    ]
    return named, kept, {key: named.categories[key] for key in ids}


def _weak(numbers: SlicedGain, settings: RunSettings) -> tuple[Doubt, ...]:
    """Return the doubt about a detector that sees next to nothing either way: it can neither gain nor lose."""
    draws = numbers.draws[~np.isnan(numbers.draws)]
    best = max((each for each in numbers.ap["all"] if not np.isnan(each)), default=0.0)
    surely = float(np.percentile(draws, 100 * (1 - settings.level))) if len(draws) else 0.0
    if best >= settings.min_ap and max(surely, defined(numbers.ap["all"][0]) or 0.0) >= settings.min_ap:
        return ()
    text = (
        f"the detector is too weak for this test: {settings.metric} is {digits(best)} at best, {settings.min_ap:.3f} "
        "is needed (cropdet_min_ap); a detector that finds nothing gains and loses nothing"
    )
    return (Doubt("blind", text, only_pass=True),)


def _to_decide(judged: Verdict | None, images: int) -> int | None:
    if judged is None or judged.outcome != "undecided" or judged.doubts:
        return None
    return judged.measure.images_to_decide(judged.limit, images)


def _story(found: SlicedComparison, verdict: Verdict) -> str:
    """Return a verdict's headline and the numbers it rests on."""
    lines = [f"{'also' if place else 'undecided'}: {each.text}" for place, each in enumerate(verdict.doubts)]
    if verdict.outcome == "undecided" and not verdict.doubts:
        needed = _to_decide(verdict, found.numbers.images)
        enough = f": about {needed:,} images (+-30 %) would be enough" if needed else ""
        lines.append(
            f"the result is too uncertain to decide{enough}; --cropdet-undecided=pass accepts undecided results"
        )
    measure = verdict.measure
    if measure.low is not None and measure.high is not None:
        lines.append(
            f"one-sided {100 * measure.level:.4g}% bounds of the gain:{bounds_text(measure.low, measure.high)}"
        )
    return "\n".join([verdict.headline, *(f"  {one_line(line)}" for line in (*lines, *found.lines()))])


def _size(pair: tuple[int, int]) -> str:
    return f"{pair[0]} x {pair[1]}"


def _count(number: int, word: str, several: str = "") -> str:
    return f"{number} {word if number == 1 else several or f'{word}s'}"
