"""Detectors that end the process, skip the test, fork, flood, or hang: each call ends in an answer or in an error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from pytest_cropdet import Sliced
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.detectors import as_handle
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import DetectorHandle
from pytest_cropdet.detectors.one_call import LEFT_BEHIND, MOST_OF_ONE_IMAGE
from pytest_cropdet.detectors.time_limit import TimeLimit
from pytest_cropdet.errors import DetectorError, DetectorTimeoutError
from tests.painted import find, paint

IMAGE = paint(40, 30, {1: (3, 4, 20, 25)})
NAMES = ["a.png", "b.png", "c.png"]
posix = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that interrupt")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


def finds_all(images):
    return [find(image) for image in images]


def asked(detector, names=("a.png",)):
    """What a detector answers to a batch of equal images."""
    handle = detector if isinstance(detector, DetectorHandle) else as_handle(detector)
    handle.adapter.batch = max(handle.adapter.batch, len(names))
    return handle.detect([handle.adapter.prepare(IMAGE)] * len(names), list(names))


def acting(action):
    """A detector that does something before it answers."""

    def acts(images):
        action()
        return finds_all(images)

    return acts


# What ends a test or a process


@pytest.mark.parametrize(
    ("action", "sentence"),
    [
        (lambda: sys.exit(3), "it called sys.exit(3); raise an error instead"),
        (sys.exit, "it called sys.exit(); raise"),
        (
            lambda: pytest.skip("no GPU"),
            "it called pytest.skip: no GPU. A gate without a result is not skipped; skip in",
        ),
        (lambda: pytest.xfail("known"), "it called pytest.xfail: known. A gate without a result is not skipped"),
        (lambda: pytest.fail("out of tea"), "Failed: out of tea"),
        (lambda: pytest.exit("enough"), "Exit: enough"),
    ],
)
def test_whatever_ends_a_test_or_the_process_is_an_error_of_this_call(action, sentence):
    with pytest.raises(DetectorError) as caught:
        asked(acting(action))
    assert str(caught.value).startswith("acts failed on a.png: ")
    assert sentence in str(caught.value)


def test_control_c_stays_control_c():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asked(acting(interrupt))


def test_an_error_names_every_image_of_its_batch_and_how_to_find_the_one():
    def raises(images):
        raise RuntimeError("out of tea")

    with pytest.raises(DetectorError) as caught:
        asked(raises, NAMES)
    assert str(caught.value) == (
        "raises failed on a.png, b.png, c.png: RuntimeError: out of tea\n"
        "  To find which of these images it is: --cropdet-detector batch=1"
    )
    with pytest.raises(DetectorError, match=r"raises failed on a\.png: RuntimeError: out of tea$"):
        asked(raises)


def test_an_answer_that_cannot_be_names_its_own_image_alone():
    good, bad = finds_all([IMAGE])[0], ([[5, 5, 9, 9]], [0.5], [1.7])
    with pytest.raises(DetectorError) as caught:
        asked(lambda images: [good, bad, good], NAMES)
    assert str(caught.value) == (
        "<lambda> failed on b.png: ValueError: categories: row 0 is 1.7, which is no whole number"
    )
    with pytest.raises(DetectorError, match=r"^<lambda>, c\.png: must return Detections for each image, not str"):
        asked(lambda images: [good, good, "nothing"], NAMES)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [((1, 5, 6), "and answered 1; if it takes one"), ((3, 5, 6), "must return Detections for each image, not ndarray")],
)
def test_one_array_for_all_images_is_refused_whatever_its_length(shape, sentence):
    with pytest.raises(DetectorError, match=sentence):
        asked(lambda images: np.zeros(shape), NAMES)


# A flood of rows


def flood(rows):
    return Detections(np.tile([0.0, 0, 9, 9], (rows, 1)), np.full(rows, 0.5), np.ones(rows))


def test_as_many_rows_as_a_network_can_have_are_read_and_more_are_refused():
    found = asked(lambda images: [flood(MOST_OF_ONE_IMAGE)])
    assert len(found[0]) == MOST_OF_ONE_IMAGE
    with pytest.raises(DetectorError, match=r"returned 50,001 detections in b\.png; at most 50,000 per image are read"):
        asked(lambda images: [flood(1), flood(MOST_OF_ONE_IMAGE + 1), flood(1)], NAMES)


# Forks

FORKS = """
import os, sys
import numpy as np
from pytest_cropdet import Detections
from pytest_cropdet.detectors import as_handle
children = []
def forks(images):
    child = os.fork()
    children.append(child)
    if child == 0 and sys.argv[1] == "raises":
        raise RuntimeError("in the child")
    return [Detections.empty() for _ in images]
