"""How far a run is: one line that overwrites itself on a terminal, a line each 30 s elsewhere, else nothing."""

import time
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

import pytest

from pytest_cropdet.runner import Advanced, Event, Started, estimate_seconds

__all__ = ["Progress"]

EVERY = 30.0  # seconds between lines where no line can be overwritten
LONG = 20.0  # seconds from which an estimate is worth a line of its own


class Progress:
    """Shows the events of one run on pytest's terminal."""

    def __init__(self, reporter: pytest.TerminalReporter | None, overwrite: bool, capture: Any) -> None:
        self._reporter = reporter
        self._overwrite = overwrite
        self._capture = capture
        self._last = time.monotonic()
        self._estimated = False
        self._dirty = False

    @classmethod
    def on(cls, config: pytest.Config) -> "Progress":
        """Return the progress for a session: silent with ``-q`` and on workers."""
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        silent = reporter is None or reporter.verbosity < 0 or hasattr(config, "workerinput")
        capture = config.pluginmanager.get_plugin("capturemanager")
        return cls(None if silent else reporter, bool(reporter and reporter.isatty), capture)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reporter is not None and self._dirty:
            with self._uncaptured():
                self._reporter.rewrite("", erase=True)

    def show(self, event: Event) -> None:
        """Show one event."""
        if self._reporter is None:
            return
        with self._uncaptured():
            if isinstance(event, Started):
                self._line(f"cropdet: {event.crops} crops of {event.images} images, {event.calls} detector calls")
            elif isinstance(event, Advanced):
                self._advance(event)

    def _uncaptured(self) -> AbstractContextManager[None]:
        return nullcontext() if self._capture is None else self._capture.global_and_fixture_disabled()

    def _advance(self, event: Advanced) -> None:
        left = estimate_seconds(event)
        if not self._estimated and event.done >= min(8, event.calls):
            self._estimated = True
            if left > LONG:
                self._line(f"cropdet: about {_duration(left)} at {event.model_seconds / event.done:.3f} s a call")
        text = f"cropdet: {event.done} of {event.calls} detector calls, {_duration(left)} left"
        if self._overwrite and self._reporter is not None:
            self._reporter.rewrite(text, erase=True)
            self._dirty = True
        elif time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            self._line(text)

    def _line(self, text: str) -> None:
        if self._reporter is not None:
            if self._dirty:
                self._reporter.rewrite("", erase=True)
                self._dirty = False
            self._reporter.ensure_newline()
            self._reporter.write_line(text)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
