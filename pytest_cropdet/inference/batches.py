"""Where the detector runs: here, batch by batch, with the next pictures decoded and prepared in the meantime.

The batch is the unit. Its composition follows from the plan and the detector's input alone: whole images of the next
samples of equal input shape, then their crops, rank by rank. So the last digits of a detector, which depend on its
batch, are the same in every run, and a crop that keeps everything gets exactly the answer of the whole image.

Where several calls of the detector may run at once, batches go to as many threads. They stay those of the plan and come
in its order, so nothing but the time depends on the number of threads, or on the workers of a cluster (``cluster.py``).

With a cache a batch that is known is not computed, and its pictures are not even decoded. A batch that another process
is about to have is left for the end.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from pytest_cropdet.data import Detections, Sample
from pytest_cropdet.detectors import DetectorHandle, PreparedImage
from pytest_cropdet.geometry import Crop, Image
from pytest_cropdet.inference.cache_keys import BatchKeys
from pytest_cropdet.inference.cluster import BatchWork, Cluster, ClusterAnswer
from pytest_cropdet.inference.reading import read_sample
from pytest_cropdet.inference.worker_threads import run_in_order

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
    """A batch on its way: its key in the cache, and its answer, its images or its prepared pictures, as there are."""

    pictures: list[Picture]
    key: str | None
    answer: list[Detections] | None
    images: Mapping[str, Image] = field(default_factory=dict)
    prepared: list[PreparedImage] = field(default_factory=list)

    @property
    def labels(self) -> list[str]:
        return [picture.label for picture in self.pictures]

    def prepare(self, detector: DetectorHandle) -> None:
        """Prepare its pictures, and let go of the images."""
        shown = [each.of(self.images[each.sample]) for each in self.pictures]
        self.prepared = [detector.adapter.prepare(each) for each in shown]
        self.images = {}


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of the detector in a thread: what it found, and when it ran."""

    found: list[Detections]
    begun: float
    ended: float


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

    reading = threading.Lock() if keys is None else keys.reading

    def open_chunk(chunk: Sequence[Sample]) -> list[_Task]:
        tasks = []
        for pictures in split(chunk):
            shown = [(by_id[each.sample], each.crop, str(each.rendering or "")) for each in pictures]
            key = None if keys is None else keys.key(shown)
            answer = None if keys is None or key is None else keys.cache.get(key)
            tasks.append(_Task(pictures, key, answer))
        if detector.cluster is None and any(task.answer is None for task in tasks):
            images = {sample.id: read_sample(sample, reading) for sample in chunk}
            for task in tasks:
                if task.answer is None:
                    task.images = images
        return tasks

    calls = detector.calls_at_once()
    if detector.cluster is None:
        done = (_one_by_one if calls == 1 else _at_once)(detector, parts, open_chunk, keys, calls)
    else:
        done = _on_cluster(detector, parts, open_chunk, keys, by_id)
    later: list[_Task] = []
    for task, answer in done:
        if answer is None:
            task.prepared, task.images = [], {}
            later.append(task)
        else:
            yield Batch(tuple(task.pictures), tuple(answer))
    for task in later:
        yield Batch(tuple(task.pictures), tuple(_await(detector, task, keys, by_id)))


_Done = Iterator[tuple[_Task, list[Detections] | None]]  # None: another process is about to have the answer


def _one_by_one(
    detector: DetectorHandle,
    parts: Sequence[Sequence[Sample]],
    open_chunk: Callable[[Sequence[Sample]], list[_Task]],
    keys: BatchKeys | None,
    calls: int,
) -> _Done:
    """Yield tasks with their answers: the detector runs in this thread, and another one prepares the next chunk."""

    def prepare(chunk: Sequence[Sample]) -> list[_Task]:
        tasks = open_chunk(chunk)
        for task in tasks:
            if task.answer is None:
                task.prepare(detector)
        return tasks

    with ThreadPoolExecutor(max_workers=calls, thread_name_prefix="cropdet-prepare") as pool:
        ahead = [pool.submit(prepare, part) for part in parts[:1]]
        for place in range(len(parts)):
            tasks = ahead.pop().result()
            ahead.extend(pool.submit(prepare, part) for part in parts[place + 1 : place + 2])
            for task in tasks:
                yield task, _answer(detector, task, keys)


