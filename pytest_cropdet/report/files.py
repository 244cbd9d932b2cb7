"""Writing files: whole or not at all, through links, and straight to what is no regular file."""

import errno
import os
import re
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["write_whole"]

DESCRIPTOR = re.compile(r"/dev/fd/(\d+)|/proc/(?:self|\d+)/fd/(\d+)")
STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}
LINKS = 40  # followed at most, as the kernel does
FIXED = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)  # a file that can be written, not replaced


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, in a folder that is made if need be.

    A link stays, and the file that it points to is replaced. A pipe, a terminal or another device is written to. So is
    a file that cannot be replaced, such as one that is mounted by itself.
    """
    data = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
    number = _descriptor(path)
    if number is not None:
        _write_to(number, data)
        return
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        with target.open("wb") as stream:
            stream.write(data)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        _replace(target, data)
    except OSError as error:
        if error.errno not in FIXED or not os.access(target, os.W_OK):
            raise
        with target.open("wb") as stream:
            stream.write(data)


def _replace(target: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _descriptor(path: Path) -> int | None:
    """Return the open file that a path stands for, as ``/dev/stdout`` does, ``None`` for any other path."""
    for _ in range(LINKS):
        text = os.path.abspath(path)  # noqa: PTH100  (without following links)
        if text in STREAMS:
            return STREAMS[text]
        named = DESCRIPTOR.fullmatch(text)
        if named:
            return int(named.group(1) or named.group(2))
        if not os.path.islink(text):  # noqa: PTH114
            return None
        path = Path(text).parent / os.readlink(text)  # noqa: PTH115
    return None


def _write_to(number: int, data: bytes) -> None:
    """Write to an open file where it stands: opened once more, a file that output was sent to would be cut."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    with os.fdopen(os.dup(number), "wb") as stream:
        stream.write(data)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
