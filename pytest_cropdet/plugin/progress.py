"""How far a run is: one line that overwrites itself on a terminal, a line each 30 s elsewhere, else nothing."""

import time
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

import pytest

from pytest_cropdet.gate import Event
from pytest_cropdet.inference import Advanced, Started, duration_text, estimate_seconds
from pytest_cropdet.terms import one_line

__all__ = ["Progress"]

EVERY = 30.0  # seconds between lines where no line can be overwritten
LONG = 20.0  # seconds from which an estimate is worth a line of its own
REPAINT = 0.2  # seconds at the least between two states of the line
SOON = 1.0  # seconds a run may take before a line appears on a terminal


class Progress:
    """Shows the events of one run on pytest's terminal."""

    def __init__(self, reporter: pytest.TerminalReporter | None, overwrite: bool, capture: Any) -> None:
        self._reporter = reporter
        self._overwrite = overwrite
        self._capture = capture
        self._begun = self._last = time.monotonic()
        self._started: Started | None = None
        self._advanced: Advanced | None = None
        self._goes_on = "they are stored, and the next run goes on from there"
        self._estimated = False
        self._dirty = False
        self._painted = 0.0

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
                self._erase(self._reporter)
        if kind is not None and issubclass(kind, KeyboardInterrupt) and self._advanced is not None:
            self.note(f"stopped after {self._advanced.done} of {self._advanced.calls} detector calls; {self._goes_on}")

    def show(self, event: Event) -> None:
        """Show one event."""
        if self._reporter is None:
            return
        if isinstance(event, Started):
            if event.note is not None:
                self.note(event.note)
            self._started, self._estimated = event, False
        elif isinstance(event, Advanced):
            self._advanced = event
            with self._uncaptured():
                self._advance(self._reporter, event)

    def keeps_nothing(self, why: str) -> None:
        """Say that detections are not kept."""
        self._goes_on = "they are lost"
        self.note(why)

    def note(self, text: str) -> None:
        """Show a line that the user should know of."""
        if self._reporter is not None:
            with self._uncaptured():
                self._line(self._reporter, f"cropdet: {text}")

    def _uncaptured(self) -> AbstractContextManager[None]:
        return nullcontext() if self._capture is None else self._capture.global_and_fixture_disabled()

    def _advance(self, reporter: pytest.TerminalReporter, event: Advanced) -> None:
        now, left = time.monotonic(), estimate_seconds(event)
        if not self._estimated and event.done >= min(8, event.calls):
            self._estimated = True
            if left > LONG and self._started is not None:
                begun, each = self._started, event.model_seconds / event.done
                calls = f"{begun.calls} detector calls: about {duration_text(left)} at {each:.3f} s per call"
                if begun.task == "explain":
                    self._line(
                        reporter, f"cropdet: to find the causes, {calls} (--cropdet-explain off leaves that out)"
                    )
                elif begun.task == "old":
                    self._line(reporter, f"cropdet: the old model on the same crops, {calls}")
                elif begun.task == "try":
                    self._line(reporter, f"cropdet: to try measures at inference, {calls}")
                else:
                    by_id = "; categories are paired by id" if begun.paired_by == "id" else ""
                    self._line(reporter, f"cropdet: {begun.crops} crops of {begun.images} images, {calls}{by_id}")
        share = 100 * event.done // max(1, event.calls)
        text = f"cropdet: {share}%, {event.done} of {event.calls} detector calls, {duration_text(left)} left"
        if self._overwrite and now - self._begun >= SOON:
            if self._dirty and now - self._painted < REPAINT and event.done < event.calls:
                return
            self._painted = now
            if not self._dirty:
                reporter.ensure_newline()
                self._dirty = True
            reporter.rewrite(text[: _width(reporter)], erase=True)
        elif not self._overwrite and now - self._last >= EVERY:
            self._last = now
            self._line(reporter, text)

    def _line(self, reporter: pytest.TerminalReporter, text: str) -> None:
        if self._dirty:
            self._erase(reporter)
        reporter.ensure_newline()
        reporter.write_line(one_line(text))

    def _erase(self, reporter: pytest.TerminalReporter) -> None:
        """Leave an empty line with the cursor at its start, where pytest goes on."""
        reporter.rewrite("", erase=True)
        reporter.rewrite("")
        self._dirty = False


def _width(reporter: pytest.TerminalReporter) -> int | None:
    """Return how many letters a line that overwrites itself may have, ``None`` where that is not known."""
    writer = getattr(reporter, "_tw", None)
    return None if writer is None else max(20, writer.fullwidth - 1)
