"""Work spread over threads whose results come in order, with few of them under way at a time."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any, TypeVar

__all__ = ["PER_WORKER", "run_in_order"]

PER_WORKER = 2  # tasks under way: one in hand, and the next

Part = TypeVar("Part")
Work = TypeVar("Work")
Result = TypeVar("Result")


def run_in_order(
    parts: Sequence[Part],
    open_part: Callable[[Part], Sequence[Work]],
    begin: Callable[[Work], Callable[[], Result] | None],
    abandon: Callable[[Work, Result | None], None],
    workers: int,
) -> Iterator[tuple[Work, Result | None]]:
    """Yield the tasks of all parts in order, each with its result.

    ``open_part`` runs in a thread and returns the tasks of a part. ``begin`` runs in the caller's thread and returns
    what a thread is to do for a task; ``None`` where there is nothing to do, and then the result is ``None``. An
    exception is raised in the place of its task. Whatever ends the iteration, no thread goes on, and ``abandon`` gets
    the tasks that were begun and not handed out, with the results of those that are done.
    """
    rest = iter(parts)
    opening: deque[Future[Sequence[Work]]] = deque()
    waiting: deque[Work] = deque()
    begun: deque[tuple[Work, Future[Result] | None]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="cropdet-worker")
    try:
        opening.extend(pool.submit(open_part, part) for part in islice(rest, 1))
        while True:
            while len(begun) < PER_WORKER * workers and (waiting or opening):
                if waiting:
                    job = begin(waiting[0])
                    begun.append((waiting.popleft(), None if job is None else pool.submit(job)))
                elif begun and not _is_open(opening[0]):
                    first = begun[0][1]
                    if first is None or first.done() or opening[0].done():
                        break  # what was begun is handed out meanwhile, and before the exception of a part
                    either: list[Future[Any]] = [first, opening[0]]
                    wait(either, return_when=FIRST_COMPLETED)
                else:
                    waiting.extend(opening.popleft().result())
                    ahead = min(workers, 1 + PER_WORKER * workers // max(1, len(waiting)))
                    opening.extend(pool.submit(open_part, part) for part in islice(rest, ahead - len(opening)))
            if not begun:
                return
            work, future = begun[0]
            result = None if future is None else future.result()
            begun.popleft()
            yield work, result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for work, future in begun:
            if future is not None:
                is_done = not future.cancelled() and future.exception() is None
                abandon(work, future.result() if is_done else None)


def _is_open(part: Future[Sequence[Work]]) -> bool:
    return part.done() and part.exception() is None
