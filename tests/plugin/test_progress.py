"""A long run shows how far it is: one line that overwrites itself, or a line each 30 s, or nothing."""

import os
import pty
import subprocess
import sys

import pytest

from pytest_cropdet.inference.progress import Advanced, Started
from pytest_cropdet.plugin import progress
from pytest_cropdet.plugin.progress import Progress


class Reporter:
    """Records what would be written, line by line; ``\\r`` stands before what overwrites a line."""

    def __init__(self):
        self.written = []

    def write_line(self, text):
        self.written.append(text)

    def rewrite(self, text, erase=False):
        self.written.append(f"\r{text}")

    def ensure_newline(self):
        pass


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def drive(clock, overwrite, seconds_a_call, calls=200, task="run", **more):
    """Run ``calls`` calls of a detector and return what was shown."""
    reporter = Reporter()
    with Progress(reporter, overwrite, None) as shown:
        shown.show(Started(images=40, crops=calls - 40, calls=calls, task=task, **more))
        for done in range(1, calls + 1):
            clock.now += seconds_a_call
            shown.show(Advanced(done, calls, done * seconds_a_call))
    return reporter.written


def test_where_no_line_can_be_overwritten_there_is_one_each_30_s_after_an_estimate(clock):
    assert drive(clock, overwrite=False, seconds_a_call=0.5) == [
        "cropdet: 160 crops of 40 images, 200 detector calls: about 2 min at 0.500 s per call",
        "cropdet: 30%, 60 of 200 detector calls, 1 min left",
        "cropdet: 60%, 120 of 200 detector calls, 40 s left",
        "cropdet: 90%, 180 of 200 detector calls, 10 s left",
    ]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"paired_by": "id"}, "160 crops of 40 images, {}; categories are paired by id"),
        ({"paired_by": "name"}, "160 crops of 40 images, {}"),
        ({"task": "benchmark"}, "160 crops of 40 images, {}"),
        ({"task": "explain"}, "to find the causes, {} (--cropdet-explain off leaves that out)"),
        ({"task": "try"}, "to try measures at inference, {}"),
    ],
)
def test_the_estimate_says_what_the_calls_are_for(clock, more, line):
    first, *_ = drive(clock, overwrite=False, seconds_a_call=0.5, **more)
    assert first == "cropdet: " + line.format("200 detector calls: about 2 min at 0.500 s per call")


def test_what_the_user_should_read_first_stands_before_the_first_call_of_a_short_run_too(clock):
    assert drive(clock, overwrite=False, seconds_a_call=0.05, note="a benchmark begins") == [
        "cropdet: a benchmark begins"
    ]


def test_a_short_run_shows_nothing(clock):
    assert drive(clock, overwrite=False, seconds_a_call=0.05) == []
    assert drive(clock, overwrite=True, seconds_a_call=0.004) == []


def test_on_a_terminal_one_line_overwrites_itself_and_is_gone_at_the_end(clock):
    written = drive(clock, overwrite=True, seconds_a_call=0.0625)
    assert written[0] == "\rcropdet: 8%, 16 of 200 detector calls, 12 s left"
    assert written[-3:] == ["\rcropdet: 100%, 200 of 200 detector calls, 0 s left", "\r", "\r"]
    assert len(written) == 47 + 2  # each 0.2 s, at most


def in_a_terminal(project, *arguments):
    """Run pytest with a terminal as its standard output; return what it wrote there."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(project.path), os.environ.get("PYTHONPATH", "")]),
        "NO_COLOR": "1",
    }
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, cwd=project.path, env=environment)
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        written += part
    os.close(ours)
    assert process.wait() == 0
    return written.decode()


@pytest.mark.subprocess
def test_in_a_real_terminal(project):
    arguments = ["--pyargs", "pytest_cropdet.suite", "--cropdet-model=fakes:slow", f"--cropdet-data={project.data}"]
    written = in_a_terminal(project, *arguments, "--cropdet-crops=random:keep=0.7-0.9,per_image=1")
    assert "\rcropdet: " in written
    assert " of 120 detector calls, " in written
    lines = [line for line in written.split("\n") if not line.startswith("cropdet: data ")]  # of the header
    assert len(lines) <= 16
    quiet = in_a_terminal(project, *arguments, "--cropdet-crops=random:keep=0.7-0.9,per_image=1", "-q")
    assert "cropdet: " not in quiet


@pytest.mark.subprocess
def test_on_workers_there_is_none(project):
    result = project.gate("fakes:slow", workers=2)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*detector calls*")