found = as_handle(forks)([np.zeros((9, 9, 3), np.uint8)])
print(len(found), os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]), flush=True)
"""


@forks
@pytest.mark.subprocess
@pytest.mark.parametrize("how", ["returns", "raises"])
def test_a_child_process_that_a_detector_forgets_does_not_go_on_with_the_session(how):
    done = subprocess.run([sys.executable, "-c", FORKS, how], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == f"1 {LEFT_BEHIND}\n", done.stderr


# Calls that take too long


def limited(detector, seconds=0.2):
    handle = detector if isinstance(detector, DetectorHandle) else as_handle(detector)
    handle.time_allowed = lambda: seconds
    return handle


def model(detect):
    """A handle on what is no function of the user's own: it may run in any thread."""
    adapter = SimpleNamespace(
        batch=8,
        fixed_input=False,
        categories=None,
        max_detections=None,
        description=Description(),
        input_shape=lambda width, height: (height, width),
        prepare=lambda image: image,
        detect=detect,
    )
    return DetectorHandle("tflite:model", lambda: adapter, Description())


def spin():
    while True:
        pass


def stubborn():
    """Go on after the first exception, whatever it is."""
    try:
        time.sleep(60)
    except BaseException:
        time.sleep(60)


def indulgent():
    while True:
        try:
            time.sleep(60)
        except Exception:
            continue


def locked():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


WAITS = {"sleep": lambda: time.sleep(60), "loop": spin, "lock": locked, "catches": indulgent, "stubborn": stubborn}


@posix
@pytest.mark.parametrize("way", WAITS)
def test_a_function_that_takes_too_long_is_interrupted_and_the_images_are_named(way):
    calls = []

    def once():
        calls.append(threading.get_ident())
        if len(calls) == 1:
            WAITS[way]()

    handle = limited(acting(once))
    with pytest.raises(DetectorTimeoutError) as caught:
        asked(handle, NAMES)
    assert str(caught.value).startswith(
        "acts, a.png, b.png, c.png: no answer within 0.2 s (--cropdet-timeout); it was at test_misbehaving.py:"
    )
    assert caught.value.__cause__ is None
    assert len(asked(handle, NAMES)) == 3
    assert calls == [threading.get_ident()] * 2


