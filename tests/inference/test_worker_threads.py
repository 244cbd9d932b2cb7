"""Work over threads: results in order, few under way, and nothing goes on once the iteration ends."""

from __future__ import annotations

import threading
import time

import pytest

from pytest_cropdet.inference.worker_threads import PER_WORKER, run_in_order

SOON = 20.0  # seconds within which threads that wait for one another have met


class Work:
    """Tasks of parts, which notes what happens to them; ``do`` is what a thread does for a number."""

    def __init__(self, do=lambda number: number * 10, known=()):
        self.do, self.known = do, known
        self.opened, self.begun, self.done, self.abandoned = [], [], [], []
        self.threads = set()

    def open_part(self, part):
        self.opened.append(part)
        if part is None:
            raise OSError("no such part")
        return part

    def begin(self, number):
        assert threading.current_thread() is threading.main_thread()
        self.begun.append(number)
        return None if number in self.known else lambda: self.job(number)

    def job(self, number):
        self.threads.add(threading.current_thread().name)
        result = self.do(number)
        self.done.append(number)
        return result

    def abandon(self, number, result):
        assert threading.current_thread() is threading.main_thread()
        self.abandoned.append((number, result))

    def run(self, parts, workers):
        return run_in_order(parts, self.open_part, self.begin, self.abandon, workers)


PARTS = [[0, 1, 2], [], [3], [4, 5, 6, 7, 8], [9]]


def threads_left():
    return [each.name for each in threading.enumerate() if each.name.startswith("cropdet-worker")]


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_results_come_in_the_order_of_the_parts_whatever_is_done_first(workers):
    work = Work(lambda number: time.sleep(0.01 * (number % 3 == 0)) or number * 10)
    assert list(work.run(PARTS, workers)) == [(number, number * 10) for number in range(10)]
    assert work.begun == [*range(10)]
    assert len(work.threads) <= workers
    assert (work.abandoned, threads_left()) == ([], [])


def test_tasks_with_nothing_to_do_keep_their_place():
    work = Work(known=(0, 4, 9))
    wanted = [(number, None if number in (0, 4, 9) else number * 10) for number in range(10)]
    assert list(work.run(PARTS, 2)) == wanted
    assert sorted(work.done) == [1, 2, 3, 5, 6, 7, 8]


def test_as_many_threads_as_workers_are_at_work_at_once():
    """They meet at a barrier, which fewer threads would never pass."""
    barrier = threading.Barrier(3)
    work = Work(lambda number: barrier.wait(SOON) and number)
    assert [number for number, _ in work.run([[0, 1, 2, 3, 4, 5]], 3)] == [*range(6)]


def test_a_slow_task_does_not_keep_the_next_part_from_being_begun():
    """The first task waits for those of the parts after it, each of which is opened only while it runs."""
    barrier = threading.Barrier(3)
    work = Work(lambda number: barrier.wait(SOON) and number)
    opened = work.open_part
    work.open_part = lambda part: time.sleep(0.02) or opened(part)
    assert [number for number, _ in work.run([[0], [1], [2]], 3)] == [0, 1, 2]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 2, 40])
def test_no_more_than_two_tasks_a_worker_are_begun_and_not_handed_out(workers, size):
    numbers = [*range(40)]
    work = Work()
    for out, _ in enumerate(work.run([numbers[at : at + size] for at in range(0, 40, size)], workers)):
        time.sleep(0.001)
        assert len(work.begun) - out <= PER_WORKER * workers
        opened = sum(len(each) for each in work.opened)
        assert opened - len(work.begun) <= (workers + 1) * size
    assert len(work.begun) == 40


def fail_at(bad):
    def do(number):
        if number == bad:
            raise ValueError(f"task {number}")
        return number

    return do


def test_an_exception_comes_in_the_place_of_its_task_and_nothing_is_begun_after_it():
    work = Work(fail_at(3))
    seen = []
    with pytest.raises(ValueError, match="task 3"):
        seen.extend(number for number, _ in work.run([[*range(100)]], 2))
    assert seen == [0, 1, 2]
    assert len(work.begun) <= 3 + 2 * PER_WORKER
    assert (3, None) in work.abandoned
    assert sorted([*seen, *(number for number, _ in work.abandoned)]) == work.begun
    assert threads_left() == []


def test_a_part_that_cannot_be_opened_comes_after_the_tasks_before_it():
    work = Work(lambda number: time.sleep(0.02) or number)
    seen = []
    with pytest.raises(OSError, match="no such part"):
        seen.extend(number for number, _ in work.run([[0, 1], [2], None, [3]], 2))
    assert seen == [0, 1, 2]
    assert threads_left() == []


def test_when_the_iteration_ends_early_the_results_that_are_there_are_handed_to_abandon():
    ready = threading.Event()

    def do(number):
        if number == 2:
            ready.set()
        return number * 10

    work = Work(do)
    pairs = work.run([[*range(100)]], 1)
    assert next(pairs) == (0, 0)
    assert next(pairs) == (1, 10)
    assert ready.wait(SOON)
    pairs.close()
    assert work.abandoned[0] == (2, 20)
    assert all(result in (None, number * 10) for number, result in work.abandoned)
    assert threads_left() == []


def test_an_interrupt_waits_for_the_calls_in_hand_alone():
    """Those that wait for a thread are never done."""
    release, both = threading.Event(), threading.Barrier(3)

    def do(number):
        if number in (1, 2):
            both.wait(SOON)
            assert release.wait(SOON)
        return number

    work = Work(do)
    pairs = work.run([[*range(100)]], 2)
    next(pairs)
    both.wait(SOON)
    threading.Timer(0.1, release.set).start()
    with pytest.raises(KeyboardInterrupt):
        pairs.throw(KeyboardInterrupt)
    assert sorted(work.done) == [0, 1, 2]
    assert work.begun == [0, 1, 2, 3]
    assert work.abandoned == [(1, 1), (2, 2), (3, None)]
    assert threads_left() == []
