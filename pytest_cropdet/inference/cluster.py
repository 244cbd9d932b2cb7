"""Batches spread over the workers of a Dask cluster; results come in the plan's order.

A task is a batch of the plan. At most two per worker are under way, so neither scheduler nor client is given more. An
answer is handed over when it arrives, whatever its place, and so it is kept even if this process ends before its turn.
Images go by path where the worker has the same file, else by the bytes of their file, else as pixels.

What is lost with a worker or a scheduler is sent again; what cannot be done anywhere ends the run with a sentence.
"""

import asyncio
import copy
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from pytest_cropdet import errors
from pytest_cropdet.data import Detections, Sample, file_read
from pytest_cropdet.detectors import DetectorHandle
from pytest_cropdet.errors import ClusterError, CropdetError, DetectorError, SpecError
from pytest_cropdet.inference.cache import Cache, unpack
from pytest_cropdet.inference.cluster_address import close_client, open_client
from pytest_cropdet.inference.cluster_check import check_in_time, recipe_of
from pytest_cropdet.inference.cluster_images import SentImages
from pytest_cropdet.inference.cluster_tasks import (
    BatchOrder,
    DetectorRecipe,
    ShownPicture,
    UnseenFile,
    WorkerFound,
    WorkerRefused,
    own_versions,
    run_order,
)
from pytest_cropdet.inference.worker_threads import PER_WORKER

__all__ = ["BatchWork", "Cluster", "ClusterAnswer", "on_cluster"]

WAITING_TIMES = 8  # times as many may wait for their turn, which are answers without images
TICK = 0.5  # seconds between looks at what no message reports
PATIENCE = 60.0  # seconds without a worker, or without the scheduler
CHECK_SECONDS = 5.0  # for new workers to say whether they can run the detector, while others can
BATCH_TRIES = 5  # of one batch whose workers or whose scheduler went away
TASK_RETRIES = 2  # by Dask, of a task that raises
_GONE = ("cancelled", "lost")
# of a connection; Python 3.10 has a time-out of asyncio of its own
_TROUBLE = (OSError, TimeoutError, asyncio.TimeoutError, asyncio.CancelledError, CancelledError)

Work = TypeVar("Work")


@dataclass(frozen=True, slots=True)
class BatchWork:
    """A batch to be sent: its pictures, and their samples by id."""

    pictures: tuple[ShownPicture, ...]
    samples: Mapping[str, Sample]


@dataclass(frozen=True, slots=True)
class ClusterAnswer:
    """What a worker found in a batch, and the seconds of its detector."""

    found: list[Detections]
    seconds: float


@dataclass(eq=False, slots=True)
class _Job:
    """A batch from when it is begun until it is handed out; ``images``: what keeps its images on the workers."""

    work: Any
    batch: BatchWork | None
    answer: ClusterAnswer | None = None
    error: CropdetError | None = None
    tries: int = 0
    images: list[Any] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return self.batch is None or self.answer is not None or self.error is not None

    @property
    def labels(self) -> str:
        return "" if self.batch is None else ", ".join(each.label for each in self.batch.pictures)


