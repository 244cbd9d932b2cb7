"""The process's standard error, taken for the moment in which native code may write to it."""

import os
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import IO, TypeVar

__all__ = ["STANDARD_ERROR_LOCK", "listen"]

T = TypeVar("T")

STANDARD_ERROR_LOCK = threading.RLock()  # whoever puts something in the place of file descriptor 2 does so alone


def listen(function: Callable[[], T], mine: Callable[[bytes], bool]) -> tuple[T, list[str]]:
    """Return what ``function`` returns, and the lines that native code wrote to standard error meanwhile.

    Lines that are not ``mine``, such as those of other threads, are let through. Where standard error cannot be taken,
    there are no lines.
    """
    with STANDARD_ERROR_LOCK:
        try:
            kept = os.dup(2)
        except OSError:  # no standard error at all
            return function(), []
        with ExitStack() as stack:
            stack.callback(os.close, kept)
            try:
                stream = stack.enter_context(tempfile.TemporaryFile(buffering=0))
            except OSError:  # no place for temporary files
                return function(), []
            return _listen(function, mine, kept, stream)


def _listen(
    function: Callable[[], T], mine: Callable[[bytes], bool], kept: int, stream: IO[bytes]
) -> tuple[T, list[str]]:
    os.dup2(stream.fileno(), 2)
    try:
        result = function()
    finally:
        ours, now = os.fstat(stream.fileno()), os.fstat(2)
        if (ours.st_dev, ours.st_ino) == (now.st_dev, now.st_ino):  # else pytest has put its own there
            os.dup2(kept, 2)
    if ours.st_size == 0:
        return result, []
    stream.seek(0)
    lines = stream.read().splitlines(keepends=True)
    others = b"".join(line for line in lines if not mine(line))
    if others:
        os.write(2, others)
    return result, [line.decode("utf-8", "replace").strip() for line in lines if mine(line)]
