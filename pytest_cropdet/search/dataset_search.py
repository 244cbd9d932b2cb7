"""The search for the window that loses an object, and the smallest cut that is enough.

Hypothesis draws windows round the objects that are found with confidence in the whole image, climbs towards lower
scores, and shrinks: each margin towards 0. A window is shown to the detector once; one in which too little shows of
every object, never. The same windows are tried each time: no database of examples, no profile, no clock. What is found
feeds no mean.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal

from hypothesis import currently_in_test_context, target
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from pytest_cropdet.crops import shuffled
from pytest_cropdet.crops.hypothesis_find import smallest
from pytest_cropdet.crops.strategies import crops
from pytest_cropdet.data import Dataset, Detections, Sample, as_dataset, reconcile
from pytest_cropdet.detectors import Detector, DetectorHandle, as_handle
from pytest_cropdet.errors import CannotTell, SpecError
from pytest_cropdet.evaluation import make_pairs
from pytest_cropdet.geometry import Crop
from pytest_cropdet.inference import Cache, Windows
from pytest_cropdet.search.comparison import Comparison
from pytest_cropdet.search.loss_rules import HeldObjects, LossRules, VisibleObject, held_objects
from pytest_cropdet.search.worst_crop import WorstCrop

__all__ = ["Losses", "Search", "find_worst_crop", "search"]

DEFAULT_EXAMPLES = 100
WINDOWS_PER_IMAGE = 10  # windows of an image before the search of a data set goes on to the next
CLIMB = 0.4  # of the examples, for the image in which an object scored lowest
SHRINK_WINDOWS = 40  # that a shrink may ask the detector about, if it then has been asked about no more than
MOST_WINDOWS = 60  # in all, search included; but always about
LEAST_SHRINK_WINDOWS = 20
NO_LIMIT = 10**9
LABELS = 8  # windows of one example that a test of a user climbs by
KEEP = 0.3  # of the image's shorter side, which every window keeps


@dataclass(frozen=True)
class Search:
    """What the search of a data set came to.

    ``worst``: the window that loses an object, smallest cut; where nothing is lost, that in which one scores lowest;
    ``None`` where no object was found with confidence. ``images``, ``windows``, ``calls``: what it took. ``picture``,
    ``again``: where the picture of it lies, and what runs the search once more; ``no_picture``: why there is none.
    """

    worst: WorstCrop | None
    images: int
    windows: int
    calls: int
    picture: str | None = None
    again: str | None = None
    no_picture: str | None = None

    @property
    def verdict(self) -> Literal["pass", "fail", "skip"]:
        """``fail`` if an object is lost, ``skip`` where there is none that could be."""
        if self.worst is None:
            return "skip"
        return "fail" if self.worst.lost else "pass"

    @property
    def nothing(self) -> str:
        """What to say where no object was found with confidence."""
        images = "1 image" if self.images == 1 else f"{self.images} images"
        return f"no object was found with confidence in {images}, so that none could be lost"

    def check(self) -> None:
        """Raise :class:`~pytest_cropdet.ObjectLost` if an object is lost, with the smallest cut that is enough.

        Where no object was found with confidence nothing was judged: :class:`~pytest_cropdet.errors.CannotTell`.
        """
        __tracebackhide__ = True
        if self.worst is None:
            raise CannotTell(self.nothing)
        picture = f"none: {self.no_picture}" if self.no_picture else self.picture
        self.worst.check(picture, self.again, spent=(self.windows, self.calls))


def find_worst_crop(
    detector: Detector,
    sample: Sample,
    *,
    rules: LossRules | None = None,
    categories: Mapping[int, str] | None = None,
    examples: int = DEFAULT_EXAMPLES,
    min_side: int | None = None,
    shrink: bool = True,
    seed: int = 0,
    truth: bool = True,
    cache: Cache | None = None,
) -> WorstCrop | None:
    """Return the smallest cut of an image that loses an object, or else the window in which one scores lowest.

    ``None`` if the detector finds no object with confidence in the whole image.

    - ``rules``: when an object is lost (:class:`~pytest_cropdet.LossRules`: below 0.3, having 0.5 or more in the whole
      image, 75 % of it visible).
    - ``categories``: the sample's names by id, where the detector's ids are others; without it ids are taken as equal.
    - ``examples``: windows that are tried. A failure shrinks by windows up to the 60th, but by 20 to 40 at any rate.
    - ``min_side``: pixels that a window keeps of each side, 30 % of the shorter side if not given.
    - ``shrink=False``: the first window that loses an object, whatever its cut.
    - ``truth=False``: what is found with confidence in the whole image stands for the objects.
    """
    _check_examples(examples)
    handle = as_handle(detector)
    mapped = None if categories is None else reconcile(handle.categories, categories, ())
    windows = Windows(handle, sample, cache, mapped)
    names = categories or handle.categories or {}
    return _Seeker(windows, rules or LossRules(), truth, names).worst(examples, min_side, shrink, seed)


def search(
    detector: Any,
    dataset: Dataset,
    *,
    rules: LossRules | None = None,
    examples: int = DEFAULT_EXAMPLES,
    shrink: bool = True,
    seed: int = 0,
    cache: Cache | None = None,
) -> Iterator[Search]:
    """Search image after image, in an order of the seed's, until an object is lost or ``examples`` windows are tried.

    An image takes 10 of the examples; the last 40 % go to the image in which an object scored lowest, where the search
    climbs towards lower scores. Yields how far it is, before the windows of each image; the last one is the result.
    """
    _check_examples(examples)
    rules, handle, dataset = rules or LossRules(), as_handle(detector), as_dataset(dataset)
    worst: WorstCrop | None = None
    low: _Seeker | None = None
    asked = calls = images = 0
    left = examples
    for sample in islice(shuffled(list(dataset), seed), examples):
        seeker = _seeker(handle, dataset, rules, cache, sample)
        windows = seeker.windows
        yield Search(worst, images, asked + windows.asked, calls + windows.calls)
        found = seeker.worst(min(left, WINDOWS_PER_IMAGE), None, shrink, seed, climb=False, before=asked)
        images, asked, calls = images + 1, asked + windows.asked, calls + windows.calls
        if found is not None:
            left -= WINDOWS_PER_IMAGE
            if worst is None or found.lost or found.score_crop < worst.score_crop:
                worst, low = found, seeker
        if left <= CLIMB * examples or (worst is not None and worst.lost):
            break
    if worst is not None and low is not None and not worst.lost and left > 0:
        asked, calls = asked - low.windows.asked, calls - low.windows.calls
        worst = low.worst(left, None, shrink, seed + 1, before=asked) or worst
        asked, calls = asked + low.windows.asked, calls + low.windows.calls
    yield Search(worst, images, asked, calls)


def _check_examples(examples: int) -> None:
    if examples < 1:
        raise SpecError(f"examples={examples}: one window or more must be tried")


class Losses:
    """What windows of a data set lose, one by one; a sample is named by its id."""

    def __init__(self, detector: Any, dataset: Dataset, rules: LossRules, cache: Cache | None = None) -> None:
        self._samples = {sample.id: sample for sample in dataset}
        self._open = partial(_seeker, as_handle(detector), dataset, rules, cache)
        self._last: tuple[str, _Seeker] | None = None

    def at(self, sample: str, crop: Crop) -> WorstCrop | None:
        """Return the object that scores lowest in a window; ``None`` if none shows that was found with confidence."""
        if sample not in self._samples:
            raise SpecError(f"the data set has no sample {sample!r}; an id is a file name as the data set writes it")
        named = self._samples[sample]
        if not crop.fits(named.width, named.height):
            raise SpecError(f"{crop} sticks out of {sample}, which is {named.width} wide and {named.height} high")
        if self._last is None or self._last[0] != sample:
            self._last = sample, self._open(named)
        found = self._last[1].at(crop)
        if found is not None and currently_in_test_context():
            _climb(-found.score_crop)
        return found


def _climb(towards: float) -> None:
    """Let Hypothesis climb; of several windows of one example the first has a label of its own, and so on.

    A label of sample and window would hardly ever meet again, and nothing could be climbed by it.
    """
    for number in range(1, LABELS + 1):
        with suppress(InvalidArgument):
            target(towards, label=f"cropdet.check_crop {number}")
            return


def _seeker(
    handle: DetectorHandle, dataset: Dataset, rules: LossRules, cache: Cache | None, sample: Sample
) -> "_Seeker":
    """Return the search of one image of a data set, categories matched by name."""
    with_truth = bool(getattr(dataset, "has_truth", True))
    mapped = reconcile(handle.categories, dataset.categories, ()) if with_truth else None
    names = dataset.categories if with_truth else handle.categories or {}
    return _Seeker(Windows(handle, sample, cache, mapped), rules, with_truth, names)


class _Seeker:
    """The search of one image: which windows lose an object, each judged once."""

    def __init__(self, windows: Windows, rules: LossRules, with_truth: bool, names: Mapping[int, str]) -> None:
        self.windows, self.rules, self.names = windows, rules, names
        truth = windows.sample.truth if with_truth else None
        self.held: HeldObjects = held_objects(truth, windows(), rules, windows.frame)
        self.judged: dict[Crop, VisibleObject | None] = {}
        self._most = NO_LIMIT  # windows that may be asked for
        self._before = 0
        self._error: Exception | None = None

    def worst(
        self, examples: int, min_side: int | None, shrink: bool, seed: int, climb: bool = True, before: int = 0
    ) -> WorstCrop | None:
        """Return the smallest cut that loses an object, else the lowest score; ``None`` if no window shows an object.

        ``before``: windows that the detector was shown of other images.
        """
        if not len(self.held):
            return None
        self._before = before
        sample = self.windows.sample
        side = max(1, round(KEEP * min(sample.width, sample.height))) if min_side is None else min_side
        places = [partial(crops, containing=core) for core in _inside(self.held.cores(), self.windows.frame)]
        strategy = st.sampled_from(places).flatmap(
            lambda place: place(sample.width, sample.height, min_side=side, touching=self.held.truth.boxes)
        )
        digest = hashlib.sha256(f"search\x1f{seed}\x1f{sample.id}".encode()).digest()
        crop = smallest(
            strategy, self._loses, examples, seed=int.from_bytes(digest[:8], "big"), climb=climb, shrink=shrink
        )
        if self._error is not None:
            raise self._error
        if crop is None:
            scored = {crop: shown for crop, shown in self.judged.items() if shown is not None}
            if not scored:
                return None
            crop = min(scored, key=lambda crop: (scored[crop].score_crop, -crop.width * crop.height, crop))
        return self.at(crop, shrink)

    def at(self, crop: Crop, shrunk: bool = False) -> WorstCrop | None:
        """Return the object that scores lowest in a window, ``None`` if none shows."""
        shown = self._judge(crop)
        return None if shown is None else self._told(crop, shown, shrunk)

    def _loses(self, crop: Crop) -> bool:
        """Whether an object is lost in ``crop``; once one is, only so many more windows are shown to the detector."""
        try:
            shown = self._judge(crop)
        except Exception as error:
            self._error = error
            self._most = 0
            self.judged[crop] = VisibleObject(0, 1.0, -1.0, 1.0)
            return True
        if shown is None:
            return False
        target(-shown.score_crop)
        lost = shown.score_crop < self.rules.score
        if lost and self._most == NO_LIMIT:
            left = MOST_WINDOWS - self._before - self.windows.asked
            self._most = self.windows.asked + max(LEAST_SHRINK_WINDOWS, min(SHRINK_WINDOWS, left))
        return lost

    def _judge(self, crop: Crop) -> VisibleObject | None:
        """Return the object that scores lowest in ``crop``; ``None`` if none shows or no more may be asked."""
        if crop not in self.judged:
            ask = crop in self.windows or self.windows.asked < self._most
            shown = self.held.shown(crop, self.windows(crop)) if ask and self.held.visible(crop) else []
            self.judged[crop] = min(shown, key=lambda each: (each.score_crop, -each.score_whole), default=None)
        return self.judged[crop]

    def _told(self, crop: Crop, shown: VisibleObject, shrunk: bool) -> WorstCrop:
        sample, windows, rules = self.windows.sample, self.windows, self.rules
        category = int(self.held.truth.categories[shown.row])
        x0, y0, x1, y1 = self.held.truth.boxes[shown.row].tolist()
        whole, seen = _from(windows(), rules.score), _from(windows(crop), rules.score)
        pairs = make_pairs(whole, seen, crop, 0.7, rules.found_iou, self.names)
        pixels = windows.image()
        return WorstCrop(
            sample=sample.id,
            width=sample.width,
            height=sample.height,
            crop=crop,
            category=str(self.names.get(category, category)),
            box=(x0, y0, x1, y1),
            score_whole=shown.score_whole,
            score_crop=shown.score_crop,
            visibility=shown.visibility,
            lost=shown.score_crop < rules.score,
            shrunk=shrunk,
            rules=rules,
            windows=windows.asked,
            calls=windows.calls,
            comparison=Comparison(crop, pairs, pixels, rules.score, 0.7, rules.found_iou, rules.min_visibility),
        )


def _inside(boxes: Iterator[tuple[float, ...]], frame: Crop) -> list[Sequence[float]]:
    """Return boxes clipped to the frame, without those that lie outside."""
    clipped = [
        (max(0.0, x0), max(0.0, y0), min(float(frame.right), x1), min(float(frame.bottom), y1))
        for x0, y0, x1, y1 in boxes
    ]
    return [box for box in clipped if box[0] < box[2] and box[1] < box[3]]


def _from(found: Detections, score: float) -> Detections:
    return found.take((found.scores >= score).nonzero()[0])
