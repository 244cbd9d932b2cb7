"""Silence while a framework is imported or a model loads: their chatter is not a test's output."""

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pytest_cropdet.data import STANDARD_ERROR_LOCK

__all__ = ["quiet"]


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings and what native code writes to standard error; if the block raises, that text is let through."""
    with STANDARD_ERROR_LOCK, warnings.catch_warnings(), tempfile.TemporaryFile() as chatter:
        warnings.simplefilter("ignore")
        sys.stderr.flush()
        try:
            kept = os.dup(2)
        except OSError:  # no standard error at all
            yield
            return
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            chatter.seek(0)
            os.write(2, chatter.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
