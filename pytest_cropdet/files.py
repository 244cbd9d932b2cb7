"""Files as their bytes; only regular files are read, so that a pipe or a device can neither stop nor fill a run."""

import stat
from pathlib import Path

from pytest_cropdet.errors import CropdetError, DataError
from pytest_cropdet.lfs import refuse_pointer

__all__ = ["read_file", "refuse_special"]

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def refuse_special(path: Path, what: str, error: type[CropdetError] = DataError) -> None:
    """Raise ``error`` if ``path`` cannot be found, or is a pipe, a device, a socket or a folder; nothing is opened."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as problem:
        raise error(f"cannot read {what} {path}: {_reason(problem)}") from problem
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no file")
        raise error(f"cannot read {what} {path}: it is {kind}; only regular files are read")


def read_file(path: Path, what: str, error: type[CropdetError] = DataError) -> bytes:
    """Return the content of a regular file; ``error`` names any other, and a Git LFS pointer in place of a file.

    ``what``: what it should be, as the message calls it ("the image", "the label file").
    """
    refuse_special(path, what, error)
    refuse_pointer(path, what, error)
    try:
        return path.read_bytes()
    except OSError as problem:
        raise error(f"cannot read {what} {path}: {_reason(problem)}") from problem


def _reason(problem: Exception) -> str:
    return str(getattr(problem, "strerror", None) or problem)