class Cluster:
    """A Dask cluster that runs detectors; ``name`` is what messages call it.

    ``patience``: seconds that it waits for a worker, and for a scheduler that went away.
    """

    def __init__(self, client: Any, name: str = "", patience: float = PATIENCE) -> None:
        self.client, self.patience = client, patience
        self.name = name or str(getattr(getattr(client, "scheduler", None), "address", "the cluster"))
        self._checked: WeakKeyDictionary[DetectorHandle, set[str]] = WeakKeyDictionary()
        self._recipes: WeakKeyDictionary[DetectorHandle, DetectorRecipe] = WeakKeyDictionary()
        self.images = SentImages(client)

    @classmethod
    def open(cls, where: str) -> "Cluster":
        """Return the cluster at an address, of a scheduler's file, or one of ``local:N`` processes."""
        return cls(open_client(where), where)

    def close(self) -> None:
        """Close the connection, and the processes of ``local:N``."""
        close_client(self.client)

    def recipe(self, detector: DetectorHandle) -> DetectorRecipe:
        """Return how a worker makes a detector, found once."""
        found = self._recipes.get(detector)
        if found is None:
            found = self._recipes[detector] = recipe_of(detector)
        return found

    def workers(self, detector: DetectorHandle) -> int:
        """Return how many workers there are, after those that are new were checked for a detector."""
        if self.client.status != "running":
            return 0
        try:
            there = set(self.client.nthreads())
            checked = self._checked.setdefault(detector, set())
            new, seconds = sorted(there - checked), CHECK_SECONDS if checked else self.patience
            if new:
                checked |= check_in_time(self.client, self.name, self.recipe(detector), new, seconds)
        except _TROUBLE:
            return 0
        return len(there) if checked else 0  # one that is not checked yet checks itself before it detects

    def run_in_order(
        self,
        detector: DetectorHandle,
        parts: Sequence[Any],
        open_part: Callable[[Any], Sequence[Work]],
        begin: Callable[[Work], BatchWork | None],
        arrived: Callable[[Work, ClusterAnswer | None], None],
        cache: Cache | None = None,
    ) -> Iterator[tuple[Work, ClusterAnswer | None]]:
        """Yield the tasks of all parts in order, each with its answer, as ``worker_threads.run_in_order`` does.

        ``begin`` returns ``None`` where there is nothing to send. ``arrived`` gets each answer as soon as it is there,
        and ``None`` for a task that was begun and never answered. ``cache``: knows the hashes of files.
        """
        with _Session(self, detector, arrived, cache) as session:
            for part in parts:
                for work in open_part(part):
                    while session.is_full():
                        yield from session.turn()
                    session.send(_Job(work, begin(work)))
                    yield from session.turn(wait=False)
            while session.begun:
                yield from session.turn()


