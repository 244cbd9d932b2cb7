"""Before a cluster runs a detector: how its workers make it, and whether each of them can."""

import os
import queue
import threading
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from pytest_cropdet.detectors import DetectorHandle, load_detector, read_sliced_spec
from pytest_cropdet.errors import ClusterError
from pytest_cropdet.inference.cluster_tasks import DetectorRecipe, examine_detector, own_versions

__all__ = ["check_in_time", "check_workers", "recipe_of"]

LARGEST_OBJECT = 1 << 20  # bytes of a pickled detector, which goes with every batch
SHOWN_WORKERS = 3  # workers that a message names
_PATHS = ("labels", "anchors")


def recipe_of(detector: DetectorHandle) -> DetectorRecipe:
    """Return how a worker makes a detector; ``ClusterError`` where it cannot be sent."""
    import cloudpickle

    factory = "give the workers a function that makes it: load_detector('package.module:factory')"
    if detector.source is None:
        raise ClusterError(
            f"{detector.name} cannot be sent to a cluster, because nothing says how it was made; {factory}"
        )
    spec, description = detector.source
    known = description.known()
    for name in _PATHS:
        if isinstance(known.get(name), (str, os.PathLike)):
            known[name] = _absolute(str(known[name]))
    if isinstance(spec, (str, os.PathLike)):
        spec = _absolute(str(spec))
        fingerprint = load_detector(spec, **known).fingerprint
    else:
        fingerprint = detector.fingerprint
    try:
        pickled = cloudpickle.dumps((spec, known))
    except Exception as error:
        raise ClusterError(
            f"{detector.name} cannot be sent to a cluster ({type(error).__name__}: {error}); {factory}"
        ) from error
    if len(pickled) > LARGEST_OBJECT:
        raise ClusterError(f"{detector.name} is {len(pickled):,} bytes, too many to go with every batch; {factory}")
    return DetectorRecipe(detector.name, pickled, fingerprint)


def check_in_time(client: Any, cluster: str, recipe: DetectorRecipe, workers: list[str], seconds: float) -> set[str]:
    """Return what :func:`check_workers` does, none after ``seconds``: Dask waits long for a dead worker."""
    box: queue.SimpleQueue[set[str] | BaseException] = queue.SimpleQueue()

    def check() -> None:
        try:
            box.put(check_workers(client, cluster, recipe, workers))
        except BaseException as error:
            box.put(error)

    threading.Thread(target=check, name="cropdet-check", daemon=True).start()
    try:
        found = box.get(timeout=seconds)
    except queue.Empty:
        return set()
    if isinstance(found, BaseException):
        raise found
    return found


def check_workers(client: Any, cluster: str, recipe: DetectorRecipe, workers: list[str]) -> set[str]:
    """Return the workers that answered; ``ClusterError`` names those that cannot run the detector, and says why."""
    own = dict(own_versions())
    here = own["pytest-cropdet"]
    wrong: dict[str, str] = {}
    numbers = client.run(resolve_name, "pytest_cropdet:__version__", workers=workers, on_error="return")
    for worker, number in numbers.items():
        if isinstance(number, ImportError):
            wrong[worker] = f"pytest-cropdet is not installed there ({number}); install version {here}"
        elif isinstance(number, str) and number != here:
            wrong[worker] = f"it has pytest-cropdet {number}, this process {here}; install the same version"
    rest = [worker for worker in workers if isinstance(numbers.get(worker), str) and worker not in wrong]
    answers = client.run(examine_detector, recipe, workers=rest, on_error="return") if rest else {}
    for worker, answer in answers.items():
        if not isinstance(answer, tuple):
            if not isinstance(answer, (OSError, TimeoutError)):  # of a worker that went away
                wrong[worker] = f"{type(answer).__name__}: {answer}"
            continue
        found, problem = answer
        there = dict(found)
        others = [
            f"{name} {there.get(name, 'missing')} (here {own.get(name, 'missing')})"
            for name in sorted({*own, *there})
            if own.get(name) != there.get(name)
        ]
        if others:
            wrong[worker] = f"it has other versions, so its answers may differ: {', '.join(others)}"
        elif problem:
            wrong[worker] = f"{problem} (every worker needs the same files under the same paths)"
    if wrong:
        lines = [f"{worker}: {why}" for worker, why in list(wrong.items())[:SHOWN_WORKERS]]
        more = f"; and {len(wrong) - SHOWN_WORKERS} more" if len(wrong) > SHOWN_WORKERS else ""
        raise ClusterError(
            f"{len(wrong)} of {len(workers)} workers of the cluster {cluster} cannot run {recipe.name}: "
            f"{'; '.join(lines)}{more}"
        )
    return {worker for worker, answer in answers.items() if isinstance(answer, tuple)}


def _absolute(spec: str) -> str:
    """Return a path, or the path after the word of a kind, as an absolute one; anything else as it is."""
    kind, colon, rest = spec.partition(":")
    if Path(spec[:4096]).exists():
        return str(Path(spec).absolute())
    if colon and kind == "sliced":
        model = read_sliced_spec(rest)[1]
        return f"{spec.removesuffix(model)}{_absolute(model)}"
    if colon and rest and not rest.startswith("//") and len(rest) < 4096 and Path(rest).exists():
        return f"{kind}:{Path(rest).absolute()}"
    return spec
