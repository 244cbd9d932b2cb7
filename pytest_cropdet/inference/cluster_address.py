"""Where a cluster is: a scheduler's address, the file it wrote, or processes of this machine."""

import logging
import os
import re
from pathlib import Path
from typing import Any

from pytest_cropdet.errors import ClusterError, SpecError

__all__ = ["check_address", "close_client", "open_client"]

SCHEDULER_SECONDS = 10.0  # for the scheduler to answer
_LOCAL = re.compile(r"local:([1-9]\d*)")
_ADDRESS = re.compile(r"[a-z]+://\S+|[\w.-]+:\d+")


def check_address(where: str) -> None:
    """Raise ``SpecError`` for what names no cluster.

    >>> check_address("local:4"), check_address("tcp://10.0.0.7:8786")
    (None, None)
    """
    if not (_LOCAL.fullmatch(where) or where.endswith(".json") or _ADDRESS.fullmatch(where)) or where == "local:0":
        raise SpecError(
            f"cropdet_cluster must be tcp://SCHEDULER:8786, the scheduler's file (.json), or local:N, not {where!r}"
        )


def open_client(where: str, seconds: float = SCHEDULER_SECONDS) -> Any:
    """Return a client of the cluster; ``ClusterError`` says why there is none."""
    check_address(where)
    distributed = _import_distributed()
    local = _LOCAL.fullmatch(where)
    if local:
        return _local(distributed, int(local.group(1)))
    if where.endswith(".json") and not Path(where).is_file():
        raise ClusterError(
            f"no cluster at {where}: the file does not exist; start a scheduler with `dask scheduler --scheduler-file "
            f"{where}`"
        )
    target = {"scheduler_file": where} if where.endswith(".json") else {"address": where}
    try:
        return distributed.Client(**target, timeout=seconds, set_as_default=False, name="pytest-cropdet")
    except (OSError, TimeoutError, ValueError, KeyError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {where} within {seconds:g} s ({type(error).__name__}: {error}); start one "
            "with `dask scheduler`, and name the address that it prints"
        ) from error


def close_client(client: Any) -> None:
    """Close a client that :func:`open_client` returned, and its processes if they are its own."""
    processes = getattr(client, "cluster", None)
    client.close()
    if processes is not None:
        processes.close()


def _local(distributed: Any, count: int) -> Any:
    """Return a client of ``count`` processes of this machine, or of this worker's part of pytest-xdist."""
    sharing = max(1, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
    processes = distributed.LocalCluster(
        n_workers=max(1, count // sharing),
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        memory_limit=None,
        dashboard_address=":0",  # any free port: there may be another cluster
        silence_logs=logging.ERROR,  # at the end, a worker that is slow to stop is no matter for the user
    )
    return distributed.Client(processes, set_as_default=False)


def _import_distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise ClusterError(f"--cropdet-cluster needs Dask ({error}): pip install 'pytest-cropdet[cluster]'") from error
    return distributed
