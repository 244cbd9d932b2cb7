"""Git LFS pointers: the few lines of text that a check-out without Git LFS leaves in place of a large file."""

from pathlib import Path

from pytest_cropdet.errors import CropdetError, DataError

__all__ = ["is_pointer", "refuse_pointer"]

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