@posix
def test_a_function_that_is_in_time_stays_where_it_was_and_leaves_no_timer():
    before, seen = signal.getsignal(signal.SIGALRM), []
    assert len(asked(limited(acting(lambda: seen.append(threading.get_ident())), 30))) == 1
    assert seen == [threading.get_ident()]
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@posix
@pytest.mark.parametrize(("others", "own", "kind"), [(0.1, 60, OSError), (60, 0.1, DetectorTimeoutError)])
def test_another_timer_stays_and_the_earlier_one_counts(others, own, kind):
    def ring(number, frame):
        raise OSError("time is up for another reason")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, others)
        with pytest.raises(DetectorError) as caught:
            asked(limited(acting(lambda: time.sleep(60)), own))
        assert isinstance(caught.value, DetectorTimeoutError) == (kind is DetectorTimeoutError)
        assert signal.getsignal(signal.SIGALRM) is ring
        if others > own:
            assert 30 < signal.getitimer(signal.ITIMER_REAL)[0] <= others
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("where", ["a model's call", "another thread"])
def test_what_cannot_be_interrupted_is_left_behind_and_not_called_again_before_it_has_ended(where):
    back, calls = threading.Event(), []

    def waits(images):
        calls.append(len(images))
        if len(calls) == 1:
            while not back.is_set():  # in native code, as it were
                try:
                    back.wait()
                except BaseException:
                    continue
        return [find(IMAGE) for _ in images]

    handle = limited(model(waits) if where == "a model's call" else waits)
    ask = asked if where == "a model's call" else in_a_thread
    with pytest.raises(DetectorTimeoutError, match=r"a\.png: no answer within 0\.2 s .* in (waits|wait)\. A"):
        ask(handle)
    with pytest.raises(
        DetectorTimeoutError, match=r"a\.png: it is not called, because an earlier call, which was over"
    ):
        ask(handle)
    assert len(calls) == 1
    back.set()
    for thread in threading.enumerate():
        if thread.name == "cropdet-limited":
            thread.join(30)
    assert len(ask(handle)) == 1
    assert len(calls) == 2


def in_a_thread(handle):
    """What a detector answers, or raises, in another thread than the main one."""
    answers = []

    def work():
        try:
            answers.append(asked(handle))
        except DetectorError as error:
            answers.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    if isinstance(answers[0], DetectorError):
        raise answers[0]
    return answers[0]


def test_python_code_of_a_model_is_ended_so_that_it_can_be_called_again():
    calls = []

    def spins(images):
        calls.append(len(images))
        if len(calls) == 1:
            spin()
        return [find(IMAGE) for _ in images]

    handle = limited(model(spins))
    with pytest.raises(DetectorTimeoutError, match="in spin"):
        asked(handle)
    assert len(asked(handle)) == 1


def test_an_error_in_the_thread_of_a_model_is_its_own():
    def raises(images):
        raise RuntimeError("out of tea")

    with pytest.raises(DetectorError, match=r"tflite:model failed on a\.png: RuntimeError: out of tea"):
        asked(limited(model(raises), 60))


@posix
def test_of_a_sliced_detector_the_calls_on_tiles_are_limited_and_the_tile_is_named():
    def slow_in_a_tile(images):
        if images[0].shape[1] == 20:
            time.sleep(60)
        return finds_all(images)

    sliced = limited(Sliced(slow_in_a_tile, size=20, overlap=0))
    with pytest.raises(DetectorTimeoutError, match=r"a\.png: slow_in_a_tile, Crop\(left=0, top=0, .*\): no answer"):
        asked(sliced)
    assert sliced.inner.seconds_allowed() == sliced.seconds_allowed() == 0.2


def test_without_a_limit_no_thread_and_no_timer_is_started(monkeypatch):
    def refused(*args, **kwargs):
        raise AssertionError("nothing is limited")

    monkeypatch.setattr(threading, "Thread", refused)
    assert len(asked(model(lambda images: [find(IMAGE)]))) == 1
    assert len(asked(finds_all)) == 1


def test_a_call_that_is_left_behind_is_not_forgotten_when_another_one_ends():
    limit, hangs, gate = TimeLimit(), threading.Event(), threading.Event()

    def waits():
        while not hangs.is_set():  # it catches what would end it
            try:
                hangs.wait(0.05)
            except BaseException:
                continue

    def first():
        with pytest.raises(DetectorTimeoutError):
            limit.run(waits, 0.2, False)
        gate.set()

    thread = threading.Thread(target=first)
    thread.start()
    assert limit.run(lambda: gate.wait(10), 20, False)  # begins before, ends after the other was left behind
    thread.join()
    with pytest.raises(DetectorTimeoutError, match="an earlier call"):
        limit.run(lambda: 1, 5, False)
    hangs.set()
    for _ in range(100):
        time.sleep(0.05)
        if not any(each.name == "cropdet-limited" for each in threading.enumerate()):
            break
    assert limit.run(lambda: 1, 5, False) == 1
