"""A model file that is not yet known as good is loaded and called once in a process of its own first.

Runtimes answer a damaged file with a segmentation fault, or by filling the memory; that process then ends in place of
the user's. What went well is remembered by the content of the files, so that it happens once.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import Memory, fingerprint_of_files
from pytest_cropdet.errors import DetectorError

__all__ = ["SWITCH", "limit_memory", "try_out"]

SWITCH = "CROPDET_PROBE"  # the environment variable that switches it off
SECONDS = 600.0
RUNTIMES = ("tensorflow", "ai-edge-litert")
LOADED, FAILED = "cropdet: loaded", "cropdet: failed "  # what the process reports at its end
OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "ResourceExhausted", "OOM", "memory")
AGAIN = "the model is damaged (a download that was cut off?) or does not fit this runtime: fetch or export it again"
START = "import sys; sys.path[:0] = {path!r}; from pytest_cropdet.detectors.probe import main; main()"

known_as_good: set[str] = set()  # contents, in this process


def try_out(kind: str, path: Path, files: Sequence[Path], description: Description, memory: Memory | None) -> None:
    """Load the model in ``path`` and call it once in a process of its own, unless its content is known as good.

    ``files``: all that it consists of. ``DetectorError`` says how that process ended, if it did not end well; an error
    that it reports itself is left to whoever loads the model here.
    """
    if os.environ.get(SWITCH, "").lower() in ("off", "0", "no"):
        return
    name = f"model {fingerprint_of_files(path, files, kind, *map(_version, RUNTIMES))}"
    if name in known_as_good:
        return
    with _alone(name, memory) as known:
        if known or _went_well(kind, path, description):
            known_as_good.add(name)
            if memory is not None and not known:
                memory.remember(name, value=True)


@contextmanager
def _alone(name: str, memory: Memory | None) -> Iterator[bool]:
    """Wait until no other worker probes the same model; the value says whether it is known as good by then."""
    if memory is None:
        yield False
        return
    while not (known := memory.fact(name) is True) and not memory.claim(name):
        time.sleep(0.2)
    try:
        yield known
    finally:
        if not known:
            memory.release(name)


def _went_well(kind: str, path: Path, description: Description) -> bool:
    """Return whether the process loaded and called the model; ``False`` if it could not say so for another reason."""
    task = json.dumps({"kind": kind, "path": str(path.absolute()), "description": description.known()})
    environment = {**os.environ, SWITCH: "off", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONFAULTHANDLER": ""}
    command = [sys.executable, "-c", START.format(path=[str(Path(entry).absolute()) for entry in sys.path])]
    try:
        done = subprocess.run(  # noqa: S603 (this interpreter, and code of our own)
            command,
            check=False,
            input=task,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise DetectorError(
            f"{path} cannot be used: loading and calling it once took more than {SECONDS:.0f} s"
        ) from None
    except OSError:  # no process can be started here
        return False
    last = next((line for line in reversed(done.stdout.splitlines()) if line.startswith((LOADED, FAILED))), "")
    if last == LOADED:
        return True
    if last:
        reason = last.removeprefix(FAILED)
        if any(word in reason for word in OUT_OF_MEMORY):
            raise DetectorError(f"{path} cannot be used: loading and calling it once needs too much memory: {reason}")
        return False
    how = _ending(done.returncode)
    if how is None:
        return False
    said = [line.strip() for line in done.stderr.splitlines() if "Check failed" in line or "terminate called" in line]
    more = f": {said[-1][:300]}" if said else ""
    raise DetectorError(f"{path} cannot be used: loading and calling it once ended in {how}{more}; {AGAIN}")


def _ending(code: int) -> str | None:
    """Return how a process died; ``None`` if it ended by itself.

    >>> _ending(-11), _ending(139), _ending(1)
    ('SIGSEGV', 'SIGSEGV', None)
    """
    if code >= 0xC0000000:  # an exception on Windows
        return f"exit code {code:#x}"
    number = -code if code < 0 else code - 128
    try:
        return signal.Signals(number).name if number > 0 else None
    except ValueError:
        return None


def main() -> None:
    """Do what standard input says, and report it in one line; the process of :func:`try_out`."""
    limit_memory()
    task = json.loads(sys.stdin.read())
    report = LOADED
    try:
        module = import_module(f"pytest_cropdet.detectors.{task['kind']}")
        module.load(Path(task["path"]), Description.of(**task["description"]))
    except Exception as error:
        report = FAILED + f"{type(error).__name__}: {error}".replace("\n", " ")
    sys.stdout.write(f"\n{report}\n")
    sys.stdout.flush()
    os._exit(0)  # what happens while a runtime is taken down is not the model's fault


def limit_memory() -> None:
    """Let this process fail, or be the one that is ended, before the machine runs out of memory (Linux)."""
    with suppress(ImportError, OSError, ValueError, StopIteration):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
        import resource

        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
        resource.setrlimit(resource.RLIMIT_DATA, (available, available))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
