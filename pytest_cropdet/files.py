"""Which files are read, and how files are written: whole or not at all.

Only regular files are read, so that a pipe or a device can neither stop nor fill a run; a Git LFS pointer is refused by
name. Files are written beside their place and moved there, through links, and straight to what is no regular file.
Of a process that left its name in a file, the machine's table of processes says whether it is still there.
"""

import errno
import os
import re
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pytest_cropdet.errors import CropdetError, DataError

__all__ = [
    "is_pointer",
    "is_url",
    "make_folder",
    "may_live",
    "read_file",
    "refuse_pointer",
    "refuse_special",
    "shown_url",
    "write_whole",
]

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


_URL = re.compile(r"[a-z][a-z0-9+.-]*(::.*)?://", re.IGNORECASE | re.DOTALL)


def is_url(text: object) -> bool:
    r"""Return whether a text is a URL, as fsspec takes them, not a path.

    >>> is_url("s3://bucket/set"), is_url("zip::s3://bucket/a.zip"), is_url("C:\\set"), is_url("painted:net.json")
    (True, True, False, False)
    """
    return isinstance(text, str) and _URL.match(text) is not None


def shown_url(url: str) -> str:
    """Return a URL without what may be secret in it: a password, and the query, which may be a signature.

    >>> shown_url("https://me:word@host/a.zip?X-Signature=1")
    'https://host/a.zip?...'
    """
    chain, _, last = url.rpartition("::")
    try:
        parts = urlsplit(last)
    except ValueError:
        return url
    plain = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    if "://" not in plain:  # of a scheme without a host, as memory:///a
        plain = last.partition("?")[0]
    return f"{chain}::{plain}" * bool(chain) or plain + "?..." * bool(parts.query)


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


def make_folder(folder: Path) -> None:
    """Make the plugin's folder with what keeps it out of version control and of backups."""
    folder.mkdir(parents=True, exist_ok=True)
    ignore, tag = folder / ".gitignore", folder / "CACHEDIR.TAG"
    if not ignore.exists():
        ignore.write_text("# Made by pytest-cropdet.\n*\n", encoding="utf-8")
    if not tag.exists():
        tag.write_text("Signature: 8a477f597d28d172789f06886806bc55\n# Made by pytest-cropdet.\n", encoding="utf-8")


_BEGINNINGS = (b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/")


_LONGEST = 1024  # bytes; a pointer is shorter


def is_pointer(content: bytes) -> bool:
    r"""Return whether a file's content is a Git LFS pointer.

    >>> is_pointer(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 6000000\n")
    True
    """
    return len(content) < _LONGEST and content.startswith(_BEGINNINGS)


def refuse_pointer(path: Path, what: str, error: type[CropdetError] = DataError) -> None:
    """Raise ``error`` if the file ``path`` is a Git LFS pointer; ``what`` is what it should be ("the model").

    Reads nothing of what is no regular file, or longer than a pointer is; a file that cannot be read is left to others.
    """
    try:
        if not path.is_file() or path.stat().st_size >= _LONGEST:
            return
        content = path.read_bytes()
    except OSError:
        return
    if is_pointer(content):
        raise error(f"{what} {path} is a Git LFS pointer, not the file itself{_size(content)}: {_REMEDY}")


_REMEDY = "run `git lfs pull` in its repository (on CI, check out with Git LFS: `lfs: true` of actions/checkout)"


def _size(content: bytes) -> str:
    for line in content.splitlines():
        if line.startswith(b"size ") and line[5:].isdigit() and len(line) < 25:
            return f" of {int(line[5:]):,} bytes"
    return ""


DESCRIPTOR = re.compile(r"/dev/fd/(\d+)|/proc/(?:self|\d+)/fd/(\d+)")


STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


LINKS = 40  # followed at most, as the kernel does


FIXED = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)  # a file that can be written, not replaced


def write_whole(path: Path, content: str | bytes | Callable[[], Iterable[bytes]]) -> None:
    """Write a file whole or not at all, in a folder that is made if need be.

    A link stays, and the file that it points to is replaced. A pipe, a terminal or another device is written to. So is
    a file that cannot be replaced, such as one that is mounted by itself. ``content``: a function yields it in pieces.
    """
    if callable(content):
        data = content
    else:
        whole = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
        data = lambda: [whole]  # noqa: E731 - a name of its own would say nothing
    number = _descriptor(path)
    if number is not None:
        _write_to(number, data)
        return
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        with target.open("wb") as stream:
            stream.writelines(data())
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        _replace(target, data)
    except OSError as error:
        if error.errno not in FIXED or not os.access(target, os.W_OK):
            raise
        with target.open("wb") as stream:
            stream.writelines(data())


def _replace(target: Path, data: Callable[[], Iterable[bytes]]) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.writelines(data())
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


def _write_to(number: int, data: Callable[[], Iterable[bytes]]) -> None:
    """Write to an open file where it stands: opened once more, a file that output was sent to would be cut."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
    with os.fdopen(os.dup(number), "wb") as stream:
        stream.writelines(data())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def may_live(host: str, pid: int | str) -> bool:
    """Return whether a process may still be at work; one that has ended and was not waited for yet is not.

    ``host``: the machine it runs on; of another one, and where a system cannot be asked, nobody can tell.
    """
    if os.name != "posix" or host != socket.gethostname():
        return True
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError, ValueError):
        return False
    except OSError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except OSError:
        return True
    return not state.startswith(" Z")
