"""Cores: how many this process may use, and how many calls of a detector run at once on them."""

import os
from pathlib import Path

from pytest_cropdet.detectors.description import Description

__all__ = ["available_cores", "calls_on", "threads_per_call", "workers_note"]

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def available_cores(groups: Path = CGROUPS, own: Path = OWN_GROUPS) -> int:
    """Return how many cores this process may use: by its affinity, and by the quota of its container."""
    affinity = getattr(os, "sched_getaffinity", None)  # which Linux has
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, min([cores, *_quotas(groups, own)]))


def _quotas(groups: Path, own: Path) -> list[int]:
    """Return the whole cores that control groups allow, of both versions, from the process's own group upwards."""
    try:
        lines = [line.split(":", 2) for line in own.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return []
    found = []
    for _, controllers, name in (line for line in lines if len(line) == 3):
        inside = Path(name.lstrip("/"))
        for part in (inside, *inside.parents):
            if not controllers:
                words = _read(groups / part / "cpu.max").split()
            elif "cpu" in controllers.split(","):
                folder = groups / "cpu" / part
                words = [*_read(folder / "cpu.cfs_quota_us").split(), *_read(folder / "cpu.cfs_period_us").split()]
            else:
                break
            if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
                found.append(int(words[0]) // int(words[1]))
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def threads_per_call(kind: str, description: Description) -> int | None:
    """Return how many threads one call takes; ``None`` where calls cannot run at once, or the runtime takes all cores.

    TFLite takes one unless ``threads`` is set. ONNX Runtime takes every core, unless ``threads`` is set or several
    workers of pytest-xdist share the machine.
    """
    if kind == "tflite":
        return description.threads or 1
    if kind == "onnx":
        return description.threads or (1 if _sharing_processes() > 1 else None)
    return None


def calls_on(threads: int | None, workers: int | None) -> int:
    """Return how many calls of ``threads`` threads run at once, at most ``workers`` (``None``: as many as fit).

    All of them together never have more threads than this process may use, or than its part where several workers of
    pytest-xdist share the machine.
    """
    if threads is None or workers == 1:
        return 1
    fit = max(1, available_cores() // _sharing_processes() // threads)
    return fit if workers is None else min(fit, workers)


def _sharing_processes() -> int:
    return max(1, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def workers_note(threads: int | None, workers: int | None) -> str | None:
    """Return why fewer than the ``workers`` that the user set run at once, ``None`` where as many do."""
    calls = calls_on(threads, workers)
    if workers is None or workers <= calls:
        return None
    if threads is None:
        return (
            f"--cropdet-workers={workers}: one call at a time, as for every detector but TFLite files, and ONNX files "
            "with --cropdet-detector=threads=1"
        )
    cores = max(1, available_cores() // _sharing_processes())
    return f"--cropdet-workers={workers}: {calls} at once, because there are {cores} cores and a call takes {threads}"
