"""What detections are scored against: a data set's annotations or, where it has none, pseudo-labels."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_cropdet.data import (
    HIGH_SCORE,
    CategoryMap,
    Dataset,
    Detections,
    Sample,
    detector_names,
    reconcile,
    select_categories,
    stand_in_truth,
)
from pytest_cropdet.detectors import DetectorHandle
from pytest_cropdet.gate.repeatability import Repeat, check_repeat
from pytest_cropdet.inference import BatchKeys
from pytest_cropdet.settings import RunSettings

__all__ = ["Targets", "check_answers", "has_truth"]


def has_truth(dataset: Dataset) -> bool:
    """Return whether a data set is annotated."""
    return bool(getattr(dataset, "has_truth", True))


@dataclass(frozen=True)
class Targets:
    """The categories that are scored, how the detector's are paired with them, and where the objects come from.

    ``names``: of all categories, by id. ``chosen``: the ids that are scored, in order. ``pairing``: from the detector's
    ids to the data set's; ``None`` with pseudo-labels, which have the detector's own. ``high``: the score from which a
    detection in a whole image is a pseudo-label; ``None`` with annotations.
    """

    names: Mapping[int, str]
    chosen: Sequence[int]
    pairing: CategoryMap | None
    high: float | None

    @classmethod
    def annotated(
        cls,
        detector: Mapping[int, str] | None,
        names: Mapping[int, str],
        settings: RunSettings,
        present: set[int],
        limited: Iterable[str] = (),
    ) -> "Targets":
        """Return the targets that a data set with these category names is annotated with.

        ``detector``: the names of its categories. ``present``: ids of which there are objects. ``limited``: names of
        categories that have a limit of their own.
        """
        also = select_categories(limited, names)
        chosen = select_categories(settings.categories or tuple(names.values()), names)
        return cls(names, chosen, reconcile(detector, names, sorted(present & {*chosen, *also})), None)

    @classmethod
    def pseudo(
        cls,
        detector: Mapping[int, str] | None,
        whole: Mapping[str, Detections],
        settings: RunSettings,
        limited: Iterable[str] = (),
    ) -> "Targets":
        """Return the targets that the confident detections in whole images are; ``limited`` are among the chosen."""
        names = detector_names(detector, whole)
        chosen = select_categories(settings.categories or tuple(names.values()), names)
        also = select_categories(limited, names)
        return cls(names, sorted({*chosen, *also}), None, settings.score_threshold or HIGH_SCORE)

    def samples(self, samples: Sequence[Sample], whole: Mapping[str, Detections]) -> Sequence[Sample]:
        """Return ``samples`` with the objects that are to be found in them."""
        return samples if self.high is None else stand_in_truth(samples, whole, self.high)

    def translate(self, found: Detections) -> Detections:
        """Return detections with the categories of the targets."""
        return found if self.pairing is None else self.pairing.translate(found)


def check_answers(
    handle: DetectorHandle,
    samples: Sequence[Sample],
    whole: Mapping[str, Detections],
    targets: Targets | None,
    settings: RunSettings,
    keys: BatchKeys | None,
) -> Repeat:
    """Check what answers to whole images show: categories that fit, and whether they come out the same twice.

    ``targets``: ``None`` where they are not known yet.
    """
    pairing = None if targets is None else targets.pairing
    if pairing is not None:
        pairing.check_ids(whole.values())
    return check_repeat(handle, samples, whole, pairing, [] if targets is None else targets.chosen, settings, keys)