class _Session:
    """The batches of one call of ``run_in_order`` that are begun and not handed out."""

    def __init__(
        self, cluster: Cluster, detector: DetectorHandle, arrived: Callable[..., None], cache: Cache | None
    ) -> None:
        self._cluster, self._client, self._detector = cluster, cluster.client, detector
        self._arrived, self._cache = arrived, cache
        self._versions = own_versions()
        self.begun: deque[_Job] = deque()
        self._under_way: dict[Any, _Job] = {}  # by future
        self._unsent: deque[_Job] = deque()
        self._messages: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._workers, self._looked = 0, float("-inf")
        self._last_seen = time.monotonic()
        self._failed = False

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, *raised: object) -> None:
        """Keep what is there, cancel what is not, and give up its claims."""
        for job in self.begun:
            if job.batch is None or job.answer is not None:
                continue
            future = next((each for each, other in self._under_way.items() if other is job), None)
            result = None
            try:
                if future is not None and future.status == "finished":
                    result = future.result(timeout=TICK)
            except (Exception, asyncio.CancelledError):  # noqa: S110  (of what is thrown away)
                pass
            self._arrived(job.work, self._answer(job, result) if isinstance(result, WorkerFound) else None)
        try:
            if self._under_way and self._client.status == "running":
                self._client.cancel(list(self._under_way))
        except _TROUBLE:
            pass
        self._under_way.clear()

    def is_full(self) -> bool:
        """Whether nothing more is to be begun: enough is under way, or waits for its turn, or something failed."""
        self._look()
        room = PER_WORKER * max(1, self._workers)
        busy = len(self._under_way) + len(self._unsent)
        return self._failed or not self._workers or busy >= room or len(self.begun) >= WAITING_TIMES * room

    def send(self, job: _Job) -> None:
        """Begin a batch."""
        self.begun.append(job)
        if job.batch is not None:
            self._submit(job)

    def turn(self, wait: bool = True) -> Iterator[tuple[Any, ClusterAnswer | None]]:
        """Take what has arrived, wait for something if nothing has, and yield what has its turn."""
        if wait and not (self.begun and self.begun[0].is_done):
            self._take(TICK)
            self._look()
            for _ in range(len(self._unsent)):
                self._submit(self._unsent.popleft())
        while not self._messages.empty():
            self._take(0)
        while self.begun and self.begun[0].is_done:
            error = self.begun[0].error
            if error is not None:
                raise error
            job = self.begun.popleft()
            yield job.work, job.answer

    def _look(self) -> None:
        """Look for workers, and for batches that went away without a message; be patient with neither for ever."""
        if time.monotonic() - self._looked < TICK:
            return
        client, name, patience = self._client, self._cluster.name, self._cluster.patience
        if client.status == "closed":
            raise ClusterError(
                f"the scheduler of the cluster {name} is no longer reached; detections so far are in the cache: start "
                "the scheduler and its workers, and run again"
            )
        self._workers = self._cluster.workers(self._detector)
        self._looked = time.monotonic()
        if self._workers:
            self._last_seen = self._looked
        elif self._looked - self._last_seen > patience:
            missing = "the scheduler is not reached" if client.status != "running" else "it has no workers"
            raise ClusterError(
                f"the cluster {name}: for {patience:.0f} s {missing}; detections so far are in the cache. Start "
                "workers with `dask worker ADDRESS --nthreads 1` and run again"
            )
        for future in [each for each in self._under_way if each.status in _GONE]:
            self._finish(future)

    def _submit(self, job: _Job) -> None:
        """Send a batch to the scheduler; where the connection is in trouble, later."""
        if self._client.status != "running" or job.batch is None:
            self._unsent.append(job)
            return
        names = tuple(job.batch.samples)
        recipe = self._cluster.recipe(self._detector)
        order = BatchOrder(recipe, self._versions, job.batch.pictures, names, self._detector.seconds_allowed())
        try:
            images = [self._cluster.images.of(each, self._cache) for each in job.batch.samples.values()]
            future = self._client.submit(run_order, order, *images, pure=False, retries=TASK_RETRIES)
        except CropdetError as error:
            self._fail(job, error)
        except _TROUBLE:
            self._unsent.append(job)
        else:
            job.images = images
            self._under_way[future] = job
            future.add_done_callback(self._messages.put)

    def _take(self, seconds: float) -> None:
        """Take the next message that a future is done."""
        try:
            future = self._messages.get(timeout=seconds) if seconds else self._messages.get_nowait()
        except queue.Empty:
            return
        self._finish(future)

    def _finish(self, future: Any) -> None:
        """Keep the answer of a batch, note its error, or send it again."""
        job = self._under_way.pop(future, None)
        if job is None:
            return
        try:
            result = future.result(timeout=self._cluster.patience)
        except _TROUBLE as error:
            self._again(job, error) if future.status != "error" else self._fail(job, self._broken(job, error))
        except Exception as error:
            if type(error).__name__ == "KilledWorker":
                self._again(job, error)
            else:
                self._fail(job, self._broken(job, error))
        else:
            self._judge(job, result)

    def _judge(self, job: _Job, result: WorkerFound | UnseenFile | WorkerRefused) -> None:
        if isinstance(result, UnseenFile):
            self._cluster.images.by_bytes = True
            self._submit(job)
        elif isinstance(result, WorkerRefused):
            kind = getattr(errors, result.kind, DetectorError)
            self._fail(job, kind(result.text))
        else:
            job.answer, job.images = self._answer(job, result), []
            self._arrived(job.work, job.answer)

    def _answer(self, job: _Job, result: WorkerFound) -> ClusterAnswer:
        for name, kind, detail in result.noted:
            file = None if job.batch is None else file_read(job.batch.samples[name])
            if file is not None and file.note is not None:
                file.note(kind, detail)
        return ClusterAnswer(unpack(result.packed), result.seconds)

    def _again(self, job: _Job, error: BaseException) -> None:
        """Send a batch again whose workers, or whose scheduler, went away."""
        job.tries += 1
        is_deadly = type(error).__name__ == "KilledWorker"
        if job.tries > (1 if is_deadly else BATCH_TRIES):
            why = "every worker that took it died (out of memory?)" if is_deadly else f"{type(error).__name__}: {error}"
            self._fail(job, ClusterError(f"the cluster {self._cluster.name} did not answer {job.labels}: {why}"))
        else:
            self._unsent.append(job)

    def _broken(self, job: _Job, error: BaseException) -> ClusterError:
        return ClusterError(
            f"a worker of the cluster {self._cluster.name} failed on {job.labels}: {type(error).__name__}: {error}"
        )

    def _fail(self, job: _Job, error: CropdetError) -> None:
        job.error, self._failed = error, True


def on_cluster(detector: DetectorHandle, client: Any) -> DetectorHandle:
    """Return a detector whose batches run on the cluster of a Dask client; itself without one."""
    if client is None:
        return detector
    if not (hasattr(client, "submit") and hasattr(client, "nthreads")) or getattr(client, "asynchronous", False):
        raise SpecError(
            f"client must be a dask.distributed.Client that is not asynchronous, not {type(client).__name__}; for an "
            "address write client=Client('tcp://SCHEDULER:8786')"
        )
    there = copy.copy(detector)
    there.cluster = Cluster(client)
    return there
