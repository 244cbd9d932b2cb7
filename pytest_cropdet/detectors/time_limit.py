"""A limit on the seconds of each call of a detector.

Python cannot end code from outside, so there are two ways, and neither ends everything:

- A function of the user's own that is called in the main thread of a POSIX system stays there, because its libraries
  may be tied to the thread. A timer (``SIGALRM``) raises an exception in it, which ends Python code and whatever waits:
  ``sleep``, locks, sockets. Native code goes on until it returns to Python.
- Models in files, calls in other threads, and everything on Windows run in a thread that is waited for. When the time
  is up the caller goes on and the thread is left behind; Python code in it gets the same exception. It is a daemon, and
  the detector is not called again before it has ended.
"""

import contextvars
import ctypes
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from pytest_cropdet.errors import DetectorTimeoutError

__all__ = ["TimeLimit"]

RAISED_AGAIN = 1.0  # seconds after which code that has caught the exception gets it again
LONGEST_TIMER = 1e6  # seconds; timers take no infinity
GRACE = 1.0  # seconds that a thread has to end after the exception

Result = TypeVar("Result")


class _TimeIsUp(BaseException):
    """Raised in the detector's code; no ``except Exception`` catches it."""


class TimeLimit:
    """The limit of one detector's calls, and the calls that have not come back."""

    def __init__(self) -> None:
        self._left: tuple[threading.Thread, ...] = ()

    def run(self, call: Callable[[], Result], seconds: float | None, is_function: bool) -> Result:
        """Return what ``call`` does; ``DetectorTimeoutError`` after ``seconds``.

        ``is_function``: it is a user's own function, which stays in the main thread where that can be interrupted.
        """
        self._left = tuple(each for each in self._left if each.is_alive())
        if self._left:
            raise DetectorTimeoutError(
                f"it is not called, because an earlier call, which was over its time (--cropdet-timeout), still runs: "
                f"{_place_of(sys._current_frames().get(self._left[0].ident or 0))}"
            )
        if seconds is None:
            return call()
        seconds = min(seconds, LONGEST_TIMER)
        if is_function and hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread():
            return _interrupted(call, seconds)
        return self._waited_for(call, seconds)

    def _waited_for(self, call: Callable[[], Result], seconds: float) -> Result:
        """Return what ``call`` does in a thread of its own; leave it behind when the time is up."""
        answers: list[Result] = []
        errors: list[BaseException] = []

        def work() -> None:
            try:
                answers.append(call())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(
            target=contextvars.copy_context().run, args=(work,), name="cropdet-limited", daemon=True
        )
        thread.start()
        try:
            thread.join(seconds)
            if thread.is_alive():
                place = _place_of(sys._current_frames().get(thread.ident or 0))
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_TimeIsUp)
                )
                thread.join(GRACE)
                raise _too_long(seconds, place)
        finally:
            if thread.is_alive():
                self._left += (thread,)
        if errors:
            raise errors[0]
        return answers[0]


def _interrupted(call: Callable[[], Result], seconds: float) -> Result:
    """Return what ``call`` does here, in the main thread; a timer ends it."""
    begun, runs = time.monotonic(), True
    left, interval = signal.getitimer(signal.ITIMER_REAL)
    if 0 < left <= seconds:
        return call()  # another's timer, as of pytest-timeout, ends it sooner

    def expire(number: int, frame: FrameType | None) -> None:
        if runs:
            raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, expire)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, RAISED_AGAIN)
            return call()
        finally:
            runs = False
    except _TimeIsUp as error:
        runs = False
        raise _too_long(seconds, _place_of_error(error)) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(1e-3, left - (time.monotonic() - begun)), interval)


def _too_long(seconds: float, place: str) -> DetectorTimeoutError:
    return DetectorTimeoutError(
        f"no answer within {seconds:g} s (--cropdet-timeout); it was at {place}. A detector that is only slow needs a "
        "larger limit: the first call of each input size may compile"
    )


def _place_of_error(error: BaseException) -> str:
    return _listed(traceback.extract_tb(error.__traceback__))


def _place_of(frame: FrameType | None) -> str:
    return _listed(traceback.extract_stack(frame) if frame is not None else [])


def _listed(stack: Sequence[Any]) -> str:
    """Return the innermost line of code, the frames of this module left out."""
    frames = [each for each in stack if each.filename != __file__]
    if not frames:
        return "an unknown place"
    last = frames[-1]
    return f"{Path(last.filename).name}:{last.lineno} in {last.name}"
