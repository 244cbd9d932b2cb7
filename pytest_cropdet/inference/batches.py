"""Where the detector runs: here, batch by batch, with the next pictures decoded and prepared in the meantime.

The batch is the unit. Its composition follows from the plan and the detector's input alone: whole images of the next
samples of equal input shape, then their crops, rank by rank. So the last digits of a detector, which depend on its
batch, are the same in every run, and a crop that keeps everything gets exactly the answer of the whole image.

With a cache a batch that is known is not computed, and its pictures are not even decoded. A batch that another process
is about to have is left for the end.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pytest_cropdet.data import Detections, Sample
from pytest_cropdet.detectors import DetectorHandle, PreparedImage
from pytest_cropdet.errors import CropdetError, DataError
from pytest_cropdet.geometry import Crop, Image
from pytest_cropdet.inference.cache_keys import BatchKeys

__all__ = ["Batch", "Batches", "Picture", "View", "chunks", "detect_all", "plain_batches"]

BATCH_WAIT = 0.1  # seconds between looks at a batch that another process computes


class View(Protocol):
    """Another way to show a crop than as it is; it can be hashed, and its ``str`` tells it from any other."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def pixels(self, image: Image, crop: Crop) -> Image:
        """Return what is shown, given the whole image, which is not changed."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to detect in: the whole sample (``crop`` is ``None``, rank -1), or one of its crops.

    ``rendering``: another way to show the crop; ``None`` for its pixels as they are.
    """

    sample: str
    rank: int
    crop: Crop | None
    rendering: View | None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        label = self.sample if self.crop is None else f"{self.crop} of {self.sample}"
        return label if self.rendering is None else f"{label} ({self.rendering.name})"

    def of(self, image: Image) -> Image:
        """Return its pixels, given its sample's."""
        if self.crop is None:
            return image
        return self.crop.of(image) if self.rendering is None else self.rendering.pixels(image, self.crop)


Batches = Callable[[Sequence[Sample]], Iterator[list[Picture]]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Pictures that go to the detector in one call, and what it found in each."""

    pictures: tuple[Picture, ...]
    found: tuple[Detections, ...]


@dataclass(slots=True)
class _Task:
    """A batch on its way: its key in the cache, and its answer or its prepared pictures, whichever there is."""

    pictures: list[Picture]
    key: str | None
    answer: list[Detections] | None
    prepared: list[PreparedImage]


def chunks(detector: DetectorHandle, samples: Sequence[Sample]) -> list[list[Sample]]:
    """Return samples in groups of equal input shape, as many as the detector takes in a call, in the set's order."""
    groups: dict[tuple[int, int], list[Sample]] = {}
    for sample in samples:
        groups.setdefault(detector.input_shape(sample.width, sample.height), []).append(sample)
    size = detector.batch
    parts = [group[start : start + size] for group in groups.values() for start in range(0, len(group), size)]
    order = {sample.id: place for place, sample in enumerate(samples)}
    return sorted(parts, key=lambda part: order[part[0].id])


def plain_batches(detector: DetectorHandle, windows: Mapping[str, Sequence[Crop]]) -> Batches:
    """Return what gives the batches of a chunk: whole images, then crops of rank 0, of rank 1, ... by input shape."""

    def batches(chunk: Sequence[Sample]) -> Iterator[list[Picture]]:
        yield [Picture(sample.id, -1, None) for sample in chunk]
        for rank in range(max((len(windows[sample.id]) for sample in chunk), default=0)):
            groups: dict[tuple[int, int], list[Picture]] = {}
            for sample in chunk:
                crops = windows[sample.id]
                if rank < len(crops):
                    shape = detector.input_shape(crops[rank].width, crops[rank].height)
                    groups.setdefault(shape, []).append(Picture(sample.id, rank, crops[rank]))
            yield from groups.values()

    return batches


def detect_all(
    detector: DetectorHandle,
    samples: Sequence[Sample],
    windows: Mapping[str, Sequence[Crop]],
    keys: BatchKeys | None = None,
    batches: Batches | None = None,
) -> Iterator[Batch]:
    """Yield every batch of a plan with its detections; each image is decoded once at most, in the background.

    ``keys``: where answers are kept; without it everything is computed. ``batches``: the batches of a chunk of samples,
    other than its whole images and crops.
    """
    split = plain_batches(detector, windows) if batches is None else batches
    parts = chunks(detector, samples)
    by_id = {sample.id: sample for sample in samples}

    def prepare(chunk: Sequence[Sample]) -> list[_Task]:
        tasks = []
        for pictures in split(chunk):
            shown = [(by_id[each.sample], each.crop, str(each.rendering or "")) for each in pictures]
            key = None if keys is None else keys.key(shown)
            answer = None if keys is None or key is None else keys.cache.get(key)
            tasks.append(_Task(pictures, key, answer, []))
        if any(task.answer is None for task in tasks):
            images = {sample.id: _read(sample) for sample in chunk}
            for task in tasks:
                if task.answer is None:
                    task.prepared = _prepared(detector, task.pictures, images)
        return tasks

    later: list[_Task] = []
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="cropdet-prepare") as pool:
        ahead = [pool.submit(prepare, part) for part in parts[:1]]
        for place in range(len(parts)):
            tasks = ahead.pop().result()
            ahead.extend(pool.submit(prepare, part) for part in parts[place + 1 : place + 2])
            for task in tasks:
                answer = _answer(detector, task, keys)
                if answer is None:
                    task.prepared = []
                    later.append(task)
                else:
                    yield Batch(tuple(task.pictures), tuple(answer))
    for task in later:
        yield Batch(tuple(task.pictures), tuple(_await(detector, task, keys, by_id)))


