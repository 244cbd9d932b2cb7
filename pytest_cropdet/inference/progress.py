"""The one loop that runs a detector for a task: it keeps the detections, counts what they cost, and reports batches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pytest_cropdet.data import Sample
from pytest_cropdet.detectors import DetectorHandle, workers_note
from pytest_cropdet.geometry import Crop
from pytest_cropdet.inference.batches import Batches, Picture, detect_all
from pytest_cropdet.inference.cache_keys import BatchKeys
from pytest_cropdet.inference.detection_store import DetectionStore

__all__ = ["Advanced", "Meter", "Spent", "Started", "duration_text", "estimate_seconds", "progress_lines"]

Task = Literal["run", "old", "explain", "try", "benchmark", "search"]  # "old": the model compared with; "try": measures


@dataclass(slots=True)
class Spent:
    """What a run cost: images sent to the detector, its seconds, the seconds of everything, and calls spared."""

    model_calls: int
    model_seconds: float
    total_seconds: float = 0.0
    spared: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """A task is about to call the detector: this many source images, crops and images to send.

    ``paired_by``: how categories are paired, ``name`` or ``id``, where that is known. ``note``: what the user should
    read before the first call.
    """

    images: int
    crops: int
    calls: int
    task: Task = "run"
    paired_by: str | None = field(default=None, compare=False, kw_only=True)
    note: str | None = field(default=None, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Advanced:
    """A batch is done: images sent so far, of how many, and the seconds the detector took."""

    done: int
    calls: int
    model_seconds: float
    task: Task = "run"


@dataclass(eq=False)
class Meter:
    """Runs a detector for one task.

    ``calls``: images that the task sends in all. ``spent``: what the run cost, to which the task adds. ``found``: the
    raw detections so far, kept outside of memory. ``done``: images so far, those included that a cache knew;
    ``seconds``: the detector's.
    """

    handle: DetectorHandle
    keys: BatchKeys | None
    task: Task
    calls: int
    spent: Spent = field(default_factory=lambda: Spent(0, 0.0))
    found: DetectionStore[Picture] = field(default_factory=DetectionStore)
    done: int = 0
    seconds: float = 0.0

    def start(self, images: int, crops: int, *, paired_by: str | None = None, note: str | None = None) -> Started:
        """Return the event that stands before the first call."""
        fewer = workers_note(self.handle.threads, self.handle.workers) if self.task in ("run", "benchmark") else None
        notes = "; ".join(each for each in (note, fewer) if each is not None) or None
        return Started(images, crops, self.calls, self.task, paired_by=paired_by, note=notes)

    def detect(
        self, samples: Sequence[Sample], windows: Mapping[str, Sequence[Crop]], batches: Batches | None = None
    ) -> Iterator[Advanced]:
        """Detect in every picture of a plan, as :func:`detect_all` does, and yield how far the task is.

        Only the calls of these pictures count, not what else the detector is shown between two batches.
        """
        sent, seconds = self.handle.images_sent, self.handle.seconds
        for batch in detect_all(self.handle, samples, windows, self.keys, batches):
            took = self.handle.seconds - seconds
            self.spent.model_calls += self.handle.images_sent - sent
            self.spent.model_seconds += took
            self.seconds += took
            self.done += len(batch.pictures)
            self.found.update(zip(batch.pictures, batch.found, strict=True))
            yield Advanced(self.done, self.calls, self.seconds, self.task)
            sent, seconds = self.handle.images_sent, self.handle.seconds

    def whole_images(self) -> DetectionStore[str]:
        """Return the raw detections of whole images by sample id."""
        return self.found.renamed(lambda picture: picture.sample if picture.crop is None else None)


def estimate_seconds(event: Advanced) -> float:
    """Return how many seconds the detector still needs, from what it has needed so far."""
    return event.model_seconds / max(1, event.done) * (event.calls - event.done)


def duration_text(seconds: float) -> str:
    """Return a time as people say it.

    >>> duration_text(59), duration_text(120), duration_text(7200)
    ('59 s', '2 min', '2.0 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


_TASKS = {"old": "the old model: ", "explain": "causes: ", "try": "measures at inference: "}


def progress_lines(event: object) -> list[str]:
    """Return what there is to say of an event, a line for each fact; nothing of one that is no progress.

    >>> progress_lines(Started(2, 8, 10)), progress_lines(Advanced(5, 10, 2.0, "explain"))
    (['8 crops of 2 images, 10 detector calls'], ['causes: 5 of 10 detector calls, 2 s left'])
    """
    if isinstance(event, Started):
        begun = f"{event.crops} crops of {event.images} images, {event.calls} detector calls"
        return [*([] if event.note is None else [event.note]), _TASKS.get(event.task, "") + begun]
    if isinstance(event, Advanced):
        left = duration_text(estimate_seconds(event))
        return [f"{_TASKS.get(event.task, '')}{event.done} of {event.calls} detector calls, {left} left"]
    return []
