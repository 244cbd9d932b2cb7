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
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pytest_cropdet.detectors.adapters import import_adapter
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import Memory, fingerprint_of_files
from pytest_cropdet.detectors.open_conventions import load_described, read_refusal, write_refusal
from pytest_cropdet.errors import DetectorError

__all__ = ["SWITCH", "limit_memory", "try_out"]

SWITCH = "CROPDET_PROBE"  # the environment variable that switches it off
SECONDS = 600.0
PROBED_RUNTIMES = ("tensorflow", "ai-edge-litert")
LOADED, REFUSED, FAILED = "cropdet: loaded ", "cropdet: refused ", "cropdet: failed "  # what the process reports
SIGNAL_TEXTS = {"SIGSEGV": "a segmentation fault (SIGSEGV)", "SIGKILL": "SIGKILL, as where memory ran out"}
HEADROOM = 4 << 30  # bytes that are counted as a process's data but rarely used: stacks of threads
OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "ResourceExhausted", "OOM", "memory")
MODEL_DAMAGED = (
    "the model is damaged (a download that was cut off?) or does not fit this runtime: fetch or export it again"
)
START = "import sys; sys.path[:0] = {path!r}; from pytest_cropdet.detectors.probe import main; main()"

known_as_good: set[str] = set()  # contents, in this process


def try_out(kind: str, path: Path, files: Sequence[Path], description: Description, memory: Memory | None) -> None:
    """Load the model in ``path`` and call it once in a process of its own, unless its content is known as good.

    ``files``: all that it consists of. ``DetectorError`` says how that process ended, if it did not end well, or what
    it refused. An error of the runtime is left to whoever loads the model here, where more may be registered.
    """
    if os.environ.get(SWITCH, "").lower() in ("off", "0", "no"):
        return
    runtimes = ("onnxruntime",) if kind == "onnx" else PROBED_RUNTIMES
    root = path if path.is_dir() else path.parent
    name = f"model {fingerprint_of_files(root, files, kind, *map(_version, runtimes))}"
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
    known = {key: value for key, value in description.known().items() if key != "provider"}  # it has no GPU
    task = json.dumps({"kind": kind, "path": str(path), "description": known})
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
    reports = (LOADED, REFUSED, FAILED)
    last = next((line for line in reversed(done.stdout.splitlines()) if line.startswith(reports)), "")
    if last.startswith(LOADED):
        return True
    if last.startswith(REFUSED):
        raise read_refusal(json.loads(last.removeprefix(REFUSED)))
    if last:
        reason = json.loads(last.removeprefix(FAILED))
        if any(word in reason for word in OUT_OF_MEMORY):
            raise DetectorError(f"{path} cannot be used: loading and calling it once needs too much memory: {reason}")
        return False
    how = _ending(done.returncode)
    if how is None:
        return False
    said = [line.strip() for line in done.stderr.splitlines() if "Check failed" in line or "terminate called" in line]
    more = f": {said[-1][:300]}" if said else ""
    raise DetectorError(f"{path} cannot be used: loading and calling it once ended in {how}{more}; {MODEL_DAMAGED}")


def _ending(code: int) -> str | None:
    """Return how a process died; ``None`` if it ended by itself.

    >>> _ending(-6), _ending(134), _ending(1)
    ('SIGABRT', 'SIGABRT', None)
    """
    if code >= 0xC0000000:  # an exception on Windows
        return f"exit code {code:#x}"
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name if number > 0 else None
        return None if name is None else SIGNAL_TEXTS.get(name, name)
    except ValueError:
        return None


def main() -> None:
    """Do what standard input says, and report it in one line; the process of :func:`try_out`."""
    limit_memory()
    task = json.loads(sys.stdin.read())
    report: str = LOADED
    text: object = ""
    adapter, path = import_adapter(task["kind"]), Path(task["path"])
    try:
        load_described(lambda known: adapter.load(path, known), Description.of(**task["description"]))
    except Exception as error:
        report, text = (REFUSED, write_refusal(error)) if _is_ours(error) else (FAILED, str(error))
    sys.stdout.write(f"\n{report}{json.dumps(text)}\n")
    sys.stdout.flush()
    os._exit(0)  # what happens while a runtime is taken down is not the model's fault


def _is_ours(error: BaseException) -> bool:
    """Return whether an error is a refusal by this package, with no error of a runtime or a library behind it."""
    behind = error.__cause__ or error.__context__
    return isinstance(error, DetectorError) and (behind is None or _is_ours(behind))


def limit_memory() -> None:
    """Let this process fail, or be the one that is ended, before the machine runs out of memory (Linux)."""
    with suppress(ImportError, OSError, ValueError, StopIteration):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
        import resource

        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
        resource.setrlimit(resource.RLIMIT_DATA, (available + HEADROOM, available + HEADROOM))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