def _at_once(
    detector: DetectorHandle,
    parts: Sequence[Sequence[Sample]],
    open_chunk: Callable[[Sequence[Sample]], list[_Task]],
    keys: BatchKeys | None,
    calls: int,
) -> _Done:
    """Yield tasks with their answers, in order: threads decode, prepare and call the detector.

    Claims, counts and what the cache is given are this thread's affair.
    """
    running = 0

    def begin(task: _Task) -> Callable[[], _Call] | None:
        nonlocal running
        if not _is_ours(task, keys):
            return None
        running += 1
        try:
            detector.reserve(min(calls, running))
        except BaseException:
            _release(task, keys)
            raise
        return lambda: call(task)

    def call(task: _Task) -> _Call:
        task.prepare(detector)
        begun = time.perf_counter()
        found = detector.answer(task.prepared, task.labels)
        task.prepared = []
        return _Call(found, begun, time.perf_counter())

    def finish(task: _Task, result: _Call | None) -> None:
        """Count and keep what a call found; without a result give up the claim."""
        nonlocal running
        running -= 1
        if result is None:
            _release(task, keys)
        else:
            detector.count(result.begun, result.ended, len(task.pictures))
            _keep(task, keys, result.found)

    for task, result in run_in_order(parts, open_chunk, begin, finish, calls):
        if result is not None:
            finish(task, result)
        yield task, task.answer if result is None else result.found


def _on_cluster(
    detector: DetectorHandle,
    parts: Sequence[Sequence[Sample]],
    open_chunk: Callable[[Sequence[Sample]], list[_Task]],
    keys: BatchKeys | None,
    samples: Mapping[str, Sample],
) -> _Done:
    """Yield tasks with their answers, in order: workers of a cluster read, prepare and detect.

    Claims, counts and what the cache is given are this process's affair; an answer is kept as soon as it arrives.
    """

    def begin(task: _Task) -> BatchWork | None:
        if not _is_ours(task, keys):
            return None
        own = {each.sample: samples[each.sample] for each in task.pictures}
        return BatchWork(tuple(task.pictures), own)

    def arrived(task: _Task, result: ClusterAnswer | None) -> None:
        if result is None:
            _release(task, keys)
            return
        now = time.perf_counter()
        detector.count(now - result.seconds, now, len(task.pictures))
        _keep(task, keys, result.found)

    cluster: Cluster = detector.cluster
    cache = None if keys is None else keys.cache
    for task, result in cluster.run_in_order(detector, parts, open_chunk, begin, arrived, cache):
        yield task, task.answer if result is None else result.found


def _answer(detector: DetectorHandle, task: _Task, keys: BatchKeys | None) -> list[Detections] | None:
    """Return the answer of a batch, known or computed now; ``None`` if another process is about to have it."""
    if not _is_ours(task, keys):
        return task.answer
    try:
        found = detector.detect(task.prepared, task.labels)
    except BaseException:
        _release(task, keys)
        raise
    _keep(task, keys, found)
    return found


def _is_ours(task: _Task, keys: BatchKeys | None) -> bool:
    """Return whether a batch is to be computed here: it is unknown, and no other process is about to have it."""
    if task.answer is not None:
        return False
    if keys is None or task.key is None:
        return True
    if not keys.cache.claim(task.key):
        return False
    task.answer = keys.cache.get(task.key)  # another process may have finished since it was looked up
    if task.answer is not None:
        _release(task, keys)
    return task.answer is None


def _keep(task: _Task, keys: BatchKeys | None, found: list[Detections]) -> None:
    if keys is not None and task.key is not None:
        keys.cache.put(task.key, found)


def _release(task: _Task, keys: BatchKeys | None) -> None:
    if keys is not None and task.key is not None:
        keys.cache.release(task.key)


def _await(
    detector: DetectorHandle, task: _Task, keys: BatchKeys | None, samples: Mapping[str, Sample]
) -> list[Detections]:
    """Return the answer of a batch that another process claimed: theirs, or ours if they never give one."""
    while True:
        known = None if keys is None or task.key is None else keys.cache.get(task.key)
        if known is not None:
            return known
        if detector.cluster is not None:
            ((_, answer),) = _on_cluster(detector, [()], lambda _: [task], keys, samples)
            if answer is not None:
                return answer
        elif keys is None or task.key is None or keys.cache.claim(task.key):
            task.images = {each.sample: read_sample(samples[each.sample]) for each in task.pictures}
            task.prepare(detector)
            answer = _answer(detector, task, keys)
            if answer is not None:
                return answer
        time.sleep(BATCH_WAIT)