def _answer(detector: DetectorHandle, task: _Task, keys: BatchKeys | None) -> list[Detections] | None:
    """Return the answer of a batch, known or computed now; ``None`` if another process is about to have it."""
    if task.answer is not None:
        return task.answer
    labels = [picture.label for picture in task.pictures]
    if keys is None or task.key is None:
        return detector.detect(task.prepared, labels)
    if not keys.cache.claim(task.key):
        return None
    known = keys.cache.get(task.key)  # another process may have finished since the pictures were prepared
    if known is not None:
        keys.cache.release(task.key)
        return known
    try:
        found = detector.detect(task.prepared, labels)
    except BaseException:
        keys.cache.release(task.key)
        raise
    keys.cache.put(task.key, found)
    return found


def _await(
    detector: DetectorHandle, task: _Task, keys: BatchKeys | None, samples: Mapping[str, Sample]
) -> list[Detections]:
    """Return the answer of a batch that another process claimed: theirs, or ours if they never give one."""
    while True:
        known = None if keys is None or task.key is None else keys.cache.get(task.key)
        if known is not None:
            return known
        if keys is None or task.key is None or keys.cache.claim(task.key):
            images = {each.sample: _read(samples[each.sample]) for each in task.pictures}
            task.prepared = _prepared(detector, task.pictures, images)
            answer = _answer(detector, task, keys)
            if answer is not None:
                return answer
        time.sleep(BATCH_WAIT)


def _prepared(
    detector: DetectorHandle, pictures: Sequence[Picture], images: Mapping[str, Image]
) -> list[PreparedImage]:
    return [detector.adapter.prepare(each.of(images[each.sample])) for each in pictures]


def _read(sample: Sample) -> Image:
    """Return a sample's pixels; a data set of the user's own that fails, or answers with another picture, is named."""
    try:
        image = sample.image()
    except CropdetError:
        raise
    except Exception as error:
        raise DataError(f"sample {sample.id}: {type(error).__name__}: {error}") from error
    shape, kind = getattr(image, "shape", None), getattr(image, "dtype", type(image).__name__)
    if shape != (sample.height, sample.width, 3) or kind != np.uint8:
        raise DataError(
            f"sample {sample.id}: its image has shape {shape} and type {kind}; it should be RGB uint8 of shape "
            f"(height, width, 3) and {sample.width} x {sample.height} pixels"
        )
    return image
